//! A run: page after page, each written with how far it brings the sync, until everything the server has is here.
//!
//! A whole pass is followed by what changed meanwhile, and only then is looked for what nobody saw: a long search passes
//! over what changes while it lasts. The server's clock is compared with the server's alone; ours only waits.

use std::{collections::HashSet, sync::Arc, time::Duration};

use engine::{Hash, Mirror, Page as Batch, Seen, Stop, StoreError, Tenure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    asking::{self, Ask, Got, Question, Trouble},
    leaving::{Keeps, Leave, Left, TOGETHER},
    page::{Found, Page, Unfit},
    plan::{Inactive, Plan},
    slices::Slice,
    state::{Mode, Pass, Run, Standing, State},
    waiting::Patience,
};

/// So often a search begins anew before it is left for the next time.
const LOSSES: u32 = 12;
/// A whole pass that has lost its links so often asks for shorter pages.
const SHORTER_AFTER: u32 = 2;
/// How long to wait where a destination has enough before it: it has something to do meanwhile.
const CROWDED: Duration = Duration::from_millis(50);

/// What a sync works with.
pub(super) struct Work<'w> {
    pub(super) plan: &'w Plan,
    pub(super) ask: &'w dyn Ask,
    pub(super) mirror: &'w Arc<dyn Mirror>,
    pub(super) leave: &'w dyn Leave,
    /// Asked for where the page that is being written shall be the last.
    pub(super) stop: Stop,
    /// When the next run shall begin, whatever still waits to leave; none: never before everything has left.
    pub(super) due: Option<Instant>,
    pub(super) tenure: Tenure,
    pub(super) state: State,
}

/// Why a run does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It was asked to.
    Stopped,
    /// Another one has the sync.
    Relieved(String),
    /// The next time it goes on where it stands.
    Later(String),
    /// Not before somebody has looked.
    Person(String),
}

/// A page on its way, or why there is none.
enum Step {
    Page(Got, Page),
    Anew(String),
}

