//! `relais deploy`: brings the files as they are now into force.

use super::{Ending, Exit, Place, say};
use crate::{api::Deployed, client::Client, terminal::counted};

/// Bring the files as they are now into force, in the running server.
///
/// Refused with everything that is wrong if the files have a fault; the version in force goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One channel alone
    channel: Option<String>,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let query: Vec<_> = arguments.channel.iter().map(|channel| ("channel", channel.clone())).collect();
    let deployed: Deployed = Client::reach(place)?.post_with(&["deploy"], &query, &()).await?;
    if !deployed.in_force {
        say(&deployed.report);
        say(format_args!("\n\nnot in force: {}\n", counted(deployed.faults, "fault")));
        return Ok(Exit::Wrong);
    }
    for change in &deployed.changes {
        say(format_args!("{change}\n"));
    }
    if deployed.changes.is_empty() {
        say("in force already: nothing changed\n");
    }
    if !deployed.losses.is_empty() {
        say("the change loses:\n");
    }
    for loss in &deployed.losses {
        say(format_args!("  {loss}\n"));
    }
    for setting in &deployed.wait_for_restart {
        say(format_args!("relais.yaml: `{setting}` takes effect when the server is restarted\n"));
    }
    Ok(Exit::Done)
}
