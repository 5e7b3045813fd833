//! What was measured, as rows of figures: for people as they come, for programs all together.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    Scenario,
    histogram::Waits,
    window::{Cost, Pace},
};
use crate::terminal::{lasting, sized};

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

    pub(super) fn with(mut self, name: &str, figure: Figure) -> Self {
        self.figures.push((name.to_owned(), figure));
        self
    }

    /// The median of the slices, with the slowest and the fastest, and how many messages it was.
    pub(super) fn pace(self, pace: &Pace) -> Self {
        let end = |rate: Option<&f64>| Figure::Rate(rate.copied().unwrap_or(0.0));
        self.with("rate", Figure::Rate(pace.median()))
            .with("slowest_slice", end(pace.slices.first()))
            .with("fastest_slice", end(pace.slices.last()))
            .with("messages", Figure::Count(pace.messages))
    }

    pub(super) fn waits(self, name: &str, waits: Waits) -> Self {
        self.with(&format!("{name}_p50"), Figure::Time(waits.p50))
            .with(&format!("{name}_p95"), Figure::Time(waits.p95))
            .with(&format!("{name}_p99"), Figure::Time(waits.p99))
            .with(&format!("{name}_max"), Figure::Time(waits.max))
    }

    pub(super) fn cost(self, cost: &Cost) -> Self {
        let row = self
            .with("processor_each", Figure::Time(cost.processor))
            .with("written_each", Figure::Bytes(cost.written));
        match cost.flushes {
            Some(flushes) => row.with("disk_flushes_each", Figure::Ratio(flushes)),
            None => row,
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
        let mut text = self.scenario.clone();
        match self.connections {
            None => {}
            Some(1) => text.push_str(", 1 connection"),
            Some(connections) => {
                let _ = write!(text, ", {connections} connections");
            }
        }
        let _ = writeln!(text, ": {}", self.what);
        let mut line = " ".to_owned();
        for (name, figure) in &self.figures {
            let shown = format!(" {} {};", name.replace('_', " "), figure.as_text());
            if line.len() + shown.len() > WIDTH {
                let _ = writeln!(text, "{line}");
                line = " ".to_owned();
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
        let row = Row::floor("bare")
            .at(16)
            .with("rate", Figure::Rate(1234.5678))
            .with("memory", Figure::Bytes(7))
            .with("part", Figure::Ratio(0.5));
        let figures = json!({ "rate_per_second": 1234.568, "memory_bytes": 7, "part": 0.5 });
        assert_eq!(row.as_json()["figures"], figures);
        assert_eq!(
            row.as_text(),
            "floor, 16 connections: bare\n  rate 1235/s; memory 7 bytes; part 0.500\n\n"
        );
    }
}
