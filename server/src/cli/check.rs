//! `relais check`: everything wrong with a project, with lines.

use std::path::{Path, PathBuf};

use channels::{Options, Project, Secrets};

use super::{Complaint, Ending, Exit, Format, Place, say, say_json};
use crate::terminal::{Tone, colour, counted, tinted};

/// Say everything that is wrong with a project, with lines.
///
/// Leaves with 1 if anything is. A warning never does, unless `--strict`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The project's folder
    dir: Option<PathBuf>,
    /// The variables of `environments/NAME.yaml`
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Secrets must be there and readable; else they are taken as present
    #[arg(long)]
    secrets: bool,
    /// Warnings count as faults
    #[arg(long)]
    strict: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments, place: &Place) -> Ending {
    let root = place.root(arguments.dir.as_ref());
    let secrets = if arguments.secrets { Secrets::Needed } else { Secrets::TakenAsPresent };
    let options = Options {
        environment: arguments.environment.clone(),
        secrets,
        strict: arguments.strict,
        ..Options::default()
    };
    let project = load(&root, &options)?;
    match arguments.format {
        Format::Json => say_json(&channels::to_json(&project.faults)),
        Format::Text => say(report(&project)),
    }
    Ok(if project.is_sound() { Exit::Done } else { Exit::Wrong })
}

/// Loads the project of a command; a folder that is not there makes the command wrong.
pub(super) fn load(root: &Path, options: &Options) -> Result<Project, Complaint> {
    if !root.is_dir() {
        return Err(Complaint::misused(format!("there is no folder {}", root.display())));
    }
    Ok(channels::load(root, options))
}

fn report(project: &Project) -> String {
    let mut text = channels::render_text(&project.faults, colour());
    if !project.faults.is_empty() {
        text.push('\n');
    }
    let errors = project.faults.iter().filter(|fault| fault.is_error()).count() as u64;
    let warnings = project.faults.len() as u64 - errors;
    let looked_at = counted(project.channels.len() as u64, "channel");
    let summary = match (errors, warnings) {
        (0, 0) => format!("{}: {looked_at}\n", tinted("nothing is wrong", Tone::Good)),
        (0, warnings) => format!("{looked_at}: nothing is wrong, {}\n", counted(warnings, "warning")),
        (errors, 0) => format!("{looked_at}: {}\n", tinted(&counted(errors, "fault"), Tone::Bad)),
        (errors, warnings) => {
            let faults = tinted(&counted(errors, "fault"), Tone::Bad);
            format!("{looked_at}: {faults}, {}\n", counted(warnings, "warning"))
        }
    };
    format!("{text}{summary}")
}
