//! Searches: a query becomes conditions, each with what it compares with.

use std::time::SystemTime;

use engine::{
    AnswerState, DeliveryId, DeliveryRow, DeliveryState, Hash, MessageId, MessageRow, MessageState, Query,
    Unsettled,
};
use rusqlite::{Connection, Row, params_from_iter, types::Value};

use crate::{
    codes::{self, Coded, by_name, kept_why, nanoseconds, parsed_or_default, written},
    failure::Failure,
    load::{RUNS, TALLY, read_tally},
    repeats,
    tables::first,
};

/// The columns of a [`MessageRow`].
pub(super) const MESSAGE_ROW: &str =
    "m.id, c.name, m.received, m.state, m.outcome, m.answer, m.control_id, m.kind,
     m.flags, m.copied, m.why, m.size, v.hash";

pub(super) const MESSAGES: &str =
    "messages m JOIN channels c ON c.id = m.channel JOIN versions v ON v.id = m.version";

/// The columns of a [`DeliveryRow`], behind a tally's.
const DELIVERY_ROW: &str = "d.ending, d.id, d.message, c.name, o.name, d.part, d.state, d.effect, d.ended";

const DELIVERIES: &str =
    "deliveries d JOIN messages m ON m.id = d.message JOIN channels c ON c.id = m.channel
     JOIN outlets o ON o.id = d.outlet";

/// The runs from one to another.
const THESE_RUNS: &str = "WITH RECURSIVE r(run) AS (SELECT ? UNION ALL SELECT run + 1 FROM r WHERE run < ?)";

/// Conditions that must all hold, with their values in order.
#[derive(Default)]
struct Conditions {
    clauses: Vec<String>,
    values: Vec<Value>,
}

/// A state of either axis.
enum State {
    Message(MessageState),
    Delivery(DeliveryState),
}

