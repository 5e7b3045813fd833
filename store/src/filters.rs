//! Says at once, of nearly every message, that none like it came before.
//!
//! One filter (Bloom's) for each run of 65,536 messages: what it does not know is not there; what it knows is looked up.
//! Those of the newest runs are in memory, 64 together once they are complete, those of older ones in files: a look costs
//! little however much is kept.

pub(crate) mod columns;
pub(crate) mod square;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use columns::Columns;
use square::{Square, TOGETHER};

/// A message's number, cut to its run.
pub(crate) const fn run_of(message: u64) -> u64 {
    message >> 16
}

/// The group that shares a file with this run.
pub(crate) const fn group_of(run: u64) -> u64 {
    run / TOGETHER
}

/// The filters of so many groups are in memory, the current one counted.
const GROUPS: u64 = 4;
/// A run is surely complete when so many have begun after it.
const LATER: u64 = 2;
/// More than so many, where their files cannot be written, are looked up instead.
const MOST: usize = 512;
/// With 24 bits for each message and so many of them set, a run takes one in 24,000 for its own that is not: each such
/// one is looked up in a file, by the thread that writes, and ten million messages are 153 runs.
const BITS: usize = 3 << 19;
const PROBES: u32 = 8;

#[derive(Default)]
pub(crate) struct Filters {
    recent: BTreeMap<u64, Filter>,
    /// Groups of which every run is complete.
    squares: BTreeMap<u64, Square>,
    older: BTreeMap<u64, Columns>,
    /// Groups that no filter is known of.
    unknown: BTreeSet<u64>,
}

#[derive(Clone)]
pub(crate) struct Filter {
    words: Arc<[u64]>,
    /// When the newest of the run was received.
    newest: i64,
    /// It is in its span's file.
    is_filed: bool,
}

/// The filters of one group, on their way into a file.
pub(crate) struct Group {
    pub(crate) number: u64,
    pub(crate) square: Square,
    /// Set once it is written.
    pub(crate) columns: Option<Columns>,
}

/// Where a copy may be.
pub(crate) struct Maybe {
    /// Runs whose filter knows it, newest first.
    pub(crate) runs: Vec<u64>,
    /// Groups that nothing is known of: all their runs may hold it.
    pub(crate) unknown: Vec<u64>,
}

/// The first group whose filters are in memory, where `run` is the newest.
pub(crate) fn first_in_memory(run: u64) -> u64 {
    (group_of(run) + 1).saturating_sub(GROUPS)
}

impl Filters {
    pub(crate) fn add(&mut self, message: u64, mark: i64, received: i64) {
        let run = run_of(message);
        if let Some(square) = self.squares.get_mut(&group_of(run)) {
            return square.set(run % TOGETHER, mark, received);
        }
        // One that comes after its group went into a file is known in memory alone.
        let is_late = self.older.contains_key(&group_of(run));
        let filter = self.recent.entry(run).or_insert_with(Filter::empty);
        filter.set(mark);
        // One that comes late belongs into the filter that is filed, too.
        filter.is_filed = is_late;
        filter.newest = filter.newest.max(received);
        while self.recent.len() + self.squares.len() * TOGETHER as usize > MOST {
            let oldest = self.squares.pop_first().map(|(group, _)| group);
            let oldest = oldest.or_else(|| self.recent.pop_first().map(|(run, _)| group_of(run)));
            self.unknown.extend(oldest);
        }
    }

    /// Whether a look reads files.
    pub(crate) fn has_older(&self) -> bool {
        !self.older.is_empty()
    }

    /// Where `mark` may be, among messages received since `oldest`.
    pub(crate) fn look(&self, mark: i64, oldest: i64) -> Maybe {
        let recent = self.recent.iter().rev().filter(|(_, filter)| filter.newest >= oldest);
        let mut runs: Vec<u64> = recent.filter(|(_, filter)| filter.has(mark)).map(|(run, _)| *run).collect();
        let mut unknown: Vec<u64> = self.unknown.iter().copied().collect();
        for (group, square) in self.squares.iter().rev() {
            runs.extend(runs_of(*group, square.look(mark, oldest)));
        }
        for (group, columns) in self.older.iter().rev() {
            match columns.look(mark, oldest) {
                Ok(bits) => runs.extend(runs_of(*group, bits)),
                Err(_) => unknown.push(*group),
            }
        }
        Maybe { runs, unknown }
    }

