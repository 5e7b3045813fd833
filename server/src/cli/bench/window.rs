//! The measured time: a warm-up that does not count, then five slices whose median does.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    Bench,
    child::{Child, Usage},
    histogram::Waits,
    load::Running,
    place::{self, Disk},
};

/// So many slices has a window; the warm-up is as long as one.
const SLICES: u32 = 5;
/// As many warm-ups at most: what is not steady by then is measured as it is.
const WARM_UPS: u32 = 20;

/// How many messages came to their end, and how fast.
#[derive(Debug)]
pub(super) struct Pace {
    /// Messages each second, of each slice, the slowest first.
    pub(super) slices: Vec<f64>,
    pub(super) messages: u64,
}

impl Pace {
    pub(super) fn median(&self) -> f64 {
        self.slices.get(self.slices.len() / 2).copied().unwrap_or(0.0)
    }
}

/// The pace of answers, and how long senders waited for them.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) pace: Pace,
    pub(super) waits: Waits,
}

/// What happens now does not count.
pub(super) async fn warm_up(lasts: Duration) {
    sleep(lasts / SLICES).await;
}

/// Warms up until as much arrives as is sent: at first the senders are ahead.
pub(super) async fn warm_up_of(running: &Running, lasts: Duration) {
    for _ in 0..WARM_UPS {
        let before = running.delivered().under_way();
        warm_up(lasts).await;
        if running.delivered().is_steady(before) {
            break;
        }
    }
    running.tally().waits.clear();
}

/// Watches for so long; `count` says how many messages have come to their end.
pub(super) async fn slices(lasts: Duration, count: impl Fn() -> u64) -> Pace {
    let first = count();
    let mut last = (Instant::now(), first);
    let mut slices = Vec::new();
    for _ in 0..SLICES {
        sleep(lasts / SLICES).await;
        let now = (Instant::now(), count());
        slices.push((now.1 - last.1) as f64 / (now.0 - last.0).as_secs_f64());
        last = now;
    }
    slices.sort_unstable_by(f64::total_cmp);
    Pace { slices, messages: last.1 - first }
}

/// Warms up, then watches what is answered.
pub(super) async fn answers(running: &Running, lasts: Duration) -> Seen {
    warm_up_of(running, lasts).await;
    let pace = slices(lasts, || running.accepted()).await;
    Seen { pace, waits: running.tally().waits.waits() }
}

/// The same for what ends elsewhere, with what each message cost the child. `count` says how many have ended.
pub(super) async fn ends(
    running: &Running,
    child: &Child,
    bench: &Bench,
    count: impl Fn() -> u64,
) -> (Seen, Cost) {
    warm_up_of(running, bench.lasts()).await;
    let before = Snapshot::take(child, &bench.folder, count());
    let pace = slices(bench.lasts(), &count).await;
    let after = Snapshot::take(child, &bench.folder, count());
    (Seen { pace, waits: running.tally().waits.waits() }, before.cost_until(&after))
}

/// What a server has used at one moment, and its disk.
struct Snapshot {
    usage: Usage,
    disk: Option<Disk>,
    messages: u64,
}

/// What each message cost between two moments.
pub(super) struct Cost {
    pub(super) processor: Duration,
    /// What the server handed to the file system.
    pub(super) written: u64,
    /// What reached the disk, whoever wrote it; `None` where the system does not count.
    pub(super) disk: Option<DiskCost>,
}

/// A message's part of what the disk did.
pub(super) struct DiskCost {
    pub(super) written: u64,
    pub(super) flushes: f64,
}

impl Snapshot {
    fn take(child: &Child, folder: &Path, messages: u64) -> Self {
        Self { usage: child.usage(), disk: place::disk(folder), messages }
    }

    fn cost_until(&self, later: &Self) -> Cost {
        let messages = (later.messages - self.messages).max(1);
        let disk = |before: Disk, after: Disk| DiskCost {
            written: after.written.saturating_sub(before.written) / messages,
            flushes: after.flushes.saturating_sub(before.flushes) as f64 / messages as f64,
        };
        Cost {
            processor: later.usage.processor.saturating_sub(self.usage.processor).div_f64(messages as f64),
            written: later.usage.written.saturating_sub(self.usage.written) / messages,
            disk: self.disk.zip(later.disk).map(|(before, after)| disk(before, after)),
        }
    }
}
