//! Events as they happen, as server-sent events.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Interval,
};

use super::{Context, asked::Query};
use crate::{
    accounts::{Caller, Right},
    events::Event,
    why::{Reader, Shown},
};

/// How often counts are told, if they changed.
const COUNTS: Duration = Duration::from_secs(1);

/// What somebody listens for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    about: About,
    /// Beside that, what happens to one message.
    message: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum About {
    /// Each message and each attempt too.
    #[default]
    Everything,
    /// How channels stand, and counts.
    States,
}

struct Listener {
    wanted: Wanted,
    caller: Caller,
    context: Arc<Context>,
    events: Receiver<Arc<Event>>,
    counting: Interval,
    /// The beat of the counts that were told last.
    beat: u64,
}

/// `state`, `message`, `delivery` as they happen, `counts` of the channels that changed once a second, `missed` to a
/// listener that fell behind.
pub(super) async fn listen(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let stop = context.stop.clone();
    let listener = Listener {
        wanted,
        caller,
        events: match wanted {
            Wanted { about: About::States, message: None } => context.events.listen_to_states(),
            _ => context.events.listen(),
        },
        counting: tokio::time::interval(COUNTS),
        beat: 0,
        context,
    };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    let ended = async move { stop.requested().await };
    Sse::new(events.take_until(Box::pin(ended))).keep_alive(KeepAlive::default())
}

impl Wanted {
    fn takes(&self, event: &Event) -> bool {
        let is_it = || event.message().is_some_and(|id| Some(id.0) == self.message);
        self.about == About::Everything || event.is_state() || is_it()
    }
}

impl Listener {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            let heard = {
                let event = pin!(self.events.recv());
                tokio::select! {
                    event = event => Some(event),
                    _ = self.counting.tick() => None,
                }
            };
            if !self.context.accounts.still(&self.caller) {
                return None;
            }
            match heard {
                Some(Ok(event)) if !self.may_hear(&event) => {}
                Some(event) => return self.told(event).await,
                None => {
                    if let Some(counts) = self.counts() {
                        return Some(sse::Event::default().event("counts").data(counts));
                    }
                }
            }
        }
    }

    /// Whether it was asked for, and is of a channel that the caller sees.
    fn may_hear(&self, event: &Event) -> bool {
        // Names of files may be names of patients.
        let is_hidden = matches!(event, Event::File { .. }) && !self.caller.may(Right::Content);
        let is_seen = match event.channel() {
            None if matches!(event, Event::Go { by, .. } if *by == self.caller.name) => true,
            Some(channel) => self.context.fleet.is_seen(channel, &self.caller.sees),
            None => self.caller.sees_everything(),
        };
        !is_hidden && is_seen && self.wanted.takes(event)
    }

    /// Words of steps and receivers only once the look is on disk, as in an answer (`rights.rs`).
    async fn told(&self, event: Result<Arc<Event>, RecvError>) -> Option<sse::Event> {
        let (whole, shown) = Reader::of(&self.caller).told(|| told(&event));
        if shown != Shown::Words || self.context.audit.notes_look(&self.caller, "/events").await {
            return whole;
        }
        Reader::OfKinds.written(|| told(&event))
    }

    fn counts(&mut self) -> Option<Arc<str>> {
        let context = &self.context;
        let around = (&*context.fleet, &*context.metrics);
        let sees = |name: &str| context.fleet.is_seen(name, &self.caller.sees);
        let only: Option<&dyn Fn(&str) -> bool> =
            if self.caller.sees_everything() { None } else { Some(&sees) };
        let (beat, counts) = context.pulse.since(self.beat, around, only);
        self.beat = beat;
        counts
    }
}

fn told(event: &Result<Arc<Event>, RecvError>) -> Option<sse::Event> {
    match event {
        Ok(event) => {
            let told = serde_json::to_string(&**event).expect("an event has text keys");
            Some(sse::Event::default().event(event.name()).data(told))
        }
        Err(RecvError::Lagged(missed)) => {
            Some(sse::Event::default().event("missed").data(json!({ "missed": missed }).to_string()))
        }
        Err(RecvError::Closed) => None,
    }
}
