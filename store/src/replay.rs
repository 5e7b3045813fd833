//! What the journal holds and the files do not: read back when a store is opened.
//!
//! A record was synced before the next one was written, so that only the last of a segment can be torn: what is torn was
//! never answered. Anything else that is missing was answered, and a store that would lose it is not opened.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::PastAttempts;

use crate::{
    journal::{HEAD, Head, MARK, checksum, segments},
    ledger::{FiledDelivery, FiledMessage, Filing},
    rows::{ContentRow, DeliveryRow, Image, MessageRow, PartRow, PayloadRow, StudyRow, TimesRow},
    tables::Unusable,
};

/// One record that was found.
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) rows: Vec<u8>,
}

/// How the run before ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything is in the files.
    Well,
    /// Or nobody knows.
    Suddenly,
}

/// One segment as it was read.
struct Segment {
    path: PathBuf,
    head: Head,
    records: Vec<Found>,
}

/// The records behind `filed`, in order and without a gap.
pub(crate) fn found(store: &Path, filed: u64, ended: Ended) -> Result<Vec<Found>, Unusable> {
    let mut read = Vec::new();
    for path in segments(store).map_err(Unusable::File)? {
        let bytes = fs::read(&path).map_err(Unusable::File)?;
        match Head::of(&bytes) {
            Ok(None) => {}
            Ok(Some(head)) => read.push(Segment { records: records(&bytes, head), path, head }),
            Err(()) if ended == Ended::Well => {}
            Err(()) => return Err(damaged(&path, "its beginning cannot be read")),
        }
    }
    read.sort_by_key(|segment| segment.head.turn);
    if ended == Ended::Suddenly {
        reaches(&read, filed)?;
    }
    let mut found: Vec<Found> = Vec::new();
    let mut last = (filed, None);
    for index in 0..read.len() {
        // A segment that begins anew voids what a failed write left in the ones before.
        let until = read[index + 1..].iter().map(|later| later.head.first).min().unwrap_or(u64::MAX);
        let path = read[index].path.clone();
        for record in std::mem::take(&mut read[index].records) {
            if record.number <= filed || record.number >= until {
                continue;
            }
            if record.number != last.0 + 1 {
                let before = last.1.as_ref().unwrap_or(&path);
                return Err(missing(before, (last.0 + 1, record.number - 1)));
            }
            last = (record.number, Some(path.clone()));
            found.push(record);
        }
    }
    Ok(found)
}

/// The newest segment tells how far the journal went: further than the files, or just as far.
fn reaches(read: &[Segment], filed: u64) -> Result<(), Unusable> {
    let Some(newest) = read.last() else {
        if filed > 0 {
            // A person took it away, as the refusal below advises.
            tracing::warn!(
                "the journal is gone: what the last run answered in its last moments may be missing"
            );
        }
        return Ok(());
    };
    let last = newest.records.last().map_or(newest.head.first.saturating_sub(1), |record| record.number);
    if last < filed {
        return Err(missing(&newest.path, (last + 1, filed)));
    }
    Ok(())
}

fn damaged(path: &Path, what: &str) -> Unusable {
    Unusable::Damaged(format!("`{}`: {what}; {ADVICE}", path.display()))
}

fn missing(behind: &Path, (first, last): (u64, u64)) -> Unusable {
    let what =
        format!("what was written as {first} to {last} is damaged or missing behind the sound records here");
    damaged(behind, &what)
}

const ADVICE: &str = "restore a backup, or move the folder `journal` away to go on with what is in the files \
    (what was answered last is then missing)";

/// The sound records of a segment. One that cannot be read is passed over: whether that matters is seen by the numbers.
fn records(segment: &[u8], head: Head) -> Vec<Found> {
    let mut rest = &segment[HEAD..];
    let mut found = Vec::new();
    let mut expected = head.first;
    while let Some((number, rows, behind)) = next_record(rest, head.seal, expected) {
        found.push(Found { number, rows: rows.to_vec() });
        expected = number + 1;
        rest = behind;
    }
    found
}

/// The record at the beginning of these bytes, or the next sound one of this turn behind it.
fn next_record(bytes: &[u8], seal: u64, expected: u64) -> Option<(u64, &[u8], &[u8])> {
    let most = expected + (bytes.len() / MARK) as u64;
    let later = |number| (expected..=most).contains(&number);
    record(bytes, seal, |number| number == expected)
        .or_else(|| (1..bytes.len()).find_map(|at| record(&bytes[at..], seal, later)))
}

fn record(bytes: &[u8], seal: u64, fits: impl Fn(u64) -> bool) -> Option<(u64, &[u8], &[u8])> {
    let (mark, rest) = bytes.split_at_checked(MARK)?;
    let number = u64::from_be_bytes(mark[8..].try_into().ok()?);
    if !fits(number) {
        return None;
    }
    let length = u32::from_be_bytes(mark[..4].try_into().ok()?) as usize;
    let sum = u32::from_be_bytes(mark[4..8].try_into().ok()?);
    let (rows, behind) = rest.split_at_checked(length)?;
    (checksum(seal, number, rows) == sum).then_some((number, rows, behind))
}

