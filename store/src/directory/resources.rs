//! One resource with its versions: how a new one is written.

use bytes::Bytes;
use engine::{Presence, Resource};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Fault,
    packing::{self, unpack},
    terms,
};

/// The current version of a resource, as its row has it.
pub(super) struct Current {
    pub(super) resource: i64,
    pub(super) version: i64,
    pub(super) state: Presence,
    pub(super) hash: Vec<u8>,
}

/// What a version is to hold.
pub(super) struct Fresh<'a> {
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) state: Presence,
    pub(super) hash: &'a [u8; 32],
    pub(super) body: &'a [u8],
}

pub(super) fn current(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Current>> {
    let sql = "SELECT resource, version, state, hash FROM resources WHERE kind = ?1 AND id = ?2";
    connection
        .prepare_cached(sql)?
        .query_row((kind, id), |row| {
            Ok(Current {
                resource: row.get(0)?,
                version: row.get(1)?,
                state: presence(row.get(2)?),
                hash: row.get(3)?,
            })
        })
        .optional()
}

/// Writes another version; returns its resource and its number.
pub(super) fn write(
    connection: &Connection,
    fresh: &Fresh<'_>,
    before: Option<&Current>,
    updated: i64,
) -> Result<(i64, i64), Fault> {
    let packed = packing::pack(fresh.body)?;
    let state = number(fresh.state);
    let Some(before) = before else {
        let sql = "INSERT INTO resources (kind, id, version, updated, state, hash, body) VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)";
        let values = params![fresh.kind, fresh.id, updated, state, fresh.hash, packed];
        connection.prepare_cached(sql)?.execute(values)?;
        let resource = connection.last_insert_rowid();
        terms::put(connection, resource, fresh)?;
        return Ok((resource, 1));
    };
    let resource = before.resource;
    let old: Vec<u8> = connection
        .prepare_cached("SELECT body FROM resources WHERE resource = ?1")?
        .query_row([resource], |row| row.get(0))?;
    terms::take(connection, resource, (fresh.kind, fresh.id), &unpack(&old)?)?;
    let sql = "INSERT OR REPLACE INTO versions SELECT resource, version, updated, state, body FROM resources WHERE resource = ?1";
    connection.prepare_cached(sql)?.execute([resource])?;
    let sql = "UPDATE resources SET version = ?2, updated = ?3, state = ?4, hash = ?5, body = ?6 WHERE resource = ?1";
    let version = before.version + 1;
    connection
        .prepare_cached(sql)?
        .execute(params![resource, version, updated, state, fresh.hash, packed])?;
    if fresh.state != Presence::Removed {
        terms::put(connection, resource, fresh)?;
    }
    Ok((resource, version))
}

/// The content of one version.
pub(super) fn body(connection: &Connection, resource: i64, version: i64) -> Result<Option<Bytes>, Fault> {
    let sql = "SELECT body FROM resources WHERE resource = ?1 AND version = ?2 \
               UNION ALL SELECT body FROM versions WHERE resource = ?1 AND version = ?2";
    let packed: Option<Vec<u8>> =
        connection.prepare_cached(sql)?.query_row((resource, version), |row| row.get(0)).optional()?;
    Ok(packed.map(|packed| unpack(&packed)).transpose()?)
}

/// A row of kind, id, version, updated, state and body.
pub(super) fn held(row: &Row<'_>) -> Result<Resource, Fault> {
    let body: Vec<u8> = row.get(5)?;
    Ok(Resource {
        kind: row.get(0)?,
        id: row.get(1)?,
        version: row.get(2)?,
        updated: row.get(3)?,
        state: presence(row.get(4)?),
        body: unpack(&body)?,
    })
}

pub(super) fn number(state: Presence) -> i64 {
    match state {
        Presence::Active => 0,
        Presence::Inactive => 1,
        Presence::Removed => 2,
    }
}

pub(super) fn presence(number: i64) -> Presence {
    match number {
        0 => Presence::Active,
        1 => Presence::Inactive,
        _ => Presence::Removed,
    }
}
