//! The rules of `alerts/*.yaml`: who is told of which states, and from when on.

mod file;

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use engine::{DestinationSettings, Diagnostic, Hash, Path};
use jiff::{Zoned, civil::Weekday, tz::TimeZone};
use serde_json::Value;

pub(crate) use file::RuleFile;
use file::{DayFile, SilentFile, WhenFile};

use crate::{
    load::{stem, yaml_files},
    reading::{Reader, destination_at, texts},
    report::Report,
    schema::alert_schema,
    shape::Shape,
    values::{PartOfDay, Period},
    yaml::Node,
};

/// A rule as its file says it.
#[derive(Clone)]
pub struct Rule {
    /// As its file is called.
    pub name: String,
    /// `None`: every state, from when it opens by itself.
    pub states: Option<Vec<(&'static str, Limit)>>,
    pub channels: Vec<String>,
    pub tags: Vec<String>,
    pub tell: Vec<Route>,
    pub repeat: Option<Duration>,
    /// Of whom it tells: another one is told anew.
    pub version: Hash,
}

/// From when on a state is told, in the unit in which it is measured: seconds, days, percent or a number.
#[derive(Clone)]
pub enum Limit {
    /// From when it opens by itself.
    Usual,
    From(f64),
    DownTo(f64),
    /// Nothing for so many seconds of these hours and days.
    Silent {
        seconds: f64,
        counts: Counts,
    },
}

/// The hours and days that count.
#[derive(Clone)]
pub struct Counts {
    part: Option<PartOfDay>,
    days: Vec<Weekday>,
    zone: TimeZone,
}

/// A way to tell somebody: a destination that needs no channel.
#[derive(Clone)]
pub struct Route {
    /// `smtp`, `http` or `channel`.
    pub protocol: String,
    pub settings: Arc<dyn DestinationSettings>,
}

impl Rule {
    /// Whether it is about a channel with these tags, or, with none, about the server.
    pub fn is_about(&self, channel: Option<(&str, &[String])>) -> bool {
        if self.channels.is_empty() && self.tags.is_empty() {
            return true;
        }
        channel.is_some_and(|(name, tags)| {
            self.channels.iter().any(|pattern| fits(pattern, name))
                || self.tags.iter().any(|tag| tags.contains(tag))
        })
    }

    /// The limit from which on it tells of a state, if it does.
    pub fn limit(&self, state: &str) -> Option<&Limit> {
        match &self.states {
            None => Some(&Limit::Usual),
            Some(states) => states.iter().find(|(name, _)| *name == state).map(|(_, limit)| limit),
        }
    }
}

impl Counts {
    /// How many seconds between two times count; to the minute.
    pub fn seconds(&self, from: jiff::Timestamp, until: jiff::Timestamp) -> f64 {
        if self.part.is_none() && self.days.is_empty() {
            return (until.as_second() - from.as_second()).max(0) as f64;
        }
        // What is longer than a month ago makes no difference.
        let from = from.as_second().max(until.as_second() - 31 * 86_400);
        let minutes = (from..until.as_second()).step_by(60).filter(|second| {
            let time = jiff::Timestamp::from_second(*second).unwrap_or_default();
            self.holds(&time.to_zoned(self.zone.clone()))
        });
        minutes.count() as f64 * 60.0
    }

    fn holds(&self, now: &Zoned) -> bool {
        let in_part = self.part.is_none_or(|part| {
            let time = now.time();
            if part.from < part.until {
                part.from <= time && time < part.until
            } else {
                part.from <= time || time < part.until
            }
        });
        in_part && (self.days.is_empty() || self.days.contains(&now.weekday()))
    }
}

/// `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    (0..=name.len()).filter(|at| name.is_char_boundary(*at)).any(|at| fits(rest, &name[at..]))
}

/// Reads them all, and says everything that is wrong with them. `known`: the channels that there are.
pub(crate) fn rules(
    report: &mut Report,
    root: &FilePath,
    (zone, known): (&TimeZone, &[String]),
) -> Vec<(Rule, Node)> {
    let schema = alert_schema();
    let mut rules = Vec::new();
    for file in yaml_files(report, root, "alerts") {
        let first = report.faults.len();
        let Some((_, mut tree)) = report.read_yaml(&file) else { continue };
        let found = Reader::fill(&mut tree, Shape::new(&schema), report);
        let mut reader = Reader::new(&tree, Shape::new(&schema), found);
        let rule = rule(&mut reader, stem(&file), root, zone);
        unknown_channels(&mut reader, &rule, known);
        for fault in reader.found {
            report.add(&tree, fault);
        }
        if report.count_from(first).0 == 0 && !unknown(&tree) {
            rules.push((rule, tree));
        }
    }
    rules
}

fn rule(reader: &mut Reader<'_>, name: String, root: &FilePath, zone: &TimeZone) -> Rule {
    let at = Path::parse;
    let when = reader.tree.get("when").is_some().then(|| reader.read_or_default::<WhenFile>(&at("when")));
    let text = reader.value(&Path::default()).unwrap_or(Value::Null).to_string();
    Rule {
        version: Hash::of(&[name.as_bytes(), text.as_bytes()]),
        name,
        states: when.map(|when| states(when, zone)),
        channels: reader.read_or_default(&at("channels")),
        tags: reader.read_or_default(&at("tags")),
        tell: reader.items(&at("tell")).iter().filter_map(|side| route(reader, side, root)).collect(),
        repeat: reader.read::<Period>(&at("repeat")).map(|period| period.0),
    }
}

