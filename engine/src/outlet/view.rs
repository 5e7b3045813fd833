//! What a person sees of an outlet.

use std::time::SystemTime;

use serde::Serialize;

use super::Outlet;
use crate::{DeliveryId, MessageId, Why};

/// How an outlet stands.
#[derive(Debug, Clone, Serialize)]
pub struct OutletView {
    pub name: String,
    /// `idle`, `sending`, `waiting`, `stopped`, `held`, `closed` (outside its hours) or `detached`.
    pub state: &'static str,
    /// Deliveries waiting or under way.
    pub depth: u64,
    /// How long the oldest has been waiting since its message was received.
    pub oldest_seconds: Option<f64>,
    pub head: Option<HeadView>,
    /// Why nothing can be said of what waits: its queue cannot be read.
    pub trouble: Option<String>,
}

/// The delivery that goes next, or that holds the others up.
#[derive(Debug, Clone, Serialize)]
pub struct HeadView {
    pub delivery: DeliveryId,
    pub message: MessageId,
    pub attempts: u32,
    /// Why it waits.
    pub why: Option<Why>,
    /// Seconds until its next try; absent: at once, or when a person says so.
    pub next_try_seconds: Option<f64>,
}

impl Outlet {
    /// How many deliveries wait or are under way.
    pub(crate) fn depth(&self) -> u64 {
        self.lanes().depth()
    }

    pub(crate) fn view(&self) -> OutletView {
        let conduct = self.conduct();
        let trouble = self.blindness();
        let lanes = self.lanes();
        let shown = lanes.stopped().or_else(|| lanes.head());
        let state = match (&conduct, shown) {
            (None, _) => "detached",
            _ if self.is_held() => "held",
            _ if trouble.is_some() => "stopped",
            (_, None) if lanes.depth() == 0 => "idle",
            (_, None) => "waiting",
            (_, Some(entry)) if entry.is_stopped() => "stopped",
            (Some(conduct), _) if !conduct.closed_for(SystemTime::now()).is_zero() => "closed",
            (_, Some(entry)) if entry.is_busy() => "sending",
            _ => "waiting",
        };
        let age = |when: SystemTime| when.elapsed().unwrap_or_default().as_secs_f64();
        OutletView {
            name: self.name.clone(),
            state,
            trouble,
            depth: lanes.depth(),
            oldest_seconds: lanes.head().map(|entry| age(entry.waiting.received)),
            head: shown.map(|entry| HeadView {
                delivery: entry.waiting.position.delivery,
                message: entry.waiting.position.message,
                attempts: entry.waiting.tally.attempts,
                why: entry.waiting.tally.why.clone().or_else(|| {
                    let before = lanes.barred_by(&entry.waiting.position)?;
                    let why = format!("stands behind message {before} of its key, which waits for a code");
                    Some(Why::ours(why))
                }),
                next_try_seconds: entry.waiting.tally.not_before.and_then(|when| {
                    when.duration_since(SystemTime::now()).ok().map(|ahead| ahead.as_secs_f64())
                }),
            }),
        }
    }
}
