//! A start with one channel and an empty store: how long until it serves, and what it then holds.

use std::{fs, time::Duration};

use super::{
    super::{
        Bench, Scenario,
        report::Row,
        stand::{Channel, Stand},
    },
    KEEPS,
};
use crate::cli::Complaint;

/// So many starts, of which the median counts.
const STARTS: usize = 5;
/// How long the server rests before its memory is looked at.
const REST: Duration = Duration::from_millis(200);

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let mut stand = Stand::begin(bench, &[Channel::measured(KEEPS)?]).await?;
    let first = stand.child().started_in;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        stand.stop().await?;
        stand.start(&[]).await?;
        times.push(stand.child().started_in);
    }
    times.sort_unstable();
    tokio::time::sleep(REST).await;
    let mut row = Row::of(Scenario::Start, "one channel, nothing kept: from the start until it serves");
    row.time("first", first);
    row.time("again", times[STARTS / 2]);
    row.time("slowest", times[STARTS - 1]);
    row.bytes("memory_idle", stand.child().usage().memory);
    row.bytes("binary", fs::metadata("/proc/self/exe").map_or(0, |file| file.len()));
    bench.tell(row);
    Ok(())
}
