//! A table that is asked by steps, which wait: what it said is believed for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant},
};

use engine::{LookupError, Register};
use tokio::runtime::{Builder, Runtime};

use super::{Holder, Misses, Row, Shape, not_now, wrong};

/// So many answers are kept.
const MOST: usize = 100_000;

/// So long it is believed at most that there is no such row: somebody may have added it.
const NOTHING: Duration = Duration::from_mins(1);

/// Beyond its own time limit a holder has so long to say that it has reached it.
const GRACE: Duration = Duration::from_secs(1);

type Said = (Instant, Option<Arc<Row>>);

/// A holder of rows, with a thread of its own that speaks to it.
pub(super) struct Asked {
    holder: Arc<dyn Holder>,
    shape: Shape,
    timeout: Duration,
    cache: Duration,
    said: Mutex<HashMap<Vec<String>, Said>>,
    thread: Thread,
}

impl Asked {
    pub(super) fn new(holder: Arc<dyn Holder>, shape: Shape, (timeout, cache): (Duration, Duration)) -> Self {
        Self { holder, shape, timeout, cache, said: Mutex::default(), thread: Thread::default() }
    }

    fn row(&self, keys: &[(String, String)]) -> Result<Option<Arc<Row>>, LookupError> {
        let key: Vec<String> = keys.iter().map(|(_, value)| value.clone()).collect();
        if let Some((_, row)) = self.said().get(&key).filter(|(until, _)| Instant::now() < *until) {
            return Ok(row.clone());
        }
        let (holder, keys) = (Arc::clone(&self.holder), keys.to_vec());
        let asking = async move { holder.row(&keys).await };
        let row =
            self.thread.wait(asking, self.timeout).unwrap_or_else(|late| Err(not_now(late)))?.map(Arc::new);
        let believed = if row.is_some() { self.cache } else { self.cache.min(NOTHING) };
        if !believed.is_zero() {
            let mut said = self.said();
            if said.len() >= MOST {
                said.clear();
            }
            said.insert(key, (Instant::now() + believed, row.clone()));
        }
        Ok(row)
    }

    fn said(&self) -> MutexGuard<'_, HashMap<Vec<String>, Said>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register for Asked {
    fn keys(&self) -> &[String] {
        &self.shape.keys
    }

    fn columns(&self) -> Option<&[String]> {
        self.shape.columns.as_deref()
    }

    fn source(&self) -> &str {
        &self.shape.source
    }

    fn look_up(&self, keys: &[(String, String)], wanted: &str) -> Result<Option<String>, LookupError> {
        let Some(row) = self.row(keys)? else { return Ok(None) };
        match row.get(wanted) {
            Some(value) => Ok(value.clone()),
            // What the file does not name, a row may have or not.
            None if self.shape.misses == Misses::AreEmpty => Ok(None),
            None => Err(wrong(format!("it has no column `{wanted}`"))),
        }
    }

    fn reach(&self) -> Result<(), String> {
        let holder = Arc::clone(&self.holder);
        self.thread.wait(async move { holder.reach().await }, self.timeout).and_then(|reached| reached)
    }
}

/// What speaks to a holder, on a thread that waits for nobody's steps. Ends with the table.
#[derive(Default)]
struct Thread(OnceLock<Option<Runtime>>);

impl Thread {
    /// Waits for an answer; the error says that none came.
    fn wait<T: Send + 'static>(
        &self,
        asking: impl Future<Output = T> + Send + 'static,
        timeout: Duration,
    ) -> Result<T, String> {
        let runtime = self.0.get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).thread_name("table").enable_all().build().ok()
        });
        let Some(runtime) = runtime else { return Err("no thread can be had to ask it".to_owned()) };
        let (tell, told) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            if let Ok(answer) = tokio::time::timeout(timeout, asking).await {
                // Whoever asked may have stopped waiting.
                let _ = tell.send(answer);
            }
        });
        told.recv_timeout(timeout + GRACE).map_err(|_| "no answer came in time".to_owned())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take().flatten() {
            // It may be dropped on an async thread, which must not wait.
            runtime.shutdown_background();
        }
    }
}
