//! Takes up again what a channel did not get through: files that were refused, failed or left, and deliveries given up.

use std::{collections::HashSet, sync::Arc};

use axum::{Extension, Json, body::Bytes, extract::State};
use engine::{
    Backlog, Channel, DeliveryId, DeliveryRow, DeliveryState, History as _, MessageId, MessageState, Origin,
    Query, Shown, TakeUp, UnprocessedFile,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    asked::Path,
    channels::running,
    deliveries::{latest, run_again},
    problem::Problem,
    rights::Nothing,
};
use crate::{accounts::Caller, why::Why};

/// So many given-up deliveries are looked at in one go.
const MOST: usize = 100_000;

/// What is asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// These files alone, by their names; `*` stands for anything.
    #[serde(default)]
    files: Vec<String>,
    /// Says what would be done, and does nothing.
    #[serde(default)]
    plan: bool,
}

/// One file or delivery that was taken up again, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Retried {
    /// The file's name, where there is one.
    pub(crate) file: Option<String>,
    pub(crate) message: Option<u64>,
    /// `refused`, `failed`, `left`, `given_up`, `set_aside` or `unsure`; `nothing` of a name that nothing has.
    pub(crate) state: String,
    /// Why it was not processed.
    pub(crate) why: Option<Why>,
    /// In words.
    pub(crate) what: String,
    /// Why it could not be done, where it could not.
    pub(crate) problem: Option<Why>,
}

/// What becomes of a file.
enum Course {
    Anew,
    Again(Vec<Deed>),
}

enum Deed {
    Rerun(Box<Shown>),
    Resend(Box<DeliveryRow>),
}

struct Retry<'a> {
    context: &'a Context,
    channel: &'a Channel,
    wish: &'a Wish,
    by: String,
    /// Messages that a file has brought along.
    handled: HashSet<MessageId>,
}

pub(super) async fn retry(
    State(context): State<Arc<Context>>,
    Path(name): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<(Option<Extension<Nothing>>, Json<Vec<Retried>>), Problem> {
    let wish: Wish = if body.is_empty() || body.as_ref() == b"null" {
        Wish::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Problem::wrong(format!("cannot read the request: {error}")))?
    };
    let channel = running(&context, &name)?;
    let _alone = context.retrying.lock().await;
    let mut retry = Retry {
        context: &context,
        channel: &channel,
        wish: &wish,
        by: caller.name.clone(),
        handled: HashSet::new(),
    };
    let mut all = Vec::new();
    if let Some(backlog) = channel.backlog() {
        let files = backlog.unprocessed().await.map_err(|error| Problem::unavailable(error.to_string()))?;
        for file in files.iter().filter(|file| wish.means(file)) {
            all.push(retry.file(backlog.as_ref(), file).await?);
        }
    }
    all.extend(retry.deliveries().await?);
    let missing = wish.files.iter().filter(|name| !all.iter().any(|one| one.is(name))).collect::<Vec<_>>();
    if let [first, ..] = missing[..]
        && all.is_empty()
    {
        return Err(Problem::missing(format!("nothing of `{first}` was refused, failed, left or given up")));
    }
    let missing = missing.into_iter().filter(|name| !name.contains('*'));
    let missing = missing.map(|name| Retried::missing(name)).collect::<Vec<_>>();
    all.extend(missing);
    Ok((wish.plan.then_some(Extension(Nothing)), Json(all)))
}

impl Wish {
    /// What nobody knows of is taken where it is named.
    fn means(&self, file: &UnprocessedFile) -> bool {
        if self.files.is_empty() {
            return file.origin != Origin::Unknown;
        }
        let last = file.at.rsplit('/').next().unwrap_or_default();
        let lies_there = |name: &str| file.at.strip_suffix(name).is_some_and(|before| before.ends_with('/'));
        self.files.iter().any(|name| {
            lies_there(name) || [file.name.as_str(), &file.at, last].iter().any(|own| fits(name, own))
        })
    }
}

