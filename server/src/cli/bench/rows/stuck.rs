//! One patient's receiver silent, order by patient with 64 workers: the others go on.

use std::sync::Arc;

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        peer::{Order, Peer},
        report::Row,
        stand::{Channel, Stand},
        window::{self, Pace},
    },
    PATIENCE, SENDERS,
};
use crate::cli::Complaint;

/// The first patient of the first connection.
const STUCK: u64 = 0;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let peer = Peer::up(Order::Patient, Arc::new(Delivered::ahead(SENDERS))).await?;
    let channel = Channel::measured(format!(
        "reply: processed\ndestinations:\n  - name: out\n    queue: always\n    order: {{ key: [PID-3.1] }}\n    \
         workers: 64\n    to:\n      mllp: {{ connect: \"{}\", timeout: 1h }}\n",
        peer.address
    ))?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let (free, first) = load(bench, &channel, &peer).await?;
    peer.delivered().wait_for(first, PATIENCE).await?;
    peer.hold(Some(STUCK));
    let (stuck, second) = load(bench, &channel, &peer).await?;
    let waiting = (first + second).saturating_sub(peer.delivered().count());
    peer.hold(None);
    peer.delivered().wait_for(first + second, PATIENCE).await?;
    peer.require_order()?;
    drop(stand);
    let mut row = Row::of(Scenario::Stuck, "order by patient, 64 workers, one patient's messages unanswered");
    row.pace(&stuck);
    row.rate("rate_with_none_stuck", free.median());
    row.ratio("rate_of_none_stuck", stuck.median(), free.median());
    row.count("undelivered_at_the_end", waiting);
    row.count("accepted", first + second);
    row.count("delivered", peer.delivered().count());
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// How fast messages arrive; and how many were accepted in all.
async fn load(bench: &Bench, channel: &Channel, peer: &Peer) -> Result<(Pace, u64), Complaint> {
    let load = Load::closed(channel.listen, SENDERS);
    let running = Load { delivered: Arc::clone(peer.delivered()), ..load }.start().await;
    window::warm_up_of(&running, bench.lasts()).await;
    let pace = window::slices(bench.lasts(), || peer.delivered().count()).await;
    Ok((pace, running.stop().await?))
}
