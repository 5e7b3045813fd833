//! `relais find`: messages of a running server.

use std::{fmt::Write as _, io::IsTerminal as _};

use serde_json::Value;

use super::{Complaint, Ending, Exit, Format, Place, say, say_json};
use crate::{
    api::{Found, FoundMessage, Looked, MessageStatus},
    client::Client,
    terminal::{Table, counted, tinted, tone_of},
};

/// Find messages by control id, or by patient, visit, order or another search key; or by words in what they hold. Newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to look for; `*` at its end finds beginnings. Without it, the newest messages
    key: Option<String>,
    /// Look into what messages hold instead, for these words in any case: what came, what left, what was answered, and why
    /// something did not get through. Each is said as it is found
    #[arg(long, value_name = "WORDS", conflicts_with = "key")]
    text: Option<String>,
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Of messages: kept, queued, filtered, unrouted, refused, failed, held, superseded; of deliveries:
    /// waiting, begun, sent, unsure, `set_aside`, `given_up`, dropped
    #[arg(long)]
    state: Option<String>,
    /// 2h, 3d, or 2026-03-01T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Older than this message: the next page
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
    /// At most so many; 1000 at the most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let found = match &arguments.text {
        Some(words) => into_contents(arguments, words, &client).await?,
        None => client.get(&["messages"], &query(arguments, ("q", arguments.key.as_ref()))).await?,
    };
    match arguments.format {
        Format::Json => say_json(&found),
        Format::Text if arguments.text.is_some() => {}
        Format::Text => say(table(&found, arguments.limit)),
    }
    if found.is_empty() && arguments.key.is_some() && arguments.format == Format::Text {
        eprintln!("nothing has such a key; `relais find --text WORDS` looks into what messages hold");
    }
    let is_asked = arguments.key.is_some() || arguments.text.is_some();
    Ok(if found.is_empty() && is_asked { Exit::Wrong } else { Exit::Done })
}

fn query(
    arguments: &Arguments,
    (name, words): (&'static str, Option<&String>),
) -> Vec<(&'static str, String)> {
    let wanted = [
        (name, words.cloned()),
        ("channel", arguments.channel.clone()),
        ("state", arguments.state.clone()),
        ("since", arguments.since.clone()),
        ("before", arguments.before.map(|id| id.to_string())),
        ("limit", Some(arguments.limit.to_string())),
    ];
    wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Says each as it is found, and on the other output how far the look is.
async fn into_contents(
    arguments: &Arguments,
    words: &String,
    client: &Client,
) -> Result<Vec<MessageStatus>, Complaint> {
    let (mut all, mut end) = (Vec::new(), None);
    let query = query(arguments, ("text", Some(words)));
    let is_watched = std::io::stderr().is_terminal();
    let heard = |event: &str, told: &str| {
        if event == "problem" {
            let problem: Value = serde_json::from_str(told).unwrap_or_default();
            return Err(Complaint::wrong(problem["detail"].as_str().unwrap_or_default()));
        }
        let told: Found = serde_json::from_str(told)
            .map_err(|error| Complaint::wrong(format!("the server's answer cannot be read: {error}")))?;
        if is_watched {
            eprint!("\r\u{1b}[K");
        }
        if arguments.format == Format::Text {
            told.messages.iter().for_each(|one| say(line(one)));
        }
        if is_watched && !told.is_end {
            eprint!("{}", told.looked.as_ref().map(far).unwrap_or_default());
        }
        all.extend(told.messages.into_iter().map(|one| one.message));
        if told.is_end {
            end = Some((told.looked.unwrap_or_default(), told.before));
        }
        Ok(())
    };
    client.hear(&["messages", "found"], &query, heard).await?;
    let Some((looked, before)) = end else {
        return Err(Complaint::wrong("the server ended before all was looked at"));
    };
    eprintln!("{}", far(&looked));
    if let Some(before) = before {
        eprintln!("older ones: --before {before}");
    }
    Ok(all)
}

/// One message that was found by its content, on a line of its own: the next one may be long in coming.
fn line(found: &FoundMessage) -> String {
    let message = &found.message;
    let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{}  {}  {}  {}  {}  {}  in {}\n",
        message.id,
        tinted(message.word(), tone_of(message.word())),
        shortened(&message.received),
        message.channel,
        named(&message.kind),
        named(&message.control_id),
        match found.place.as_deref() {
            Some("received") => "what came",
            Some("sent") => "what left",
            Some("answered") => "what was answered",
            Some("reason") => "why it did not get through",
            _ => "its keys",
        }
    )
}

/// How far a look is.
fn far(looked: &Looked) -> String {
    let mut words = format!("looked into {}", counted(looked.messages, "message"));
    if let Some(until) = &looked.until {
        let _ = write!(words, ", back to {}", shortened(until));
    }
    for (number, what) in
        [(looked.forgotten, "hold nothing any more"), (looked.unread, "bodies cannot be read")]
    {
        if number > 0 {
            let _ = write!(words, "; {number} {what}");
        }
    }
    words
}

fn table(found: &[MessageStatus], limit: u32) -> String {
    let Some(last) = found.last() else { return "nothing found\n".to_owned() };
    let mut table =
        Table::headed(&["ID", "STATE", "RECEIVED", "CHANNEL", "TYPE", "CONTROL ID", "DELIVERIES"]);
    for message in found {
        table.row([
            message.id.to_string(),
            message.word().to_owned(),
            shortened(&message.received),
            message.channel.clone(),
            message.kind.clone().unwrap_or_default(),
            message.control_id.clone().unwrap_or_default(),
            deliveries(message),
        ]);
    }
    let mut text = table.render(Some(1));
    if found.len() == limit as usize {
        let _ = writeln!(text, "older ones: --before {}", last.id);
    }
    text
}

/// `record sent, archive waiting`, or why there are none.
fn deliveries(message: &MessageStatus) -> String {
    if message.deliveries.is_empty() {
        return message.why.as_ref().map(|why| why.words().to_owned()).unwrap_or_default();
    }
    let told: Vec<_> = message
        .deliveries
        .iter()
        .map(|delivery| format!("{} {}", delivery.destination, delivery.state))
        .collect();
    told.join(", ")
}

/// A time of the API in this machine's zone, to the second.
pub(super) fn shortened(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(when) => when.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_owned(),
    }
}
