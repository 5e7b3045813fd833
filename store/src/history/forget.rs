//! Forgetting what is old enough: first the content, later the rest.
//!
//! What waits, is open or is held is never forgotten. A message that failed, was refused, or has a delivery given
//! up or set aside goes by the age of errors. Done in small steps, so that nobody who writes waits long.

use std::time::{Duration, SystemTime};

use engine::{Ages, DeliveryState, MessageState, StoreError};
use rusqlite::{Connection, Row};

use crate::{
    codes::{Coded, nanoseconds, parsed_or_default},
    tables::Tables,
    writer::Writer,
};

/// How many messages one step looks at.
const STEP: i64 = 200;
/// How many pages one step gives back to the file system.
const PAGES: i64 = 500;
/// How many free pages are left in the file for what comes next.
const SPARE: i64 = 1000;

/// Messages received before these instants may go, in nanoseconds.
#[derive(Clone, Copy)]
struct Before {
    content: i64,
    errors: i64,
    metadata: i64,
}

/// What one step came to.
struct Step {
    forgotten: u64,
    /// The last message looked at; `None` when there are no more.
    last: Option<i64>,
}

/// What decides whether a message may go.
struct Candidate {
    id: i64,
    received: i64,
    state: MessageState,
    is_queued: bool,
    ended_badly: bool,
    has_content: bool,
}

/// Forgets, step by step; returns how many messages it touched.
pub(super) async fn forget(writer: &Writer, channel: &str, ages: Ages) -> Result<u64, StoreError> {
    let before = Before::now(ages);
    let mut forgotten = 0;
    for pass in [contents, remains] {
        let mut last = Some(0);
        while let Some(after) = last {
            let channel = channel.to_owned();
            let step = writer.write(move |tables| Ok(pass(tables, &channel, after, before)?)).await?;
            forgotten += step.forgotten;
            last = step.last;
        }
    }
    if forgotten > 0 {
        while writer.write(|tables| Ok(give_back(&tables.connection)?)).await? {}
    }
    Ok(forgotten)
}

impl Before {
    fn now(ages: Ages) -> Self {
        let now = SystemTime::now();
        let ago = |age: Duration| now.checked_sub(age).map_or(i64::MIN, nanoseconds);
        Self { content: ago(ages.content), errors: ago(ages.errors), metadata: ago(ages.metadata) }
    }

    /// Whether the content may go.
    fn takes(self, candidate: &Candidate) -> bool {
        let limit = if candidate.is_error() { self.errors } else { self.content };
        candidate.has_ended() && candidate.received < limit
    }

    /// Whether nothing need be left of it: never before its content.
    fn takes_all(self, candidate: &Candidate) -> bool {
        self.takes(candidate) && candidate.received < self.metadata
    }
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            received: row.get(1)?,
            state: MessageState::of(row.get(2)?)?,
            is_queued: row.get(3)?,
            ended_badly: row.get(4)?,
            has_content: row.get(5)?,
        })
    }

    fn has_ended(&self) -> bool {
        !self.is_queued && !matches!(self.state, MessageState::Kept | MessageState::Held)
    }

    fn is_error(&self) -> bool {
        self.ended_badly || matches!(self.state, MessageState::Failed | MessageState::Refused)
    }
}

/// Messages whose content is still there.
fn contents(tables: &Tables, channel: &str, after: i64, before: Before) -> rusqlite::Result<Step> {
    let limit = before.content.max(before.errors);
    let found = candidates(tables, "m.content = ?1 AND m.content IS NOT NULL", (channel, after, limit))?;
    step(&found, |candidate| {
        if !before.takes(candidate) {
            return Ok(false);
        }
        forget_content(tables, candidate.id)?;
        if before.takes_all(candidate) {
            forget_all(tables, candidate.id)?;
        }
        Ok(true)
    })
}

/// Messages whose content went long ago.
fn remains(tables: &Tables, channel: &str, after: i64, before: Before) -> rusqlite::Result<Step> {
    let found = candidates(tables, "m.channel = ?1", (channel, after, before.metadata))?;
    step(&found, |candidate| {
        let goes = before.takes_all(candidate) && !candidate.has_content;
        if goes {
            forget_all(tables, candidate.id)?;
        }
        Ok(goes)
    })
}

