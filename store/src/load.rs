//! Rows read back from a span's file.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use engine::{AnswerState, DeliveryState, Halt, Held, MessageState, PastAttempts, Standstill, Tally};
use rusqlite::{Connection, Params, Row};

use crate::{
    codes::{Coded, kept_why, maybe, parsed_or_default, time},
    packing::{Packed, Unpacker},
    rows::{Body, ContentRow, DeliveryRow, MessageRow, PartRow, PayloadRow, StudyRow, TimesRow},
    tables::first,
};

const MESSAGE: &str =
    "SELECT m.id, c.name, m.received, m.state, m.outcome, m.answer, m.told, v.hash, m.identity,
    m.size, m.copied, m.bytes, m.copy, m.effect, m.control_id, m.kind, m.sender, m.flags, m.batch, m.place,
    m.starts, m.marks, m.why, m.halt, m.inputs, m.reply,
    m.successor, m.predecessors, m.study, m.patient, m.ran, m.took, m.answered
    FROM messages m JOIN channels c ON c.id = m.channel JOIN versions v ON v.id = m.version";

/// The columns of a [`Tally`], of `deliveries d`.
pub(crate) const TALLY: &str = "d.attempts, d.counted, d.doubts, d.spent_ms, d.not_before, d.stopped, d.why";

const DELIVERY: &str =
    "d.id, d.message, d.part, c.name, o.name, d.state, d.lane IS NOT NULL, d.effect, d.after,
    d.pending, d.parked, d.ending, d.keys, d.note, d.ended
    FROM deliveries d JOIN outlets o ON o.id = d.outlet JOIN channels c ON c.id = o.channel";

/// Tells the runs of a span's messages, from the first to the last.
pub(crate) const RUNS: &str = "WITH RECURSIVE r(run) AS (SELECT min(id) >> 14 FROM messages
    UNION ALL SELECT run + 1 FROM r WHERE run < (SELECT max(id) >> 14 FROM messages))";

pub(crate) fn message(connection: &Connection, id: u64) -> rusqlite::Result<Option<MessageRow>> {
    first(connection, &format!("{MESSAGE} WHERE m.id = ?1"), [id as i64], read_message)
}

/// The messages of these runs with this copy number, in any order.
pub(crate) fn copies(
    connection: &Connection,
    runs: std::ops::RangeInclusive<u64>,
    copy: i64,
) -> rusqlite::Result<Vec<MessageRow>> {
    in_runs(connection, "SELECT id FROM messages WHERE id >> 14 = ?1 AND copy = ?2", runs, copy)
}

pub(crate) fn with_effect(
    connection: &Connection,
    runs: std::ops::RangeInclusive<u64>,
    effect: i64,
) -> rusqlite::Result<Vec<MessageRow>> {
    in_runs(connection, "SELECT id FROM messages WHERE id >> 14 = ?1 AND effect = ?2", runs, effect)
}

/// The messages of a study that are this patient's, and those that are another's.
pub(crate) const OF_PATIENT: &str =
    "SELECT id FROM messages WHERE id >> 14 = ?1 AND study = ?2 AND patient = ?3";
pub(crate) const OF_OTHERS: &str =
    "SELECT id FROM messages WHERE id >> 14 = ?1 AND study = ?2 AND patient <> ?3";

