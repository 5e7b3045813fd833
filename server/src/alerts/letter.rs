//! What is written to whoever is told: a subject and a text for people, JSON for programs. No content of messages.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    cause::{Cause, Severity},
    desk::Digest,
    episode::Episode,
};

/// So many episodes of one cause are written out; and so many in JSON.
const LINES: usize = 20;
const LISTED: usize = 200;

/// The subject: how much of what, or that all is over.
pub(super) fn subject(digest: &Digest, host: &str) -> String {
    let news: Vec<&Episode> = digest.opened.iter().chain(&digest.again).collect();
    if news.is_empty() {
        let still = match digest.open {
            0 => "all of it is over".to_owned(),
            open => format!("{} over, {open} still open", digest.over.len()),
        };
        return match (digest.over.as_slice(), digest.open) {
            ([one], 0) => format!("[relais {host}] over: {}", place(one)),
            _ => format!("[relais {host}] {still}"),
        };
    }
    let worst =
        if news.iter().any(|one| one.severity == Severity::Critical) { "critical" } else { "warning" };
    match news.as_slice() {
        [one] => format!("[relais {host}] {worst}: {}, {}", place(one), cause(one.cause)),
        [first, ..] if news.iter().all(|one| one.cause == first.cause) => {
            format!("[relais {host}] {worst}: {} × {}", news.len(), cause(first.cause))
        }
        _ => format!("[relais {host}] {worst}: {} states need a person", news.len()),
    }
}

/// The text for people.
pub(super) fn text(digest: &Digest, (rule, host): (&str, &str)) -> String {
    let mut text = String::new();
    section(&mut text, "Needs a person", &digest.opened);
    section(&mut text, "Still so", &digest.again);
    section(&mut text, "Over", &digest.over);
    let _ = writeln!(text, "{} open in all. `relais episodes` on {host} lists them.", digest.open);
    let _ = writeln!(text, "Told by the rule alerts/{rule}.yaml.");
    text
}

fn section(text: &mut String, head: &str, episodes: &[Episode]) {
    if episodes.is_empty() {
        return;
    }
    let _ = writeln!(text, "{head}: {}\n", episodes.len());
    for of in Cause::ALL {
        let these: Vec<_> = episodes.iter().filter(|one| one.cause == of).collect();
        for one in these.iter().take(LINES) {
            let _ = writeln!(text, "  {} (episode {}, since {})", one.words.kind(), one.id, one.since);
        }
        match these.len().saturating_sub(LINES) {
            0 => {}
            more => {
                let _ = writeln!(text, "  … and {more} more: {}", cause(of));
            }
        }
        if let Some(one) = these.first().filter(|one| one.is_open()) {
            let _ = writeln!(text, "  → {}\n", one.advice_words);
        }
    }
    text.push('\n');
}

/// The same for programs.
pub(super) fn json(digest: &Digest, (rule, host): (&str, &str)) -> Value {
    let listed = |episodes: &[Episode]| episodes.iter().take(LISTED).cloned().collect::<Vec<_>>();
    let number = digest.opened.len() + digest.again.len() + digest.over.len();
    json!({
        "server": host,
        "rule": rule,
        "subject": subject(digest, host),
        "opened": listed(&digest.opened),
        "again": listed(&digest.again),
        "over": listed(&digest.over),
        "numbers": { "opened": digest.opened.len(), "again": digest.again.len(), "over": digest.over.len(), "open": digest.open },
        "is_whole": number <= LISTED,
    })
}

/// What is told where somebody only tries whether it arrives.
pub(super) fn trial_subject((rule, host): (&str, &str)) -> String {
    format!("[relais {host}] trial of alerts/{rule}.yaml")
}

pub(super) fn trial_text((rule, host): (&str, &str), by: &str) -> String {
    format!(
        "This is a trial, asked for by {by} on {host}: nothing is wrong, and nobody has to do anything.\n\n\
         What the rule alerts/{rule}.yaml tells arrives here.\n"
    )
}

/// As what is told to programs, with nothing in it but the mark `trial`.
pub(super) fn trial_json((rule, host): (&str, &str), by: &str) -> Value {
    json!({
        "trial": true,
        "by": by,
        "server": host,
        "rule": rule,
        "subject": trial_subject((rule, host)),
        "opened": [],
        "again": [],
        "over": [],
        "numbers": { "opened": 0, "again": 0, "over": 0, "open": 0 },
        "is_whole": true,
    })
}

fn place(one: &Episode) -> String {
    super::words::place(one)
}

fn cause(cause: Cause) -> String {
    cause.name().replace('_', " ")
}
