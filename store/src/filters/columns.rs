//! The filters of older runs, 64 in a file: which of them may know a mark is told by a few short reads.
//!
//! For each bit of a filter the file holds a word: that bit of each of its runs. A file that is lost is made again from
//! the spans when the store is opened.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    BITS, places,
    square::{Square, TOGETHER, since},
};

const FOLDER: &str = "filters";
const WORD: [u8; 8] = *b"RLFILT1\n";
/// The word, and when the newest of each run was received.
const HEAD: usize = 8 + 8 * TOGETHER as usize;

/// A file of filters.
pub(crate) struct Columns {
    file: File,
    newest: [i64; TOGETHER as usize],
}

impl Columns {
    pub(crate) fn open(store: &Path, group: u64) -> io::Result<Self> {
        let file = File::open(path_of(store, group))?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0)?;
        let (words, _) = head.as_chunks::<8>();
        if words[0] != WORD || file.metadata()?.len() != (HEAD + BITS * 8) as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file of filters"));
        }
        let mut newest = [i64::MIN; TOGETHER as usize];
        for (newest, word) in newest.iter_mut().zip(&words[1..]) {
            *newest = i64::from_be_bytes(*word);
        }
        Ok(Self { file, newest })
    }

    /// Writes the filters of a group; the file is there as a whole or not at all.
    pub(crate) fn write(store: &Path, group: u64, square: &Square) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(store.join(FOLDER))?;
        let path = path_of(store, group);
        let beside = path.with_extension("new");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let written = file.write_all_at(&bytes(square), 0).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written?;
        fs::rename(&beside, &path)?;
        Self::open(store, group)
    }

    /// The runs that may hold `mark`, among those with messages received since `oldest`: a bit each.
    pub(super) fn look(&self, mark: i64, oldest: i64) -> io::Result<u64> {
        let mut runs = since(&self.newest, oldest);
        for place in places(mark) {
            if runs == 0 {
                break;
            }
            let mut word = [0; 8];
            self.file.read_exact_at(&mut word, (HEAD + place * 8) as u64)?;
            runs &= u64::from_be_bytes(word);
        }
        Ok(runs)
    }
}

/// Takes the file of a group away whose messages are all forgotten.
pub(crate) fn forget(store: &Path, group: u64) {
    // What stays costs room, and is tried again.
    let _ = fs::remove_file(path_of(store, group));
}

fn path_of(store: &Path, group: u64) -> PathBuf {
    store.join(FOLDER).join(format!("{group:010}"))
}

fn bytes(square: &Square) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + BITS * 8);
    bytes.extend(WORD);
    bytes.extend(square.newest().iter().flat_map(|newest| newest.to_be_bytes()));
    bytes.extend(square.words().iter().flat_map(|word| word.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_file_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Columns::open(folder.path(), 3).is_err());
        Columns::write(folder.path(), 3, &Square::of([].into_iter())).unwrap();
        OpenOptions::new().write(true).open(path_of(folder.path(), 3)).unwrap().set_len(5000).unwrap();
        assert!(Columns::open(folder.path(), 3).is_err());
        forget(folder.path(), 3);
        assert!(!path_of(folder.path(), 3).exists());
    }
}
