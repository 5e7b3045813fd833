//! How values stand in columns: states as numbers, times as nanoseconds, lists as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::{AnswerState, DeliveryState, Hash, MessageState, Outcome, Why};
use rusqlite::{Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};

/// A word kept as a number: its place in `ORDER`, from 2. `SQLite` writes 0 and 1 in no byte at all, and a row
/// that grows may have to move.
///
/// The order is what is on disk: words are added at the end, and the schema's indexes name some numbers.
pub(crate) trait Coded: Copy + PartialEq + 'static {
    const ORDER: &'static [Self];

    fn code(self) -> i64 {
        let place = Self::ORDER.iter().position(|word| *word == self);
        place.expect("every word has its place in the order") as i64 + 2
    }

    fn of(code: i64) -> rusqlite::Result<Self> {
        let place = usize::try_from(code - 2).ok();
        let word = place.and_then(|place| Self::ORDER.get(place)).copied();
        word.ok_or(rusqlite::Error::IntegralValueOutOfRange(0, code))
    }
}

impl Coded for MessageState {
    const ORDER: &'static [Self] = &[
        Self::Kept,
        Self::Queued,
        Self::Filtered,
        Self::Unrouted,
        Self::Refused,
        Self::Failed,
        Self::Held,
        Self::Superseded,
    ];
}

impl Coded for DeliveryState {
    const ORDER: &'static [Self] =
        &[Self::Waiting, Self::Begun, Self::Sent, Self::Unsure, Self::SetAside, Self::GivenUp, Self::Dropped];
}

impl Coded for Outcome {
    const ORDER: &'static [Self] = &[
        Self::Accepted,
        Self::Filtered,
        Self::Unrouted,
        Self::Unreadable,
        Self::Refused,
        Self::Failed,
        Self::Unavailable,
    ];
}

impl Coded for AnswerState {
    const ORDER: &'static [Self] = &[Self::Owed, Self::Told, Self::Untold, Self::NotOwed, Self::Unavailable];
}

/// The word of a number that may be missing.
pub(crate) fn maybe<T: Coded>(code: Option<i64>) -> rusqlite::Result<Option<T>> {
    code.map(T::of).transpose()
}

/// A state by the word people write (`given_up`).
pub(crate) fn by_name<T: Coded + Serialize>(name: &str) -> Option<T> {
    T::ORDER.iter().copied().find(|word| serde_json::to_value(word).is_ok_and(|value| value == name))
}

/// Nanoseconds since 1970; exact until the year 2262.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

pub(crate) fn time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// An instant as people read it: RFC 3339 in UTC, to the millisecond.
pub(crate) fn written(nanoseconds: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => String::new(),
    }
}

/// A value as a JSON column.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("values of the contract have text keys and no foreign serializer")
}

/// A list or map as a JSON column, nothing where it is empty.
pub(crate) fn json_unless<T: Serialize + ?Sized>(empty: bool, value: &T) -> Option<String> {
    (!empty).then(|| json(value))
}

/// Reads a reason back: with its kind, or as the words alone that stood in older stores.
pub(crate) fn kept_why(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Why>> {
    Ok(row.get::<_, Option<String>>(column)?.map(Why::of_kept))
}

/// Reads a JSON column back.
pub(crate) fn parsed<T: DeserializeOwned>(column: &str) -> rusqlite::Result<T> {
    serde_json::from_str(column)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

/// Reads a JSON column back that is missing where it would be empty.
pub(crate) fn parsed_or_default<T: DeserializeOwned + Default>(
    column: Option<String>,
) -> rusqlite::Result<T> {
    column.map_or_else(|| Ok(T::default()), |column| parsed(&column))
}

/// 64 bits of a hash, for an index: equal hashes have equal bits, and whoever finds some compares the rest.
pub(crate) fn bits(hash: &Hash) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.0[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_the_schema_names_are_those_of_the_words() {
        assert_eq!(MessageState::Kept.code(), 2);
        assert_eq!(MessageState::Queued.code(), 3);
        assert_eq!(DeliveryState::Waiting.code(), 2);
        assert_eq!(DeliveryState::Sent.code(), 4);
        assert_eq!(DeliveryState::Unsure.code(), 5);
    }

    #[test]
    fn every_word_comes_back_from_its_number() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::of(outcome.code()).unwrap(), outcome);
        }
        assert!(Outcome::of(1).is_err());
        assert_eq!(maybe::<Outcome>(None).unwrap(), None);
    }

    #[test]
    fn times_come_back_to_the_nanosecond_before_1970_too() {
        for nanos in [0, 1, -1, 1_763_000_000_123_456_789, -5_000_000_001] {
            assert_eq!(nanoseconds(time(nanos)), nanos);
        }
        assert_eq!(written(1_000_000), "1970-01-01T00:00:00.001Z");
    }

    #[test]
    fn a_state_is_known_by_the_word_people_write() {
        assert_eq!(by_name::<DeliveryState>("given_up"), Some(DeliveryState::GivenUp));
        assert_eq!(by_name::<MessageState>("given_up"), None);
    }
}
