//! The messages of one batch, kept in one write.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::oneshot;

use crate::{Arrival, Hash, Kept, MessageId, Store, StoreError};

type Slot = (Arrival, oneshot::Sender<Result<Kept, StoreError>>);

/// Gathers the arrivals of a batch; the last one to come writes them all.
struct Together {
    gathered: Mutex<Gathered>,
}

struct Gathered {
    /// How many have neither joined nor passed.
    missing: usize,
    slots: Vec<Slot>,
}

/// One message's place in a batch, taken before any of them starts: they arrive in the batch's order.
pub(crate) struct Seat {
    pub(super) id: MessageId,
    pub(super) batch: (Hash, u32),
    together: Arc<Together>,
    has_arrived: AtomicBool,
}

impl Drop for Seat {
    /// One that a bug cut before it came: the others are written without it, or hear that they are not.
    fn drop(&mut self) {
        if !self.has_arrived.load(Ordering::SeqCst) {
            let mut gathered = self.together.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.missing = gathered.missing.saturating_sub(1);
            if gathered.missing == 0 {
                gathered.slots.clear();
            }
        }
    }
}

impl Seat {
    /// Takes the seats of a whole batch, or of the next row of a larger whole.
    pub(crate) fn row(whole: Option<(Hash, u32)>, ids: &[MessageId]) -> Vec<Self> {
        let Some(first) = ids.first() else { return Vec::new() };
        let together = Arc::new(Together {
            gathered: Mutex::new(Gathered { missing: ids.len(), slots: Vec::with_capacity(ids.len()) }),
        });
        let (batch, before) = whole.unwrap_or_else(|| (Hash::of(&[b"batch", &first.0.to_be_bytes()]), 0));
        let seat = |(place, id): (u32, &MessageId)| Self {
            id: *id,
            batch: (batch, place),
            together: Arc::clone(&together),
            has_arrived: AtomicBool::new(false),
        };
        (before + 1..).zip(ids).map(seat).collect()
    }

    /// Joins the write of the whole batch.
    pub(super) async fn keep(&self, store: &dyn Store, arrival: Arrival) -> Result<Kept, StoreError> {
        let (tell, told) = oneshot::channel();
        self.arrive(store, Some((arrival, tell))).await;
        told.await.unwrap_or_else(|_| Err(StoreError("the batch was left unfinished".to_owned())))
    }

    /// Leaves the others to write without this one: it is known already.
    pub(super) async fn pass(&self, store: &dyn Store) {
        self.arrive(store, None).await;
    }

    async fn arrive(&self, store: &dyn Store, slot: Option<Slot>) {
        self.has_arrived.store(true, Ordering::SeqCst);
        let complete = {
            let mut gathered = self.together.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.slots.extend(slot);
            gathered.missing = gathered.missing.saturating_sub(1);
            (gathered.missing == 0).then(|| std::mem::take(&mut gathered.slots))
        };
        if let Some(slots) = complete.filter(|slots| !slots.is_empty()) {
            write(store, slots).await;
        }
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
