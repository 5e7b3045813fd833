//! Runs a flow: looks, claims, reads, hands over, puts away, and waits.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine::{Backlog as _, Content, Facts, Inlet, MessageId, OpenError, Stop, Trouble, WhenFiltered};
use futures_util::{StreamExt, future::join_all, stream};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::{
    answer::Answering,
    backlog::Shelf,
    claims::{Claimed, Claims, Sweep, Way},
    desk::{Desk, Seen, Wishes},
    finish::{Became, Finish, not_noted},
    hand_over::{HandOver, Handed, Verdict},
    ledger::Ledger,
    look::{Candidate, Lookout, STILL},
    place::{Done, Fault, Location, Place, Stat, shown},
    settings::{Complete, Folders, Taking},
};
use crate::door::GRACE;

/// So many files are under way at once,
const ABREAST: usize = 32;
/// so many are read at once,
const READING: usize = 8;
/// and so many bytes are in memory, or one file.
const IN_MEMORY: u64 = 16_000_000;
/// The pauses after something that could not be done.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Several things that come at once are one reason to look.
const GATHER: Duration = Duration::from_millis(20);
/// A look that takes long is made so much less often.
const SHARE: u32 = 5;

/// What a source of files is made of.
pub(crate) struct Parts {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) taking: Taking,
    pub(crate) folders: Folders,
    /// Where the files lie, for people.
    pub(crate) shown: String,
    pub(crate) filtered: WhenFiltered,
    /// What every file of this source has in common.
    pub(crate) facts: Facts,
    pub(crate) notes: PathBuf,
    pub(crate) trouble: Trouble,
    pub(crate) desk: Arc<Desk>,
}

impl Parts {
    /// The same files as a person sees them.
    pub(crate) fn shelf(&self, channel: &str) -> Shelf {
        Shelf {
            place: Arc::clone(&self.place),
            taking: self.taking.clone(),
            folders: self.folders.clone(),
            notes: self.notes.clone(),
            channel: channel.into(),
            desk: Arc::clone(&self.desk),
            shown: self.shown.clone(),
        }
    }
}

/// A flow that runs.
pub(crate) struct Flow {
    parts: Parts,
    inlet: Inlet,
    stop: Stop,
    ledger: Mutex<Ledger>,
    /// By which our claims are told from another engine's.
    owner: String,
    lookout: Lookout,
    /// Claimed, and not put away yet.
    open: Vec<Open>,
    /// Handed over, and their answers are not there yet; since when.
    awaited: VecDeque<(Instant, Claimed)>,
    has_recovered: bool,
}

struct Open {
    claimed: Claimed,
    /// Set where only putting it away is left.
    ended: Option<(Handed, Option<Stat>)>,
}

/// How a file ended.
enum End {
    Away,
    /// Its answer is not there yet.
    Awaited(Claimed),
    /// It is to be tried again.
    Open(Box<Open>, Fault),
}

/// When to look again.
enum Next {
    AtOnce,
    Within(Duration),
}

impl Flow {
    /// Runs until asked to stop; then ends what is under way, for no longer than the grace.
    pub(crate) async fn run(parts: Parts, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let opening = Ledger::open(&parts.notes, inlet.channel());
        let ledger = tokio::select! {
            () = stop.requested() => return Ok(()),
            ledger = opening => ledger
                .map_err(|error| OpenError::io(format!("cannot open the notes in {}", parts.notes.display()), error))?,
        };
        let (trouble, _running) = (parts.trouble.clone(), parts.desk.begin());
        let mut flow = Self {
            parts,
            inlet,
            stop: stop.clone(),
            owner: ledger.owner().to_owned(),
            ledger: Mutex::new(ledger),
            lookout: Lookout::default(),
            open: Vec::new(),
            awaited: VecDeque::new(),
            has_recovered: false,
        };
        {
            let mut rounds = std::pin::pin!(flow.rounds());
            tokio::select! {
                () = &mut rounds => {}
                () = stop.requested() => {
                    // What is not ended then stays claimed, and is found at the next start.
                    let _ = timeout(GRACE, rounds).await;
                }
            }
        }
        trouble.say(None);
        Ok(())
    }

