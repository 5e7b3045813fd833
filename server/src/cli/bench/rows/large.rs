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
        report::{Figure, Row},
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
    let large = Channel::named("large", queued_to(peer.address))?;
    let small = Channel::named("small", KEEPS)?;
    let channels = [large, small];
    let stand = Stand::begin(bench, &channels).await?;
    let [large, small] = &channels;
    let running = Load::closed(small.listen, OTHERS).start().await;
    let without = window::answers(&running, bench.lasts()).await;
    stand.child().forget_memory_peak();
    let before = stand.child().usage().memory;
    running.tally().waits.clear();
    let bytes = bench.counts().large as usize * 1_000_000;
    let sent = send(bench, large, &peer, bytes).await?;
    let with = running.tally().waits.waits();
    running.stop().await?;
    let peak = stand.child().usage().memory_peak;
    let row = Row::of(Scenario::Large, "a document in OBX-5, beside 16 senders of small messages");
    let row = row.with("size", Figure::Bytes(sent.size)).with("messages", Figure::Count(sent.count));
    let row = row.with("accepted", Figure::Time(sent.accepted));
    let row = row.with("delivered", Figure::Time(sent.delivered));
    let row = row.with("memory_before", Figure::Bytes(before)).with("memory_peak", Figure::Bytes(peak));
    let more = peak.saturating_sub(before) as f64 / sent.size as f64;
    let row = row.with("more_memory_by_size", Figure::Ratio(more));
    let row = row.waits("others_alone", without.waits);
    bench.tell(row.waits("others_beside", with));
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
async fn send(bench: &Bench, to: &Channel, peer: &Peer, bytes: usize) -> Result<Sent, Complaint> {
    let wire = Wire::new(&to.listen.to_string(), LATEST, None)?;
    let (mut open, mut accepted, mut delivered) = (None, Vec::new(), Vec::new());
    let (begin, mut size) = (Instant::now(), 0);
    while accepted.is_empty() || begin.elapsed() < bench.lasts() {
        let message = Bytes::from(oru::with_document(bytes));
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
