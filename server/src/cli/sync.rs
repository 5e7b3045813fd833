//! `relais sync`: sources that keep themselves in step with a server: how they stand, and what they shall do.

use std::{fmt::Write as _, time::Duration};

use jiff::Timestamp;

use super::{Ending, Exit, Format, Place, say, say_json};
use crate::{
    api::{NewSync, SyncStatus},
    client::Client,
    terminal::{Table, Tone, counted, lasting, tinted},
};

/// Look after the syncs of a running server: sources that keep themselves in step with a FHIR server.
///
/// A sync is a channel and a type, CHANNEL/TYPE; CHANNEL alone means all of its types.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Every sync with its state: OK, KO, STOP or RUNNING
    List(Shown),
    /// Everything that is known of one
    Show {
        /// CHANNEL or CHANNEL/TYPE
        sync: String,
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Run at once, and as planned from then on
    Start(Which),
    /// Stop behind the page that is being taken; `start` goes on from there
    Stop(Which),
    /// Ask for everything at once, and find what is gone
    Full(Which),
    /// Make a channel with a sync, as a file of `channels/`, and start it
    Create(Box<Create>),
    /// Remove the file of a channel with syncs, and the channel with it
    Delete {
        channel: String,
        /// Remove what it brought into the directory, too
        #[arg(long)]
        forget: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Shown {
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// CHANNEL or CHANNEL/TYPE
    sync: String,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// What the channel is called
    channel: String,
    /// A file of `sources/` to use, in place of `--base`
    #[arg(long, value_name = "NAME", conflicts_with = "base")]
    source: Option<String>,
    /// The server's base; the Annuaire's own without it
    #[arg(long, value_name = "URL")]
    base: Option<String>,
    /// Where the Annuaire's key is: `${NAME}` or `${file:PATH}`
    #[arg(long, value_name = "WHERE")]
    key: Option<String>,
    /// The types: `Practitioner,PractitionerRole`
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    resources: Vec<String>,
    /// The pause between two runs: `1h`
    #[arg(long, value_name = "PERIOD")]
    every: Option<String>,
    /// In place of `--every`: when runs begin, as cron writes it: `30 2 * * *`
    #[arg(long, value_name = "TIMES", conflicts_with = "every")]
    at: Option<String>,
    /// The zone of `--at`: `Europe/Paris`
    #[arg(long, value_name = "ZONE", requires = "at")]
    zone: Option<String>,
    /// How often calls are made at most: `17/s`, `none`
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// A FHIR server that the changes go to, beside the directory
    #[arg(long, value_name = "URL")]
    fhir: Option<String>,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    match &arguments.act {
        Act::List(shown) => list(&client, shown.format).await,
        Act::Show { sync, format } => show(&client, sync, *format).await,
        Act::Start(which) => act(&client, &which.sync, "start").await,
        Act::Stop(which) => act(&client, &which.sync, "stop").await,
        Act::Full(which) => act(&client, &which.sync, "full").await,
        Act::Create(create) => self::create(&client, create).await,
        Act::Delete { channel, forget } => {
            client.delete(&["syncs", channel], &[("forget", forget.to_string())]).await?;
            say(format_args!("{channel} is gone\n"));
            Ok(Exit::Done)
        }
    }
}

async fn list(client: &Client, format: Format) -> Ending {
    let syncs: Vec<SyncStatus> = client.get(&["syncs"], &[]).await?;
    match format {
        Format::Json => say_json(&syncs),
        Format::Text => say(table(&syncs)),
    }
    Ok(Exit::Done)
}

async fn show(client: &Client, sync: &str, format: Format) -> Ending {
    let (channel, query) = named(sync);
    let syncs: Vec<SyncStatus> = client.get(&["syncs", channel], &query).await?;
    match format {
        Format::Json => say_json(&syncs),
        Format::Text => syncs.iter().for_each(|sync| say(whole(sync))),
    }
    Ok(Exit::Done)
}

async fn act(client: &Client, sync: &str, what: &str) -> Ending {
    let (channel, query) = named(sync);
    let syncs: Vec<SyncStatus> = client.post_with(&["syncs", channel, what], &query, &()).await?;
    for sync in syncs {
        let told = match what {
            "stop" => "stops behind the page that is being taken",
            "full" => "asks for everything",
            _ => "runs",
        };
        say(format_args!("{}/{} {told}\n", sync.channel, sync.resource));
    }
    Ok(Exit::Done)
}

async fn create(client: &Client, create: &Create) -> Ending {
    let new = NewSync {
        channel: create.channel.clone(),
        source: create.source.clone(),
        base: create.base.clone(),
        key: create.key.clone(),
        resources: create.resources.clone(),
        every: create.every.clone(),
        at: create.at.clone(),
        zone: create.zone.clone(),
        rate: create.rate.clone(),
        fhir: create.fhir.clone(),
    };
    let _: Vec<SyncStatus> = client.post(&["syncs"], &new).await?;
    say(format_args!("channels/{}.yaml is written, and runs\n", create.channel));
    Ok(Exit::Done)
}

fn named(sync: &str) -> (&str, Vec<(&'static str, String)>) {
    match sync.split_once('/') {
        Some((channel, resource)) => (channel, vec![("resource", resource.to_owned())]),
        None => (sync, Vec::new()),
    }
}

fn table(syncs: &[SyncStatus]) -> String {
    if syncs.is_empty() {
        return "no syncs\n".to_owned();
    }
    let mut table = Table::headed(&["SYNC", "STATE", "RESOURCES", "PAGES", "LAST", "NEXT", "WHAT"]);
    for sync in syncs {
        table.row([
            format!("{}/{}", sync.channel, sync.resource),
            sync.state.clone(),
            sync.resources.to_string(),
            sync.pages.to_string(),
            sync.last_success.map(ago).unwrap_or_default(),
            sync.next_run.map(until).unwrap_or_default(),
            words(sync),
        ]);
    }
    table.render(Some(1))
}

/// What it does, or why it does nothing.
fn words(sync: &SyncStatus) -> String {
    if let Some(why) = &sync.why {
        return why.words().to_owned();
    }
    if sync.state != "RUNNING" {
        return String::new();
    }
    let mut words = sync.total.map_or_else(
        || counted(sync.seen, "resource"),
        |total| format!("{} of {total} ({:.0} %)", sync.seen, 100.0 * sync.seen as f64 / total.max(1) as f64),
    );
    if let Some(rate) = sync.rate {
        words = format!("{words}, {rate:.1} pages/s");
    }
    if let Some(left) = sync.seconds_left.filter(|left| *left > 0) {
        words = format!("{words}, {} left", lasting(Duration::from_secs(left)));
    }
    words
}

fn whole(sync: &SyncStatus) -> String {
    let tone = match sync.state.as_str() {
        "OK" => Tone::Good,
        "KO" => Tone::Bad,
        _ => Tone::Faint,
    };
    let mut text = format!("{}/{} is {}\n", sync.channel, sync.resource, tinted(&sync.state, tone));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<14}{value}");
        }
    };
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    line("what", words(sync));
    line("resources", sync.resources.to_string());
    line("pages", sync.pages.to_string());
    line("last success", time(sync.last_success));
    line("last full", time(sync.last_full));
    line("next run", time(sync.next_run));
    line("watermark", time(sync.watermark));
    line(
        "changes",
        format!(
            "{} created, {} updated, {} deactivated, {} removed, {} wait to leave",
            sync.created, sync.updated, sync.deactivated, sync.removed, sync.waiting
        ),
    );
    line("rejected", sync.rejected.to_string());
    line("unusable", sync.unusable.to_string());
    for again in &sync.asked_again {
        line("", format!("{} since {}: asked for again by its id", again.id, again.since));
    }
    line("late changes", sync.late_changes.to_string());
    line("overlooked", sync.overlooked.to_string());
    line("outside", sync.outside.to_string());
    text
}

fn ago(time: Timestamp) -> String {
    let since = Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default();
    format!("{} ago", lasting(since))
}

fn until(time: Timestamp) -> String {
    let until = Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default();
    format!("in {}", lasting(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_a_channel_or_one_type_of_it() {
        assert_eq!(named("annuaire"), ("annuaire", Vec::new()));
        assert_eq!(named("annuaire/Device"), ("annuaire", vec![("resource", "Device".to_owned())]));
    }
}
