//! Forgetting what is old enough: first the content, later the rest.
//!
//! What waits, is open or is held is never forgotten. A message that failed, was refused, or has a delivery given
//! up or set aside goes by the age of errors. Done in small steps between two filings, so that nobody who writes waits
//! long. A span that is empty then goes as a file; what another one needs no more is cut off it.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use engine::{Ages, DeliveryState, MessageState, StoreError};
use rusqlite::{Connection, Row};

use crate::{
    codes::{Coded, nanoseconds},
    failure::Failure,
    filer::Filer,
    ledger::{Held, Ledger},
    load,
    packing::Unpacker,
    put::values,
    rows::Body,
    spans::{Spans, look},
    tables::{Tables, first},
    writer::Writer,
};

/// How many messages one step looks at.
const STEP: i64 = 2000;
/// How many pages one step gives back to the file system.
const PAGES: i64 = 500;
/// How many free pages are left in the file for what comes next.
const SPARE: i64 = 2000;
/// So many times as long as it worked it leaves the files to those who write: at their full speed they lose a thirteenth.
const RESTS: u32 = 12;

/// Messages received before these instants may go, in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Before {
    content: i64,
    errors: i64,
    metadata: i64,
}

/// What one step came to.
struct Step {
    forgotten: u64,
    /// The last message looked at; `None` when there are no more.
    last: Option<i64>,
    /// Without what it waited for others.
    worked: Duration,
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

/// Which messages a pass looks at.
#[derive(Clone, Copy)]
enum Pass {
    /// Those whose content is still there.
    Contents,
    /// Those whose content went long ago.
    Remains,
}

/// What may go of one channel: in one span, with content or without.
#[derive(Clone)]
struct Task {
    channel: Arc<str>,
    span: u64,
    pass: Pass,
    before: Before,
}

/// Forgets, step by step; returns how many messages it touched. `open`: when the oldest member of a group came that waits for quiet.
pub(super) async fn forget(
    (writer, spans): (&Writer, &Arc<Spans>),
    channel: &str,
    (ages, open): (Ages, Option<i64>),
) -> Result<u64, StoreError> {
    let before = Before::now(ages).at_most(open);
    let channel: Arc<str> = Arc::from(channel);
    let mut forgotten = 0;
    for span in writer.with_files(|filer| Ok(filer.spans.firsts())).await? {
        let mut of_span = 0;
        for pass in [Pass::Contents, Pass::Remains] {
            let task = Task { channel: Arc::clone(&channel), span, pass, before };
            let mut last = Some(0);
            while let Some(after) = last {
                let began = Instant::now();
                let step = step((writer, spans), &task, after).await?;
                of_span += step.forgotten;
                last = step.last;
                rest(began, step.worked).await;
            }
        }
        if of_span > 0 {
            let mut has_more = true;
            while has_more {
                let began = Instant::now();
                let worked;
                (has_more, worked) = writer.with_files(move |filer| timed(|| shrink(filer, span))).await?;
                rest(began, worked).await;
            }
        }
        forgotten += of_span;
    }
    Ok(forgotten)
}

/// Leaves disk and processor to those who write: as long as it waited for them, they have had them.
async fn rest(began: Instant, worked: Duration) {
    let waited = began.elapsed().saturating_sub(worked);
    tokio::time::sleep((worked.min(Duration::from_secs(1)) * RESTS).saturating_sub(waited)).await;
}

/// How long something took, where it came to an end.
fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let began = Instant::now();
    work().map(|done| (done, began.elapsed()))
}

/// Looks at some messages, and forgets those that may go. They are held meanwhile: what a person does to one of them
/// comes before, and is seen, or is refused.
async fn step((writer, spans): (&Writer, &Arc<Spans>), task: &Task, after: i64) -> Result<Step, StoreError> {
    let asked = task.clone();
    let (found, looked) = look(spans, move |spans| timed(|| asked.candidates(spans, after))).await?;
    let is_full = found.len() as i64 == STEP;
    let last = found.last().filter(|_| is_full).map(|last| last.id);
    let may_go = found.iter().filter(|candidate| task.takes(candidate));
    let may_go = Held::These(may_go.map(|candidate| candidate.id as u64).collect());
    if may_go.is_none() {
        return Ok(Step { forgotten: 0, last, worked: looked });
    }
    let held = writer.write(move |ledger| Ok(ledger.hold(&may_go))).await?;
    let asked = task.clone();
    let forgotten = writer.with_files(move |filer| timed(|| asked.forget(filer, &held, after))).await;
    release(writer).await?;
    let (forgotten, worked) = forgotten?;
    Ok(Step { forgotten, last, worked: looked + worked })
}

