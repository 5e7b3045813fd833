//! The folders of this machine as a place where files lie. No link leads out of them: each step is opened by itself.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Content, Spool};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fsync, openat, stat, statat, unlinkat},
    io::Errno,
};
use tokio::sync::mpsc;

use super::folder::{FILE, Folder, enter, hindered, make_in, rename_to_free, words};
use crate::flow::place::{Done, Entry, Fault, Kind, Location, Place, Stat};

/// So many entries of a folder are told at once.
const PAGE: usize = 512;

/// From this length on a file is read a piece at a time.
const LONG: u64 = 1 << 20;

/// A file that was looked into: a short one is read.
enum Opened {
    Short(Bytes, Stat),
    Long(File, Stat),
}

/// The folders of this machine, from the project's folder on.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) root: PathBuf,
}

impl Here {
    /// Opens a folder. One of the settings is made inside the project, and missed elsewhere: a disk may not be there.
    fn open(&self, at: &Location) -> Done<OwnedFd> {
        let base = Folder::new(&self.root, &at.base).opened();
        let mut folder = base.map_err(|error| away("open", at, error))?;
        for part in at.parts() {
            folder = enter(&folder, OsStr::from_bytes(part)).map_err(|error| fault("open", at, error))?;
        }
        Ok(folder)
    }

    fn list_now(&self, folder: &Location, tell: &mpsc::Sender<Vec<Entry>>) -> Done {
        let opened = self.open(folder)?;
        let failed = |error| fault("list", folder, error);
        let mut page = Vec::with_capacity(PAGE);
        for entry in Dir::read_from(&opened).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            match statat(&opened, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => page.push(Entry { name, kind: kind(&stat), stat: read(&stat) }),
                // It went while we looked.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(failed(error)),
            }
            if page.len() == PAGE && tell.blocking_send(std::mem::take(&mut page)).is_err() {
                return Ok(());
            }
        }
        // Whoever asked may have gone meanwhile.
        let _ = tell.blocking_send(page);
        Ok(())
    }

    fn look_now(&self, at: &Location) -> Done<(Kind, Stat)> {
        if at.trail.is_empty() {
            let found = stat(self.root.join(&*at.base)).map_err(|error| fault("look into", at, error))?;
            return Ok((kind(&found), read(&found)));
        }
        let folder = self.open(&at.folder())?;
        let stat = statat(&folder, name(at), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| fault("look into", &at.folder(), error))?;
        Ok((kind(&stat), read(&stat)))
    }

    fn read_now(&self, at: &Location, longest: u64) -> Done<Opened> {
        let folder = self.open(&at.folder())?;
        let failed = |error| fault("read a file in", &at.folder(), error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, name(at), flags, Mode::empty()).map_err(|error| match error {
            Errno::ACCESS | Errno::PERM => Fault::Closed(words(error)),
            error => failed(error),
        })?;
        let before = fstat(&file).map_err(failed)?;
        if kind(&before) != Kind::File {
            return Err(Fault::Unfit("it is no file".to_owned()));
        }
        let before = read(&before);
        if before.size > longest {
            return Err(Fault::Unfit(format!("it is longer than `max_size`, {longest} bytes")));
        }
        let mut file = File::from(file);
        if before.size > LONG {
            return Ok(Opened::Long(file, before));
        }
        let mut bytes = Vec::with_capacity(before.size as usize);
        Read::by_ref(&mut file)
            .take(longest + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| from_io("read a file in", at, &error))?;
        let after = read(&fstat(&file).map_err(failed)?);
        if after != before || bytes.len() as u64 != before.size {
            return Err(Fault::Changed);
        }
        Ok(Opened::Short(bytes.into(), after))
    }

    /// Reads a long file a piece at a time.
    async fn read_into(
        &self,
        at: &Location,
        (file, before): (File, Stat),
        mut spool: Spool,
    ) -> Done<(Content, Stat)> {
        let file = Arc::new(file);
        while spool.len() < before.size {
            let (from, reading) = (spool.len(), Arc::clone(&file));
            let length = (before.size - from).min(LONG) as usize;
            let piece = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                reading.read_exact_at(&mut piece, from).map(|()| piece)
            });
            match ended(piece.await.map(Ok))? {
                Ok(piece) => spool.write(&piece).await?,
                // It has become shorter.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Fault::Changed),
                Err(error) => return Err(from_io("read a file in", at, &error)),
            }
        }
        let failed = |error| fault("read a file in", &at.folder(), error);
        let after = read(&fstat(&*file).map_err(failed)?);
        if after != before {
            return Err(Fault::Changed);
        }
        Ok((spool.end().await?, after))
    }

    fn rename_now(&self, from: &Location, to: &Location) -> Done {
        let (source, target) = (self.open(&from.folder())?, self.open(&to.folder())?);
        match rename_to_free((source.as_fd(), name(from)), (target.as_fd(), name(to))) {
            Err(Errno::XDEV) => move_over((&source, from), (&target, to)),
            renamed => renamed.map_err(|error| match error {
                // Taken away from the one, or not to be put into the other: the first is tried by a name of its own.
                Errno::NOENT => Fault::Missing,
                // Its owner keeps it, or it may not be moved: the others may.
                Errno::PERM | Errno::ACCESS | Errno::BUSY => {
                    Fault::Closed(format!("cannot move a file to `{}`: {}", to.folder(), words(error)))
                }
                error => fault("move a file to", &to.folder(), error),
            }),
        }
    }

    fn make_now(&self, at: &Location) -> Done {
        let base = Folder::new(&self.root, &at.base).opened();
        let mut folder = base.map_err(|error| away("open", at, error))?;
        for part in at.parts() {
            let part = OsStr::from_bytes(part);
            folder = match enter(&folder, part) {
                Err(Errno::NOENT) => make_in(&folder, part).and_then(|()| enter(&folder, part)),
                entered => entered,
            }
            .map_err(|error| fault("make", at, error))?;
        }
        Ok(())
    }

    fn remove_folder_now(&self, at: &Location) -> Done {
        let folder = self.open(&at.folder())?;
        match unlinkat(&folder, name(at), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(fault("remove a folder from", &at.folder(), error)),
        }
    }
}

