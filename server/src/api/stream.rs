//! Events as they happen, as server-sent events.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Interval,
};

use super::Context;
use crate::{
    accounts::{Caller, Right, Sees},
    events::Event,
};

/// How often counts are told, if they changed.
const COUNTS: Duration = Duration::from_secs(1);

struct Listener {
    caller: Caller,
    context: Arc<Context>,
    events: Receiver<Event>,
    counting: Interval,
    counts: Value,
}

/// `state`, `message`, `delivery` as they happen, `counts` once a second if they changed, `missed` to a listener that
/// fell behind.
pub(super) async fn listen(
    State(context): State<Arc<Context>>,
    caller: Caller,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let stop = context.stop.clone();
    let listener = Listener {
        caller,
        events: context.events.listen(),
        counting: tokio::time::interval(COUNTS),
        counts: Value::Null,
        context,
    };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    let ended = async move { stop.requested().await };
    Sse::new(events.take_until(Box::pin(ended))).keep_alive(KeepAlive::default())
}

impl Listener {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            let counted = {
                let event = pin!(self.events.recv());
                tokio::select! {
                    event = event => match event {
                        // Names of files may be names of patients.
                        Ok(Event::File { .. }) if !self.caller.may(Right::Content) => continue,
                        Ok(event) if !self.context.is_told(&event, &self.caller.sees) => continue,
                        event => return told(event),
                    },
                    _ = self.counting.tick() => self.context.counts(&self.caller.sees),
                }
            };
            if !self.context.accounts.still(&self.caller) {
                return None;
            }
            if counted != self.counts {
                self.counts = counted;
                return Some(sse::Event::default().event("counts").data(self.counts.to_string()));
            }
        }
    }
}

fn told(event: Result<Event, RecvError>) -> Option<sse::Event> {
    match event {
        Ok(event) => {
            let told = serde_json::to_string(&event).expect("an event has text keys");
            Some(sse::Event::default().event(event.name()).data(told))
        }
        Err(RecvError::Lagged(missed)) => {
            Some(sse::Event::default().event("missed").data(json!({ "missed": missed }).to_string()))
        }
        Err(RecvError::Closed) => None,
    }
}

impl Context {
    /// Whether somebody who sees these channels hears of it.
    fn is_told(&self, event: &Event, sees: &Sees) -> bool {
        *sees == Sees::Everything || event.channel().is_some_and(|channel| self.fleet.is_seen(channel, sees))
    }

    /// What each channel received, and what waits in its queues.
    fn counts(&self, sees: &Sees) -> Value {
        let members = self.fleet.members();
        let ours = members.iter().filter(|(_, member)| sees.includes(&member.tags));
        let counts = ours.filter_map(|(name, member)| {
            let view = member.running()?.view();
            let waiting: u64 = view.destinations.iter().map(|destination| destination.depth).sum();
            let received = self.metrics.received_by(name);
            Some(json!({ "channel": name, "received": received, "waiting": waiting, "connections": view.connections }))
        });
        Value::Array(counts.collect())
    }
}
