//! Answers that a channel expects: what the messages of a test ask and answer, and how that stands some time later.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use engine::{Awaited, Expected, MessageId};
use jiff::Timestamp;

use super::{
    Around, Problem, Trial,
    run::{Ran, run},
};
use crate::{
    tests_file::{LookFile, OtherFile, TestFile},
    values::Instant,
};

/// A message that came, and what it asks and answers.
struct Came {
    at: SystemTime,
    channel: String,
    expected: Vec<Expected>,
}

/// Compares how the answers stand with what the test says of each time.
pub(super) fn check(trial: &Trial, test: &TestFile, around: &Around<'_>, rans: &[Ran]) -> Vec<Problem> {
    let Some(answers) = &test.answers else { return Vec::new() };
    let begun = test.at.map_or_else(SystemTime::now, |at| at.0.into());
    let mut all = vec![came((begun, &trial.channel), rans)];
    let mut left_out = Vec::new();
    for other in &test.others {
        match other_came(other, (trial, test), begun, around) {
            Ok((came, why)) => {
                all.push(came);
                left_out.extend(why);
            }
            Err(why) => return vec![Problem::new(why)],
        }
    }
    all.sort_by_key(|came| came.at);
    let looks = answers.list().iter();
    let mut problems: Vec<_> = looks
        .flat_map(|look| {
            let at = begun + look.after.0;
            compared(look, &standing(&all, &trial.channel, at), at)
        })
        .collect();
    if !problems.is_empty() {
        problems.extend(left_out);
    }
    problems
}

fn came((at, channel): (SystemTime, &str), rans: &[Ran]) -> Came {
    let expected = rans.iter().flat_map(|ran| ran.expected.clone()).collect();
    Came { at, channel: channel.to_owned(), expected }
}

/// Runs another message, and says why where it was not accepted.
fn other_came(
    other: &OtherFile,
    (trial, test): (&Trial, &TestFile),
    begun: SystemTime,
    around: &Around<'_>,
) -> Result<(Came, Vec<Problem>), String> {
    let name = other.channel.as_deref().unwrap_or(&trial.channel);
    let Some(trial) = around.trials.iter().find(|trial| *trial.channel == *name) else {
        return Err(format!("the steps of the channel `{name}` do not compile"));
    };
    let (after, before) = (other.after.map_or(Duration::ZERO, |after| after.0), other.before);
    let at = before.map_or(begun + after, |before| begun - before.0);
    let pinned = Timestamp::try_from(at).map_err(|error| error.to_string())?;
    let test = TestFile {
        message: other.message.clone(),
        at: Some(Instant(pinned)),
        source: other.source.clone(),
        tables: test.tables.clone(),
        ..TestFile::default()
    };
    let rans = run(trial, &test, around)?;
    let why = |ran: &Ran| {
        let why = ran.why.as_ref()?;
        let said = ran.said(why);
        Some(Problem::new(format!("`{name}` did not accept `{}`: it was {said}", other.message)))
    };
    Ok((came((at, name), &rans), rans.iter().filter_map(why).collect()))
}

/// How the questions of a channel stand, by key.
fn standing<'c>(all: &'c [Came], channel: &str, now: SystemTime) -> BTreeMap<&'c str, Awaited> {
    let mut standing: BTreeMap<&str, Awaited> = BTreeMap::new();
    for came in all.iter().filter(|came| came.at <= now) {
        for one in &came.expected {
            match one {
                Expected::Asked { key, within } if came.channel == *channel => {
                    standing.entry(key).or_default().ask(MessageId(1), came.at, *within);
                }
                Expected::Answered { of, key } if **of == *channel => {
                    standing.entry(key).or_default().answered = Some(came.at);
                }
                Expected::Asked { .. } | Expected::Answered { .. } => {}
            }
        }
    }
    standing
}

fn compared(look: &LookFile, standing: &BTreeMap<&str, Awaited>, now: SystemTime) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, wanted) in [("overdue", &look.overdue), ("open", &look.open), ("met", &look.met)] {
        let stand_so = standing.iter().filter(|(_, one)| one.asked.is_some() && stands(one, now) == name);
        let mut found: Vec<String> = stand_so.map(|(key, _)| shown(key)).collect();
        found.sort_unstable();
        let Some(mut wanted) = wanted.clone() else { continue };
        wanted.sort_unstable();
        if wanted != found {
            let (after, found, wanted) = (look.after, keys(&found), keys(&wanted));
            problems.push(Problem::new(format!("after {after} `{name}` is {found}, not {wanted}")));
        }
    }
    problems
}

fn stands(one: &Awaited, now: SystemTime) -> &'static str {
    match one.answered {
        Some(_) => "met",
        None if one.is_overdue(now) => "overdue",
        None => "open",
    }
}

/// As `relais overdue` shows it: between the values of a key of several paths stands a character that nobody sees.
fn shown(key: &str) -> String {
    key.replace('\u{1f}', " / ")
}

fn keys(keys: &[String]) -> String {
    if keys.is_empty() {
        return "nothing".to_owned();
    }
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
