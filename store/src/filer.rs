//! Puts rows into the files of the spans, many at once, behind everybody's back.
//!
//! What is filed is in the journal already: nobody waits for this. A filing that is cut is done again from the journal,
//! and putting a row twice is putting it once. The register says last how far the journal is filed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::params;

use crate::{
    codes::{Coded, json_unless, nanoseconds, parsed_or_default},
    filters::{Filter, Filters, run_of},
    journal::Found,
    large::Large,
    ledger::{FiledMessage, Filing},
    load,
    packing::{self, Packer},
    rows::{ContentRow, DeliveryRow, Entry, Image, MessageRow, PartRow, PayloadRow},
    spans::{Span, Spans},
    tables::{Tables, Unusable, first},
};

/// A span is full when its messages' numbers are so far apart, or its file is so long.
const FULL: u64 = 1_000_000;
const FULL_BYTES: u64 = 2 << 30;
/// How many spans are open for writing at once.
const OPEN: usize = 4;

pub(crate) struct Filer {
    pub(crate) spans: Arc<Spans>,
    pub(crate) large: Arc<Large>,
    register: Tables,
    open: Vec<(u64, SpanFile)>,
}

/// A span that is open for writing.
pub(crate) struct SpanFile {
    pub(crate) tables: Tables,
    packer: Packer,
}

/// What of a filing goes into one span.
#[derive(Default)]
struct Share<'a> {
    messages: Vec<&'a FiledMessage>,
    deliveries: Vec<(&'a DeliveryRow, Option<&'a PayloadRow>)>,
    filters: Vec<&'a (u64, i64, Vec<u8>)>,
}

impl Filer {
    pub(crate) fn open(folder: &Path, spans: Arc<Spans>, large: Arc<Large>) -> Result<Self, Unusable> {
        let register = Tables::open_register(folder)?;
        Ok(Self { spans, large, register, open: Vec::new() })
    }

    /// The last record of the journal that is filed.
    pub(crate) fn filed(&self) -> rusqlite::Result<u64> {
        self.number("filed")
    }

    /// A number of the register; 0 where it was never written.
    pub(crate) fn number(&self, name: &str) -> rusqlite::Result<u64> {
        let sql = "SELECT number FROM numbers WHERE name = ?1";
        let number = first(&self.register.connection, sql, [name], |row| row.get::<_, i64>(0))?;
        Ok(number.unwrap_or(0) as u64)
    }

    /// An id is never given twice, though its row is forgotten.
    pub(crate) fn remember_highest(&mut self) -> rusqlite::Result<()> {
        let (message, delivery) = self.highest()?;
        self.register.commit(|register| {
            put_number(register, "messages", message)?;
            put_number(register, "deliveries", delivery)
        })
    }

    /// Files everything, durably.
    pub(crate) fn file(&mut self, filing: &Filing) -> rusqlite::Result<()> {
        self.begin_span_where_full()?;
        for (first, share) in self.shares(filing) {
            let span = self.span_file(first)?;
            span.file(&share)?;
            if let Some(span) = self.spans.of(first) {
                share.deliveries.iter().for_each(|(row, _)| span.holds(row.id));
            }
        }
        self.register.commit(|register| {
            filing.entries.iter().try_for_each(|entry| put_entry(register, entry))?;
            put_number(register, "filed", filing.through)
        })
    }

