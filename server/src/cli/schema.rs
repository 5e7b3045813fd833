//! `relais schema`: the JSON Schema of a channel file, for editors.

use super::{Ending, Exit, say_json};

/// Print the JSON Schema of a channel file, for editors.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Ending {
    say_json(&channels::schema());
    Ok(Exit::Done)
}
