//! One state that needs a person: since when, how bad, what shows it, and who has seen it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    cause::{Cause, Severity},
    words,
};
use crate::why::{self, Why};

/// What tells one episode from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) cause: Cause,
    pub(crate) channel: Option<String>,
    pub(crate) destination: Option<String>,
    /// What else tells it apart: the file of a certificate.
    pub(crate) subject: Option<String>,
}

impl Key {
    pub(crate) fn server(cause: Cause) -> Self {
        Self { cause, channel: None, destination: None, subject: None }
    }

    pub(crate) fn channel(cause: Cause, channel: &str) -> Self {
        Self { channel: Some(channel.to_owned()), ..Self::server(cause) }
    }

    pub(crate) fn destination(cause: Cause, channel: &str, destination: &str) -> Self {
        Self { destination: Some(destination.to_owned()), ..Self::channel(cause, channel) }
    }
}

/// A state as it is now. No content of messages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) key: Key,
    /// What its limit is compared with, in the unit of the cause.
    pub(crate) measure: f64,
    pub(crate) count: u64,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Option<Why>,
}

impl Seen {
    /// Something that is counted, and is the evidence itself.
    pub(crate) fn counted(key: Key, name: &str, count: u64) -> Self {
        let evidence = vec![Evidence::count(name, count)];
        Self { key, measure: count as f64, count, evidence, reason: None, detail: None }
    }
}

/// A number that shows it, with its unit and the time it was counted over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) name: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: String,
    /// Seconds; none: as it stands now.
    pub(crate) window: Option<u64>,
}

impl Evidence {
    pub(crate) fn of(name: &str, value: impl Into<Option<f64>>, unit: &str) -> Self {
        let value = value.into().map(|value| (value * 10.0).round() / 10.0);
        Self { name: name.to_owned(), value, unit: unit.to_owned(), window: None }
    }

    pub(crate) fn count(name: &str, count: u64) -> Self {
        Self::of(name, count as f64, "count")
    }

    pub(crate) fn seconds(name: &str, seconds: f64) -> Self {
        Self::of(name, seconds.round(), "s")
    }

    pub(crate) fn within(self, seconds: u64) -> Self {
        Self { window: Some(seconds), ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Open,
    Closed,
}

/// Somebody has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acknowledged {
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    pub(crate) note: Option<String>,
}

/// Somebody wants to hear of it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snoozed {
    pub(crate) by: String,
    pub(crate) until: Timestamp,
}

/// As the API tells it, and as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) id: u64,
    pub(crate) cause: Cause,
    pub(crate) severity: Severity,
    pub(crate) state: State,
    pub(crate) channel: Option<String>,
    pub(crate) destination: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) since: Timestamp,
    /// When it was last so.
    pub(crate) last: Timestamp,
    pub(crate) closed: Option<Timestamp>,
    /// How often it opened: what closes and comes back soon is the same one.
    pub(crate) times: u32,
    /// In the unit of its cause.
    pub(crate) measure: f64,
    pub(crate) count: u64,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Option<Why>,
    pub(crate) words: Why,
    pub(crate) advice: String,
    pub(crate) advice_words: String,
    pub(crate) command: Option<String>,
    pub(crate) acknowledged: Option<Acknowledged>,
    pub(crate) snoozed: Option<Snoozed>,
}

impl Episode {
    pub(crate) fn open(id: u64, seen: Seen, now: Timestamp) -> Self {
        let (advice, advice_words) = seen.key.cause.advice();
        let mut episode = Self {
            id,
            cause: seen.key.cause,
            severity: Severity::Warning,
            state: State::Open,
            channel: seen.key.channel.clone(),
            destination: seen.key.destination.clone(),
            subject: seen.key.subject.clone(),
            since: now,
            last: now,
            closed: None,
            times: 1,
            measure: 0.0,
            count: 0,
            evidence: Vec::new(),
            reason: None,
            detail: None,
            words: Why::ours(""),
            advice: advice.to_owned(),
            advice_words: advice_words.to_owned(),
            command: Some(words::command(&seen.key)),
            acknowledged: None,
            snoozed: None,
        };
        episode.is_so(seen, now);
        episode
    }

    /// It is still so, and this is what shows it now. Says whether anything that a person reads has changed.
    pub(crate) fn is_so(&mut self, seen: Seen, now: Timestamp) -> bool {
        let severity = if seen.reason.as_deref() == Some(words::BY_ITSELF) {
            Severity::Warning
        } else {
            seen.key.cause.severity(seen.measure)
        };
        if severity < self.severity {
            // It has grown worse than it was when somebody took note of it.
            self.acknowledged = None;
            self.snoozed = None;
        }
        let before = (self.severity, self.count, self.reason.clone(), self.evidence.clone());
        self.severity = severity;
        self.measure = seen.measure;
        self.count = seen.count;
        self.evidence = seen.evidence;
        self.reason = seen.reason;
        self.detail = seen.detail;
        self.last = now;
        self.words = words::of(self);
        before != (self.severity, self.count, self.reason.clone(), self.evidence.clone())
    }

    /// As it was kept: whose words it holds is told by its cause.
    pub(crate) fn read(mut self) -> Self {
        self.detail = self.detail.map(|detail| match self.cause {
            Cause::DestinationDown => {
                let by = self.reason.as_deref().and_then(why::by_code);
                Why::hidden(detail.words(), why::not_delivered(by))
            }
            Cause::DestinationStopped | Cause::QueueOld => detail,
            Cause::SourceDown => Why::of_source(detail.words()),
            _ => Why::ours(detail.words()),
        });
        self.words = words::of(&self);
        self
    }

    pub(crate) fn key(&self) -> Key {
        Key {
            cause: self.cause,
            channel: self.channel.clone(),
            destination: self.destination.clone(),
            subject: self.subject.clone(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn is_snoozed(&self, now: Timestamp) -> bool {
        self.snoozed.as_ref().is_some_and(|snoozed| now < snoozed.until)
    }

    /// Whether somebody is needed now: nobody took note of it, or the time for which they put it off is over.
    pub(crate) fn needs_somebody(&self, now: Timestamp) -> bool {
        self.is_open() && self.acknowledged.is_none() && !self.is_snoozed(now)
    }

    /// What people said of it, while it is open.
    pub(crate) fn standing(&self, now: Timestamp) -> Option<&'static str> {
        match self.state {
            State::Closed => None,
            State::Open if self.is_snoozed(now) => Some("snoozed"),
            State::Open if self.acknowledged.is_some() => Some("acknowledged"),
            State::Open => Some("open"),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.evidence.iter().find(|evidence| evidence.name == name)?.value
    }
}
