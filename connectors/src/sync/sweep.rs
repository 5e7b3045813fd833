//! Looks for what nobody saw: each by its id, since a long search passes over what changes while it lasts.

use std::sync::Arc;

use engine::{Missed, Page as Batch, Removed};

use super::{
    asking::{self, Question, Trouble},
    page::{One, content_hash},
    plan::{Outside, Removal, inactive},
    run::{Cut, Work, blocking, failed},
    state::{Mode, Pass},
    waiting::Patience,
};

/// So many are looked for between two writes.
const TOGETHER: usize = 20;
/// So few may be gone whatever their part of the whole.
const FEW: i64 = 20;

impl Work<'_> {
    /// Looks for those that neither the whole pass nor what followed it has seen.
    pub(super) async fn sweep(&mut self, mut pass: Pass) -> Result<(), Cut> {
        loop {
            let missed = Missed {
                pass: pass.number,
                before_attempt: pass.attempt,
                after: pass.swept.clone(),
                also_outside: self.plan.filter.is_empty(),
                limit: TOGETHER,
            };
            let (mirror, tenure) = (Arc::clone(self.mirror), self.tenure.clone());
            let (count, ids) = blocking(move || mirror.unseen(&tenure, &missed)).await?;
            let Some(last) = ids.last().cloned() else { return Ok(()) };
            if pass.swept.is_none() {
                self.guard(count).await?;
            }
            let mut batch = Batch { pass: Some(pass.number), ..Batch::default() };
            for id in ids {
                self.look_for(&id, &mut batch).await?;
            }
            let before = self.state.clone();
            pass.swept = Some(last);
            self.run().pass = Some(pass.clone());
            batch.note = self.noted();
            let written = self.write(batch).await;
            let written = self.taken(written, before)?;
            self.count(&written);
            self.leave_some(TOGETHER).await?;
        }
    }

    /// So many at once are more likely to be a fault of somebody's than gone.
    async fn guard(&mut self, count: i64) -> Result<(), Cut> {
        let (mirror, sync) = (Arc::clone(self.mirror), self.tenure.sync);
        let rows = blocking(move || mirror.syncs()).await?;
        let all = rows.iter().find(|row| row.sync == sync).map_or(0, |row| row.resources);
        let most = FEW.max(all * i64::from(self.plan.most_removed) / 100);
        if count <= most {
            return Ok(());
        }
        // A whole pass is asked for again, once somebody has looked.
        self.state.run = None;
        Err(Cut::Person(format!(
            "sweep guard: {count} of {all} were not there any more, and {most} may be removed at once: see whether the server is whole, then `relais sync full`; `most_removed` allows for more"
        )))
    }

    async fn look_for(&mut self, id: &str, batch: &mut Batch) -> Result<(), Cut> {
        let target = self.plan.one(id);
        let mut patience = Patience::new(self.plan.patience(Mode::Delta));
        let attempt = self.run().attempt;
        let found = loop {
            let trouble = match self.ask.get(&target).await {
                Ok(got) if got.status == 200 => match One::read(&self.plan.kind, id, &got.body) {
                    One::Found(found) => break Some(*found),
                    One::Unusable => {
                        // It is there, whatever it is.
                        self.state.nameless += u64::from(!self.remember(id));
                        return Ok(());
                    }
                    One::Torn => Trouble::Again("its answer is no whole resource".to_owned()),
                },
                Ok(got) => asking::trouble(&got, Question::One),
                Err(trouble) => trouble,
            };
            let pause = match trouble {
                Trouble::Gone => break None,
                Trouble::Busy(pause) => patience.busy(pause),
                Trouble::Later(why) => return Err(Cut::Later(why)),
                Trouble::Person(why) => return Err(Cut::Person(why)),
                Trouble::Again(why) | Trouble::Anew(why) => match patience.again() {
                    Some(pause) => pause,
                    None => return Err(Cut::Later(why)),
                },
            };
            self.pause(pause).await?;
        };
        match found {
            Some(found) if self.plan.filter.is_empty() => {
                self.state.overlooked += 1;
                batch.seen.push(self.seen(found, attempt)?);
            }
            Some(found) => {
                self.state.outside += 1;
                match self.plan.outside {
                    Outside::Keep => batch.outside.push(self.seen(found, attempt)?),
                    Outside::Remove => batch.removed.push(self.removed(id, attempt)?),
                }
            }
            None => batch.removed.push(self.removed(id, attempt)?),
        }
        Ok(())
    }

    fn removed(&self, id: &str, attempt: i64) -> Result<Removed, Cut> {
        let instead = match self.plan.removal {
            Removal::Tombstone => None,
            Removal::Deactivate => {
                let known = self.mirror.known(&self.tenure, id).map_err(|error| failed(&error))?;
                let resource = known.and_then(|known| inactive(&known));
                resource.map(|resource| (content_hash(&resource), resource.to_string().into()))
            }
        };
        Ok(Removed { id: id.to_owned(), attempt, instead })
    }
}
