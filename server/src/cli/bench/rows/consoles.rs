//! Many consoles open at once: what they cost those who send messages, and how soon they hear.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        report::Row,
        stand::{Channel, Stand},
        window,
    },
    KEEPS, SENDERS, intake,
};
use crate::{cli::Complaint, client::Client};

/// The pace at which hospitals send at their busiest.
const PACE: f64 = 3000.0;
const PACED_SENDERS: u16 = 16;
/// How long all consoles may take to be there.
const THERE: Duration = Duration::from_secs(20);
/// What a console asks for before it listens.
const FIRST: [&str; 4] = ["channels", "server", "series", "episodes"];

/// Open consoles, until dropped.
struct Consoles {
    listening: JoinSet<()>,
    /// Bytes of events that all of them have heard.
    heard: Arc<AtomicU64>,
}

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let number = bench.counts().consoles;
    let channel = Channel::measured(KEEPS)?;
    let stand = Stand::begin(bench, std::slice::from_ref(&channel)).await?;
    let mut row = Row::of(Scenario::Consoles, "consoles open while messages come, each told of every second");
    row.count("consoles", number);
    row.rate("pace", PACE);
    // Beside each other in time, twice: what a machine does meanwhile falls on both.
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        without.push(intake(bench, &channel).await?.0.pace.median());
        let consoles = Consoles::open(&stand, number).await?;
        with.push(intake(bench, &channel).await?.0.pace.median());
        drop(consoles);
    }
    let (alone, beside) = (mean(&without), mean(&with));
    row.rate("intake_without", alone);
    row.rate("intake_with", beside);
    row.ratio("intake_of_without", beside, alone);
    paced(bench, &stand, &channel, (number, &mut row)).await?;
    bench.tell(row.at(SENDERS));
    Ok(())
}

/// How long senders wait at a steady pace, without consoles and with them.
async fn paced(
    bench: &Bench,
    stand: &Stand,
    channel: &Channel,
    (number, row): (u64, &mut Row),
) -> Result<(), Complaint> {
    for name in ["without", "with"] {
        let consoles = match name {
            "with" => Some(Consoles::open(stand, number).await?),
            _ => None,
        };
        let load = Load { pace: Some(PACE), ..Load::closed(channel.listen, PACED_SENDERS) };
        let running = load.start().await;
        let (heard, before) = (consoles.as_ref().map_or(0, Consoles::heard), stand.child().usage());
        let seen = window::answers(&running, bench.lasts()).await;
        let used = stand.child().usage().processor.saturating_sub(before.processor);
        if let Some(consoles) = &consoles {
            consoles.hear_more_than(heard).await?;
        }
        running.stop().await?;
        row.rate(&format!("paced_{name}"), seen.pace.median());
        row.waits(&format!("wait_{name}"), seen.waits);
        row.time(&format!("processor_{name}"), used);
        if let Some(consoles) = consoles {
            if consoles.listening.len() as u64 != number {
                return Err(Complaint::wrong("a console lost its connection"));
            }
            row.bytes("heard_by_each", (consoles.heard() - heard) / number);
        }
    }
    Ok(())
}

impl Consoles {
    /// Each asks for what a browser asks for first, then listens. Comes back when all hear.
    async fn open(stand: &Stand, number: u64) -> Result<Self, Complaint> {
        let client = Arc::new(stand.client()?);
        let (mut listening, heard, there) = (JoinSet::new(), Arc::new(AtomicU64::new(0)), Arc::default());
        for _ in 0..number {
            let (client, heard, there) = (Arc::clone(&client), Arc::clone(&heard), Arc::clone(&there));
            listening.spawn(async move {
                // One that ends is missed in the number of those that listen.
                let _ = listen(&client, &heard, &there).await;
            });
        }
        let all = async {
            while there.load(Ordering::SeqCst) < number {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let all = tokio::time::timeout(THERE, all).await;
        all.map_err(|_| Complaint::wrong(format!("not every console was there within {THERE:?}")))?;
        Ok(Self { listening, heard })
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// They are told once a second: a short measurement may end before.
    async fn hear_more_than(&self, heard: u64) -> Result<(), Complaint> {
        let told = async {
            while self.heard() == heard {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let told = tokio::time::timeout(THERE, told).await;
        told.map_err(|_| Complaint::wrong(format!("no console heard anything within {THERE:?}")))
    }
}

async fn listen(client: &Client, heard: &AtomicU64, there: &AtomicU64) -> Result<(), Complaint> {
    for path in FIRST {
        client.get::<Value>(&[path], &[]).await?;
    }
    let mut events = client.listen(&[("about", "states".to_owned())]).await?;
    there.fetch_add(1, Ordering::SeqCst);
    while let Ok(Some(bytes)) = events.chunk().await {
        heard.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}

fn mean(rates: &[f64]) -> f64 {
    rates.iter().sum::<f64>() / rates.len().max(1) as f64
}
