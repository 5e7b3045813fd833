//! Where messages are kept: a journal that is synced before every answer, and embedded `SQLite` behind it.
//!
//! One thread writes the journal, all that is asked at once with one sync; another puts the rows into the files of the
//! spans, where people search and what waits is read back. See [`engine::Store`] for what each write means, and
//! `writer.rs` for what holds when the disk fails.

mod backup;
mod codes;
mod deliveries;
mod directory;
mod expected;
mod failure;
mod filer;
mod filters;
mod groups;
mod history;
mod intake;
mod journal;
mod large;
mod ledger;
mod load;
mod lock;
mod marks;
mod messages;
mod packing;
mod people;
mod put;
mod queues;
mod repeats;
mod replay;
mod room;
mod rows;
mod spans;
mod store;
mod succession;
mod tables;
mod verify;
mod whole;
mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

pub use backup::{Beside, Comes, Saved, restore};
pub use directory::Directory;
use engine::StoreError;
pub use failure::OpenError;
pub use history::{Fits, Look, Place, Seen};
pub use people::Audited;
pub use room::Room;
use rusqlite::Connection;
pub use verify::{Fault, Report, verify};

use failure::{Failure, words};
use filer::Filer;
use journal::Journal;
use large::Large;
use ledger::Ledger;
use marks::Marks;
use replay::Ended;
use spans::Spans;
use tables::{REGISTER, Unusable};
use writer::Writer;

/// There as long as the last run ended in order.
pub(crate) const ENDED_WELL: &str = "ended-well";

/// Keeps messages in the files of a folder. Open one for each folder: a second is refused.
pub struct Sqlite {
    folder: PathBuf,
    /// The first message of this run.
    began: u64,
    opened: Instant,
    /// The run before this one did.
    ended_well: bool,
    next_message: AtomicU64,
    next_delivery: AtomicU64,
    spans: Arc<Spans>,
    large: Arc<Large>,
    /// Nothing is forgotten while somebody else holds it.
    forgetting: tokio::sync::Mutex<()>,
    /// Contents are looked into by who holds it.
    looking: Arc<tokio::sync::Mutex<history::Last>>,
    // Dropped in this order: what was asked is written before the folder is let go.
    marks: Marks,
    writer: Writer,
    room: room::Watch,
    _lock: lock::Lock,
}

/// What may be said of a store where it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many numbers of messages share a file.
    pub span: u64,
    /// With fewer bytes free on the disk new messages are refused. `None`: a gigabyte, or a twentieth of a small disk.
    pub floor: Option<u64>,
    /// With more bytes in the store's files, too.
    pub budget: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { span: 1_000_000, floor: None, budget: None }
    }
}

/// How many deliveries wait in the store of a folder, by channel and destination, read without opening it to write.
/// `None` where there is none, or where it cannot be read so.
pub fn waiting(folder: &Path) -> Option<Vec<(String, String, u64)>> {
    history::depths(&Spans::look_at(folder)?).ok()
}