/// Whether any message of a study that a statement finds is wanted, but for those that are known.
pub(crate) fn any_of_study(
    (connection, sql): (&Connection, &str),
    runs: std::ops::RangeInclusive<u64>,
    study: StudyRow,
    known: &HashSet<u64>,
    wanted: impl Fn(&MessageRow) -> bool,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(sql)?;
    for run in runs {
        let mut found = statement.query((run as i64, study.uid, study.patient))?;
        while let Some(row) = found.next()? {
            let id = row.get::<_, i64>(0)? as u64;
            if !known.contains(&id) && message(connection, id)?.is_some_and(|row| wanted(&row)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn in_runs(
    connection: &Connection,
    sql: &str,
    runs: std::ops::RangeInclusive<u64>,
    value: i64,
) -> rusqlite::Result<Vec<MessageRow>> {
    let mut found = Vec::new();
    for run in runs {
        for id in ids(connection, sql, (run as i64, value))? {
            found.extend(message(connection, id)?);
        }
    }
    Ok(found)
}

/// What a filter is made of again: the copy numbers, effects and studies of a run of 65,536 messages, and when the last came.
pub(crate) fn marks_of_run(connection: &Connection, run: u64) -> rusqlite::Result<(Vec<i64>, i64)> {
    let (first, last) = ((run << 2) as i64, (run << 2 | 3) as i64);
    let mut marks = Vec::new();
    for sql in [
        "SELECT copy FROM messages WHERE id >> 14 BETWEEN ?1 AND ?2 AND copy IS NOT NULL",
        "SELECT effect FROM messages WHERE id >> 14 BETWEEN ?1 AND ?2 AND effect IS NOT NULL",
        "SELECT DISTINCT study FROM messages WHERE id >> 14 BETWEEN ?1 AND ?2 AND study IS NOT NULL",
    ] {
        let mut statement = connection.prepare(sql)?;
        for mark in statement.query_map((first, last), |row| row.get::<_, i64>(0))? {
            marks.push(mark?);
        }
    }
    // Not that of the last one: a clock may have been set back.
    let newest = "SELECT max(received) FROM messages WHERE id BETWEEN ?1 AND ?2";
    let of_run = ((run << 16) as i64, (run << 16 | 0xFFFF) as i64);
    let newest = self::first(connection, newest, of_run, |row| row.get::<_, Option<i64>>(0))?.flatten();
    Ok((marks, newest.unwrap_or(i64::MIN)))
}

/// The messages of a channel that are kept and neither queued nor closed.
pub(crate) fn open(connection: &Connection, channel: &str) -> rusqlite::Result<Vec<u64>> {
    let sql = "SELECT id FROM messages WHERE state = 2 AND channel = (SELECT id FROM channels WHERE name = ?1) ORDER BY id";
    ids(connection, sql, [channel])
}

/// The messages of a channel that are held, behind one of them, with what is known of each.
pub(crate) fn held(
    connection: &Connection,
    channel: &str,
    (after, limit): (u64, usize),
) -> rusqlite::Result<Vec<Standstill>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, halt, marks FROM messages WHERE state = ?1 AND state > 3 AND id > ?2
         AND +channel = (SELECT id FROM channels WHERE name = ?3) ORDER BY id LIMIT ?4",
    )?;
    let found = (MessageState::Held.code(), after as i64, channel, limit as i64);
    let found = statement.query_map(found, |row| {
        Ok(Standstill {
            message: engine::MessageId(row.get::<_, i64>(0)? as u64),
            held: read_held(row.get(1)?)?,
            marks: row.get(2)?,
        })
    })?;
    found.collect()
}

/// What a message waits for, as its step left it.
pub(crate) fn read_held(halt: Option<String>) -> rusqlite::Result<Held> {
    Ok(match parsed_or_default(halt)? {
        Some(Halt::Held(held)) => held,
        _ => Held::default(),
    })
}

fn ids(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map(params, |row| row.get::<_, i64>(0))?;
    found.map(|id| id.map(|id| id as u64)).collect()
}

fn read_message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let batch: Option<[u8; 32]> = row.get(18)?;
    let place: Option<u32> = row.get(19)?;
    Ok(MessageRow {
        id: row.get::<_, i64>(0)? as u64,
        channel: Arc::from(row.get_ref(1)?.as_str()?),
        received: row.get(2)?,
        state: MessageState::of(row.get(3)?)?,
        outcome: maybe(row.get(4)?)?,
        answer: AnswerState::of(row.get(5)?)?,
        told: maybe(row.get(6)?)?,
        version: row.get(7)?,
        identity: row.get(8)?,
        size: row.get::<_, i64>(9)? as u64,
        copied: row.get(10)?,
        bytes: row.get(11)?,
        copy: row.get(12)?,
        effect: row.get(13)?,
        control_id: row.get(14)?,
        kind: row.get(15)?,
        sender: row.get(16)?,
        flags: row.get(17)?,
        batch: batch.zip(place),
        starts: row.get(20)?,
        marks: row.get(21)?,
        why: kept_why(row, 22)?,
        halt: row.get(23)?,
        inputs: row.get(24)?,
        reply: row.get(25)?,
        successor: row.get::<_, Option<i64>>(26)?.map(|id| id as u64),
        predecessors: parsed_or_default(row.get(27)?)?,
        study: row
            .get::<_, Option<i64>>(28)?
            .zip(row.get(29)?)
            .map(|(uid, patient)| StudyRow { uid, patient }),
        times: TimesRow { ran: row.get::<_, Option<i64>>(30)?.zip(row.get(31)?), answered: row.get(32)? },
    })
}

pub(crate) fn content(
    connection: &Connection,
    unpacker: &mut Unpacker,
    message: u64,
) -> rusqlite::Result<Option<ContentRow>> {
    let sql = "SELECT dictionary, packed FROM contents WHERE message = ?1";
    let packed = first(connection, sql, [message as i64], |row| read_packed(row, 0))?;
    packed.map(|packed| unpacker.unpack(connection, &packed)).transpose()
}

pub(crate) fn parts(
    connection: &Connection,
    unpacker: &mut Unpacker,
    message: u64,
) -> rusqlite::Result<Vec<PartRow>> {
    let mut found = Vec::new();
    each_part(connection, unpacker, message, |part| {
        found.push(part);
        true
    })?;
    Ok(found)
}

/// Gives one part after the other, for as long as more are wanted.
pub(crate) fn each_part(
    connection: &Connection,
    unpacker: &mut Unpacker,
    message: u64,
    mut take: impl FnMut(PartRow) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT part, control_id, dictionary, packed FROM parts WHERE message = ?1 ORDER BY part",
    )?;
    let mut rows = statement.query([message as i64])?;
    while let Some(row) = rows.next()? {
        let forgotten = row.get_ref(3)? == rusqlite::types::ValueRef::Null;
        let (halt, body): (Option<String>, Option<Body>) =
            if forgotten { (None, None) } else { unpacker.unpack(connection, &read_packed(row, 2)?)? };
        if !take(PartRow { part: row.get(0)?, control_id: row.get(1)?, halt, body }) {
            break;
        }
    }
    Ok(())
}

