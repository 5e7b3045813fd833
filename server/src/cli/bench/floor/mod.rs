//! The floor: what this machine gives a listener that does nothing but make each message durable and answer it.

mod listener;
mod sequence;
mod writer;

use std::{net::SocketAddr, path::PathBuf};

use super::{Ending, Exit};

/// The floor of `relais bench`, in a process of its own.
///
/// Answers each message once it is durable in a file; or, with `--peer`, hands on messages of its own, one after the
/// other: made durable, sent, answered.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file in which messages are made durable
    file: PathBuf,
    /// Hands on to this peer instead of listening
    #[arg(long, value_name = "ADDR")]
    peer: Option<SocketAddr>,
}

pub(crate) async fn run(arguments: Arguments) -> Ending {
    let file = writer::prepare(&arguments.file)?;
    match arguments.peer {
        Some(peer) => sequence::run(file, peer).await?,
        None => listener::run(file).await?,
    }
    Ok(Exit::Done)
}
