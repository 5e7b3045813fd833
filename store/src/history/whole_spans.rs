//! Forgetting a span as a whole: where everything in it is old enough, its file goes at once.

use std::collections::BTreeMap;

use engine::{Ages, MessageState, StoreError};
use rusqlite::Connection;

use super::forget::{Before, release};
use crate::{Sqlite, codes::Coded, failure::Failure, filer::Filer, ledger::Held, tables::first};

/// Before which instant everything of a channel may go, in nanoseconds.
type Limits = BTreeMap<String, i64>;

impl Sqlite {
    /// Forgets the spans of which everything may go, whatever channel it is of; returns how many messages that were.
    /// A channel that is not named keeps its spans.
    pub async fn forget_spans(&self, ages: &BTreeMap<String, Ages>) -> Result<u64, StoreError> {
        let _alone = self.forgetting.lock().await;
        self.writer.filed().await;
        let mut limits = Limits::new();
        for (channel, ages) in ages {
            let open = self.oldest_open(channel).await?;
            limits.insert(channel.clone(), Before::now(*ages).at_most(open).all());
        }
        let mut forgotten = 0;
        for span in self.spans.firsts() {
            // The newest is written to.
            let Some(last) = self.spans.end_of(span) else { break };
            let asked = limits.clone();
            if !self.writer.with_files(move |filer| may_go(filer, span, &asked)).await? {
                continue;
            }
            let wanted = Held::All(span, last);
            let held = self.writer.write(move |ledger| Ok(ledger.hold(&wanted))).await?;
            if held.is_none() {
                continue;
            }
            let asked = limits.clone();
            let gone = self.writer.with_files(move |filer| forget(filer, (span, last), &asked)).await;
            release(&self.writer).await?;
            forgotten += gone?;
        }
        Ok(forgotten)
    }
}

/// Whether nothing in the span has to be kept. Most are told from by their last message alone.
fn may_go(filer: &mut Filer, span: u64, limits: &Limits) -> Result<bool, Failure> {
    let connection = &filer.span_file(span)?.tables.connection;
    let last = "SELECT received FROM messages ORDER BY id DESC LIMIT 1";
    let last: Option<i64> = first(connection, last, [], |row| row.get(0))?;
    let latest = limits.values().max().copied().unwrap_or(i64::MIN);
    if last.is_none_or(|last| last >= latest) {
        return Ok(false);
    }
    let waits = "SELECT 1 FROM deliveries WHERE lane IS NOT NULL LIMIT 1";
    if first(connection, waits, [], |_| Ok(()))?.is_some() {
        return Ok(false);
    }
    for (id, channel) in channels(connection)? {
        let limit = limits.get(&channel).copied().unwrap_or(i64::MIN);
        let stays =
            "SELECT 1 FROM messages WHERE channel = ?1 AND (received >= ?2 OR state IN (?3, ?4)) LIMIT 1";
        let (kept, held) = (MessageState::Kept.code(), MessageState::Held.code());
        if first(connection, stays, (id, limit, kept, held), |_| Ok(()))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn channels(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM channels")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn forget(filer: &mut Filer, (span, last): (u64, u64), limits: &Limits) -> Result<u64, Failure> {
    // What is held now may have changed before.
    if !may_go(filer, span, limits)? {
        return Ok(0);
    }
    filer.remember_highest()?;
    let connection = &filer.span_file(span)?.tables.connection;
    let count = first(connection, "SELECT count(*) FROM messages", [], |row| row.get::<_, i64>(0))?;
    filer.close(span);
    filer.spans.remove(span)?;
    filer.large.forget(|message| (span..=last).contains(&message))?;
    Ok(count.unwrap_or(0) as u64)
}
