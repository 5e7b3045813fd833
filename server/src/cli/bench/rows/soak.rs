//! A long time at a steady pace: whether memory and open files stay flat.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        Bench, Scenario,
        delivered::Delivered,
        load::Load,
        peer::{Order, Peer},
        report::{Figure, Row},
        stand::{Channel, Stand},
    },
    PATIENCE, queued_to,
};
use crate::cli::Complaint;

const SENDERS: u16 = 16;
/// So often memory and files are looked at, or each minute where it lasts longer.
const LOOKS: u32 = 30;
/// A last third that is larger than the middle one by more than this part, and by more than these bytes, is not flat.
const FLAT: (f64, f64) = (1.05, 4e6);

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let lasts = Duration::from_secs_f64(bench.counts().minutes * 60.0);
    let peer = Peer::up(Order::Arrival, Arc::new(Delivered::unbounded())).await?;
    let channel = Channel::measured(queued_to(peer.address))?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let pace = bench.counts().pace as f64;
    let running = Load { pace: Some(pace), ..Load::closed(channel.listen, SENDERS) }.start().await;
    let (mut memory, mut files) = (Vec::new(), Vec::new());
    let looks = LOOKS.max(bench.counts().minutes as u32);
    for _ in 0..looks {
        tokio::time::sleep(lasts / looks).await;
        memory.push(stand.child().usage().memory);
        files.push(stand.child().usage().files);
    }
    let waits = running.tally().waits.waits();
    let accepted = running.stop().await?;
    peer.delivered().wait_for(accepted, PATIENCE).await?;
    peer.require_order()?;
    let mut row = Row::of(Scenario::Soak, "a steady pace, each message handed on in order");
    row.time("lasted", lasts);
    row.rate("asked", pace);
    row.count("accepted", accepted);
    row.count("delivered", peer.delivered().count());
    row.waits("wait", waits);
    row.add("memory_is", Figure::Words(verdict(&memory, FLAT.1).to_owned()));
    row.add("files_are", Figure::Words(verdict(&files, 2.0).to_owned()));
    row.add("memory", Figure::Sizes(memory));
    row.add("files", Figure::Counts(files));
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// Whether the last third is about as large as the middle one: the first fills what is kept ready.
fn verdict(values: &[u64], at_least: f64) -> &'static str {
    let third = values.len() / 3;
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or(0) as f64
    };
    let (middle, last) = (median(&values[third..2 * third]), median(&values[2 * third..]));
    if last > middle * FLAT.0 && last - middle > at_least { "growing" } else { "flat" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_in_the_last_third_is_not_flat() {
        assert_eq!(verdict(&[1, 20, 30, 30, 31, 30], 1.0), "flat");
        assert_eq!(verdict(&[10, 20, 30, 40, 50, 60], 1.0), "growing");
        assert_eq!(verdict(&[10, 20, 30, 40, 50, 60], 100.0), "flat");
    }
}
