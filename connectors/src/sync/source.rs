//! The source: each type runs by itself, at its times and when somebody asks, until it is stopped.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{
    Checks, Hash, Inlet, Mirror, OpenError, Opening, Source, SourceSettings, Stop, SyncName, Trouble, Wish,
    Wished,
};
use futures_util::future::join_all;
use hyper::{Method, http::uri::PathAndQuery};
use jiff::{Timestamp, Zoned, fmt::rfc2822::DateTimeParser, tz::TimeZone};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{
    asking::{self, Ask, Got, Trouble as Fault},
    leaving::{Keeps, Leave, Left, ToChannel},
    plan::Plan,
    run::{Cut, Work, blocking},
    schedule::Times,
    settings::{Annuaire, FhirSync, Settings, TYPES},
    state::{Standing, State},
};
use crate::{
    Examine,
    tls::is_distrust,
    web::{AnswerBody, Client, Draft, Payload, TRY, meaning, meaning::Statuses},
};

const FHIR: &str = "application/fhir+json";

/// How long to wait where the directory itself does not answer.
const AGAIN: Duration = Duration::from_secs(10);

impl Examine for Annuaire {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.whole().examine(root, checks);
    }
}

impl Examine for FhirSync {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.0.examine(root, checks);
    }
}

#[async_trait]
impl SourceSettings for Annuaire {
    fn check(&self, checks: &mut Checks<'_>) {
        if self.0.key.is_some() && self.0.auth.is_some() {
            checks.error("conflicting-fields", "auth", "`key` and `auth` exclude each other");
        }
        if self.0.base.trim_end_matches('/').ends_with("/v1") {
            let message = "is version 1 of the Annuaire, whose ids, links and errors are others and which is being switched off: `…/fhir/v2`";
            checks.error("wrong-value", "base", message);
        }
        self.whole().check(&TYPES, checks);
    }

    fn usual_format(&self) -> &'static str {
        "json"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        open("annuaire", self.whole(), opening)
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        reach(&self.whole(), opening).await
    }
}

#[async_trait]
impl SourceSettings for FhirSync {
    fn check(&self, checks: &mut Checks<'_>) {
        self.0.check(&[], checks);
    }

    fn usual_format(&self) -> &'static str {
        "json"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        open("fhir_sync", self.0.clone(), opening)
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        reach(&self.0, opening).await
    }
}

fn client(settings: &Settings, opening: &Opening) -> Result<Client, OpenError> {
    let client = settings.access().client(&opening.root, settings.max_size.0);
    let client = client.map_err(|why| OpenError::new(format!("cannot ask {}: {why}", settings.base)))?;
    Ok(client.shown(&opening.connections))
}

fn open(
    connector: &'static str,
    settings: Settings,
    opening: &Opening,
) -> Result<Box<dyn Source>, OpenError> {
    let client = client(&settings, opening)?;
    let spacing = settings.rate.spacing();
    // Whoever has the same key at the same server waits for the same turn.
    let key = settings.auth.as_ref().map(crate::web::Auth::identity).unwrap_or_default();
    let identity = Hash::of(&[b"rate", client.beginning().as_bytes(), key.as_bytes()]);
    let turn = opening.shares.of(identity, Turn::default);
    let server = Server { client, spacing, turn };
    Ok(Box::new(Syncing {
        connector,
        server,
        channel: opening.channel.to_string(),
        mirror: Arc::clone(&opening.directory),
        trouble: opening.trouble.clone(),
        settings,
    }))
}

async fn reach(settings: &Settings, opening: &Opening) -> Result<(), OpenError> {
    let reached = client(settings, opening)?.reach(Instant::now() + TRY).await;
    reached.map_err(|why| OpenError::new(format!("cannot ask {}: {why}", settings.base)))
}

/// When the next call may be made.
#[derive(Default)]
struct Turn(Mutex<Option<Instant>>);

/// The server, asked no oftener than it allows.
struct Server {
    client: Client,
    spacing: Duration,
    turn: Arc<Turn>,
}

