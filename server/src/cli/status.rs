//! `relais status`: the channels and destinations of a running server.

use std::fmt::Write as _;

use super::{Ending, Exit, Format, Place, say, say_json};
use crate::{
    alerts::{Severity, call},
    api::{ChannelStatus, Episodes, ServerStatus},
    client::Client,
    terminal::{Table, Tone, counted, lasting, sized, tinted},
};

/// Show the channels and destinations of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One channel alone
    channel: Option<String>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// So few days until the disk is full are to be seen at once; so many are nobody's concern.
const NEAR: f64 = 7.0;
const FAR: f64 = 3650.0;

/// So many states that need a person are told beside the channels.
const MOST: usize = 10;

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    if let Some(name) = &arguments.channel {
        let channel: ChannelStatus = client.get(&["channels", name], &[]).await?;
        match arguments.format {
            Format::Json => say_json(&channel),
            Format::Text => say(table(std::slice::from_ref(&channel))),
        }
        return Ok(Exit::Done);
    }
    let channels: Vec<ChannelStatus> = client.get(&["channels"], &[]).await?;
    match arguments.format {
        Format::Json => say_json(&channels),
        Format::Text => {
            let server: ServerStatus = client.get(&["server"], &[]).await?;
            let open = [("state", "open".to_owned())];
            let episodes: Episodes = client.get(&["episodes"], &open).await?;
            let (headline, needs) = (headline(&server, client.address()), needs(&episodes));
            say(format_args!("{headline}{needs}\n{}", table(&channels)));
        }
    }
    Ok(Exit::Done)
}

fn headline(server: &ServerStatus, address: &str) -> String {
    let up = lasting(std::time::Duration::from_secs_f64(server.up_seconds));
    let mut text = format!("relais {} at {address}, up {up}, {}\n", server.version, room(server));
    let said = match (&server.store_trouble, &server.store_refuses) {
        (Some(trouble), _) => Some(("the store cannot write:", trouble)),
        (None, Some(why)) => Some(("no new messages are taken:", why)),
        (None, None) => None,
    };
    if let Some((words, why)) = said {
        let _ = writeln!(text, "{} {why}", tinted(words, Tone::Bad));
    }
    if !server.edit_faults.is_empty() {
        let faults = counted(server.edit_faults.len() as u64, "fault");
        let words = tinted("the files changed and are not in force:", Tone::Warning);
        let _ = writeln!(text, "{words} {faults}, see `relais check`");
    }
    text
}

/// What needs a person, the worst first; not what somebody took note of.
fn needs(episodes: &Episodes) -> String {
    let mut text = String::new();
    let mine = || episodes.episodes.iter().filter(|one| one.needs_somebody(episodes.made));
    for one in mine().take(MOST) {
        let tone = if one.severity == Severity::Critical { Tone::Bad } else { Tone::Warning };
        let call = format!("{}:", call(one));
        let _ = writeln!(text, "{} {} (episode {})", tinted(&call, tone), one.words.words(), one.id);
    }
    match mine().count().saturating_sub(MOST) {
        0 => {}
        more => {
            let _ = writeln!(text, "and {more} more: `relais episodes`");
        }
    }
    text
}

/// How large the store is, and when there is no room for more of it.
fn room(server: &ServerStatus) -> String {
    let mut text = format!("store {}", sized(server.store_bytes));
    if let Some(budget) = server.store_budget_bytes {
        let _ = write!(text, " of {}", sized(budget));
    }
    let _ = write!(text, ", {} free", sized(server.store_free_bytes));
    if let Some(days) = server.store_full_days {
        let tone = if days < NEAR { Tone::Bad } else { Tone::Faint };
        let left = lasting(std::time::Duration::try_from_secs_f64(days * 86_400.0).unwrap_or_default());
        if days < FAR {
            let _ = write!(text, ", {}", tinted(&format!("full in {left} at this pace"), tone));
        }
    }
    text
}

fn table(channels: &[ChannelStatus]) -> String {
    if channels.is_empty() {
        return "no channels\n".to_owned();
    }
    let mut table = Table::headed(&["CHANNEL", "STATE", "WAITING", "OLDEST", "WHAT"]);
    for channel in channels {
        table.row([
            channel.name.clone(),
            channel.state.clone(),
            String::new(),
            String::new(),
            channel.words(),
        ]);
        for destination in &channel.destinations {
            let oldest = destination.oldest_seconds.map(std::time::Duration::from_secs_f64);
            table.row([
                format!("  → {}", destination.name),
                destination.state.clone(),
                destination.depth.to_string(),
                oldest.map(lasting).unwrap_or_default(),
                destination.words(),
            ]);
        }
    }
    let mut text = table.render(Some(1));
    let destinations = || channels.iter().flat_map(|channel| &channel.destinations);
    let unsettled = |state: &str| destinations().any(|one| one.unsettled.contains_key(state));
    for (state, advice) in ADVICE {
        let is_held = state == "held" && channels.iter().any(|channel| channel.held > 0);
        let is_overdue = state == "overdue" && channels.iter().any(|channel| channel.overdue > 0);
        if is_held
            || is_overdue
            || unsettled(state)
            || (state == "failed" && channels.iter().any(|channel| channel.failed > 0))
        {
            let _ = writeln!(text, "{advice}");
        }
    }
    text
}

/// What to do about each state that needs a person.
const ADVICE: [(&str, &str); 6] = [
    (
        "overdue",
        "overdue: `relais overdue` lists the messages without an answer, `relais overdue CHANNEL --settle KEY` says that one needs none",
    ),
    (
        "held",
        "wait for a code: `relais unmapped` lists what the tables lack; with the rows in force the messages go on by themselves",
    ),
    (
        "given_up",
        "given up: `relais find --state given_up` lists them, `relais resend --state given_up` sends them again",
    ),
    (
        "set_aside",
        "set aside: `relais find --state set_aside` lists them, `relais resend ID` sends one, `relais drop ID` does not",
    ),
    (
        "unsure",
        "unsure, it may have arrived: `relais find --state unsure` lists them, `relais show ID` says why",
    ),
    ("failed", "failed: `relais find --state failed` lists them, `relais show ID` says at which step"),
];
