//! What a message takes on the disk: itself, its delivery and the answer to that.

use std::sync::Arc;

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        oru,
        peer::{Order, Peer},
        report::{Figure, Row},
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
    let each = |bytes: u64| bytes / accepted.max(1);
    let row = Row::of(Scenario::Disk, "a message kept with one delivery and its answer; the server stopped");
    let row = row.with("messages", Figure::Count(accepted)).with("each", Figure::Bytes(each(taken)));
    let ratio = each(taken) as f64 / oru::length() as f64;
    let row = row.with("of_the_message", Figure::Ratio(ratio));
    bench.tell(row.with("written_each", Figure::Bytes(each(written))).with("store", Figure::Bytes(taken)));
    Ok(())
}
