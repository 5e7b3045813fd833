//! Forgetting what `keep` says is old enough: what intake notices of it, and the space that comes back.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        report::Row,
        stand::{Channel, Stand},
        window,
    },
    KEEPS,
};
use crate::{cli::Complaint, client::Client};

const SENDERS: u16 = 16;
/// How long forgetting may take.
const LATEST: Duration = Duration::from_mins(30);
/// A store that does not change for so long gives nothing back any more.
const STILL: Duration = Duration::from_millis(500);
/// Longer than the old channel keeps its messages.
const OLD: Duration = Duration::from_millis(1100);
/// The server begins to forget with its start.
const AT_ONCE: [&str; 2] = ["--forget-after", "0"];

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let old = Channel::named("old", format!("{KEEPS}keep: {{ content: 1s, errors: 1s, metadata: 1s }}\n"))?;
    let channels = [old, Channel::named("new", KEEPS)?];
    let mut stand = Stand::begin(bench, &channels).await?;
    let [old, new] = &channels;
    let kept = fill(bench, old).await?;
    let running = Load::closed(new.listen, SENDERS).start().await;
    let without = window::answers(&running, bench.lasts()).await;
    running.stop().await?;
    sleep(OLD).await;
    stand.stop().await?;
    stand.start(&AT_ONCE).await?;
    let running = Load::closed(new.listen, SENDERS).start().await;
    let lasted = forgotten(&stand.client()?).await?;
    let beside = running.accepted() as f64 / lasted.as_secs_f64();
    let waits = running.tally().waits.waits();
    let came = running.stop().await?;
    let mut row =
        Row::of(Scenario::Retention, "messages of one channel forgotten, another one takes new ones");
    row.count("forgotten", kept);
    row.time("lasted", lasted);
    row.rate("intake_without", without.pace.median());
    row.rate("intake_beside", beside);
    row.ratio("intake_of_without", beside, without.pace.median());
    row.count("came", came);
    row.waits("wait_without", without.waits);
    row.waits("wait_beside", waits);
    space(bench, &mut stand, old, &mut row).await?;
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// The same once more, with nothing beside it: what the files took before, and what they take after.
async fn space(bench: &Bench, stand: &mut Stand, old: &Channel, row: &mut Row) -> Result<(), Complaint> {
    fill(bench, old).await?;
    sleep(OLD).await;
    stand.stop().await?;
    row.bytes("store_before", stand.stored_bytes()?);
    stand.start(&AT_ONCE).await?;
    row.time("lasted_alone", forgotten(&stand.client()?).await?);
    let (mut bytes, mut since) = (stand.stored_bytes()?, Instant::now());
    while since.elapsed() < STILL {
        sleep(Duration::from_millis(20)).await;
        let now = stand.stored_bytes()?;
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    stand.stop().await?;
    row.bytes("store_after", stand.stored_bytes()?);
    Ok(())
}

async fn fill(bench: &Bench, old: &Channel) -> Result<u64, Complaint> {
    Load::filling(old.listen, bench.counts().forgotten).start().await.finish().await
}

/// Waits until nothing of the old channel is there any more; returns how long it took.
async fn forgotten(client: &Client) -> Result<Duration, Complaint> {
    let began = Instant::now();
    let query = [("channel", "old".to_owned()), ("limit", "1".to_owned())];
    while began.elapsed() < LATEST {
        let found: Vec<Value> = client.get(&["messages"], &query).await?;
        if found.is_empty() {
            return Ok(began.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(Complaint::wrong("what is old enough is not forgotten"))
}
