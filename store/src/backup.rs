//! Backups: the store as it stood at one instant, copied while it is written to, and brought back.
//!
//! A backup is a folder like a store's, without a journal: everything is in its files. The list of their hashes is
//! written last; a folder without it is no backup.

mod beside;
mod hold;

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

pub use beside::Beside;

use engine::StoreError;
use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    ENDED_WELL, Sqlite,
    directory::{self, DIRECTORY},
    failure::Failure,
    filer::Filer,
    large, spans, tables,
    tables::REGISTER,
};

/// The hashes of all files, as `sha256sum` writes and checks them.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// How many pages are copied at once.
const PAGES: i32 = 1000;

/// What a backup or a restore came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub files: u64,
    pub bytes: u64,
}

/// How a store stands when it is brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comes {
    /// What waits is sent as soon as a server runs.
    AsItWas,
    /// Each destination that it has messages for is held, and these too: channel and name.
    Held(Vec<(String, String)>),
}

/// Every file of the store, each held as it is at one instant.
struct Snapshot {
    /// Where it will lie in the backup.
    files: Vec<(PathBuf, Connection)>,
    /// Written once and never again.
    large: Vec<PathBuf>,
}

impl Sqlite {
    /// Copies everything that is kept at this moment into an empty folder, or one that is to be made; also what lies
    /// `beside` the store's own files. Messages are taken and delivered meanwhile; forgetting waits.
    pub async fn backup(&self, into: &Path, beside: Beside) -> Result<Saved, StoreError> {
        let _nothing_goes = self.forgetting.lock().await;
        let (store, into) = (self.folder.clone(), into.to_owned());
        // What is noted of messages, before them: a note that is too old costs a second look, one too new a message.
        let work = apart(move || {
            let mut work = Work::begin(into)?;
            work.take(&store, beside.files)?;
            Ok(work)
        });
        let work = work.await?;
        // Neither does a change leave the directory between its instant and the store's, nor does one come.
        let held = match beside.directory {
            Some(directory) => Some(directory.hold().await?),
            None => None,
        };
        self.all_filed().await?;
        let store = self.folder.clone();
        let snapshot = self.writer.with_files(move |filer| Snapshot::take(filer, &store)).await?;
        let snapshot = snapshot.with(held.map(directory::Held::let_go));
        apart(move || snapshot.save(work)).await
    }
}

/// Works with files where nobody waits for the thread.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    let worked = tokio::task::spawn_blocking(work).await;
    let worked = worked.unwrap_or_else(|_| Err(Failure::Refused("the backup was cut".to_owned())));
    worked.map_err(StoreError::from)
}

impl Snapshot {
    /// Between two filings: all files are of the same instant.
    fn take(filer: &Filer, store: &Path) -> Result<Self, Failure> {
        let mut paths = vec![(PathBuf::from(REGISTER), store.join(REGISTER))];
        for span in filer.spans.all() {
            let name = span.path.file_name().map(PathBuf::from).unwrap_or_default();
            paths.push((Path::new(spans::FOLDER).join(name), span.path.clone()));
        }
        let held = paths.into_iter().map(|(name, path)| Ok((name, tables::open_instant(&path)?)));
        Ok(Self { files: held.collect::<rusqlite::Result<_>>()?, large: filer.large.files()? })
    }

    /// The directory stands behind the register, which is saved last.
    fn with(mut self, directory: Option<Connection>) -> Self {
        self.files.splice(1..1, directory.map(|instant| (PathBuf::from(DIRECTORY), instant)));
        self
    }

    /// The newest first: as long as its instant is held, its log grows.
    fn save(self, mut work: Work) -> Result<Saved, Failure> {
        for (name, source) in self.files.into_iter().rev() {
            copy_database(&source, &work.into.join(&name))?;
            work.names.push(name);
        }
        for path in self.large {
            let name = Path::new(large::FOLDER).join(path.file_name().unwrap_or_default());
            copy(File::open(&path), &path, &work.into.join(&name))?;
            work.names.push(name);
        }
        work.end()
    }
}

/// A folder that is being filled.
struct Work {
    into: PathBuf,
    names: Vec<PathBuf>,
}

impl Work {
    fn begin(into: PathBuf) -> Result<Self, Failure> {
        if !is_empty(&into)? {
            return Err(Failure::Refused(format!("`{}` is not empty", into.display())));
        }
        for folder in ["", spans::FOLDER, large::FOLDER] {
            make(&into.join(folder))?;
        }
        Ok(Self { into, names: Vec::new() })
    }

    /// Copies those of these files and folders that are there.
    fn take(&mut self, store: &Path, files: &[&str]) -> Result<(), Failure> {
        for name in beside::found(store, files)? {
            if let Some(folder) = name.parent() {
                make(&self.into.join(folder))?;
            }
            if beside::copy(&store.join(&name), &self.into.join(&name))? {
                self.names.push(name);
            }
        }
        Ok(())
    }

