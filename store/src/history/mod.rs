//! What people look at and forget.
//!
//! Whoever looks waits until what was written before is in the files.

mod find;
mod forget;
mod look;
mod report;
mod show;
mod unmapped;
mod whole_spans;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use engine::{
    Ages, DeliveryId, DeliveryRow, History, MessageId, MessageRow, Overdue, PastAttempts, Query, Shown,
    StoreError, Tallied, Unit, Unmapped, Unsettled,
};

pub(crate) use look::Last;
pub use look::{Fits, Look, Place, Seen};

use crate::{
    Sqlite,
    failure::Failure,
    load, room,
    spans::{Spans, look},
};

#[async_trait]
impl History for Sqlite {
    /// From the newest span on, until there are enough.
    async fn find(&self, query: &Query) -> Result<Vec<MessageRow>, StoreError> {
        self.writer.filed().await;
        let mut query = query.clone();
        look(&self.spans, move |spans| {
            find::check(&query)?;
            let mut found: Vec<MessageRow> = Vec::new();
            let limit = query.limit;
            for span in spans.all().iter().rev() {
                query.limit = limit - found.len();
                if query.limit == 0 {
                    break;
                }
                if query.before.is_none_or(|before| before.0 > span.first) {
                    found.extend(spans.read(span, |reader| find::messages(&reader.connection, &query))?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn show(&self, id: MessageId) -> Result<Option<Shown>, StoreError> {
        self.writer.filed().await;
        let large = Arc::clone(&self.large);
        look(&self.spans, move |spans| {
            let Some(span) = spans.of(id.0) else { return Ok(None) };
            let Some(mut shown) = spans.read(&span, |reader| show::show(reader, id, &large))? else {
                return Ok(None);
            };
            let mut standing = Vec::new();
            for id in std::mem::take(&mut shown.supersedes) {
                let Some(span) = spans.of(id.0) else { continue };
                let is_kept =
                    spans.read(&span, |reader| Ok(load::message(&reader.connection, id.0)?.is_some()))?;
                standing.extend(is_kept.then_some(id));
            }
            Ok(Some(Shown { supersedes: standing, ..shown }))
        })
        .await
    }

    async fn attempts(&self, of: MessageId) -> Result<Vec<(DeliveryId, String, PastAttempts)>, StoreError> {
        self.writer.filed().await;
        look(&self.spans, move |spans| {
            let Some(span) = spans.of(of.0) else { return Ok(Vec::new()) };
            spans.read(&span, |reader| Ok(show::attempts(reader, of)?))
        })
        .await
    }

    async fn deliveries(&self, query: &Query) -> Result<Vec<DeliveryRow>, StoreError> {
        self.writer.filed().await;
        let mut query = query.clone();
        look(&self.spans, move |spans| {
            find::check(&query)?;
            let mut found: Vec<DeliveryRow> = Vec::new();
            let limit = query.limit;
            for span in spans.all() {
                query.limit = limit - found.len();
                if query.limit == 0 {
                    break;
                }
                found.extend(spans.read(&span, |reader| find::deliveries(&reader.connection, &query))?);
            }
            Ok(found)
        })
        .await
    }

    async fn depths(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.writer.filed().await;
        look(&self.spans, depths).await
    }

    async fn unsettled(&self, since: SystemTime) -> Result<Vec<Unsettled>, StoreError> {
        self.writer.filed().await;
        look(&self.spans, move |spans| {
            let mut sum: BTreeMap<(String, Option<String>, &'static str), u64> = BTreeMap::new();
            for span in spans.all() {
                for Unsettled { channel, destination, state, number } in
                    spans.read(&span, |reader| Ok(find::unsettled(&reader.connection, since)?))?
                {
                    *sum.entry((channel, destination, state)).or_default() += number;
                }
            }
            let unsettled = sum.into_iter().map(|((channel, destination, state), number)| Unsettled {
                channel,
                destination,
                state,
                number,
            });
            Ok(unsettled.collect())
        })
        .await
    }

    async fn unmapped(&self) -> Result<Vec<Unmapped>, StoreError> {
        self.writer.filed().await;
        look(&self.spans, |spans| {
            let mut grouped = unmapped::Grouped::default();
            for span in spans.all() {
                spans.read(&span, |reader| Ok(grouped.span(&reader.connection)?))?;
            }
            Ok(grouped.done())
        })
        .await
    }

    async fn overdue(
        &self,
        channel: Option<&str>,
        between: (SystemTime, SystemTime),
        limit: usize,
    ) -> Result<Vec<Overdue>, StoreError> {
        self.writer.filed().await;
        self.due(channel, between, limit).await
    }

    async fn unanswered(&self, channel: &str, keys: [&str; 2]) -> Result<Option<Overdue>, StoreError> {
        self.writer.filed().await;
        self.open_question(channel, keys).await
    }

    async fn count_overdue(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.writer.filed().await;
        self.count_due().await
    }

    async fn tallied(&self, channel: &str, unit: Unit, bounds: &[SystemTime]) -> Result<Tallied, StoreError> {
        self.writer.filed().await;
        let mut counting = report::Counting::new(channel, unit, bounds);
        look(&self.spans, move |spans| {
            for span in spans.all() {
                spans.read(&span, |reader| Ok(counting.span(&reader.connection)?))?;
            }
            Ok(counting.done())
        })
        .await
    }

    async fn version(&self, hash: &str) -> Result<Option<String>, StoreError> {
        self.writer.filed().await;
        let hash = hash.to_owned();
        self.register(move |connection| Ok(show::version(connection, &hash)?)).await
    }

    async fn forget(&self, channel: &str, ages: Ages) -> Result<u64, StoreError> {
        let _alone = self.forgetting.lock().await;
        self.writer.filed().await;
        let open = self.oldest_open(channel).await?;
        forget::forget((&self.writer, &self.spans), channel, (ages, open)).await
    }

    fn size(&self) -> u64 {
        room::size_of(&self.folder)
    }
}

/// How many deliveries wait, by channel and destination.
pub(crate) fn depths(spans: &Spans) -> Result<Vec<(String, String, u64)>, Failure> {
    let mut sum: BTreeMap<(String, String), u64> = BTreeMap::new();
    for span in spans.all() {
        for (channel, outlet, depth) in spans.read(&span, |reader| Ok(find::depths(&reader.connection)?))? {
            *sum.entry((channel, outlet)).or_default() += depth;
        }
    }
    Ok(sum.into_iter().map(|((channel, outlet), depth)| (channel, outlet, depth)).collect())
}