    /// Sorts the rows by the span that they belong to, oldest first.
    fn shares<'a>(&self, filing: &'a Filing) -> BTreeMap<u64, Share<'a>> {
        let mut shares: BTreeMap<u64, Share<'a>> = BTreeMap::new();
        let first_of = |message: u64| self.spans.of(message).map_or(0, |span| span.first);
        for message in &filing.messages {
            shares.entry(first_of(message.row.id)).or_default().messages.push(message);
        }
        for (row, payload) in &filing.deliveries {
            let share = shares.entry(first_of(row.message)).or_default();
            share.deliveries.push((row, payload.as_deref()));
        }
        for filter in &filing.filters {
            shares.entry(first_of(filter.0 << 16 | 0xFFFF)).or_default().filters.push(filter);
        }
        shares
    }

    /// The span's file, open for writing.
    pub(crate) fn span_file(&mut self, first: u64) -> rusqlite::Result<&mut SpanFile> {
        if let Some(index) = self.open.iter().position(|(of, _)| *of == first) {
            return Ok(&mut self.open[index].1);
        }
        let file = SpanFile::open(&self.spans.path_from(first))?;
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push((first, file));
        Ok(&mut self.open.last_mut().expect("it was put there").1)
    }

    /// Lets go of a span's file.
    pub(crate) fn close(&mut self, first: u64) {
        self.open.retain(|(of, _)| *of != first);
    }

    /// Begins the first span, or the next one. It leans on what the last one learnt.
    fn begin_span_where_full(&mut self) -> rusqlite::Result<()> {
        let Some(newest) = self.spans.newest() else {
            self.span_file(0)?;
            self.spans.add(0);
            return Ok(());
        };
        let is_long = newest.path.metadata().is_ok_and(|file| file.len() > FULL_BYTES);
        let file = self.span_file(newest.first)?;
        let highest = highest(&file.tables, "messages")?;
        if !is_long && highest < newest.first + FULL {
            return Ok(());
        }
        let learnt = packing::newest(&file.tables.connection)?;
        let next = self.span_file(highest + 1)?;
        if let Some(bytes) = learnt {
            next.packer.keep(&next.tables.connection, &bytes)?;
        }
        self.spans.add(highest + 1);
        Ok(())
    }

    /// Finds what was begun when the last process ended: nobody can tell whether it arrived.
    pub(crate) fn doubt_what_was_begun(&mut self) -> rusqlite::Result<()> {
        use engine::DeliveryState::{Begun, Unsure};
        for span in self.spans.all() {
            let begun = "SELECT 1 FROM deliveries WHERE lane IS NOT NULL AND state = ?1";
            let tables = &mut self.span_file(span.first)?.tables;
            if first(&tables.connection, begun, [Begun.code()], |_| Ok(()))?.is_some() {
                let sql = "UPDATE deliveries SET state = ?1 WHERE lane IS NOT NULL AND state = ?2";
                tables.commit(|tables| tables.run(sql, (Unsure.code(), Begun.code())))?;
            }
        }
        Ok(())
    }

    /// Notes of messages that they were in their steps when the last process ended.
    pub(crate) fn mark(&mut self, inside: impl Iterator<Item = u64>) -> rusqlite::Result<()> {
        for id in inside {
            let Some(span) = self.spans.of(id) else { continue };
            let sql = "UPDATE messages SET marks = marks + 1 WHERE id = ?1 AND state = 2";
            self.span_file(span.first)?.tables.commit(|tables| tables.run(sql, [id as i64]))?;
        }
        Ok(())
    }

    /// The highest ids that were ever given and kept: of messages, of deliveries.
    pub(crate) fn highest(&mut self) -> rusqlite::Result<(u64, u64)> {
        let mut found = (self.number("messages")?, self.number("deliveries")?);
        for span in self.spans.all() {
            let tables = &self.span_file(span.first)?.tables;
            found.0 = found.0.max(highest(tables, "messages")?);
            let lowest = "SELECT min(id) FROM deliveries";
            let lowest = first(&tables.connection, lowest, [], |row| row.get::<_, Option<i64>>(0))?.flatten();
            if let Some(lowest) = lowest {
                let highest = highest(tables, "deliveries")?;
                found.1 = found.1.max(highest);
                span.holds(lowest as u64);
                span.holds(highest);
            }
        }
        Ok(found)
    }

    /// The filters of the newest runs: kept ones, and the others made anew.
    pub(crate) fn filters(&mut self, highest: u64) -> rusqlite::Result<Filters> {
        let mut filters = Filters::default();
        let last = run_of(highest);
        for run in last.saturating_sub(255)..=last {
            let mut marks = (Vec::new(), i64::MIN);
            for span in self.spans_of_run(run) {
                let connection = &self.span_file(span.first)?.tables.connection;
                let sql = "SELECT newest, bits FROM filters WHERE run = ?1";
                let kept = first(connection, sql, [run as i64], |row| {
                    Ok(Filter::kept(row.get_ref(1)?.as_blob()?, row.get(0)?))
                })?;
                if let Some(filter) = kept.flatten() {
                    filters.take(run, filter);
                    marks = (Vec::new(), i64::MIN);
                    break;
                }
                let (found, newest) = load::marks_of_run(connection, run)?;
                marks.0.extend(found);
                marks.1 = marks.1.max(newest);
            }
            if !marks.0.is_empty() {
                filters.take(run, Filter::of(&marks.0, marks.1));
            }
        }
        Ok(filters)
    }

    fn spans_of_run(&self, run: u64) -> Vec<Arc<Span>> {
        let mut of_run: Vec<Arc<Span>> = self.spans.of(run << 16 | 0xFFFF).into_iter().collect();
        if let Some(before) = self.spans.of(run << 16)
            && of_run.iter().all(|span| span.first != before.first)
        {
            of_run.push(before);
        }
        of_run
    }
}

