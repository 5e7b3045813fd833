//! The filters of 64 runs seen from the side: for each bit of a filter a word, that bit of each run.
//!
//! One look asks all of them, by a few words that lie far apart; one by one they would be 64 times as many such places.

use std::sync::Arc;

use super::{BITS, Filter, places};

/// How many runs stand together: as many as a word has bits.
pub(crate) const TOGETHER: u64 = 64;

#[derive(Clone)]
pub(crate) struct Square {
    words: Arc<[u64]>,
    /// When the newest of each run was received.
    newest: [i64; TOGETHER as usize],
    /// The runs whose filter is not in its span's file as it stands, a bit each.
    unfiled: u64,
}

impl Square {
    /// Of filters by the place of their run.
    pub(crate) fn of<'a>(filters: impl Iterator<Item = (u64, &'a Filter)>) -> Self {
        let mut rows: [Option<&Filter>; TOGETHER as usize] = [None; TOGETHER as usize];
        filters.for_each(|(place, filter)| rows[place as usize] = Some(filter));
        let mut words = Vec::with_capacity(BITS);
        for word in 0..BITS / 64 {
            let mut square = rows.map(|row| row.map_or(0, |filter| filter.words[word]));
            transpose(&mut square);
            words.extend(square);
        }
        let newest = rows.map(|row| row.map_or(i64::MIN, |filter| filter.newest));
        let unfiled = |place: &usize| rows[*place].is_some_and(|filter| !filter.is_filed);
        let unfiled = (0..TOGETHER as usize).filter(unfiled).fold(0, |runs, place| runs | 1 << place);
        Self { words: words.into(), newest, unfiled }
    }

    pub(super) fn newest(&self) -> &[i64] {
        &self.newest
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// One that comes late belongs into the filter that is filed, too.
    pub(super) fn set(&mut self, place: u64, mark: i64, received: i64) {
        // Shared for as long as it is on its way into a file.
        let words = Arc::make_mut(&mut self.words);
        places(mark).for_each(|bit| words[bit] |= 1 << place);
        let newest = &mut self.newest[place as usize];
        *newest = received.max(*newest);
        self.unfiled |= 1 << place;
    }

    /// The runs that may hold `mark`, among those with messages received since `oldest`: a bit each.
    pub(super) fn look(&self, mark: i64, oldest: i64) -> u64 {
        let mut runs = since(&self.newest, oldest);
        for bit in places(mark) {
            runs &= self.words[bit];
            if runs == 0 {
                break;
            }
        }
        runs
    }

    /// The filters that are to be filed, by the place of their run; each is given once.
    pub(super) fn take_unfiled(&mut self) -> Vec<(u64, Filter)> {
        let runs = std::mem::take(&mut self.unfiled);
        (0..TOGETHER)
            .filter(|place| runs >> place & 1 == 1)
            .map(|place| (place, self.filter(place)))
            .collect()
    }

    fn filter(&self, place: u64) -> Filter {
        let (squares, _) = self.words.as_chunks::<64>();
        let row = |square: &[u64; 64]| {
            square.iter().enumerate().fold(0, |word, (bit, column)| word | (column >> place & 1) << bit)
        };
        let words = squares.iter().map(row).collect();
        Filter { words, newest: self.newest[place as usize], is_filed: true }
    }
}

/// The runs with messages received since then: a bit each.
pub(super) fn since(newest: &[i64; TOGETHER as usize], oldest: i64) -> u64 {
    let recent = newest.iter().enumerate().filter(|(_, newest)| **newest >= oldest);
    recent.fold(0, |runs, (place, _)| runs | 1 << place)
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
    fn a_filter_comes_back_as_it_went_in_with_what_came_late() {
        let marks: Vec<i64> = (1..500_i64).map(|number| number.wrapping_mul(0x5851_F42D_4C95_7F2D)).collect();
        let (first, other) = (Filter::of(&marks[..200], 3), Filter::of(&marks[200..400], 7));
        let mut square = Square::of([(0, &first), (63, &other)].into_iter());
        assert_eq!(square.look(marks[300], 7), 1 << 63);
        assert_eq!(square.look(marks[300], 8), 0, "too old to count");
        assert_eq!(square.take_unfiled().len(), 2, "neither was filed");
        square.set(63, marks[450], 9);
        let late = square.take_unfiled();
        let with_late: Vec<i64> = marks[200..400].iter().chain([&marks[450]]).copied().collect();
        assert!(late.len() == 1 && late[0].0 == 63 && late[0].1.newest == 9);
        assert_eq!(late[0].1.words, Filter::of(&with_late, 9).words);
        assert!(square.take_unfiled().is_empty());
    }
}
