//! A lone sender: how long it waits for each answer, beside the floor.

use super::super::{
    Bench, Scenario,
    flow::{self, Flow},
    load::Load,
    report::Row,
    stand::{Channel, Stand},
    window,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let floor = bench.floor(1).await?.waits;
    for Flow { what, channel, .. } in [flow::STORED, flow::PROCESSED] {
        let channel = Channel::measured(channel)?;
        let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
        let running = Load::closed(channel.listen, 1).start().await;
        let waits = window::answers(&running, bench.lasts()).await.waits;
        running.stop().await?;
        drop(stand);
        let mut row = Row::of(Scenario::Lone, what).at(1);
        row.waits("wait", waits);
        row.waits("floor", floor);
        row.ratio("p50_of_floor", waits.p50.as_secs_f64(), floor.p50.as_secs_f64());
        row.ratio("p99_of_floor", waits.p99.as_secs_f64(), floor.p99.as_secs_f64());
        bench.tell(row);
    }
    Ok(())
}
