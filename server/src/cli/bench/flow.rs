//! The ways a message can go, each measured at every number of connections.

use std::{sync::Arc, time::Duration};

use super::{
    Bench, Scenario,
    delivered::{Delivered, ahead},
    load::Load,
    peer::{Order, Peer},
    report::Row,
    stand::{Channel, Following, Stand},
    window,
};
use crate::cli::Complaint;

/// So many each second are sent at least where what is measured is not how many arrive: fewer tell nothing.
const SLOWEST: f64 = 20.0;
/// How long nothing may arrive before the rest counts as lost.
const PATIENCE: Duration = Duration::from_mins(1);

/// A channel, and where its messages end.
pub(super) struct Flow {
    scenario: Scenario,
    pub(super) what: &'static str,
    /// What stands in the channel's file after the source; `PEER` is the address of the receiving peer.
    pub(super) channel: &'static str,
    end: End,
}

/// When a message has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is answered.
    Answer,
    /// The receiving peer has it, so many times.
    Peer { order: Order, copies: u64 },
    /// The receiving web server has it.
    Web,
    /// The server counts it as sent.
    Sent,
}

pub(super) const STORED: Flow = Flow {
    scenario: Scenario::Stored,
    what: "`reply: stored`: answered when it is on disk",
    channel: "reply: stored\ndestinations: []\n",
    end: End::Answer,
};

pub(super) const PROCESSED: Flow = Flow {
    scenario: Scenario::Processed,
    what: "`reply: processed`: answered when ten statements have run and that is on disk",
    channel: "reply: processed\nsteps:\n  - script: scripts/ten.rhai\ndestinations: []\n",
    end: End::Answer,
};

pub(super) const FILE: Flow = Flow {
    scenario: Scenario::File,
    what: "ten statements, then a file for each message, durable before it counts",
    channel: r#"reply: processed
steps:
  - script: scripts/ten.rhai
destinations:
  - name: out
    to:
      file: { dir: out, name: '${msg["MSH-10"]}.hl7' }
"#,
    end: End::Sent,
};

pub(super) const MAP: Flow = Flow {
    scenario: Scenario::Map,
    what: "`reply: processed`: answered when the shipped mapping has made a FHIR Bundle of it and it is on disk",
    channel: "reply: processed\nsteps:\n  - script: relais/oru_to_fhir\ndestinations: []\n",
    end: End::Answer,
};

pub(super) const MAP_FILE: Flow = Flow {
    scenario: Scenario::MapFile,
    what: "the shipped mapping, then a file for each Bundle in any order, 16 workers, durable before it counts",
    channel: r#"reply: processed
steps:
  - script: relais/oru_to_fhir
destinations:
  - name: out
    order: none
    workers: 16
    to:
      file: { dir: out, name: '${msg["identifier.value"]}.json' }
"#,
    end: End::Sent,
};

pub(super) const ROUTE: Flow = Flow {
    scenario: Scenario::Route,
    what: "MLLP, ten statements, MLLP through a queue: received in order of arrival over one connection",
    channel: r#"reply: processed
steps:
  - script: scripts/ten.rhai
destinations:
  - name: out
    queue: always
    to:
      mllp: { connect: "PEER" }
"#,
    end: End::Peer { order: Order::Arrival, copies: 1 },
};

pub(super) const KEYED: Flow = Flow {
    scenario: Scenario::Keyed,
    what: "MLLP, ten statements, MLLP through a queue: received in order of each patient, 16 workers",
    channel: r#"reply: processed
steps:
  - script: scripts/ten.rhai
destinations:
  - name: out
    queue: always
    order: { key: [PID-3.1] }
    workers: 16
    to:
      mllp: { connect: "PEER" }
"#,
    end: End::Peer { order: Order::Patient, copies: 1 },
};

pub(super) const HTTP: Flow = Flow {
    scenario: Scenario::Http,
    what: "MLLP, a FHIR Bundle made of each, HTTP through a queue: put to a web server in any order, 16 workers",
    channel: r#"reply: processed
steps:
  - script: scripts/fhir.rhai
destinations:
  - name: out
    queue: always
    order: none
    workers: 16
    to:
      http:
        url: 'http://PEER/fhir/Bundle/${msg["id"]}'
        method: PUT
        content_type: application/fhir+json
        success: [201]
"#,
    end: End::Web,
};

