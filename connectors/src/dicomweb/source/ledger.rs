//! Which instances of a server were taken, kept across restarts, and no longer than the search finds their study.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use engine::Hash;

/// So many lines more than are needed are let stand.
const SLACK: usize = 10_000;

/// What was taken, study by study. Names are kept as hashes: none of them is anybody's business here.
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    studies: HashMap<u64, Study>,
    lines: usize,
    round: u64,
}

#[derive(Default)]
struct Study {
    taken: HashSet<u64>,
    /// How many instances the server said it has, when all of them were taken.
    whole: Option<u64>,
    /// The search that found it last.
    found: u64,
}

impl Ledger {
    /// Opens the ledger of a channel. `what` is what it is of: another search begins anew.
    pub(super) fn open(folder: &Path, channel: &str, what: &[&str]) -> io::Result<Self> {
        let what: Vec<&[u8]> = [channel].iter().chain(what).map(|part| part.as_bytes()).collect();
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{:.32}.instances", Hash::of(&what).to_string()));
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let mut ledger = Self { path, file, studies: HashMap::new(), lines: 0, round: 0 };
        ledger.read()?;
        Ok(ledger)
    }

    fn read(&mut self) -> io::Result<()> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        for line in BufReader::new(self.file.try_clone()?).lines() {
            self.lines += 1;
            // A line that a crash has torn says nothing; its instance is known by its message.
            let Ok(line) = line else { continue };
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["taken", study, instance] => {
                    if let (Some(study), Some(instance)) = (number(study), number(instance)) {
                        self.studies.entry(study).or_default().taken.insert(instance);
                    }
                }
                ["whole", study, count] => {
                    if let (Some(study), Some(count)) = (number(study), number(count)) {
                        self.studies.entry(study).or_default().whole = Some(count);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn begin(&mut self) {
        self.round += 1;
    }

    /// Whether all of a study was taken when it had so many instances. Counts it as found.
    pub(super) fn is_whole(&mut self, study: &str, count: Option<u64>) -> bool {
        let round = self.round;
        let study = self.studies.entry(key(study)).or_default();
        study.found = round;
        count.is_some() && study.whole == count
    }

    pub(super) fn knows(&self, study: &str, instance: &str) -> bool {
        self.studies.get(&key(study)).is_some_and(|study| study.taken.contains(&key(instance)))
    }

    pub(super) fn taken(&mut self, study: &str, instance: &str) -> io::Result<()> {
        let (study, instance) = (key(study), key(instance));
        writeln!(self.file, "taken {study:016x} {instance:016x}")?;
        self.lines += 1;
        self.studies.entry(study).or_default().taken.insert(instance);
        Ok(())
    }

    pub(super) fn whole(&mut self, study: &str, count: u64) -> io::Result<()> {
        let study = key(study);
        writeln!(self.file, "whole {study:016x} {count:016x}")?;
        self.lines += 1;
        self.studies.entry(study).or_default().whole = Some(count);
        Ok(())
    }

    /// A search has come to its end: forgets the studies that it did not find.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let round = self.round;
        self.studies.retain(|_, study| study.found == round);
        let needed: usize = self.studies.values().map(|study| study.taken.len() + 1).sum();
        if self.lines > 2 * needed + SLACK { self.write_anew() } else { Ok(()) }
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut writer = BufWriter::new(File::create(&fresh)?);
        let mut lines = 0;
        for (study, kept) in &self.studies {
            for instance in &kept.taken {
                writeln!(writer, "taken {study:016x} {instance:016x}")?;
            }
            if let Some(count) = kept.whole {
                writeln!(writer, "whole {study:016x} {count:016x}")?;
            }
            lines += kept.taken.len() + 1;
        }
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let file = OpenOptions::new().read(true).append(true).open(&fresh)?;
        fs::rename(&fresh, &self.path)?;
        (self.file, self.lines) = (file, lines);
        Ok(())
    }
}

fn key(uid: &str) -> u64 {
    let hash = Hash::of(&[uid.as_bytes()]);
    let (first, _) = hash.0.split_first_chunk().expect("a hash has more than eight bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_after_a_restart_and_forgotten_with_its_study() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Ledger::open(folder.path(), "ct", &["http://h", "q"]).unwrap();
        let mut ledger = open();
        ledger.begin();
        assert!(!ledger.is_whole("1.2", Some(2)) && !ledger.is_whole("1.3", None));
        ledger.taken("1.2", "1.2.1").unwrap();
        ledger.taken("1.3", "1.3.1").unwrap();
        ledger.whole("1.2", 2).unwrap();
        drop(ledger);
        let mut ledger = open();
        ledger.begin();
        assert!(
            ledger.knows("1.2", "1.2.1") && !ledger.knows("1.2", "1.2.2") && ledger.knows("1.3", "1.3.1")
        );
        assert!(
            ledger.is_whole("1.2", Some(2))
                && !ledger.is_whole("1.2", Some(3))
                && !ledger.is_whole("1.2", None)
        );
        ledger.end().unwrap();
        assert!(!ledger.knows("1.3", "1.3.1"));
        let other = Ledger::open(folder.path(), "ct", &["http://h", "other"]).unwrap();
        assert!(!other.knows("1.2", "1.2.1"));
    }

    #[test]
    fn it_grows_no_longer_than_what_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), "ct", &[]).unwrap();
        for number in 0..30_000_u32 {
            ledger.begin();
            let study = format!("1.{number}");
            assert!(!ledger.is_whole(&study, None));
            ledger.taken(&study, &study).unwrap();
            ledger.end().unwrap();
        }
        let lines = fs::read_to_string(&ledger.path).unwrap().lines().count();
        assert!(lines < 2 * SLACK, "{lines}");
    }
}
