//! Searches that go on from the newest message backwards, some at a time: by keys, and by what messages hold.
//!
//! A look into contents takes messages in the order in which they lie in the files, with one body in memory, or a stretch of a long
//! one, and says after a moment how far it is, be it within a body. Between two moments it holds nothing: no thread, and no file at an instant. One has its moment at a
//! time, whoever looks, and rests as long as it worked, or longer while many messages come.

use std::{
    cmp::Reverse,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use engine::{MessageId, MessageRow, Query, StoreError, Why};
use rusqlite::{Connection, Row, params_from_iter};

use super::find;
use crate::{
    Sqlite,
    codes::{kept_why, nanoseconds, written},
    failure::Failure,
    large::Large,
    load,
    packing::{Packed, Unpacker},
    rows::{Body, ContentRow, PayloadRow},
    spans::{Reader, Span, Spans, look},
    tables::first,
};

/// How long a look goes on before it says how far it is, and lets the next one on.
const MOMENT: Duration = Duration::from_millis(50);
/// So many messages a second are many.
const MANY: f64 = 500.0;
/// So many numbers are asked for together: a filter that nothing fits does not outlast its moment by much.
const RUN: u64 = 1 << 14;
/// No clock was set back by more: behind a whole run that is older than what is asked for by this, everything is.
const CLOCKS: Duration = Duration::from_hours(1);

/// Whether bytes hold what somebody looks for. Of a long body it is asked for stretch after stretch, each with the last 4 KiB of the
/// one before: what is looked for is shorter.
pub type Fits = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A look into contents: what is looked for, where, and how far it is.
#[derive(Clone)]
pub struct Look {
    query: Query,
    /// Only these, where not all are to be seen.
    channels: Option<Vec<String>>,
    fits: Fits,
    is_begun: bool,
    within: Option<Within>,
}

/// How far a look is in a message with a body so long that a moment ended in it.
#[derive(Debug, Clone, Copy)]
struct Within {
    message: u64,
    /// So many long bodies were looked through, and of the next one so many bytes.
    bodies: usize,
    bytes: u64,
}

/// The last moment that anybody had.
#[derive(Default)]
pub(crate) struct Last {
    /// Until then nobody looks.
    rests: Option<tokio::time::Instant>,
    /// When it began, and which number the next message had.
    began: Option<(Instant, u64)>,
}

impl Last {
    /// How many messages a second came since it began; another one begins.
    fn came(&mut self, newest: u64) -> f64 {
        let before = self.began.replace((Instant::now(), newest));
        before.map_or(0.0, |(at, number)| {
            newest.saturating_sub(number) as f64 / at.elapsed().as_secs_f64().max(1e-3)
        })
    }
}

/// How long the processor and the disk are left to those who take messages, where so many of them come a second.
fn rest(worked: Duration, came: f64) -> Duration {
    worked * if came > MANY { 4 } else { 1 }
}

/// What was seen in a moment.
#[derive(Debug, Default)]
pub struct Seen {
    /// What fits, newest first, with where the words stand first.
    pub found: Vec<(MessageRow, Place)>,
    /// Older ones than this were not looked at yet; `None` when there are no more.
    pub before: Option<MessageId>,
    /// When the last that was looked at was received: RFC 3339, UTC.
    pub until: Option<String>,
    /// How many were looked at.
    pub messages: u64,
    /// Of these, how many hold nothing any more (`keep.content`).
    pub forgotten: u64,
    /// Bodies that cannot be read.
    pub unread: u64,
}

/// Where in a message something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In what came.
    Received,
    /// In what left, or what steps made of it.
    Sent,
    /// In what a destination answered.
    Answered,
    /// In why it, or a delivery of it, did not get through.
    Reason,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Reason => "reason",
        }
    }
}

impl Look {
    /// Of the messages that fit the query, whose `text` is not asked, those that hold something.
    pub fn new(query: Query, channels: Option<Vec<String>>, fits: Fits) -> Self {
        Self { query: Query { text: None, ..query }, channels, fits, is_begun: false, within: None }
    }
}

