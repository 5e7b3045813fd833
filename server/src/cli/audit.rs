//! `relais audit`: who did what and who looked at what; whether nothing of it was changed; all of it, for others.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{Complaint, Ending, Exit, Format, Place, backup::store_folder, find::shortened, say, say_json};
use crate::{
    audit::{Entry, Export, Form, verify},
    client::Client,
    terminal::{Table, counted},
};

/// Read the audit log: who changed what, and who looked at what messages hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// The newest lines, of a running server
    Show {
        /// One account or token alone
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
        /// At most so many, the newest first; 1000 at the most
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Follow the hash of each line; ends with 1 where a line was changed, added or taken away
    Verify {
        /// A store's folder or a backup; else the project's store
        dir: Option<PathBuf>,
        /// Whether this hash, noted earlier, still stands in it: nothing was cut off behind it
        #[arg(long, value_name = "HASH")]
        holds: Option<String>,
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Write the lines out, on standard output
    Export {
        /// A store's folder or a backup; else the project's store
        dir: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Form,
        /// Those since then alone: `2026-03-01T00:00:00Z`
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
    },
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    match &arguments.act {
        Act::Show { who, limit, format } => show(place, who.as_ref(), *limit, *format).await,
        Act::Verify { dir, holds, format } => check(&folder(dir.as_ref(), place)?, holds.as_deref(), *format),
        Act::Export { dir, format, since } => export(&folder(dir.as_ref(), place)?, *format, *since),
    }
}

/// The log is a file: what reads all of it does so where it lies.
fn folder(written: Option<&PathBuf>, place: &Place) -> Result<PathBuf, Complaint> {
    if place.server.is_some() {
        return Err(Complaint::misused("this reads the file of the log: run it on the server's machine"));
    }
    written.map_or_else(|| store_folder(place), |dir| Ok(dir.clone()))
}

async fn show(place: &Place, who: Option<&String>, limit: u32, format: Format) -> Ending {
    let client = Client::reach(place)?;
    let mut query = vec![("limit", limit.to_string())];
    query.extend(who.map(|who| ("who", who.clone())));
    let lines: Vec<Entry> = client.get(&["audit"], &query).await?;
    if format == Format::Json {
        say_json(&lines);
        return Ok(Exit::Done);
    }
    let mut table = Table::headed(&["AT", "WHO", "FROM", "WHAT", "SUBJECT", "STATUS"]);
    for line in lines {
        let from = line.from.unwrap_or_default();
        let status = line.status.to_string();
        table.row([shortened(&line.at), line.who, from, line.what, line.subject, status]);
    }
    say(table.render(None));
    Ok(Exit::Done)
}

fn check(folder: &Path, holds: Option<&str>, format: Format) -> Ending {
    let sound = verify(folder, holds).map_err(Complaint::wrong)?;
    match format {
        Format::Json => say_json(&sound),
        Format::Text => {
            let lines = counted(sound.lines, "line");
            say(format_args!("{lines}, each follows the one before\nthe last has the hash {}\n", sound.hash));
            if sound.is_cut {
                say("behind it stands a line that is not whole: a crash cut it, or it is being written\n");
            }
        }
    }
    if sound.holds {
        return Ok(Exit::Done);
    }
    Err(Complaint::wrong("no line has that hash: lines were cut off, or it is of another log"))
}

fn export(folder: &Path, form: Form, since: Option<Timestamp>) -> Ending {
    let mut output = io::stdout().lock();
    for piece in Export::of(folder, form, since).map_err(Complaint::wrong)? {
        if output.write_all(piece.map_err(Complaint::wrong)?.as_bytes()).is_err() {
            // Whoever read it has gone.
            return Ok(Exit::Done);
        }
    }
    output.flush().map_err(Complaint::wrong)?;
    Ok(Exit::Done)
}
