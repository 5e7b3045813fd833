//! Questions and answers: put together by their keys, found when they are overdue, and forgotten.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use engine::{Expected, MessageId, Overdue, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::{
    Sqlite,
    codes::{nanoseconds, written},
    failure::Failure,
    filer::Filer,
    ledger::Ledger,
    people::audit,
    rows::{Entry, MessageRow},
    tables::Tables,
};

/// How long what nobody expects any more is kept: the channel may come back.
const LEFT: Duration = Duration::from_hours(24 * 90);

/// Writes down what a message asks and answers, in the write that queues it.
pub(crate) fn note(ledger: &mut Ledger, row: &MessageRow, expected: &[Expected]) -> Result<(), Failure> {
    for one in expected {
        ledger.note(match one {
            Expected::Asked { key, within } => Entry::Asked {
                channel: Arc::clone(&row.channel),
                key: key.clone(),
                message: row.id,
                at: row.received,
                within: i64::try_from(within.as_nanos()).unwrap_or(i64::MAX),
            },
            Expected::Answered { of, key } => {
                Entry::Answered { channel: Arc::clone(of), key: key.clone(), at: row.received }
            }
        })?;
    }
    Ok(())
}

/// A person says that a question needs no answer any more.
pub(crate) fn excuse(ledger: &mut Ledger, channel: &str, key: &str, by: &str) -> Result<(), Failure> {
    let at = nanoseconds(SystemTime::now());
    ledger.note(Entry::Answered { channel: Arc::from(channel), key: key.to_owned(), at })?;
    // The key may be a patient's: the log says which channel, and who.
    audit(ledger, by, "settle", format!("an answer that {channel} expected"))
}

/// An open question stands as it was asked first. One that was answered already is answered, unless that is long ago.
const ASKED: &str = "INSERT INTO expected (channel, key, message, asked, due) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET message = ?3, asked = ?4, due = ?5,
        answered = CASE WHEN answered >= ?4 - ?6 THEN answered END
    WHERE asked IS NULL OR answered IS NOT NULL";

const ANSWERED: &str = "INSERT INTO expected (channel, key, answered) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET answered = ?3";

pub(crate) fn put_asked(
    register: &Tables,
    (channel, key): (&str, &str),
    (message, at, within): (u64, i64, i64),
) -> rusqlite::Result<usize> {
    register.run(ASKED, (channel, key, message as i64, at, at.saturating_add(within), within))
}

pub(crate) fn put_answered(
    register: &Tables,
    (channel, key): (&str, &str),
    at: i64,
) -> rusqlite::Result<usize> {
    register.run(ANSWERED, (channel, key, at))
}

fn overdue(
    connection: &Connection,
    channel: Option<&str>,
    (after, until): (i64, i64),
    limit: usize,
) -> rusqlite::Result<Vec<Overdue>> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, key, message, asked, due FROM expected
         WHERE answered IS NULL AND due > ?1 AND due <= ?2 AND (?3 IS NULL OR channel = ?3) ORDER BY due LIMIT ?4",
    )?;
    let found = statement.query_map((after, until, channel, limit as i64), question)?;
    found.collect()
}

fn question(row: &Row<'_>) -> rusqlite::Result<Overdue> {
    Ok(Overdue {
        channel: row.get(0)?,
        key: row.get(1)?,
        message: MessageId(row.get::<_, i64>(2)? as u64),
        asked: written(row.get(3)?),
        due: written(row.get(4)?),
    })
}

fn open(connection: &Connection, channel: &str, keys: [&str; 2]) -> rusqlite::Result<Option<Overdue>> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, key, message, asked, due FROM expected
         WHERE channel = ?1 AND key IN (?2, ?3) AND asked IS NOT NULL AND answered IS NULL ORDER BY due LIMIT 1",
    )?;
    statement.query_row((channel, keys[0], keys[1]), question).optional()
}

fn counted(connection: &Connection, now: i64) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, count(*) FROM expected WHERE answered IS NULL AND due <= ?1 GROUP BY channel",
    )?;
    let found = statement.query_map([now], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    found.collect()
}

impl Sqlite {
    /// The questions of a channel, or of all, that became due within these times and were not answered, oldest first.
    pub(crate) async fn due(
        &self,
        channel: Option<&str>,
        (after, until): (SystemTime, SystemTime),
        limit: usize,
    ) -> Result<Vec<Overdue>, StoreError> {
        let (channel, between) = (channel.map(str::to_owned), (nanoseconds(after), nanoseconds(until)));
        self.register(move |connection| Ok(overdue(connection, channel.as_deref(), between, limit)?)).await
    }

    pub(crate) async fn open_question(
        &self,
        channel: &str,
        keys: [&str; 2],
    ) -> Result<Option<Overdue>, StoreError> {
        let (channel, keys) = (channel.to_owned(), keys.map(str::to_owned));
        self.register(move |connection| Ok(open(connection, &channel, [&keys[0], &keys[1]])?)).await
    }

    pub(crate) async fn count_due(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let now = nanoseconds(SystemTime::now());
        self.register(move |connection| Ok(counted(connection, now)?)).await
    }

    /// Forgets answers that came before any question that they could still answer, and questions that are too old, by
    /// channel: how long it waits for answers, and how long it keeps errors.
    pub async fn forget_expected(
        &self,
        channels: &BTreeMap<String, (Duration, Duration)>,
    ) -> Result<(), StoreError> {
        let now = SystemTime::now();
        let ago = move |age: Duration| now.checked_sub(age).map_or(i64::MIN, nanoseconds);
        let limits: Vec<(String, i64, i64)> = channels
            .iter()
            .map(|(channel, (within, errors))| (channel.clone(), ago(*within), ago(*errors)))
            .collect();
        self.writer.filed().await;
        self.writer.with_files(move |filer| Ok(forget(filer, &limits, ago(LEFT))?)).await
    }
}

fn forget(filer: &mut Filer, limits: &[(String, i64, i64)], left: i64) -> rusqlite::Result<()> {
    filer.register.commit(|register| {
        for (channel, answered, due) in limits {
            register.run(
                "DELETE FROM expected WHERE channel = ?1 AND (answered < ?2 OR (answered IS NULL AND due < ?3))",
                (channel, answered, due),
            )?;
        }
        register.run("DELETE FROM expected WHERE coalesce(answered, due) < ?1", [left]).map(drop)
    })
}
