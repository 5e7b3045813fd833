//! `relais find`: messages of a running server.

use std::fmt::Write as _;

use super::{Ending, Exit, Format, Place, say, say_json};
use crate::{api::MessageStatus, client::Client, terminal::Table};

/// Find messages by control id, or by patient, visit, order or another search key; newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to look for; `*` at its end finds beginnings. Without it, the newest messages
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
    let wanted = [
        ("q", arguments.text.clone()),
        ("channel", arguments.channel.clone()),
        ("state", arguments.state.clone()),
        ("since", arguments.since.clone()),
        ("before", arguments.before.map(|id| id.to_string())),
        ("limit", Some(arguments.limit.to_string())),
    ];
    let query: Vec<_> = wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let found: Vec<MessageStatus> = Client::reach(place)?.get(&["messages"], &query).await?;
    match arguments.format {
        Format::Json => say_json(&found),
        Format::Text => say(table(&found, arguments.limit)),
    }
    Ok(if found.is_empty() && arguments.text.is_some() { Exit::Wrong } else { Exit::Done })
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