/// Newest first. Keys are looked for in few runs of messages, then in more: of what fits many, the newest are at once there.
pub(super) fn messages(connection: &Connection, query: &Query) -> Result<Vec<MessageRow>, Failure> {
    if asked_text(query).is_none() {
        return messages_within(connection, query, None);
    }
    // Asked for together, the two would be looked for among all.
    let bounds = "SELECT (SELECT min(id) FROM messages) >> 14, (SELECT max(id) FROM messages) >> 14";
    let (first, last): (Option<i64>, Option<i64>) =
        connection.query_row(bounds, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
    let last = query.before.map_or(last, |before| last.min(before.0 as i64 >> 14));
    let (mut query, limit) = (query.clone(), query.limit);
    let mut found = Vec::new();
    for runs in windows(first, last) {
        query.limit = limit - found.len();
        if query.limit == 0 {
            break;
        }
        found.extend(messages_within(connection, &query, Some(runs))?);
    }
    Ok(found)
}

/// All runs from the last to the first, each time four times as many.
fn windows(first: i64, last: i64) -> impl Iterator<Item = (i64, i64)> {
    let widths = std::iter::successors(Some(1), |width: &i64| width.checked_mul(4));
    let ends = widths.scan(last, move |end, width| {
        let window = (first.max(*end - width + 1), *end);
        *end -= width;
        (window.1 >= first).then_some(window)
    });
    ends.fuse()
}

fn messages_within(
    connection: &Connection,
    query: &Query,
    runs: Option<(i64, i64)>,
) -> Result<Vec<MessageRow>, Failure> {
    let state = asked_state(query)?;
    let mut conditions = Conditions::of(query, state.as_ref(), runs);
    match state {
        Some(State::Message(state)) => {
            conditions.message_state(state);
            conditions.has_delivery(None, query.destination.as_deref());
        }
        Some(State::Delivery(state)) => conditions.has_delivery(Some(state), query.destination.as_deref()),
        None => conditions.has_delivery(None, query.destination.as_deref()),
    }
    let sql = format!(
        "SELECT {MESSAGE_ROW} FROM {MESSAGES} WHERE {} ORDER BY m.id DESC LIMIT {}",
        conditions.joined(),
        query.limit as i64
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(conditions.values), read_message_row)?;
    let mut found: Vec<MessageRow> = found.collect::<rusqlite::Result<_>>()?;
    for row in &mut found {
        row.deliveries = deliveries_of(connection, row.id)?;
    }
    Ok(found)
}

/// The conditions, with their values, of what a look takes of these numbers, one message after the other.
pub(super) fn in_run(
    query: &Query,
    channels: Option<&[String]>,
    (from, through): (u64, u64),
) -> Result<(String, Vec<Value>), Failure> {
    let state = asked_state(query)?;
    let mut conditions = Conditions::of(&Query { before: None, ..query.clone() }, state.as_ref(), None);
    conditions.add("m.id >= ?", (from as i64).into());
    conditions.add("m.id <= ?", (through as i64).into());
    if let Some(names) = channels {
        // A plus keeps the channels' index out, by which they would not come in order.
        let places = vec!["?"; names.len()].join(", ");
        conditions.clauses.push(format!("+m.channel IN (SELECT id FROM channels WHERE name IN ({places}))"));
        conditions.values.extend(names.iter().map(|name| Value::from(name.clone())));
    }
    let of_delivery = match state {
        Some(State::Message(state)) => {
            conditions.message_state(state);
            None
        }
        Some(State::Delivery(state)) => Some(state),
        None => None,
    };
    conditions.has_delivery_itself(of_delivery, query.destination.as_deref());
    Ok((conditions.joined(), conditions.values))
}

/// One message as lists show it.
pub(super) fn row(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<MessageRow>> {
    let sql = format!("SELECT {MESSAGE_ROW} FROM {MESSAGES} WHERE m.id = ?1");
    let Some(mut row) = first(connection, &sql, [id.0 as i64], read_message_row)? else { return Ok(None) };
    row.deliveries = deliveries_of(connection, id)?;
    Ok(Some(row))
}

pub(super) fn deliveries(connection: &Connection, query: &Query) -> Result<Vec<DeliveryRow>, Failure> {
    let state = asked_state(query)?;
    let mut conditions = Conditions::of(query, state.as_ref(), None);
    match state {
        Some(State::Message(state)) => conditions.message_state(state),
        Some(State::Delivery(state)) => conditions.clauses.push(in_state(state)),
        None => {}
    }
    if let Some(destination) = &query.destination {
        conditions.add("o.name = ?", destination.clone().into());
    }
    let sql = format!(
        "SELECT {TALLY}, {DELIVERY_ROW} FROM {DELIVERIES} WHERE {} ORDER BY d.message, d.part, d.id LIMIT {}",
        conditions.joined(),
        query.limit as i64
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(conditions.values), read_delivery_row)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn deliveries_of(connection: &Connection, id: MessageId) -> rusqlite::Result<Vec<DeliveryRow>> {
    let sql = format!(
        "SELECT {TALLY}, {DELIVERY_ROW} FROM {DELIVERIES} WHERE d.message = ?1 ORDER BY d.part, d.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([id.0 as i64], read_delivery_row)?;
    found.collect()
}

pub(crate) fn depths(connection: &Connection) -> rusqlite::Result<Vec<(String, String, u64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT c.name, o.name, count(*) FROM deliveries d JOIN outlets o ON o.id = d.lane
         JOIN channels c ON c.id = o.channel WHERE d.lane IS NOT NULL GROUP BY d.lane ORDER BY c.name, o.name",
    )?;
    let found =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64)))?;
    found.collect()
}