impl Work<'_> {
    /// Runs until everything is here, or until it is cut. What was cut goes on where it stood. Says whether all changes
    /// have left: a destination that is down keeps them, and nothing from being fetched.
    pub(super) async fn once(&mut self, wants_full: bool) -> Result<Left, Cut> {
        self.leave_all(Some(Instant::now())).await?;
        if wants_full || self.state.run.is_none() {
            self.begin(wants_full);
        }
        self.state.standing = Standing::Running;
        (self.state.next_run, self.state.why) = (None, None);
        // The first answer may be long in coming: it runs, and a whole pass that was wished is begun.
        self.note().await?;
        loop {
            self.pages().await?;
            let run = self.run().clone();
            if run.mode == Mode::Delta {
                self.ask_singly().await?;
                if let Some(pass) = run.pass {
                    self.sweep(pass).await?;
                }
                break;
            }
            self.follow_up(&run).await?;
        }
        let left = self.leave_all(self.due).await?;
        self.end(&left).await?;
        Ok(left)
    }

    pub(super) fn run(&mut self) -> &mut Run {
        self.state.run.as_mut().expect("a run is there from its beginning to its end")
    }

    fn begin(&mut self, wants_full: bool) {
        let now = Timestamp::now();
        let is_old = |last: Timestamp| now.duration_since(last) > self.plan.full_every;
        let is_due = self.state.watermark.is_none() || self.state.last_full.is_none_or(is_old);
        (self.state.pages, self.state.seen) = (0, 0);
        (self.state.rejected, self.state.nameless, self.state.late) = (0, 0, 0);
        if wants_full || is_due {
            self.begin_full();
        } else {
            let from = self.state.watermark.map(|watermark| self.back(watermark));
            self.state.begin(Mode::Delta, self.plan.page, None).from = from;
        }
    }

    fn begin_full(&mut self) {
        let early = self.state.watermark.map(|watermark| self.back(watermark));
        let pass = self.pass(early);
        let slice = self.plan.slice.map(Slice::first);
        self.state.begin(Mode::Full, self.plan.page, Some(pass)).slice = slice;
    }

    fn pass(&mut self, early: Option<Timestamp>) -> Pass {
        self.state.passes += 1;
        Pass { number: self.state.passes, attempt: self.state.attempts + 1, early, swept: None }
    }

    /// So far before a time, that what the server finished late is seen all the same.
    fn back(&self, time: Timestamp) -> Timestamp {
        time.checked_sub(self.plan.overlap).unwrap_or(Timestamp::MIN)
    }

    /// What changed while the whole pass lasted.
    async fn follow_up(&mut self, full: &Run) -> Result<(), Cut> {
        let reached = self.reached(full);
        self.move_watermark(full);
        let from = reached.map(|reached| self.back(reached));
        self.state.begin(Mode::Delta, self.plan.page, full.pass.clone()).from = from;
        self.note().await
    }

    /// Everything that was there when this run began has been taken, but for what is held to be waited for.
    fn move_watermark(&mut self, run: &Run) {
        if !self.is_held() {
            self.state.watermark = self.reached(run);
        }
    }

    fn reached(&self, run: &Run) -> Option<Timestamp> {
        // Also where the server's clock was set back.
        run.begun.or_else(|| self.state.watermark.max(run.latest))
    }

    async fn end(&mut self, left: &Left) -> Result<(), Cut> {
        let run = self.run().clone();
        self.move_watermark(&run);
        let now = Timestamp::now();
        self.state.last_success = Some(now);
        if run.pass.is_some() {
            self.state.last_full = Some(now);
        }
        self.state.run = None;
        self.state.standing = Standing::Ok;
        self.state.why = self.remarks();
        if let Left::Full(why) = left {
            self.state.why = Some(why.clone());
        }
        self.note().await
    }

    /// Takes page after page: while one is written, the next is asked for and the changes of the one before leave.
    async fn pages(&mut self) -> Result<(), Cut> {
        let mut visited = HashSet::new();
        let mut step = None;
        while !self.run().is_through {
            let current = match step.take() {
                Some(step) => step,
                None => self.step().await?,
            };
            let (got, page) = match current {
                Step::Page(got, page) => (got, page),
                Step::Anew(why) => {
                    visited.clear();
                    self.anew(&why).await?;
                    continue;
                }
            };
            if self.run().pages == 0 && self.is_too_late(&got) {
                let count = self.run().count;
                self.begin_full();
                self.run().count = count;
                continue;
            }
            self.look_at_slice(&page, got.date)?;
            self.look_at_link(&page, &mut visited)?;
            self.reject(&page).await?;
            let (before, resources) = (self.state.clone(), page.found.len());
            let batch = self.advance(&got, page)?;
            let leaving = self.leave_some(resources);
            let (written, left, next) = tokio::join!(self.write(batch), leaving, self.ahead());
            let written = self.taken(written, before)?;
            self.count(&written);
            left?;
            step = next?;
            if self.stop.is_requested() {
                return Err(Cut::Stopped);
            }
        }
        Ok(())
    }

    /// A link that leads nowhere good is not noted: the page that has it is asked for again, once somebody has looked.
    fn look_at_link(&mut self, page: &Page, visited: &mut HashSet<Hash>) -> Result<(), Cut> {
        let Some(next) = &page.next else { return Ok(()) };
        asking::follow(&self.plan.base, &self.plan.also_known_as, next).map_err(Cut::Person)?;
        if visited.insert(Hash::of(&[next.as_bytes()])) {
            return Ok(());
        }
        self.state.run = None;
        Err(Cut::Person("its pages go round in a circle".to_owned()))
    }

    /// What is not written is not noted either.
    pub(super) fn taken<T>(&mut self, written: Result<T, Cut>, before: State) -> Result<T, Cut> {
        if written.is_err() {
            self.state = before;
        }
        written
    }

    /// A change may be gone from a server that keeps them for so long: then everything is asked for.
    fn is_too_late(&mut self, got: &Got) -> bool {
        let (window, overlap) = (self.plan.window, self.plan.overlap);
        let is_delta = self.run().mode == Mode::Delta;
        let (Some(now), Some(watermark), true) = (got.date, self.state.watermark, is_delta) else {
            return false;
        };
        now.duration_since(watermark) > window - overlap
    }

    /// The next page of the run as it is noted.
    async fn step(&mut self) -> Result<Step, Cut> {
        let run = self.run().clone();
        self.patiently(&run).await
    }

    /// The page behind the one that is being written, where there is one.
    async fn ahead(&self) -> Result<Option<Step>, Cut> {
        let run = self.state.run.as_ref().expect("a run is there from its beginning to its end");
        if run.is_through {
            return Ok(None);
        }
        match self.patiently(run).await {
            // What is being written is written first.
            Err(Cut::Stopped) => Ok(None),
            step => step.map(Some),
        }
    }

    /// Asks for a page as often as it takes, with pauses that grow, and not for ever.
    async fn patiently(&self, run: &Run) -> Result<Step, Cut> {
        let mut patience = Patience::new(self.plan.patience(run.mode));
        let (target, question) = self.target(run)?;
        loop {
            let why = match self.try_once(&target, question).await {
                Ok((got, page)) => return Ok(Step::Page(got, page)),
                Err(Trouble::Busy(pause)) => {
                    self.pause(patience.busy(pause)).await?;
                    continue;
                }
                Err(Trouble::Again(why)) => why,
                Err(Trouble::Anew(why)) => return Ok(Step::Anew(why)),
                Err(Trouble::Gone) => "it answered that the search is gone".to_owned(),
                Err(Trouble::Later(why)) => return Err(Cut::Later(why)),
                Err(Trouble::Person(why)) => return Err(Cut::Person(why)),
            };
            let Some(pause) = patience.again() else { return Err(Cut::Later(why)) };
            self.say(Some(format!("{why}; tried again")));
            self.pause(pause).await?;
            self.say(None);
        }
    }

    async fn try_once(&self, target: &str, question: Question) -> Result<(Got, Page), Trouble> {
        let asking = self.ask.get(target);
        let mut got = tokio::select! {
            got = asking => got?,
            () = self.stop.requested() => return Err(Trouble::Again("it was stopped".to_owned())),
        };
        if got.status != 200 {
            return Err(asking::trouble(&got, question));
        }
        let (kind, body) = (self.plan.kind.clone(), std::mem::take(&mut got.body));
        let reading = tokio::task::spawn_blocking(move || Page::read(&kind, &body)).await;
        match reading {
            Ok(Ok(page)) => Ok((got, page)),
            Ok(Err(Unfit::Torn(why))) => Err(Trouble::Again(why.to_owned())),
            Ok(Err(Unfit::Else(why))) => Err(Trouble::Person(why.to_owned())),
            Err(_) => Err(Trouble::Again("a page could not be read".to_owned())),
        }
    }

    fn target(&self, run: &Run) -> Result<(String, Question), Cut> {
        match &run.next {
            Some(next) => {
                let target = asking::follow(&self.plan.base, &self.plan.also_known_as, next);
                target.map(|target| (target, Question::Link)).map_err(Cut::Person)
            }
            None => Ok((self.plan.first(run), Question::First)),
        }
    }

    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Cut> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stop.requested() => Err(Cut::Stopped),
        }
    }

    /// The same search from its first page on, with a time of its own.
    async fn anew(&mut self, why: &str) -> Result<(), Cut> {
        let before = self.run().clone();
        let losses = before.losses + 1;
        let goes_by_slices = self.shorter_slice();
        if losses > LOSSES && goes_by_slices {
            self.run().losses = 0;
            return Err(Cut::Later(format!("{why}, {losses} times")));
        }
        if goes_by_slices {
            self.state.why = Some(format!("{why}; what it was of is asked for again in shorter pieces"));
            self.note().await?;
            return self.pause(Patience::after(losses)).await;
        }
        if losses > LOSSES {
            self.state.run = None;
            return Err(Cut::Later(format!("{why}, {losses} times")));
        }
        let is_full = before.mode == Mode::Full;
        let shorter =
            if is_full && losses >= SHORTER_AFTER { (before.count / 2).max(1) } else { before.count };
        // Whoever an attempt saw that did not end may be gone since.
        let pass = before.pass.map(|pass| if is_full { self.pass(pass.early) } else { pass });
        let run = self.state.begin(before.mode, shorter, pass);
        (run.losses, run.from) = (losses, before.from);
        self.state.why = Some(format!("{why}; begun anew"));
        self.note().await?;
        self.pause(Patience::after(losses)).await
    }

    /// Notes what the page brings, and how far it brings the run.
    fn advance(&mut self, got: &Got, page: Page) -> Result<Batch, Cut> {
        let seen = page.found.len() as u64;
        let latest = page.found.iter().filter_map(|found| found.changed).max();
        self.sort_out(&page);
        let run = self.run();
        if run.pages == 0 {
            run.begun = got.date;
            run.total = page.total;
        }
        run.pages += 1;
        run.latest = run.latest.max(latest);
        run.next = page.next;
        let (attempt, mode, pass) = (run.attempt, run.mode, run.pass.clone());
        self.go_on(page.found.len());
        self.state.pages += 1;
        self.state.pages_total += 1;
        self.state.seen += seen;
        let full = pass.filter(|_| mode == Mode::Full);
        let early = full.as_ref().and_then(|pass| pass.early).map(nanoseconds);
        let seen = page.found.into_iter().map(|found| self.seen(found, attempt)).collect::<Result<_, _>>()?;
        let present = page.rejected.into_iter().filter_map(|rejected| rejected.id).collect();
        let pass = full.map(|pass| pass.number);
        Ok(Batch { seen, present, pass, early, note: self.noted(), ..Batch::default() })
    }

    /// Goes on to the next page, or to the next piece, or to the end.
    fn go_on(&mut self, found: usize) {
        let run = self.run();
        if let Some(slice) = &mut run.slice {
            slice.pages += 1;
        }
        if run.next.is_none() {
            let is_through = self.next_slice(found);
            self.run().is_through = is_through;
        } else {
            self.halve_slice();
        }
    }

    pub(super) fn seen(&self, found: Found, attempt: i64) -> Result<Seen, Cut> {
        let rank = (attempt, found.changed.map_or(0, nanoseconds), found.number);
        let merged = match self.plan.inactive {
            Inactive::Merge if !found.is_active => self.merged(&found)?,
            _ => None,
        };
        let (hash, body) = merged.unwrap_or_else(|| (found.hash, found.body.clone()));
        Ok(Seen { id: found.id, rank, hash, is_active: found.is_active, body })
    }

    /// The last whole content, as inactive.
    fn merged(&self, found: &Found) -> Result<Option<(Hash, bytes::Bytes)>, Cut> {
        let known = self.mirror.known(&self.tenure, &found.id).map_err(|error| failed(&error))?;
        let known = known.and_then(|known| super::plan::inactive(&known));
        let own: Value = serde_json::from_slice(&found.body).unwrap_or_default();
        Ok(known.map(|mut resource| {
            resource["meta"] = own["meta"].clone();
            (super::page::content_hash(&resource), resource.to_string().into())
        }))
    }

    async fn reject(&self, page: &Page) -> Result<(), Cut> {
        for rejected in &page.rejected {
            self.leave.reject(&self.plan.kind, rejected).await.map_err(Cut::Later)?;
        }
        Ok(())
    }

    /// Notes how the sync stands.
    pub(super) async fn note(&mut self) -> Result<(), Cut> {
        let batch = Batch { note: self.noted(), ..Batch::default() };
        self.write(batch).await.map(drop)
    }

    /// Says what it waits for, to whoever looks.
    fn say(&self, why: Option<String>) {
        self.mirror.say(self.tenure.sync, why.clone());
        self.leave.say(&self.plan.kind, why.map(Keeps::ForNow));
    }

    pub(super) fn noted(&self) -> Value {
        serde_json::to_value(&self.state).expect("a state has text keys")
    }

    pub(super) async fn write(&self, batch: Batch) -> Result<engine::Written, Cut> {
        let (mirror, tenure) = (Arc::clone(self.mirror), self.tenure.clone());
        blocking(move || mirror.write(&tenure, &batch)).await
    }

    pub(super) fn count(&mut self, written: &engine::Written) {
        self.state.created += written.created;
        self.state.updated += written.updated;
        self.state.deactivated += written.deactivated;
        self.state.removed += written.removed;
        self.state.late_changes += written.late;
        self.state.late += written.late;
    }

    /// Hands over as many of the changes that wait as a page brings; none where the channel takes none now.
    pub(super) async fn leave_some(&self, resources: usize) -> Result<(), Cut> {
        for _ in 0..resources.div_ceil(TOGETHER) {
            if self.leave.some(&self.tenure).await.map_err(|error| failed(&error))? != Left::Some {
                break;
            }
        }
        Ok(())
    }

    /// Hands over every change that waits; where a destination has enough before it, only until a time.
    pub(super) async fn leave_all(&self, until: Option<Instant>) -> Result<Left, Cut> {
        let left = self.leave_patiently(until).await;
        self.mirror.say(self.tenure.sync, None);
        left
    }

    async fn leave_patiently(&self, until: Option<Instant>) -> Result<Left, Cut> {
        let mut patience = Patience::new(Duration::MAX);
        loop {
            match self.leave.some(&self.tenure).await.map_err(|error| failed(&error))? {
                Left::All => return Ok(Left::All),
                Left::Some => {}
                Left::NotNow => self.pause(patience.busy(None)).await?,
                Left::Full(why) if until.is_some_and(|until| until <= Instant::now()) => {
                    return Ok(Left::Full(why));
                }
                Left::Full(why) => {
                    self.mirror.say(self.tenure.sync, Some(why));
                    self.pause(CROWDED).await?;
                }
            }
            if self.stop.is_requested() {
                return Err(Cut::Stopped);
            }
        }
    }
}

/// Writes and reads away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Cut> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError("it was cut".to_owned()))).map_err(|error| failed(&error))
}

pub(super) fn failed(error: &StoreError) -> Cut {
    let why = error.to_string();
    if why.contains("taken this sync over") { Cut::Relieved(why) } else { Cut::Later(why) }
}

fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// A length of time as it is compared with times.
pub(super) fn signed(period: Duration) -> SignedDuration {
    SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX)
}
