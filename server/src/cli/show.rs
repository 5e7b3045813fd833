//! `relais show`: one message with all that is kept of it.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{Ending, Exit, Format, Place, find::shortened, say, say_json};
use crate::{
    api::MessageStatus,
    client::Client,
    terminal::{Tone, lasting, sized, tinted, tone_of},
};

/// Show one message: what came, what left, what was answered.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    id: u64,
    /// The bytes as they came, and nothing else
    #[arg(long)]
    raw: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let id = arguments.id.to_string();
    if arguments.raw {
        let bytes = client.get_bytes(&["messages", &id, "body"]).await?;
        // A reader that went away has seen enough.
        let _ = std::io::stdout().write_all(&bytes);
        return Ok(Exit::Done);
    }
    let mut message: Value = client.get(&["messages", &id], &[]).await?;
    message["attempts"] = client.get(&["messages", &id, "attempts"], &[]).await?;
    match arguments.format {
        Format::Json => say_json(&message),
        Format::Text => say(told(&message)),
    }
    Ok(Exit::Done)
}

fn told(message: &Value) -> String {
    let mut text = String::new();
    let status: Option<MessageStatus> = serde_json::from_value(message.clone()).ok();
    let state = status.as_ref().map_or(word(message, "state"), MessageStatus::word);
    let _ = writeln!(text, "message {}  {}", message["id"], tinted(state, tone_of(state)));
    for (name, value) in facts(message) {
        if !value.is_empty() {
            let _ = writeln!(text, "  {}{value}", tinted(&format!("{name:<14}"), Tone::Faint));
        }
    }
    body(&mut text, "came", &message["body"]);
    for part in listed(message, "parts").iter().filter(|part| !part["place"].is_null()) {
        body(&mut text, &format!("part {}", part["place"]), &part["body"]);
    }
    for delivery in listed(message, "deliveries") {
        let state = word(delivery, "state");
        let part =
            if delivery["part"].is_null() { String::new() } else { format!(" part {}", delivery["part"]) };
        let _ =
            write!(text, "\n→ {}{part}  {}", word(delivery, "destination"), tinted(state, tone_of(state)));
        let _ = write!(text, "  attempts {}", delivery["attempts"]);
        if let Some(since) = since(message, &delivery["ended"]) {
            let _ = write!(text, "  after {since}");
        }
        let why = word(delivery, "why");
        let _ = writeln!(text, "{}{why}", if why.is_empty() { "" } else { "  " });
        for made in listed(message, "attempts").iter().filter(|made| made["delivery"] == delivery["id"]) {
            attempt(&mut text, made);
        }
        let payloads = listed(message, "payloads");
        if let Some(payload) = payloads.iter().find(|payload| payload["delivery"] == delivery["id"]) {
            if payload["body"] == message["body"] {
                let _ = writeln!(text, "  {}", tinted("left as it came", Tone::Faint));
            } else {
                body(&mut text, "left", &payload["body"]);
            }
            if !listed(payload, "late").iter().any(|late| is_of_run(&late["facts"], &payload["response"])) {
                body(&mut text, "answered", &payload["response"]);
            }
            for late in listed(payload, "late") {
                body(&mut text, &format!("answered late, {}", shortened(word(late, "at"))), &late["body"]);
                program(&mut text, &late["facts"]);
            }
            program(&mut text, &payload["response_facts"]);
            said(&mut text, &payload["response_facts"]);
        }
    }
    text
}

/// When an attempt began, how it ended, and why.
fn attempt(text: &mut String, made: &Value) {
    if let Some(left_out) = made["left_out"].as_u64().filter(|left_out| *left_out > 0) {
        let _ = writeln!(text, "  {}", tinted(&format!("… {left_out} more attempts"), Tone::Faint));
    }
    let took = made["took"].as_f64().unwrap_or(0.0);
    let _ = write!(text, "  {}  {}. {}", shortened(word(made, "at")), made["number"], word(made, "outcome"));
    let _ = write!(text, " after {took:.3} s");
    if let Some(next) = made["next"].as_f64() {
        let _ = write!(text, ", next in {next:.1} s");
    }
    let why = word(made, "why");
    let _ = writeln!(text, "{}{why}", if why.is_empty() { "" } else { ": " });
}

