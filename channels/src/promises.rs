//! What a channel promises those before and behind it: kept by a server, so that a change can be told by what it loses.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use engine::{Ages, Claim, OnNack, Order, OutletPlan, Path, QueueMode, RepeatPolicy, ReplyWhen, WhenUnsure};
use serde::{Deserialize, Serialize};

use crate::{
    reading::{ChannelRead, DestinationRead, protocol},
    yaml::Node,
};

/// What a server had in force, and what waited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    /// Whose variables were put in (`--environment`).
    pub environment: Option<String>,
    pub channels: BTreeMap<String, Promises>,
    /// Channel, destination, deliveries; `None` where nobody could count them.
    #[serde(default)]
    pub waiting: Option<Vec<(String, String, u64)>>,
}

/// What one channel promises. Holds no secret: places are kept as they are written in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promises {
    pub(crate) file: PathBuf,
    pub(crate) enabled: bool,
    /// The source's protocol.
    pub(crate) source: String,
    /// Ports it listens on, folders it reads.
    pub(crate) claims: Vec<String>,
    pub(crate) reply: Reply,
    /// How long a second copy is answered again, and has no second effect; zero where each is processed.
    pub(crate) repeats: Duration,
    pub(crate) content: Duration,
    pub(crate) errors: Duration,
    pub(crate) metadata: Duration,
    pub(crate) index: Vec<String>,
    /// By what its messages are run together.
    #[serde(default)]
    pub(crate) group: Option<String>,
    pub(crate) destinations: Vec<Destination>,
}

impl Promises {
    /// The names of its destinations.
    pub fn destinations(&self) -> impl Iterator<Item = &str> {
        self.destinations.iter().map(|destination| destination.name.as_str())
    }
}

/// When the sender is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Never,
    Stored,
    Processed,
    Delivered,
    Script,
    From(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Destination {
    pub(crate) name: String,
    /// `mllp 10.0.0.7:2575`, as it is written.
    pub(crate) to: String,
    /// How closely an answer is looked at (`to.mllp.answer`).
    pub(crate) answer: Option<String>,
    pub(crate) order: Sequence,
    pub(crate) queue: Queue,
    /// `None`: unlimited.
    pub(crate) attempts: Option<u32>,
    pub(crate) lasting: Option<Duration>,
    pub(crate) when_unsure: Unsure,
    pub(crate) nack: BTreeMap<String, Nack>,
    pub(crate) after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sequence {
    Arrival,
    Key(Vec<String>),
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Queue {
    Waits,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unsure {
    Resend,
    Hold,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nack {
    GiveUp,
    Retry,
    Stop,
}

impl InForce {
    /// How many deliveries wait for a destination; `None` where nobody could count them.
    pub(crate) fn waits_for(&self, channel: &str, destination: &str) -> Option<u64> {
        let fits = |(of, to, _): &&(String, String, u64)| of == channel && to == destination;
        let waiting = self.waiting.as_ref()?;
        Some(waiting.iter().filter(fits).map(|(_, _, number)| number).sum())
    }

    /// How many deliveries of a channel wait.
    pub(crate) fn waits_in(&self, channel: &str) -> Option<u64> {
        let waiting = self.waiting.as_ref()?;
        Some(waiting.iter().filter(|(of, _, _)| of == channel).map(|(_, _, number)| number).sum())
    }
}

impl Promises {
    /// Those of a channel that was read whole; `None` where a part could not be.
    pub(crate) fn of(read: &ChannelRead, tree: &Node, file: PathBuf) -> Option<Self> {
        let Ages { content, errors, metadata } = read.ages;
        let repeats = match read.repeats.policy {
            RepeatPolicy::AnswerAgain => read.repeats.window,
            RepeatPolicy::Accept => Duration::ZERO,
        };
        Some(Self {
            file,
            enabled: read.enabled,
            source: protocol(tree, &Path::parse("source")).unwrap_or_default(),
            claims: read.source_claims().iter().map(claimed).collect(),
            reply: reply(&read.reply.policy.when),
            repeats,
            content,
            errors,
            metadata,
            index: read.index.iter().map(|(name, _)| name.clone()).collect(),
            group: read.group.as_ref().map(|group| {
                let by: Vec<_> = group.code.by.iter().map(|at| at.value.as_str()).collect();
                by.join(", ")
            }),
            destinations: read
                .destinations
                .iter()
                .map(|one| destination(one, tree))
                .collect::<Option<_>>()?,
        })
    }
}

/// As a person writes it.
fn claimed(claim: &Claim) -> String {
    match claim {
        Claim::Port(address) => address.to_string(),
        Claim::Path { port, path, .. } => format!("{port}{}", path.trim_end_matches('/')),
        Claim::Folder { path, .. } => path.display().to_string(),
    }
}

fn reply(when: &ReplyWhen) -> Reply {
    match when {
        ReplyWhen::Never => Reply::Never,
        ReplyWhen::Stored => Reply::Stored,
        ReplyWhen::Processed => Reply::Processed,
        ReplyWhen::Delivered => Reply::Delivered,
        ReplyWhen::Script => Reply::Script,
        ReplyWhen::From(name) => Reply::From(name.clone()),
    }
}

fn destination(read: &DestinationRead, tree: &Node) -> Option<Destination> {
    let plan = read.plan.as_ref()?;
    let side = read.path.join("to");
    let protocol = protocol(tree, &side).unwrap_or_default();
    let settings = side.join(&protocol);
    let written = |key: &str| Some(tree.at(&settings.join(key))?.scalar()?.shown().to_owned());
    let place = ["connect", "listen", "url", "base", "host", "dir", "name"].into_iter().find_map(written);
    Some(Destination {
        name: read.name.clone(),
        to: format!("{protocol} {}", place.unwrap_or_default()).trim().to_owned(),
        answer: written("answer"),
        order: match plan.order {
            Order::Arrival => Sequence::Arrival,
            Order::Key => Sequence::Key(read.outlet.key.iter().map(|key| key.value.clone()).collect()),
            Order::None => Sequence::None,
        },
        queue: if plan.queue == QueueMode::Never { Queue::Never } else { Queue::Waits },
        attempts: plan.retry.attempts,
        lasting: plan.retry.lasting,
        when_unsure: match plan.when_unsure() {
            WhenUnsure::Resend => Unsure::Resend,
            WhenUnsure::Hold => Unsure::Hold,
            WhenUnsure::Stop => Unsure::Stop,
        },
        nack: nack(plan),
        after: plan.after.clone(),
    })
}

/// What each code means, written or not.
fn nack(plan: &OutletPlan) -> BTreeMap<String, Nack> {
    let usual = |code: &str| if code == "CE" { OnNack::Retry } else { OnNack::GiveUp };
    let meaning = |code: &str| match plan.nack.get(code).copied().unwrap_or(usual(code)) {
        OnNack::GiveUp => Nack::GiveUp,
        OnNack::Retry => Nack::Retry,
        OnNack::Stop => Nack::Stop,
    };
    ["AE", "AR", "CE", "CR"].into_iter().map(|code| (code.to_owned(), meaning(code))).collect()
}