#[async_trait]
impl Ask for Server {
    async fn get(&self, target: &str) -> Result<Got, Fault> {
        if !self.spacing.is_zero() {
            let mut turn = self.turn.0.lock().await;
            let at = turn.unwrap_or_else(Instant::now).max(Instant::now());
            *turn = Some(at + self.spacing);
            drop(turn);
            sleep_until(at).await;
        }
        let target: PathAndQuery =
            target.parse().map_err(|_| Fault::Person("a link is no address".to_owned()))?;
        let draft =
            Draft { method: Method::GET, target, headers: Client::headers(FHIR), body: Payload::default() };
        let asked = self.client.ask(draft, &[Statuses::SUCCESS], self.client.deadline()).await;
        let answer = asked.map_err(|error| unanswered(meaning::plain(&error)))?;
        let header = |name: &str| Some(answer.headers.get(name)?.to_str().ok()?.to_owned());
        let date = header("date").and_then(|date| DateTimeParser::new().parse_timestamp(&date).ok());
        let pause = asking::pause(header, date);
        match answer.body {
            AnswerBody::Whole(body) => Ok(Got { status: answer.status.as_u16(), date, pause, body }),
            AnswerBody::Long(_) => {
                Err(Fault::Person("a page is longer than `max_size`: make `page` smaller".to_owned()))
            }
            AnswerBody::Cut(why) => Err(Fault::Again(why)),
        }
    }
}

/// A certificate that is not accepted now will not be in a minute either.
fn unanswered(why: String) -> Fault {
    if is_distrust(&why) {
        Fault::Later(format!("{why}: name who gave it under `tls`, as `authorities`"))
    } else {
        Fault::Again(why)
    }
}

/// All types of one source.
struct Syncing {
    connector: &'static str,
    server: Server,
    channel: String,
    mirror: Arc<dyn Mirror>,
    trouble: Trouble,
    settings: Settings,
}

#[async_trait]
impl Source for Syncing {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let leave = ToChannel {
            mirror: Arc::clone(&self.mirror),
            inlet,
            trouble: self.trouble.clone(),
            said: std::sync::Mutex::default(),
            connector: self.connector,
            base: self.settings.base.clone(),
        };
        let plans = self.settings.plans();
        let all = plans.iter().map(|plan| async {
            let one = One { syncing: &self, plan, leave: &leave, stop: &stop };
            while let Err(why) = one.keep().await {
                leave.say(&plan.kind, Some(Keeps::ForNow(why)));
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.requested() => return,
                }
            }
        });
        join_all(all).await;
        Ok(())
    }
}

/// One type.
struct One<'s> {
    syncing: &'s Syncing,
    plan: &'s Plan,
    leave: &'s ToChannel,
    stop: &'s Stop,
}

/// What to do next.
enum Next {
    Run,
    RunFull,
    Stop,
    End,
}

