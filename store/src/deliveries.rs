//! The delivery's axis: waiting, begun, and how it ended.

use engine::{
    AttemptEnd, Content, Delivery, DeliveryId, DeliveryState, Filling, Hash, MessageId, NewDelivery, Note,
    Piece, Position, Response, Settlement, Sibling, Tally, Waiting,
};
use rusqlite::{Connection, Row, params};

use crate::{
    codes::{Coded, json, json_unless, nanoseconds, parsed, parsed_or_default, time},
    failure::Failure,
    followers,
    messages::{MESSAGE, read_message},
    tables::{Tables, first},
};

/// The columns of a [`Tally`], of `deliveries d`.
pub(crate) const TALLY: &str = "d.attempts, d.counted, d.doubts, d.spent_ms, d.not_before, d.stopped, d.why";

/// The columns of a [`Waiting`], behind a tally's.
const WAITING: &str = "d.message, d.part, d.id, d.state, d.keys, a.name, m.received, o.name";

const QUEUED: &str = "deliveries d JOIN messages m ON m.id = d.message JOIN outlets o ON o.id = d.outlet
     LEFT JOIN outlets a ON a.id = d.after";

/// Finds what was begun when the last process ended: nobody can tell whether it arrived.
pub(crate) fn doubt_what_was_begun(tables: &Tables) -> rusqlite::Result<()> {
    let states = (DeliveryState::Unsure.code(), DeliveryState::Begun.code());
    tables.run("UPDATE deliveries SET state = ?1 WHERE lane IS NOT NULL AND state = ?2", states).map(drop)
}

/// `of`: the channel, the message, and the part, 0 for the whole.
pub(crate) fn insert(
    tables: &Tables,
    (channel, message, part): (i64, MessageId, u32),
    new: &NewDelivery,
) -> rusqlite::Result<()> {
    let after = new.after.as_ref().map(|name| tables.outlet(channel, name)).transpose()?;
    tables.run(
        "INSERT INTO deliveries (id, message, part, outlet, lane, state, effect, after, pending, keys)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            new.id.0 as i64,
            message.0 as i64,
            part,
            tables.outlet(channel, &new.destination)?,
            DeliveryState::Waiting.code(),
            new.effect.0,
            after,
            after.is_some() && new.body.is_none(),
            json_unless(new.keys.is_empty(), &new.keys),
        ],
    )?;
    if new.body.is_some() || !new.texts.is_empty() {
        insert_payload(tables, new)?;
    }
    Ok(())
}

fn insert_payload(tables: &Tables, new: &NewDelivery) -> rusqlite::Result<()> {
    let body = new.body.as_ref().map(|body| &body.bytes()[..]);
    let texts = json_unless(new.texts.is_empty(), &new.texts);
    tables
        .run(
            "INSERT INTO payloads (delivery, body, texts) VALUES (?1, ?2, ?3)",
            params![new.id.0 as i64, body, texts],
        )
        .map(drop)
}

/// Leaves a delivery out where an earlier copy of its message has this very effect, or will have it; says how that
/// one stands.
pub(crate) fn leave_out(
    tables: &Tables,
    message: MessageId,
    new: &NewDelivery,
) -> Result<Option<DeliveryState>, Failure> {
    let earlier = tables.first(
        "SELECT d.state, d.id, e.id FROM messages m JOIN messages e ON e.copy = m.copy AND e.channel = m.channel
            JOIN deliveries d ON d.message = e.id
         WHERE m.id = ?1 AND d.effect = ?2 AND d.id <> ?3 AND d.state NOT IN (?5, ?6)
         ORDER BY d.state = ?4 DESC, d.id DESC LIMIT 1",
        (
            message.0 as i64,
            new.effect.0,
            new.id.0 as i64,
            DeliveryState::Sent.code(),
            DeliveryState::GivenUp.code(),
            DeliveryState::Dropped.code(),
        ),
        |row| {
            let message = MessageId(row.get::<_, i64>(2)? as u64);
            Ok((DeliveryState::of(row.get(0)?)?, DeliveryId(row.get::<_, i64>(1)? as u64), message))
        },
    )?;
    let Some((earlier, first, of)) = earlier else { return Ok(None) };
    let state = if earlier == DeliveryState::Sent { earlier } else { DeliveryState::Dropped };
    tables.run(
        "UPDATE deliveries SET state = ?2, lane = NULL, ending = ?3 WHERE id = ?1",
        (new.id.0 as i64, state.code(), engine::left_to(first, of)),
    )?;
    Ok(Some(earlier))
}

