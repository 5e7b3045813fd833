//! `relais schema`: the JSON Schema of a channel file, for editors.

use super::{Exit, say_json};

/// Print the JSON Schema of a channel file, for editors.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Exit {
    say_json(&channels::schema());
    Exit::Done
}
