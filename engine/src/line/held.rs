//! Messages that wait for a code: what they hold back, and how they go on.
//!
//! A message that is held stays what it was, at its place in the order of arrival. When other steps or tables come into
//! force its steps are run again, with nothing written: where they hold it still, nothing has happened; else it is
//! queued, or closed, from where it stands. So its deliveries stand in front of those that came after it.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{Exit, Line, resume::SUSPECT_AFTER};
use crate::{
    Closed, Context, Held, Looked, MessageId, MessageState, Piece, Standstill, Stop, StoreError,
    caller::Caller,
    outlet::Outlet,
    pace,
    recovery::{IsKept, Stranded},
};

/// How many are read at once.
const PAGE: usize = 100;

/// How long to wait before asking a broken store again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

impl Line {
    /// A message was closed, or is held: younger ones may pass, but for those that it holds back.
    pub(super) fn has_closed(&self, id: MessageId, closed: &Closed) {
        match closed.held() {
            Some(held) => {
                self.hold(id, held, &self.outlets);
                self.observer.held(&self.channel, id);
            }
            None => self.observer.ended(&self.channel, Some(id), closed.outcome),
        }
        self.arrivals.leave(id);
    }

    fn hold(&self, id: MessageId, held: &Held, outlets: &[Arc<Outlet>]) {
        for outlet in outlets {
            if let Some(keys) = held.keys.get(outlet.name()) {
                outlet.bar(id, keys.as_deref());
            }
        }
        if held.asks_servers() {
            self.look_later();
        }
        if self.holding.stands(id, self.version) {
            self.holding.look_again();
            self.recovery.wake();
        }
    }

    /// What a message waits for may come by itself.
    fn look_later(&self) {
        self.holding.look_later();
        self.recovery.wake();
    }

    /// A message does not wait for a code any more.
    pub(crate) fn let_pass(&self, id: MessageId, outlets: &[Arc<Outlet>]) {
        for outlet in outlets {
            outlet.unbar(id);
        }
        self.holding.gone(id);
    }

    /// What a message holds back at each destination that is ordered by a key.
    pub(super) fn keys_of(
        &self,
        pieces: &[Piece],
        context: &Context,
    ) -> BTreeMap<String, Option<Vec<String>>> {
        let by_key = self.outlets.iter().enumerate().filter(|(_, outlet)| outlet.is_by_key());
        let keys = |index: usize| {
            let of_piece = |piece: &Piece| self.script.keys(piece, index, context).ok();
            let each = self.pace.run(|| pieces.iter().map(of_piece).collect::<Option<Vec<_>>>());
            each.ok().flatten().map(|keys| keys.into_iter().flatten().collect())
        };
        by_key.map(|(index, outlet)| (outlet.name().to_owned(), keys(index))).collect()
    }

    /// Learns what waits for a code since an earlier run, before anything is sent.
    pub(crate) async fn find_held(&self, outlets: &[Arc<Outlet>], stop: &Stop) {
        let mut after = None;
        loop {
            match self.store.held(&self.channel, after, PAGE).await {
                Ok(page) => {
                    for Standstill { message, held, .. } in &page {
                        self.hold(*message, held, outlets);
                    }
                    after = page.last().map(|last| last.message);
                    if after.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(channel = %self.channel, %error, "cannot read what waits for a code; will try again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.requested() => return,
                    }
                }
            }
        }
    }

    /// Takes note of a message that the store says is held.
    pub(super) async fn stands_held(&self, id: MessageId, outlets: &[Arc<Outlet>]) -> Result<(), StoreError> {
        if let Some(Standstill { held, .. }) = self.standstill(id).await? {
            self.hold(id, &held, outlets);
            self.holding.look_again();
        }
        Ok(())
    }

    async fn standstill(&self, id: MessageId) -> Result<Option<Standstill>, StoreError> {
        let before = MessageId(id.0.saturating_sub(1));
        let found = self.store.held(&self.channel, Some(before), 1).await?;
        Ok(found.into_iter().find(|found| found.message == id))
    }

