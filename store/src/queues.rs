//! What waits for an outlet, read back from the spans' files.

use std::sync::Arc;

use engine::{DeliveryId, DeliveryState, Extent, MessageId, Position, Waiting};
use rusqlite::{Connection, Params, Row};

use crate::{
    codes::{Coded, json, parsed_or_default, time},
    failure::Failure,
    load::{TALLY, read_tally},
    spans::{Span, Spans},
    tables::first,
};

/// Follows [`TALLY`].
const PLACE: &str = "d.message, d.part, d.id, d.state, d.keys, d.after, m.received
    FROM deliveries d JOIN messages m ON m.id = d.message
    WHERE d.lane IS NOT NULL AND d.lane = ?1 AND (d.message, d.part, d.id) > (?2, ?3, ?4)";

const IN_ORDER: &str = "ORDER BY d.message, d.part, d.id LIMIT ?5";

/// One outlet's queue.
pub(crate) struct Queue {
    pub(crate) channel: String,
    pub(crate) destination: String,
}

impl Queue {
    pub(crate) fn new(channel: &str, destination: &str) -> Self {
        Self { channel: channel.to_owned(), destination: destination.to_owned() }
    }

    /// The deliveries behind `after`, in order.
    pub(crate) fn page(
        &self,
        spans: &Spans,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, Failure> {
        self.gather(spans, after, limit, |connection, lane, room| {
            let sql = format!("SELECT {TALLY}, {PLACE} {IN_ORDER}");
            rows(connection, &sql, (lane, after, room))
        })
    }

    /// The same of those with this key; without any where it is empty.
    pub(crate) fn page_of_key(
        &self,
        spans: &Spans,
        key: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, Failure> {
        self.gather(spans, after, limit, |connection, lane, room| {
            of_key(connection, key, (lane, after, room))
        })
    }

    pub(crate) fn extent(&self, spans: &Spans) -> Result<Extent, Failure> {
        let mut extent = Extent::default();
        for span in spans.all() {
            let found = spans.read(&span, |reader| {
                let connection = &reader.connection;
                let Some(lane) = self.lane(connection)? else { return Ok(Extent::default()) };
                let sql = "SELECT count(*) FROM deliveries WHERE lane IS NOT NULL AND lane = ?1";
                let deliveries =
                    first(connection, sql, [lane], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64;
                let sql = "SELECT message, part, id FROM deliveries WHERE lane IS NOT NULL AND lane = ?1
                    ORDER BY message DESC, part DESC, id DESC LIMIT 1";
                Ok(Extent { deliveries, last: first(connection, sql, [lane], |row| position(row, 0))? })
            })?;
            extent =
                Extent { deliveries: extent.deliveries + found.deliveries, last: found.last.or(extent.last) };
        }
        Ok(extent)
    }

    /// From span to span, until there are enough.
    fn gather(
        &self,
        spans: &Spans,
        after: Option<Position>,
        limit: usize,
        look: impl Fn(&Connection, i64, usize) -> rusqlite::Result<Vec<Waiting>>,
    ) -> Result<Vec<Waiting>, Failure> {
        let mut found = Vec::new();
        for span in behind(&spans.all(), after) {
            let room = limit - found.len();
            if room == 0 {
                break;
            }
            found.extend(spans.read(span, |reader| {
                let Some(lane) = self.lane(&reader.connection)? else { return Ok(Vec::new()) };
                Ok(look(&reader.connection, lane, room)?)
            })?);
        }
        Ok(found)
    }

    /// The outlet's number in a span, which is its lane's as well.
    fn lane(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT o.id FROM outlets o JOIN channels c ON c.id = o.channel WHERE c.name = ?1 AND o.name = ?2";
        first(connection, sql, (&self.channel, &self.destination), |row| row.get(0))
    }
}

/// The spans that may hold something behind `after`.
fn behind(all: &[Arc<Span>], after: Option<Position>) -> &[Arc<Span>] {
    let Some(after) = after else { return all };
    let first = all.partition_point(|span| span.first <= after.message.0).saturating_sub(1);
    &all[first..]
}

/// Those with this key alone are in an index by it; those with several are few, and looked through.
fn of_key(
    connection: &Connection,
    key: &str,
    (lane, after, room): (i64, Option<Position>, usize),
) -> rusqlite::Result<Vec<Waiting>> {
    let mut found = alone(connection, key, (lane, after, room))?;
    let several = format!("SELECT {TALLY}, {PLACE} AND instr(d.keys, '\",\"') > 0 {IN_ORDER}");
    let mut from = after;
    let mut number = 0;
    loop {
        let page = rows(connection, &several, (lane, from, room))?;
        let is_last = page.len() < room;
        from = page.last().map(|waiting| waiting.position);
        let own = page.into_iter().filter(|waiting| waiting.has_key(key));
        let before = found.len();
        found.extend(own);
        number += found.len() - before;
        if is_last || number >= room {
            break;
        }
    }
    found.sort_by_key(|waiting| waiting.position);
    found.truncate(room);
    Ok(found)
}

fn alone(
    connection: &Connection,
    key: &str,
    (lane, after, room): (i64, Option<Position>, usize),
) -> rusqlite::Result<Vec<Waiting>> {
    let mut found = Vec::new();
    if key.is_empty() {
        let sql = format!("SELECT {TALLY}, {PLACE} AND d.keys IS NULL {IN_ORDER}");
        found = rows(connection, &sql, (lane, after, room))?;
    }
    let keys = json(&[key]);
    let sql = format!("SELECT {TALLY}, {PLACE} AND d.message >> 14 = ?6 AND d.keys = ?7 {IN_ORDER}");
    let last =
        first(connection, "SELECT max(id) >> 14 FROM messages", [], |row| row.get::<_, Option<i64>>(0))?;
    let first_run =
        first(connection, "SELECT min(id) >> 14 FROM messages", [], |row| row.get::<_, Option<i64>>(0))?;
    let (Some(first_run), Some(last)) = (first_run.flatten(), last.flatten()) else { return Ok(found) };
    let mut of_runs = Vec::new();
    for run in first_run.max(after.map_or(0, |after| (after.message.0 >> 14) as i64))..=last {
        let room = room - of_runs.len();
        if room == 0 {
            break;
        }
        let (message, part, delivery) = numbers(after);
        of_runs.extend(read(connection, &sql, (lane, message, part, delivery, room as i64, run, &keys))?);
    }
    found.extend(of_runs);
    Ok(found)
}

fn rows(
    connection: &Connection,
    sql: &str,
    (lane, after, limit): (i64, Option<Position>, usize),
) -> rusqlite::Result<Vec<Waiting>> {
    let (message, part, delivery) = numbers(after);
    read(connection, sql, (lane, message, part, delivery, limit as i64))
}

fn read(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(params, waiting)?.collect()
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        tally: read_tally(row)?,
        position: position(row, 7)?,
        state: DeliveryState::of(row.get(10)?)?,
        keys: parsed_or_default(row.get(11)?)?,
        after: row.get(12)?,
        received: time(row.get(13)?),
    })
}

fn position(row: &Row<'_>, column: usize) -> rusqlite::Result<Position> {
    Ok(Position {
        message: MessageId(row.get::<_, i64>(column)? as u64),
        part: row.get(column + 1)?,
        delivery: DeliveryId(row.get::<_, i64>(column + 2)? as u64),
    })
}

fn numbers(after: Option<Position>) -> (i64, i64, i64) {
    after.map_or((-1, 0, 0), |after| (after.message.0 as i64, i64::from(after.part), after.delivery.0 as i64))
}