impl SpanFile {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let tables = Tables::open_span(path).map_err(|unusable| match unusable {
            Unusable::Database(error) => error,
            Unusable::File(error) => rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            Unusable::Layout { .. } => rusqlite::Error::InvalidPath(PathBuf::from(path)),
        })?;
        let packer = Packer::open(&tables.connection)?;
        Ok(Self { tables, packer })
    }

    fn file(&mut self, share: &Share<'_>) -> rusqlite::Result<()> {
        let packer = &mut self.packer;
        let done = self.tables.commit(|tables| {
            for message in &share.messages {
                put_message(tables, &message.row)?;
                if let Some(content) = &message.content {
                    put_content(tables, packer, (message.row.id, content))?;
                }
                for part in message.parts.iter().flat_map(|parts| parts.iter()) {
                    put_part(tables, packer, message.row.id, part)?;
                }
            }
            put_keys(tables, share)?;
            for (row, payload) in &share.deliveries {
                put_delivery(tables, row)?;
                if let Some(payload) = payload {
                    put_payload(tables, packer, row.id, payload)?;
                }
            }
            for (run, newest, bits) in &share.filters {
                let sql = "INSERT OR REPLACE INTO filters (run, newest, bits) VALUES (?1, ?2, ?3)";
                tables.run(sql, (*run as i64, newest, bits))?;
            }
            packer.learn(&tables.connection)
        });
        if done.is_err() {
            // The dictionary may have gone with the transaction.
            self.packer = Packer::open(&self.tables.connection)?;
        }
        done
    }
}

const PUT_MESSAGE: &str = "INSERT INTO messages (id, channel, received, state, outcome, answer, told, version,
    identity, size, copied, bytes, copy, effect, control_id, kind, sender, flags, batch, place, starts, marks, why,
    halt, inputs, reply, successor, predecessors)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
    ?23, ?24, ?25, ?26, ?27, ?28)
    ON CONFLICT (id) DO UPDATE SET state = ?4, outcome = ?5, answer = ?6, told = ?7, version = ?8, starts = ?21,
    marks = ?22, why = ?23, halt = ?24, inputs = ?25, reply = ?26, successor = ?27, predecessors = ?28";

fn put_message(tables: &Tables, row: &MessageRow) -> rusqlite::Result<()> {
    tables.run(
        PUT_MESSAGE,
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
            row.why,
            row.halt,
            row.inputs,
            row.reply,
            row.successor.map(|id| id as i64),
            json_unless(row.predecessors.is_empty(), &row.predecessors),
        ],
    )?;
    Ok(())
}

fn put_content(
    tables: &Tables,
    packer: &mut Packer,
    (message, content): (u64, &ContentRow),
) -> rusqlite::Result<()> {
    let packed = packer.pack(content)?;
    let sql = "INSERT OR IGNORE INTO contents (message, dictionary, packed) VALUES (?1, ?2, ?3)";
    tables.run(sql, (message as i64, packed.dictionary, packed.bytes)).map(drop)
}