impl Sqlite {
    /// Opens the store of a folder, and makes it where there is none.
    ///
    /// A delivery that was begun and never settled is found `unsure`.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, Settings::default())
    }

    /// The same, with other settings than the usual ones.
    pub fn open_with(folder: &Path, settings: Settings) -> Result<Self, OpenError> {
        let lock = lock::Lock::take(folder)?;
        let at = |unusable| cannot_open(folder, unusable);
        // It stands again when this run ends in order.
        let is_new = !folder.join(REGISTER).exists();
        let ended = match fs::remove_file(folder.join(ENDED_WELL)) {
            Ok(()) => {
                // Back after a loss of power, it would tell of another run.
                fs::File::open(folder)
                    .and_then(|folder| folder.sync_all())
                    .map_err(Unusable::File)
                    .map_err(at)?;
                Ended::Well
            }
            Err(_) => Ended::Suddenly,
        };
        let ended_well = is_new || ended == Ended::Well;
        let spans = Arc::new(Spans::open(folder).map_err(Unusable::File).map_err(at)?);
        let large = Arc::new(Large::open(folder).map_err(Unusable::File).map_err(at)?);
        let mut filer =
            Filer::open(folder, settings.span, (Arc::clone(&spans), Arc::clone(&large))).map_err(at)?;
        let (marks, inside) = Marks::open(folder);
        let opened = open(folder, &mut filer, (ended, inside.into_iter()));
        let (ledger, (message, delivery)) = opened.map_err(at)?;
        let writer = Writer::start(ledger, filer).map_err(Unusable::File).map_err(at)?;
        let limits = room::Limits { floor: settings.floor, budget: settings.budget };
        let room = room::Watch::begin(folder, limits).map_err(Unusable::File).map_err(at)?;
        Ok(Self {
            folder: folder.to_owned(),
            began: message + 1,
            opened: Instant::now(),
            ended_well,
            next_message: AtomicU64::new(message + 1),
            next_delivery: AtomicU64::new(delivery + 1),
            spans,
            large,
            forgetting: tokio::sync::Mutex::default(),
            looking: Arc::default(),
            marks,
            writer,
            room,
            _lock: lock,
        })
    }

    /// What people did, newest first.
    pub async fn audit(&self, limit: usize) -> Result<Vec<Audited>, StoreError> {
        self.writer.filed().await;
        self.register(move |connection| Ok(people::audits(connection, limit)?)).await
    }

    /// How much room there is, as it was seen within the last seconds.
    pub fn room(&self) -> Room {
        self.room.seen()
    }

    /// Why no new message can be taken, if none can.
    pub fn refuses(&self) -> Option<String> {
        self.writer.trouble().or_else(|| self.room.refuses())
    }

    /// Looks into the register.
    async fn register<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.folder.join(REGISTER);
        let seen = tokio::task::spawn_blocking(move || look(&tables::open_reader(&path)?)).await;
        let seen = seen.unwrap_or_else(|_| Err(Failure::Refused("reading was cut".to_owned())));
        seen.map_err(StoreError::from)
    }

    fn reserve(next: &AtomicU64) -> u64 {
        next.fetch_add(1, Ordering::SeqCst)
    }
}

impl Sqlite {
    /// Puts what was written into the files and closes them: nothing can be written from here on. For an end that does not
    /// wait for everybody who still holds the store.
    pub fn end(&self) {
        if self.writer.stop() {
            // Missing, it says that messages may be found in their steps: that costs a little speed, and nothing else.
            let _ = fs::write(self.folder.join(ENDED_WELL), []);
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.end();
    }
}

/// Files what the journal holds, and finds how everything stands; returns the highest ids too.
fn open(
    folder: &Path,
    filer: &mut Filer,
    (ended, inside): (Ended, impl Iterator<Item = u64>),
) -> Result<(Ledger, (u64, u64)), Unusable> {
    let through = filer.filed()?;
    let found = replay::found(folder, through, ended)?;
    let last = found.last().map_or(through, |record| record.number);
    if !found.is_empty() {
        let damaged = |error| Unusable::Damaged(format!("a record of the journal cannot be read: {error}"));
        let mut filing = replay::replayed(&found).map_err(damaged)?;
        tracing::info!(
            messages = filing.messages.len(),
            "what the last run left in the journal is put into the files"
        );
        filer.file(&mut filing)?;
    }
    let highest = filer.highest()?;
    filer.doubt_what_was_begun()?;
    filer.mark(inside)?;
    filer.drop_orphans()?;
    let filters = filer.filters(highest.0)?;
    let journal = Journal::open(folder, last + 1).map_err(Unusable::File)?;
    Ok((Ledger::new(Arc::clone(&filer.spans), journal, filters, highest.0), highest))
}

fn cannot_open(folder: &Path, unusable: Unusable) -> OpenError {
    let folder = folder.to_owned();
    match unusable {
        Unusable::File(cause) => OpenError::Folder {
            folder,
            cause,
            advice: "give this user the right to write there, or choose another folder",
        },
        Unusable::Damaged(why) => OpenError::Damaged { folder, why },
        Unusable::Database(error) => OpenError::Database { folder, why: words(&error) },
        Unusable::Layout { found: 1, .. } => OpenError::Older { folder },
        Unusable::Layout { found, known } => OpenError::Newer { folder, found, known },
    }
}
