//! A receiver that is down while messages come, and then up again.

use std::{sync::Arc, time::Instant};

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        peer::{Order, Peer},
        report::Row,
        stand::{Channel, Stand},
    },
    PATIENCE, SENDERS, queued_to,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let mut peer = Peer::up(Order::Arrival, Arc::new(Delivered::unbounded())).await?;
    peer.fall().await;
    let channel = Channel::measured(queued_to(peer.address))?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let mut row =
        Row::of(Scenario::Outage, "the only receiver down for a while, then back; order of arrival");
    row.bytes("memory_before", stand.child().usage().memory);
    let began = Instant::now();
    let load = Load { count: Some(bench.counts().outage), ..Load::closed(channel.listen, SENDERS) };
    let accepted = load.start().await.finish().await?;
    row.count("accepted_while_down", accepted);
    row.rate("intake_while_down", accepted as f64 / began.elapsed().as_secs_f64());
    row.bytes("memory_down", stand.child().usage().memory);
    drain(&mut peer, accepted, &mut row).await?;
    row.bytes("memory_after", stand.child().usage().memory);
    row.bytes("memory_peak", stand.child().usage().memory_peak);
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// The receiver comes back, and gets all that waits.
async fn drain(peer: &mut Peer, waiting: u64, row: &mut Row) -> Result<(), Complaint> {
    peer.rise().await?;
    let began = Instant::now();
    peer.delivered().wait_for(1, PATIENCE).await?;
    row.time("first_after", began.elapsed());
    let began = Instant::now();
    peer.delivered().wait_for(waiting, PATIENCE).await?;
    row.rate("drained", waiting.saturating_sub(1) as f64 / began.elapsed().as_secs_f64());
    row.count("delivered", peer.delivered().count());
    row.count("repeated", peer.repeated());
    peer.require_order()
}