fn route(reader: &mut Reader<'_>, side: &Path, root: &FilePath) -> Option<Route> {
    let (protocol, settings) = destination_at(reader, side, root)?;
    for (_, text) in texts(reader, side) {
        let why = "no message is told of: of expressions none is known here";
        reader.error("template-not-here", &text.path, why);
    }
    for field in ["subject", "body", "attach"].map(|field| side.join("smtp").join(field)) {
        if reader.tree.at(&field).is_some() {
            reader.error("unused-field", &field, "a letter of alerts has its own subject and text");
        }
    }
    Some(Route { protocol, settings })
}

fn states(when: WhenFile, zone: &TimeZone) -> Vec<(&'static str, Limit)> {
    let usual = |is_there: bool| is_there.then_some(Limit::Usual);
    let from = |number: Option<f64>| number.map_or(Limit::Usual, Limit::From);
    let lasting = |file: Option<file::LastingFile>| {
        file.map(|file| from(file.lasting.map(|time| time.0.as_secs_f64())))
    };
    let count = |file: Option<file::CountFile>| file.map(|file| from(file.from.map(f64::from)));
    let within = |file: Option<file::WithinFile>| {
        let days = |time: Period| Limit::DownTo(time.0.as_secs_f64() / 86_400.0);
        file.map(|file| file.within.map_or(Limit::Usual, days))
    };
    let all = [
        ("destination_down", lasting(when.destination_down)),
        ("destination_stopped", usual(when.destination_stopped.is_some())),
        ("source_down", lasting(when.source_down)),
        ("channel_broken", usual(when.channel_broken.is_some())),
        ("edit_not_in_force", usual(when.edit_not_in_force.is_some())),
        ("queue_old", lasting(when.queue_old)),
        ("given_up", count(when.given_up)),
        ("set_aside", count(when.set_aside)),
        ("unsure", count(when.unsure)),
        ("failed", count(when.failed)),
        ("unmapped", count(when.unmapped)),
        ("overdue", count(when.overdue)),
        ("error_share", count(when.error_share)),
        ("certificate", within(when.certificate)),
        ("disk", within(when.disk)),
        ("store_refuses", usual(when.store_refuses.is_some())),
        ("store_trouble", usual(when.store_trouble.is_some())),
        ("silent", when.silent.map(|file| silent(file, zone))),
    ];
    all.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect()
}

fn silent(file: SilentFile, zone: &TimeZone) -> Limit {
    let Some(lasting) = file.lasting else { return Limit::Usual };
    let days = file.days.into_iter().map(|day| match day {
        DayFile::Mon => Weekday::Monday,
        DayFile::Tue => Weekday::Tuesday,
        DayFile::Wed => Weekday::Wednesday,
        DayFile::Thu => Weekday::Thursday,
        DayFile::Fri => Weekday::Friday,
        DayFile::Sat => Weekday::Saturday,
        DayFile::Sun => Weekday::Sunday,
    });
    let zone = file.zone.map_or_else(|| zone.clone(), |zone| zone.0);
    let counts = Counts { part: file.hours, days: days.collect(), zone };
    Limit::Silent { seconds: lasting.0.as_secs_f64(), counts }
}

/// A rule about a channel that is not there would never tell.
fn unknown_channels(reader: &mut Reader<'_>, rule: &Rule, known: &[String]) {
    for (number, pattern) in rule.channels.iter().enumerate() {
        if !known.iter().any(|name| fits(pattern, name)) {
            let at = Path::parse("channels").join(number);
            let fault = Diagnostic::error("unknown-channel", at, format!("there is no channel `{pattern}`"));
            let near = crate::near::nearest(pattern, known.iter().map(String::as_str));
            reader.push(match near {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
    }
    for side in reader.items(&Path::parse("tell")) {
        let at = side.join("channel").join("name");
        let named = reader.tree.at(&at).and_then(Node::scalar).filter(|scalar| !scalar.unknown);
        if let Some(name) = named.map(|scalar| scalar.text.clone()).filter(|name| !known.contains(name)) {
            reader.error("unknown-channel", &at, format!("there is no channel `{name}`"));
        }
    }
    let hours_alone = |field: &str| reader.tree.at(&Path::parse(&format!("when.silent.{field}"))).is_some();
    let is_timeless = reader.tree.at(&Path::parse("when.silent.for")).is_none();
    let unused = ["hours", "days", "zone"].into_iter().filter(|field| is_timeless && hours_alone(field));
    for field in unused.collect::<Vec<_>>() {
        let at = Path::parse(&format!("when.silent.{field}"));
        reader.error(
            "unused-field",
            &at,
            "only means something with `for`: the learned rhythm knows its hours",
        );
    }
}

/// Whether a secret was only taken as present: then nothing is made of it.
fn unknown(tree: &Node) -> bool {
    crate::reading::holds_unknown(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name) in
            [("lab", "lab"), ("lab-*", "lab-1"), ("*", "x"), ("a*c*e", "abcde"), ("é*", "été")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("lab", "lab-1"), ("lab-*", "lab"), ("a*c", "abcd"), ("", "x")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn only_hours_and_days_that_count_are_counted() {
        let counts = Counts {
            part: Some("08:00-18:00".parse().unwrap()),
            days: vec![Weekday::Monday, Weekday::Friday],
            zone: TimeZone::get("Europe/Paris").unwrap(),
        };
        let at = |text: &str| text.parse::<Zoned>().unwrap().timestamp();
        // From Friday 17:00 to Monday 09:00: an hour of each.
        let seconds =
            counts.seconds(at("2026-03-06T17:00[Europe/Paris]"), at("2026-03-09T09:00[Europe/Paris]"));
        assert!((seconds - 7200.0).abs() < 61.0, "{seconds}");
        let always = Counts { part: None, days: vec![], zone: TimeZone::UTC };
        assert!(
            (always.seconds(at("2026-03-06T17:00[UTC]"), at("2026-03-06T17:30[UTC]")) - 1800.0).abs() < 1.0
        );
    }
}