impl One<'_> {
    /// Keeps the type in step until the source stops. `Err`: the directory could not be read or written.
    async fn keep(&self) -> Result<(), String> {
        let mirror = Arc::clone(&self.syncing.mirror);
        let name = SyncName { channel: self.syncing.channel.clone(), resource: self.plan.kind.clone() };
        let tenure = blocking(move || mirror.take_over(&name)).await.map_err(words)?;
        let noted: State = serde_json::from_value(tenure.note.clone()).unwrap_or_default();
        // What needed a person is tried once after each start: it may have been seen to.
        let mut state = State { needs_person: false, ..noted.of_origin(&self.plan.origin()) };
        if self.syncing.settings.at.is_none() {
            // The first run begins at the start.
            state.next_run = None;
        }
        let mut work = Work {
            plan: self.plan,
            ask: &self.syncing.server,
            mirror: &self.syncing.mirror,
            leave: self.leave,
            stop: Stop::default(),
            due: None,
            tenure,
            state,
        };
        loop {
            match self.next(&mut work).await? {
                Next::Run => self.run(&mut work, false).await?,
                Next::RunFull => self.run(&mut work, true).await?,
                Next::Stop => {
                    work.state.standing = Standing::Stop;
                    (work.state.next_run, work.state.why) = (None, None);
                    work.note().await.map_err(words)?;
                }
                Next::End => return Ok(()),
            }
        }
    }

    async fn run(&self, work: &mut Work<'_>, full: bool) -> Result<(), String> {
        self.taken(work, full).await?;
        let halt = self.halted(work.tenure.sync);
        let stop = Stop::default();
        work.stop = stop.clone();
        work.due = Some(Instant::now() + lasting(self.next_time()));
        let ended = {
            let running = work.once(full);
            tokio::pin!(running);
            // A wish to stop ends the run behind the page that is being written.
            tokio::select! {
                biased;
                ended = &mut running => ended,
                () = halt => {
                    stop.request();
                    running.await
                }
                () = self.stop.requested() => {
                    stop.request();
                    running.await
                }
            }
        };
        let mut next_time = self.next_time();
        match ended {
            Ok(left) => {
                self.leave.say(&self.plan.kind, None);
                if left != Left::All {
                    next_time = Timestamp::now();
                }
            }
            Err(Cut::Stopped) => return Ok(()),
            Err(Cut::Relieved(_)) => {
                self.stop.requested().await;
                return Ok(());
            }
            Err(Cut::Later(why)) => self.told(work, why, false),
            Err(Cut::Person(why)) => self.told(work, why, true),
        }
        if !work.state.needs_person {
            work.state.next_run = Some(next_time);
        }
        work.note().await.map_err(words)
    }

    fn told(&self, work: &mut Work<'_>, why: String, needs_person: bool) {
        let (channel, resource) = (&self.syncing.channel, &self.plan.kind);
        tracing::warn!(channel, resource, why, "the sync did not come to its end");
        let keeps = if needs_person { Keeps::UntilSeenTo } else { Keeps::ForNow };
        self.leave.say(resource, Some(keeps(why.clone())));
        work.state.standing = Standing::Ko;
        (work.state.why, work.state.needs_person) = (Some(why), needs_person);
    }

    /// Returns once somebody has stopped this sync.
    async fn halted(&self, sync: i64) {
        let mut wishes = self.syncing.mirror.wishes();
        loop {
            if self.wished(sync).await.is_ok_and(|wished| wished.is_stopped) {
                return;
            }
            if wishes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Waits until there is something to do.
    async fn next(&self, work: &mut Work<'_>) -> Result<Next, String> {
        let mut wishes = self.syncing.mirror.wishes();
        loop {
            if self.stop.is_requested() {
                return Ok(Next::End);
            }
            let Wished { is_stopped, now, full } = self.wished(work.tenure.sync).await?;
            if is_stopped && work.state.standing != Standing::Stop {
                return Ok(Next::Stop);
            }
            if !is_stopped && full {
                return Ok(Next::RunFull);
            }
            // What was not ended goes on at once.
            let was_cut = work.state.next_run.is_none() && !work.state.needs_person;
            if !is_stopped && (now || was_cut) {
                return Ok(Next::Run);
            }
            let due = work.state.next_run.filter(|_| !is_stopped && !work.state.needs_person);
            let wait = due.map(lasting);
            tokio::select! {
                () = tokio::time::sleep(wait.unwrap_or(Duration::from_hours(24))) => {
                    if wait.is_some() {
                        return Ok(Next::Run);
                    }
                }
                changed = wishes.changed() => if changed.is_err() {
                    self.stop.requested().await;
                },
                () = self.stop.requested() => {}
            }
        }
    }

    fn next_time(&self) -> Timestamp {
        let settings = &self.syncing.settings;
        let zone =
            settings.zone.as_ref().and_then(|zone| TimeZone::get(zone).ok()).unwrap_or_else(TimeZone::system);
        let times = settings.at.as_ref().and_then(|at| at.parse::<Times>().ok());
        let pause = times.and_then(|times| times.after(&Zoned::now(), &zone)).unwrap_or(settings.every.0);
        Timestamp::now().checked_add(super::run::signed(pause)).unwrap_or(Timestamp::MAX)
    }

    async fn wished(&self, sync: i64) -> Result<Wished, String> {
        let mirror = Arc::clone(&self.syncing.mirror);
        blocking(move || mirror.wished(sync)).await.map_err(words)
    }

    /// A whole pass that is wished meanwhile stays wished.
    async fn taken(&self, work: &Work<'_>, full: bool) -> Result<(), String> {
        let (mirror, sync) = (Arc::clone(&self.syncing.mirror), work.tenure.sync);
        let wish = if full { Wish::BegunFull } else { Wish::Begun };
        blocking(move || mirror.wish(sync, wish)).await.map_err(words)
    }
}

/// How long until a time; nothing where it is past.
fn lasting(until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
}

fn words(cut: Cut) -> String {
    match cut {
        Cut::Stopped => "it was stopped".to_owned(),
        Cut::Relieved(why) | Cut::Later(why) | Cut::Person(why) => why,
    }
}
