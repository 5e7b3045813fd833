//! Messages that are run together, once no more of them come (`group:`).
//!
//! A member is a message as any other: kept, answered, and queued with nothing to deliver, in one write with what it
//! brings into its group. When the group is quiet, a message of its own is kept that holds what the members brought, in
//! one write with how far it reaches; the channel's steps and destinations are for that one. Nothing of it is in memory.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::{sync::Notify, time::Instant};

use crate::{Facts, Hash, MessageId};

/// When the members of a group are run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// So long after its last member.
    pub quiet: Duration,
    /// So long after the first member that no run has had, though it is not quiet.
    pub at_most: Option<Duration>,
}

/// What one message brings into its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joins {
    /// Names the group. Never empty.
    pub key: String,
    /// JSON.
    pub brings: String,
    /// How many members its sender says there are.
    pub expected: Option<u64>,
}

/// A group with members that no run has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathering {
    pub mark: Hash,
    pub key: String,
    /// How many runs there were.
    pub runs: u64,
    /// Members that are no longer kept.
    pub gone: u64,
}

/// One member, as a run gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// In the order in which members were queued.
    pub place: u64,
    pub message: MessageId,
    /// RFC 3339, UTC.
    pub received: String,
    pub brings: String,
}

/// How far a run reaches: goes with the write that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    pub mark: Hash,
    pub through: u64,
}

/// Which groups are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ripe {
    /// Those whose last member came before.
    pub last: SystemTime,
    /// Those whose first member that no run has had came before.
    pub first: Option<SystemTime>,
}

/// The groups of a channel that may run, and when the next of the others may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gatherings {
    pub ripe: Vec<Gathering>,
    /// The earliest last member of a group that waits, and the earliest first.
    pub last: Option<SystemTime>,
    pub first: Option<SystemTime>,
}

/// What a message has to do with a group, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    pub key: String,
    /// Which run of the group it is, where it is one.
    pub run: Option<u64>,
    /// How many members the group has by now.
    pub members: u64,
    /// Members that no run has had.
    pub waiting: u64,
    /// Of a member: the runs that had it. Of a run: the first of its members.
    pub messages: Vec<MessageId>,
}

/// The groups of a channel that wait for quiet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenGroups {
    pub groups: u64,
    /// Members that no run has had.
    pub members: u64,
    /// When the first of those came.
    pub oldest: Option<SystemTime>,
}

impl Group {
    pub(crate) fn ripe(&self, now: SystemTime) -> Ripe {
        let before = |time: Duration| now.checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH);
        Ripe { last: before(self.quiet), first: self.at_most.map(before) }
    }

    /// How long until the next group may run.
    pub(crate) fn next(&self, found: &Gatherings, now: SystemTime) -> Option<Duration> {
        let quiet = found.last.map(|last| last + self.quiet);
        let late = found.first.zip(self.at_most).map(|(first, at_most)| first + at_most);
        let next = [quiet, late].into_iter().flatten().min()?;
        Some(next.duration_since(now).unwrap_or_default())
    }
}

impl Joins {
    /// Names the group where its key is no longer kept.
    pub fn mark(&self) -> Hash {
        Hash::of(&[b"group", self.key.as_bytes()])
    }
}

/// The fact that tells a run of a group from its members.
const FACT: &str = "group";

impl Gathering {
    /// What a run knows beside its body.
    pub(crate) fn facts(&self, members: usize) -> Facts {
        let mut facts = Facts::new();
        facts.insert(
            FACT.to_owned(),
            json!({ "key": self.key, "run": self.runs + 1, "members": members, "gone": self.gone }),
        );
        facts
    }
}

/// Whether these are the facts of a run.
pub fn is_run(facts: &Facts) -> bool {
    facts.get(FACT).is_some_and(|fact| fact.get("run").is_some_and(Value::is_u64))
}

/// The facts of a run that stands for these members, for a channel's tests.
pub fn facts_of_run(key: &str, members: usize) -> Facts {
    Gathering { mark: Hash::of(&[]), key: key.to_owned(), runs: 0, gone: 0 }.facts(members)
}

