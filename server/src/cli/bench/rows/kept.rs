//! Many messages kept: what taking one more costs, and how long it takes to find one.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        oru::{Mark, patient_name},
        report::Row,
        stand::{Channel, Stand},
    },
    KEEPS, SENDERS, intake,
};
use crate::{cli::Complaint, client::Client};

/// The pace that lasts is that of one such part of all messages, with what was taken before still to be filed.
const PARTS: u64 = 20;
/// So often each search is made, each time for another thing.
const SEARCHES: u64 = 20;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let channel = Channel::measured(KEEPS)?;
    let mut stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let (empty, few) = intake(bench, &channel).await?;
    let part = bench.counts().kept / PARTS;
    fill(&channel, part).await?;
    let lasting_empty = fill(&channel, part).await?;
    fill(&channel, part * (PARTS - 3)).await?;
    let lasting_filled = fill(&channel, part).await?;
    // Like is compared with like: a server that has just begun, with nothing left to file.
    stand.stop().await?;
    stand.start(&[]).await?;
    let (filled, more) = intake(bench, &channel).await?;
    let kept = few + part * PARTS + more;
    let mut row = Row::of(Scenario::Kept, "messages in the store, found over REST");
    row.count("kept", kept);
    row.rate("intake_empty", empty.pace.median());
    row.rate("intake_filled", filled.pace.median());
    row.ratio("intake_of_empty", filled.pace.median(), empty.pace.median());
    row.rate("lasting_empty", lasting_empty);
    row.rate("lasting_filled", lasting_filled);
    row.ratio("lasting_of_empty", lasting_filled, lasting_empty);
    searches(&stand.client()?, kept, &mut row).await?;
    row.bytes("store", stand.stored_bytes()?);
    row.bytes("memory", stand.child().usage().memory);
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// Keeps so many more, as fast as can be; says how fast that was.
async fn fill(channel: &Channel, count: u64) -> Result<f64, Complaint> {
    let began = Instant::now();
    let kept = Load::filling(channel.listen, count).start().await.finish().await?;
    Ok(kept as f64 / began.elapsed().as_secs_f64())
}

async fn searches(client: &Client, kept: u64, row: &mut Row) -> Result<(), Complaint> {
    let (listed, took) = find(client, &[("channel", "measured"), ("limit", "100")]).await?;
    row.count("listed", listed);
    row.time("newest_100", took);
    let ids = control_ids(client, kept).await?;
    let marks = ids.iter().filter_map(|id| Mark::parse(id));
    let patients: Vec<_> = marks.map(|mark| patient_name(mark.patient)).collect();
    for (name, texts) in [("by_control_id", ids), ("by_patient", patients)] {
        let (median, longest) = search(client, &texts).await?;
        row.time(name, median);
        row.time(&format!("{name}_max"), longest);
    }
    Ok(())
}

/// How many were found, and how long it took.
async fn find(client: &Client, query: &[(&str, &str)]) -> Result<(u64, Duration), Complaint> {
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let began = Instant::now();
    let found: Vec<Value> = client.get(&["messages"], &query).await?;
    Ok((found.len() as u64, began.elapsed()))
}

/// Control ids of messages all over the store.
async fn control_ids(client: &Client, all: u64) -> Result<Vec<String>, Complaint> {
    let mut ids = Vec::new();
    for part in 1..=SEARCHES {
        let before = (all * part / SEARCHES + 2).to_string();
        let query = [("before", before), ("limit", "1".to_owned())];
        let found: Vec<Value> = client.get(&["messages"], &query).await?;
        ids.extend(found.first().and_then(|row| row["control_id"].as_str().map(str::to_owned)));
    }
    Ok(ids)
}

/// The median and the longest time of a search for each; every one must find something.
async fn search(client: &Client, texts: &[String]) -> Result<(Duration, Duration), Complaint> {
    let mut times = Vec::new();
    for text in texts {
        let (found, took) = find(client, &[("q", text)]).await?;
        if found == 0 {
            return Err(Complaint::wrong("a message that was accepted is not found"));
        }
        times.push(took);
    }
    times.sort_unstable();
    Ok((times.get(times.len() / 2).copied().unwrap_or_default(), times.last().copied().unwrap_or_default()))
}
