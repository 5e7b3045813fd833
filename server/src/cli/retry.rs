//! `relais retry`: takes up again what a channel did not get through.

use std::fmt::Write as _;

use serde_json::json;

use super::{Ending, Exit, Format, Place, say, say_json};
use crate::{
    api::{ChannelStatus, Retried},
    client::Client,
    terminal::Table,
};

/// Take up again what a channel did not get through: files that were refused, failed or left, and deliveries given up.
///
/// May be run at any time, by hand or from cron: what is under way or went through since is not done twice. A file that was
/// mended where it lies is taken as a new one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    channel: String,
    /// These files alone, by their names; `*` stands for anything
    files: Vec<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let path = ["channels", &arguments.channel, "retry"];
    let wish = |plan: bool| json!({ "files": arguments.files, "plan": plan });
    let is_text = arguments.format == Format::Text;
    if arguments.plan || is_text {
        let planned: Vec<Retried> = client.post_patiently(&path, &wish(true)).await?;
        match arguments.format {
            Format::Json => say_json(&planned),
            Format::Text => say(table(&planned)),
        }
        if is_text && arguments.files.is_empty() {
            say(left_to_persons(&client, &arguments.channel).await);
        }
        if arguments.plan || planned.is_empty() {
            return Ok(Exit::Done);
        }
    }
    let done: Vec<Retried> = client.post_patiently(&path, &wish(false)).await?;
    match arguments.format {
        Format::Json => say_json(&done),
        Format::Text => say(summary(&done)),
    }
    Ok(if done.iter().any(|one| one.problem.is_some()) { Exit::Wrong } else { Exit::Done })
}

/// A word on deliveries that may have arrived: they go again only where somebody says so.
pub(super) async fn left_to_persons(client: &Client, channel: &str) -> String {
    let mut text = String::new();
    // What the server says of it was said already, or will be by the next command.
    let Ok(status) = client.get::<ChannelStatus>(&["channels", channel], &[]).await else { return text };
    for (state, words) in [("set_aside", "set aside for a person"), ("unsure", "in doubt")] {
        let number: u64 = status.destinations.iter().filter_map(|one| one.unsettled.get(state)).sum();
        if number > 0 {
            let _ = writeln!(
                text,
                "{words}: {number}; `relais find --channel {channel} --state {state}` lists them, `relais retry {channel} FILE` sends one again"
            );
        }
    }
    text
}

/// So many lines of a plan are shown.
const LINES: usize = 100;

fn table(planned: &[Retried]) -> String {
    if planned.is_empty() {
        return "nothing is to be taken up again\n".to_owned();
    }
    let mut table = Table::headed(&["FILE", "STATE", "MESSAGE", "TO DO", "WHY IT STOPPED"]);
    for one in planned.iter().take(LINES) {
        table.row([
            named(one),
            one.state.clone(),
            one.message.map(|id| id.to_string()).unwrap_or_default(),
            one.what.clone(),
            one.why.as_ref().map(|why| why.words().to_owned()).unwrap_or_default(),
        ]);
    }
    let mut text = table.render(Some(1));
    if planned.len() > LINES {
        let _ = writeln!(text, "… and {} more", planned.len() - LINES);
    }
    text
}

fn summary(done: &[Retried]) -> String {
    let problems: Vec<_> = done.iter().filter_map(|one| Some((named(one), one.problem.as_ref()?))).collect();
    let number = done.len() - problems.len();
    let mut text = format!("{number} of {} taken up again\n", done.len());
    for (name, problem) in problems.iter().take(LINES) {
        let _ = writeln!(text, "not {name}: {}", problem.words());
    }
    text
}

fn named(one: &Retried) -> String {
    one.file.clone().unwrap_or_else(|| "-".to_owned())
}
