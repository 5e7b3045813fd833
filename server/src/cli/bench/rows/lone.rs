//! A lone sender: how long it waits for each answer, beside the floor.

use super::super::{
    Bench, Scenario,
    flow::{self, Flow},
    load::Load,
    report::{Figure, Row},
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
        let over = |ours: std::time::Duration, floor: std::time::Duration| {
            Figure::Ratio(ours.as_secs_f64() / floor.as_secs_f64().max(1e-6))
        };
        let row = Row::of(Scenario::Lone, what).at(1).waits("wait", waits).waits("floor", floor);
        let row = row.with("p50_of_floor", over(waits.p50, floor.p50));
        bench.tell(row.with("p99_of_floor", over(waits.p99, floor.p99)));
        drop(stand);
    }
    Ok(())
}