impl Sqlite {
    /// Goes on with a look for a moment.
    pub async fn look_on(&self, at: &mut Look) -> Result<Seen, StoreError> {
        if !at.is_begun {
            self.writer.filed().await;
            at.is_begun = true;
        }
        // It stays with the moment, which whoever leaves meanwhile does not cut short.
        let mut last = Arc::clone(&self.looking).lock_owned().await;
        if let Some(rests) = &last.rests {
            tokio::time::sleep_until(*rests).await;
        }
        let came = last.came(self.next_message.load(SeqCst));
        let (now, large) = (at.clone(), Arc::clone(&self.large));
        let seen = look(&self.spans, move |spans| {
            let began = Instant::now();
            let seen = Moment::of(&now, &large, began + MOMENT).pass(spans);
            last.rests = Some(tokio::time::Instant::now() + rest(began.elapsed(), came));
            seen
        });
        let (seen, within) = seen.await?;
        at.within = within;
        at.query.limit = at.query.limit.saturating_sub(seen.found.len());
        at.query.before = seen.before;
        Ok(seen)
    }

    /// What fits any of these queries in the newest file behind that one, newest first; and behind which one it goes on, if it does.
    pub async fn find_on(
        &self,
        queries: &[Query],
        behind: Option<u64>,
    ) -> Result<(Vec<MessageRow>, Option<u64>), StoreError> {
        if behind.is_none() {
            self.writer.filed().await;
        }
        let queries = queries.to_vec();
        look(&self.spans, move |spans| {
            queries.iter().try_for_each(find::check)?;
            let may_hold = |span: &Span| {
                let is_older = |query: &Query| query.before.is_none_or(|before| before.0 > span.first);
                behind.is_none_or(|behind| span.first < behind) && queries.iter().any(is_older)
            };
            let all = spans.all();
            let mut older = all.iter().rev().filter(|span| may_hold(span));
            let Some(span) = older.next() else { return Ok((Vec::new(), None)) };
            let mut found = Vec::new();
            for query in &queries {
                let some = spans.read(span, |reader| find::messages(&reader.connection, query));
                found.extend(unless_forgotten(span, some)?.unwrap_or_default());
            }
            found.sort_by_key(|row| Reverse(row.id));
            found.truncate(queries.first().map_or(0, |query| query.limit));
            Ok((found, older.next().map(|_| span.first)))
        })
        .await
    }
}

/// Nothing, of a file that went while it was to be read.
fn unless_forgotten<T>(span: &Span, read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(_) if !span.path.exists() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// One moment of a look.
struct Moment<'a> {
    look: &'a Look,
    large: &'a Large,
    ends: Instant,
    seen: Seen,
    /// The message that is looked at, and how many long bodies of it were met.
    message: u64,
    bodies: usize,
    /// Where it ended in a body.
    stopped: Option<Within>,
}

/// Where a look goes on.
enum Way {
    Before(u64),
    /// In the next older file.
    Through,
    /// Nowhere: everything older is too old.
    Ended,
}

impl<'a> Moment<'a> {
    fn of(look: &'a Look, large: &'a Large, ends: Instant) -> Self {
        Self { look, large, ends, seen: Seen::default(), message: 0, bodies: 0, stopped: None }
    }

    fn pass(mut self, spans: &Spans) -> Result<(Seen, Option<Within>), Failure> {
        find::check(&self.look.query)?;
        let newest = i64::MAX as u64;
        let mut before = self.look.query.before.map_or(newest, |before| before.0.min(newest));
        while let Some(span) = before.checked_sub(1).and_then(|last| spans.of(last)) {
            let read = spans.read(&span, |reader| self.span(reader, before));
            match unless_forgotten(&span, read)?.unwrap_or(Way::Through) {
                Way::Before(next) => before = next,
                // The oldest file may hold older numbers than its name says.
                Way::Through if spans.firsts().first().is_none_or(|oldest| *oldest >= span.first) => {
                    return Ok((self.seen, None));
                }
                Way::Through => before = span.first,
                Way::Ended => return Ok((self.seen, None)),
            }
            if self.is_over() {
                self.seen.before = Some(MessageId(before));
                break;
            }
        }
        Ok((self.seen, self.stopped))
    }

