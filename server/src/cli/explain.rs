//! `relais explain`: the page of a fault's code.

use super::{Complaint, Ending, Exit, say};

/// Explain the code of a fault: `relais explain unknown-field`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// As `relais check` prints it
    code: String,
}

pub(crate) fn run(arguments: &Arguments) -> Ending {
    let page = channels::explain(&arguments.code)
        .ok_or_else(|| Complaint::misused(format!("there is no code `{}`", arguments.code)))?;
    say(format_args!("{}\n", page.trim_end()));
    Ok(Exit::Done)
}
