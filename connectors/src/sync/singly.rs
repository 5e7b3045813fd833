//! Entries that cannot be used: each is remembered by its id, and asked for alone until it can be.
//!
//! The run goes on without them, and a later one need not see them again: it asks for what has changed since.

use engine::Page as Batch;
use jiff::Timestamp;

use super::{
    asking::{self, Question, Trouble},
    page::{Found, One, Page},
    plan::Rejects,
    run::{Cut, Work},
    state::Unusable,
    waiting::Patience,
};

/// So many are remembered. A server of which more cannot be used has another trouble.
const MOST: usize = 1000;
/// So many are asked for between two writes.
const TOGETHER: usize = 20;

impl Work<'_> {
    /// Notes what of a page cannot be used, and what can be used again.
    pub(super) fn sort_out(&mut self, page: &Page) {
        self.state.unusable.retain(|unusable| page.found.iter().all(|found| found.id != unusable.id));
        self.state.rejected += page.rejected.len() as u64;
        for rejected in &page.rejected {
            let is_remembered = rejected.id.as_ref().is_some_and(|id| self.remember(id));
            self.state.nameless += u64::from(!is_remembered);
        }
    }

    /// Remembers a resource that cannot be used; says whether there was room for it.
    pub(super) fn remember(&mut self, id: &str) -> bool {
        let remembered = &mut self.state.unusable;
        let is_known = remembered.iter().any(|unusable| unusable.id == id);
        let has_room = remembered.len() < MOST;
        if !is_known && has_room {
            remembered.push(Unusable { id: id.to_owned(), since: Timestamp::now() });
        }
        is_known || has_room
    }

    /// Whether the next run is to begin where this one did, for the sake of what could not be used.
    pub(super) fn is_held(&self) -> bool {
        let is_whole = self.state.unusable.is_empty() && self.state.nameless == 0;
        self.plan.unusable == Rejects::Hold && !is_whole
    }

    /// What is to be said of a run that came to its end.
    pub(super) fn remarks(&self) -> Option<String> {
        let (rejected, again, late) = (self.state.rejected, self.state.unusable.len(), self.state.late);
        let mut remarks = Vec::new();
        if rejected > 0 {
            remarks.push(format!("{rejected} entries could not be used: they are kept as refused messages"));
        }
        if again > 0 {
            remarks.push(format!("{again} resources cannot be used yet: each is asked for again by its id"));
        }
        if late > 0 {
            remarks.push(format!("{late} changes came later than `overlap` allows for: make it longer"));
        }
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    /// Asks for each that is remembered. What is still of no use, or does not come now, stays for the next run.
    pub(super) async fn ask_singly(&mut self) -> Result<(), Cut> {
        let attempt = self.run().attempt;
        let ids: Vec<String> = self.state.unusable.iter().map(|unusable| unusable.id.clone()).collect();
        for ids in ids.chunks(TOGETHER) {
            let (mut batch, before) = (Batch::default(), self.state.clone());
            for id in ids {
                if self.stop.is_requested() {
                    return Err(Cut::Stopped);
                }
                match self.single(id).await? {
                    Single::Found(found) => batch.seen.push(self.seen(*found, attempt)?),
                    // If it was here, a whole pass finds that it is gone.
                    Single::Gone => {}
                    Single::NotNow => continue,
                }
                self.state.unusable.retain(|unusable| unusable.id != *id);
            }
            batch.note = self.noted();
            let written = self.write(batch).await;
            let written = self.taken(written, before)?;
            self.count(&written);
            self.leave_some(TOGETHER).await?;
        }
        Ok(())
    }

    async fn single(&self, id: &str) -> Result<Single, Cut> {
        let mut patience = Patience::new(self.plan.delta_patience);
        loop {
            let trouble = match self.ask.get(&self.plan.one(id)).await {
                Ok(got) if got.status == 200 => {
                    return Ok(match One::read(&self.plan.kind, id, &got.body) {
                        One::Found(found) => Single::Found(found),
                        One::Unusable | One::Torn => Single::NotNow,
                    });
                }
                Ok(got) => asking::trouble(&got, Question::One),
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Gone => return Ok(Single::Gone),
                Trouble::Busy(pause) => self.pause(patience.busy(pause)).await?,
                _ => return Ok(Single::NotNow),
            }
        }
    }
}

/// What came of one.
enum Single {
    Found(Box<Found>),
    Gone,
    NotNow,
}