pub(super) const FANOUT: Flow = Flow {
    scenario: Scenario::Fanout,
    what: "four destinations with a script each: received four times",
    channel: r#"reply: processed
destinations:
  - name: record
    steps:
      - script: scripts/ten.rhai
    to:
      mllp: { connect: "PEER" }
  - name: billing
    steps:
      - script: 'msg["MSH-5"] = "BILLING"; msg["PV1-19"] = msg["PV1-19"].to_upper(); msg'
    to:
      mllp: { connect: "PEER" }
  - name: ward
    steps:
      - script: 'msg["MSH-5"] = msg["PV1-3.1"]; msg["OBR-24"] = "LAB"; msg'
    to:
      mllp: { connect: "PEER" }
  - name: register
    steps:
      - script: 'let n = 0; for obx in msg.segments("OBX") { n += 1; } msg["ZRG-1"] = `${n}`; msg'
    to:
      mllp: { connect: "PEER" }
"#,
    end: End::Peer { order: Order::None, copies: 4 },
};

/// A flow that runs: its server, and who counts what arrives.
struct Run {
    stand: Stand,
    channel: Channel,
    peer: Option<Peer>,
    delivered: Arc<Delivered>,
    _following: Option<Following>,
}

impl Flow {
    /// A fresh server and store for each number of connections.
    pub(super) async fn measure(&self, bench: &Bench) -> Result<(), Complaint> {
        for connections in bench.connections() {
            let floor = bench.floor(connections).await?;
            let run = self.start(bench, connections).await?;
            let mut row = Row::of(self.scenario, self.what).at(connections);
            let rate = self.saturate(bench, &run, connections, &mut row).await?;
            row.ratio("rate_of_floor", rate, floor.rate);
            if self.end == (End::Peer { order: Order::Arrival, copies: 1 }) {
                row.ratio("rate_of_sequence_floor", rate, bench.sequence_floor().await?);
            }
            if let Some(peer) = &run.peer {
                let load = Load::closed(run.channel.listen, connections);
                let pace = (rate / 2.0).max(SLOWEST);
                row.rate("end_to_end_pace", pace);
                end_to_end(bench, Load { pace: Some(pace), ..load }, peer, &mut row).await?;
            }
            row.bytes("memory_peak", run.stand.child().usage().memory_peak);
            bench.tell(row);
        }
        Ok(())
    }

    async fn start(&self, bench: &Bench, connections: u16) -> Result<Run, Complaint> {
        let copies = if let End::Peer { copies, .. } = self.end { copies } else { 1 };
        let delivered = Arc::new(match self.end {
            End::Answer => Delivered::unbounded(),
            End::Peer { .. } | End::Web => Delivered::bounded(copies, ahead(connections)),
            End::Sent => Delivered::read_now_and_then(),
        });
        let peer = match self.end {
            End::Peer { order, .. } => Some(Peer::up(order, Arc::clone(&delivered)).await?),
            End::Web => Some(Peer::web(Arc::clone(&delivered)).await?),
            End::Answer | End::Sent => None,
        };
        let at = peer.as_ref().map(|peer| peer.address.to_string()).unwrap_or_default();
        let channel = Channel::measured(self.channel.replace("PEER", &at))?;
        let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
        let following = match self.end {
            End::Sent => Some(stand.follow_sent(Arc::clone(&delivered))?),
            End::Answer | End::Peer { .. } | End::Web => None,
        };
        Ok(Run { stand, channel, peer, delivered, _following: following })
    }

    /// As fast as messages come to their end; returns how fast that is.
    async fn saturate(
        &self,
        bench: &Bench,
        run: &Run,
        connections: u16,
        row: &mut Row,
    ) -> Result<f64, Complaint> {
        let load = Load::closed(run.channel.listen, connections);
        let running = Load { delivered: Arc::clone(&run.delivered), ..load }.start().await;
        let ends = || match self.end {
            End::Answer => running.accepted(),
            End::Peer { .. } | End::Web | End::Sent => run.delivered.count(),
        };
        let (seen, cost) = window::ends(&running, run.stand.child(), bench, ends).await;
        let accepted = running.stop().await?;
        row.pace(&seen.pace);
        row.waits("wait", seen.waits);
        row.cost(&cost);
        row.count("accepted", accepted);
        if self.end != End::Answer {
            run.delivered.wait_for(accepted, PATIENCE).await?;
            row.count("delivered", run.delivered.count());
        }
        Ok(seen.pace.median())
    }
}

/// From sending to receiving, with fewer messages than there could be, so that none waits for others.
async fn end_to_end(bench: &Bench, load: Load, peer: &Peer, row: &mut Row) -> Result<(), Complaint> {
    let before = peer.delivered().count();
    let running = load.start().await;
    window::warm_up(bench.lasts()).await;
    peer.waits().clear();
    window::slices(bench.lasts(), || running.accepted()).await;
    let waits = peer.waits().waits();
    let accepted = running.stop().await?;
    peer.delivered().wait_for(before + accepted, PATIENCE).await?;
    row.waits("end_to_end_at_half_rate", waits);
    row.count("repeated", peer.repeated());
    peer.require_order()
}