fn facts(message: &Value) -> Vec<(&'static str, String)> {
    let keys: Vec<_> = listed(message, "keys")
        .iter()
        .map(|key| format!("{} {}", word(key, "name"), word(key, "value")))
        .collect();
    let supersedes: Vec<_> = listed(message, "supersedes").iter().map(plain).collect();
    let flags: Vec<_> = listed(message, "flags").iter().filter_map(Value::as_str).collect();
    let source = message["source"].as_object().map(|facts| {
        let facts = facts.iter().map(|(name, value)| format!("{name} {}", plain(value)));
        facts.collect::<Vec<_>>().join(", ")
    });
    vec![
        ("channel", word(message, "channel").to_owned()),
        ("received", shortened(word(message, "received"))),
        ("from", source.unwrap_or_default()),
        ("type", word(message, "kind").to_owned()),
        ("control id", word(message, "control_id").to_owned()),
        ("found by", keys.join(", ")),
        ("flags", flags.join(", ")),
        ("group", group(&message["group"])),
        ("its steps", ran(&message["times"], since(message, &message["times"]["steps_ended"]))),
        ("sender heard", heard(message)),
        ("superseded by", plain_unless_null(&message["superseded_by"])),
        ("supersedes", supersedes.join(", ")),
        ("why", word(message, "why").to_owned()),
        ("step", message["halt"]["step"].as_str().unwrap_or_default().to_owned()),
    ]
}

/// Which group a message is of: a member says which runs had it, a run which members it has.
fn group(group: &Value) -> String {
    let Some(key) = group["key"].as_str() else { return String::new() };
    let messages: Vec<_> = listed(group, "messages").iter().map(plain).collect();
    let members = group["members"].as_u64().unwrap_or(0);
    match (group["run"].as_u64(), messages.is_empty()) {
        (Some(run), _) => format!("{key}, run {run} of messages {}", messages.join(", ")),
        (None, true) => format!("{key}, one of {members}, waits for quiet"),
        (None, false) => format!("{key}, one of {members}, run as message {}", messages.join(", ")),
    }
}

/// How long its steps took, and how long after it came they had ended.
fn ran(times: &Value, since: Option<String>) -> String {
    let took = times["steps_took"].as_f64().map(|took| lasting(Duration::from_secs_f64(took)));
    let parts = [took.map(|took| format!("took {took}")), since.map(|since| format!("ended after {since}"))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How long after a message came something else was, where both times are known and the clock was not set back between.
fn since(message: &Value, at: &Value) -> Option<String> {
    let time = |value: &Value| value.as_str()?.parse::<jiff::Timestamp>().ok();
    let since = Duration::try_from(time(at)?.duration_since(time(&message["received"])?)).ok()?;
    Some(lasting(since))
}

fn heard(message: &Value) -> String {
    let words = outcome_heard(message);
    match since(message, &message["times"]["answered"]) {
        Some(since) => format!("{words}, after {since}"),
        None => words,
    }
}

fn outcome_heard(message: &Value) -> String {
    let outcome = message["reply"]["outcome"].as_str().or(message["outcome"].as_str()).unwrap_or_default();
    match word(message, "answer") {
        "told" => outcome.to_owned(),
        "untold" => format!("nothing: it went away before it could be told {outcome}"),
        "owed" => "nothing yet".to_owned(),
        "not_owed" => "nothing: none is owed".to_owned(),
        other => other.to_owned(),
    }
}

/// A body as a person reads it: HL7's carriage returns as line ends.
fn body(text: &mut String, name: &str, body: &Value) {
    let Some(shown) = body["text"].as_str() else { return };
    let size = sized(body["size"].as_u64().unwrap_or(0));
    let _ = writeln!(text, "\n  {}", tinted(&format!("{name}, {size}"), Tone::Faint));
    for line in shown.replace("\r\n", "\n").split(['\r', '\n']).filter(|line| !line.is_empty()) {
        let _ = writeln!(text, "  {}", harmless(line));
    }
}

/// What came over a network must not steer the terminal.
fn harmless(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '·' } else { c }).collect()
}

/// What [`program`] tells of a run.
const OF_A_RUN: &[&str] =
    &["attempt", "exit", "signal", "ended", "took_ms", "left_behind", "stdout", "stderr"];

/// What is known of the answer beside its body: where the file lies, in which transaction an instance was committed.
fn said(text: &mut String, facts: &Value) {
    let facts = facts.as_object().into_iter().flatten();
    let told = facts.filter(|(name, _)| !OF_A_RUN.contains(&name.as_str()));
    let told: Vec<_> = told.map(|(name, value)| format!("{name} {}", plain(value))).collect();
    if !told.is_empty() {
        let _ = writeln!(text, "  {} {}", tinted("answered with", Tone::Faint), harmless(&told.join(", ")));
    }
}

/// How a run of a program ended, and what it wrote.
fn program(text: &mut String, facts: &Value) {
    let Some(end) = ["exit", "signal", "ended"].iter().find(|name| !facts[**name].is_null()) else { return };
    let mut words = match facts["attempt"].as_u64() {
        Some(attempt) => format!("run {attempt}: "),
        None => String::new(),
    };
    let end = if *end == "ended" { plain(&facts["ended"]) } else { format!("{end} {}", facts[*end]) };
    let _ = write!(words, "{end}, {} ms", facts["took_ms"]);
    if let Some(left) = facts["left_behind"].as_str() {
        let _ = write!(words, ", {left}");
    }
    let _ = writeln!(text, "\n  {}", tinted(&words, Tone::Faint));
    for stream in ["stdout", "stderr"] {
        if let Some(written) = facts[stream].as_str() {
            body(text, stream, &json!({ "size": written.len(), "text": written }));
        }
    }
}

