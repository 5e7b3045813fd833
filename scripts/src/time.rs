//! A time as HL7 and ISO 8601 write it, as precise as it was.

use std::time::SystemTime;

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};

use crate::run;

/// An instant, seen from a zone, known as precisely as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Time {
    pub(crate) zoned: Zoned,
    pub(crate) precision: Precision,
    /// Whether HL7 text of it carries an offset: not where the text it was read from had none.
    pub(crate) has_offset: bool,
}

/// How much of a time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// So many digits behind the seconds.
    Fraction(u8),
}

impl Time {
    /// The clock's time, to the second, in the channel's zone.
    pub(crate) fn at(now: SystemTime) -> Self {
        let instant = Timestamp::try_from(now).unwrap_or_default();
        Self { zoned: instant.to_zoned(run::zone()), precision: Precision::Second, has_offset: true }
    }

    /// Reads what HL7 and ISO 8601 write.
    pub(crate) fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        let text = text.trim();
        let (written, offset) = split_offset(text)?;
        let digits = if written.contains('-') { from_iso(written)? } else { written.to_owned() };
        let (moment, precision) = from_digits(&digits)?;
        if offset.is_some() && precision < Precision::Hour {
            return None;
        }
        let zone = match offset {
            Some(minutes) => jiff::tz::Offset::from_seconds(minutes * 60).ok()?.to_time_zone(),
            None => zone.clone(),
        };
        let zoned = moment.to_zoned(zone).ok()?;
        Some(Self { zoned, precision, has_offset: offset.is_some() })
    }

    /// `20260301080000+0100`, as much of it as is known.
    pub(crate) fn hl7(&self) -> String {
        let length = match self.precision {
            Precision::Year => 4,
            Precision::Month => 6,
            Precision::Day => 8,
            Precision::Hour => 10,
            Precision::Minute => 12,
            Precision::Second | Precision::Fraction(_) => 14,
        };
        let mut text = self.digits();
        text.truncate(length);
        text.push_str(&self.fraction());
        if self.has_offset && self.precision >= Precision::Hour {
            text.push_str(&self.offset(""));
        }
        text
    }

    /// `2026-03-01T08:00:00+01:00`; a date stays a date.
    pub(crate) fn iso(&self) -> String {
        let digits = self.digits();
        let date = [&digits[..4], &digits[4..6], &digits[6..8]];
        match self.precision {
            Precision::Year => date[0].to_owned(),
            Precision::Month => date[..2].join("-"),
            Precision::Day => date.join("-"),
            _ => format!(
                "{}T{}:{}:{}{}{}",
                date.join("-"),
                &digits[8..10],
                &digits[10..12],
                &digits[12..14],
                self.fraction(),
                self.offset(":")
            ),
        }
    }

    fn digits(&self) -> String {
        let at = &self.zoned;
        format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            at.year().max(0),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }

    fn fraction(&self) -> String {
        let Precision::Fraction(digits) = self.precision else { return String::new() };
        let mut nanoseconds = format!("{:09}", self.zoned.subsec_nanosecond());
        nanoseconds.truncate(usize::from(digits));
        format!(".{nanoseconds}")
    }

    fn offset(&self, between: &str) -> String {
        let seconds = self.zoned.offset().seconds();
        let minutes = seconds.abs() / 60;
        let sign = if seconds < 0 { '-' } else { '+' };
        format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
    }
}

impl Precision {
    /// `year`, `month`… `millisecond`, or their plurals.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.trim_end_matches('s') {
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Fraction(3),
            _ => return None,
        })
    }
}

