//! The messages of one batch, kept in one write.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::{Arrival, Hash, Kept, MessageId, Store, StoreError};

type Slot = (Arrival, oneshot::Sender<Result<Kept, StoreError>>);

/// Gathers the arrivals of a batch; the last one to come writes them all.
pub(crate) struct Together {
    expected: usize,
    gathered: Mutex<Vec<Slot>>,
}

/// One message's place in a batch, taken before any of them starts: they arrive in the batch's order.
pub(crate) struct Seat {
    pub(super) id: MessageId,
    pub(super) batch: (Hash, u32),
    together: Arc<Together>,
}

impl Seat {
    /// Takes the seats of a whole batch.
    pub(crate) fn row(ids: &[MessageId]) -> Vec<Self> {
        let Some(first) = ids.first() else { return Vec::new() };
        let together = Arc::new(Together { expected: ids.len(), gathered: Mutex::default() });
        let batch = Hash::of(&[b"batch", &first.0.to_be_bytes()]);
        let seat = |(place, id): (u32, &MessageId)| Self {
            id: *id,
            batch: (batch, place),
            together: Arc::clone(&together),
        };
        (1..).zip(ids).map(seat).collect()
    }

    /// Joins the write of the whole batch.
    pub(super) async fn keep(&self, store: &dyn Store, arrival: Arrival) -> Result<Kept, StoreError> {
        let (tell, told) = oneshot::channel();
        let complete = {
            let mut gathered = self.together.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.push((arrival, tell));
            (gathered.len() == self.together.expected).then(|| std::mem::take(&mut *gathered))
        };
        if let Some(slots) = complete {
            write(store, slots).await;
        }
        told.await.unwrap_or_else(|_| Err(StoreError("the batch was left unfinished".to_owned())))
    }
}

async fn write(store: &dyn Store, mut slots: Vec<Slot>) {
    slots.sort_by_key(|(arrival, _)| arrival.message.id);
    let (arrivals, waiting): (Vec<_>, Vec<_>) = slots.into_iter().unzip();
    let kept = store.keep(arrivals).await;
    for (index, tell) in waiting.into_iter().enumerate() {
        let _ = tell.send(match &kept {
            Ok(kept) => Ok(kept[index].clone()),
            Err(error) => Err(error.clone()),
        });
    }
}