    fn is_over(&self) -> bool {
        self.stopped.is_some()
            || self.seen.found.len() >= self.look.query.limit
            || Instant::now() >= self.ends
    }

    /// Looks through a file downwards.
    fn span(&mut self, reader: &mut Reader, before: u64) -> Result<Way, Failure> {
        let number = |sql: &str, before: i64| {
            first(&reader.connection, sql, [before], |row| row.get::<_, Option<i64>>(0)).map(Option::flatten)
        };
        let before = before as i64;
        let last = number("SELECT max(id) FROM messages WHERE id < ?1", before)?;
        let oldest = number("SELECT min(id) FROM messages WHERE id < ?1", before)?;
        let (Some(mut last), Some(oldest)) = (last.map(|id| id as u64), oldest.map(|id| id as u64)) else {
            return Ok(Way::Through);
        };
        loop {
            let run = (oldest.max(last & !(RUN - 1)), last);
            let looked_at = self.seen.messages;
            if let Some(stopped) = self.run(reader, run)? {
                return Ok(Way::Before(stopped));
            }
            if self.seen.messages == looked_at && self.is_too_old(&reader.connection, run)? {
                return Ok(Way::Ended);
            }
            if run.0 == oldest {
                return Ok(Way::Through);
            }
            if self.is_over() {
                return Ok(Way::Before(run.0));
            }
            last = run.0 - 1;
        }
    }