/// Few stand so: their indexes hold nothing else.
pub(super) fn unsettled(connection: &Connection, since: SystemTime) -> rusqlite::Result<Vec<Unsettled>> {
    let mut found = Vec::new();
    for (state, name) in [
        (DeliveryState::GivenUp, "given_up"),
        (DeliveryState::SetAside, "set_aside"),
        (DeliveryState::Unsure, "unsure"),
    ] {
        let sql = format!(
            "SELECT c.name, o.name, count(*) FROM deliveries d JOIN outlets o ON o.id = d.outlet
             JOIN channels c ON c.id = o.channel WHERE {} GROUP BY d.outlet",
            in_state(state)
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let counted = statement.query_map([], |row| counted(row, name))?;
        found.extend(counted.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let mut statement = connection.prepare_cached(
        "SELECT c.name, NULL, count(*) FROM messages m JOIN channels c ON c.id = m.channel
         WHERE m.state = ?1 AND m.state > 3 AND m.received >= ?2 GROUP BY m.channel",
    )?;
    for (state, since, name) in
        [(MessageState::Held, i64::MIN, "held"), (MessageState::Failed, nanoseconds(since), "failed")]
    {
        let counted = statement.query_map((state.code(), since), |row| counted(row, name))?;
        found.extend(counted.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(found)
}

fn counted(row: &Row<'_>, state: &'static str) -> rusqlite::Result<Unsettled> {
    let number = row.get::<_, i64>(2)? as u64;
    Ok(Unsettled { channel: row.get(0)?, destination: row.get(1)?, state, number })
}

impl Conditions {
    /// All but state and destination, which mean other things for messages and for deliveries. Keys are looked for in these
    /// runs, or in all.
    fn of(query: &Query, state: Option<&State>, runs: Option<(i64, i64)>) -> Self {
        let mut conditions = Self::default();
        if let Some(channel) = &query.channel {
            // A plus keeps the channel's index out: that of a rare state is shorter.
            let plus = if state.is_some_and(State::is_rare) { "+" } else { "" };
            let clause = format!("{plus}m.channel = (SELECT id FROM channels WHERE name = ?)");
            conditions.add(&clause, channel.clone().into());
        }
        if let Some(text) = asked_text(query) {
            conditions.text(text, runs);
        }
        if let Some(since) = query.since {
            conditions.add("m.received >= ?", nanoseconds(since).into());
        }
        if let Some(before) = query.before {
            conditions.add("m.id < ?", (before.0 as i64).into());
        }
        conditions
    }

    fn add(&mut self, clause: &str, value: Value) {
        self.clauses.push(clause.to_owned());
        self.values.push(value);
    }

    fn text(&mut self, text: &str, runs: Option<(i64, i64)>) {
        self.values.extend(runs.iter().flat_map(|(first, last)| [Value::from(*first), Value::from(*last)]));
        let runs = if runs.is_some() { THESE_RUNS } else { RUNS };
        let keyed = |which: &str| {
            format!(
                "m.id IN ({runs} SELECT k.message FROM r CROSS JOIN keys k WHERE k.run = r.run AND {which})"
            )
        };
        if let Some(beginning) = text.strip_suffix('*') {
            self.add(&keyed("k.value >= ? AND k.value < ?"), beginning.to_owned().into());
            self.values.push(format!("{beginning}{}", char::MAX).into());
        } else {
            self.add(&keyed("k.value = ?"), text.to_owned().into());
        }
    }

    fn message_state(&mut self, state: MessageState) {
        let code = state.code();
        // The second condition is that of an index.
        let index = if State::Message(state).is_rare() { " AND m.state > 3" } else { "" };
        self.clauses.push(format!("m.state = {code}{index}"));
    }

    fn has_delivery(&mut self, state: Option<DeliveryState>, destination: Option<&str>) {
        if state.is_none() && destination.is_none() {
            return;
        }
        let outlet = "d.outlet IN (SELECT id FROM outlets WHERE name = ?)";
        let of_outlet = destination.map(|_| outlet.to_owned());
        let wanted: Vec<String> = state.map(in_state).into_iter().chain(of_outlet).collect();
        let wanted = wanted.join(" AND ");
        // Few are in a state that people look for; for the others, it is quicker to look at each message.
        self.clauses.push(match state {
            None | Some(DeliveryState::Sent) => {
                format!("EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND {wanted})")
            }
            Some(_) => format!("m.id IN (SELECT d.message FROM deliveries d WHERE {wanted})"),
        });
        self.values.extend(destination.map(|name| Value::from(name.to_owned())));
    }

    /// The same for those who look at each message anyhow: a plus keeps the index of the state out.
    fn has_delivery_itself(&mut self, state: Option<DeliveryState>, destination: Option<&str>) {
        if state.is_none() && destination.is_none() {
            return;
        }
        let state = state.map(|state| format!(" AND {}", in_state(state).replace("d.state", "+d.state")));
        let outlet = destination.map_or("", |_| " AND d.outlet IN (SELECT id FROM outlets WHERE name = ?)");
        let state = state.unwrap_or_default();
        self.clauses
            .push(format!("EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id{state}{outlet})"));
        self.values.extend(destination.map(|name| Value::from(name.to_owned())));
    }

    fn joined(&self) -> String {
        if self.clauses.is_empty() { "true".to_owned() } else { self.clauses.join(" AND ") }
    }
}

impl State {
    fn is_rare(&self) -> bool {
        matches!(self, Self::Message(state) if !matches!(state, MessageState::Kept | MessageState::Queued))
    }
}

/// A delivery's state, with the condition of the index that holds it.
fn in_state(state: DeliveryState) -> String {
    let code = state.code();
    match state {
        DeliveryState::Waiting | DeliveryState::Begun => format!("d.lane IS NOT NULL AND d.state = {code}"),
        DeliveryState::Sent => format!("d.state = {code}"),
        _ => format!("d.state = {code} AND d.state > 4"),
    }
}

/// The text that is looked for, where not everything fits it.
fn asked_text(query: &Query) -> Option<&str> {
    query.text.as_deref().filter(|text| *text != "*")
}

/// Refuses what cannot be asked.
pub(super) fn check(query: &Query) -> Result<(), Failure> {
    asked_state(query).map(drop)
}

fn asked_state(query: &Query) -> Result<Option<State>, Failure> {
    let Some(name) = &query.state else { return Ok(None) };
    let state =
        by_name(name).map(State::Message).or_else(|| by_name::<DeliveryState>(name).map(State::Delivery));
    let unknown = || Failure::Refused(format!("there is no state `{name}`"));
    state.map(Some).ok_or_else(unknown)
}

/// Reads the columns of [`MESSAGE_ROW`]; the deliveries come by themselves.
pub(super) fn read_message_row(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let mut flags: Vec<String> = parsed_or_default(row.get(8)?)?;
    flags.extend(repeats::flags(row.get(9)?));
    let outcome: Option<engine::Outcome> = codes::maybe(row.get(4)?)?;
    Ok(MessageRow {
        id: MessageId(row.get::<_, i64>(0)? as u64),
        channel: row.get(1)?,
        received: written(row.get(2)?),
        state: MessageState::of(row.get(3)?)?,
        outcome: outcome.map(|outcome| outcome.name().to_owned()),
        answer: AnswerState::of(row.get(5)?)?,
        control_id: row.get(6)?,
        kind: row.get(7)?,
        flags,
        why: kept_why(row, 10)?,
        size: row.get::<_, i64>(11)? as u64,
        version: Hash(row.get(12)?).to_string(),
        deliveries: Vec::new(),
    })
}

fn read_delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let mut tally = read_tally(row)?;
    if let Some(ending) = kept_why(row, 7)? {
        tally.why = Some(ending);
    }
    let part: u32 = row.get(12)?;
    Ok(DeliveryRow {
        id: DeliveryId(row.get::<_, i64>(8)? as u64),
        message: MessageId(row.get::<_, i64>(9)? as u64),
        channel: row.get(10)?,
        destination: row.get(11)?,
        part: (part > 0).then_some(part),
        state: DeliveryState::of(row.get(13)?)?,
        effect: Hash(row.get(14)?).to_string(),
        ended: row.get::<_, Option<i64>>(15)?.map(written),
        tally,
    })
}

#[cfg(test)]
mod tests {
    use super::windows;

    #[test]
    fn the_windows_are_all_runs_once_from_the_last_to_the_first() {
        for (first, last) in [(0, 0), (3, 3), (0, 700), (17, 101), (5, 9)] {
            let mut runs = Vec::new();
            for (from, to) in windows(first, last) {
                runs.extend((from..=to).rev());
            }
            assert!(runs.iter().copied().eq((first..=last).rev()), "{first} to {last}: {runs:?}");
        }
        assert_eq!(windows(4, 3).next(), None);
        assert_eq!(windows(0, 700).take(3).collect::<Vec<_>>(), [(700, 700), (696, 699), (680, 695)]);
    }
}