/// Refuses what left its lane in the meantime: a person may have dropped it.
pub(crate) fn begin(
    tables: &Tables,
    id: DeliveryId,
    note: Option<&Note>,
    doubts: u32,
) -> Result<(), Failure> {
    let begun = tables.run(
        "UPDATE deliveries SET state = ?2, note = ?3, doubts = ?4 WHERE id = ?1 AND lane IS NOT NULL",
        (id.0 as i64, DeliveryState::Begun.code(), note.map(json), doubts),
    )?;
    if begun == 1 {
        return Ok(());
    }
    state(tables, id)?;
    Err(Failure::Refused(format!("delivery {} does not wait any more", id.0)))
}

/// Leaves its queue, or goes on waiting there: what was sent stays sent.
const ENDS: &str = "UPDATE deliveries SET state = ?2, lane = NULL, attempts = ?3, counted = ?4, doubts = ?5,
     spent_ms = ?6, not_before = ?7, stopped = ?8, why = ?9, ending = ?10 WHERE id = ?1 AND state <> ?11";
const WAITS: &str =
    "UPDATE deliveries SET state = ?2, lane = outlet, attempts = ?3, counted = ?4, doubts = ?5,
     spent_ms = ?6, not_before = ?7, stopped = ?8, why = ?9, ending = ?10 WHERE id = ?1 AND state <> ?11";

/// Writing the same end twice is one end; what was sent stays sent.
pub(crate) fn settle(
    tables: &Tables,
    id: DeliveryId,
    settlement: &Settlement,
) -> Result<Vec<(String, Waiting)>, Failure> {
    let Settlement { end, tally, followers } = settlement;
    let settled = match end {
        AttemptEnd::Sent(_) => write_end(tables, id, (DeliveryState::Sent, None), tally),
        AttemptEnd::Waits { .. } => write_end(tables, id, (DeliveryState::Waiting, None), tally),
        AttemptEnd::GivenUp { why, .. } => write_end(tables, id, (DeliveryState::GivenUp, Some(why)), tally),
        AttemptEnd::SetAside { why } => write_end(tables, id, (DeliveryState::SetAside, Some(why)), tally),
        AttemptEnd::Dropped { why } => write_end(tables, id, (DeliveryState::Dropped, Some(why)), tally),
    }?;
    if settled == 0 {
        state(tables, id)?;
    }
    match end {
        AttemptEnd::Sent(_) if settled == 0 => Ok(followers::unfilled(tables, id, followers)?),
        AttemptEnd::Sent(response) => {
            keep_response(tables, id, response)?;
            Ok(followers::take_up(tables, id, followers)?)
        }
        AttemptEnd::GivenUp { response, .. } if settled > 0 => {
            give_response(tables, id, response.as_ref())?;
            Ok(Vec::new())
        }
        _ => Ok(Vec::new()),
    }
}

/// Says how many rows it changed: none where it was sent before, or is not there.
fn write_end(
    tables: &Tables,
    id: DeliveryId,
    (ended, why): (DeliveryState, Option<&String>),
    tally: &Tally,
) -> rusqlite::Result<usize> {
    let sql = if ended == DeliveryState::Waiting { WAITS } else { ENDS };
    tables.run(
        sql,
        params![
            id.0 as i64,
            ended.code(),
            tally.attempts,
            tally.counted,
            tally.doubts,
            tally.spent_ms as i64,
            tally.not_before.map(nanoseconds),
            tally.stopped,
            tally.why,
            why.filter(|why| tally.why.as_ref() != Some(why)),
            DeliveryState::Sent.code(),
        ],
    )
}