    async fn rounds(&mut self) {
        let mut pause = FIRST_PAUSE;
        self.shorten_notes().await;
        while !self.stop.is_requested() {
            let wait = match self.round().await {
                Ok(next) => {
                    pause = FIRST_PAUSE;
                    next
                }
                Err(fault) => {
                    self.say(Some(fault.to_string()));
                    self.rest(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            if let Next::Within(wait) = wait {
                tokio::select! {
                    () = self.stop.requested() => {}
                    () = sleep(wait) => {}
                    () = self.parts.desk.bell.notified() => self.rest(GATHER).await,
                }
            }
        }
        let left: Vec<Claimed> =
            self.open.drain(..).filter(|open| open.ended.is_none()).map(|open| open.claimed).collect();
        self.claims().give_back(&left).await;
    }

    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.requested() => {}
            () = sleep(pause) => {}
        }
    }

    /// Forgets what was put away and lies there no more, where nobody has asked for long.
    async fn shorten_notes(&self) {
        if self.parts.desk.away.is_long() {
            // What cannot be looked into now is forgotten at another start.
            let _ = self.parts.shelf(self.inlet.channel()).unprocessed().await;
        }
    }

    /// Does what a person asked of the flow.
    fn grant(&mut self) -> Done {
        let Wishes { recover, forget } = self.parts.desk.take_wishes();
        self.has_recovered &= !recover;
        let ledger = self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner);
        forget.iter().try_for_each(|at| ledger.forget(at)).map_err(not_noted)
    }

