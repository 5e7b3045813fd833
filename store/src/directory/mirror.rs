//! What syncs write, and what they are wished to do.

use bytes::Bytes;
use engine::{
    Change, Changed, Hash, Mirror, Missed, Page, Presence, StoreError, SyncName, SyncRow, Tenure, Wish,
    Wished, Written,
};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::{
    Directory, Fault,
    pages::{Entry, OUTSIDE},
    resources::{self, Current, Fresh},
};

impl Mirror for Directory {
    fn take_over(&self, name: &SyncName) -> Result<Tenure, StoreError> {
        self.commit(|connection| {
            let sql = "INSERT INTO syncs (channel, kind) VALUES (?1, ?2) \
                       ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING sync, epoch, note";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
            let (sync, epoch, note) = connection.query_row(sql, (&name.channel, &name.resource), read)?;
            let note = serde_json::from_str(&note).unwrap_or_default();
            Ok(Tenure { sync, epoch, resource: name.resource.clone(), note })
        })
    }

    fn syncs(&self) -> Result<Vec<SyncRow>, StoreError> {
        let said = self.said().clone();
        self.look(|connection| {
            let sql = "SELECT sync, channel, kind, note, resources, stopped, now, whole, \
                       (SELECT count(*) FROM changes c WHERE c.sync = s.sync) FROM syncs s ORDER BY channel, sync";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let sync = row.get(0)?;
                Ok(SyncRow {
                    sync,
                    says: said.get(&sync).cloned(),
                    name: SyncName { channel: row.get(1)?, resource: row.get(2)? },
                    note: serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default(),
                    resources: row.get(4)?,
                    wished: Wished { is_stopped: row.get(5)?, now: row.get(6)?, full: row.get(7)? },
                    waiting: row.get(8)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn wish(&self, sync: i64, wish: Wish) -> Result<(), StoreError> {
        let sql = match wish {
            Wish::Stop => "UPDATE syncs SET stopped = 1, now = 0, whole = 0 WHERE sync = ?1",
            Wish::Start => "UPDATE syncs SET stopped = 0, now = 1 WHERE sync = ?1",
            Wish::Full => "UPDATE syncs SET stopped = 0, now = 1, whole = 1 WHERE sync = ?1",
            Wish::Begun => "UPDATE syncs SET now = 0 WHERE sync = ?1",
            Wish::BegunFull => "UPDATE syncs SET now = 0, whole = 0 WHERE sync = ?1",
        };
        self.commit(|connection| Ok(connection.execute(sql, [sync])?))?;
        if !matches!(wish, Wish::Begun | Wish::BegunFull) {
            self.wishes.send_modify(|told| *told += 1);
        }
        Ok(())
    }

    fn wishes(&self) -> watch::Receiver<i64> {
        self.wishes.subscribe()
    }

    fn say(&self, sync: i64, why: Option<String>) {
        let mut said = self.said();
        match why {
            Some(why) => said.insert(sync, why),
            None => said.remove(&sync),
        };
    }

    fn wished(&self, sync: i64) -> Result<Wished, StoreError> {
        self.look(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT stopped, now, whole FROM syncs WHERE sync = ?1")?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Wished { is_stopped: row.get(0)?, now: row.get(1)?, full: row.get(2)? })
            };
            Ok(statement.query_row([sync], read).optional()?.unwrap_or_default())
        })
    }

    fn write(&self, tenure: &Tenure, page: &Page) -> Result<Written, StoreError> {
        self.commit(|connection| {
            require(connection, tenure)?;
            let entry = Entry { connection, tenure, instant: self.instant(), written: Written::default() };
            entry.page(page)
        })
    }

    fn unseen(&self, tenure: &Tenure, missed: &Missed) -> Result<(i64, Vec<String>), StoreError> {
        self.look(|connection| {
            let meant = "FROM seen JOIN resources r USING (resource) \
                         WHERE seen.sync = ?1 AND seen.state != 2 AND pass NOT IN (?2, ?3) AND attempt < ?4";
            let spared = if missed.also_outside { missed.pass } else { OUTSIDE };
            let bounds = (tenure.sync, missed.pass, spared, missed.before_attempt);
            let count =
                connection.query_row(&format!("SELECT count(*) {meant}"), bounds, |row| row.get(0))?;
            let sql = format!("SELECT r.id {meant} AND r.id > ?5 ORDER BY r.id LIMIT ?6");
            let mut statement = connection.prepare_cached(&sql)?;
            let after = missed.after.as_deref().unwrap_or_default();
            let values = params![bounds.0, bounds.1, bounds.2, bounds.3, after, missed.limit as i64];
            let ids = statement.query_map(values, |row| row.get(0))?;
            Ok((count, ids.collect::<rusqlite::Result<_>>()?))
        })
    }

    fn known(&self, tenure: &Tenure, id: &str) -> Result<Option<Bytes>, StoreError> {
        self.look(|connection| {
            let sql = "SELECT resource, seen.version FROM resources JOIN seen USING (resource) \
                       WHERE kind = ?1 AND id = ?2 AND sync = ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let found: Option<(i64, i64)> =
                statement.query_row((&tenure.resource, id, tenure.sync), read).optional()?;
            let Some((resource, version)) = found else { return Ok(None) };
            resources::body(connection, resource, version)
        })
    }

    fn changes(&self, tenure: &Tenure, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.look(|connection| changes(connection, tenure.sync, limit))
    }

    fn left(&self, tenure: &Tenure, through: i64) -> Result<(), StoreError> {
        self.commit(|connection| {
            require(connection, tenure)?;
            let sql = "DELETE FROM changes WHERE sync = ?1 AND change <= ?2";
            connection.prepare_cached(sql)?.execute((tenure.sync, through))?;
            Ok(())
        })
    }

    fn put(&self, kind: &str, id: &str, body: &Bytes) -> Result<i64, StoreError> {
        self.commit(|connection| {
            let hash = Hash::of(&[body]);
            let current = resources::current(connection, kind, id)?;
            let is_same = |current: &&Current| current.state != Presence::Removed && current.hash == hash.0;
            if let Some(current) = current.as_ref().filter(is_same) {
                return Ok(current.version);
            }
            let fresh = Fresh { kind, id, state: Presence::Active, hash: &hash.0, body };
            Ok(resources::write(connection, &fresh, current.as_ref(), self.instant())?.1)
        })
    }

    fn forget(&self, sync: i64) -> Result<(), StoreError> {
        self.commit(|connection| {
            for sql in [
                "CREATE TEMP TABLE leaving AS SELECT resource FROM seen WHERE sync = ?1 \
                 AND resource NOT IN (SELECT resource FROM seen WHERE sync != ?1)",
                "DELETE FROM changes WHERE sync = ?1",
                "DELETE FROM seen WHERE sync = ?1",
                "DELETE FROM syncs WHERE sync = ?1",
            ] {
                connection.execute(sql, [sync])?;
            }
            connection.execute_batch(
                "DELETE FROM terms WHERE resource IN leaving; DELETE FROM versions WHERE resource IN leaving; \
                 DELETE FROM resources WHERE resource IN leaving; DROP TABLE leaving;",
            )?;
            Ok(())
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Whoever was relieved writes no more.
fn require(connection: &Connection, tenure: &Tenure) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT epoch FROM syncs WHERE sync = ?1")?;
    let epoch: Option<i64> = statement.query_row([tenure.sync], |row| row.get(0)).optional()?;
    if epoch == Some(tenure.epoch) {
        return Ok(());
    }
    Err(Fault::Refused("another run has taken this sync over".to_owned()))
}

fn changes(connection: &Connection, sync: i64, limit: usize) -> Result<Vec<Change>, Fault> {
    let sql = "SELECT change, r.id, c.version, what, previous, c.resource, \
               coalesce((SELECT v.updated FROM versions v WHERE v.resource = c.resource AND v.version = c.version), r.updated) \
               FROM changes c JOIN resources r USING (resource) WHERE sync = ?1 ORDER BY change LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((sync, limit as i64))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (version, previous, resource): (i64, i64, i64) = (row.get(2)?, row.get(4)?, row.get(5)?);
        let body = resources::body(connection, resource, version)?;
        let body =
            body.ok_or_else(|| Fault::Refused(format!("version {version} of a resource is missing")))?;
        let previous = if previous == 0 { None } else { resources::body(connection, resource, previous)? };
        let what = Changed::ALL[row.get::<_, i64>(3)?.clamp(0, 3) as usize];
        found.push(Change {
            number: row.get(0)?,
            id: row.get(1)?,
            version,
            what,
            updated: row.get(6)?,
            body,
            previous,
        });
    }
    Ok(found)
}
