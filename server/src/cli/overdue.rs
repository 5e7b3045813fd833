//! `relais overdue`: messages whose answers did not come in time.

use super::{Ending, Exit, Format, Place, find::shortened, say, say_json};
use crate::{api::Unanswered, client::Client, terminal::Table};

/// Show the messages that have no answer in the time in which their channel expects one (`expect:`); the longest due first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One channel alone: that which expects the answers
    channel: Option<String>,
    /// Say that this one needs no answer any more, by its key
    #[arg(long, value_name = "KEY", requires = "channel")]
    settle: Option<String>,
    /// At most so many, the longest due first; 10000 at the most
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    if let (Some(channel), Some(key)) = (&arguments.channel, &arguments.settle) {
        let wish = serde_json::json!({ "key": key });
        let settled: Unanswered = client.post(&["channels", channel, "overdue", "settle"], &wish).await?;
        match arguments.format {
            Format::Json => say_json(&settled),
            Format::Text => {
                say(format_args!("{} of message {} needs no answer\n", settled.key, settled.message));
            }
        }
        return Ok(Exit::Done);
    }
    let wanted = [("channel", arguments.channel.clone()), ("limit", Some(arguments.limit.to_string()))];
    let query: Vec<_> = wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let found: Vec<Unanswered> = client.get(&["overdue"], &query).await?;
    match arguments.format {
        Format::Json => say_json(&found),
        Format::Text => say(table(&found, arguments.limit)),
    }
    Ok(Exit::Done)
}

fn table(found: &[Unanswered], limit: u32) -> String {
    if found.is_empty() {
        return "no answer is overdue\n".to_owned();
    }
    let mut table = Table::headed(&["CHANNEL", "KEY", "MESSAGE", "ASKED", "DUE"]);
    for one in found {
        table.row([
            one.channel.clone(),
            one.key.clone(),
            one.message.to_string(),
            shortened(&one.asked),
            shortened(&one.due),
        ]);
    }
    let mut text = table.render(None);
    if found.len() == limit as usize {
        text.push_str("these are the longest due; there may be more: --limit\n");
    }
    text
}