#[async_trait]
impl Place for Here {
    async fn list(&self, folder: &Location, each: &mut (dyn FnMut(Entry) + Send)) -> Done {
        let (tell, mut told) = mpsc::channel(4);
        let (here, folder) = (self.clone(), folder.clone());
        let listing = tokio::task::spawn_blocking(move || here.list_now(&folder, &tell));
        while let Some(page) = told.recv().await {
            page.into_iter().for_each(&mut *each);
        }
        ended(listing.await)
    }

    async fn look(&self, at: &Location) -> Done<(Kind, Stat)> {
        self.blocking(at, Self::look_now).await
    }

    async fn read(&self, at: &Location, longest: u64, spool: Spool) -> Done<(Content, Stat)> {
        match self.blocking(at, move |here, at| here.read_now(at, longest)).await? {
            Opened::Short(bytes, stat) => Ok((bytes.into(), stat)),
            Opened::Long(file, before) => self.read_into(at, (file, before), spool).await,
        }
    }

    async fn write(&self, at: &Location, bytes: &Bytes) -> Done {
        let bytes = bytes.clone();
        self.blocking(at, move |here, at| {
            let folder = here.open(&at.folder())?;
            let name = String::from_utf8_lossy(at.name()).into_owned();
            write_new(&folder, &name, |file| file.write_all(&bytes))
                .map_err(|error| from_io("write to", at, &error))
        })
        .await
    }

    async fn rename(&self, from: &Location, to: &Location) -> Done {
        let to = to.clone();
        self.blocking(from, move |here, from| here.rename_now(from, &to)).await
    }

    async fn remove(&self, at: &Location) -> Done {
        self.blocking(at, |here, at| {
            let folder = here.open(&at.folder())?;
            unlinkat(&folder, name(at), AtFlags::empty())
                .map_err(|error| fault("remove a file from", &at.folder(), error))
        })
        .await
    }

    async fn make_folder(&self, at: &Location) -> Done {
        self.blocking(at, Self::make_now).await
    }

    async fn remove_folder(&self, at: &Location) -> Done {
        self.blocking(at, Self::remove_folder_now).await
    }

