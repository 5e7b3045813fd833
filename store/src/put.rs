//! Rows into the tables of a file, each as it stands. Putting one twice is putting it once.

use engine::{PastAttempts, Why};
use rusqlite::params;

use crate::{
    codes::{Coded, json_unless, nanoseconds, parsed_or_default},
    expected::{put_answered, put_asked},
    groups::{Joined, put_gathered, put_joined},
    ledger::{FiledDelivery, FiledMessage},
    packing::{Packed, Packer},
    rows::{ContentRow, DeliveryRow, Entry, MessageRow, PartRow, PayloadRow},
    tables::Tables,
};

/// What of a filing goes into one span.
#[derive(Default)]
pub(crate) struct Share<'a> {
    pub(crate) messages: Vec<&'a FiledMessage>,
    pub(crate) deliveries: Vec<&'a FiledDelivery>,
    pub(crate) filters: Vec<&'a (u64, i64, Vec<u8>)>,
}

pub(crate) fn share(tables: &Tables, packer: &mut Packer, share: &Share<'_>) -> rusqlite::Result<()> {
    for kept in &share.messages {
        message(tables, &kept.row)?;
        if let Some(carried) = &kept.content {
            content(tables, packer, (kept.row.id, carried))?;
        }
        for piece in kept.parts.iter().flat_map(|parts| parts.iter()) {
            part(tables, packer, (kept.row.id, piece))?;
        }
    }
    keys(tables, share)?;
    for FiledDelivery { row, payload: carried, attempts: made } in &share.deliveries {
        delivery(tables, row)?;
        if let Some(carried) = carried {
            payload(tables, packer, (row.id, carried))?;
        }
        if let Some(made) = made {
            attempts(tables, packer, (row.id, made))?;
        }
    }
    for (run, newest, bits) in &share.filters {
        let sql = "INSERT OR REPLACE INTO filters (run, newest, bits) VALUES (?1, ?2, ?3)";
        tables.run(sql, (*run as i64, newest, bits))?;
    }
    Ok(())
}

const MESSAGE: &str = "INSERT INTO messages (id, channel, received, state, outcome, answer, told, version,
    identity, size, copied, bytes, copy, effect, control_id, kind, sender, flags, batch, place, starts, marks, why,
    halt, inputs, reply, successor, predecessors, study, patient,
    ran, took, answered)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33)
    ON CONFLICT (id) DO UPDATE SET state = ?4, outcome = ?5, answer = ?6, told = ?7, version = ?8, starts = ?21,
    marks = ?22, why = ?23, halt = ?24, inputs = ?25, reply = ?26, successor = ?27, predecessors = ?28,
    ran = coalesce(?31, ran), took = coalesce(?32, took), answered = coalesce(?33, answered)";

fn message(tables: &Tables, row: &MessageRow) -> rusqlite::Result<()> {
    tables.run(
        MESSAGE,
        params![
            row.id as i64,
            tables.channel(&row.channel)?,
            row.received,
            row.state.code(),
            row.outcome.map(Coded::code),
            row.answer.code(),
            row.told.map(Coded::code),
            tables.version(&row.version)?,
            row.identity,
            row.size as i64,
            row.copied,
            row.bytes,
            row.copy,
            row.effect,
            row.control_id,
            row.kind,
            row.sender,
            row.flags,
            row.batch.map(|(batch, _)| batch),
            row.batch.map(|(_, place)| place),
            row.starts,
            row.marks,
            row.why.as_ref().map(Why::to_kept),
            row.halt,
            row.inputs,
            row.reply,
            row.successor.map(|id| id as i64),
            json_unless(row.predecessors.is_empty(), &row.predecessors),
            row.study.map(|study| study.uid),
            row.study.map(|study| study.patient),
            row.times.ran.map(|(ended, _)| ended),
            row.times.ran.map(|(_, took)| took),
            row.times.answered,
        ],
    )?;
    Ok(())
}

fn content(
    tables: &Tables,
    packer: &mut Packer,
    (message, content): (u64, &ContentRow),
) -> rusqlite::Result<()> {
    let Packed { dictionary, bytes } = packer.pack(content)?;
    let sql = "INSERT OR IGNORE INTO contents (message, dictionary, packed) VALUES (?1, ?2, ?3)";
    tables.run(sql, (message as i64, dictionary, bytes)).map(drop)
}

fn part(tables: &Tables, packer: &mut Packer, (message, part): (u64, &PartRow)) -> rusqlite::Result<()> {
    let Packed { dictionary, bytes } = packer.pack(&(&part.halt, &part.body))?;
    let sql = "INSERT OR REPLACE INTO parts (message, part, control_id, dictionary, packed) VALUES (?1, ?2, ?3, ?4, ?5)";
    tables.run(sql, (message as i64, part.part, &part.control_id, dictionary, bytes)).map(drop)
}

