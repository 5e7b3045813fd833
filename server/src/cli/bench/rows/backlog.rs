//! Many deliveries that wait in one queue: memory, intake, a start with them, and how fast they leave.

use std::{sync::Arc, time::Instant};

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        peer::{Order, Peer},
        report::{Figure, Row},
        stand::{Channel, Stand},
        window::{self, Seen},
    },
    PATIENCE, SENDERS, queued_to,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let mut peer = Peer::up(Order::None, Arc::new(Delivered::unbounded())).await?;
    peer.fall().await;
    let channel = Channel::measured(queued_to(peer.address))?;
    let mut stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let (started_empty, memory_empty) = (stand.child().started_in, stand.child().usage().memory);
    let (empty, few) = intake(bench, &channel).await?;
    let filled = Load::filling(channel.listen, bench.counts().backlog.saturating_sub(few)).start().await;
    let filled = few + filled.finish().await?;
    let memory_filled = stand.child().usage().memory;
    let (full, more) = intake(bench, &channel).await?;
    let waiting = filled + more;
    stand.stop().await?;
    stand.start(&[]).await?;
    let (started_filled, memory_started) = (stand.child().started_in, stand.child().usage().memory);
    peer.rise().await?;
    let began = Instant::now();
    peer.delivered().wait_for(waiting, PATIENCE).await?;
    let drain = waiting as f64 / began.elapsed().as_secs_f64();
    let row = Row::of(Scenario::Backlog, "deliveries that wait in one queue, their receiver down");
    let row = row.at(SENDERS).with("waiting", Figure::Count(waiting));
    let row = row.with("intake_empty", Figure::Rate(empty.pace.median()));
    let row = row.with("intake_filled", Figure::Rate(full.pace.median()));
    let ratio = full.pace.median() / empty.pace.median().max(1e-9);
    let row = row.with("intake_of_empty", Figure::Ratio(ratio)).with("drained", Figure::Rate(drain));
    let row = row.with("delivered", Figure::Count(peer.delivered().count()));
    let row = row.with("start_empty", Figure::Time(started_empty));
    let row = row.with("start_filled", Figure::Time(started_filled));
    let row = row.with("memory_empty", Figure::Bytes(memory_empty));
    let row = row.with("memory_filled", Figure::Bytes(memory_filled));
    let row = row.with("memory_started", Figure::Bytes(memory_started));
    bench.tell(row.with("memory_peak", Figure::Bytes(stand.child().usage().memory_peak)));
    Ok(())
}

/// How fast messages are taken now; and how many were.
async fn intake(bench: &Bench, channel: &Channel) -> Result<(Seen, u64), Complaint> {
    let running = Load::closed(channel.listen, SENDERS).start().await;
    let seen = window::answers(&running, bench.lasts()).await;
    Ok((seen, running.stop().await?))
}
