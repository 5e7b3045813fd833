//! `relais account`: who may sign in, and what he may.

use super::{Ending, Exit, Format, Place, find::shortened, say, say_json};
use crate::{
    accounts::{AccountStatus, Role},
    api::{Linked, NewAccount, NewRole},
    client::Client,
    terminal::Table,
};

/// Look after the accounts of a running server: who may sign in, and what he may.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Every account with its role
    List {
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Make an account, and a link by which its owner chooses a password
    Add {
        name: String,
        #[arg(long, value_enum)]
        role: Role,
        /// Limit it to channels with this tag; may be given several times
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Give an account another role; without `--tag` it sees every channel
    Role {
        name: String,
        #[arg(value_enum)]
        role: Role,
        /// Limit it to channels with this tag; may be given several times
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Make a new link, for who forgot the password; the old one works until another is chosen
    Link { name: String },
    /// Remove an account; whoever is signed in with it is out at once
    Remove { name: String },
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    match &arguments.act {
        Act::List { format } => list(&client, *format).await?,
        Act::Add { name, role, tags } => {
            let wanted = NewAccount { name: name.clone(), role: *role, tags: tags.clone() };
            tell_link(&client, &client.post(&["accounts"], &wanted).await?);
        }
        Act::Role { name, role, tags } => {
            let wanted = NewRole { role: *role, tags: tags.clone() };
            client.post_only(&["accounts", name, "role"], &wanted).await?;
            say(format_args!("{name} is {}{}\n", role.name(), of(tags)));
        }
        Act::Link { name } => {
            tell_link(&client, &client.post(&["accounts", name, "link"], &()).await?);
        }
        Act::Remove { name } => {
            client.delete(&["accounts", name], &[]).await?;
            say(format_args!("{name} is gone\n"));
        }
    }
    Ok(Exit::Done)
}

fn tell_link(client: &Client, linked: &Linked) {
    say(format_args!(
        "{} chooses a password here, once, within a day:\n  {}/#/welcome/{}\n",
        linked.name,
        client.address(),
        linked.link
    ));
}

async fn list(client: &Client, format: Format) -> Result<(), super::Complaint> {
    let all: Vec<AccountStatus> = client.get(&["accounts"], &[]).await?;
    if format == Format::Json {
        say_json(&all);
        return Ok(());
    }
    let mut table = Table::headed(&["NAME", "ROLE", "CHANNELS", "PASSWORD"]);
    for one in all {
        let password = match (one.has_password, one.link_until) {
            _ if one.provider.is_some() => format!("at {}", one.provider.unwrap_or_default()),
            (true, None) => "chosen".to_owned(),
            (true, Some(until)) => format!("chosen; a link works until {}", shortened(&until)),
            (false, Some(until)) => format!("none yet; a link works until {}", shortened(&until)),
            (false, None) => "none".to_owned(),
        };
        let tags = if one.tags.is_empty() { "all".to_owned() } else { one.tags.join(", ") };
        table.row([one.name, one.role.name().to_owned(), tags, password]);
    }
    say(table.render(None));
    Ok(())
}

fn of(tags: &[String]) -> String {
    if tags.is_empty() { String::new() } else { format!(" of channels tagged {}", tags.join(", ")) }
}
