//! Dates and times of HL7 as FHIR's `date`, `dateTime`, `instant`, `time` and `Period`.

use super::Element;
use crate::{
    run,
    time::{Precision, Time},
};

/// A time as precise as it is written; a date where only its date can be read.
fn read(text: &str) -> Option<Time> {
    let zone = run::zone();
    let sound = |time: &Time| time.zoned.year() >= 1 && time.zoned.offset().seconds().abs() <= 14 * 3600;
    let whole = Time::parse(text, &zone).filter(sound);
    whole.or_else(|| {
        let date = text.trim().get(..8)?;
        let is_date = date.bytes().all(|byte| byte.is_ascii_digit());
        Time::parse(date, &zone).filter(sound).filter(|_| is_date)
    })
}

/// `2026-03-01`, of a time too.
pub(crate) fn date(text: &str) -> Option<String> {
    let time = read(text)?;
    let precision = time.precision.min(Precision::Day);
    Some(Time { precision, ..time }.iso())
}

/// `2026-03-01T08:00:00+01:00`, or as much of it as is known.
pub(crate) fn date_time(text: &str) -> Option<String> {
    read(text).map(|time| time.iso())
}

/// A time with its clock; none where only a date is known.
pub(crate) fn instant(text: &str) -> Option<String> {
    read(text).filter(|time| time.precision >= Precision::Hour).map(|time| time.iso())
}

/// `08:30:00`.
pub(crate) fn time_of_day(text: &str) -> Option<String> {
    let clock = text.trim().split(['+', '-']).next()?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, ""), |(clock, rest)| (clock, rest));
    let compact = clock.replace(':', "");
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(&compact) || !is_digits(fraction) || !matches!(compact.len(), 2 | 4 | 6) {
        return None;
    }
    let full = format!("{compact:0<6}");
    let below = |at: usize, limit: u8| full[at..at + 2].parse::<u8>().is_ok_and(|number| number < limit);
    if !below(0, 24) || !below(2, 60) || !below(4, 60) {
        return None;
    }
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    Some(format!("{}:{}:{}{fraction}", &full[..2], &full[2..4], &full[4..6]))
}

/// A period; without its end where that lies before its start.
pub(crate) fn period(start: &str, end: &str) -> Element {
    let (start, end) = (read(start), read(end));
    let is_sound = match (&start, &end) {
        (Some(start), Some(end)) => start.zoned <= end.zoned,
        _ => true,
    };
    let end = end.filter(|_| is_sound);
    Element::default().with("start", start.map(|time| time.iso())).with("end", end.map(|time| time.iso()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_precision_and_nonsense_is_none() {
        assert_eq!(date("197006010912").unwrap(), "1970-06-01");
        assert_eq!(date("1970").unwrap(), "1970");
        assert_eq!(date_time("20130408141909.0+0000").unwrap(), "2013-04-08T14:19:09.0+00:00");
        assert_eq!(date_time("20260301abc").unwrap(), "2026-03-01");
        assert_eq!(instant("20260301"), None);
        for text in ["", "00000000", "20261399", "yesterday", "04/24/2007", "é2345678"] {
            assert_eq!(date_time(text), None, "{text}");
        }
        assert_eq!(time_of_day("0830").unwrap(), "08:30:00");
        assert_eq!(time_of_day("083015.5+0100").unwrap(), "08:30:15.5");
        assert_eq!(time_of_day("2530"), None);
        assert_eq!(time_of_day("x"), None);
    }

    #[test]
    fn a_period_that_ends_before_it_starts_has_no_end() {
        let map = period("20260302", "20260301").map().unwrap();
        assert!(map.contains_key("start") && !map.contains_key("end"));
    }
}
