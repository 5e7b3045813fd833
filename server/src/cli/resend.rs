//! `relais resend`: send messages again that were given up, or run failed ones again.

use super::{
    Ending, Place,
    plan::{Deed, Selection, carry_out},
};

/// Send messages again that were given up, or run failed ones again.
///
/// More than one at once is shown as a plan first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    carry_out(Deed::Resend, &arguments.selection, place).await
}
