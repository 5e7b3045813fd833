//! Deliveries that wait for another one of their message: what its end means for them.

use engine::{DeliveryId, DeliveryState, Waiting};

use crate::{
    codes::Coded,
    deliveries::{put_back, waiting_one},
    tables::Tables,
};

/// Those that have no payload until the delivery `?1` is sent. One with a payload has been on its own since.
const UNFILLED: &str = "SELECT d.id, o.name FROM deliveries s JOIN deliveries d ON d.message = s.message AND d.part = s.part
     JOIN outlets o ON o.id = d.outlet
     WHERE s.id = ?1 AND d.after = s.outlet AND d.pending = 1 AND d.state = ?2 AND d.parked = 0 ORDER BY d.id";

/// Puts back what was set aside because this one had been given up; what a person parked stays with that person.
pub(crate) fn take_up(
    tables: &Tables,
    leader: DeliveryId,
    followers: &[String],
) -> rusqlite::Result<Vec<(String, Waiting)>> {
    let aside = find(tables, (leader, DeliveryState::SetAside), followers)?;
    for id in &aside {
        put_back(tables, *id, DeliveryState::Waiting)?;
    }
    aside.into_iter().map(|id| waiting_one(tables, id)).collect()
}

/// Those in their queues.
pub(crate) fn unfilled(
    tables: &Tables,
    leader: DeliveryId,
    followers: &[String],
) -> rusqlite::Result<Vec<(String, Waiting)>> {
    let waiting = find(tables, (leader, DeliveryState::Waiting), followers)?;
    waiting.into_iter().map(|id| waiting_one(tables, id)).collect()
}

fn find(
    tables: &Tables,
    (leader, state): (DeliveryId, DeliveryState),
    followers: &[String],
) -> rusqlite::Result<Vec<DeliveryId>> {
    if followers.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = tables.connection.prepare_cached(UNFILLED)?;
    let found = statement.query_map((leader.0 as i64, state.code()), |row| {
        Ok((DeliveryId(row.get::<_, i64>(0)? as u64), row.get::<_, String>(1)?))
    })?;
    let found: Vec<(DeliveryId, String)> = found.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|(_, name)| followers.contains(name)).map(|(id, _)| id).collect())
}
