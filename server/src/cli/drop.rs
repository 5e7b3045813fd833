//! `relais drop`: drop what waits or was given up: it is never sent.

use super::{
    Ending, Place,
    plan::{Deed, Selection, carry_out},
};

/// Drop what waits or was given up: it is never sent.
///
/// More than one at once is shown as a plan first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    carry_out(Deed::Drop, &arguments.selection, place).await
}
