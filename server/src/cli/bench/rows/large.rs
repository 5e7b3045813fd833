//! A message with a large document: how long it takes, what memory, and what others notice of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        oru,
        peer::{Order, Peer},
        report::Row,
        stand::{Channel, Stand},
        window,
    },
    KEEPS, PATIENCE, queued_to,
};
use crate::cli::{Complaint, send::Wire};

/// Others who send small messages meanwhile.
const OTHERS: u16 = 16;
/// How long the answer to a large message may take.
const LATEST: Duration = Duration::from_mins(5);

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let peer = Peer::up(Order::None, Arc::new(Delivered::unbounded())).await?;
    let channels = [Channel::named("large", queued_to(peer.address))?, Channel::named("small", KEEPS)?];
    let stand = Stand::begin(bench, &channels).await?;
    let [large, small] = &channels;
    let mut row = Row::of(Scenario::Large, "a document in OBX-5, beside 16 senders of small messages");
    // Made before the others are measured: they share the processor with whoever makes it.
    let document = oru::document(bench.counts().large as usize * 1_000_000);
    let running = Load::closed(small.listen, OTHERS).start().await;
    row.waits("others_alone", window::answers(&running, bench.lasts()).await.waits);
    stand.child().forget_memory_peak();
    let before = stand.child().usage().memory;
    running.tally().waits.clear();
    let sent = send(bench, large, (&peer, &document)).await?;
    row.waits("others_beside", running.tally().waits.waits());
    running.stop().await?;
    let peak = stand.child().usage().memory_peak;
    row.bytes("size", sent.size);
    row.count("messages", sent.count);
    row.time("accepted", sent.accepted);
    row.time("delivered", sent.delivered);
    row.bytes("memory_before", before);
    row.bytes("memory_peak", peak);
    row.ratio("more_memory_by_size", peak.saturating_sub(before) as f64, sent.size as f64);
    bench.tell(row);
    Ok(())
}

/// Medians of the large messages.
struct Sent {
    size: u64,
    count: u64,
    accepted: Duration,
    delivered: Duration,
}

/// One after the other, for as long as is measured; at least one.
async fn send(bench: &Bench, to: &Channel, (peer, document): (&Peer, &str)) -> Result<Sent, Complaint> {
    let wire = Wire::new(&to.listen.to_string(), LATEST, None)?;
    let (mut open, mut accepted, mut delivered) = (None, Vec::new(), Vec::new());
    let (first, mut size) = (Instant::now(), 0);
    while accepted.is_empty() || first.elapsed() < bench.lasts() {
        let message = Bytes::from(oru::with_document(document));
        size = message.len() as u64;
        let began = Instant::now();
        let came = wire.exchange(&mut open, &message).await.map_err(Complaint::wrong)?;
        if !came.is_positive() {
            return Err(Complaint::wrong(format!("the large message was answered {}", came.code)));
        }
        accepted.push(began.elapsed());
        peer.delivered().wait_for(accepted.len() as u64, PATIENCE).await?;
        delivered.push(began.elapsed());
    }
    let count = accepted.len() as u64;
    Ok(Sent { size, count, accepted: median(accepted), delivered: median(delivered) })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
