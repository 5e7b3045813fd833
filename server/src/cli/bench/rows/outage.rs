//! A receiver that is down while messages come, and then up again.

use std::{sync::Arc, time::Instant};

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        peer::{Order, Peer},
        report::{Figure, Row},
        stand::{Channel, Stand},
    },
    PATIENCE, SENDERS, queued_to,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let count = bench.counts().outage;
    let mut peer = Peer::up(Order::Arrival, Arc::new(Delivered::unbounded())).await?;
    peer.fall().await;
    let channel = Channel::measured(queued_to(peer.address))?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let before = stand.child().usage().memory;
    let began = Instant::now();
    let accepted = Load { count: Some(count), ..Load::closed(channel.listen, SENDERS) }.start().await;
    let accepted = accepted.finish().await?;
    let intake = accepted as f64 / began.elapsed().as_secs_f64();
    let down = stand.child().usage().memory;
    peer.rise().await?;
    let began = Instant::now();
    peer.delivered().wait_for(1, PATIENCE).await?;
    let first = began.elapsed();
    let began = Instant::now();
    peer.delivered().wait_for(accepted, PATIENCE).await?;
    let drain = accepted.saturating_sub(1) as f64 / began.elapsed().as_secs_f64();
    peer.require_order()?;
    let usage = stand.child().usage();
    let row = Row::of(Scenario::Outage, "the only receiver down for a while, then back; order of arrival");
    let row = row.at(SENDERS).with("accepted_while_down", Figure::Count(accepted));
    let row = row.with("intake_while_down", Figure::Rate(intake)).with("first_after", Figure::Time(first));
    let row = row.with("drained", Figure::Rate(drain));
    let row = row.with("delivered", Figure::Count(peer.delivered().count()));
    let row = row.with("repeated", Figure::Count(peer.repeated()));
    let row = row.with("memory_before", Figure::Bytes(before)).with("memory_down", Figure::Bytes(down));
    let row = row.with("memory_after", Figure::Bytes(usage.memory));
    bench.tell(row.with("memory_peak", Figure::Bytes(usage.memory_peak)));
    Ok(())
}