impl Retried {
    /// A file of which nothing is to be taken up.
    fn missing(name: &str) -> Self {
        let problem = Why::ours("nothing of it was refused, failed, left or given up");
        Self {
            file: Some(name.to_owned()),
            message: None,
            state: "nothing".to_owned(),
            why: Some(problem.clone()),
            what: "nothing".to_owned(),
            problem: Some(problem),
        }
    }

    fn is(&self, name: &str) -> bool {
        let last = name.rsplit('/').next().unwrap_or_default();
        self.file.as_deref().is_some_and(|file| fits(name, file) || fits(last, file))
    }
}

/// Whether a name is the one written, in which `*` stands for anything.
fn fits(written: &str, name: &str) -> bool {
    match written.split_once('*') {
        None => written == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| fits(after, &rest[at..]))
        }),
    }
}

impl Retry<'_> {
    async fn file(&mut self, backlog: &dyn Backlog, file: &UnprocessedFile) -> Result<Retried, Problem> {
        let course = self.course(file).await?;
        let mut retried = Retried {
            file: Some(file.name.clone()),
            message: file.messages.first().map(|id| id.0),
            state: file.state.to_owned(),
            why: file.why.clone().map(Why::of_words),
            what: course.words(),
            problem: None,
        };
        if !self.wish.plan
            && let Err(problem) = self.carry_out(backlog, file, course).await
        {
            retried.problem = Some(problem);
        }
        Ok(retried)
    }

    /// What to do about a file: its messages say it, as long as its bytes are those that they came in.
    async fn course(&mut self, file: &UnprocessedFile) -> Result<Course, Problem> {
        if file.origin == Origin::Unknown || file.messages.is_empty() {
            return Ok(Course::Anew);
        }
        let mut deeds = Vec::new();
        for id in &file.messages {
            let Some(shown) = self.standing(*id).await? else { return Ok(Course::Anew) };
            self.handled.insert(shown.row.id);
            if file.origin == Origin::Changed {
                continue;
            }
            let again =
                latest(&shown.row.deliveries, None).into_iter().filter(|one| self.goes_again(one.state));
            let again: Vec<Deed> = again.cloned().map(|delivery| Deed::Resend(Box::new(delivery))).collect();
            let is_over = matches!(shown.row.state, MessageState::Refused | MessageState::Failed);
            if is_over && shown.row.deliveries.is_empty() {
                if shown.body.is_none() {
                    return Ok(Course::Anew);
                }
                deeds.push(Deed::Rerun(Box::new(shown)));
            }
            deeds.extend(again);
        }
        Ok(if file.origin == Origin::Changed { Course::Anew } else { Course::Again(deeds) })
    }

    /// One that may have arrived goes again only where its file is named.
    fn goes_again(&self, state: DeliveryState) -> bool {
        match state {
            DeliveryState::GivenUp => true,
            DeliveryState::SetAside | DeliveryState::Unsure => !self.wish.files.is_empty(),
            _ => false,
        }
    }

    /// A message, or the one that stands for it.
    async fn standing(&self, id: MessageId) -> Result<Option<Shown>, Problem> {
        let mut shown = self.context.fleet.store.show(id).await?;
        while let Some(next) = shown.as_ref().and_then(|shown| shown.superseded_by) {
            shown = self.context.fleet.store.show(next).await?;
        }
        Ok(shown)
    }

    async fn carry_out(
        &self,
        backlog: &dyn Backlog,
        file: &UnprocessedFile,
        course: Course,
    ) -> Result<(), Why> {
        let manner = match course {
            Course::Anew => {
                self.leave_off(file).await?;
                TakeUp::Anew
            }
            Course::Again(deeds) => {
                self.send_again(deeds).await?;
                for id in &file.messages {
                    // What its deliveries come to from here on is the answer.
                    if let Ok(Some(shown)) = self.standing(*id).await
                        && shown.row.state == MessageState::Queued
                    {
                        self.channel.answer_anew(shown.row.id);
                    }
                }
                TakeUp::Again
            }
        };
        backlog.take_up(file, manner).await.map(drop).map_err(|error| Why::of_source(error.to_string()))
    }

    /// Where none of them gets through, the file stays where it is.
    async fn send_again(&self, deeds: Vec<Deed>) -> Result<(), Why> {
        let (mut done, mut problems) = (deeds.is_empty(), Vec::new());
        for deed in deeds {
            let did = match deed {
                Deed::Rerun(shown) => {
                    run_again(self.context, &shown, (None, self.by.clone())).await.map(drop)
                }
                Deed::Resend(delivery) => self.resend(delivery.id).await,
            };
            match did {
                Ok(()) => done = true,
                Err(problem) => problems.push(problem.why().clone()),
            }
        }
        if done { Ok(()) } else { Err(problems.swap_remove(0)) }
    }

    /// What was given up of a file that was mended since: the mended one goes instead.
    async fn leave_off(&self, file: &UnprocessedFile) -> Result<(), Why> {
        for id in &file.messages {
            let Ok(Some(shown)) = self.standing(*id).await else { continue };
            for delivery in latest(&shown.row.deliveries, None) {
                if delivery.state == DeliveryState::GivenUp {
                    let dropped = self.channel.drop_delivery(delivery.id, &self.by).await;
                    dropped.map_err(|refusal| Why::ours(refusal.to_string()))?;
                }
            }
        }
        Ok(())
    }

    async fn resend(&self, delivery: DeliveryId) -> Result<(), Problem> {
        self.channel.resend(delivery, None, None, &self.by).await?;
        Ok(())
    }

    /// Deliveries that were given up although their file, if they have one, is put away.
    async fn deliveries(&mut self) -> Result<Vec<Retried>, Problem> {
        let mut all = Vec::new();
        for state in ["given_up", "set_aside", "unsure"] {
            if state != "given_up" && self.wish.files.is_empty() {
                continue;
            }
            let query = Query {
                channel: Some(self.channel.name().to_owned()),
                state: Some(state.to_owned()),
                limit: MOST,
                ..Query::default()
            };
            for delivery in self.context.fleet.store.deliveries(&query).await? {
                all.extend(self.delivery(delivery).await?);
            }
        }
        Ok(all)
    }

    async fn delivery(&self, delivery: DeliveryRow) -> Result<Option<Retried>, Problem> {
        if self.handled.contains(&delivery.message) {
            return Ok(None);
        }
        let Some(shown) = self.context.fleet.store.show(delivery.message).await? else { return Ok(None) };
        let is_latest = latest(&shown.row.deliveries, None).iter().any(|one| one.id == delivery.id);
        let file = shown.source.get("name").and_then(|name| name.as_str()).map(str::to_owned);
        let is_meant = self.wish.files.is_empty()
            || file.as_ref().is_some_and(|file| self.wish.files.iter().any(|name| fits(name, file)));
        if shown.superseded_by.is_some() || !is_latest || !is_meant {
            return Ok(None);
        }
        let problem = if self.wish.plan {
            None
        } else {
            self.resend(delivery.id).await.err().map(|problem| problem.why().clone())
        };
        Ok(Some(Retried {
            file,
            message: Some(delivery.message.0),
            state: word(delivery.state),
            why: delivery.tally.why.clone().map(Why::from),
            what: format!("send to {} again", delivery.destination),
            problem,
        }))
    }
}

impl Course {
    fn words(&self) -> String {
        let Self::Again(deeds) = self else { return "take as a new file".to_owned() };
        let mut words: Vec<String> = Vec::new();
        for deed in deeds {
            let word = match deed {
                Deed::Rerun(_) => "run again".to_owned(),
                Deed::Resend(delivery) => format!("send to {} again", delivery.destination),
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        if words.is_empty() { "put away: it went through since".to_owned() } else { words.join(", ") }
    }
}

fn word(state: DeliveryState) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (written, name, is_fit) in [
            ("a.hl7", "a.hl7", true),
            ("a.hl7", "b.hl7", false),
            ("*.hl7", "a.hl7", true),
            ("a*7", "a.hl7", true),
            ("*", "", true),
            ("*é*", "é", true),
            ("a?", "ab", false),
            ("*.csv", "a.hl7", false),
        ] {
            assert_eq!(fits(written, name), is_fit, "{written} {name}");
        }
    }
}
