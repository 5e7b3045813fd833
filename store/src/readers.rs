//! Connections that read: their own, so that nobody who looks holds up the one who writes.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use engine::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    failure::{Failure, words},
    tables,
};

/// How many read at once; the others wait their turn.
const SEATS: usize = 4;

#[derive(Clone)]
pub(crate) struct Readers(Arc<Pool>);

struct Pool {
    folder: PathBuf,
    idle: Mutex<Vec<Connection>>,
    seats: Semaphore,
}

impl Readers {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(Arc::new(Pool { folder, idle: Mutex::default(), seats: Semaphore::new(SEATS) }))
    }

    /// Reads on a thread that may wait for the disk. All that `look` sees is of one instant.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = Arc::clone(&self.0);
        let _seat = self.0.seats.acquire().await.expect("the seats are never taken away");
        let read = tokio::task::spawn_blocking(move || pool.read(look)).await;
        read.unwrap_or_else(|_| Err(StoreError("reading was cut".to_owned())))
    }
}

impl Pool {
    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => tables::open_reader(&self.folder).map_err(|error| StoreError(words(&error)))?,
        };
        let seen = look_at(&connection, look)?;
        // One that failed is not used again.
        self.idle().push(connection);
        Ok(seen)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look_at<T>(
    connection: &Connection,
    look: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let instant = connection.unchecked_transaction()?;
    let seen = look(connection)?;
    instant.commit()?;
    Ok(seen)
}