fn give_response(tables: &Tables, id: DeliveryId, response: Option<&Response>) -> Result<(), Failure> {
    match response {
        Some(response) => keep_response(tables, id, response),
        None => Ok(tables.run("DELETE FROM responses WHERE delivery = ?1", [id.0 as i64]).map(drop)?),
    }
}

fn keep_response(tables: &Tables, id: DeliveryId, response: &Response) -> Result<(), Failure> {
    tables.run(
        "INSERT OR REPLACE INTO responses (delivery, body, facts) VALUES (?1, ?2, ?3)",
        params![
            id.0 as i64,
            response.body.as_deref(),
            json_unless(response.facts.is_empty(), &response.facts)
        ],
    )?;
    Ok(())
}

pub(crate) fn fill(tables: &Tables, id: DeliveryId, filling: &Filling) -> Result<(), Failure> {
    state(tables, id)?;
    let Filling { body, texts, inputs } = filling;
    tables.run("UPDATE deliveries SET pending = ?2 WHERE id = ?1", (id.0 as i64, body.is_none()))?;
    tables.run(
        "INSERT OR REPLACE INTO payloads (delivery, body, texts, inputs) VALUES (?1, ?2, ?3, ?4)",
        params![
            id.0 as i64,
            body.as_ref().map(|body| &body.bytes()[..]),
            json_unless(texts.is_empty(), texts),
            inputs.as_ref().map(json),
        ],
    )?;
    Ok(())
}

/// The state of a delivery that must be there.
pub(crate) fn state(tables: &Tables, id: DeliveryId) -> Result<DeliveryState, Failure> {
    let state =
        tables.first("SELECT state FROM deliveries WHERE id = ?1", [id.0 as i64], |row| row.get(0))?;
    let state = state.ok_or_else(|| Failure::Refused(format!("there is no delivery {}", id.0)))?;
    Ok(DeliveryState::of(state)?)
}

pub(crate) fn waiting(
    connection: &Connection,
    (channel, destination): (&str, &str),
    after: Option<Position>,
    limit: usize,
) -> rusqlite::Result<Vec<Waiting>> {
    let outlet: Option<i64> = first(
        connection,
        "SELECT o.id FROM outlets o JOIN channels c ON c.id = o.channel WHERE c.name = ?1 AND o.name = ?2",
        (channel, destination),
        |row| row.get(0),
    )?;
    let Some(outlet) = outlet else { return Ok(Vec::new()) };
    let (message, part, delivery) = after
        .map_or((-1, 0, 0), |after| (after.message.0 as i64, i64::from(after.part), after.delivery.0 as i64));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {TALLY}, {WAITING} FROM {QUEUED}
         WHERE d.lane IS NOT NULL AND d.lane = ?1 AND (d.message, d.part, d.id) > (?2, ?3, ?4)
         ORDER BY d.message, d.part, d.id LIMIT ?5"
    ))?;
    let found = statement.query_map((outlet, message, part, delivery, limit as i64), read_waiting)?;
    found.collect()
}

/// One delivery as its outlet orders it, and the outlet's name.
pub(crate) fn waiting_one(tables: &Tables, id: DeliveryId) -> rusqlite::Result<(String, Waiting)> {
    let sql = format!("SELECT {TALLY}, {WAITING} FROM {QUEUED} WHERE d.id = ?1");
    tables
        .connection
        .prepare_cached(&sql)?
        .query_row([id.0 as i64], |row| Ok((row.get(14)?, read_waiting(row)?)))
}

fn read_waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        tally: read_tally(row)?,
        position: Position {
            message: MessageId(row.get::<_, i64>(7)? as u64),
            part: row.get(8)?,
            delivery: DeliveryId(row.get::<_, i64>(9)? as u64),
        },
        state: DeliveryState::of(row.get(10)?)?,
        keys: parsed_or_default(row.get(11)?)?,
        after: row.get(12)?,
        received: time(row.get(13)?),
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
        why: row.get(6)?,
    })
}

