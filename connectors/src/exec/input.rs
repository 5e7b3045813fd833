//! A message as a file of its own, there as long as the program that reads it.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use engine::Outbound;

use super::{
    account::Account,
    running::{self, FILE},
};

/// How the folders are called that hold one file each.
const BEGINNING: &str = "relais-run-";

/// A folder that is younger may belong to a program that is just being started.
const YOUNG: Duration = Duration::from_mins(1);

/// The file. It goes with its folder when the run is over.
#[derive(Debug)]
pub(super) struct InputFile {
    folder: PathBuf,
    pub(super) path: PathBuf,
}

impl InputFile {
    /// Writes it where nobody but the program's user can look.
    pub(super) fn write(outbound: &Outbound, name: &str, account: Option<&Account>) -> io::Result<Self> {
        let folder = env::temp_dir().join(format!("{BEGINNING}{:.32}", outbound.effect.to_string()));
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        if builder.create(&folder).is_err() {
            // What an attempt before a crash left.
            fs::remove_dir_all(&folder)?;
            builder.create(&folder)?;
        }
        let file = Self { path: folder.join(name), folder };
        let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.path)?;
        io::copy(&mut outbound.body.reader(), &mut opened)?;
        if let Some(account) = account.filter(|account| account.is_another()) {
            chown(&file.path, Some(account.user), Some(account.group))?;
            chown(&file.folder, Some(account.user), Some(account.group))?;
        }
        Ok(file)
    }
}

impl Drop for InputFile {
    /// One that stays is taken away when the destination is opened the next time.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Takes away what runs before a crash left and no program reads any more.
pub(super) fn clear() {
    let left = fs::read_dir(env::temp_dir()).into_iter().flatten().flatten();
    let left: Vec<PathBuf> = left
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(BEGINNING))
        .map(|entry| entry.path())
        .filter(|path| is_old(path))
        .collect();
    if left.is_empty() {
        return;
    }
    let read = running::with(FILE);
    for folder in
        left.iter().filter(|folder| !read.iter().any(|one| Path::new(&one.value).starts_with(folder)))
    {
        // Another user's is not ours to take.
        let _ = fs::remove_dir_all(folder);
    }
}

fn is_old(path: &Path) -> bool {
    let modified = path.symlink_metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > YOUNG))
}
