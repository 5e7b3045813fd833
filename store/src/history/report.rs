//! What became of a channel's messages, counted in one walk over them: memory holds counts and no message.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use engine::{DeliveryState, MessageState, Outcome, Reason, Tallied, TalliedDay, Unit, Why};
use rusqlite::{Connection, Row};
use serde_json::Value;

use crate::codes::{self, Coded, kept_why, nanoseconds};

/// As many reasons are told apart; what comes beyond is counted with its kind alone.
const MOST_REASONS: usize = 200;

/// A message and one of its deliveries; a message without one has nothing there.
const WALK: &str = "SELECT m.id, m.received, m.state, m.outcome, m.size, m.why, m.halt,
    d.id, d.part, o.name, d.state, d.ended, m.batch, m.successor
    FROM messages m LEFT JOIN deliveries d ON d.message = m.id LEFT JOIN outlets o ON o.id = d.outlet
    WHERE m.channel = (SELECT id FROM channels WHERE name = ?1) AND m.received >= ?2 AND m.received < ?3
    ORDER BY m.id";

/// Counts what is in one span after the other.
pub(super) struct Counting {
    channel: String,
    unit: Unit,
    /// Files of several messages, by what they are known by.
    files: HashMap<[u8; 32], Counted>,
    /// Which file a message belongs to that stands for one of its messages.
    standing_in: HashMap<i64, [u8; 32]>,
    /// Where days begin and the last one ends, in nanoseconds.
    bounds: Vec<i64>,
    days: Vec<TalliedDay>,
    reasons: BTreeMap<Reason, u64>,
}

/// What becomes of what is counted, the worst first: a file stands as the worst of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Failed,
    Refused,
    GivenUp,
    InDoubt,
    Waiting,
    Dropped,
    Processed,
    Unwanted,
}

/// A message, or a file with all of its messages so far.
struct Counted {
    day: usize,
    received: i64,
    bytes: u64,
    messages: u64,
    fate: Fate,
    /// When the last of what was sent was.
    ended: Option<i64>,
}

/// One message, while its deliveries are read.
struct Standing {
    id: i64,
    day: usize,
    received: i64,
    state: MessageState,
    outcome: Option<Outcome>,
    size: u64,
    why: Option<Why>,
    halt: Option<String>,
    batch: Option<[u8; 32]>,
    successor: Option<i64>,
    /// The latest delivery of each part and destination.
    latest: BTreeMap<(u32, String), (i64, DeliveryState, Option<i64>)>,
}

impl Counting {
    pub(super) fn new(channel: &str, unit: Unit, bounds: &[SystemTime]) -> Self {
        let bounds: Vec<i64> = bounds.iter().map(|bound| nanoseconds(*bound)).collect();
        let days = vec![TalliedDay::default(); bounds.len().saturating_sub(1)];
        Self {
            channel: channel.to_owned(),
            unit,
            files: HashMap::new(),
            standing_in: HashMap::new(),
            bounds,
            days,
            reasons: BTreeMap::new(),
        }
    }

    pub(super) fn span(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (self.bounds.first(), self.bounds.last()) else { return Ok(()) };
        let mut statement = connection.prepare_cached(WALK)?;
        let mut rows = statement.query((&self.channel, first, last))?;
        let mut standing: Option<Standing> = None;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if standing.as_ref().is_none_or(|one| one.id != id) {
                let next = self.message(row, id)?;
                if let Some(done) = standing.replace(next) {
                    self.count(&done);
                }
            }
            if let Some(one) = &mut standing {
                one.delivery(row)?;
            }
        }
        if let Some(done) = standing {
            self.count(&done);
        }
        Ok(())
    }

    pub(super) fn done(mut self) -> Tallied {
        for file in std::mem::take(&mut self.files).into_values() {
            add(&mut self.days[file.day], &file);
        }
        let mut reasons: Vec<(Reason, u64)> = self.reasons.into_iter().collect();
        reasons.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        Tallied { days: self.days, reasons }
    }

    fn message(&self, row: &Row<'_>, id: i64) -> rusqlite::Result<Standing> {
        let received = row.get(1)?;
        let state = MessageState::of(row.get(2)?)?;
        let is_told = matches!(state, MessageState::Refused | MessageState::Failed);
        Ok(Standing {
            id,
            day: self.bounds.partition_point(|bound| *bound <= received) - 1,
            received,
            state,
            outcome: codes::maybe(row.get(3)?)?,
            size: row.get::<_, i64>(4)? as u64,
            why: if is_told { kept_why(row, 5)? } else { None },
            halt: if is_told { row.get(6)? } else { None },
            batch: if self.unit == Unit::File { row.get(12)? } else { None },
            successor: row.get(13)?,
            latest: BTreeMap::new(),
        })
    }

    fn count(&mut self, one: &Standing) {
        let file = self.standing_in.remove(&one.id).or(one.batch);
        // Another message stands for it, and is counted.
        if one.state == MessageState::Superseded {
            self.standing_in.extend(one.successor.zip(file));
            return;
        }
        let (fate, reason) = one.fate();
        if let Some(reason) = reason {
            let is_room = self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&reason);
            *self.reasons.entry(if is_room { reason } else { Reason::Refused }).or_default() += 1;
        }
        let ended = one.latest.values().filter_map(|(_, _, ended)| *ended).max();
        let Standing { day, received, size: bytes, .. } = *one;
        let counted = Counted { day, received, bytes, messages: 1, fate, ended };
        match file {
            Some(file) => {
                self.files.entry(file).and_modify(|there| there.join(&counted)).or_insert(counted);
            }
            None => add(&mut self.days[day], &counted),
        }
    }
}

