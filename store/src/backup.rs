//! Backups: the store as it stood at one instant, copied while it is written to, and brought back.
//!
//! A backup is a folder like a store's, without a journal: everything is in its files. The list of their hashes is
//! written last; a folder without it is no backup.

mod hold;

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

use engine::StoreError;
use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ENDED_WELL, Sqlite, failure::Failure, filer::Filer, large, spans, tables, tables::REGISTER};

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
    /// Copies everything that is kept at this moment into an empty folder, or one that is to be made; also those files
    /// `beside` the store's own that are there. Messages are taken and delivered meanwhile; forgetting waits.
    pub async fn backup(&self, into: &Path, beside: &[&str]) -> Result<Saved, StoreError> {
        let _nothing_goes = self.forgetting.lock().await;
        self.all_filed().await?;
        let (into, store) = (into.to_owned(), self.folder.clone());
        let beside: Vec<PathBuf> = beside.iter().map(PathBuf::from).collect();
        let from = store.clone();
        let snapshot = self.writer.with_files(move |filer| Snapshot::take(filer, &from)).await?;
        let saved = tokio::task::spawn_blocking(move || snapshot.save(&store, &into, &beside)).await;
        saved
            .unwrap_or_else(|_| Err(Failure::Refused("the backup was cut".to_owned())))
            .map_err(StoreError::from)
    }
}

impl Snapshot {
    /// Between two filings: all files are of the same instant.
    fn take(filer: &Filer, store: &Path) -> Result<Self, Failure> {
        let mut paths = vec![(PathBuf::from(REGISTER), store.join(REGISTER))];
        for span in filer.spans.all() {
            let name = span.path.file_name().map(PathBuf::from).unwrap_or_default();
            paths.push((Path::new(spans::FOLDER).join(name), span.path.clone()));
        }
        let held = paths.into_iter().map(|(name, path)| {
            let connection = tables::open_reader(&path)?;
            // The first look begins what is seen until the end.
            connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
            Ok((name, connection))
        });
        Ok(Self { files: held.collect::<rusqlite::Result<_>>()?, large: filer.large.files()? })
    }

    /// The newest first: as long as its instant is held, its log grows.
    fn save(self, store: &Path, into: &Path, beside: &[PathBuf]) -> Result<Saved, Failure> {
        let work = Work::begin(into)?;
        make(&into.join(spans::FOLDER))?;
        make(&into.join(large::FOLDER))?;
        let mut names = Vec::new();
        for (name, source) in self.files.into_iter().rev() {
            copy_database(&source, &into.join(&name))?;
            names.push(name);
        }
        for path in self.large {
            let name = Path::new(large::FOLDER).join(path.file_name().unwrap_or_default());
            copy(&path, &into.join(&name))?;
            names.push(name);
        }
        for name in beside.iter().filter(|name| store.join(name).is_file()) {
            copy(&store.join(name), &into.join(name))?;
            names.push(name.clone());
        }
        names.sort();
        work.end(&names)
    }
}

/// A folder that is being filled.
struct Work<'a>(&'a Path);

impl<'a> Work<'a> {
    fn begin(into: &'a Path) -> Result<Self, Failure> {
        if !is_empty(into)? {
            return Err(Failure::Refused(format!("`{}` is not empty", into.display())));
        }
        make(into)?;
        Ok(Self(into))
    }

    /// Writes the list of hashes, when everything else is on disk.
    fn end(self, names: &[PathBuf]) -> Result<Saved, Failure> {
        let mut saved = Saved::default();
        let mut sums = String::new();
        for name in names {
            let (sum, bytes) = sum(&self.0.join(name))?;
            saved.files += 1;
            saved.bytes += bytes;
            let _ = writeln!(sums, "{sum}  {}", name.display());
        }
        for folder in [self.0.join(spans::FOLDER), self.0.join(large::FOLDER), self.0.to_owned()] {
            File::open(folder)?.sync_all()?;
        }
        let mut file = create(&self.0.join(SUMS))?;
        file.write_all(sums.as_bytes())?;
        file.sync_all()?;
        File::open(self.0)?.sync_all()?;
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
        let (found, bytes) = copy(&from.join(name), &beside.join(name))?;
        if found != sum {
            return refuse(format!("`{name}` of the backup is damaged: its hash is not that of {SUMS}"));
        }
        saved.files += 1;
        saved.bytes += bytes;
    }
    if let Comes::Held(destinations) = comes {
        hold::all(&beside, destinations)?;
    }
    // Nothing was left in a journal.
    create(&beside.join(ENDED_WELL))?.sync_all()?;
    for part in [spans::FOLDER, large::FOLDER, "."] {
        File::open(beside.join(part))?.sync_all()?;
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
fn copy(from: &Path, to: &Path) -> Result<(String, u64), Failure> {
    let source = File::open(from)
        .map_err(|error| Failure::Refused(format!("cannot read `{}`: {error}", from.display())))?;
    let mut target = create(to)?;
    let read = hashed(source, |bytes| target.write_all(bytes))?;
    target.sync_all()?;
    Ok(read)
}

/// The hash of a file, and its length.
pub(crate) fn sum(path: &Path) -> io::Result<(String, u64)> {
    hashed(File::open(path)?, |_| Ok(()))
}

fn hashed(mut source: File, mut pass: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(String, u64)> {
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

/// Also where it is not there.
fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
