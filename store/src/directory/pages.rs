//! One page: what of it is new, by the one comparison that decides it, and the changes that follow.
//!
//! Each resource keeps the greatest it was seen with, so that pages may come twice and in any order.

use engine::{Changed, Page, Presence, Removed, Seen, Tenure, Written};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Fault,
    resources::{self, Current, Fresh},
};

/// The pass of those that stand outside of what is asked for.
pub(super) const OUTSIDE: i64 = -1;

/// What a sync knows of a resource.
struct Known {
    resource: i64,
    rank: (i64, i64, i64),
    hash: Vec<u8>,
    state: Presence,
    version: i64,
    pass: i64,
}

/// One page on its way into the tables.
pub(super) struct Entry<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tenure: &'a Tenure,
    /// The time of the versions that it makes.
    pub(super) instant: i64,
    pub(super) written: Written,
}

impl Entry<'_> {
    pub(super) fn page(mut self, page: &Page) -> Result<Written, Fault> {
        let mut resources = self.resources()?;
        for seen in &page.seen {
            resources += self.see(seen, page.pass, page.early)?;
        }
        for seen in &page.outside {
            resources += self.see(seen, Some(OUTSIDE), None)?;
        }
        if let Some(pass) = page.pass {
            for id in &page.present {
                self.met(id, pass)?;
            }
        }
        for removed in &page.removed {
            resources -= self.remove(removed)?;
        }
        let sql = "UPDATE syncs SET note = ?2, resources = ?3 WHERE sync = ?1";
        let note = page.note.to_string();
        self.connection.prepare_cached(sql)?.execute(params![self.tenure.sync, note, resources])?;
        self.written.resources = resources;
        Ok(self.written)
    }

    fn resources(&self) -> rusqlite::Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT resources FROM syncs WHERE sync = ?1")?;
        statement.query_row([self.tenure.sync], |row| row.get(0))
    }

    /// Takes one version; returns 1 where the resource was not there.
    fn see(&mut self, seen: &Seen, pass: Option<i64>, early: Option<i64>) -> Result<i64, Fault> {
        let known = self.known(&seen.id)?;
        let before = known.as_ref().map(|known| known.pass).filter(|pass| *pass != OUTSIDE);
        let pass = pass.or(before).unwrap_or(0);
        let is_greater = known
            .as_ref()
            .is_none_or(|known| (seen.rank, seen.hash.0.as_slice()) > (known.rank, known.hash.as_slice()));
        if let Some(known) = known.as_ref().filter(|_| !is_greater) {
            if known.pass != pass {
                let sql = "UPDATE seen SET pass = ?3 WHERE sync = ?1 AND resource = ?2";
                self.connection.prepare_cached(sql)?.execute(params![
                    self.tenure.sync,
                    known.resource,
                    pass
                ])?;
            }
            return Ok(0);
        }
        let state = if seen.is_active { Presence::Active } else { Presence::Inactive };
        let there = known.as_ref().filter(|known| known.state != Presence::Removed);
        let is_same = there.is_some_and(|known| known.hash == seen.hash.0);
        let (resource, version) = if let Some(known) = known.as_ref().filter(|_| is_same) {
            (known.resource, known.version)
        } else {
            let fresh = Fresh {
                kind: &self.tenure.resource,
                id: &seen.id,
                state,
                hash: &seen.hash.0,
                body: &seen.body,
            };
            let made = self.version(&fresh)?;
            let what = match there {
                None => Changed::Created,
                Some(known) if known.state == Presence::Active && !seen.is_active => Changed::Deactivated,
                Some(_) => Changed::Updated,
            };
            self.change(made, what, known.as_ref().map_or(0, |known| known.version))?;
            self.written.late += i64::from(early.is_some_and(|early| seen.rank.1 < early));
            made
        };
        let kept = Known { resource, rank: seen.rank, hash: seen.hash.0.to_vec(), state, version, pass };
        self.keep(&kept)?;
        Ok(i64::from(there.is_none()))
    }

    /// Notes that a whole pass has met one, whatever it holds now: nobody looks for it as one that may be gone.
    fn met(&self, id: &str, pass: i64) -> Result<(), Fault> {
        let sql = "UPDATE seen SET pass = ?3 WHERE sync = ?1 \
                   AND resource = (SELECT resource FROM resources WHERE kind = ?2 AND id = ?4)";
        let values = params![self.tenure.sync, self.tenure.resource, pass, id];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Takes one away; returns 1 where it was there.
    fn remove(&mut self, removed: &Removed) -> Result<i64, Fault> {
        let known = self.known(&removed.id)?.filter(|known| known.state != Presence::Removed);
        let Some(known) = known else { return Ok(0) };
        let made = if self.is_elsewhere(known.resource)? {
            (known.resource, known.version)
        } else {
            self.last_version(&known, removed)?
        };
        let what = if removed.instead.is_some() { Changed::Deactivated } else { Changed::Removed };
        self.change(made, what, known.version)?;
        let rank = (removed.attempt.max(known.rank.0), known.rank.1, known.rank.2);
        let hash = removed.instead.as_ref().map_or(known.hash, |(hash, _)| hash.0.to_vec());
        self.keep(&Known { rank, hash, state: Presence::Removed, version: made.1, ..known })?;
        Ok(1)
    }

    fn last_version(&self, known: &Known, removed: &Removed) -> Result<(i64, i64), Fault> {
        let (kind, id) = (self.tenure.resource.as_str(), removed.id.as_str());
        if let Some((hash, body)) = &removed.instead {
            return self.version(&Fresh { kind, id, state: Presence::Inactive, hash: &hash.0, body });
        }
        let body = resources::body(self.connection, known.resource, known.version)?.unwrap_or_default();
        // The content stays what it was; that it is gone is its state.
        self.version(&Fresh { kind, id, state: Presence::Removed, hash: &[0; 32], body: &body })
    }

    /// Whether another sync has it too.
    fn is_elsewhere(&self, resource: i64) -> rusqlite::Result<bool> {
        let sql =
            "SELECT 1 FROM syncs JOIN seen USING (sync) WHERE resource = ?1 AND sync != ?2 AND state != 2";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.exists((resource, self.tenure.sync))
    }

    /// Writes a version, unless another sync has brought the very same.
    fn version(&self, fresh: &Fresh<'_>) -> Result<(i64, i64), Fault> {
        let current = resources::current(self.connection, fresh.kind, fresh.id)?;
        let is_same = |current: &&Current| current.state == fresh.state && current.hash == *fresh.hash;
        match current.as_ref().filter(is_same) {
            Some(current) => Ok((current.resource, current.version)),
            None => resources::write(self.connection, fresh, current.as_ref(), self.instant),
        }
    }

    fn change(&mut self, (resource, version): (i64, i64), what: Changed, previous: i64) -> Result<(), Fault> {
        let sql = "INSERT INTO changes (sync, resource, version, what, previous) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![self.tenure.sync, resource, version, what as i64, previous];
        self.connection.prepare_cached(sql)?.execute(values)?;
        match what {
            Changed::Created => self.written.created += 1,
            Changed::Updated => self.written.updated += 1,
            Changed::Deactivated => self.written.deactivated += 1,
            Changed::Removed => self.written.removed += 1,
        }
        Ok(())
    }

    fn keep(&self, known: &Known) -> Result<(), Fault> {
        let sql = "INSERT OR REPLACE INTO seen VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (attempt, changed, number) = known.rank;
        self.connection.prepare_cached(sql)?.execute(params![
            self.tenure.sync,
            known.resource,
            attempt,
            changed,
            number,
            known.hash,
            resources::number(known.state),
            known.version,
            known.pass
        ])?;
        Ok(())
    }

    fn known(&self, id: &str) -> rusqlite::Result<Option<Known>> {
        let sql = "SELECT resource, attempt, changed, number, seen.hash, seen.state, seen.version, pass FROM resources \
                   JOIN seen USING (resource) WHERE kind = ?1 AND id = ?2 AND sync = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Known {
                resource: row.get(0)?,
                rank: (row.get(1)?, row.get(2)?, row.get(3)?),
                hash: row.get(4)?,
                state: resources::presence(row.get(5)?),
                version: row.get(6)?,
                pass: row.get(7)?,
            })
        };
        statement.query_row((&self.tenure.resource, id, self.tenure.sync), read).optional()
    }
}
