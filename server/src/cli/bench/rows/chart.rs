//! Results to a chart at a steady pace: how long each takes from being sent to the FHIR server that takes it.

use std::sync::Arc;

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        peer::Peer,
        report::Row,
        stand::{Channel, Stand},
        window,
    },
    PATIENCE,
};
use crate::cli::Complaint;

/// So many results come each second, from so many senders.
const PACE: f64 = 50.0;
const SENDERS: u16 = 4;

/// `PEER` takes all that it is sent and answers at once: what is measured is the engine's share. It asks before each
/// transaction whether the patient was merged.
const CHANNEL: &str = r#"reply: processed
destinations:
  - name: out
    steps:
      - script: relais/oru_to_fhir
    order: { key: [PID-3.1] }
    workers: 4
    to:
      fhir:
        base: http://PEER/fhir
        capabilities: ignored
        headers: { X-Message: '${msg["MSH-10"]}' }
"#;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let peer = Peer::web(Arc::new(Delivered::unbounded())).await?;
    let channel = Channel::measured(CHANNEL.replace("PEER", &peer.address.to_string()))?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let running = Load { pace: Some(PACE), ..Load::closed(channel.listen, SENDERS) }.start().await;
    window::warm_up(bench.lasts()).await;
    peer.waits().clear();
    let pace = window::slices(bench.lasts(), || running.accepted()).await;
    let waits = peer.waits().waits();
    let accepted = running.stop().await?;
    peer.delivered().wait_for(accepted, PATIENCE).await?;
    let mut row = Row::of(
        Scenario::Chart,
        "50 results a second, the shipped mapping, a transaction to a FHIR server that answers at once",
    );
    row.rate("asked", PACE);
    row.pace(&pace);
    row.count("delivered", peer.delivered().count());
    row.count("repeated", peer.repeated());
    row.waits("end_to_end", waits);
    bench.tell(row.at(SENDERS));
    drop(stand);
    Ok(())
}
