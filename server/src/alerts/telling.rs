//! Tells people what the rules of `alerts/` say, as letters, requests or messages of a channel.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use channels::{Route, Rule};
use engine::{DeliveryId, Facts, Hash, MessageId, Outbound, Texts};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Alerts,
    desk::{Desk, Digest},
    episode::Episode,
    letter,
};
use crate::{fleet::Fleet, key::write_for_owner};

/// How often it is looked at what is to be told.
const EVERY: Duration = Duration::from_secs(1);

/// The longest that one may take to be told.
const LONGEST: Duration = Duration::from_mins(2);

pub(crate) const TOLD: &str = "told.json";

/// The desks of all rules, as they are kept over a restart.
#[derive(Default, Serialize, Deserialize)]
struct Desks(BTreeMap<String, Desk>);

/// Tells, until the task is dropped.
pub(crate) async fn tell(alerts: Arc<Alerts>, fleet: Arc<Fleet>, folder: PathBuf) {
    let file = folder.join(TOLD);
    let mut desks = read(&file);
    let host = host();
    loop {
        tokio::time::sleep(EVERY).await;
        let rules = fleet.alerts();
        if rules.is_empty() {
            continue;
        }
        let due = desks.due(&rules, &fleet, &alerts.list(None));
        if due.is_empty() {
            continue;
        }
        let told = join_all(due.iter().map(|(name, rule, route, digest)| {
            let (fleet, host) = (&fleet, host.as_str());
            async move { (name, rule, digest, told(fleet, (rule, route), (digest, host)).await) }
        }));
        for (name, rule, digest, told) in told.await {
            let desk = desks.0.entry(name.clone()).or_default();
            match told {
                Ok(()) => desk.was_told(digest, Timestamp::now()),
                Err(why) => {
                    tracing::warn!(rule = rule.name, %why, "cannot tell what needs a person; will try again");
                    desk.failed(Timestamp::now());
                }
            }
        }
        write(&file, &desks);
    }
}

type Due = (String, Rule, Route, Digest);

impl Desks {
    fn due(&mut self, rules: &[Rule], fleet: &Fleet, episodes: &[Episode]) -> Vec<Due> {
        let now = Timestamp::now();
        let known: BTreeSet<u64> = episodes.iter().map(|one| one.id).collect();
        let mut names = BTreeSet::new();
        let mut due = Vec::new();
        for rule in rules {
            let about: Vec<_> = episodes
                .iter()
                .map(|one| (one.clone(), fleet.is_about(rule, one.channel.as_deref())))
                .collect();
            for (number, route) in rule.tell.iter().enumerate() {
                // A way is known by its place: an edited address goes on where the one before stood.
                let name = format!("{}.{number}", rule.name);
                let desk = self.0.entry(name.clone()).or_default();
                desk.keep(&known);
                names.insert(name.clone());
                if let Some(digest) = desk.due(rule, &about, now) {
                    due.push((name, rule.clone(), route.clone(), digest));
                }
            }
        }
        self.0.retain(|name, _| names.contains(name));
        due
    }
}

/// Sends one.
async fn told(
    fleet: &Fleet,
    (rule, route): (&Rule, &Route),
    (digest, host): (&Digest, &str),
) -> Result<(), String> {
    let subject = letter::subject(digest, host);
    let named = (rule.name.as_str(), host);
    let body = match route.protocol.as_str() {
        "smtp" => letter::text(digest, named),
        _ => letter::json(digest, named).to_string(),
    };
    sent(fleet, (rule, route), (subject, body)).await
}

/// Tells by each way of a rule what is marked as a trial: which way, why it could not, and how long it took.
pub(crate) async fn trial(fleet: &Fleet, rule: &Rule, by: &str) -> Vec<(String, Option<String>, Duration)> {
    let host = host();
    let tried = rule.tell.iter().map(|route| {
        let named = (rule.name.as_str(), host.as_str());
        let subject = letter::trial_subject(named);
        let body = match route.protocol.as_str() {
            "smtp" => letter::trial_text(named, by),
            _ => letter::trial_json(named, by).to_string(),
        };
        async move {
            let began = Instant::now();
            let problem = sent(fleet, (rule, route), (subject, body)).await.err();
            (route.protocol.clone(), problem, began.elapsed())
        }
    });
    join_all(tried).await
}

async fn sent(
    fleet: &Fleet,
    (rule, route): (&Rule, &Route),
    (subject, body): (String, String),
) -> Result<(), String> {
    let destination =
        route.settings.open(&fleet.opening(&rule.name)).await.map_err(|error| error.to_string())?;
    let texts = Texts::from([("subject".to_owned(), subject)]);
    let effect = Hash::of(&[rule.name.as_bytes(), route.protocol.as_bytes(), body.as_bytes()]);
    let outbound = Outbound {
        id: DeliveryId(0),
        message: MessageId(0),
        effect,
        body: body.into_bytes().into(),
        source: Arc::new(Facts::new()),
        texts,
        attempt: 1,
        doubts: 0,
        note: None,
        previous: None,
        trace: None,
    };
    let sent = tokio::time::timeout(LONGEST, destination.send(&outbound)).await;
    match sent.map_err(|_| format!("no answer within {LONGEST:?}"))? {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn read(file: &Path) -> Desks {
    let text = std::fs::read(file).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write(file: &Path, desks: &Desks) {
    let text = serde_json::to_string(desks).expect("a desk has text keys");
    if let Err(error) = write_for_owner(file, &text) {
        tracing::warn!(file = %file.display(), %error, "cannot write down what was told; it may be told again");
    }
}

/// This machine's name, for whoever looks after several.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "server".to_owned() } else { name.trim().to_owned() }
}
