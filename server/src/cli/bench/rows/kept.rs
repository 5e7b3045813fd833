//! Many messages kept: what taking one more costs, and how long it takes to find one.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        oru::patient_name,
        report::{Figure, Row},
        stand::{Channel, Stand},
        window::{self, Seen},
    },
    KEEPS, SENDERS,
};
use crate::{cli::Complaint, client::Client};

/// So often each search is made, each time for another thing.
const SEARCHES: u64 = 20;

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let channel = Channel::measured(KEEPS)?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let (empty, few) = intake(bench, &channel).await?;
    let filled = Load::filling(channel.listen, bench.counts().kept.saturating_sub(few)).start().await;
    let filled = few + filled.finish().await?;
    let (full, more) = intake(bench, &channel).await?;
    let client = stand.client()?;
    let newest = find(&client, &[("channel", "measured"), ("limit", "100")]).await?;
    let ids = control_ids(&client, more).await?;
    let by_control_id = search(&client, &ids).await?;
    let patients: Vec<_> = (0..SEARCHES).map(patient_name).collect();
    let by_patient = search(&client, &patients).await?;
    let row = Row::of(Scenario::Kept, "messages in the store, found over REST");
    let row = row.at(SENDERS).with("kept", Figure::Count(filled + more));
    let row = row.with("intake_empty", Figure::Rate(empty.pace.median()));
    let row = row.with("intake_filled", Figure::Rate(full.pace.median()));
    let ratio = full.pace.median() / empty.pace.median().max(1e-9);
    let row = row.with("intake_of_empty", Figure::Ratio(ratio));
    let row = row.with("newest_100", Figure::Time(newest.1)).with("listed", Figure::Count(newest.0));
    let row = row.with("by_control_id", Figure::Time(by_control_id.0));
    let row = row.with("by_control_id_max", Figure::Time(by_control_id.1));
    let row = row.with("by_patient", Figure::Time(by_patient.0));
    let row = row.with("by_patient_max", Figure::Time(by_patient.1));
    let row = row.with("store", Figure::Bytes(stand.stored_bytes()?));
    bench.tell(row.with("memory", Figure::Bytes(stand.child().usage().memory)));
    Ok(())
}

async fn intake(bench: &Bench, channel: &Channel) -> Result<(Seen, u64), Complaint> {
    let running = Load::closed(channel.listen, SENDERS).start().await;
    let seen = window::answers(&running, bench.lasts()).await;
    Ok((seen, running.stop().await?))
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
