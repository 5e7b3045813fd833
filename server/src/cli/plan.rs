//! What `resend` and `drop` would do, shown before they do it.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, IsTerminal as _},
};

use serde_json::json;

use super::{Complaint, Ending, Exit, Format, Place, say, say_json};
use crate::{
    api::{DeliveryStatus, MessageStatus, Picked},
    client::Client,
    terminal::{Table, counted},
};

/// Which messages or deliveries are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Messages, by their id
    #[arg(value_name = "ID", required_unless_present = "state", conflicts_with = "state")]
    ids: Vec<u64>,
    /// One destination alone
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// All that stand so: `given_up`, `set_aside`, waiting, unsure; failed, refused or held for whole messages
    #[arg(long)]
    state: Option<String>,
    #[arg(long, value_name = "NAME", requires = "state")]
    channel: Option<String>,
    /// 2h, 3d, or 2026-03-01T08:00:00Z
    #[arg(long, value_name = "TIME", requires = "state")]
    since: Option<String>,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Resend,
    Drop,
}

impl Deed {
    fn name(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Drop => "drop",
        }
    }
}

/// One plan asks the server for so many at a time.
const MOST: &str = "1000";

/// Shows what would be done where it is more than one thing, asks, and does it.
pub(super) async fn carry_out(deed: Deed, selection: &Selection, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let picked = match &selection.state {
        None => pick_ids(&client, deed, selection).await?,
        Some(state) => pick_state(&client, deed, selection, state).await?,
    };
    if picked.is_empty() {
        return Err(Complaint::wrong("nothing stands so"));
    }
    if picked.len() > 1 && !selection.yes {
        say(shown(&picked));
        if !agreed()? {
            return Ok(Exit::Wrong);
        }
    }
    let mut failed = Vec::new();
    for one in &picked {
        if let Err(complaint) = act(&client, deed, one, selection.to.as_deref()).await {
            failed.push(format!("message {}: {}", one.message, complaint.words));
        }
    }
    match selection.format {
        Format::Json => say_json(&json!({ "done": picked.len() - failed.len(), "failed": failed })),
        Format::Text => say(format_args!("{}\n", report(deed, &picked, failed.len()))),
    }
    for words in &failed {
        eprintln!("relais: {words}");
    }
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Wrong })
}

async fn pick_ids(client: &Client, deed: Deed, selection: &Selection) -> Result<Vec<Picked>, Complaint> {
    let mut picked = Vec::new();
    for id in &selection.ids {
        let wish = json!({ "to": selection.to, "plan": true });
        let of_one: Vec<Picked> = client.post(&["messages", &id.to_string(), deed.name()], &wish).await?;
        picked.extend(of_one);
    }
    Ok(picked)
}

async fn pick_state(
    client: &Client,
    deed: Deed,
    selection: &Selection,
    state: &str,
) -> Result<Vec<Picked>, Complaint> {
    let wanted = [
        ("state", Some(state.to_owned())),
        ("channel", selection.channel.clone()),
        ("destination", selection.to.clone()),
        ("since", selection.since.clone()),
        ("limit", Some(MOST.to_owned())),
    ];
    let query: Vec<_> = wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if matches!((deed, state), (Deed::Resend, "failed" | "refused") | (_, "held")) {
        let mut messages: Vec<MessageStatus> = client.get(&["messages"], &query).await?;
        messages.retain(|message| message.deliveries.is_empty());
        // In the order they came.
        messages.reverse();
        return Ok(messages.into_iter().map(|message| whole(deed, message)).collect());
    }
    let deliveries: Vec<DeliveryStatus> = client.get(&["deliveries"], &query).await?;
    Ok(deliveries.into_iter().map(|delivery| single(deed, delivery)).collect())
}

fn whole(deed: Deed, message: MessageStatus) -> Picked {
    let what = match deed {
        Deed::Drop => Picked::ABANDON,
        Deed::Resend if message.state == "held" => Picked::LOOK_AGAIN,
        Deed::Resend => Picked::RUN_AGAIN,
    };
    Picked {
        message: message.id,
        delivery: None,
        destination: None,
        state: message.state,
        what: what.to_owned(),
    }
}

fn single(deed: Deed, delivery: DeliveryStatus) -> Picked {
    let name = &delivery.destination;
    let what = match deed {
        Deed::Resend if delivery.state == "sent" => format!("send to {name} a second time"),
        Deed::Resend => format!("send to {name} again"),
        Deed::Drop => format!("drop for {name}"),
    };
    Picked {
        message: delivery.message,
        delivery: Some(delivery.id),
        destination: Some(delivery.destination),
        state: delivery.state,
        what,
    }
}

async fn act(client: &Client, deed: Deed, one: &Picked, to: Option<&str>) -> Result<(), Complaint> {
    let moved = to.filter(|to| one.destination.as_deref() != Some(to));
    let wish = json!({ "to": moved });
    let (noun, id) = one.delivery.map_or(("messages", one.message), |delivery| ("deliveries", delivery));
    let _: serde_json::Value = client.post(&[noun, &id.to_string(), deed.name()], &wish).await?;
    Ok(())
}

/// So many lines of a plan are shown.
const LINES: usize = 20;

fn shown(picked: &[Picked]) -> String {
    let mut table = Table::headed(&["MESSAGE", "NOW", "WOULD"]);
    for one in picked.iter().take(LINES) {
        table.row([one.message.to_string(), one.state.clone(), one.what.clone()]);
    }
    let mut text = table.render(Some(1));
    if picked.len() > LINES {
        let _ = writeln!(text, "… and {} more", picked.len() - LINES);
    }
    text
}

/// Asks a person; a program must have said `--yes`.
fn agreed() -> Result<bool, Complaint> {
    if !io::stdin().is_terminal() {
        return Err(Complaint::misused("nothing was done; --yes does it"));
    }
    say("do it? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Complaint::wrong)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn report(deed: Deed, picked: &[Picked], failed: usize) -> String {
    let done = (picked.len() - failed) as u64;
    match (deed, picked, failed) {
        (_, [one], 0) => format!("message {}: {}, done", one.message, one.what),
        (Deed::Resend, _, _) => format!("{} on the way again", counted(done, "delivery")),
        (Deed::Drop, _, _) => format!("{} dropped", counted(done, "delivery")),
    }
}
