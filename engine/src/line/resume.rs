//! Takes up what a crash or a failing store left between two writes, before anything newer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{Exit, Line};
use crate::{
    Closed, MessageId, MessageState, Outcome, Stop, StoreError, Why,
    caller::Caller,
    outlet::Outlet,
    pace,
    recovery::{IsKept, Recovery, Stranded},
};

/// How long to wait before asking a broken store again.
const PAUSE: Duration = Duration::from_millis(200);

/// A message found open at so many starts is suspected of ending the process itself.
pub(super) const SUSPECT_AFTER: u32 = 2;

impl Line {
    /// Learns what an earlier run left open. Nothing newer is sent or transformed before.
    pub(crate) async fn find_interrupted(&self, stop: &Stop) {
        loop {
            match self.store.interrupted(&self.channel).await {
                Ok(interrupted) => {
                    for found in interrupted {
                        // One that came while we looked is on its way already, and waits at the gate.
                        if self.recovery.is_underway(found.message.id) {
                            continue;
                        }
                        self.arrivals.stands(found.message.id);
                        self.recovery.strand(Stranded {
                            message: found.message,
                            starts: found.starts,
                            marks: found.marks,
                            kept: IsKept::Yes,
                        });
                    }
                    self.recovery.look_back();
                    return;
                }
                Err(error) => {
                    tracing::warn!(channel = %self.channel, %error, "cannot read what was left open; will try again");
                    if rest(stop).await {
                        return;
                    }
                }
            }
        }
    }

    /// Takes up the oldest stranded message. Returns `false` if the store is still broken.
    pub(crate) async fn take_up(&self, stranded: Stranded, outlets: &[Arc<Outlet>]) -> bool {
        let id = stranded.message.id;
        let taken = AssertUnwindSafe(self.try_to_take_up(&stranded, outlets)).catch_unwind().await;
        let taken = match taken {
            Ok(taken) => taken,
            Err(panic) => self.end_broken(id, &pace::words(panic.as_ref())).await.map(drop),
        };
        self.recovery.end(id, None);
        if let Err(error) = taken {
            tracing::debug!(channel = %self.channel, %error, "a message that was kept still cannot go on");
            self.recovery.strand(stranded);
            return false;
        }
        true
    }

    /// `outlets`: all of the channel, those too that left its file since the message was queued.
    async fn try_to_take_up(&self, stranded: &Stranded, outlets: &[Arc<Outlet>]) -> Result<(), StoreError> {
        let id = stranded.message.id;
        // The write that failed may have taken effect all the same.
        match self.store.standing(id).await? {
            Some(standing) if standing.state == MessageState::Kept => {}
            Some(standing) if standing.state == MessageState::Held => {
                // It waited for a code before this run, or the write that was to hold it has taken effect.
                self.stands_held(id, outlets).await?;
                self.arrivals.leave(id);
                return Ok(());
            }
            Some(_) => {
                for outlet in outlets {
                    outlet.take_up(id).await?;
                }
                self.let_pass(id, outlets);
                self.arrivals.leave(id);
                return Ok(());
            }
            None => {
                if stranded.kept == IsKept::Yes {
                    tracing::error!(channel = %self.channel, message_id = id.0, "a message that was kept is not in the store any more");
                }
                self.recovery.forget(stranded.message.identity);
                self.arrivals.leave(id);
                return Ok(());
            }
        }
        if stranded.marks >= SUSPECT_AFTER {
            self.close_suspect(id).await?;
            self.arrivals.leave(id);
            return Ok(());
        }
        self.process_again(stranded).await
    }

    async fn process_again(&self, stranded: &Stranded) -> Result<(), StoreError> {
        let id = stranded.message.id;
        let is_suspect = stranded.starts >= SUSPECT_AFTER;
        if is_suspect {
            self.store.enters(id);
        }
        let routed = self.transform_now(stranded.message.clone()).and_then(|done| self.route(done));
        if is_suspect {
            self.store.leaves(id);
        }
        let ended = match routed {
            Ok(routed) => self.queue(routed, &Caller::nobody()).await.map(|_| ()),
            Err(exit) => Err(exit),
        };
        match ended {
            Err(Exit::Broken(_, _, error)) => Err(error),
            Err(Exit::Halted(halted)) if halted.unavailable().is_some() => {
                Err(StoreError(halted.unavailable().unwrap_or_default()))
            }
            Err(Exit::Halted(halted)) => {
                let id = halted.message.id;
                let closed = halted.closed();
                self.store.close(id, closed.clone()).await?;
                self.has_closed(id, &closed);
                Ok(())
            }
            Ok(()) | Err(Exit::Again { .. } | Exit::Unreadable(..) | Exit::Closed(_)) => Ok(()),
        }
    }

    pub(super) async fn close_suspect(&self, id: MessageId) -> Result<(), StoreError> {
        let why = Why::ours("the engine ended twice while this message was in its steps");
        self.store.close(id, Closed::new(MessageState::Failed, Outcome::Failed, why)).await?;
        self.observer.ended(&self.channel, Some(id), Outcome::Failed);
        Ok(())
    }
}

/// Takes up whatever is stranded, on the line that is in force, until asked to stop.
pub(crate) async fn tend(
    recovery: &Recovery,
    in_force: impl Fn() -> (Arc<Line>, Vec<Arc<Outlet>>),
    stop: &Stop,
) {
    while !stop.is_requested() {
        while let Some(stranded) = recovery.next() {
            let (line, outlets) = in_force();
            if !line.take_up(stranded, &outlets).await && rest(stop).await {
                return;
            }
        }
        recovery.open_gate();
        let (line, outlets) = in_force();
        if line.look_at_held(&outlets).await.is_err() && rest(stop).await {
            return;
        }
        if line.holding.round().is_some() {
            continue;
        }
        if line.waking.is_time() && line.run_ripe(&outlets, stop).await.is_err() {
            line.waking.again(PAUSE);
        }
        tokio::select! {
            () = recovery.more() => {}
            () = line.holding.later() => line.holding.look_again(),
            () = line.waking.time() => {}
            () = stop.requested() => {}
        }
    }
}

/// Waits a little; says whether it is time to stop.
async fn rest(stop: &Stop) -> bool {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => false,
        () = stop.requested() => true,
    }
}
