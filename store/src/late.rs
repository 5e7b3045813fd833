//! Answers that came after the attempts at their delivery had ended.

use std::time::SystemTime;

use engine::{DeliveryId, LATE_ANSWERS, LateAnswer, Response, ShownLate};
use rusqlite::{Connection, params};

use crate::{
    codes::{json_unless, nanoseconds, parsed_or_default, written},
    deliveries::state,
    failure::Failure,
    tables::Tables,
};

/// Adds one, up to as many as are kept.
pub(crate) fn keep(tables: &Tables, answer: &LateAnswer) -> Result<(), Failure> {
    let LateAnswer { delivery, response: Response { body, facts } } = answer;
    state(tables, *delivery)?;
    tables.run(
        "INSERT INTO late_answers (delivery, at, body, facts) SELECT ?1, ?2, ?3, ?4
         WHERE (SELECT count(*) FROM late_answers WHERE delivery = ?1) < ?5",
        params![
            delivery.0 as i64,
            nanoseconds(SystemTime::now()),
            body.as_deref(),
            json_unless(facts.is_empty(), facts),
            LATE_ANSWERS as i64,
        ],
    )?;
    Ok(())
}

/// Those of one delivery, in the order they came.
pub(crate) fn of(connection: &Connection, delivery: DeliveryId) -> rusqlite::Result<Vec<ShownLate>> {
    let mut statement = connection
        .prepare_cached("SELECT at, facts, body FROM late_answers WHERE delivery = ?1 ORDER BY id")?;
    let found = statement.query_map([delivery.0 as i64], |row| {
        Ok(ShownLate { at: written(row.get(0)?), facts: parsed_or_default(row.get(1)?)?, body: row.get(2)? })
    })?;
    found.collect()
}