impl Counted {
    /// Another message of the same file.
    fn join(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.messages += other.messages;
        self.fate = self.fate.min(other.fate);
        self.ended = self.ended.max(other.ended);
    }
}

fn add(day: &mut TalliedDay, one: &Counted) {
    day.received += 1;
    day.messages += one.messages;
    day.bytes += one.bytes;
    let number = match one.fate {
        Fate::Failed => &mut day.failed,
        Fate::Refused => &mut day.refused,
        Fate::GivenUp => &mut day.given_up,
        Fate::InDoubt => &mut day.in_doubt,
        Fate::Waiting => &mut day.waiting,
        Fate::Dropped => &mut day.dropped,
        Fate::Processed => &mut day.processed,
        Fate::Unwanted => &mut day.unwanted,
    };
    *number += 1;
    if let Some(ended) = one.ended.filter(|_| one.fate == Fate::Processed) {
        day.times.add(Duration::from_nanos(ended.saturating_sub(one.received).max(0) as u64));
    }
}

impl Standing {
    fn delivery(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let Some(id) = row.get::<_, Option<i64>>(7)? else { return Ok(()) };
        let of = (row.get(8)?, row.get(9)?);
        let there = self.latest.entry(of).or_insert((id, DeliveryState::Waiting, None));
        if id >= there.0 {
            *there = (id, DeliveryState::of(row.get(10)?)?, row.get(11)?);
        }
        Ok(())
    }

    /// What became of it, and why where it did not get through.
    fn fate(&self) -> (Fate, Option<Reason>) {
        match self.state {
            MessageState::Kept | MessageState::Held | MessageState::Superseded => (Fate::Waiting, None),
            MessageState::Filtered | MessageState::Unrouted => (Fate::Unwanted, None),
            MessageState::Refused => (Fate::Refused, Some(self.refusal())),
            MessageState::Failed => {
                (Fate::Failed, Some(Reason::Failed { step: self.halted("step").unwrap_or_default() }))
            }
            MessageState::Queued => self.delivered(),
        }
    }

    /// As the worst of its latest deliveries.
    fn delivered(&self) -> (Fate, Option<Reason>) {
        let stands = |states: &[DeliveryState]| {
            self.latest.iter().find(|(_, (_, state, _))| states.contains(state)).map(|((_, name), _)| name)
        };
        if let Some(destination) = stands(&[DeliveryState::GivenUp]) {
            return (Fate::GivenUp, Some(Reason::GivenUp { destination: destination.clone() }));
        }
        let fate = if stands(&[DeliveryState::SetAside, DeliveryState::Unsure]).is_some() {
            Fate::InDoubt
        } else if stands(&[DeliveryState::Waiting, DeliveryState::Begun]).is_some() {
            Fate::Waiting
        } else if stands(&[DeliveryState::Dropped]).is_some() {
            Fate::Dropped
        } else {
            Fate::Processed
        };
        (fate, None)
    }

    /// Words of a step may hold a patient; the place it named, and what is wrong with bytes, do not.
    fn refusal(&self) -> Reason {
        if self.outcome == Some(Outcome::Unreadable) {
            return Reason::Unreadable { why: without_numbers(self.why.as_deref().unwrap_or_default()) };
        }
        match self.halted("at") {
            Some(place) => Reason::RefusedAt { place },
            None => Reason::Refused,
        }
    }

    /// A member of what the step that ended it left.
    fn halted(&self, name: &str) -> Option<String> {
        let halt: Value = serde_json::from_str(self.halt.as_deref()?).ok()?;
        let found = halt.get(name).or_else(|| halt.as_object()?.values().find_map(|inside| inside.get(name)));
        found.and_then(Value::as_str).filter(|text| text.len() <= 120).map(str::to_owned)
    }
}

/// `line 7, column 12` is the same reason as `line 9, column 3`.
fn without_numbers(why: &str) -> String {
    let mut plain = String::with_capacity(why.len());
    for character in why.chars().take(300) {
        match character {
            digit if digit.is_ascii_digit() && plain.ends_with('…') => {}
            digit if digit.is_ascii_digit() => plain.push('…'),
            other => plain.push(other),
        }
    }
    plain
}