fn put_part(tables: &Tables, packer: &mut Packer, message: u64, part: &PartRow) -> rusqlite::Result<()> {
    let packed = packer.pack(&(&part.halt, &part.body))?;
    let sql = "INSERT OR REPLACE INTO parts (message, part, control_id, dictionary, packed) VALUES (?1, ?2, ?3, ?4, ?5)";
    tables.run(sql, (message as i64, part.part, &part.control_id, packed.dictionary, packed.bytes)).map(drop)
}

/// Makes the messages findable by their control ids and search keys. In order: neighbours share a page.
fn put_keys(tables: &Tables, share: &Share<'_>) -> rusqlite::Result<()> {
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

const PUT_DELIVERY: &str = "INSERT INTO deliveries (id, message, part, outlet, state, lane, effect, after, pending,
    parked, attempts, counted, doubts, spent_ms, not_before, stopped, why, ending, keys, note)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
    ON CONFLICT (id) DO UPDATE SET state = ?5, lane = ?6, pending = ?9, parked = ?10, attempts = ?11, counted = ?12,
    doubts = ?13, spent_ms = ?14, not_before = ?15, stopped = ?16, why = ?17, ending = ?18, note = ?20";

fn put_delivery(tables: &Tables, row: &DeliveryRow) -> rusqlite::Result<()> {
    let outlet = tables.outlet(tables.channel(&row.channel)?, &row.destination)?;
    tables.run(
        PUT_DELIVERY,
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
            row.tally.why,
            row.ending,
            row.keys,
            row.note,
        ],
    )?;
    Ok(())
}

fn put_payload(
    tables: &Tables,
    packer: &mut Packer,
    delivery: u64,
    payload: &PayloadRow,
) -> rusqlite::Result<()> {
    let packed = packer.pack(payload)?;
    let sql = "INSERT OR REPLACE INTO payloads (delivery, dictionary, packed) VALUES (?1, ?2, ?3)";
    tables.run(sql, (delivery as i64, packed.dictionary, packed.bytes)).map(drop)
}

fn put_entry(register: &Tables, entry: &Entry) -> rusqlite::Result<()> {
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
    }
    .map(drop)
}

fn put_number(register: &Tables, name: &str, number: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO numbers (name, number) VALUES (?1, ?2)
        ON CONFLICT DO UPDATE SET number = max(number, excluded.number)";
    register.run(sql, (name, number as i64)).map(drop)
}

fn highest(tables: &Tables, table: &str) -> rusqlite::Result<u64> {
    let sql = format!("SELECT coalesce(max(id), 0) FROM {table}");
    Ok(first(&tables.connection, &sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
}

/// What the journal holds and the files do not, as it stands after the last record.
pub(crate) fn replayed(found: &[Found]) -> Result<Filing, postcard::Error> {
    let mut messages: BTreeMap<
        u64,
        (Option<Arc<MessageRow>>, Option<Arc<ContentRow>>, Option<Arc<Vec<PartRow>>>),
    > = BTreeMap::new();
    let mut deliveries: BTreeMap<u64, (Option<Arc<DeliveryRow>>, Option<Arc<PayloadRow>>)> = BTreeMap::new();
    let mut filing = Filing::default();
    for record in found {
        let mut rest = &record.rows[..];
        while !rest.is_empty() {
            let (image, behind) = postcard::take_from_bytes(rest)?;
            rest = behind;
            match image {
                Image::Message(row) => {
                    let id = row.id;
                    messages.entry(id).or_default().0 = Some(row);
                }
                Image::Content(id, content) => messages.entry(id).or_default().1 = Some(content),
                Image::Parts(id, parts) => messages.entry(id).or_default().2 = Some(parts),
                Image::Delivery(row) => {
                    let id = row.id;
                    deliveries.entry(id).or_default().0 = Some(row);
                }
                Image::Payload(id, payload) => deliveries.entry(id).or_default().1 = Some(payload),
                Image::Entry(entry) => filing.entries.push(entry),
            }
        }
        filing.through = record.number;
    }
    let whole =
        |(row, content, parts): (Option<_>, _, _)| row.map(|row| FiledMessage { row, content, parts });
    filing.messages = messages.into_values().filter_map(whole).collect();
    filing.deliveries =
        deliveries.into_values().filter_map(|(row, payload)| row.map(|row| (row, payload))).collect();
    Ok(filing)
}
