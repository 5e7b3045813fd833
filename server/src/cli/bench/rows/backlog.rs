//! Many deliveries that wait in one queue: memory, intake, a start with them, and how fast they leave.

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
    PATIENCE, SENDERS, intake, queued_to,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let mut peer = Peer::up(Order::None, Arc::new(Delivered::unbounded())).await?;
    peer.fall().await;
    let channel = Channel::measured(queued_to(peer.address))?;
    let mut stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let mut row = Row::of(Scenario::Backlog, "deliveries that wait in one queue, their receiver down");
    row.time("start_empty", stand.child().started_in);
    row.bytes("memory_empty", stand.child().usage().memory);
    let waiting = fill(bench, &channel, &stand, &mut row).await?;
    stand.stop().await?;
    stand.start(&[]).await?;
    row.time("start_filled", stand.child().started_in);
    row.bytes("memory_started", stand.child().usage().memory);
    peer.rise().await?;
    let began = Instant::now();
    peer.delivered().wait_for(waiting, PATIENCE).await?;
    row.rate("drained", waiting as f64 / began.elapsed().as_secs_f64());
    row.count("delivered", peer.delivered().count());
    row.bytes("memory_peak_of_the_drain", stand.child().usage().memory_peak);
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// Intake into an empty queue, then very much, then intake into a full one; returns how many wait.
async fn fill(bench: &Bench, channel: &Channel, stand: &Stand, row: &mut Row) -> Result<u64, Complaint> {
    let (empty, few) = intake(bench, channel).await?;
    let filling = Load::filling(channel.listen, bench.counts().backlog.saturating_sub(few));
    let many = filling.start().await.finish().await?;
    row.bytes("memory_filled", stand.child().usage().memory);
    let (full, more) = intake(bench, channel).await?;
    let waiting = few + many + more;
    row.count("waiting", waiting);
    row.rate("intake_empty", empty.pace.median());
    row.rate("intake_filled", full.pace.median());
    row.ratio("intake_of_empty", full.pace.median(), empty.pace.median());
    Ok(waiting)
}
