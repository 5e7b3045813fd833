//! Forgetting what `keep` says is old enough: what intake notices of it, and the space that comes back.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        report::{Figure, Row},
        stand::{Channel, Stand},
        window,
    },
    KEEPS,
};
use crate::cli::Complaint;

const SENDERS: u16 = 16;
/// How long forgetting may take.
const LATEST: Duration = Duration::from_mins(30);

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let old = Channel::named("old", format!("{KEEPS}keep: {{ content: 1s, errors: 1s, metadata: 1s }}\n"))?;
    let channels = [old, Channel::named("new", KEEPS)?];
    let mut stand = Stand::begin(bench, &channels).await?;
    let [old, new] = &channels;
    let kept = Load::filling(old.listen, bench.counts().forgotten).start().await.finish().await?;
    let running = Load::closed(new.listen, SENDERS).start().await;
    let without = window::answers(&running, bench.lasts()).await;
    running.stop().await?;
    stand.stop().await?;
    let before = stand.stored_bytes()?;
    // Every message is older than a second by the time that forgetting begins.
    stand.start(&["--forget-after", "1"]).await?;
    let running = Load::closed(new.listen, SENDERS).start().await;
    let began = Instant::now();
    while remain(&stand).await? {
        if began.elapsed() > LATEST {
            return Err(Complaint::wrong("what is old enough is not forgotten"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lasted = began.elapsed();
    let rate = running.accepted() as f64 / lasted.as_secs_f64();
    let waits = running.tally().waits.waits();
    let accepted = running.stop().await?;
    stand.stop().await?;
    let after = stand.stored_bytes()?;
    let row = Row::of(Scenario::Retention, "messages of one channel forgotten, another one takes new ones");
    let row = row.at(SENDERS).with("forgotten", Figure::Count(kept)).with("lasted", Figure::Time(lasted));
    let row = row.with("intake_without", Figure::Rate(without.pace.median()));
    let row = row.with("intake_beside", Figure::Rate(rate));
    let ratio = rate / without.pace.median().max(1e-9);
    let row = row.with("intake_of_without", Figure::Ratio(ratio)).with("came", Figure::Count(accepted));
    let row = row.waits("wait_without", without.waits).waits("wait_beside", waits);
    bench.tell(row.with("store_before", Figure::Bytes(before)).with("store_after", Figure::Bytes(after)));
    Ok(())
}

/// Whether anything of the old channel is still there.
async fn remain(stand: &Stand) -> Result<bool, Complaint> {
    let query = [("channel", "old".to_owned()), ("limit", "1".to_owned())];
    let found: Vec<Value> = stand.client()?.get(&["messages"], &query).await?;
    Ok(!found.is_empty())
}