pub(crate) fn delivery(connection: &Connection, id: DeliveryId) -> rusqlite::Result<Option<Delivery>> {
    let sql = format!(
        "SELECT {MESSAGE}, p.id, p.control_id, p.halt, p.body, d.part, o.name, d.effect, a.name, d.pending, d.note,
            y.body, y.texts, m.content
         FROM deliveries d JOIN messages m ON m.id = d.message LEFT JOIN contents c ON c.message = m.id
         LEFT JOIN parts p ON p.message = d.message AND p.part = d.part LEFT JOIN payloads y ON y.delivery = d.id
         JOIN outlets o ON o.id = d.outlet LEFT JOIN outlets a ON a.id = d.after WHERE d.id = ?1"
    );
    let tally = format!("SELECT {TALLY} FROM deliveries d WHERE d.id = ?1");
    let Some(tally) = first(connection, &tally, [id.0 as i64], read_tally)? else { return Ok(None) };
    first(connection, &sql, [id.0 as i64], |row| read_delivery(row, id, tally))
}

fn read_delivery(row: &Row<'_>, id: DeliveryId, tally: Tally) -> rusqlite::Result<Delivery> {
    let message = read_message(row)?;
    let piece = read_piece(row, Piece::whole(&message))?;
    let own: Option<Vec<u8>> = row.get(17)?;
    let is_pending: bool = row.get(15)?;
    let is_kept = row.get::<_, Option<i64>>(19)?.is_some();
    let body = match own {
        Some(own) => Some(Content::from(own)),
        None if is_pending || !is_kept => None,
        None => Some(piece.body.clone()),
    };
    Ok(Delivery {
        id,
        piece,
        destination: row.get(12)?,
        effect: Hash(row.get(13)?),
        after: row.get(14)?,
        body,
        texts: parsed_or_default(row.get(18)?)?,
        note: row.get::<_, Option<String>>(16)?.map(|note| parsed(&note)).transpose()?,
        tally,
        message,
    })
}

/// The part a delivery is of; the whole message as it came where no part is kept.
fn read_piece(row: &Row<'_>, whole: Piece) -> rusqlite::Result<Piece> {
    if row.get::<_, Option<i64>>(7)?.is_none() {
        return Ok(whole);
    }
    let place: u32 = row.get(11)?;
    let body: Option<Vec<u8>> = row.get(10)?;
    Ok(Piece {
        body: body.map_or(whole.body, Content::from),
        place: (place > 0).then_some(place),
        control_id: row.get(8)?,
        halt: row.get::<_, Option<String>>(9)?.map(|halt| parsed(&halt)).transpose()?,
        bond: whole.bond,
        view: None,
    })
}

pub(crate) fn sibling(
    connection: &Connection,
    of: DeliveryId,
    destination: &str,
) -> rusqlite::Result<Option<Sibling>> {
    first(
        connection,
        "SELECT s.state, r.delivery, r.body, r.facts
         FROM deliveries d JOIN deliveries s ON s.message = d.message AND s.part = d.part
         JOIN outlets o ON o.id = s.outlet LEFT JOIN responses r ON r.delivery = s.id
         WHERE d.id = ?1 AND o.name = ?2 ORDER BY s.id DESC LIMIT 1",
        (of.0 as i64, destination),
        |row| {
            let is_answered = row.get::<_, Option<i64>>(1)?.is_some();
            let response = if is_answered { Some(read_response(row)?) } else { None };
            Ok(Sibling { state: DeliveryState::of(row.get(0)?)?, response })
        },
    )
}

fn read_response(row: &Row<'_>) -> rusqlite::Result<Response> {
    let body: Option<Vec<u8>> = row.get(2)?;
    Ok(Response { body: body.map(Into::into), facts: parsed_or_default(row.get(3)?)? })
}

/// Back into its queue at its place, with a fresh tally.
pub(crate) fn put_back(tables: &Tables, id: DeliveryId, state: DeliveryState) -> rusqlite::Result<()> {
    tables
        .run(
            "UPDATE deliveries SET state = ?2, lane = outlet, attempts = 0, counted = 0, doubts = 0, spent_ms = 0,
                not_before = NULL, stopped = 0, why = NULL, ending = NULL, parked = 0 WHERE id = ?1",
            (id.0 as i64, state.code()),
        )
        .map(drop)
}