/// What stands before an offset, and the offset in minutes.
fn split_offset(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(utc) = text.strip_suffix('Z') {
        return Some((utc, Some(0)));
    }
    let clock =
        text.find('T').unwrap_or(if text.contains('-') && !is_compact(text) { text.len() } else { 0 });
    let Some(at) = text[clock..].rfind(['+', '-']).map(|at| clock + at) else { return Some((text, None)) };
    let digits: String = text[at + 1..].chars().filter(|character| *character != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let minutes = digits[..2].parse::<i32>().ok()? * 60 + digits[2..].parse::<i32>().ok()?;
    let sign = if text[at..].starts_with('-') { -1 } else { 1 };
    Some((&text[..at], Some(sign * minutes)))
}

/// Whether it begins as HL7 writes: more than a year before anything that is no digit.
fn is_compact(text: &str) -> bool {
    text.bytes().take_while(u8::is_ascii_digit).count() > 4
}

/// The digits of an ISO date or time, as HL7 would write them.
fn from_iso(text: &str) -> Option<String> {
    let (date, clock) = text.split_once('T').unwrap_or((text, ""));
    if text.ends_with('T') {
        return None;
    }
    let parts: Vec<&str> = date.split('-').collect();
    let is_date = parts.first()?.len() == 4 && parts[1..].iter().all(|part| part.len() == 2);
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
    let is_clock = clock.is_empty() || clock.split(':').all(|part| part.len() == 2);
    if !is_date || !is_clock || (parts.len() < 3 && !clock.is_empty()) {
        return None;
    }
    let mut digits = format!("{}{}", parts.concat(), clock.replace(':', ""));
    if let Some(fraction) = fraction {
        digits = format!("{digits}.{fraction}");
    }
    Some(digits)
}

fn from_digits(text: &str) -> Option<(civil::DateTime, Precision)> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || fraction.is_some_and(|fraction| !is_digits(fraction) || fraction.len() > 9) {
        return None;
    }
    let precision = match (whole.len(), fraction) {
        (14, Some(fraction)) => Precision::Fraction(fraction.len() as u8),
        (14, None) => Precision::Second,
        (12, None) => Precision::Minute,
        (10, None) => Precision::Hour,
        (8, None) => Precision::Day,
        (6, None) => Precision::Month,
        (4, None) => Precision::Year,
        _ => return None,
    };
    let number = |from: usize, otherwise: i8| match whole.get(from..from + 2) {
        Some(digits) => digits.parse().ok(),
        None => Some(otherwise),
    };
    let nanoseconds = format!("{:0<9}", fraction.unwrap_or_default()).parse().ok()?;
    let year = whole[..4].parse().ok()?;
    let date = civil::Date::new(year, number(4, 1)?, number(6, 1)?).ok()?;
    let clock = civil::Time::new(number(8, 0)?, number(10, 0)?, number(12, 0)?, nanoseconds).ok()?;
    Some((date.to_datetime(clock), precision))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In HL7's writing and in ISO 8601's.
    fn both(text: &str) -> Option<String> {
        let time = Time::parse(text, &TimeZone::get("Europe/Paris").unwrap())?;
        Some(format!("{} {}", time.hl7(), time.iso()))
    }

    #[test]
    fn each_precision_of_both_writings_is_kept() {
        assert_eq!(both("2026").unwrap(), "2026 2026");
        assert_eq!(both("2026-03").unwrap(), "202603 2026-03");
        assert_eq!(both("20260301").unwrap(), "20260301 2026-03-01");
        assert_eq!(both("2026030108").unwrap(), "2026030108 2026-03-01T08:00:00+01:00");
        assert_eq!(both("202607010815").unwrap(), "202607010815 2026-07-01T08:15:00+02:00");
        assert_eq!(both("20260301081530.1").unwrap(), "20260301081530.1 2026-03-01T08:15:30.1+01:00");
        assert_eq!(
            both("20260301081530.1234-0500").unwrap(),
            "20260301081530.1234-0500 2026-03-01T08:15:30.1234-05:00"
        );
        assert_eq!(both("2026-03-01T08:15:30Z").unwrap(), "20260301081530+0000 2026-03-01T08:15:30+00:00");
        assert_eq!(both("2026-03-01T08:15-05:00").unwrap(), "202603010815-0500 2026-03-01T08:15:00-05:00");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "x",
            "20261399",
            "20260230",
            "202603011",
            "2026030125",
            "2026-3-1",
            "2026T08:00",
            "20260301+0100",
            "20260301081530.",
            "20260301081530.1234567890",
            "2026-03-01T08:15:30+1",
            "é",
            "-",
            "+0100",
            "2026-03-01T08:15:30+99:00",
            "2026-03-01T",
        ] {
            assert_eq!(both(text), None, "{text}");
        }
    }
}