    async fn settle(&self, folders: &[Location]) -> Done {
        let (here, folders) = (self.clone(), folders.to_vec());
        let settling = tokio::task::spawn_blocking(move || {
            folders.iter().try_for_each(|folder| {
                fsync(here.open(folder)?).map_err(|error| fault("make durable", folder, error))
            })
        });
        ended(settling.await)
    }
}

impl Here {
    /// Work on the disk leaves the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        at: &Location,
        work: impl FnOnce(&Self, &Location) -> Done<T> + Send + 'static,
    ) -> Done<T> {
        let (here, at) = (self.clone(), at.clone());
        ended(tokio::task::spawn_blocking(move || work(&here, &at)).await)
    }
}

fn ended<T>(work: Result<Done<T>, tokio::task::JoinError>) -> Done<T> {
    work.unwrap_or_else(|error| Err(Fault::away(format!("the work on the disk did not end: {error}"))))
}

/// Moves a file to another disk: written there whole under a hidden name first. A copy that a crash left there is as good.
fn move_over((source, from): (&OwnedFd, &Location), (target, to): (&OwnedFd, &Location)) -> Done {
    let failed = |error: io::Error| from_io("move a file to", to, &error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open =
        |folder, at| openat(folder, name(at), flags, Mode::empty()).map(File::from).map_err(io::Error::from);
    let mut file = open(source, from).map_err(failed)?;
    if let Ok(mut there) = open(target, to) {
        return if same(&mut file, &mut there).map_err(failed)? {
            unlinkat(source, name(from), AtFlags::empty()).map_err(|error| failed(error.into()))
        } else {
            Err(Fault::Taken)
        };
    }
    let hidden = hidden(to);
    let moved = write_new(target, &hidden, |copy| io::copy(&mut file, copy).map(drop))
        .map_err(failed)
        .and_then(|()| {
            rename_to_free((target.as_fd(), hidden.as_ref()), (target.as_fd(), name(to)))
                .map_err(|error| fault("move a file to", &to.folder(), error))
        })
        .inspect_err(|_| forget(target, &hidden));
    moved?;
    fsync(target)
        .and_then(|()| unlinkat(source, name(from), AtFlags::empty()))
        .map_err(|error| failed(error.into()))
}

fn same(one: &mut File, other: &mut File) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

/// Writes a file under a name that is ours, and makes it durable.
fn write_new(
    folder: &OwnedFd,
    hidden: &str,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut fresh = File::from(openat(folder, hidden, flags, FILE)?);
    fill(&mut fresh)?;
    fresh.sync_all()
}

/// Nothing of a failed try stays; if even that fails, the next try writes over it.
fn forget(folder: &OwnedFd, hidden: &str) {
    let _ = unlinkat(folder, hidden, AtFlags::empty());
}

/// A name under which a file is written: hidden, short, and the same at the next try.
fn hidden(at: &Location) -> String {
    format!(".{:.32}.tmp", engine::Hash::of(&[at.base.as_bytes(), &at.trail]).to_string())
}

fn name(at: &Location) -> &OsStr {
    OsStr::from_bytes(at.name())
}

fn kind(stat: &rustix::fs::Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        _ => Kind::Other,
    }
}

fn read(stat: &rustix::fs::Stat) -> Stat {
    let modified = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64);
    Stat { size: stat.st_size as u64, modified }
}

fn from_io(doing: &str, at: &Location, error: &io::Error) -> Fault {
    match Errno::from_io_error(error) {
        Some(error) => fault(doing, &at.folder(), error),
        None => Fault::away(format!("cannot {doing} `{}`: {error}", at.folder())),
    }
}

fn fault(doing: &str, at: &Location, error: Errno) -> Fault {
    match error {
        Errno::NOENT => Fault::Missing,
        Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY => Fault::Taken,
        Errno::LOOP | Errno::NOTDIR => {
            Fault::Unfit(format!("cannot {doing} `{at}`: a link or a file stands where a folder should"))
        }
        Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL => {
            Fault::Unfit("the file system does not take a file of this name".to_owned())
        }
        error => away(doing, at, error),
    }
}

/// Nothing can be had here now.
fn away(doing: &str, at: &Location, error: Errno) -> Fault {
    Fault::away(hindered(format!("cannot {doing} `{at}`: {}", words(error)), error))
}
