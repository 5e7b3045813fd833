//! Says at once, of nearly every message, that none like it came before.
//!
//! One filter (Bloom's) for each run of 65,536 messages: what it does not know is not there; what it knows is looked up.

use std::collections::BTreeMap;

/// A message's number, cut to its run.
pub(crate) const fn run_of(message: u64) -> u64 {
    message >> 16
}

/// How many filters are in memory; older runs are looked up.
const RUNS: usize = 256;
const BITS: usize = 1 << 20;
const PROBES: u32 = 4;

#[derive(Default)]
pub(crate) struct Filters(BTreeMap<u64, Filter>);

pub(crate) struct Filter {
    words: Box<[u64]>,
    /// When the newest of the run was received.
    newest: i64,
    /// It is in its span's file.
    is_filed: bool,
}

/// Where a copy may be.
pub(crate) struct Maybe {
    /// Runs whose filter knows it, newest first.
    pub(crate) runs: Vec<u64>,
    /// Set where messages of runs before this one may be recent enough too: no filter of them is here.
    pub(crate) unknown_before: Option<u64>,
}

impl Filters {
    pub(crate) fn add(&mut self, message: u64, mark: i64, received: i64) {
        let filter = self.0.entry(run_of(message)).or_insert_with(Filter::empty);
        filter.set(mark);
        // One that comes late belongs into the filter that is filed, too.
        filter.is_filed = false;
        filter.newest = filter.newest.max(received);
        while self.0.len() > RUNS {
            self.0.pop_first();
        }
    }

    /// Where `mark` may be, among messages received since `oldest`.
    pub(crate) fn look(&self, mark: i64, oldest: i64) -> Maybe {
        let recent = self.0.iter().rev().filter(|(_, filter)| filter.newest >= oldest);
        let runs = recent.filter(|(_, filter)| filter.has(mark)).map(|(run, _)| *run).collect();
        let first = self.0.first_key_value().filter(|(_, filter)| filter.newest >= oldest);
        Maybe { runs, unknown_before: first.map(|(run, _)| *run) }
    }

    /// Takes a filter that was kept, or one that was made anew.
    pub(crate) fn take(&mut self, run: u64, filter: Filter) {
        self.0.insert(run, filter);
    }

    /// Filters of runs that are surely complete, to be filed; each is given once.
    pub(crate) fn complete(&mut self, newest_message: u64) -> Vec<(u64, i64, Vec<u8>)> {
        let current = run_of(newest_message);
        let complete = self.0.iter_mut().filter(|(run, filter)| **run + 2 <= current && !filter.is_filed);
        complete
            .map(|(run, filter)| {
                filter.is_filed = true;
                (*run, filter.newest, filter.bytes())
            })
            .collect()
    }
}

impl Filter {
    fn empty() -> Self {
        Self { words: vec![0; BITS / 64].into_boxed_slice(), newest: i64::MIN, is_filed: false }
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
        let words: Box<[u64]> = words.iter().map(|word| u64::from_be_bytes(*word)).collect();
        (words.len() == BITS / 64 && rest.is_empty()).then_some(Self { words, newest, is_filed: true })
    }

    fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn set(&mut self, mark: i64) {
        for place in places(mark) {
            self.words[place / 64] |= 1 << (place % 64);
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
        assert!(wrong < 1000, "{wrong} of 100,000");
        assert!(filters.look(mark(1), 11).runs.is_empty(), "too old to count");
    }

    #[test]
    fn a_filter_that_was_kept_is_the_same_filter() {
        let filter = Filter::of(&[mark(1), mark(2)], 7);
        let kept = Filter::kept(&filter.bytes(), 7).unwrap();
        assert!(kept.has(mark(1)) && kept.has(mark(2)) && !kept.has(mark(3)));
        assert!(Filter::kept(&[1, 2, 3], 7).is_none());
    }
}
