//! The filters of older runs, 64 in a file: which of them may know a mark is told by four short reads.
//!
//! For each bit of a filter the file holds a word: that bit of each of its runs. A file that is lost is made again from
//! the spans when the store is opened.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{BITS, Filter, places};

/// How many runs share a file.
pub(crate) const TOGETHER: u64 = 64;
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

    /// Writes the filters of a group, by the place of their run in it; the file is there as a whole or not at all.
    pub(crate) fn write(store: &Path, group: u64, filters: &[(u64, Filter)]) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(store.join(FOLDER))?;
        let path = path_of(store, group);
        let beside = path.with_extension("new");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let written = file.write_all_at(&bytes(filters), 0).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written?;
        fs::rename(&beside, &path)?;
        Self::open(store, group)
    }

    /// The runs that may hold `mark`, among those with messages received since `oldest`: a bit each.
    pub(super) fn look(&self, mark: i64, oldest: i64) -> io::Result<u64> {
        let recent = self.newest.iter().enumerate().filter(|(_, newest)| **newest >= oldest);
        let mut runs = recent.fold(0, |runs, (place, _)| runs | 1 << place);
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

fn bytes(filters: &[(u64, Filter)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + BITS * 8);
    bytes.extend(WORD);
    let of = |place: u64| filters.iter().find(|(of, _)| *of == place).map(|(_, filter)| filter);
    let rows: Vec<Option<&Filter>> = (0..TOGETHER).map(of).collect();
    for row in &rows {
        bytes.extend(row.map_or(i64::MIN, |filter| filter.newest).to_be_bytes());
    }
    for word in 0..BITS / 64 {
        let mut square = [0; TOGETHER as usize];
        for (place, row) in rows.iter().enumerate() {
            square[place] = row.map_or(0, |filter| filter.words[word]);
        }
        transpose(&mut square);
        bytes.extend(square.iter().flat_map(|column| column.to_be_bytes()));
    }
    bytes
}

/// Makes columns of rows: bit `a` of word `b` becomes bit `b` of word `a`, square by square, each half as wide.
fn transpose(square: &mut [u64; 64]) {
    let (mut width, mut mask) = (32, 0xFFFF_FFFF_u64);
    while width > 0 {
        let mut row = 0;
        while row < 64 {
            let differs = (square[row] >> width ^ square[row + width]) & mask;
            square[row] ^= differs << width;
            square[row + width] ^= differs;
            row = (row + width + 1) & !width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_rows_seen_from_the_side() {
        let mut square = [0; 64];
        for (row, word) in square.iter_mut().enumerate() {
            *word = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        let rows = square;
        transpose(&mut square);
        for (row, word) in rows.iter().enumerate() {
            for (column, turned) in square.iter().enumerate() {
                assert_eq!(word >> column & 1, turned >> row & 1);
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Columns::open(folder.path(), 3).is_err());
        Columns::write(folder.path(), 3, &[]).unwrap();
        OpenOptions::new().write(true).open(path_of(folder.path(), 3)).unwrap().set_len(5000).unwrap();
        assert!(Columns::open(folder.path(), 3).is_err());
        forget(folder.path(), 3);
        assert!(!path_of(folder.path(), 3).exists());
    }
}
