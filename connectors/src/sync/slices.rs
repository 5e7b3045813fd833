//! A whole pass in pieces, by when resources changed, the oldest first: short searches, each of which can be begun anew.
//!
//! What changes meanwhile moves into a later piece alone, so nothing is passed over. The last piece has no end.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    page::Page,
    run::{Cut, Work},
    state::Run,
};

/// Before this time, 2000-01-01, no server has stamped anything: the first piece, and the beginning of the second.
const OLDEST: i64 = 946_684_800;

/// One piece. It begins where the run's `from` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// What changed at this time or later is of a later piece; none: it is the last.
    pub until: Option<Timestamp>,
    pub seconds: i64,
    /// Its pages that were taken.
    pub pages: u64,
}

impl Slice {
    pub(super) fn first(width: SignedDuration) -> Self {
        Self { until: Timestamp::from_second(OLDEST).ok(), seconds: width.as_secs().max(1), pages: 0 }
    }
}

impl Run {
    /// Sets how long the piece is that begins at `from`; one that reaches the beginning of the run has no end.
    fn cut(&mut self, seconds: i64) {
        let now = self.begun.unwrap_or(self.started);
        let end = self.from.and_then(|from| from.checked_add(SignedDuration::from_secs(seconds)).ok());
        let until = if self.from.is_none() { Slice::first(SignedDuration::ZERO).until } else { end };
        self.slice = Some(Slice { until: until.filter(|until| *until < now), seconds, pages: 0 });
    }
}

impl Work<'_> {
    /// Goes on to what follows a page that was the last of its search; says whether there is nothing.
    pub(super) fn next_slice(&mut self, found: usize) -> bool {
        let usual = self.plan.slice.map_or(1, |width| width.as_secs().max(1));
        let run = self.run();
        let Some(Slice { until: Some(until), seconds, pages }) = run.slice.clone() else { return true };
        let is_empty = found == 0 && pages <= 1;
        run.from = Some(until);
        (run.next, run.losses) = (None, 0);
        // Years in which nothing changed are not asked for month by month.
        run.cut(if is_empty { seconds.saturating_mul(2) } else { seconds.saturating_mul(2).min(usual) });
        self.count_attempt();
        false
    }

    /// A piece that was made long because those before it were empty, and is not: it is asked for in shorter ones.
    pub(super) fn halve_slice(&mut self) {
        let usual = self.plan.slice.map_or(1, |width| width.as_secs().max(1));
        let run = self.run();
        let Some(slice) = run.slice.clone().filter(|slice| slice.pages == 1 && slice.seconds > usual) else {
            return;
        };
        run.next = None;
        run.cut((slice.seconds / 2).max(usual));
        self.count_attempt();
    }

    /// The piece whose links died, half as long; says whether the run goes by pieces at all.
    pub(super) fn shorter_slice(&mut self) -> bool {
        let run = self.run();
        let Some(slice) = run.slice.clone() else { return false };
        run.next = None;
        run.losses += 1;
        run.cut((slice.seconds / 2).max(1));
        self.count_attempt();
        true
    }

    /// A server that does not keep to the end of a piece would give everything in each.
    pub(super) fn look_at_slice(&mut self, page: &Page, date: Option<Timestamp>) -> Result<(), Cut> {
        let run = self.run();
        let until = run.slice.as_ref().and_then(|slice| slice.until);
        let begun = run.begun.or(date);
        let Some((until, begun)) = until.zip(begun) else { return Ok(()) };
        // What was changed while pages came may stand on one of an earlier piece.
        let long_ago = begun.checked_sub(self.plan.overlap).unwrap_or(Timestamp::MIN);
        let is_beyond = |changed: Timestamp| changed >= until && changed < long_ago;
        if page.found.iter().filter_map(|found| found.changed).any(is_beyond) {
            return Err(Cut::Person(
                "it does not keep to `_lastUpdated=lt`, so that a whole pass cannot go by `slice`: leave that out".to_owned(),
            ));
        }
        Ok(())
    }

    fn count_attempt(&mut self) {
        self.state.attempts += 1;
        let attempt = self.state.attempts;
        self.run().attempt = attempt;
    }
}
