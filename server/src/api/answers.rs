//! The forms of the API's answers: what the server writes and the commands read.

use engine::{ChannelView, DeliveryRow, HeadView, MessageRow, OutletView, Unsettled};
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    fleet::{Life, Member},
    terminal,
    why::Why,
};

/// How the server stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ServerStatus {
    pub(crate) version: String,
    pub(crate) project: String,
    pub(crate) up_seconds: f64,
    pub(crate) store_bytes: u64,
    /// Free on its disk; with fewer than the floor, or a store above its budget, no new messages are taken.
    pub(crate) store_free_bytes: u64,
    pub(crate) store_floor_bytes: u64,
    pub(crate) store_budget_bytes: Option<u64>,
    /// Days until then, at the pace of the last day.
    pub(crate) store_full_days: Option<f64>,
    /// Why the store cannot write, if it cannot.
    pub(crate) store_trouble: Option<String>,
    /// Why no new messages are taken, if none are: that, or no room.
    pub(crate) store_refuses: Option<String>,
    /// What is wrong with the files as they are now, where they are not in force.
    pub(crate) edit_faults: Vec<Value>,
}

/// How a channel stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ChannelStatus {
    pub(crate) name: String,
    /// `running`, `paused`, `stopped`, `broken` or `disabled`.
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) file: String,
    pub(crate) version: String,
    /// Where its source listens, or takes files, with what its last look found.
    pub(crate) listens: Vec<String>,
    /// Why its source does not run, though it should.
    pub(crate) trouble: Option<Why>,
    /// Why its source cannot take some of what is there, while the rest goes its way.
    #[serde(default)]
    pub(crate) left_out: Option<Why>,
    pub(crate) connections: i64,
    /// Since the server started.
    pub(crate) received: u64,
    /// Messages whose steps broke within the last day.
    #[serde(default)]
    pub(crate) failed: u64,
    /// Messages that wait for a code that a table lacks.
    #[serde(default)]
    pub(crate) held: u64,
    /// Messages that have no answer in the time in which the channel expects one.
    #[serde(default)]
    pub(crate) overdue: u64,
    /// Groups of messages that wait until no more of them come.
    #[serde(default)]
    pub(crate) groups: u64,
    pub(crate) destinations: Vec<DestinationStatus>,
    /// Why it is broken, or why its edited file is not in force.
    pub(crate) faults: Vec<Value>,
    /// Whether its file as it is now is the one that runs.
    pub(crate) in_force: bool,
}

/// How a destination stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DestinationStatus {
    pub(crate) name: String,
    /// `idle`, `sending`, `waiting`, `stopped`, `held`, `closed` or `detached`.
    pub(crate) state: String,
    pub(crate) depth: u64,
    pub(crate) oldest_seconds: Option<f64>,
    /// Deliveries that a person must look at, by their state: `given_up`, `set_aside`, `unsure`.
    #[serde(default)]
    pub(crate) unsettled: BTreeMap<String, u64>,
    pub(crate) head: Option<Head>,
    /// Why nothing can be said of what waits: its queue cannot be read.
    #[serde(default)]
    pub(crate) trouble: Option<Why>,
}

/// The delivery that goes next, or that holds the others up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Head {
    pub(crate) delivery: u64,
    pub(crate) message: u64,
    pub(crate) attempts: u32,
    pub(crate) why: Option<Why>,
    pub(crate) next_try_seconds: Option<f64>,
}

/// A message as a list shows it: no content.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MessageStatus {
    pub(crate) id: u64,
    pub(crate) channel: String,
    pub(crate) received: String,
    pub(crate) state: String,
    pub(crate) outcome: Option<String>,
    /// What became of the answer to its sender.
    pub(crate) answer: String,
    pub(crate) control_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) flags: Vec<String>,
    pub(crate) why: Option<Why>,
    pub(crate) size: u64,
    pub(crate) version: String,
    pub(crate) deliveries: Vec<DeliveryStatus>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeliveryStatus {
    pub(crate) id: u64,
    pub(crate) message: u64,
    pub(crate) channel: String,
    pub(crate) destination: String,
    pub(crate) part: Option<u32>,
    pub(crate) state: String,
    pub(crate) effect: String,
    pub(crate) attempts: u32,
    pub(crate) why: Option<Why>,
    pub(crate) next_try: Option<String>,
    /// When it ended; nothing of one that waits.
    #[serde(default)]
    pub(crate) ended: Option<String>,
    /// Its lane waits for a person.
    pub(crate) stopped: bool,
}