pub(super) async fn release(writer: &Writer) -> Result<(), StoreError> {
    let release = |ledger: &mut Ledger| {
        ledger.release();
        Ok(())
    };
    writer.write(release).await
}

impl Task {
    fn takes(&self, candidate: &Candidate) -> bool {
        match self.pass {
            Pass::Contents => self.before.takes(candidate),
            Pass::Remains => self.before.takes_all(candidate) && !candidate.has_content,
        }
    }

    /// What a reader finds, without waiting for what is filed just now.
    fn candidates(&self, spans: &Spans, after: i64) -> Result<Vec<Candidate>, Failure> {
        let Some(span) = spans.all().into_iter().find(|span| span.first == self.span) else {
            return Ok(Vec::new());
        };
        spans.read(&span, |reader| Ok(candidates(&reader.connection, self, after)?))
    }

    /// Looks again, since what is held now may have changed before, and forgets.
    fn forget(&self, filer: &mut Filer, held: &Held, after: i64) -> Result<u64, Failure> {
        let connection = &filer.span_file(self.span)?.tables.connection;
        let mut found = candidates(connection, self, after)?;
        found.retain(|candidate| held.has(candidate.id as u64) && self.takes(candidate));
        remember(filer, self, &found)?;
        let mut gone = Vec::new();
        let mut unpacker = Unpacker::default();
        filer.span_file(self.span)?.tables.commit(|tables| {
            for candidate in &found {
                if candidate.has_content && forget_content(tables, &mut unpacker, candidate.id)? {
                    gone.push(candidate.id as u64);
                }
                if self.before.takes_all(candidate) {
                    forget_all(tables, candidate.id)?;
                }
            }
            Ok(())
        })?;
        if !gone.is_empty() {
            filer.large.forget(|message| gone.contains(&message))?;
        }
        Ok(found.len() as u64)
    }
}

/// Before the last trace of the highest numbers goes, they are written down: none is given twice.
fn remember(filer: &mut Filer, task: &Task, going: &[Candidate]) -> Result<(), Failure> {
    let going: Vec<i64> = going
        .iter()
        .filter(|candidate| task.before.takes_all(candidate))
        .map(|candidate| candidate.id)
        .collect();
    let Some(highest) = going.iter().max() else { return Ok(()) };
    let connection = &filer.span_file(task.span)?.tables.connection;
    let mut delivery = 0;
    for id in &going {
        let sql = "SELECT max(id) FROM deliveries WHERE message = ?1";
        let of_message = first(connection, sql, [id], |row| row.get::<_, Option<i64>>(0))?.flatten();
        delivery = delivery.max(of_message.unwrap_or(0));
    }
    if *highest as u64 > filer.number("messages")? || delivery as u64 > filer.number("deliveries")? {
        filer.remember_highest()?;
    }
    Ok(())
}

impl Before {
    pub(super) fn now(ages: Ages) -> Self {
        let now = SystemTime::now();
        let ago = |age: Duration| now.checked_sub(age).map_or(i64::MIN, nanoseconds);
        Self { content: ago(ages.content), errors: ago(ages.errors), metadata: ago(ages.metadata) }
    }

    /// Of a group that waits nothing goes, and nothing that came after its oldest member.
    pub(super) fn at_most(self, open: Option<i64>) -> Self {
        let open = open.unwrap_or(i64::MAX);
        Self {
            content: self.content.min(open),
            errors: self.errors.min(open),
            metadata: self.metadata.min(open),
        }
    }

    /// What came before this goes whole, however it ended.
    pub(super) fn all(self) -> i64 {
        self.content.min(self.errors).min(self.metadata)
    }