    /// Looks at the next of those that wait, where there is a reason to. One page at a time: what is stranded goes first.
    pub(crate) async fn look_at_held(&self, outlets: &[Arc<Outlet>]) -> Result<(), StoreError> {
        let Some(round) = self.holding.round() else { return Ok(()) };
        let page = self.store.held(&self.channel, Some(round.after), PAGE).await?;
        for standstill in &page {
            let _alone = self.holding.looking.lock().await;
            if !self.holding.is_current(round) {
                return Ok(());
            }
            self.look(standstill, outlets).await?;
        }
        self.holding.looked(round, page.last().map(|last| last.message));
        Ok(())
    }

    /// Looks at one of them, since a person asks.
    pub(crate) async fn look_at(&self, id: MessageId, outlets: &[Arc<Outlet>]) -> Result<Looked, StoreError> {
        let _alone = self.holding.looking.lock().await;
        match self.standstill(id).await? {
            Some(standstill) => self.look(&standstill, outlets).await,
            None => Ok(Looked::Went),
        }
    }

    async fn look(&self, standstill: &Standstill, outlets: &[Arc<Outlet>]) -> Result<Looked, StoreError> {
        let id = standstill.message;
        let looked = AssertUnwindSafe(self.try_to_go_on(standstill, outlets)).catch_unwind().await;
        let looked = match looked {
            Ok(looked) => looked?,
            Err(panic) => {
                let why = pace::words(panic.as_ref());
                tracing::error!(channel = %self.channel, message_id = id.0, why, "a bug cut a message that waits for a code; it waits on");
                Looked::Held(standstill.held.clone())
            }
        };
        if looked == Looked::Went {
            self.let_pass(id, outlets);
        }
        Ok(looked)
    }

    async fn try_to_go_on(
        &self,
        standstill: &Standstill,
        outlets: &[Arc<Outlet>],
    ) -> Result<Looked, StoreError> {
        let id = standstill.message;
        if standstill.marks >= SUSPECT_AFTER {
            self.close_suspect(id).await?;
            return Ok(Looked::Went);
        }
        let Some(message) = self.store.message(id).await? else { return Ok(Looked::Went) };
        self.store.enters(id);
        let routed = self.transform_now(message.clone()).and_then(|transformed| self.route(transformed));
        self.store.leaves(id);
        let ended = match routed {
            Ok(routed) => {
                // Nobody reads or sends what is younger until its deliveries stand in front of it.
                self.arrivals.stands(id);
                for outlet in outlets {
                    outlet.has_read().await;
                }
                self.queue(routed, &Caller::nobody()).await.map(drop)
            }
            Err(exit) => Err(exit),
        };
        match ended {
            Ok(()) | Err(Exit::Again { .. } | Exit::Unreadable(..) | Exit::Closed(_)) => Ok(Looked::Went),
            Err(Exit::Halted(halted)) if halted.unavailable().is_some() => {
                self.look_later();
                Ok(Looked::Held(standstill.held.clone()))
            }
            Err(Exit::Halted(halted)) => self.close_again(standstill, halted.closed(), outlets).await,
            Err(Exit::Broken(_, _, error)) => {
                // The write may have taken effect all the same: as after a crash.
                self.recovery.strand(Stranded { message, starts: 0, marks: 0, kept: IsKept::Yes });
                Err(error)
            }
        }
    }

    /// Writes down that it was closed, or that it waits for something else now.
    async fn close_again(
        &self,
        standstill: &Standstill,
        closed: Closed,
        outlets: &[Arc<Outlet>],
    ) -> Result<Looked, StoreError> {
        let id = standstill.message;
        let Some(held) = closed.held().cloned() else {
            self.store.close(id, closed.clone()).await?;
            self.observer.ended(&self.channel, Some(id), closed.outcome);
            return Ok(Looked::Went);
        };
        debug_assert!(closed.state == MessageState::Held, "what waits for a code is held");
        if held != standstill.held {
            self.store.close(id, closed).await?;
            self.hold(id, &held, outlets);
        } else if held.asks_servers() {
            self.look_later();
        }
        Ok(Looked::Held(held))
    }
}
