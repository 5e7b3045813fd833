//! A message that waits until a table has its code, and what it holds back meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{Hash, MessageId};

/// Longer codes are cut where they are told.
const LONGEST: usize = 80;

/// So long until what a server may have by itself is looked for again.
const LATER: Duration = Duration::from_secs(10);

/// Why a message is held: what tables lack, and the deliveries that must not overtake it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In the order in which the steps asked.
    pub missing: Vec<Missing>,
    /// The keys of each destination that is ordered by a key, worked out on the message as it then stood. `None`: nobody
    /// can say, and it holds back all.
    #[serde(default)]
    pub keys: BTreeMap<String, Option<Vec<String>>>,
}

/// A row that a table does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub table: String,
    /// Columns, and what they were to hold.
    pub asked: Vec<(String, String)>,
    /// Whose row was looked for, where the table has rows per sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The column that was wanted.
    pub wanted: String,
    /// Which server holds the table, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// A message that waits for a code, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standstill {
    pub message: MessageId,
    pub held: Held,
    /// At how many starts it was found in its steps.
    pub marks: u32,
}

/// What came of a look at a message that waited for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// It still does.
    Held(Held),
    /// It went on, or does not wait any more.
    Went,
}

impl Held {
    /// Whether a server may have by itself what it waits for: nothing comes into force here then.
    pub(crate) fn asks_servers(&self) -> bool {
        self.missing.iter().any(|missing| missing.server.is_some())
    }
}

impl Missing {
    /// What the row is to hold; of several columns, with ` / ` between.
    pub fn code(&self) -> String {
        let values: Vec<&str> = self.asked.iter().map(|(_, value)| value.as_str()).collect();
        values.join(" / ")
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the table `{}` has no row for `{}`", self.table, cut(&self.code()))?;
        match self.sender.as_deref() {
            Some(sender) if !sender.is_empty() => write!(formatter, " of `{}`", cut(sender)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.missing.first() else { return formatter.write_str("it waits for a code") };
        first.fmt(formatter)?;
        match self.missing.len() {
            1 => Ok(()),
            many => write!(formatter, " (and {} more)", many - 1),
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// The messages of one channel that wait for a code, and whether it is time to look at them again.
pub(crate) struct Holding {
    state: Mutex<State>,
    /// One look at a time: a person may ask for one message while all are looked at.
    pub(crate) looking: tokio::sync::Mutex<()>,
}

struct State {
    held: BTreeSet<MessageId>,
    /// The steps that are in force: what others held is looked at again.
    in_force: Hash,
    /// Behind which message the next look begins; `None`: nothing has changed since the last one.
    next: Option<MessageId>,
    /// When to look again, though nothing comes into force here.
    later: Option<Instant>,
    /// Counts the reasons to begin anew.
    round: u64,
}

/// A look at all that wait, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    number: u64,
    pub(crate) after: MessageId,
}

impl Holding {
    pub(crate) fn new(in_force: Hash) -> Self {
        let state = State { held: BTreeSet::new(), in_force, next: None, later: None, round: 0 };
        Self { state: Mutex::new(state), looking: tokio::sync::Mutex::default() }
    }

    /// Other steps or other tables are in force: whoever waits may find its code now.
    pub(crate) fn comes_into_force(&self, version: Hash) {
        self.lock().in_force = version;
        self.look_again();
    }

    pub(crate) fn look_again(&self) {
        let mut state = self.lock();
        state.next = Some(MessageId(0));
        state.later = None;
        state.round += 1;
    }

    /// What one of them waits for may come by itself.
    pub(crate) fn look_later(&self) {
        self.lock().later.get_or_insert_with(|| Instant::now() + LATER);
    }

    /// Returns when it is time to look again; never where all wait for other tables.
    pub(crate) async fn later(&self) {
        let later = self.lock().later;
        match later {
            Some(later) => tokio::time::sleep_until(later).await,
            None => std::future::pending().await,
        }
    }

    /// A message is held by steps of this version; says whether those are no longer in force.
    pub(crate) fn stands(&self, id: MessageId, version: Hash) -> bool {
        let mut state = self.lock();
        state.held.insert(id);
        state.in_force != version
    }

    pub(crate) fn gone(&self, id: MessageId) {
        self.lock().held.remove(&id);
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().held.len() as u64
    }

    /// Where the look goes on, if there is one.
    pub(crate) fn round(&self) -> Option<Round> {
        let state = self.lock();
        state.next.map(|after| Round { number: state.round, after })
    }

    /// Whether nothing has come into force since it began.
    pub(crate) fn is_current(&self, round: Round) -> bool {
        self.lock().round == round.number
    }

    /// The look has come to this message; `None`: to the end. One that began anew meanwhile stays where it is.
    pub(crate) fn looked(&self, round: Round, upto: Option<MessageId>) {
        let mut state = self.lock();
        if state.round == round.number {
            state.next = upto;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_lacks_is_told_with_its_code_and_its_sender() {
        let asked = vec![("site".to_owned(), "N".to_owned()), ("code".to_owned(), "GLU".to_owned())];
        let missing = Missing { table: "tests".to_owned(), asked, ..Missing::default() };
        let held = Held { missing: vec![missing.clone(), missing.clone()], ..Held::default() };
        assert_eq!(held.to_string(), "the table `tests` has no row for `N / GLU` (and 1 more)");
        let sent = Missing { sender: Some("LAB".to_owned()), ..missing };
        assert_eq!(sent.to_string(), "the table `tests` has no row for `N / GLU` of `LAB`");
    }

    #[test]
    fn a_look_that_begins_anew_is_not_taken_for_one_that_has_ended() {
        let holding = Holding::new(Hash::of(&[b"1"]));
        assert!(holding.round().is_none());
        holding.look_again();
        let first = holding.round().unwrap();
        holding.comes_into_force(Hash::of(&[b"2"]));
        holding.looked(first, None);
        let second = holding.round().unwrap();
        assert_eq!(second.after, MessageId(0));
        holding.looked(second, Some(MessageId(7)));
        assert_eq!(holding.round().unwrap().after, MessageId(7));
        assert!(holding.stands(MessageId(8), Hash::of(&[b"1"])) && holding.count() == 1);
    }
}