    /// Looks at the messages of a run that fit, one after the other; says at which one it stopped before the end.
    fn run(&mut self, reader: &mut Reader, run: (u64, u64)) -> Result<Option<u64>, Failure> {
        let (fit, values) = find::in_run(&self.look.query, self.look.channels.as_deref(), run)?;
        let sql = format!(
            "SELECT m.id, m.received, m.why, c.dictionary, c.packed FROM messages m
             LEFT JOIN contents c ON c.message = m.id WHERE {fit} ORDER BY m.id DESC"
        );
        let Reader { connection, unpacker } = reader;
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut latest, mut stopped) = (None, None);
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)? as u64;
            (self.message, self.bodies) = (id, 0);
            let place = self.place(row, (connection, unpacker))?;
            if self.stopped.is_some() {
                // It is the first of the next moment.
                stopped = Some(id + 1);
                break;
            }
            latest = Some(row.get(1)?);
            self.seen.messages += 1;
            if let Some(place) = place {
                self.seen.found.extend(find::row(connection, MessageId(id))?.map(|row| (row, place)));
            }
            if self.is_over() {
                stopped = Some(id);
                break;
            }
        }
        self.seen.until = latest.map(written).or(self.seen.until.take());
        Ok(stopped)
    }

    /// Whether nobody asks for this run nor for anything older: a whole one, that was all received too long ago.
    fn is_too_old(&self, connection: &Connection, (from, through): (u64, u64)) -> Result<bool, Failure> {
        let Some(since) = self.look.query.since.and_then(|since| since.checked_sub(CLOCKS)) else {
            return Ok(false);
        };
        if through - from + 1 < RUN {
            return Ok(false);
        }
        let sql = "SELECT max(received) FROM messages WHERE id BETWEEN ?1 AND ?2";
        let newest =
            first(connection, sql, (from as i64, through as i64), |row| row.get::<_, Option<i64>>(0))?;
        Ok(newest.flatten().is_some_and(|newest| newest < nanoseconds(since)))
    }

    /// Where it stands in a message, if it does.
    fn place(
        &mut self,
        row: &Row<'_>,
        (connection, unpacker): (&Connection, &mut Unpacker),
    ) -> Result<Option<Place>, Failure> {
        match row.get::<_, Option<Vec<u8>>>(4)? {
            None => self.seen.forgotten += u64::from(self.goes_on().is_none()),
            Some(bytes) => {
                let packed = Packed { dictionary: row.get(3)?, bytes };
                match unpacker.unpack::<ContentRow>(connection, &packed) {
                    Ok(content) if self.holds(&content.body) => return Ok(Some(Place::Received)),
                    Ok(_) => {}
                    Err(_) => self.is_unread(),
                }
            }
        }
        if self.says(kept_why(row, 2)?) {
            return Ok(Some(Place::Reason));
        }
        self.behind(row.get::<_, i64>(0)?, (connection, unpacker))
    }

    /// The same in what became of a message.
    fn behind(
        &mut self,
        id: i64,
        (connection, unpacker): (&Connection, &mut Unpacker),
    ) -> Result<Option<Place>, Failure> {
        let mut is_in_part = false;
        let read = load::each_part(connection, unpacker, id as u64, |part| {
            is_in_part = part.body.as_ref().is_some_and(|body| self.holds(body));
            !is_in_part
        });
        if is_in_part {
            return Ok(Some(Place::Sent));
        }
        if read.is_err() {
            self.is_unread();
        }
        let mut statement = connection.prepare_cached(
            "SELECT d.why, d.ending, p.dictionary, p.packed FROM deliveries d
             LEFT JOIN payloads p ON p.delivery = d.id WHERE d.message = ?1 ORDER BY d.id",
        )?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            if self.says(kept_why(row, 0)?) || self.says(kept_why(row, 1)?) {
                return Ok(Some(Place::Reason));
            }
            let Some(bytes) = row.get::<_, Option<Vec<u8>>>(3)? else { continue };
            let packed = Packed { dictionary: row.get(2)?, bytes };
            match unpacker.unpack::<PayloadRow>(connection, &packed) {
                Ok(payload) => {
                    if let Some(place) = self.in_payload(&payload) {
                        return Ok(Some(place));
                    }
                }
                Err(_) => self.is_unread(),
            }
        }
        Ok(None)
    }

    /// Where the moment before ended in this message, if it did.
    fn goes_on(&self) -> Option<Within> {
        self.look.within.filter(|within| within.message == self.message)
    }

    /// Counted once, however many moments its message takes.
    fn is_unread(&mut self) {
        self.seen.unread += u64::from(self.goes_on().is_none());
    }

    fn in_payload(&mut self, payload: &PayloadRow) -> Option<Place> {
        if payload.body.as_ref().is_some_and(|body| self.holds(body)) {
            return Some(Place::Sent);
        }
        let answers = payload.response.iter().chain(payload.late.iter().map(|(_, response)| response));
        let mut answers = answers.filter_map(|response| response.body.as_ref());
        answers.any(|body| self.fits(body)).then_some(Place::Answered)
    }

    fn says(&self, why: Option<Why>) -> bool {
        why.is_some_and(|why| self.fits(why.as_bytes()))
    }

    /// Nothing is looked at behind the place where the moment ended.
    fn fits(&self, bytes: &[u8]) -> bool {
        self.stopped.is_none() && (self.look.fits)(bytes)
    }

    fn holds(&mut self, body: &Body) -> bool {
        match body {
            Body::Here(bytes) => self.fits(bytes),
            Body::Apart(_) | Body::Pieced(_) if self.stopped.is_none() => self.is_in_long(body),
            Body::Apart(_) | Body::Pieced(_) => false,
        }
    }

    /// Looks into a long body from where the moment before ended, until this one does.
    fn is_in_long(&mut self, body: &Body) -> bool {
        let number = self.bodies;
        self.bodies += 1;
        let mut at = match self.goes_on() {
            Some(within) if number < within.bodies => return false,
            Some(within) if number == within.bodies => within.bytes,
            _ => 0,
        };
        loop {
            let Ok((bytes, next)) = self.large.stretch(body, at) else {
                self.seen.unread += 1;
                return false;
            };
            if self.fits(&bytes) {
                return true;
            }
            let Some(next) = next else { return false };
            at = next;
            if Instant::now() >= self.ends {
                self.stopped = Some(Within { message: self.message, bodies: number, bytes: at });
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_rests_as_long_as_it_worked_and_four_times_as_long_while_many_messages_come() {
        let worked = Duration::from_millis(50);
        assert_eq!(
            (rest(worked, 0.0), rest(worked, MANY), rest(worked, MANY * 2.0)),
            (worked, worked, worked * 4)
        );
        let mut last = Last::default();
        assert!(last.came(1_000_000) < MANY, "of what came before the first nothing is known");
        assert!(last.came(2_000_000) > MANY);
        assert!(last.came(2_000_000) < MANY);
    }
}
