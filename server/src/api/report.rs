//! What became of a channel's messages, by day: what `relais report` makes a page of.

use std::{sync::Arc, time::SystemTime};

use axum::{Json, extract::State};
use engine::{History as _, Reason, Tallied, TalliedDay, Times, Unit};
use jiff::{ToSpan, Zoned, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    asked::{Path, Query},
    problem::Problem,
};
use crate::why::Why;

/// As many days as one report may have: ten years.
const MOST_DAYS: usize = 3660;

/// As many days as it has where nobody says.
const USUAL_DAYS: i64 = 30;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    from: Option<String>,
    to: Option<String>,
}

/// The report of a channel.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Report {
    pub(crate) channel: String,
    pub(crate) description: Option<String>,
    pub(crate) zone: String,
    /// The first and the last day, both in it.
    pub(crate) from: String,
    pub(crate) to: String,
    /// When it was made.
    pub(crate) made: String,
    /// What is counted as one: `message`, or `file` where the source takes files, which may hold several messages.
    pub(crate) unit: String,
    pub(crate) total: Figures,
    pub(crate) days: Vec<Day>,
    /// Why messages did not get through, the most frequent first.
    pub(crate) reasons: Vec<Counted>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Day {
    pub(crate) day: String,
    pub(crate) figures: Figures,
}

/// Messages, or files, each counted once, as it stands now; a file as the worst of its messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Figures {
    pub(crate) received: u64,
    /// As many messages were in them.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) processed: u64,
    pub(crate) unwanted: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) given_up: u64,
    pub(crate) in_doubt: u64,
    pub(crate) waiting: u64,
    pub(crate) dropped: u64,
    /// From when it came to when the last of its deliveries was sent, in milliseconds.
    pub(crate) median_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
}

/// A reason, and how many messages it stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counted {
    /// `unreadable`, `refused_at`, `refused`, `failed` or `given_up`.
    pub(crate) kind: String,
    /// What was wrong, the place, the step or the destination. Nothing of a message.
    pub(crate) what: Why,
    pub(crate) number: u64,
}

