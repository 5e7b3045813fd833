//! What part of a channel's messages went wrong within the last quarter of an hour.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

/// Minutes that are looked back on.
const MINUTES: i64 = 15;

/// Of fewer wrong ones no share is told: one of two is no sign.
const LEAST: u64 = 10;

/// The counts of each channel at the beginning of each of the last minutes.
#[derive(Default)]
pub(super) struct Shares(HashMap<String, VecDeque<(i64, u64, u64)>>);

impl Shares {
    /// The share in percent, and the two numbers it is made of.
    pub(super) fn share(
        &mut self,
        channel: &str,
        (all, wrong): (u64, u64),
        now: Timestamp,
    ) -> Option<(f64, u64, u64)> {
        let minute = now.as_second() / 60;
        let marks = self.0.entry(channel.to_owned()).or_default();
        if marks.back().is_none_or(|mark| mark.0 != minute) {
            marks.push_back((minute, all, wrong));
        }
        while marks.front().is_some_and(|mark| mark.0 < minute - MINUTES) {
            marks.pop_front();
        }
        let (_, all_before, wrong_before) = *marks.front()?;
        let (all, wrong) = (all.saturating_sub(all_before), wrong.saturating_sub(wrong_before));
        (wrong >= LEAST).then(|| (wrong as f64 * 100.0 / all.max(1) as f64, wrong, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_last_quarter_of_an_hour() {
        let at = |minute: i64| Timestamp::from_second(1_800_000_000 + minute * 60).unwrap();
        let mut shares = Shares::default();
        assert_eq!(shares.share("lab", (1000, 500), at(0)), None, "what was before the first look");
        assert_eq!(shares.share("lab", (1010, 509), at(1)), None, "nine are too few");
        assert_eq!(shares.share("lab", (1040, 510), at(2)), Some((25.0, 10, 40)));
        assert_eq!(shares.share("lab", (1100, 510), at(18)), None, "those are too long ago");
    }
}