/// A message as far as the records say it.
#[derive(Default)]
struct Message {
    row: Option<Arc<MessageRow>>,
    content: Option<Arc<ContentRow>>,
    parts: Option<Arc<Vec<PartRow>>>,
    study: Option<StudyRow>,
    times: TimesRow,
}

#[derive(Default)]
struct Delivery {
    row: Option<Arc<DeliveryRow>>,
    payload: Option<Arc<PayloadRow>>,
    attempts: Option<Arc<PastAttempts>>,
}

/// Everything as it stands after the last record: of each row, the newest image counts.
pub(crate) fn replayed(found: &[Found]) -> Result<Filing, postcard::Error> {
    let mut messages: BTreeMap<u64, Message> = BTreeMap::new();
    let mut deliveries: BTreeMap<u64, Delivery> = BTreeMap::new();
    let mut filing = Filing::default();
    for record in found {
        let mut rest = &record.rows[..];
        while !rest.is_empty() {
            let (image, behind) = postcard::take_from_bytes(rest)?;
            rest = behind;
            match image {
                Image::Message(row) => {
                    let message = messages.entry(row.id).or_default();
                    message.row = Some(row);
                }
                Image::Content(id, content) => messages.entry(id).or_default().content = Some(content),
                Image::Parts(id, parts) => messages.entry(id).or_default().parts = Some(parts),
                Image::Delivery(row) => {
                    let delivery = deliveries.entry(row.id).or_default();
                    delivery.row = Some(row);
                }
                Image::Payload(id, payload) => deliveries.entry(id).or_default().payload = Some(payload),
                Image::Entry(entry) => filing.entries.push(entry),
                Image::Attempts(id, attempts) => deliveries.entry(id).or_default().attempts = Some(attempts),
                Image::Study(id, study) => messages.entry(id).or_default().study = Some(study),
                Image::Times(id, times) => messages.entry(id).or_default().times = times,
            }
        }
        filing.through = record.number;
    }
    let message = |Message { row, content, parts, study, times }| {
        let mut row = row?;
        let whole = Arc::make_mut(&mut row);
        (whole.study, whole.times) = (study, times);
        Some(FiledMessage { row, content, parts })
    };
    filing.messages = messages.into_values().filter_map(message).collect();
    let delivery = |Delivery { row, payload, attempts }| Some(FiledDelivery { row: row?, payload, attempts });
    filing.deliveries = deliveries.into_values().filter_map(delivery).collect();
    Ok(filing)
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, os::unix::fs::FileExt};

    use super::*;
    use crate::{journal::Journal, rows::Entry};

    fn image(name: &str) -> Image {
        Image::Entry(Arc::new(Entry::Switch { name: name.to_owned(), value: None }))
    }

    fn append(journal: &mut Journal, name: &str) -> u64 {
        journal.push(&image(name)).unwrap();
        journal.append().unwrap()
    }

    fn names(folder: &Path, filed: u64) -> Vec<String> {
        try_names(folder, filed).unwrap()
    }

    fn try_names(folder: &Path, filed: u64) -> Result<Vec<String>, String> {
        let name = |found: &Found| match postcard::from_bytes(&found.rows).unwrap() {
            Image::Entry(entry) => match &*entry {
                Entry::Switch { name, .. } => name.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let found = found(folder, filed, Ended::Suddenly).map_err(|unusable| format!("{unusable:?}"))?;
        Ok(found.iter().map(name).collect())
    }

    #[test]
    fn what_was_appended_is_found_and_what_is_filed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(names(folder.path(), 0).is_empty());
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        for name in ["a", "b", "c"] {
            append(&mut journal, name);
        }
        assert_eq!(names(folder.path(), 0), ["a", "b", "c"]);
        assert_eq!(names(folder.path(), 2), ["c"]);
    }

    #[test]
    fn a_torn_record_and_what_an_earlier_use_left_behind_it_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        for name in ["a", "b", "c"] {
            append(&mut journal, name);
        }
        drop(journal);
        // Filed, and written over from its beginning by the run after the next: `b` and `c` stand behind.
        append(&mut Journal::open(folder.path(), 4).unwrap(), "d");
        append(&mut Journal::open(folder.path(), 5).unwrap(), "e");
        assert_eq!(names(folder.path(), 3), ["d", "e"]);
        let path = segments(folder.path()).unwrap().remove(0);
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"x", (HEAD + MARK + 3) as u64).unwrap();
        assert_eq!(names(folder.path(), 3), ["d"]);
    }

    #[test]
    fn the_record_of_a_failed_append_is_void_once_another_stands_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        append(&mut journal, "a");
        append(&mut journal, "failed");
        journal.as_if_the_last_append_had_failed();
        append(&mut journal, "b");
        assert_eq!(names(folder.path(), 0), ["a", "b"]);
    }

    #[test]
    fn a_record_longer_than_a_segment_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        let long = "x".repeat((1 << 20) + 5);
        append(&mut journal, &long);
        append(&mut journal, "b");
        assert_eq!(names(folder.path(), 0), [long, "b".to_owned()]);
    }

    #[test]
    fn of_two_failures_in_a_row_the_last_segment_counts_whatever_the_files_are_called() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000007", "00000003", "00000009", "00000001"] {
            segments(folder.path()).unwrap();
            crate::journal::prepare(&folder.path().join("journal").join(name)).unwrap();
        }
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        for name in ["failed", "failed too", "failed again"] {
            append(&mut journal, name);
            journal.as_if_the_last_append_had_failed();
        }
        for name in ["a", "b", "c"] {
            append(&mut journal, name);
        }
        assert_eq!(names(folder.path(), 0), ["a", "b", "c"]);
    }

    /// Three records in each of two segments; returns the paths.
    fn two_segments(folder: &Path) -> Vec<PathBuf> {
        segments(folder).unwrap();
        for name in ["00000000", "00000001"] {
            crate::journal::prepare(&folder.join("journal").join(name)).unwrap();
        }
        let mut journal = Journal::open(folder, 1).unwrap();
        let filler = "x".repeat(300_000);
        for _ in 0..5 {
            append(&mut journal, &filler);
        }
        segments(folder).unwrap()
    }

    fn spoil(path: &Path, at: u64) {
        OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"#", at).unwrap();
    }

    #[test]
    fn a_record_damaged_before_sound_ones_is_told_and_nothing_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let paths = two_segments(folder.path());
        assert_eq!(names(folder.path(), 0).len(), 5);
        spoil(&paths[0], 400_000);
        let told = try_names(folder.path(), 0).unwrap_err();
        assert!(told.contains("as 2 to 2") && told.contains("journal/00000000"), "{told}");
        assert_eq!(names(folder.path(), 2).len(), 3, "what is in the files is not needed any more");
    }

    #[test]
    fn the_last_record_of_an_earlier_segment_was_answered_and_is_not_taken_for_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let paths = two_segments(folder.path());
        spoil(&paths[0], 800_000);
        let told = try_names(folder.path(), 0).unwrap_err();
        assert!(told.contains("as 3 to 3"), "{told}");
    }

    #[test]
    fn a_segment_that_is_gone_is_told_as_far_as_anything_can_tell() {
        let folder = tempfile::tempdir().unwrap();
        let paths = two_segments(folder.path());
        fs::remove_file(&paths[0]).unwrap();
        let told = try_names(folder.path(), 0).unwrap_err();
        assert!(told.contains("as 1 to 3"), "{told}");
        fs::remove_file(&paths[1]).unwrap();
        assert!(names(folder.path(), 0).is_empty(), "a person took the journal away");

        let folder = tempfile::tempdir().unwrap();
        let paths = two_segments(folder.path());
        fs::remove_file(&paths[1]).unwrap();
        let told = try_names(folder.path(), 4).unwrap_err();
        assert!(told.contains("as 4 to 4"), "{told}");
    }

    #[test]
    fn a_beginning_that_cannot_be_read_is_told_unless_the_last_run_ended_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths = two_segments(folder.path());
        spoil(&paths[1], 20);
        let told = try_names(folder.path(), 0).unwrap_err();
        assert!(told.contains("beginning"), "{told}");
        assert!(found(folder.path(), 5, Ended::Well).unwrap_or_else(|_| panic!()).is_empty());
    }

    #[test]
    fn a_torn_last_record_was_never_answered() {
        let folder = tempfile::tempdir().unwrap();
        let paths = two_segments(folder.path());
        spoil(&paths[1], 400_000);
        assert_eq!(names(folder.path(), 0).len(), 4);
    }

    #[test]
    fn the_first_record_of_a_run_may_be_torn_anywhere_and_what_the_run_before_wrote_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let long = "x".repeat(6000);
        append(&mut Journal::open(folder.path(), 1).unwrap(), &long);
        let before: Vec<(PathBuf, Vec<u8>)> = segments(folder.path())
            .unwrap()
            .into_iter()
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        append(&mut Journal::open(folder.path(), 2).unwrap(), &"y".repeat(6000));
        // The power went before the first page of it was on disk, and after the second.
        for (path, bytes) in before {
            OpenOptions::new().write(true).open(path).unwrap().write_all_at(&bytes[..4096], 0).unwrap();
        }
        assert!(try_names(folder.path(), 1).is_ok_and(|found| found.len() <= 1));
    }
}
