//! `relais pending`: what waits on the far side, here and in queues.

use std::{fmt::Write as _, time::Duration};

use serde_json::json;

use super::{Complaint, Ending, Exit, Format, Place, retry::left_to_persons, say, say_json};
use crate::{
    api::{Pending, Retried},
    client::Client,
    terminal::{Table, lasting},
};

/// Show what waits: files on the far side, files that are taken and not put away, deliveries in queues.
///
/// Changes nothing, and may be run at any time. What was refused or given up does not wait: `relais retry` takes it up.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One channel alone, with the names of its files
    channel: Option<String>,
    /// So many files of a place are named, the oldest; 10000 at the most
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(..=10_000))]
    limit: u32,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(arguments.channel.clone().map(|channel| ("channel", channel)));
    let found: Vec<Pending> = client.get_patiently(&["pending"], &query).await?;
    if arguments.format == Format::Json {
        say_json(&found);
        return Ok(Exit::Done);
    }
    say(table(&found, arguments.channel.is_some()));
    if let Some(channel) = &arguments.channel {
        say(unprocessed(&client, channel).await?);
        say(left_to_persons(&client, channel).await);
    }
    Ok(Exit::Done)
}

fn table(found: &[Pending], with_files: bool) -> String {
    if found.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let mut table = Table::headed(&["CHANNEL", "STATE", "WHERE", "WAITING", "OLDEST", "WHAT"]);
    let age = |seconds: f64| lasting(Duration::from_secs_f64(seconds.max(0.0)));
    for one in found {
        let place = if one.side == "queue" { format!("→ {}", one.place) } else { one.place.clone() };
        let number = if one.state == "unknown" { "?".to_owned() } else { one.number.to_string() };
        table.row([
            one.channel.clone(),
            one.state.clone(),
            place,
            number,
            one.oldest_seconds.map(age).unwrap_or_default(),
            one.why.as_ref().map(|why| why.words().to_owned()).unwrap_or_default(),
        ]);
        for file in one.files.iter().filter(|_| with_files) {
            let blank = String::new;
            table.row([
                blank(),
                blank(),
                format!("  {}", file.file),
                blank(),
                age(file.age_seconds),
                blank(),
            ]);
        }
        let more = one.number - (one.files.len() as u64).min(one.number);
        if with_files && !one.files.is_empty() && more > 0 {
            let blank = String::new;
            table.row([blank(), blank(), format!("  … and {more} more"), blank(), blank(), blank()]);
        }
    }
    table.render(Some(1))
}

/// A word on what does not wait and was not processed.
async fn unprocessed(client: &Client, channel: &str) -> Result<String, Complaint> {
    let plan = json!({ "plan": true });
    let mut text = String::new();
    // Where the far side is not there, that has been said.
    if let Ok(left) = client.post_patiently::<Vec<Retried>>(&["channels", channel, "retry"], &plan).await
        && !left.is_empty()
    {
        let number = left.len();
        let _ = writeln!(text, "not processed: {number}, see `relais retry {channel} --plan`");
    }
    Ok(text)
}
