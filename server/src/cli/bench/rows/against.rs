//! Another engine's port under the same load, beside the same floor; and what it hands on, where it does.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::lookup_host;

use super::{
    super::{
        Bench,
        delivered::Delivered,
        load::{Load, Running},
        peer::{Order, Peer},
        report::Row,
        window,
    },
    PATIENCE,
};
use crate::cli::Complaint;

pub(in super::super) async fn measure(bench: &Bench, address: &str) -> Result<(), Complaint> {
    let to = find(address).await?;
    let receive = match &bench.arguments.receive {
        Some(address) => Some(find(address).await?),
        None => None,
    };
    for connections in bench.connections() {
        let floor = bench.floor(connections).await?;
        let mut row = Row::against(&format!("the engine at {address}")).at(connections);
        let load = Load::closed(to, connections);
        let rate = match receive {
            None => answered(bench, load, &mut row).await?,
            Some(receive) => handed_on(bench, load, receive, &mut row).await?,
        };
        row.ratio("rate_of_floor", rate, floor.rate);
        bench.tell(row);
    }
    Ok(())
}

/// How fast it answers.
async fn answered(bench: &Bench, load: Load, row: &mut Row) -> Result<f64, Complaint> {
    let running = load.start().await;
    let seen = window::answers(&running, bench.lasts()).await;
    row.pace(&seen.pace);
    row.waits("wait", seen.waits);
    stop(running, row).await?;
    Ok(seen.pace.median())
}

/// How fast what it hands on arrives.
async fn handed_on(bench: &Bench, load: Load, at: SocketAddr, row: &mut Row) -> Result<f64, Complaint> {
    let delivered = Arc::new(Delivered::ahead(load.connections));
    let peer = Peer::at(at, Order::Arrival, Arc::clone(&delivered)).await?;
    let running = Load { delivered, ..load }.start().await;
    window::warm_up_of(&running, bench.lasts()).await;
    let pace = window::slices(bench.lasts(), || peer.delivered().count()).await;
    row.pace(&pace);
    row.waits("wait", running.tally().waits.waits());
    let accepted = stop(running, row).await?;
    peer.delivered().wait_for(accepted, PATIENCE).await?;
    row.count("delivered", peer.delivered().count());
    row.count("repeated", peer.repeated());
    row.count("out_of_order", peer.out_of_order());
    Ok(pace.median())
}

async fn stop(running: Running, row: &mut Row) -> Result<u64, Complaint> {
    let accepted = running.stop().await?;
    row.count("accepted", accepted);
    Ok(accepted)
}

async fn find(address: &str) -> Result<SocketAddr, Complaint> {
    let found = lookup_host(address)
        .await
        .map_err(|error| Complaint::misused(format!("cannot find {address}: {error}")))?
        .next();
    found.ok_or_else(|| Complaint::misused(format!("{address} is nowhere")))
}