/// The body of a run: `{"group": KEY, "run": 1, "gone": 0, "members": [{"id": …, "received": …, "msg": …}]}`.
pub struct RunBody {
    text: Vec<u8>,
    members: usize,
}

impl RunBody {
    pub fn new(key: &str, run: u64, gone: u64) -> Self {
        let head = json!({ "group": key, "run": run, "gone": gone }).to_string();
        let mut text = head.into_bytes();
        text.pop();
        text.extend_from_slice(b",\"members\":[");
        Self { text, members: 0 }
    }

    pub fn add(&mut self, member: &Member) {
        let received = &member.received;
        let between = if self.members == 0 { "" } else { "," };
        let head = format!("{between}{{\"id\":{},\"received\":\"{received}\",\"msg\":", member.message);
        self.text.extend_from_slice(head.as_bytes());
        self.text.extend_from_slice(member.brings.as_bytes());
        self.text.push(b'}');
        self.members += 1;
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.text.extend_from_slice(b"]}");
        self.text
    }
}

/// When a channel looks at its groups next.
#[derive(Default)]
pub(crate) struct Waking {
    next: Mutex<Option<Instant>>,
    joined: Notify,
}

/// Whoever joins is looked at after this time: a thousand members are not a thousand looks.
const TOGETHER: Duration = Duration::from_millis(100);

impl Waking {
    /// A member has joined its group.
    pub(crate) fn joined(&self) {
        let mut next = self.lock();
        let soon = Instant::now() + TOGETHER;
        if next.is_none_or(|next| next > soon) {
            *next = Some(soon);
            drop(next);
            self.joined.notify_one();
        }
    }

    /// Whether it is time to look; it is then no more until somebody joins, or [`Self::again`] is called.
    pub(crate) fn is_time(&self) -> bool {
        let mut next = self.lock();
        let is_time = next.is_some_and(|next| next <= Instant::now());
        if is_time {
            *next = None;
        }
        is_time
    }

    /// Looks again after this time, or before if somebody joins.
    pub(crate) fn again(&self, after: Duration) {
        let at = Instant::now() + after;
        let mut next = self.lock();
        if next.is_none_or(|next| next > at) {
            *next = Some(at);
            drop(next);
            self.joined.notify_one();
        }
    }

    /// Returns when it is time to look, or when that has changed.
    pub(crate) async fn time(&self) {
        let next = *self.lock();
        tokio::select! {
            () = self.joined.notified() => {}
            () = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_run_is_json_and_names_its_members() {
        let mut body = RunBody::new("a \"b\"", 2, 1);
        for id in [3, 7] {
            let received = "1970-01-01T00:00:00Z".to_owned();
            let brings = "{\"x\":1}".to_owned();
            body.add(&Member { place: id, message: MessageId(id), received, brings });
        }
        let read: Value = serde_json::from_slice(&body.finish()).unwrap();
        assert_eq!(read["group"], "a \"b\"");
        assert_eq!((&read["run"], &read["gone"]), (&json!(2), &json!(1)));
        assert_eq!(read["members"][1]["id"], 7);
        assert_eq!(read["members"][0]["msg"]["x"], 1);
        assert_eq!(read["members"][0]["received"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_run_is_told_by_its_facts_and_nothing_else_is_one() {
        assert!(is_run(&facts_of_run("k", 2)));
        assert!(!is_run(&Facts::new()));
        let other: Facts = serde_json::from_value(json!({ "group": "radiology" })).unwrap();
        assert!(!is_run(&other));
    }

    #[test]
    fn the_next_look_is_when_the_first_group_may_run() {
        let group = Group { quiet: Duration::from_secs(30), at_most: Some(Duration::from_mins(1)) };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let found = Gatherings { ripe: Vec::new(), last: Some(at(100)), first: Some(at(60)) };
        assert_eq!(group.next(&found, at(105)), Some(Duration::from_secs(15)));
        let calm = Group { at_most: None, ..group.clone() };
        assert_eq!(calm.next(&found, at(105)), Some(Duration::from_secs(25)));
        assert_eq!(group.next(&Gatherings::default(), at(105)), None);
    }
}
