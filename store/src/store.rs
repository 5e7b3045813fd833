//! The engine's store, call by call: each hands its work to the writer or to a reader.

use async_trait::async_trait;
use engine::{
    Arrival, Closed, Delivery, DeliveryId, DeliveryState, Filling, Hash, Interrupted, Intervention, Kept,
    LateAnswer, MessageId, Note, Position, Processed, Settlement, Sibling, Standing, Store, StoreError, Told,
    Waiting,
};

use crate::{Sqlite, deliveries, intake, late, messages, people};

#[async_trait]
impl Store for Sqlite {
    fn next_message(&self) -> MessageId {
        MessageId(Self::reserve(&self.next_message))
    }

    fn next_delivery(&self) -> DeliveryId {
        DeliveryId(Self::reserve(&self.next_delivery))
    }

    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Kept>, StoreError> {
        let prepare = |arrival| intake::Prepared::new(arrival, self.began);
        let arrivals: Vec<intake::Prepared> = arrivals.into_iter().map(prepare).collect();
        self.writer.write(move |tables| intake::keep(tables, &arrivals)).await
    }

    async fn queue(&self, processed: Processed) -> Result<Vec<(DeliveryId, DeliveryState)>, StoreError> {
        self.writer.write(move |tables| messages::queue(tables, &processed)).await
    }

    async fn close(&self, id: MessageId, closed: Closed) -> Result<(), StoreError> {
        self.writer.write(move |tables| messages::close(tables, id, &closed)).await
    }

    async fn begin(&self, id: DeliveryId, note: Option<Note>, doubts: u32) -> Result<(), StoreError> {
        self.writer.write(move |tables| deliveries::begin(tables, id, note.as_ref(), doubts)).await
    }

    async fn settle(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<(String, Waiting)>, StoreError> {
        self.writer.write(move |tables| deliveries::settle(tables, id, &settlement)).await
    }

    async fn answered_late(&self, answer: LateAnswer) -> Result<(), StoreError> {
        self.writer.write(move |tables| late::keep(tables, &answer)).await
    }

    async fn fill(&self, id: DeliveryId, filling: Filling) -> Result<(), StoreError> {
        self.writer.write(move |tables| deliveries::fill(tables, id, &filling)).await
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
        let channel = channel.to_owned();
        self.writer.write(move |tables| messages::interrupted(tables, &channel)).await
    }

    async fn waiting(
        &self,
        channel: &str,
        destination: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let outlet = (channel.to_owned(), destination.to_owned());
        self.readers
            .read(move |connection| {
                Ok(deliveries::waiting(connection, (&outlet.0, &outlet.1), after, limit)?)
            })
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.readers.read(move |connection| Ok(deliveries::delivery(connection, id)?)).await
    }

    async fn sibling(&self, of: DeliveryId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        let destination = destination.to_owned();
        self.readers.read(move |connection| Ok(deliveries::sibling(connection, of, &destination)?)).await
    }

    /// Asks the writer, who knows what `told` left a moment ago.
    async fn standing(&self, id: MessageId) -> Result<Option<Standing>, StoreError> {
        self.writer.write(move |tables| Ok(messages::standing(&tables.connection, id)?)).await
    }

    async fn intervene(&self, intervention: Intervention) -> Result<Option<Waiting>, StoreError> {
        let fresh = self.next_delivery();
        self.writer.write(move |tables| people::intervene(tables, &intervention, fresh)).await
    }

    async fn remember(&self, channel: &str, version: Hash, text: &str) -> Result<(), StoreError> {
        let (channel, text) = (channel.to_owned(), text.to_owned());
        self.writer.write(move |tables| Ok(people::remember(tables, &channel, version, &text)?)).await
    }

    async fn switch(&self, name: &str, value: Option<&str>, by: &str) -> Result<(), StoreError> {
        let (name, value, by) = (name.to_owned(), value.map(str::to_owned), by.to_owned());
        self.writer.write(move |tables| Ok(people::switch(tables, &name, value.as_deref(), &by)?)).await
    }

    async fn switches(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.readers.read(|connection| Ok(people::switches(connection)?)).await
    }

    fn trouble(&self) -> Option<String> {
        self.writer.trouble()
    }
}
