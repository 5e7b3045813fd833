//! Dates and times of HL7 as FHIR's `date`, `dateTime`, `instant`, `time` and `Period`.

use jiff::tz::TimeZone;

use super::Element;
use crate::{
    run,
    time::{Precision, Time},
};

/// The zone of a message's times without an offset: the offset that MSH-7 names is meant for all of them, says HL7. Where the
/// channel's zone had that offset then, it is that zone, which knows the other half of the year too.
pub(crate) fn message_zone(written: &str) -> TimeZone {
    let zone = run::zone();
    let Some(time) = Time::parse(written, &zone).filter(|time| time.has_offset) else { return zone };
    let offset = time.zoned.offset();
    if zone.to_offset(time.zoned.timestamp()) == offset { zone } else { offset.to_time_zone() }
}

/// A time as precise as it is written; a date where only its date can be read.
fn read(text: &str, zone: &TimeZone) -> Option<Time> {
    let sound = |time: &Time| time.zoned.year() >= 1 && time.zoned.offset().seconds().abs() <= 14 * 3600;
    let whole = Time::parse(text, zone).filter(sound);
    whole.or_else(|| {
        let date = text.trim().get(..8)?;
        let is_date = date.bytes().all(|byte| byte.is_ascii_digit());
        Time::parse(date, zone).filter(sound).filter(|_| is_date)
    })
}

/// `2026-03-01`, of a time too.
pub(crate) fn date(text: &str, zone: &TimeZone) -> Option<String> {
    let time = read(text, zone)?;
    let precision = time.precision.min(Precision::Day);
    Some(Time { precision, ..time }.iso())
}

/// `2026-03-01T08:00:00+01:00`, or as much of it as is known.
pub(crate) fn date_time(text: &str, zone: &TimeZone) -> Option<String> {
    read(text, zone).map(|time| time.iso())
}

/// A time with its clock; none where only a date is known.
pub(crate) fn instant(text: &str, zone: &TimeZone) -> Option<String> {
    read(text, zone).filter(|time| time.precision >= Precision::Hour).map(|time| time.iso())
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
pub(crate) fn period(start: &str, end: &str, zone: &TimeZone) -> Element {
    let (start, end) = (read(start, zone), read(end, zone));
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
        assert_eq!(date("197006010912", &TimeZone::UTC).unwrap(), "1970-06-01");
        assert_eq!(date("1970", &TimeZone::UTC).unwrap(), "1970");
        assert_eq!(
            date_time("20130408141909.0+0000", &TimeZone::UTC).unwrap(),
            "2013-04-08T14:19:09.0+00:00"
        );
        assert_eq!(date_time("20260301abc", &TimeZone::UTC).unwrap(), "2026-03-01");
        assert_eq!(instant("20260301", &TimeZone::UTC), None);
        for text in ["", "00000000", "20261399", "yesterday", "04/24/2007", "é2345678"] {
            assert_eq!(date_time(text, &TimeZone::UTC), None, "{text}");
        }
        assert_eq!(time_of_day("0830").unwrap(), "08:30:00");
        assert_eq!(time_of_day("083015.5+0100").unwrap(), "08:30:15.5");
        assert_eq!(time_of_day("2530"), None);
        assert_eq!(time_of_day("x"), None);
    }

    #[test]
    fn the_offset_of_msh_7_is_that_of_every_time_that_names_none() {
        let at = |written: &str| date_time("202607010800", &message_zone(written)).unwrap();
        assert_eq!(at("20260701090000-0500"), "2026-07-01T08:00:00-05:00");
        for silent in ["20260701090000", "", "20260701", "yesterday"] {
            assert_eq!(at(silent), "2026-07-01T08:00:00+00:00", "{silent}");
        }
    }

    #[test]
    fn a_period_that_ends_before_it_starts_has_no_end() {
        let map = period("20260302", "20260301", &TimeZone::UTC).map().unwrap();
        assert!(map.contains_key("start") && !map.contains_key("end"));
    }
}
