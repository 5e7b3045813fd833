//! The engine's store, call by call: each hands its work to the writer, or looks into the files.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{
    Act, Arrival, Begin, Closed, Content, Delivery, DeliveryId, DeliveryState, Done, Extent, Filling,
    Gatherings, Hash, Interrupted, Intervention, Kept, LateAnswer, Member, Message, MessageId, Note,
    Position, Processed, Reading, Ripe, Settlement, Sibling, Standing, Standstill, Store, StoreError, Taken,
    Told, Waiting,
};

use crate::{
    Sqlite,
    codes::parsed_or_default,
    deliveries, expected,
    failure::Failure,
    intake, large, load, messages, people,
    queues::Queue,
    rows::{Body, MessageRow},
    spans::look,
};

/// After an end that was not in order: a message whose steps end the process does so within this time.
const WATCHED: Duration = Duration::from_mins(1);

#[async_trait]
impl Store for Sqlite {
    fn next_message(&self) -> MessageId {
        MessageId(Self::reserve(&self.next_message))
    }

    fn next_delivery(&self) -> DeliveryId {
        DeliveryId(Self::reserve(&self.next_delivery))
    }

    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Kept>, StoreError> {
        self.has_room()?;
        let mut prepared = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            match intake::Prepared::new(arrival, self.began, &self.large).await {
                Ok(one) => prepared.push(one),
                Err(error) => {
                    for one in &prepared {
                        self.take_back(&intake::Prepared::written(one));
                    }
                    return Err(error);
                }
            }
        }
        let written: Vec<_> = prepared.iter().map(intake::Prepared::written).collect();
        let kept = self.writer.write(move |ledger| intake::keep(ledger, &prepared)).await?;
        let not_kept = kept.iter().zip(&written).filter(|(kept, _)| matches!(kept, Kept::Again(_)));
        not_kept.for_each(|(_, written)| self.take_back(written));
        Ok(kept)
    }

    async fn queue(&self, processed: Processed) -> Result<Vec<(DeliveryId, DeliveryState)>, StoreError> {
        let prepared = messages::Prepared::new(processed, &self.large).await?;
        self.writer.write(move |ledger| messages::queue(ledger, &prepared)).await
    }

    fn keeps_first(&self) -> bool {
        !self.ended_well && self.opened.elapsed() < WATCHED
    }

    async fn take(&self, arrival: Arrival, done: Done) -> Result<Taken, StoreError> {
        self.has_room()?;
        let arrival = intake::Prepared::new(arrival, self.began, &self.large).await?;
        let written = arrival.written();
        let done = match messages::PreparedDone::new(done, &self.large).await {
            Ok(done) => done,
            Err(error) => {
                self.take_back(&written);
                return Err(error);
            }
        };
        let taken = self.writer.write(move |ledger| messages::take(ledger, &arrival, &done)).await?;
        if matches!(taken.kept, Kept::Again(_)) {
            self.take_back(&written);
        }
        Ok(taken)
    }

    async fn close(&self, id: MessageId, closed: Closed) -> Result<(), StoreError> {
        self.writer.write(move |ledger| messages::close(ledger, id, &closed)).await
    }

    async fn begin(&self, id: DeliveryId, note: Option<Note>, doubts: u32) -> Result<(), StoreError> {
        self.writer.write(move |ledger| deliveries::begin(ledger, id, note.as_ref(), doubts)).await
    }

    async fn settle(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<(String, Waiting)>, StoreError> {
        self.writer.write(move |ledger| deliveries::settle(ledger, id, &settlement)).await
    }

    async fn settle_and_begin(
        &self,
        (id, settlement): (DeliveryId, Settlement),
        next: Begin,
    ) -> Result<(Vec<(String, Waiting)>, bool), StoreError> {
        self.writer
            .write(move |ledger| {
                let taken = deliveries::settle(ledger, id, &settlement)?;
                let Begin { id, note, doubts } = &next;
                Ok((taken, deliveries::begin(ledger, *id, note.as_ref(), *doubts).is_ok()))
            })
            .await
    }

    async fn answered_late(&self, answer: LateAnswer) -> Result<(), StoreError> {
        self.writer.write(move |ledger| deliveries::answered_late(ledger, &answer)).await
    }

    async fn fill(&self, id: DeliveryId, filling: Filling) -> Result<(), StoreError> {
        let message = self.owner(id, filling.body.as_ref()).await?;
        let filled = deliveries::Filled::new(message, &filling, &self.large).await?;
        self.writer.write(move |ledger| deliveries::fill(ledger, id, &filled)).await
    }

    fn told(&self, id: MessageId, told: Told) {
        self.writer.told(id, told);
    }

    fn enters(&self, id: MessageId) {
        self.marks.enters(id);
    }

    fn leaves(&self, id: MessageId) {
        self.marks.leaves(id);
    }

    async fn interrupted(&self, channel: &str) -> Result<Vec<Interrupted>, StoreError> {
        self.all_filed().await?;
        let channel = channel.to_owned();
        let open = look(&self.spans, move |spans| {
            let mut open = Vec::new();
            for span in spans.all() {
                open.extend(spans.read(&span, |reader| Ok(load::open(&reader.connection, &channel)?))?);
            }
            Ok(open)
        });
        let mut found = Vec::new();
        for id in open.await? {
            let counted = self.writer.write(move |ledger| messages::count(ledger, id, 1, 0)).await?;
            if let Some(row) = counted {
                found.push(self.interrupted_one(row).await?);
            }
        }
        Ok(found)
    }

    async fn held(
        &self,
        channel: &str,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Standstill>, StoreError> {
        self.all_filed().await?;
        let channel = channel.to_owned();
        look(&self.spans, move |spans| {
            let mut found: Vec<Standstill> = Vec::new();
            for span in spans.all() {
                let left = limit - found.len();
                let page = (after.map_or(0, |after| after.0), left);
                found
                    .extend(spans.read(&span, |reader| Ok(load::held(&reader.connection, &channel, page)?))?);
                if found.len() >= limit {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.all_filed().await?;
        let row = self.writer.write(move |ledger| ledger.message(id.0)).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(self.with_content(row).await?.0))
    }

    async fn gatherings(&self, channel: &str, ripe: Ripe, limit: usize) -> Result<Gatherings, StoreError> {
        self.all_filed().await?;
        self.ripe_groups(channel, ripe, limit).await
    }

    async fn members(
        &self,
        channel: &str,
        mark: Hash,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.members_of((channel, mark), (after, limit)).await
    }

    async fn abandon(&self, id: MessageId, by: &str) -> Result<bool, StoreError> {
        let by = by.to_owned();
        self.writer.write(move |ledger| messages::abandon(ledger, id, &by)).await
    }

    async fn waiting(
        &self,
        channel: &str,
        destination: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.all_filed().await?;
        let queue = Queue::new(channel, destination);
        look(&self.spans, move |spans| queue.page(spans, after, limit)).await
    }

    async fn waiting_of_key(
        &self,
        (channel, destination): (&str, &str),
        key: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.all_filed().await?;
        let (queue, key) = (Queue::new(channel, destination), key.to_owned());
        look(&self.spans, move |spans| queue.page_of_key(spans, &key, after, limit)).await
    }

    async fn extent(&self, channel: &str, destination: &str) -> Result<Extent, StoreError> {
        self.all_filed().await?;
        let queue = Queue::new(channel, destination);
        look(&self.spans, move |spans| queue.extent(spans)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.whole_delivery(id).await
    }

    async fn sibling(&self, of: DeliveryId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        let destination = destination.to_owned();
        self.writer.write(move |ledger| deliveries::sibling(ledger, of, &destination)).await
    }

    async fn came_back(&self, of: MessageId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        let destination = destination.to_owned();
        self.writer.write(move |ledger| deliveries::came_back(ledger, of, &destination)).await
    }

    async fn standing(&self, id: MessageId) -> Result<Option<Standing>, StoreError> {
        self.writer.write(move |ledger| messages::standing(ledger, id)).await
    }

    async fn intervene(&self, intervention: Intervention) -> Result<Option<Waiting>, StoreError> {
        let fresh = self.next_delivery();
        let (mut body, mut has_content) = (None, true);
        if let Act::Resend { body: edited, .. } = &intervention.what {
            if let Some(edited) = edited {
                let message = self.owner(intervention.delivery, Some(edited)).await?;
                body = Some(self.large.keep(message, edited).await?);
            } else {
                let delivery = self.whole_delivery(intervention.delivery).await?;
                has_content = delivery.is_none_or(|delivery| delivery.body.is_some());
            }
        }
        self.writer
            .write(move |ledger| {
                people::intervene(ledger, &intervention, fresh, (body.as_ref(), has_content))
            })
            .await
    }

    async fn excuse(&self, channel: &str, key: &str, by: &str) -> Result<(), StoreError> {
        let (channel, key, by) = (channel.to_owned(), key.to_owned(), by.to_owned());
        self.writer.write(move |ledger| expected::excuse(ledger, &channel, &key, &by)).await
    }

    async fn remember(&self, channel: &str, version: Hash, text: &str) -> Result<(), StoreError> {
        let (channel, text) = (channel.to_owned(), text.to_owned());
        self.writer.write(move |ledger| people::remember(ledger, &channel, version, &text)).await
    }

    async fn switch(&self, name: &str, value: Option<&str>, by: &str) -> Result<(), StoreError> {
        let (name, value, by) = (name.to_owned(), value.map(str::to_owned), by.to_owned());
        self.writer.write(move |ledger| people::switch(ledger, &name, value.as_deref(), &by)).await
    }

    async fn switches(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.all_filed().await?;
        self.register(|connection| Ok(people::switches(connection)?)).await
    }

    fn spool(&self) -> Result<Option<PathBuf>, StoreError> {
        self.has_room()?;
        Ok(Some(self.large.spool()))
    }

    fn trouble(&self) -> Option<String> {
        self.writer.trouble()
    }
}

impl Sqlite {
    fn take_back(&self, (body, content): &(Body, Content)) {
        self.large.take_back(body, content);
    }

    /// The message of a delivery, where bytes for it will lie apart: they are named by it, and go with it.
    async fn owner(&self, of: DeliveryId, body: Option<&Content>) -> Result<u64, StoreError> {
        if !body.is_some_and(large::is_large) {
            return Ok(0);
        }
        self.writer.write(move |ledger| Ok(deliveries::row(ledger, of)?.message)).await
    }

    /// Whether a new message may be taken: what was taken before goes on all the same.
    fn has_room(&self) -> Result<(), StoreError> {
        self.writer.refuses().or_else(|| self.room.refuses()).map_or(Ok(()), |why| Err(StoreError(why)))
    }

    /// Waits until everything is in the files, for those who must not miss any of it.
    pub(crate) async fn all_filed(&self) -> Result<(), StoreError> {
        self.writer.filed().await;
        self.writer.refuses().map_or(Ok(()), |why| Err(StoreError(why)))
    }

    /// A message that was found open, with its bytes.
    async fn interrupted_one(&self, row: Arc<MessageRow>) -> Result<Interrupted, StoreError> {
        let (starts, marks, answer) = (row.starts, row.marks, row.answer);
        let (message, reading) = self.with_content(row).await?;
        Ok(Interrupted { message, reading, starts, marks, answer })
    }

    /// A message with its bytes, and what it said of itself.
    async fn with_content(&self, row: Arc<MessageRow>) -> Result<(Message, Reading), StoreError> {
        let large = Arc::clone(&self.large);
        look(&self.spans, move |spans| {
            let content = match spans.of(row.id) {
                Some(span) => spans.read(&span, |reader| {
                    Ok(load::content(&reader.connection, &mut reader.unpacker, row.id)?)
                })?,
                None => None,
            };
            let keys = content.as_ref().and_then(|content| content.keys.clone());
            let content = content.map(|content| Ok((large.read(content.body)?, content.facts)));
            let reading = Reading {
                sender: row.sender.clone(),
                control_id: row.control_id.clone(),
                kind: row.kind.clone(),
                flags: parsed_or_default(row.flags.clone())?,
                keys: parsed_or_default(keys)?,
                study: None,
            };
            let message =
                row.whole(content.transpose().map_err(|error: rusqlite::Error| Failure::from(error))?)?;
            Ok((message, reading))
        })
        .await
    }
}