    /// Writes the list of hashes, when everything else is on disk.
    fn end(mut self) -> Result<Saved, Failure> {
        self.names.sort();
        let mut saved = Saved::default();
        let mut sums = String::new();
        for name in &self.names {
            let (sum, bytes) = sum(&self.into.join(name))?;
            saved.files += 1;
            saved.bytes += bytes;
            let _ = writeln!(sums, "{sum}  {}", name.display());
        }
        for folder in folders(&self.into)? {
            File::open(folder)?.sync_all()?;
        }
        let mut file = create(&self.into.join(SUMS))?;
        file.write_all(sums.as_bytes())?;
        file.sync_all()?;
        File::open(&self.into)?.sync_all()?;
        Ok(saved)
    }
}

/// Brings a backup into a folder that is empty or not there; what is copied is compared with the backup's hashes.
///
/// It comes into its place as a whole or not at all.
pub fn restore(from: &Path, folder: &Path, comes: &Comes) -> Result<Saved, StoreError> {
    brought_back(from, folder, comes).map_err(StoreError::from)
}

fn brought_back(from: &Path, folder: &Path, comes: &Comes) -> Result<Saved, Failure> {
    let refuse = |why: String| Err(Failure::Refused(why));
    let Ok(sums) = fs::read_to_string(from.join(SUMS)) else {
        return refuse(format!("`{}` is no whole backup: it has no {SUMS}", from.display()));
    };
    if !is_empty(folder)? {
        return refuse(format!(
            "`{}` is not empty; a backup is brought into an empty folder alone",
            folder.display()
        ));
    }
    let beside = folder.with_extension("restoring");
    if beside.exists() {
        fs::remove_dir_all(&beside)?;
    }
    make(&beside)?;
    make(&beside.join(spans::FOLDER))?;
    make(&beside.join(large::FOLDER))?;
    let mut saved = Saved::default();
    for (sum, name) in sums.lines().filter_map(|line| line.split_once("  ")) {
        if Path::new(name).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return refuse(format!("{SUMS} names `{name}`, which lies outside the backup"));
        }
        if let Some(parent) = Path::new(name).parent() {
            make(&beside.join(parent))?;
        }
        let path = from.join(name);
        let (found, bytes) = copy(File::open(&path), &path, &beside.join(name))?;
        if found != sum {
            return refuse(format!("`{name}` of the backup is damaged: its hash is not that of {SUMS}"));
        }
        saved.files += 1;
        saved.bytes += bytes;
    }
    if let Comes::Held(destinations) = comes {
        hold::all(&beside, destinations)?;
    }
    if beside.join(DIRECTORY).is_file() {
        directory::count_on(&beside.join(DIRECTORY))?;
    }
    // Nothing was left in a journal.
    create(&beside.join(ENDED_WELL))?.sync_all()?;
    for part in folders(&beside)? {
        File::open(part)?.sync_all()?;
    }
    fs::rename(&beside, folder)?;
    if let Some(parent) = std::path::absolute(folder)?.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(saved)
}

fn copy_database(source: &Connection, path: &Path) -> Result<(), Failure> {
    drop(create(path)?);
    let mut target = Connection::open(path)?;
    target.pragma_update(None, "synchronous", "OFF")?;
    let copying = Backup::new(source, &mut target)?;
    loop {
        let began = Instant::now();
        if copying.step(PAGES)? == StepResult::Done {
            break;
        }
        // The disk is also of those who write messages.
        std::thread::sleep(began.elapsed());
    }
    drop(copying);
    // A file by itself, that can be read where nothing can be written.
    target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    drop(target);
    Ok(File::open(path)?.sync_all()?)
}

/// Copies a file; returns its hash and its length.
fn copy(source: io::Result<impl Read>, from: &Path, to: &Path) -> Result<(String, u64), Failure> {
    let source =
        source.map_err(|error| Failure::Refused(format!("cannot read `{}`: {error}", from.display())))?;
    let mut target = create(to)?;
    let read = hashed(source, |bytes| target.write_all(bytes))?;
    target.sync_all()?;
    Ok(read)
}

/// The hash of a file, and its length.
pub(crate) fn sum(path: &Path) -> io::Result<(String, u64)> {
    hashed(File::open(path)?, |_| Ok(()))
}

fn hashed(mut source: impl Read, mut pass: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(String, u64)> {
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        pass(&buffer[..read])?;
        hash.update(&buffer[..read]);
        length += read as u64;
    }
    let hex = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok((hex, length))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A folder and those in it.
fn folders(of: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![of.to_owned()];
    for entry in fs::read_dir(of)? {
        let path = entry?.path();
        folders.extend(path.is_dir().then_some(path));
    }
    Ok(folders)
}

/// Also where it is not there.
fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
