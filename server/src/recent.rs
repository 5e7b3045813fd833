//! The last lines of the log, for whoever looks at the server and has no terminal there.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// So many lines are known; a restart begins anew.
const MOST: usize = 2000;

/// As long as a line may be.
const LONGEST: usize = 1000;

static LINES: Mutex<Lines> = Mutex::new(Lines { all: 0, last: VecDeque::new() });

struct Lines {
    /// How many there were since the start.
    all: u64,
    last: VecDeque<Line>,
}

/// A line of the log. No content of messages, as in the log itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Line {
    /// RFC 3339, UTC.
    pub(crate) at: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub(crate) level: &'static str,
    pub(crate) channel: Option<String>,
    /// The sentence, then its fields.
    pub(crate) words: String,
}

/// The lines that are wanted, the newest first.
pub(crate) fn newest(limit: usize, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.last.iter().rev().filter(|line| wanted(line)).take(limit).cloned().collect()
}

/// How many lines there were since the start.
pub(crate) fn all() -> u64 {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).all
}

/// The lines that came after so many, the oldest first, and how many there are now.
pub(crate) fn since(known: u64, wanted: impl Fn(&Line) -> bool) -> (Vec<Line>, u64) {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let new = usize::try_from(lines.all.saturating_sub(known)).unwrap_or(MOST).min(lines.last.len());
    let new = lines.last.iter().skip(lines.last.len() - new);
    (new.filter(|line| wanted(line)).cloned().collect(), lines.all)
}

/// Keeps what is logged.
pub(crate) struct Keeping;

impl<S: Subscriber> Layer<S> for Keeping {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut read = Read::default();
        event.record(&mut read);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        let mut words = format!("{}{}", read.sentence, read.fields);
        if let Some((end, _)) = words.char_indices().nth(LONGEST) {
            words.truncate(end);
            words.push('…');
        }
        let line = Line { at: Timestamp::now().to_string(), level, channel: read.channel, words };
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.last.len() == MOST {
            lines.last.pop_front();
        }
        lines.last.push_back(line);
        lines.all += 1;
    }
}

#[derive(Default)]
struct Read {
    sentence: String,
    channel: Option<String>,
    fields: String,
}

impl Read {
    fn take(&mut self, name: &str, value: String) {
        match name {
            "message" => self.sentence = value,
            "channel" => self.channel = Some(value),
            name => {
                let _ = write!(self.fields, " {name}={value}");
            }
        }
    }
}

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_line_is_kept_with_its_channel_and_its_fields() {
        let subscriber = tracing_subscriber::registry().with(Keeping);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(channel = "of-this-test", tries = 3, why = %"gone", "cannot connect");
            (0..MOST + 5).for_each(|_| tracing::info!(channel = "of-this-test", "it goes on"));
            tracing::warn!(channel = %"of-this-test", "{}", "é".repeat(2 * LONGEST));
        });
        let lines = newest(MOST * 2, |line| line.channel.as_deref() == Some("of-this-test"));
        assert!(lines.len() <= MOST, "{}", lines.len());
        assert_eq!((lines[0].level, lines[0].words.chars().count()), ("warn", LONGEST + 1));
        assert_eq!(lines[1].words, "it goes on");
        let ours = |line: &Line| line.channel.as_deref() == Some("of-this-test");
        let before = all();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Keeping), || {
            tracing::info!(channel = "of-this-test", "it has begun anew");
        });
        let (new, now) = since(before, ours);
        assert!(now > before && new.len() == 1 && new[0].words == "it has begun anew", "{new:?}");
        assert!(since(now, ours).0.is_empty());
        let mut read = Read::default();
        read.take("message", "cannot connect".to_owned());
        read.take("tries", "3".to_owned());
        assert_eq!(format!("{}{}", read.sentence, read.fields), "cannot connect tries=3");
    }
}
