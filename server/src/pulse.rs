//! How the channels stand, told once a second: worked out and written down once for everybody who listens.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    fleet::{Fleet, Member},
    metrics::{Metrics, day},
};

/// How long one look serves all.
const FRESH: Duration = Duration::from_millis(900);

/// What was seen last, with the beat at which each channel changed.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    beat: u64,
    channels: BTreeMap<String, Standing>,
    /// What changed with this beat, written once.
    changed: Arc<str>,
}

struct Standing {
    words: String,
    beat: u64,
}

impl Pulse {
    /// What changed since `beat` of the channels that `may` be seen, as a list in JSON, and the beat it is of; nothing
    /// where nothing did.
    pub(crate) fn since(
        &self,
        beat: u64,
        (fleet, metrics): (&Fleet, &Metrics),
        may: Option<&dyn Fn(&str) -> bool>,
    ) -> (u64, Option<Arc<str>>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_none_or(|at| at.elapsed() >= FRESH) {
            seen.look(fleet, metrics);
        }
        let told = match (may, seen.beat.checked_sub(beat)) {
            (_, Some(0) | None) => return (seen.beat, None),
            (None, Some(1)) => Arc::clone(&seen.changed),
            (may, _) => {
                seen.written(|name, standing| standing.beat > beat && may.is_none_or(|may| may(name)))
            }
        };
        (seen.beat, Some(told).filter(|told| told.len() > "[]".len()))
    }
}

impl Seen {
    fn look(&mut self, fleet: &Fleet, metrics: &Metrics) {
        let now = day::step_of(SystemTime::now());
        let members = fleet.members();
        let before = self.channels.len();
        self.channels.retain(|name, _| members.contains_key(name));
        let mut is_other = self.channels.len() != before;
        let next = self.beat + 1;
        for (name, member) in &members {
            let Some(words) = standing(name, member, &metrics.lately(name, now)) else { continue };
            let words = words.to_string();
            match self.channels.get(name) {
                Some(known) if known.words == words => {}
                _ => {
                    is_other = true;
                    self.channels.insert(name.clone(), Standing { words, beat: next });
                }
            }
        }
        if is_other {
            self.beat = next;
            self.changed = self.written(|_, standing| standing.beat == next);
        }
        self.at = Some(Instant::now());
    }

    fn written(&self, wanted: impl Fn(&str, &Standing) -> bool) -> Arc<str> {
        let mut text = String::from("[");
        for (_, standing) in self.channels.iter().filter(|(name, standing)| wanted(name, standing)) {
            let comma = if text.len() > 1 { "," } else { "" };
            let _ = write!(text, "{comma}{}", standing.words);
        }
        text.push(']');
        text.into()
    }
}

/// What a channel received and sent, and how its queues stand: depth, age of the oldest in whole seconds, state, attempts, and
/// how many arrived within an hour.
fn standing(name: &str, member: &Member, lately: &day::Lately) -> Option<Value> {
    let view = member.running()?.view();
    let queues: serde_json::Map<String, Value> = view
        .destinations
        .iter()
        .map(|one| {
            let oldest = one.oldest_seconds.map(f64::floor);
            let attempts = one.head.as_ref().map_or(0, |head| head.attempts);
            let arrived = lately.to.get(&one.name).copied().unwrap_or(0);
            (one.name.clone(), json!([one.depth, oldest, one.state, attempts, arrived]))
        })
        .collect();
    let waiting: u64 = view.destinations.iter().map(|destination| destination.depth).sum();
    Some(json!({
        "channel": name,
        "state": view.state,
        "trouble": view.trouble.is_some(),
        "received": lately.totals.received,
        "sent": lately.totals.sent,
        "wrong": lately.totals.wrong,
        "waiting": waiting,
        "connections": view.connections,
        "p95_seconds": lately.p95_seconds,
        "queues": queues,
    }))
}
