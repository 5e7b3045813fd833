//! What is measured beside the ways of a message: one file for each.

pub(super) mod against;
pub(super) mod backlog;
pub(super) mod channels;
pub(super) mod chart;
pub(super) mod consoles;
pub(super) mod disk;
pub(super) mod kept;
pub(super) mod large;
pub(super) mod lone;
pub(super) mod outage;
pub(super) mod retention;
pub(super) mod script;
pub(super) mod soak;
pub(super) mod start;
pub(super) mod stuck;

use std::time::Duration;

use super::{
    Bench,
    load::Load,
    stand::Channel,
    window::{self, Seen},
};
use crate::cli::Complaint;

/// How long nothing may arrive before the rest counts as lost.
const PATIENCE: Duration = Duration::from_mins(1);
/// Senders at once where their number is not what is measured.
const SENDERS: u16 = 64;
/// Keeps every message; nothing leaves.
const KEEPS: &str = "reply: stored\ndestinations: []\n";

/// How fast a channel takes messages now, and how many it took.
async fn intake(bench: &Bench, channel: &Channel) -> Result<(Seen, u64), Complaint> {
    let running = Load::closed(channel.listen, SENDERS).start().await;
    let seen = window::answers(&running, bench.lasts()).await;
    Ok((seen, running.stop().await?))
}

/// Hands every message on from the queue, in order; a receiver that is down is tried often.
fn queued_to(peer: std::net::SocketAddr) -> String {
    format!(
        "reply: processed\ndestinations:\n  - name: out\n    queue: always\n    retry: {{ first: 100ms, longest: 500ms }}\n    \
         to:\n      mllp: {{ connect: \"{peer}\" }}\n"
    )
}
