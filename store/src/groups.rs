//! Groups: members join them in the write that queues them, runs are told in the write that keeps them.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use engine::{
    Ages, Gathered, Gathering, Gatherings, Hash, Joins, Member, Membership, MessageId, OpenGroups, Ripe,
    StoreError,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Sqlite,
    codes::{nanoseconds, time, written},
    failure::Failure,
    filer::Filer,
    ledger::Ledger,
    rows::{Entry, MessageRow},
    tables::{Tables, first},
};

/// Of a member the first runs are named, of a run the first members.
const NAMED: i64 = 100;

/// Writes down what a member brings, in the write that queues it.
pub(crate) fn join(ledger: &mut Ledger, row: &MessageRow, joins: Option<&Joins>) -> Result<(), Failure> {
    let Some(joins) = joins else { return Ok(()) };
    ledger.note(Entry::Joined {
        channel: Arc::clone(&row.channel),
        mark: joins.mark().0,
        key: joins.key.clone(),
        message: row.id,
        name: row.control_id.as_ref().map(|name| format!("{}|{name}", row.sender)),
        received: row.received,
        expected: joins.expected,
        instead: row.predecessors.clone(),
        brings: joins.brings.clone(),
    })
}

/// Writes down which members a run has, in the write that keeps it.
pub(crate) fn gathers(
    ledger: &mut Ledger,
    row: &MessageRow,
    gathered: Option<Gathered>,
) -> Result<(), Failure> {
    let Some(Gathered { mark, through }) = gathered else { return Ok(()) };
    let (channel, received) = (Arc::clone(&row.channel), row.received);
    ledger.note(Entry::Gathered { channel, mark: mark.0, message: row.id, through, received })
}

/// A member as it is written down.
pub(crate) struct Joined<'a> {
    pub(crate) channel: &'a str,
    pub(crate) mark: &'a [u8; 32],
    pub(crate) key: &'a str,
    pub(crate) message: u64,
    pub(crate) name: Option<&'a str>,
    pub(crate) received: i64,
    pub(crate) expected: Option<u64>,
    /// Messages that it stands for.
    pub(crate) instead: &'a [u64],
    pub(crate) brings: &'a str,
}

pub(crate) fn put_joined(register: &Tables, joined: &Joined<'_>) -> rusqlite::Result<usize> {
    let Joined { channel, mark, key, message, name, received, expected, instead, brings } = joined;
    for earlier in *instead {
        register.run("DELETE FROM members WHERE message = ?1", [*earlier as i64])?;
    }
    if let Some(name) = name {
        register.run(
            "DELETE FROM members WHERE channel = ?1 AND mark = ?2 AND name = ?3",
            (channel, mark, name),
        )?;
    }
    register.run(
        "INSERT INTO members (channel, mark, message, name, received, brings) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (channel, mark, *message as i64, name, received, brings),
    )?;
    register.run(
        "INSERT INTO groups (channel, mark, key, expected, through, runs, gone, first, last)
         VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5, ?5)
         ON CONFLICT DO UPDATE SET key = ?3, expected = coalesce(?4, expected),
            first = min(coalesce(first, ?5), ?5), last = max(last, ?5)",
        (channel, mark, key, expected.map(|expected| expected as i64), received),
    )
}

pub(crate) fn put_gathered(
    register: &Tables,
    (channel, mark): (&str, &[u8; 32]),
    (message, through, received): (u64, u64, i64),
) -> rusqlite::Result<usize> {
    register.run(
        "UPDATE groups SET through = ?3, runs = runs + 1,
            first = (SELECT min(received) FROM members WHERE channel = ?1 AND mark = ?2 AND place > ?3)
         WHERE channel = ?1 AND mark = ?2",
        (channel, mark, through as i64),
    )?;
    register.run(
        "INSERT OR REPLACE INTO runs (message, channel, mark, number, through, received)
         SELECT ?3, channel, mark, runs, ?4, ?5 FROM groups WHERE channel = ?1 AND mark = ?2",
        (channel, mark, message as i64, through as i64, received),
    )
}

