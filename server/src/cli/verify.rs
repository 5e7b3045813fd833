//! `relais verify`: reads the whole store, or a backup, and says what is wrong.

use std::{fmt::Write as _, path::PathBuf};

use super::{Complaint, Ending, Exit, Format, Place, backup::store_folder, say, say_json};
use crate::{beside, terminal::counted};

/// Read the whole store, or a backup, and say what is wrong with it: every file, every row, everything packed.
///
/// Changes nothing. Ends with 1 if something is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A backup, or a store's folder; else the project's store
    dir: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments, place: &Place) -> Ending {
    let folder = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => store_folder(place)?,
    };
    let mut report = store::verify(&folder).map_err(|error| Complaint::wrong(error.0))?;
    beside::verify(&folder, &mut report);
    match arguments.format {
        Format::Json => say_json(&report),
        Format::Text => say(words(&report)),
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Wrong })
}

fn words(report: &store::Report) -> String {
    let mut text = String::new();
    for fault in &report.faults {
        let _ = write!(text, "{}: {}", fault.file, fault.what);
        if !fault.messages.is_empty() {
            let ids: Vec<_> = fault.messages.iter().map(u64::to_string).collect();
            let _ = write!(text, ": {}", ids.join(" "));
        }
        text.push('\n');
    }
    let wrong = match report.faults.len() as u64 {
        0 => "nothing is wrong".to_owned(),
        faults => counted(faults, "fault"),
    };
    let (files, messages) = (counted(report.files, "file"), counted(report.messages, "message"));
    let deliveries = counted(report.deliveries, "delivery");
    let _ = writeln!(text, "{wrong}: {files}, {messages}, {deliveries}");
    if report.is_running {
        text.push_str("a server runs: its journal, with what it wrote in the last moments, was not read\n");
    }
    text
}
