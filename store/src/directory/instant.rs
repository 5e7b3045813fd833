//! The directory at one instant, while nobody writes: for a copy that agrees with the messages that were made of it.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use engine::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Directory, Fault};
use crate::tables::open_instant;

/// As long as this lives nobody writes into the directory.
pub(crate) struct Held {
    instant: Connection,
    _end: oneshot::Sender<()>,
}

impl Directory {
    /// Waits for whoever writes, and lets nobody else.
    pub(crate) async fn hold(self: Arc<Self>) -> Result<Held, StoreError> {
        let (tell, told) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        // Ends with what it is told by, also where nobody waits for it any more.
        tokio::task::spawn_blocking(move || {
            let _nobody_writes = self.writer();
            if tell.send(open_instant(&self.path)).is_ok() {
                let _ = ended.blocking_recv();
            }
        });
        let cut = |_| StoreError("the directory: it was not held".to_owned());
        let instant = told.await.map_err(cut)?.map_err(|error| StoreError::from(Fault::from(error)))?;
        Ok(Held { instant, _end: end })
    }
}

impl Held {
    /// Lets others write; the instant stays as it was.
    pub(crate) fn let_go(self) -> Connection {
        self.instant
    }
}

/// Makes a directory that was brought back number its changes where none of its numbers were given before.
///
/// After the copy was taken the old one went on, and what left it then may be known to receivers. The number is part of
/// what a change is known by: another change under the same number would be taken for a repeat of that one.
pub(crate) fn count_on(path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    let writing = connection.transaction()?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = since.as_micros() as i64;
    let sql = "UPDATE sqlite_sequence SET seq = max(seq + 1, ?1) WHERE name = 'changes'";
    if writing.execute(sql, [number])? == 0 {
        writing.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('changes', ?1)", [number])?;
    }
    writing.commit()
}