    /// Nothing that came later goes in this pass.
    fn limit(self, pass: Pass) -> i64 {
        match pass {
            Pass::Contents => self.content.max(self.errors),
            Pass::Remains => self.metadata,
        }
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

fn candidates(connection: &Connection, task: &Task, after: i64) -> rusqlite::Result<Vec<Candidate>> {
    let limit = task.before.limit(task.pass);
    let oldest =
        first(connection, "SELECT received FROM messages ORDER BY id LIMIT 1", [], |row| row.get(0))?;
    if oldest.is_none_or(|oldest: i64| oldest >= limit) {
        return Ok(Vec::new());
    }
    // What still has content is found by its content: after some time few have.
    let from = match task.pass {
        Pass::Contents => "contents h CROSS JOIN messages m ON m.id = h.message WHERE h.message > ?2 AND",
        Pass::Remains => "messages m WHERE m.id > ?2 AND",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT m.id, m.received, m.state,
            EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.lane IS NOT NULL),
            EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.state IN ({}, {})),
            EXISTS (SELECT 1 FROM contents c WHERE c.message = m.id)
         FROM {from} m.channel = (SELECT id FROM channels WHERE name = ?1) AND m.received < ?3
         ORDER BY m.id LIMIT {STEP}",
        DeliveryState::SetAside.code(),
        DeliveryState::GivenUp.code(),
    ))?;
    let found = statement.query_map((&*task.channel, after, limit), Candidate::read)?;
    found.collect()
}

/// Leaves what holds no patient: states, times, names, sizes, the control id. Says whether bytes lay in a file apart.
fn forget_content(tables: &Tables, unpacker: &mut Unpacker, id: i64) -> rusqlite::Result<bool> {
    let connection = &tables.connection;
    let message = load::message(connection, id as u64)?;
    let content = load::content(connection, unpacker, id as u64)?;
    let mut is_apart = false;
    if let (Some(message), Some(content)) = (message, content) {
        is_apart = is_large(connection, unpacker, (&content.body, id as u64))?;
        // The control id stays findable.
        let values = values(&message, &content)?;
        for value in values.iter().filter(|value| Some(*value) != message.control_id.as_ref()) {
            tables.run(
                "DELETE FROM keys WHERE run = ?1 AND value = ?2 AND message = ?3",
                (id >> 14, value, id),
            )?;
        }
    }
    for sql in [
        "DELETE FROM contents WHERE message = ?1",
        "UPDATE parts SET packed = NULL WHERE message = ?1",
        "DELETE FROM payloads WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "UPDATE deliveries SET keys = NULL, note = NULL, why = NULL, ending = NULL WHERE message = ?1",
        "UPDATE messages SET why = NULL, halt = NULL, inputs = NULL, reply = NULL WHERE id = ?1",
    ] {
        tables.run(sql, [id])?;
    }
    Ok(is_apart)
}

fn is_large(
    connection: &Connection,
    unpacker: &mut Unpacker,
    (body, message): (&Body, u64),
) -> rusqlite::Result<bool> {
    if !body.files().is_empty() {
        return Ok(true);
    }
    let is_apart = |body: &Option<Body>| body.as_ref().is_some_and(|body| !body.files().is_empty());
    if load::parts(connection, unpacker, message)?.iter().any(|part| is_apart(&part.body)) {
        return Ok(true);
    }
    for delivery in load::deliveries_of(connection, message)? {
        if is_apart(&load::payload(connection, unpacker, delivery.id)?.body) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn forget_all(tables: &Tables, id: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM keys WHERE run = ?1 >> 14 AND value = (SELECT control_id FROM messages WHERE id = ?1) AND message = ?1",
        "DELETE FROM payloads WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE message = ?1)",
        "DELETE FROM parts WHERE message = ?1",
        "DELETE FROM deliveries WHERE message = ?1",
        "DELETE FROM messages WHERE id = ?1",
    ] {
        tables.run(sql, [id])?;
    }
    Ok(())
}

/// Gives an empty span's file back, or makes it shorter by some of the pages that nothing uses; says whether there are more.
fn shrink(filer: &mut Filer, span: u64) -> Result<bool, Failure> {
    let is_newest = filer.spans.newest().is_none_or(|newest| newest.first == span);
    let tables = &filer.span_file(span)?.tables;
    let is_empty = first(&tables.connection, "SELECT 1 FROM messages LIMIT 1", [], |_| Ok(()))?.is_none();
    if is_empty && !is_newest {
        filer.close(span);
        filer.spans.remove(span)?;
        return Ok(false);
    }
    Ok(give_back(&tables.connection, if is_newest { SPARE } else { 0 })?)
}

fn give_back(connection: &Connection, spare: i64) -> rusqlite::Result<bool> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= spare {
        return Ok(false);
    }
    let pages = PAGES.min(free - spare);
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // Each step gives back one page.
    while rows.next()?.is_some() {}
    Ok(free - pages > spare)
}