/// Makes the messages findable by their control ids and search keys. In order: neighbours share a page.
fn keys(tables: &Tables, share: &Share<'_>) -> rusqlite::Result<()> {
    let mut keys: Vec<(u64, String, u64)> = Vec::new();
    for message in &share.messages {
        let Some(content) = &message.content else { continue };
        let id = message.row.id;
        keys.extend(values(&message.row, content)?.into_iter().map(|value| (id >> 14, value, id)));
    }
    keys.sort_unstable();
    let mut statement = tables
        .connection
        .prepare_cached("INSERT OR IGNORE INTO keys (run, value, message) VALUES (?1, ?2, ?3)")?;
    for (run, value, id) in keys {
        statement.execute((run as i64, value, id as i64))?;
    }
    Ok(())
}

/// What a message is found by.
pub(crate) fn values(row: &MessageRow, content: &ContentRow) -> rusqlite::Result<Vec<String>> {
    let keys: Vec<(String, String)> = parsed_or_default(content.keys.clone())?;
    let mut values: Vec<String> = keys.into_iter().map(|(_, value)| value).collect();
    values.extend(row.control_id.clone());
    values.retain(|value| !value.is_empty());
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

const DELIVERY: &str = "INSERT INTO deliveries (id, message, part, outlet, state, lane, effect, after, pending,
    parked, attempts, counted, doubts, spent_ms, not_before, stopped, why, ending, keys, note, ended)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
    ON CONFLICT (id) DO UPDATE SET state = ?5, lane = ?6, pending = ?9, parked = ?10, attempts = ?11, counted = ?12,
    doubts = ?13, spent_ms = ?14, not_before = ?15, stopped = ?16, why = ?17, ending = ?18, note = ?20,
    ended = ?21";

fn delivery(tables: &Tables, row: &DeliveryRow) -> rusqlite::Result<()> {
    let outlet = tables.outlet(tables.channel(&row.channel)?, &row.destination)?;
    tables.run(
        DELIVERY,
        params![
            row.id as i64,
            row.message as i64,
            row.part,
            outlet,
            row.state.code(),
            row.is_queued.then_some(outlet),
            row.effect,
            row.after,
            row.is_pending,
            row.is_parked,
            row.tally.attempts,
            row.tally.counted,
            row.tally.doubts,
            row.tally.spent_ms as i64,
            row.tally.not_before.map(nanoseconds),
            row.tally.stopped,
            row.tally.why.as_ref().map(Why::to_kept),
            row.ending.as_ref().map(Why::to_kept),
            row.keys,
            row.note,
            row.ended,
        ],
    )?;
    Ok(())
}

fn payload(
    tables: &Tables,
    packer: &mut Packer,
    (delivery, payload): (u64, &PayloadRow),
) -> rusqlite::Result<()> {
    let Packed { dictionary, bytes } = packer.pack(payload)?;
    let sql = "INSERT OR REPLACE INTO payloads (delivery, dictionary, packed) VALUES (?1, ?2, ?3)";
    tables.run(sql, (delivery as i64, dictionary, bytes)).map(drop)
}

fn attempts(
    tables: &Tables,
    packer: &mut Packer,
    (delivery, attempts): (u64, &PastAttempts),
) -> rusqlite::Result<()> {
    let Packed { dictionary, bytes } = packer.pack(attempts)?;
    let sql = "INSERT OR REPLACE INTO attempts (delivery, dictionary, packed) VALUES (?1, ?2, ?3)";
    tables.run(sql, (delivery as i64, dictionary, bytes)).map(drop)
}

pub(crate) fn entry(register: &Tables, entry: &Entry) -> rusqlite::Result<()> {
    match entry {
        Entry::Audit { at, by, what, subject } => register.run(
            "INSERT INTO audit (at, by, what, subject) VALUES (?1, ?2, ?3, ?4)",
            (at, by, what, subject),
        ),
        Entry::Switch { name, value: Some(value) } => {
            register.run("INSERT OR REPLACE INTO switches (name, value) VALUES (?1, ?2)", (name, value))
        }
        Entry::Switch { name, value: None } => register.run("DELETE FROM switches WHERE name = ?1", [name]),
        Entry::Version { hash, channel, text } => register.run(
            "INSERT OR IGNORE INTO versions (hash, channel, text) VALUES (?1, ?2, ?3)",
            (hash, channel, text),
        ),
        Entry::Asked { channel, key, message, at, within } => {
            put_asked(register, (channel, key), (*message, *at, *within))
        }
        Entry::Answered { channel, key, at } => put_answered(register, (channel, key), *at),
        Entry::Joined { channel, mark, key, message, name, received, expected, instead, brings } => {
            put_joined(
                register,
                &Joined {
                    channel,
                    mark,
                    key,
                    message: *message,
                    name: name.as_deref(),
                    received: *received,
                    expected: *expected,
                    instead,
                    brings,
                },
            )
        }
        Entry::Gathered { channel, mark, message, through, received } => {
            put_gathered(register, (channel, mark), (*message, *through, *received))
        }
    }
    .map(drop)
}

pub(crate) fn number(register: &Tables, name: &str, number: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO numbers (name, number) VALUES (?1, ?2)
        ON CONFLICT DO UPDATE SET number = max(number, excluded.number)";
    register.run(sql, (name, number as i64)).map(drop)
}
