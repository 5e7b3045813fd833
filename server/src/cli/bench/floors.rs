//! The floor, measured in the same run at the same connections; each only once.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, sync::Arc};

use super::{
    Bench,
    child::Child,
    delivered::Delivered,
    histogram::Waits,
    load::Load,
    peer::{Order, Peer},
    place::Folder,
    report::Row,
    window,
};
use crate::cli::Complaint;

const BARE: &str = "a bare listener: each message in a file, one sync for all that came meanwhile, an answer";
const SEQUENCE: &str = "one sync and one round trip for each message, one after the other";

/// What was measured so far.
#[derive(Default)]
pub(super) struct Floors {
    bare: RefCell<HashMap<u16, Floor>>,
    sequence: RefCell<Option<f64>>,
}

/// What a listener that does nothing reaches here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    pub(super) rate: f64,
    pub(super) waits: Waits,
}

impl Bench {
    /// At so many connections.
    pub(super) async fn floor(&self, connections: u16) -> Result<Floor, Complaint> {
        let known = self.floors.bare.borrow().get(&connections).copied();
        if let Some(floor) = known {
            return Ok(floor);
        }
        let floor = self.measure_floor(connections).await?;
        self.floors.bare.borrow_mut().insert(connections, floor);
        Ok(floor)
    }

    async fn measure_floor(&self, connections: u16) -> Result<Floor, Complaint> {
        let folder = Folder::make(&self.folder)?;
        let child = Child::start(&["bench-floor", "floor"], &folder.0).await?;
        let address: SocketAddr = child
            .greeting
            .trim_start_matches("serving ")
            .parse()
            .map_err(|_| Complaint::wrong("the floor does not say where it listens"))?;
        let running = Load::closed(address, connections).start().await;
        let (seen, cost) = window::ends(&running, &child, self, || running.accepted()).await;
        running.stop().await?;
        child.stop().await?;
        let mut row = Row::floor(BARE).at(connections);
        row.pace(&seen.pace);
        row.waits("wait", seen.waits);
        row.cost(&cost);
        self.tell(row);
        Ok(Floor { rate: seen.pace.median(), waits: seen.waits })
    }

    /// Messages each second that a machine can hand on in order, each durable before it goes.
    pub(super) async fn sequence_floor(&self) -> Result<f64, Complaint> {
        let known = *self.floors.sequence.borrow();
        if let Some(rate) = known {
            return Ok(rate);
        }
        let folder = Folder::make(&self.folder)?;
        let peer = Peer::up(Order::Arrival, Arc::new(Delivered::unbounded())).await?;
        let to = peer.address.to_string();
        let child = Child::start(&["bench-floor", "floor", "--peer", &to], &folder.0).await?;
        window::warm_up(self.lasts()).await;
        let pace = window::slices(self.lasts(), || peer.delivered().count()).await;
        child.stop().await?;
        let mut row = Row::floor(SEQUENCE);
        row.pace(&pace);
        self.tell(row);
        let rate = pace.median();
        *self.floors.sequence.borrow_mut() = Some(rate);
        Ok(rate)
    }
}
