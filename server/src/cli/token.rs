//! `relais token`: what programs send in place of a password.

use super::{Ending, Exit, Format, Place, find::shortened, say, say_json};
use crate::{
    accounts::{Right, TokenStatus, TokenWish},
    api::MadeToken,
    client::Client,
    terminal::Table,
};

/// Look after the tokens of a running server: what programs send in place of a password.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Make a token; it is shown this once
    Create {
        name: String,
        /// What it may; may be given several times
        #[arg(long = "right", value_enum, value_name = "RIGHT", required = true)]
        rights: Vec<Right>,
        /// Limit it to channels with this tag; may be given several times
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// How long it lasts
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: u32,
    },
    /// Every token with what it may, and until when
    List {
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Make a token worth nothing, at once
    Revoke { name: String },
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    match &arguments.act {
        Act::Create { name, rights, tags, days } => {
            let (rights, tags) = (rights.clone(), tags.clone());
            let wish = TokenWish { name: name.clone(), rights, tags, days: *days };
            let made: MadeToken = client.post(&["tokens"], &wish).await?;
            // Alone on its line, for a program that takes it from here.
            say(format_args!("{}\n", made.token));
        }
        Act::List { format } => list(&client, *format).await?,
        Act::Revoke { name } => {
            client.delete(&["tokens", name], &[]).await?;
            say(format_args!("{name} is revoked\n"));
        }
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, format: Format) -> Result<(), super::Complaint> {
    let all: Vec<TokenStatus> = client.get(&["tokens"], &[]).await?;
    if format == Format::Json {
        say_json(&all);
        return Ok(());
    }
    if all.is_empty() {
        say("there are no tokens\n");
        return Ok(());
    }
    let mut table = Table::headed(&["NAME", "RIGHTS", "CHANNELS", "UNTIL", "MADE BY"]);
    for one in all {
        let rights: Vec<_> = one.rights.iter().map(|right| right.name()).collect();
        let tags = if one.tags.is_empty() { "all".to_owned() } else { one.tags.join(", ") };
        let until = shortened(&one.until);
        let until = if one.expired { format!("{until} (expired)") } else { until };
        table.row([one.name, rights.join(", "), tags, until, one.by]);
    }
    say(table.render(None));
    Ok(())
}
