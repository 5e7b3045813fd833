//! Another engine's port under the same load, beside the same floor.

use tokio::net::lookup_host;

use super::super::{
    Bench,
    load::Load,
    report::{Figure, Row},
    window,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench, address: &str) -> Result<(), Complaint> {
    let found = lookup_host(address)
        .await
        .map_err(|error| Complaint::misused(format!("cannot find {address}: {error}")))?
        .next();
    let to = found.ok_or_else(|| Complaint::misused(format!("{address} is nowhere")))?;
    for connections in bench.connections() {
        let floor = bench.floor(connections).await?;
        let running = Load::closed(to, connections).start().await;
        let seen = window::answers(&running, bench.lasts()).await;
        let accepted = running.stop().await?;
        let row = Row::against(&format!("the engine at {address}")).at(connections);
        let row = row.pace(&seen.pace).waits("wait", seen.waits).with("accepted", Figure::Count(accepted));
        bench.tell(row.with("rate_of_floor", Figure::Ratio(seen.pace.median() / floor.rate)));
    }
    Ok(())
}