/// Those that may run: quiet, waiting for too long, or with as many members as were announced.
const RIPE: &str = "SELECT mark, key, runs, gone FROM groups
    WHERE channel = ?1 AND first IS NOT NULL AND (last <= ?2 OR first <= ?3
        OR (expected IS NOT NULL AND expected <= (SELECT count(*) FROM members m
            WHERE m.channel = groups.channel AND m.mark = groups.mark)))
    ORDER BY first LIMIT ?4";

fn gatherings(
    connection: &Connection,
    channel: &str,
    ripe: Ripe,
    limit: usize,
) -> rusqlite::Result<Gatherings> {
    let before = (nanoseconds(ripe.last), ripe.first.map_or(i64::MIN, nanoseconds));
    let mut statement = connection.prepare_cached(RIPE)?;
    let found = statement.query_map((channel, before.0, before.1, limit as i64), |row| {
        Ok(Gathering {
            mark: Hash(row.get(0)?),
            key: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            runs: row.get::<_, i64>(2)? as u64,
            gone: row.get::<_, i64>(3)? as u64,
        })
    })?;
    let ripe = found.collect::<rusqlite::Result<_>>()?;
    let sql =
        "SELECT min(last), min(first) FROM groups WHERE channel = ?1 AND first IS NOT NULL AND last > ?2";
    let next = first(connection, sql, (channel, before.0), |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    let (last, first) = next.unwrap_or_default();
    Ok(Gatherings { ripe, last: last.map(time), first: first.map(time) })
}

fn members(
    connection: &Connection,
    (channel, mark): (&str, [u8; 32]),
    (after, limit): (u64, usize),
) -> rusqlite::Result<Vec<Member>> {
    let mut statement = connection.prepare_cached(
        "SELECT place, message, received, brings FROM members
         WHERE channel = ?1 AND mark = ?2 AND place > ?3 ORDER BY place LIMIT ?4",
    )?;
    let found = statement.query_map((channel, mark, after as i64, limit as i64), |row| {
        Ok(Member {
            place: row.get::<_, i64>(0)? as u64,
            message: MessageId(row.get::<_, i64>(1)? as u64),
            received: written(row.get(2)?),
            brings: row.get(3)?,
        })
    })?;
    found.collect()
}

/// What a message has to do with a group.
pub(crate) fn membership(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Membership>> {
    let id = id.0 as i64;
    let of = |sql: &str| {
        connection
            .query_row(sql, [id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()
    };
    let member = of("SELECT channel, mark, place, NULL FROM members WHERE message = ?1")?;
    let run = of("SELECT channel, mark, through, number FROM runs WHERE message = ?1")?;
    let Some((channel, mark, place, number)): Option<(String, [u8; 32], i64, Option<i64>)> = member.or(run)
    else {
        return Ok(None);
    };
    let sql = match number {
        None => {
            "SELECT message FROM runs WHERE channel = ?1 AND mark = ?2 AND through >= ?3 ORDER BY number LIMIT ?4"
        }
        Some(_) => {
            "SELECT message FROM members WHERE channel = ?1 AND mark = ?2 AND place <= ?3 ORDER BY place LIMIT ?4"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    let messages = statement
        .query_map((&channel, mark, place, NAMED), |row| Ok(MessageId(row.get::<_, i64>(0)? as u64)))?;
    let messages = messages.collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT key, (SELECT count(*) FROM members m WHERE m.channel = g.channel AND m.mark = g.mark),
            (SELECT count(*) FROM members m WHERE m.channel = g.channel AND m.mark = g.mark AND m.place > g.through)
        FROM groups g WHERE channel = ?1 AND mark = ?2";
    let group = first(connection, sql, params![channel, mark], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let (key, members, waiting) = group.unwrap_or_default();
    Ok(Some(Membership {
        key: key.unwrap_or_default(),
        run: number.map(|number| number as u64),
        members: members as u64,
        waiting: waiting as u64,
        messages,
    }))
}

fn open_groups(connection: &Connection) -> rusqlite::Result<BTreeMap<String, OpenGroups>> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, count(*), min(first), sum((SELECT count(*) FROM members m
            WHERE m.channel = g.channel AND m.mark = g.mark AND m.place > g.through))
         FROM groups g WHERE first IS NOT NULL GROUP BY channel",
    )?;
    let found = statement.query_map([], |row| {
        let open = OpenGroups {
            groups: row.get::<_, i64>(1)? as u64,
            oldest: row.get::<_, Option<i64>>(2)?.map(time),
            members: row.get::<_, i64>(3)? as u64,
        };
        Ok((row.get(0)?, open))
    })?;
    found.collect()
}

/// When the oldest member of any group came that waits: nothing of that age or younger is forgotten.
pub(crate) fn oldest_open(connection: &Connection, channel: &str) -> rusqlite::Result<Option<i64>> {
    let sql =
        "SELECT min(m.received) FROM groups g JOIN members m ON m.channel = g.channel AND m.mark = g.mark
        WHERE g.channel = ?1 AND g.first IS NOT NULL";
    Ok(first(connection, sql, [channel], |row| row.get::<_, Option<i64>>(0))?.flatten())
}

impl Sqlite {
    pub(crate) async fn ripe_groups(
        &self,
        channel: &str,
        ripe: Ripe,
        limit: usize,
    ) -> Result<Gatherings, StoreError> {
        let channel = channel.to_owned();
        self.register(move |connection| Ok(gatherings(connection, &channel, ripe, limit)?)).await
    }

    pub(crate) async fn members_of(
        &self,
        (channel, mark): (&str, Hash),
        page: (u64, usize),
    ) -> Result<Vec<Member>, StoreError> {
        let channel = channel.to_owned();
        self.register(move |connection| Ok(members(connection, (&channel, mark.0), page)?)).await
    }

    /// When the oldest member of any group came that waits.
    pub(crate) async fn oldest_open(&self, channel: &str) -> Result<Option<i64>, StoreError> {
        let channel = channel.to_owned();
        self.register(move |connection| Ok(oldest_open(connection, &channel)?)).await
    }

    /// The groups that wait for quiet, by channel.
    pub async fn open_groups(&self) -> Result<BTreeMap<String, OpenGroups>, StoreError> {
        self.writer.filed().await;
        self.register(|connection| Ok(open_groups(connection)?)).await
    }

    /// What a message has to do with a group, if anything.
    pub async fn membership(&self, id: MessageId) -> Result<Option<Membership>, StoreError> {
        self.writer.filed().await;
        self.register(move |connection| Ok(membership(connection, id)?)).await
    }

    /// Forgets members that are as old as content that is no longer kept, and later that there was a group. Of a group that
    /// waits for quiet nothing is forgotten.
    pub async fn forget_groups(&self, channels: &BTreeMap<String, Ages>) -> Result<(), StoreError> {
        let now = SystemTime::now();
        let ago = move |age| now.checked_sub(age).map_or(i64::MIN, nanoseconds);
        let limits: Vec<(String, i64, i64)> = channels
            .iter()
            .map(|(channel, ages)| (channel.clone(), ago(ages.content), ago(ages.content.max(ages.metadata))))
            .collect();
        self.writer.filed().await;
        self.writer.with_files(move |filer| Ok(forget(filer, &limits)?)).await
    }
}

/// Which members of which groups may go.
const OLD: &str = "channel = ?1 AND received < ?2 AND EXISTS (SELECT 1 FROM groups g
    WHERE g.channel = members.channel AND g.mark = members.mark AND g.first IS NULL)";

fn forget(filer: &mut Filer, limits: &[(String, i64, i64)]) -> rusqlite::Result<()> {
    filer.register.commit(|register| {
        for (channel, content, metadata) in limits {
            register.run(
                "UPDATE groups SET gone = gone + (SELECT count(*) FROM members m WHERE m.channel = groups.channel
                    AND m.mark = groups.mark AND m.received < ?2)
                 WHERE channel = ?1 AND first IS NULL",
                (channel, content),
            )?;
            register.run(&format!("DELETE FROM members WHERE {OLD}"), (channel, content))?;
            register.run(
                "UPDATE groups SET key = NULL WHERE channel = ?1 AND first IS NULL AND key IS NOT NULL AND NOT EXISTS
                    (SELECT 1 FROM members m WHERE m.channel = groups.channel AND m.mark = groups.mark)",
                [channel],
            )?;
            register.run("DELETE FROM groups WHERE channel = ?1 AND first IS NULL AND last < ?2", (channel, metadata))?;
            register.run("DELETE FROM runs WHERE channel = ?1 AND received < ?2", (channel, metadata))?;
        }
        Ok(())
    })
}