    /// Takes a filter that was kept, or one that was made anew.
    pub(crate) fn take(&mut self, run: u64, filter: Filter) {
        self.recent.insert(run, filter);
    }

    /// Takes the filters of a group, as they lie in its file; `None` where they do not.
    pub(crate) fn take_older(&mut self, group: u64, columns: Option<Columns>) {
        match columns {
            Some(columns) => drop(self.older.insert(group, columns)),
            None => drop(self.unknown.insert(group)),
        }
    }

    /// Filters of runs that are surely complete, to be filed; each is given once.
    pub(crate) fn complete(&mut self, newest_message: u64) -> Vec<(u64, i64, Vec<u8>)> {
        let current = run_of(newest_message);
        let complete =
            self.recent.iter_mut().filter(|(run, filter)| **run + LATER <= current && !filter.is_filed);
        let mut complete: Vec<_> = complete
            .map(|(run, filter)| {
                filter.is_filed = true;
                (*run, filter.newest, filter.bytes())
            })
            .collect();
        for (group, square) in &mut self.squares {
            let unfiled = square.take_unfiled().into_iter();
            complete.extend(
                unfiled.map(|(place, filter)| (group * TOGETHER + place, filter.newest, filter.bytes())),
            );
        }
        self.gather(newest_message);
        complete
    }

    /// Puts the filters of each group together whose runs are all complete.
    pub(crate) fn gather(&mut self, newest_message: u64) {
        let first = group_of(run_of(newest_message).saturating_sub(LATER));
        let alone = |filters: &Self, group: &u64| {
            *group < first && !filters.is_settled(*group) && !filters.squares.contains_key(group)
        };
        while let Some(group) = self.recent.keys().map(|run| group_of(*run)).find(|group| alone(self, group))
        {
            let runs = self.recent.range(group * TOGETHER..(group + 1) * TOGETHER);
            self.squares.insert(group, Square::of(runs.map(|(run, filter)| (run % TOGETHER, filter))));
            self.recent.retain(|run, _| group_of(*run) != group);
        }
    }

    /// The oldest group in memory, where it is time for it to go into a file.
    pub(crate) fn leaving(&self, newest_message: u64) -> Option<Group> {
        let first = first_in_memory(run_of(newest_message));
        let (number, square) =
            self.squares.iter().find(|(group, _)| **group < first && !self.is_settled(**group))?;
        Some(Group { number: *number, square: square.clone(), columns: None })
    }

    /// They are in a file: memory has room for others.
    pub(crate) fn has_left(&mut self, group: Group) {
        let Group { number, columns: Some(columns), .. } = group else { return };
        if self.is_settled(number) {
            return;
        }
        self.older.insert(number, columns);
        self.squares.remove(&number);
    }

    fn is_settled(&self, group: u64) -> bool {
        self.older.contains_key(&group) || self.unknown.contains(&group)
    }

    /// Everything in these groups and before is forgotten.
    pub(crate) fn forget_before(&mut self, group: u64) {
        self.squares = self.squares.split_off(&group);
        self.older = self.older.split_off(&group);
        self.unknown = self.unknown.split_off(&group);
    }
}

/// The runs of a group whose bits are set, newest first.
fn runs_of(group: u64, bits: u64) -> impl Iterator<Item = u64> {
    let places = (0..TOGETHER).rev().filter(move |place| bits >> place & 1 == 1);
    places.map(move |place| group * TOGETHER + place)
}

impl Filter {
    fn empty() -> Self {
        Self { words: vec![0; BITS / 64].into(), newest: i64::MIN, is_filed: false }
    }