/// What came of `deploy`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deployed {
    pub(crate) in_force: bool,
    pub(crate) changes: Vec<String>,
    /// What is promised no more: a line each, with its place.
    #[serde(default)]
    pub(crate) losses: Vec<String>,
    /// Settings that take effect at a restart.
    #[serde(default)]
    pub(crate) wait_for_restart: Vec<String>,
    pub(crate) faults: u64,
    /// The faults, for people.
    pub(crate) report: String,
}

/// One thing that `resend` or `drop` does, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Picked {
    pub(crate) message: u64,
    /// `None`: the whole message is run again.
    pub(crate) delivery: Option<u64>,
    pub(crate) destination: Option<String>,
    pub(crate) state: String,
    /// In words: `send to record again`.
    pub(crate) what: String,
}

impl Picked {
    pub(crate) const RUN_AGAIN: &str = "run again whole, as a new message";
    pub(crate) const LOOK_AGAIN: &str = "look for its code again, and go on";
    pub(crate) const ABANDON: &str = "drop it whole: it is carried nowhere";
}

impl ChannelStatus {
    /// `counted`: messages received, and all that is unsettled.
    pub(crate) fn of(
        name: &str,
        member: &Member,
        (received, unsettled): (u64, &[Unsettled]),
        edit: &[channels::Fault],
    ) -> Self {
        let ours_unsettled: Vec<_> = unsettled.iter().filter(|one| one.channel == name).collect();
        let view = member.running().map(|channel| channel.view());
        let plan = member.running().map(|channel| channel.plan());
        let backlog = member.running().and_then(|channel| channel.backlog());
        let takes_from = backlog.map(|backlog| backlog.standing());
        let ours: Vec<_> = edit.iter().filter(|fault| fault.file == member.file).cloned().collect();
        let faults = match &member.life {
            Life::Broken(faults) => faults,
            Life::Runs(_) | Life::Disabled => &ours,
        };
        Self {
            name: name.to_owned(),
            state: view.as_ref().map_or_else(|| standing(&member.life).to_owned(), state_of),
            description: member.description.clone(),
            tags: member.tags.clone(),
            file: member.file.display().to_string(),
            version: member.version.to_string(),
            listens: plan.iter().flat_map(listens).chain(takes_from).collect(),
            trouble: view.as_ref().and_then(|view| view.trouble.clone()).map(Why::of_source),
            left_out: view.as_ref().and_then(|view| view.left_out.clone()).map(Why::of_source),
            connections: view.as_ref().map_or(0, |view| view.connections),
            received,
            failed: of_messages(&ours_unsettled, "failed"),
            held: of_messages(&ours_unsettled, "held"),
            overdue: 0,
            groups: 0,
            destinations: view
                .iter()
                .flat_map(|view| &view.destinations)
                .map(|view| DestinationStatus::of(view, &ours_unsettled))
                .collect(),
            faults: faults_json(faults),
            in_force: ours.is_empty(),
        }
    }

    /// What a person needs to know beside the state, in one line.
    pub(crate) fn words(&self) -> String {
        let mut words = self.standing();
        if self.failed > 0 {
            words = format!("{words}  {} failed within a day", terminal::counted(self.failed, "message"));
        }
        words = match self.held {
            0 => words,
            1 => format!("{words}  1 message waits for a code"),
            held => format!("{words}  {held} messages wait for a code"),
        };
        words = match self.groups {
            0 => words,
            1 => format!("{words}  1 group waits for quiet"),
            groups => format!("{words}  {groups} groups wait for quiet"),
        };
        match self.overdue {
            0 => words,
            1 => format!("{words}  1 answer is overdue"),
            overdue => format!("{words}  {overdue} answers are overdue"),
        }
    }

