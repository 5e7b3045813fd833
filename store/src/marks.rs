//! Which messages are in their steps, noted where it costs no sync.
//!
//! A message whose steps end the process must not do so for ever: what went into its steps and did not come out when
//! the process ended is marked at the next start. A plain write outlives the process, which is all that counts here;
//! with the machine's power it may be lost, and that is not a message's doing.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use engine::MessageId;

/// The file in the store's folder: records of a byte, in or out, and an id of eight bytes.
const FILE: &str = "marks";
const RECORD: usize = 9;
const IN: u8 = 1;
const OUT: u8 = 0;

/// `None` where the file cannot be written: then nothing is suspected.
pub(crate) struct Marks(Option<Mutex<File>>);

impl Marks {
    /// Begins anew; returns those that the run before left in their steps.
    pub(crate) fn open(folder: &Path) -> (Self, BTreeSet<u64>) {
        let path = folder.join(FILE);
        let left = inside(&fs::read(&path).unwrap_or_default());
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(path);
        (Self(file.ok().map(Mutex::new)), left)
    }

    pub(crate) fn enters(&self, id: MessageId) {
        self.note(IN, id);
    }

    pub(crate) fn leaves(&self, id: MessageId) {
        self.note(OUT, id);
    }

    fn note(&self, what: u8, id: MessageId) {
        let Some(file) = &self.0 else { return };
        let mut record = [what; RECORD];
        record[1..].copy_from_slice(&id.0.to_be_bytes());
        // A disk that is full costs the note, not the message.
        let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&record);
    }
}

/// Who went in and did not come out.
fn inside(records: &[u8]) -> BTreeSet<u64> {
    let mut inside = BTreeSet::new();
    for record in records.chunks_exact(RECORD) {
        let id =
            u64::from_be_bytes(record[1..].try_into().expect("a record holds eight bytes behind its first"));
        match record[0] {
            IN => inside.insert(id),
            _ => inside.remove(&id),
        };
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_out_is_not_inside_and_a_torn_record_says_nothing() {
        let record = |what: u8, id: u64| [&[what][..], &id.to_be_bytes()].concat();
        let records = [record(IN, 7), record(OUT, 7), record(IN, 8), vec![IN, 0, 0]].concat();
        assert_eq!(inside(&records), BTreeSet::from([8]));
    }
}