pub(crate) fn payload(
    connection: &Connection,
    unpacker: &mut Unpacker,
    delivery: u64,
) -> rusqlite::Result<PayloadRow> {
    let sql = "SELECT dictionary, packed FROM payloads WHERE delivery = ?1";
    let packed = first(connection, sql, [delivery as i64], |row| read_packed(row, 0))?;
    packed.map_or_else(|| Ok(PayloadRow::default()), |packed| unpacker.unpack(connection, &packed))
}

pub(crate) fn attempts(
    connection: &Connection,
    unpacker: &mut Unpacker,
    delivery: u64,
) -> rusqlite::Result<PastAttempts> {
    let sql = "SELECT dictionary, packed FROM attempts WHERE delivery = ?1";
    let packed = first(connection, sql, [delivery as i64], |row| read_packed(row, 0))?;
    packed.map_or_else(|| Ok(PastAttempts::default()), |packed| unpacker.unpack(connection, &packed))
}

fn read_packed(row: &Row<'_>, column: usize) -> rusqlite::Result<Packed> {
    Ok(Packed { dictionary: row.get(column)?, bytes: row.get(column + 1)? })
}

pub(crate) fn delivery(connection: &Connection, id: u64) -> rusqlite::Result<Option<DeliveryRow>> {
    first(connection, &format!("SELECT {TALLY}, {DELIVERY} WHERE d.id = ?1"), [id as i64], read_delivery)
}

/// The deliveries of a message, in the order they were made.
pub(crate) fn has_content(connection: &Connection, message: u64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM contents WHERE message = ?1";
    Ok(first(connection, sql, [message as i64], |_| Ok(()))?.is_some())
}

/// The files in which bytes of a message lie.
pub(crate) fn files_of(
    connection: &Connection,
    unpacker: &mut Unpacker,
    message: u64,
) -> rusqlite::Result<BTreeSet<String>> {
    let mut bodies: Vec<Body> =
        content(connection, unpacker, message)?.map(|content| content.body).into_iter().collect();
    bodies.extend(parts(connection, unpacker, message)?.into_iter().filter_map(|part| part.body));
    for delivery in deliveries_of(connection, message)? {
        bodies.extend(payload(connection, unpacker, delivery.id)?.body);
    }
    Ok(bodies.iter().flat_map(Body::files).map(str::to_owned).collect())
}

pub(crate) fn deliveries_of(connection: &Connection, message: u64) -> rusqlite::Result<Vec<DeliveryRow>> {
    let sql = format!("SELECT {TALLY}, {DELIVERY} WHERE d.message = ?1 ORDER BY d.id");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([message as i64], read_delivery)?.collect()
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        tally: read_tally(row)?,
        id: row.get::<_, i64>(7)? as u64,
        message: row.get::<_, i64>(8)? as u64,
        part: row.get(9)?,
        channel: Arc::from(row.get_ref(10)?.as_str()?),
        destination: Arc::from(row.get_ref(11)?.as_str()?),
        state: DeliveryState::of(row.get(12)?)?,
        is_queued: row.get(13)?,
        effect: row.get(14)?,
        after: row.get(15)?,
        is_pending: row.get(16)?,
        is_parked: row.get(17)?,
        ending: kept_why(row, 18)?,
        keys: row.get(19)?,
        note: row.get(20)?,
        ended: row.get(21)?,
    })
}

/// Reads the columns of [`TALLY`]; they come first.
pub(crate) fn read_tally(row: &Row<'_>) -> rusqlite::Result<Tally> {
    Ok(Tally {
        attempts: row.get(0)?,
        counted: row.get(1)?,
        doubts: row.get(2)?,
        spent_ms: row.get::<_, i64>(3)? as u64,
        not_before: row.get::<_, Option<i64>>(4)?.map(time),
        stopped: row.get(5)?,
        why: kept_why(row, 6)?,
    })
}
