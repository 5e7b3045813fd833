//! `relais episodes`: the states of a running server that need a person, and a person's word about them.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::json;

use super::{Complaint, Ending, Exit, Format, Place, say, say_json};
use crate::{
    alerts::{Episode, Severity},
    api::Episodes,
    client::Client,
    terminal::{Tone, lasting, tinted},
};

/// Show what needs a person, since when, and what to do; or say that somebody sees to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The number of one episode
    id: Option<u64>,
    /// Somebody sees to it: nobody is told of it again until it is over or grows worse
    #[arg(long, requires = "id", conflicts_with_all = ["snooze", "wake"])]
    acknowledge: bool,
    /// What is to be known of it
    #[arg(long, value_name = "TEXT", requires = "acknowledge")]
    note: Option<String>,
    /// Tell of it again after this time, if it is still so: 30m, 2h, 1d
    #[arg(long, value_name = "TIME", requires = "id", conflicts_with = "wake")]
    snooze: Option<String>,
    /// Take both back
    #[arg(long, requires = "id")]
    wake: bool,
    /// Also those that closed within a day
    #[arg(long)]
    closed: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let Some(id) = arguments.id else {
        let state = if arguments.closed { "all" } else { "open" };
        let found: Episodes = client.get(&["episodes"], &[("state", state.to_owned())]).await?;
        match arguments.format {
            Format::Json => say_json(&found),
            Format::Text => say(list(&found)),
        }
        return Ok(Exit::Done);
    };
    let number = id.to_string();
    let one: Episode = if arguments.acknowledge {
        client.post(&["episodes", &number, "acknowledge"], &json!({ "note": arguments.note })).await?
    } else if let Some(time) = &arguments.snooze {
        client.post(&["episodes", &number, "snooze"], &json!({ "for": time })).await?
    } else if arguments.wake {
        client.post(&["episodes", &number, "wake"], &json!({})).await?
    } else {
        let all: Episodes = client.get(&["episodes"], &[]).await?;
        let found = all.episodes.into_iter().find(|one| one.id == id);
        found.ok_or_else(|| Complaint::wrong(format!("there is no episode {id}")))?
    };
    match arguments.format {
        Format::Json => say_json(&one),
        Format::Text => say(told(&one, Timestamp::now())),
    }
    Ok(Exit::Done)
}

fn list(found: &Episodes) -> String {
    if found.episodes.is_empty() {
        return "nothing needs a person\n".to_owned();
    }
    found.episodes.iter().map(|one| told(one, found.made)).collect()
}

fn told(one: &Episode, now: Timestamp) -> String {
    let (word, tone) = match (one.standing(now), one.severity) {
        (None, _) => ("closed", Tone::Faint),
        (Some("open"), Severity::Critical) => ("critical", Tone::Bad),
        (Some("open"), Severity::Warning) => ("warning", Tone::Warning),
        (Some(said), _) => (said, Tone::Faint),
    };
    let since = std::time::Duration::try_from(now.duration_since(one.since)).unwrap_or_default();
    let mut text = format!("{:>4}  {}  {}\n", one.id, tinted(word, tone), one.words.words());
    let _ = write!(text, "      since {} ({} ago)", shown(one.since), lasting(since));
    if one.times > 1 {
        let _ = write!(text, ", for the {}th time", one.times);
    }
    match (one.closed, &one.acknowledged, &one.snoozed) {
        (Some(closed), _, _) => {
            let _ = writeln!(text, ", over at {}", shown(closed));
            return text;
        }
        (None, Some(seen), _) => {
            let note = seen.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            let _ = write!(text, ", seen by {}{note}", seen.by);
        }
        (None, None, Some(put_off)) => {
            let _ = write!(text, ", put off until {} by {}", shown(put_off.until), put_off.by);
        }
        (None, None, None) => {}
    }
    let _ = writeln!(text, "\n      {}", one.advice_words);
    text
}

/// In this machine's zone, to the second.
fn shown(when: Timestamp) -> String {
    when.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