    fn standing(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("not taking: {}", trouble.words());
        }
        let listens = match &self.left_out {
            Some(why) => {
                let why = why.words();
                format!("{}; {why}, see `relais pending {}`", self.listens.join(", "), self.name)
            }
            None => self.listens.join(", "),
        };
        match (self.faults.first(), self.state.as_str()) {
            (Some(fault), "broken") => {
                let more = match self.faults.len() {
                    1 => String::new(),
                    faults => format!(" (and {} more)", faults - 1),
                };
                let first = fault["message"].as_str().unwrap_or("its file has faults");
                format!("{first}{more}; see `relais check`")
            }
            (Some(_), _) => format!("{listens} (its edited file is not in force, see `relais check`)"),
            (None, _) if self.received > 0 => {
                format!("{listens}  {} received", terminal::counted(self.received, "message"))
            }
            (None, _) => listens,
        }
        .trim()
        .to_owned()
    }
}

impl DestinationStatus {
    pub(super) fn of(view: &OutletView, unsettled: &[&Unsettled]) -> Self {
        let ours = unsettled.iter().filter(|one| one.destination.as_deref() == Some(&view.name));
        Self {
            name: view.name.clone(),
            state: view.state.to_owned(),
            depth: view.depth,
            oldest_seconds: view.oldest_seconds,
            unsettled: ours.map(|one| (one.state.to_owned(), one.number)).collect(),
            head: view.head.as_ref().map(Head::of),
            trouble: view.trouble.clone().map(Why::ours),
        }
    }

    /// Why the head waits and when it is tried next, and what needs a person.
    pub(crate) fn words(&self) -> String {
        let unsettled = ["given_up", "set_aside", "unsure"].into_iter().filter_map(|state| {
            let number = self.unsettled.get(state)?;
            Some(format!("{number} {}", state.replace('_', " ")))
        });
        let head = self.head_words().map(|why| why.words().to_owned());
        head.into_iter().chain(unsettled).collect::<Vec<_>>().join("; ")
    }

    /// Why the first does not go, and when it is tried again.
    pub(crate) fn head_words(&self) -> Option<Why> {
        if self.trouble.is_some() {
            return self.trouble.clone();
        }
        let head = self.head.as_ref()?;
        let Some(seconds) = head.next_try_seconds else { return head.why.clone() };
        let pause = terminal::lasting(std::time::Duration::from_secs_f64(seconds.max(0.0)));
        let tried = format!("(attempt {} failed, next in {pause})", head.attempts);
        Some(head.why.as_ref().map_or_else(|| Why::ours(&tried), |why| why.within("", &format!(" {tried}"))))
    }
}

impl Head {
    fn of(view: &HeadView) -> Self {
        Self {
            delivery: view.delivery.0,
            message: view.message.0,
            attempts: view.attempts,
            why: view.why.clone().map(Why::from),
            next_try_seconds: view.next_try_seconds,
        }
    }
}

impl MessageStatus {
    pub(crate) fn of(row: MessageRow) -> Self {
        Self {
            id: row.id.0,
            channel: row.channel,
            received: row.received,
            state: word(&row.state),
            outcome: row.outcome,
            answer: word(&row.answer),
            control_id: row.control_id,
            kind: row.kind,
            flags: row.flags,
            why: row.why.map(Why::from),
            size: row.size,
            version: row.version,
            deliveries: row.deliveries.into_iter().map(DeliveryStatus::of).collect(),
        }
    }
}

