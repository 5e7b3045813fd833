//! What a message takes on the disk: itself, its delivery and the answer to that.

use std::sync::Arc;

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        oru,
        peer::{Order, Peer},
        report::Row,
        stand::{Channel, Stand},
    },
    PATIENCE, queued_to,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let peer = Peer::up(Order::None, Arc::new(Delivered::bounded(1, 2000))).await?;
    let channel = Channel::measured(queued_to(peer.address))?;
    let mut stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    stand.stop().await?;
    let empty = stand.stored_bytes()?;
    stand.start(&[]).await?;
    let before = stand.child().usage().written;
    let load = Load::filling(channel.listen, bench.counts().disk);
    let accepted = Load { delivered: Arc::clone(peer.delivered()), ..load }.start().await.finish().await?;
    peer.delivered().wait_for(accepted, PATIENCE).await?;
    let written = stand.child().usage().written - before;
    stand.stop().await?;
    let taken = stand.stored_bytes()?.saturating_sub(empty);
    let mut row =
        Row::of(Scenario::Disk, "a message kept with one delivery and its answer; the server stopped");
    row.count("messages", accepted);
    row.bytes("each", taken / accepted.max(1));
    row.ratio("of_the_message", taken as f64 / accepted as f64, oru::length() as f64);
    row.bytes("written_each", written / accepted.max(1));
    row.bytes("store", taken);
    bench.tell(row);
    Ok(())
}
