//! What was measured, as rows of figures: for people as they come, for programs all together.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    Scenario,
    histogram::Waits,
    window::{Cost, Pace},
};
use crate::terminal::{counted, lasting, sized};

/// As wide as the lines of figures may be.
const WIDTH: usize = 100;

/// A value with its unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Figure {
    /// Each second.
    Rate(f64),
    Time(Duration),
    Bytes(u64),
    /// A part of something, or a multiple.
    Ratio(f64),
    Count(u64),
    /// Sizes, one after the other in time.
    Sizes(Vec<u64>),
    /// Numbers, one after the other in time.
    Counts(Vec<u64>),
    Words(String),
}

/// One thing that was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    scenario: String,
    what: String,
    connections: Option<u16>,
    figures: Vec<(String, Figure)>,
}

impl Row {
    pub(super) fn of(scenario: Scenario, what: impl Into<String>) -> Self {
        Self { scenario: scenario.name(), what: what.into(), connections: None, figures: Vec::new() }
    }

    /// What the others are compared with.
    pub(super) fn floor(what: &str) -> Self {
        let (scenario, what) = ("floor".to_owned(), what.to_owned());
        Self { scenario, what, connections: None, figures: Vec::new() }
    }

    /// Another engine.
    pub(super) fn against(what: &str) -> Self {
        Self { scenario: "against".to_owned(), ..Self::floor(what) }
    }

    pub(super) fn at(mut self, connections: u16) -> Self {
        self.connections = Some(connections);
        self
    }

    /// So many each second.
    pub(super) fn rate(&mut self, name: &str, rate: f64) {
        self.add(name, Figure::Rate(rate));
    }

    pub(super) fn time(&mut self, name: &str, time: Duration) {
        self.add(name, Figure::Time(time));
    }

    pub(super) fn bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, Figure::Bytes(bytes));
    }

    pub(super) fn count(&mut self, name: &str, count: u64) {
        self.add(name, Figure::Count(count));
    }

    /// One thing as a part of another, or as a multiple.
    pub(super) fn ratio(&mut self, name: &str, one: f64, other: f64) {
        self.add(name, Figure::Ratio(if other > 0.0 { one / other } else { 0.0 }));
    }

    pub(super) fn add(&mut self, name: &str, figure: Figure) {
        self.figures.push((name.to_owned(), figure));
    }

    /// The median of the slices, with the slowest and the fastest, and how many messages it was.
    pub(super) fn pace(&mut self, pace: &Pace) {
        self.rate("rate", pace.median());
        self.rate("slowest_slice", pace.slices.first().copied().unwrap_or(0.0));
        self.rate("fastest_slice", pace.slices.last().copied().unwrap_or(0.0));
        self.count("messages", pace.messages);
    }

    pub(super) fn waits(&mut self, name: &str, waits: Waits) {
        let parts = [("p50", waits.p50), ("p95", waits.p95), ("p99", waits.p99), ("max", waits.max)];
        for (part, time) in parts {
            self.time(&format!("{name}_{part}"), time);
        }
    }

    /// What each message cost the server.
    pub(super) fn cost(&mut self, cost: &Cost) {
        self.time("processor_each", cost.processor);
        self.bytes("written_each", cost.written);
        if let Some(disk) = &cost.disk {
            self.bytes("disk_written_each", disk.written);
            self.ratio("disk_flushes_each", disk.flushes, 1.0);
        }
    }

    /// The unit stands behind the name.
    pub(super) fn as_json(&self) -> Value {
        let figures: Map<_, _> = self.figures.iter().map(|(name, figure)| figure.named(name)).collect();
        json!({
            "scenario": self.scenario, "what": self.what, "connections": self.connections, "figures": figures,
        })
    }

    pub(super) fn as_text(&self) -> String {
        let connections = self.connections.map(|number| counted(u64::from(number), "connection"));
        let connections = connections.map(|words| format!(", {words}")).unwrap_or_default();
        let mut text = format!("{}{connections}: {}\n", self.scenario, self.what);
        let mut line = " ".to_owned();
        for (name, figure) in &self.figures {
            let shown = format!(" {} {};", name.replace('_', " "), figure.as_text());
            if line.len() + shown.len() > WIDTH {
                let _ = writeln!(text, "{line}");
                line.truncate(1);
            }
            line.push_str(&shown);
        }
        let _ = writeln!(text, "{}\n", line.trim_end_matches(';'));
        text
    }
}

impl Figure {
    fn named(&self, name: &str) -> (String, Value) {
        match self {
            Self::Rate(rate) => (format!("{name}_per_second"), json!(rounded(*rate))),
            Self::Time(time) => (format!("{name}_seconds"), json!(time.as_secs_f64())),
            Self::Bytes(bytes) => (format!("{name}_bytes"), json!(bytes)),
            Self::Ratio(ratio) => (name.to_owned(), json!(rounded(*ratio))),
            Self::Count(count) => (name.to_owned(), json!(count)),
            Self::Sizes(sizes) => (format!("{name}_bytes"), json!(sizes)),
            Self::Counts(counts) => (name.to_owned(), json!(counts)),
            Self::Words(words) => (name.to_owned(), json!(words)),
        }
    }

    fn as_text(&self) -> String {
        match self {
            Self::Rate(rate) if *rate >= 100.0 => format!("{rate:.0}/s"),
            Self::Rate(rate) => format!("{rate:.1}/s"),
            Self::Time(time) => lasting(*time),
            Self::Bytes(bytes) => sized(*bytes),
            Self::Ratio(ratio) => format!("{ratio:.3}"),
            Self::Count(count) => count.to_string(),
            Self::Sizes(sizes) => from_to(sizes, sized),
            Self::Counts(counts) => from_to(counts, |count| count.to_string()),
            Self::Words(words) => words.clone(),
        }
    }
}

/// The least and the most of them.
fn from_to(values: &[u64], shown: impl Fn(u64) -> String) -> String {
    let ends = values.iter().min().zip(values.iter().max());
    ends.map_or_else(String::new, |(least, most)| format!("{} to {}", shown(*least), shown(*most)))
}

/// To a thousandth: more digits say nothing.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_figure_stands_in_its_name() {
        let mut row = Row::floor("bare").at(16);
        row.rate("rate", 1234.5678);
        row.bytes("memory", 7);
        row.ratio("part", 1.0, 2.0);
        let figures = json!({ "rate_per_second": 1234.568, "memory_bytes": 7, "part": 0.5 });
        assert_eq!(row.as_json()["figures"], figures);
        assert_eq!(
            row.as_text(),
            "floor, 16 connections: bare\n  rate 1235/s; memory 7 bytes; part 0.500\n\n"
        );
    }
}