impl MessageStatus {
    /// How it stands, in one word: once its steps are done its deliveries say it, the worst of the latest of each.
    pub(crate) fn word(&self) -> &str {
        const WORST_FIRST: [&str; 7] =
            ["given_up", "set_aside", "unsure", "begun", "waiting", "dropped", "sent"];
        if self.state != "queued" {
            return &self.state;
        }
        if self.latest().any(|one| one.stopped) {
            return "stopped";
        }
        let stands = |state: &&&str| self.latest().any(|one| one.state == **state);
        WORST_FIRST.iter().find(stands).copied().unwrap_or("accepted")
    }

    /// Of each part and destination the latest delivery.
    fn latest(&self) -> impl Iterator<Item = &DeliveryStatus> {
        let newer = |one: &DeliveryStatus, other: &DeliveryStatus| {
            other.id > one.id && other.destination == one.destination && other.part == one.part
        };
        self.deliveries.iter().filter(move |one| !self.deliveries.iter().any(|other| newer(one, other)))
    }
}

impl DeliveryStatus {
    pub(crate) fn of(row: DeliveryRow) -> Self {
        let next_try = row.tally.not_before.and_then(|when| jiff::Timestamp::try_from(when).ok());
        Self {
            id: row.id.0,
            message: row.message.0,
            channel: row.channel,
            destination: row.destination,
            part: row.part,
            state: word(&row.state),
            effect: row.effect,
            attempts: row.tally.attempts,
            why: row.tally.why.map(Why::from),
            next_try: next_try.map(|when| when.to_string()),
            ended: row.ended,
            stopped: row.tally.stopped,
        }
    }
}

/// How many messages stand so.
fn of_messages(unsettled: &[&Unsettled], state: &str) -> u64 {
    let ours = unsettled.iter().filter(|one| one.destination.is_none() && one.state == state);
    ours.map(|one| one.number).sum()
}

/// The word by which the engine calls a state.
fn word(state: &impl Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn state_of(view: &ChannelView) -> String {
    word(&view.state)
}

fn standing(life: &Life) -> &'static str {
    match life {
        Life::Runs(_) => "running",
        Life::Disabled => "disabled",
        Life::Broken(_) => "broken",
    }
}

fn listens(plan: &engine::Plan) -> Vec<String> {
    let ports = plan.source.claims().into_iter().filter_map(|claim| match claim {
        engine::Claim::Port(address) => Some(address.to_string()),
        engine::Claim::Path { port, path, .. } => Some(format!("{port}{}", path.trim_end_matches('/'))),
        engine::Claim::Folder { .. } => None,
    });
    ports.collect()
}

/// The faults as `relais check --format json` lists them.
pub(super) fn faults_json(faults: &[channels::Fault]) -> Vec<Value> {
    match channels::to_json(faults) {
        Value::Array(faults) => faults,
        Value::Object(mut listed) => match listed.remove("faults") {
            Some(Value::Array(faults)) => faults,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn word_of(deliveries: &[(u64, &str, &str)]) -> String {
        let deliveries: Vec<_> = deliveries
            .iter()
            .map(|(id, destination, state)| {
                json!({ "id": id, "message": 1, "channel": "lab", "destination": destination, "part": null,
                    "state": state, "effect": "", "attempts": 1, "why": null, "next_try": null, "stopped": false })
            })
            .collect();
        let message = json!({ "id": 1, "channel": "lab", "received": "", "state": "queued", "answer": "told",
            "flags": [], "size": 0, "version": "", "deliveries": deliveries });
        serde_json::from_value::<MessageStatus>(message).unwrap().word().to_owned()
    }

    #[test]
    fn a_message_stands_as_the_worst_of_its_deliveries() {
        assert_eq!(word_of(&[(1, "record", "sent"), (2, "archive", "sent")]), "sent");
        assert_eq!(word_of(&[(1, "record", "sent"), (2, "archive", "waiting")]), "waiting");
        assert_eq!(word_of(&[(1, "record", "given_up"), (2, "archive", "waiting")]), "given_up");
        assert_eq!(word_of(&[]), "accepted");
    }

    #[test]
    fn what_was_sent_again_counts_by_its_latest_delivery() {
        assert_eq!(word_of(&[(1, "record", "given_up"), (7, "record", "sent")]), "sent");
    }
}