/// Whether a body is what a program wrote, which is shown with its run.
fn is_of_run(facts: &Value, body: &Value) -> bool {
    !body["text"].is_null() && ["stdout", "stderr"].iter().any(|stream| facts[*stream] == body["text"])
}

fn listed<'a>(message: &'a Value, name: &str) -> &'a [Value] {
    message[name].as_array().map_or(&[], Vec::as_slice)
}

fn word<'a>(message: &'a Value, name: &str) -> &'a str {
    message[name].as_str().unwrap_or_default()
}

fn plain_unless_null(value: &Value) -> String {
    if value.is_null() { String::new() } else { plain(value) }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_a_program_is_told_with_what_it_wrote_and_no_line_twice() {
        let message = json!({
            "id": 7, "state": "queued",
            "deliveries": [{ "id": 1, "destination": "load", "state": "given_up", "attempts": 1, "why": "refused" }],
            "payloads": [{ "delivery": 1, "body": { "size": 3, "text": "OUT" },
                "response": { "size": 3, "text": "bad" }, "response_facts": {},
                "late": [{ "at": "2026-03-01T08:00:00Z", "facts": { "attempt": 1, "exit": 3, "took_ms": 12,
                    "stdout": "read", "stderr": "bad" }, "body": null }] }],
        });
        let text = told(&message);
        for line in ["run 1: exit 3, 12 ms", "stdout, 4 bytes", "  read", "  bad"] {
            assert!(text.contains(line), "`{line}` is missing in\n{text}");
        }
        assert_eq!(text.matches("  bad").count(), 1, "{text}");
    }

    #[test]
    fn a_message_is_told_with_what_came_and_what_left() {
        let message = json!({
            "id": 7, "state": "queued", "channel": "lab", "received": "2026-03-01T07:59:59.9Z", "answer": "told", "outcome": "accepted",
            "size": 12, "version": "",
            "times": { "steps_ended": "2026-03-01T07:59:59.9123Z", "steps_took": 0.0004, "answered": "2026-03-01T07:59:59.915Z" },
            "control_id": "M1", "flags": ["repeat"], "superseded_by": 12, "supersedes": [3, 5], "keys": [{ "name": "patient", "value": "123" }],
            "body": { "size": 12, "text": "MSH|^~\\&\rPID|\u{1b}[2J" },
            "deliveries": [{ "id": 1, "message": 7, "channel": "lab", "destination": "record", "state": "sent",
                "effect": "", "ended": "2026-03-01T08:09:00.5Z", "attempts": 2, "why": null, "stopped": false }],
            "payloads": [{ "delivery": 1, "body": { "size": 3, "text": "OUT" }, "response": null,
                "response_facts": { "committed": "1.2.3", "path": "out/\u{1b}[2J", "took_ms": 5 },
                "late": [{ "at": "2026-03-01T08:00:00.000Z", "facts": {}, "body": { "size": 6, "text": "MSA|AE" } }] }],
            "attempts": [
                { "delivery": 1, "number": 1, "at": "2026-03-01T08:00:00Z", "took": 0.25, "outcome": "retried",
                    "why": "not delivered: busy", "next": 1.0, "left_out": 0 },
                { "delivery": 1, "number": 9, "at": "2026-03-01T08:09:00Z", "took": 0.5, "outcome": "sent",
                    "why": null, "next": null, "left_out": 7 },
                { "delivery": 2, "number": 4, "at": "2026-03-01T08:00:00Z", "took": 1, "outcome": "unsure",
                    "why": null, "next": null, "left_out": 0 },
            ],
        });
        let text = told(&message);
        for line in [
            "message 7  sent",
            "found by      patient 123",
            "its steps     took 400 µs, ended after 12 ms",
            "sender heard  accepted, after 15 ms",
            "→ record  sent  attempts 2  after 9 min",
            "superseded by 12",
            "supersedes    3, 5",
            "  PID|·[2J",
            "  OUT",
            "answered late, ",
            "  MSA|AE",
            "  1. retried after 0.250 s, next in 1.0 s: not delivered: busy\n  … 7 more attempts\n",
            "  9. sent after 0.500 s\n",
            "answered with committed 1.2.3, path out/·[2J",
        ] {
            assert!(text.contains(line), "`{line}` is missing in\n{text}");
        }
        assert!(!text.contains("4. unsure"), "an attempt at another delivery: {text}");
    }
}