fn step(
    found: &[Candidate],
    forget: impl Fn(&Candidate) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Step> {
    let mut forgotten = 0;
    for candidate in found {
        forgotten += u64::from(forget(candidate)?);
    }
    let is_full = found.len() as i64 == STEP;
    Ok(Step { forgotten, last: found.last().filter(|_| is_full).map(|last| last.id) })
}

fn candidates(
    tables: &Tables,
    which: &str,
    (channel, after, limit): (&str, i64, i64),
) -> rusqlite::Result<Vec<Candidate>> {
    let channel = tables.channel(channel)?;
    let mut statement = tables.connection.prepare_cached(&format!(
        "SELECT m.id, m.received, m.state,
            EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.lane IS NOT NULL),
            EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.state IN ({}, {})),
            m.content IS NOT NULL
         FROM messages m WHERE {which} AND m.id > ?2 AND m.received < ?3 ORDER BY m.id LIMIT {STEP}",
        DeliveryState::SetAside.code(),
        DeliveryState::GivenUp.code(),
    ))?;
    let found = statement.query_map((channel, after, limit), Candidate::read)?;
    found.collect()
}

/// Leaves what holds no patient: states, times, names, sizes, the control id.
fn forget_content(tables: &Tables, id: i64) -> rusqlite::Result<()> {
    forget_keys(tables, id)?;
    for sql in [
        "DELETE FROM contents WHERE message = ?1",
        "UPDATE parts SET body = NULL, halt = NULL WHERE message = ?1",
        "DELETE FROM payloads WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM responses WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM late_answers WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "UPDATE deliveries SET keys = NULL, note = NULL, why = NULL, ending = NULL WHERE message = ?1",
        "UPDATE messages SET content = NULL, why = NULL, halt = NULL, inputs = NULL, reply = NULL WHERE id = ?1",
    ] {
        tables.run(sql, [id])?;
    }
    Ok(())
}

/// The control id stays findable.
fn forget_keys(tables: &Tables, id: i64) -> rusqlite::Result<()> {
    let found = tables.first(
        "SELECT c.keys, m.control_id FROM contents c JOIN messages m ON m.id = c.message WHERE m.id = ?1",
        [id],
        |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)),
    )?;
    let Some((keys, control_id)) = found else { return Ok(()) };
    let keys: Vec<(String, String)> = parsed_or_default(keys)?;
    for (_, value) in keys.iter().filter(|(_, value)| Some(value) != control_id.as_ref()) {
        tables.run("DELETE FROM keys WHERE value = ?1 AND message = ?2", (value, id))?;
    }
    Ok(())
}

fn forget_all(tables: &Tables, id: i64) -> rusqlite::Result<()> {
    for sql in [
        "INSERT INTO highest (what, id) SELECT 'messages', max(id) FROM messages WHERE true
         ON CONFLICT DO UPDATE SET id = max(id, excluded.id)",
        "INSERT INTO highest (what, id) SELECT 'deliveries', coalesce(max(id), 0) FROM deliveries WHERE true
         ON CONFLICT DO UPDATE SET id = max(id, excluded.id)",
    ] {
        tables.run(sql, [])?;
    }
    for sql in [
        "DELETE FROM keys WHERE message = ?1 AND value = (SELECT control_id FROM messages WHERE id = ?1)",
        "DELETE FROM payloads WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM responses WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM late_answers WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM parts WHERE message = ?1",
        "DELETE FROM deliveries WHERE message = ?1",
        "DELETE FROM successions WHERE message = ?1 OR successor = ?1",
        "DELETE FROM messages WHERE id = ?1",
    ] {
        tables.run(sql, [id])?;
    }
    Ok(())
}

/// Makes the file shorter by some of the pages that nothing uses; says whether there are more.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= SPARE {
        return Ok(false);
    }
    let pages = PAGES.min(free - SPARE);
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // Each step gives back one page.
    while rows.next()?.is_some() {}
    Ok(free - pages > SPARE)
}