    /// Looks once, and takes what is whole.
    async fn round(&mut self) -> Done<Next> {
        self.grant()?;
        self.carry_open().await?;
        self.ask_again().await?;
        let began = Instant::now();
        let (place, taking, folders) =
            (Arc::clone(&self.parts.place), &self.parts.taking, &self.parts.folders);
        let ledger = self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner);
        let sight = self.lookout.look(place.as_ref(), (taking, folders), ledger).await?;
        let took = began.elapsed();
        self.parts.desk.looked(Seen {
            there: sight.ready.len() + sight.unsettled,
            awaited: self.awaited.len(),
            has_more: sight.has_more,
        });
        self.lookout.take_news().into_iter().for_each(|(at, size)| {
            self.inlet.story(&shown(&at.trail), &format!("seen, {size} bytes"), None);
        });
        if !self.has_recovered {
            self.recover(&sight.claims).await?;
        }
        let has_taken = !sight.ready.is_empty();
        for several in portions(sight.ready, |candidate: &Candidate| candidate.size) {
            if self.stop.is_requested() {
                return Ok(Next::AtOnce);
            }
            let swept = self.claims().claim(several).await;
            // What was made of a claim that was cut off is found like that of an earlier run.
            self.has_recovered &= swept.is_ok();
            let Sweep { claimed, refused, trouble } = swept?;
            for (at, why) in refused {
                self.lookout.let_rest(at, why);
            }
            for one in &claimed {
                self.tell_taken(one);
            }
            self.open.extend(claimed.into_iter().map(|claimed| Open { claimed, ended: None }));
            if let Some(fault) = trouble {
                // The last one may be ours although the place could not say so.
                self.has_recovered = false;
                return Err(fault);
            }
            self.carry_open().await?;
        }
        self.say(None);
        self.say_of_some(sight.trouble.or_else(|| self.lookout.resting()));
        self.parts.desk.looked(Seen {
            there: sight.unsettled,
            awaited: self.awaited.len(),
            has_more: sight.has_more,
        });
        Ok(match (sight.has_more && has_taken, sight.unsettled + self.awaited.len()) {
            (true, _) => Next::AtOnce,
            (false, 0) => self.pause(Duration::MAX, took),
            (false, _) => self.pause(STILL, took),
        })
    }

    /// Carries on with what was claimed and is in nobody's hands.
    async fn recover(&mut self, folders: &[Location]) -> Done {
        let recovered = self.claims().recover(folders).await?;
        let known = |one: &Claimed| self.awaited.iter().any(|(_, awaited)| awaited.at == one.at);
        let lost: Vec<Claimed> = recovered.into_iter().filter(|one| !known(one)).collect();
        self.open.extend(lost.into_iter().map(|claimed| Open { claimed, ended: None }));
        self.has_recovered = true;
        self.carry_open().await
    }

    /// How long to wait after a look that took so long.
    fn pause(&self, at_most: Duration, took: Duration) -> Next {
        Next::Within(self.parts.taking.every.0.min(at_most).max(took * SHARE))
    }

    /// Carries everything that is claimed to its end, some at a time.
    async fn carry_open(&mut self) -> Done {
        while !self.open.is_empty() && !self.stop.is_requested() {
            let all = std::mem::take(&mut self.open);
            let mut portions = portions(all, |open: &Open| open.claimed.stat.size).into_iter();
            let first = portions.next().expect("what is not empty has a first portion");
            let carried = self.carry(first).await;
            self.open.extend(portions.flatten());
            carried?;
        }
        Ok(())
    }

    /// Carries a portion: what cannot be ended now is open again.
    async fn carry(&mut self, portion: Vec<Open>) -> Done {
        let (ended, fresh): (Vec<Open>, Vec<Open>) =
            portion.into_iter().partition(|open| open.ended.is_some());
        let mut trouble = None;
        let read = self.read(fresh.into_iter().map(|open| open.claimed).collect()).await;
        let handed = self.hand_over(read, &mut trouble).await;
        let ended = ended
            .into_iter()
            .filter_map(|open| open.ended.map(|(handed, stat)| self.put_away(open.claimed, handed, stat)));
        let mut ends = in_order(ended).await;
        let handed = handed.into_iter().map(|(claimed, handed, stat)| self.end(claimed, handed, stat));
        ends.extend(in_order(handed).await);
        for end in ends {
            match end {
                End::Away => {}
                End::Awaited(claimed) => self.awaited.push_back((Instant::now(), claimed)),
                End::Open(open, fault) => {
                    self.open.push(*open);
                    trouble.get_or_insert(fault);
                }
            }
        }
        match trouble {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    async fn read(&self, claimed: Vec<Claimed>) -> Vec<(Claimed, Done<(Content, Stat)>)> {
        let longest = self.parts.taking.max_size.0 as u64;
        let place = self.parts.place.as_ref();
        let reads = claimed.into_iter().map(|claimed| async move {
            let read = place.read(&claimed.at, longest, self.inlet.spool()).await;
            (claimed, read)
        });
        stream::iter(reads).buffered(READING).collect().await
    }

    /// Hands files over in order, and waits for all of them.
    async fn hand_over(
        &mut self,
        read: Vec<(Claimed, Done<(Content, Stat)>)>,
        trouble: &mut Option<Fault>,
    ) -> Vec<(Claimed, Handed, Option<Stat>)> {
        let mut under_way = Vec::with_capacity(read.len());
        let mut handed = Vec::new();
        for (mut claimed, read) in read {
            match read {
                _ if self.stop.is_requested() => self.open.push(Open { claimed, ended: None }),
                Ok((content, stat)) => {
                    let waiting = self.handing().begin(&claimed, content, stat).await;
                    claimed.note_known();
                    under_way.push((claimed, waiting, stat));
                }
                Err(Fault::Unfit(why)) => {
                    let refused = self.handing().refuse_unread(&claimed, why).await;
                    claimed.note_known();
                    handed.push((claimed, refused, None));
                }
                Err(fault) => self.not_read(claimed, fault, trouble).await,
            }
        }
        let handing = self.handing();
        let handing = &handing;
        let ends = under_way
            .into_iter()
            .map(|(claimed, waiting, stat)| async move { (claimed, handing.end(waiting).await, Some(stat)) });
        handed.extend(join_all(ends).await);
        handed
    }

    /// A file that could not be read: gone, still growing, out of reach, or not to be had.
    async fn not_read(&mut self, claimed: Claimed, fault: Fault, trouble: &mut Option<Fault>) {
        match fault {
            Fault::Missing => self.tell(&claimed, "gone before it was read"),
            Fault::Changed | Fault::Closed(_) if claimed.way == Way::Fresh => {
                self.tell(&claimed, &format!("not read: {fault}; tried again later"));
                if let Err(fault) = self.finish().give_back(&claimed).await {
                    trouble.get_or_insert(fault);
                    self.open.push(Open { claimed, ended: None });
                } else if let Fault::Closed(why) = fault {
                    self.lookout.let_rest(claimed.from, why);
                }
            }
            // It stays ours: under another claim it would be another file.
            fault => {
                trouble.get_or_insert(fault);
                self.open.push(Open { claimed, ended: None });
            }
        }
    }

    /// Says what became of a file, and puts it away unless it is too early for that.
    async fn end(&self, mut claimed: Claimed, handed: Handed, stat: Option<Stat>) -> End {
        if handed.verdict == Verdict::NotNow {
            let why = handed.why.clone().unwrap_or_default();
            self.tell(&claimed, &format!("not taken now: {why}"));
            handed.answers.into_iter().for_each(engine::Answer::told);
            let fault = Fault::away(format!("the channel takes nothing now: {why}"));
            return End::Open(Box::new(Open { claimed, ended: None }), fault);
        }
        if self.awaits(&claimed, &handed) {
            handed.answers.into_iter().for_each(engine::Answer::later);
            claimed.way = Way::AskedAgain;
            return End::Awaited(claimed);
        }
        self.tell_verdict(&claimed, &handed);
        self.put_away(claimed, handed, stat).await
    }

    /// Answers a file and puts it away by what became of it, and only then says that its sender was told.
    async fn put_away(&self, mut claimed: Claimed, handed: Handed, stat: Option<Stat>) -> End {
        let mut finished = self.finish_with(&mut claimed, &handed, stat).await;
        if finished == Err(Fault::Missing) {
            // Somebody took it meanwhile: what is not there any more is seen at the beginning.
            finished = self.finish_with(&mut claimed, &handed, stat).await;
        }
        match finished {
            Ok(()) => {
                handed.answers.into_iter().for_each(engine::Answer::told);
                End::Away
            }
            Err(fault) => End::Open(Box::new(Open { claimed, ended: Some((handed, stat)) }), fault),
        }
    }

    /// Whether there may be an answer later. One that came while nobody waited is found by asking once more.
    fn awaits(&self, claimed: &Claimed, handed: &Handed) -> bool {
        let is_due = self.parts.taking.answer.is_some() && claimed.way != Way::AskedAgain;
        claimed.mark.is_some()
            && !claimed.is_answered()
            && handed.verdict == Verdict::Done
            && handed.words().is_none()
            && (handed.is_awaited() || is_due)
    }

    async fn finish_with(&self, claimed: &mut Claimed, handed: &Handed, stat: Option<Stat>) -> Done {
        if let Some(settings) = &self.parts.taking.answer {
            let answering = Answering { finish: self.finish(), settings };
            if let Some(at) = answering.give(claimed, handed.words().as_ref()).await? {
                self.tell(claimed, &format!("answered in {at}"));
            }
        }
        let became = Became {
            verdict: handed.verdict,
            read: stat,
            why: handed.why.as_deref(),
            messages: handed.bad.clone(),
        };
        let words = self.finish().put_away(claimed, &became, &self.ledger).await?;
        self.tell(claimed, &words);
        Ok(())
    }

    /// Asks for answers that were not there yet, the oldest first, a few at a time.
    async fn ask_again(&mut self) -> Done {
        let is_due = |(since, _): &(Instant, Claimed)| since.elapsed() >= STILL;
        let mut due = Vec::new();
        while due.len() < ABREAST && self.awaited.front().is_some_and(is_due) {
            due.extend(self.awaited.pop_front().map(|(_, claimed)| Open { claimed, ended: None }));
        }
        if due.is_empty() { Ok(()) } else { self.carry(due).await }
    }

    fn tell_verdict(&self, claimed: &Claimed, handed: &Handed) {
        let words = match (&handed.verdict, &handed.why) {
            (Verdict::Done, _) => "accepted".to_owned(),
            (Verdict::Refused, why) => format!("refused: {}", why.as_deref().unwrap_or("no reason")),
            (_, why) => format!("failed: {}", why.as_deref().unwrap_or("no reason")),
        };
        let name = shown(&claimed.from.trail);
        match (&handed.answers[..], handed.bad.len()) {
            ([], _) => self.inlet.story(&name, &words, None),
            ([answer], _) => self.inlet.story(&name, &words, answer.message()),
            (all, 0) => self.inlet.story(&name, &format!("{words}, all of its {} messages", all.len()), None),
            (all, bad) => {
                let first = handed.bad.first().copied().map(MessageId);
                self.inlet.story(
                    &name,
                    &format!("{words}; {bad} of its {} messages did not get through", all.len()),
                    first,
                );
            }
        }
    }

    fn tell_taken(&self, claimed: &Claimed) {
        // Where one look is enough to know that it is whole, it was seen just now.
        if self.parts.taking.complete != Complete::Stable {
            self.tell(claimed, &format!("seen, {} bytes", claimed.stat.size));
        }
        self.tell(claimed, &format!("taken, {} bytes", claimed.stat.size));
    }

    fn tell(&self, claimed: &Claimed, words: &str) {
        self.inlet.story(&shown(&claimed.from.trail), words, None);
    }

    fn say(&self, why: Option<String>) {
        let words = why.clone();
        if self.parts.trouble.say(why) {
            if let Some(why) = words {
                warn!(channel = self.inlet.channel(), why, "the source takes no files; will try again");
            } else {
                info!(channel = self.inlet.channel(), "the source takes files again");
            }
        }
    }

    fn say_of_some(&self, why: Option<String>) {
        let words = why.clone();
        if self.parts.trouble.say_of_some(why) {
            if let Some(why) = words {
                warn!(
                    channel = self.inlet.channel(),
                    why, "the source cannot take some files; will try again"
                );
            } else {
                info!(channel = self.inlet.channel(), "the source takes all files again");
            }
        }
    }

    fn claims(&self) -> Claims<'_> {
        Claims { place: self.parts.place.as_ref(), taking: &self.parts.taking, owner: &self.owner }
    }

    fn finish(&self) -> Finish<'_> {
        Finish {
            place: self.parts.place.as_ref(),
            taking: &self.parts.taking,
            folders: &self.parts.folders,
            away: &self.parts.desk.away,
        }
    }

    fn handing(&self) -> HandOver<'_> {
        HandOver {
            inlet: &self.inlet,
            split: &self.parts.taking.split,
            filtered: self.parts.filtered,
            facts: &self.parts.facts,
        }
    }
}

/// Does several things at once, some at a time; they come back as they stood.
async fn in_order<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(all.collect::<Vec<F>>()).buffered(READING).collect().await
}

/// Parts a list so that no portion is too long, nor too big, unless it is one file.
fn portions<T>(all: Vec<T>, size: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let mut portions: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for one in all {
        let its = size(&one);
        let last = portions.last_mut().filter(|last| last.len() < ABREAST && bytes + its <= IN_MEMORY);
        if let Some(last) = last {
            bytes += its;
            last.push(one);
        } else {
            bytes = its;
            portions.push(vec![one]);
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_neither_long_nor_big() {
        let sizes = |all: Vec<u64>| portions(all, |size| *size).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![1; ABREAST + 1]), [ABREAST, 1]);
        assert_eq!(sizes(vec![IN_MEMORY * 2, 1, IN_MEMORY, 1]), [1, 1, 1, 1]);
    }
}