pub(super) async fn show(
    State(context): State<Arc<Context>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Report>, Problem> {
    let member = context.fleet.member(&name);
    let member = member.ok_or_else(|| Problem::missing(format!("there is no channel `{name}`")))?;
    let zone = context.fleet.zone();
    let days = days(&wanted, &zone)?;
    let bounds: Vec<SystemTime> = days.iter().map(|day| SystemTime::from(day.timestamp())).collect();
    let (unit, unit_name) = match member.outline.source.as_str() {
        "file" | "sftp" => (Unit::File, "file"),
        _ => (Unit::Message, "message"),
    };
    let tallied = context.fleet.store.tallied(&name, unit, &bounds).await?;
    let (first, last) = (&days[0], &days[days.len() - 2]);
    Ok(Json(Report {
        channel: name,
        description: member.description,
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        from: first.date().to_string(),
        to: last.date().to_string(),
        made: Zoned::now().with_time_zone(zone).strftime("%Y-%m-%d %H:%M").to_string(),
        unit: unit_name.to_owned(),
        total: Figures::total(&tallied.days),
        days: days.iter().zip(&tallied.days).map(|(day, counted)| Day::of(day, counted)).collect(),
        reasons: reasons(tallied),
    }))
}

/// Where each day begins, and where the last one ends.
fn days(wanted: &Wanted, zone: &TimeZone) -> Result<Vec<Zoned>, Problem> {
    let today = Zoned::now().with_time_zone(zone.clone()).date();
    let to = wanted.to.as_deref().map_or(Ok(today), date)?;
    let usual = to.saturating_sub((USUAL_DAYS - 1).days());
    let from = wanted.from.as_deref().map_or(Ok(usual), date)?;
    if from > to {
        return Err(Problem::wrong(format!("{from} is later than {to}")));
    }
    let too_far = || Problem::wrong(format!("a report has at most {MOST_DAYS} days, up to the year 9999"));
    let mut days = Vec::new();
    let mut day = from;
    loop {
        days.push(day.to_zoned(zone.clone()).map_err(|_| too_far())?);
        if day > to {
            return Ok(days);
        }
        if days.len() > MOST_DAYS {
            return Err(too_far());
        }
        day = day.tomorrow().map_err(|_| too_far())?;
    }
}

fn date(text: &str) -> Result<Date, Problem> {
    text.parse().map_err(|_| Problem::wrong(format!("`{text}` is no day; write 2026-03-01")))
}

impl Day {
    fn of(day: &Zoned, counted: &TalliedDay) -> Self {
        Self { day: day.date().to_string(), figures: Figures::of(counted) }
    }
}

impl Figures {
    fn of(day: &TalliedDay) -> Self {
        let milliseconds = |share| day.times.at(share).map(|time| time.as_secs_f64() * 1000.0);
        Self {
            received: day.received,
            messages: day.messages,
            bytes: day.bytes,
            processed: day.processed,
            unwanted: day.unwanted,
            refused: day.refused,
            failed: day.failed,
            given_up: day.given_up,
            in_doubt: day.in_doubt,
            waiting: day.waiting,
            dropped: day.dropped,
            median_ms: milliseconds(0.5),
            p95_ms: milliseconds(0.95),
        }
    }

    fn total(days: &[TalliedDay]) -> Self {
        let mut times = Times::default();
        for day in days {
            times.merge(&day.times);
        }
        let sum = |of: fn(&TalliedDay) -> u64| days.iter().map(of).sum();
        Self::of(&TalliedDay {
            received: sum(|day| day.received),
            messages: sum(|day| day.messages),
            bytes: sum(|day| day.bytes),
            processed: sum(|day| day.processed),
            unwanted: sum(|day| day.unwanted),
            refused: sum(|day| day.refused),
            failed: sum(|day| day.failed),
            given_up: sum(|day| day.given_up),
            in_doubt: sum(|day| day.in_doubt),
            waiting: sum(|day| day.waiting),
            dropped: sum(|day| day.dropped),
            times,
        })
    }

    /// Those that did not get through, for whatever reason.
    pub(crate) fn stopped(&self) -> u64 {
        self.refused + self.failed + self.given_up
    }
}

fn reasons(tallied: Tallied) -> Vec<Counted> {
    let counted = |(reason, number): (Reason, u64)| {
        let (kind, what) = match reason {
            Reason::Unreadable { why } => ("unreadable", Why::hidden(why, "")),
            Reason::RefusedAt { place } => ("refused_at", Why::at(place)),
            Reason::Refused => ("refused", Why::ours("")),
            Reason::Failed { step } => ("failed", Why::ours(step)),
            Reason::GivenUp { destination } => ("given_up", Why::ours(destination)),
        };
        Counted { kind: kind.to_owned(), what, number }
    };
    tallied.reasons.into_iter().map(counted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(from: &str, to: &str) -> Wanted {
        Wanted { from: Some(from.to_owned()), to: Some(to.to_owned()) }
    }

    #[test]
    fn a_day_is_as_long_as_the_clock_of_its_zone_makes_it() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let days = days(&wanted("2026-03-28", "2026-03-30"), &zone).unwrap();
        let hours = |n: usize| days[n].duration_until(&days[n + 1]).as_hours();
        assert_eq!((days.len(), hours(0), hours(1), hours(2)), (4, 24, 23, 24));
    }

    #[test]
    fn days_that_make_no_sense_are_refused_in_words() {
        for (from, to, words) in [
            ("2026-03-02", "2026-03-01", "is later than"),
            ("yesterday", "2026-03-01", "is no day"),
            ("1900-01-01", "2026-03-01", "at most 3660 days"),
        ] {
            let problem = days(&wanted(from, to), &TimeZone::UTC).unwrap_err();
            assert!(format!("{problem:?}").contains(words), "{problem:?}");
        }
    }
}