    pub(crate) fn of(marks: &[i64], newest: i64) -> Self {
        let mut filter = Self { newest, ..Self::empty() };
        for mark in marks {
            filter.set(*mark);
        }
        filter
    }

    /// One that was kept; `None` where its bytes are of another length.
    pub(crate) fn kept(bytes: &[u8], newest: i64) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Arc<[u64]> = words.iter().map(|word| u64::from_be_bytes(*word)).collect();
        (words.len() == BITS / 64 && rest.is_empty()).then_some(Self { words, newest, is_filed: true })
    }

    fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn set(&mut self, mark: i64) {
        // Shared for as long as it is on its way into a file.
        let words = Arc::make_mut(&mut self.words);
        for place in places(mark) {
            words[place / 64] |= 1 << (place % 64);
        }
    }

    fn has(&self, mark: i64) -> bool {
        places(mark).all(|place| self.words[place / 64] & (1 << (place % 64)) != 0)
    }
}

/// The mark is a piece of a hash: its two halves are as good as two hashes.
fn places(mark: i64) -> impl Iterator<Item = usize> {
    let (low, high) = (mark as u32, ((mark as u64) >> 32) as u32 | 1);
    (0..PROBES).map(move |probe| low.wrapping_add(probe.wrapping_mul(high)) as usize % BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spread as a hash spreads.
    fn mark(number: u64) -> i64 {
        (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
            as i64
    }

    #[test]
    fn what_was_added_is_known_and_little_else_is() {
        let mut filters = Filters::default();
        for message in 0..65_536 {
            filters.add(message, mark(message), 10);
        }
        assert!((0..65_536).all(|message| filters.look(mark(message), 5).runs == [0]));
        let wrong = (100_000..200_000).filter(|other| !filters.look(mark(*other), 5).runs.is_empty()).count();
        assert!(wrong < 50, "{wrong} of 100,000");
        assert!(filters.look(mark(1), 11).runs.is_empty(), "too old to count");
    }

    #[test]
    fn a_filter_that_was_kept_is_the_same_filter() {
        let filter = Filter::of(&[mark(1), mark(2)], 7);
        let kept = Filter::kept(&filter.bytes(), 7).unwrap();
        assert!(kept.has(mark(1)) && kept.has(mark(2)) && !kept.has(mark(3)));
        assert!(Filter::kept(&[1, 2, 3], 7).is_none());
    }

    #[test]
    fn a_look_at_many_more_runs_than_memory_holds_names_the_right_one_and_leaves_nothing_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let mut filters = Filters::default();
        let message = |run: u64| run << 16 | 7;
        for run in 0..700 {
            filters.add(message(run), mark(run), run as i64);
            filters.complete(message(run));
            if let Some(mut group) = filters.leaving(message(run)) {
                group.columns = Columns::write(folder.path(), group.number, &group.square).ok();
                filters.has_left(group);
            }
        }
        assert!(filters.recent.len() <= (TOGETHER + LATER) as usize, "{}", filters.recent.len());
        assert!(filters.squares.len() < GROUPS as usize && filters.older.len() > 3);
        for run in 0..700 {
            let Maybe { runs, unknown } = filters.look(mark(run), i64::MIN);
            assert!(
                runs.contains(&run) && runs.len() < 5 && unknown.is_empty(),
                "{run}: {runs:?} {unknown:?}"
            );
            assert!(!filters.look(mark(run), run as i64 + 1).runs.contains(&run), "too old to count");
        }
        assert!(filters.look(mark(5000), i64::MIN).runs.is_empty());
        // A late one is known too.
        filters.add(message(3), mark(8000), 3);
        assert_eq!(filters.look(mark(8000), i64::MIN).runs, [3]);
        assert!(filters.complete(message(700)).iter().all(|(run, ..)| *run > 3), "its filed one stays");
        filters.forget_before(2);
        assert!(!filters.look(mark(100), i64::MIN).runs.contains(&100));
    }
}
