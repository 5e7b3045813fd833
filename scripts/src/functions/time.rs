//! Dates and times: as HL7 writes them, as ISO 8601 does, and as precise as they were.

#![allow(clippy::needless_pass_by_value)]

use std::time::SystemTime;

use jiff::{Span, Timestamp, Unit, Zoned, civil, fmt::strtime, tz::TimeZone};
use rhai::{INT, plugin::*};

use super::{Outcome, broke};
use crate::run;

/// An instant, seen from a zone, known as precisely as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Time {
    zoned: Zoned,
    precision: Precision,
    /// Whether HL7 text of it carries an offset: not where the text it was read from had none.
    has_offset: bool,
}

/// How much of a time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// So many digits behind the seconds.
    Fraction(u8),
}

#[export_module]
pub(crate) mod functions {
    /// Reads a time as HL7 (`20260301080000+0100`) or ISO 8601 (`2026-03-01T08:00:00+01:00`) writes it, as
    /// precise as it is; without an offset it is the channel's zone's. Fails on what is no time.
    ///
    /// ```rhai
    /// time("202603").iso() == "2026-03" && time("2026-03-01").hl7() == "20260301"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn time(text: &str) -> Outcome<Time> {
        Time::parse(text, &run::zone()).map_or_else(|| broke("the text is not a time"), Ok)
    }

    /// Whether a text is a time that `time` can read.
    ///
    /// ```rhai
    /// is_time("20260301") && !is_time("20261399") && !is_time("")
    /// ```
    pub fn is_time(text: &str) -> bool {
        Time::parse(text, &run::zone()).is_some()
    }

    /// The time as HL7 writes it, with its offset if the text it was read from had one.
    ///
    /// ```rhai
    /// time("2026-03-01T08:00:00.250+01:00").hl7() == "20260301080000.250+0100"
    /// ```
    #[rhai_fn(name = "hl7", pure)]
    pub fn as_hl7(time: &mut Time) -> String {
        time.hl7()
    }

    /// The time as ISO 8601 and FHIR write it: a date as it is, a time with seconds and its offset.
    ///
    /// ```rhai
    /// time("202603010800").iso() == "2026-03-01T08:00:00+01:00"
    /// ```
    #[rhai_fn(name = "iso", name = "to_string", name = "to_debug", pure)]
    pub fn as_iso(time: &mut Time) -> String {
        time.iso()
    }

    /// The same instant in another zone, which from then on it shows its offset in.
    ///
    /// ```rhai
    /// time("20260701080000").in_zone("America/New_York").hl7() == "20260701020000-0400"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn in_zone(time: &mut Time, zone: &str) -> Outcome<Time> {
        let Ok(zone) = TimeZone::get(zone) else { return broke(format!("there is no zone `{zone}`")) };
        Ok(Time { zoned: time.zoned.with_time_zone(zone), has_offset: true, ..time.clone() })
    }

    /// The same time cut to a precision: `year`, `month`, `day`, `hour`, `minute`, `second`, `millisecond`.
    ///
    /// ```rhai
    /// time("20260301081530").cut("day").hl7() == "20260301"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn cut(time: &mut Time, precision: &str) -> Outcome<Time> {
        Ok(Time { precision: Precision::named(precision)?, ..time.clone() })
    }

    /// A later time: so many `years`, `months`, `weeks`, `days`, `hours`, `minutes` or `seconds`; an earlier
    /// one with a negative number. Days are the calendar's, hours the clock's.
    ///
    /// ```rhai
    /// time("20260131").add(1, "months").hl7() == "20260228" && time("20260301").add(-1, "days").hl7() == "20260228"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn add(time: &mut Time, count: INT, unit: &str) -> Outcome<Time> {
        let span = span(count, unit)?;
        let Ok(zoned) = time.zoned.checked_add(span) else {
            return broke("the time lies outside the calendar");
        };
        Ok(Time { zoned, ..time.clone() })
    }

    /// How many whole units lie between a time and a later one; negative if that is earlier.
    ///
    /// ```rhai
    /// between(time("20260301"), time("20260315"), "days") == 14
    /// ```
    #[rhai_fn(return_raw)]
    pub fn between(from: Time, until: Time, unit: &str) -> Outcome<INT> {
        let unit = unit_named(unit)?;
        let until = until.zoned.with_time_zone(from.zoned.time_zone().clone());
        match from.zoned.until((unit, &until)) {
            Ok(span) => Ok(in_unit(&span, unit)),
            Err(_) => broke("the times lie too far apart"),
        }
    }

    /// The age in whole years at a time.
    ///
    /// ```rhai
    /// age(time("19800312"), time("20260301")) == 45
    /// ```
    #[rhai_fn(return_raw)]
    pub fn age(birth: Time, at: Time) -> Outcome<INT> {
        between(birth, at, "years")
    }

    /// The time in a pattern of its own: `%Y` year, `%m` month, `%d` day, `%H` hour, `%M` minute, `%S` second.
    ///
    /// ```rhai
    /// time("20260301081500").format("%d/%m/%Y %H:%M") == "01/03/2026 08:15"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn format(time: &mut Time, pattern: &str) -> Outcome<String> {
        strtime::format(pattern, &time.zoned)
            .or_else(|_| broke(format!("`{pattern}` is no pattern of a time")))
    }

    /// The year.
    #[rhai_fn(get = "year", pure)]
    pub fn year(time: &mut Time) -> INT {
        time.zoned.year().into()
    }

    /// The month, from 1.
    #[rhai_fn(get = "month", pure)]
    pub fn month(time: &mut Time) -> INT {
        time.zoned.month().into()
    }

    /// The day of the month, from 1.
    #[rhai_fn(get = "day", pure)]
    pub fn day(time: &mut Time) -> INT {
        time.zoned.day().into()
    }

    /// The hour, from 0.
    #[rhai_fn(get = "hour", pure)]
    pub fn hour(time: &mut Time) -> INT {
        time.zoned.hour().into()
    }

    /// The minute, from 0.
    #[rhai_fn(get = "minute", pure)]
    pub fn minute(time: &mut Time) -> INT {
        time.zoned.minute().into()
    }

    /// The second, from 0.
    #[rhai_fn(get = "second", pure)]
    pub fn second(time: &mut Time) -> INT {
        time.zoned.second().into()
    }

    /// The day of the week: 1 is Monday, 7 is Sunday.
    ///
    /// ```rhai
    /// time("20260301").weekday == 7
    /// ```
    #[rhai_fn(get = "weekday", pure)]
    pub fn weekday(time: &mut Time) -> INT {
        time.zoned.weekday().to_monday_one_offset().into()
    }

    /// Whether two times are the same instant.
    #[rhai_fn(name = "==")]
    pub fn equal(left: Time, right: Time) -> bool {
        left.zoned.timestamp() == right.zoned.timestamp()
    }

    /// Whether two times are different instants.
    #[rhai_fn(name = "!=")]
    pub fn different(left: Time, right: Time) -> bool {
        left.zoned.timestamp() != right.zoned.timestamp()
    }

    /// Whether one time is before another.
    ///
    /// ```rhai
    /// time("20260301080000+0100") < time("2026-03-01T08:00:00Z")
    /// ```
    #[rhai_fn(name = "<")]
    pub fn before(left: Time, right: Time) -> bool {
        left.zoned.timestamp() < right.zoned.timestamp()
    }

    /// Whether one time is before another, or the same.
    #[rhai_fn(name = "<=")]
    pub fn not_after(left: Time, right: Time) -> bool {
        left.zoned.timestamp() <= right.zoned.timestamp()
    }

    /// Whether one time is after another.
    #[rhai_fn(name = ">")]
    pub fn after(left: Time, right: Time) -> bool {
        left.zoned.timestamp() > right.zoned.timestamp()
    }

    /// Whether one time is after another, or the same.
    #[rhai_fn(name = ">=")]
    pub fn not_before(left: Time, right: Time) -> bool {
        left.zoned.timestamp() >= right.zoned.timestamp()
    }
}

impl Time {
    /// The clock's time, to the second, in the channel's zone.
    pub(crate) fn at(now: SystemTime) -> Self {
        let instant = Timestamp::try_from(now).unwrap_or_default();
        Self { zoned: instant.to_zoned(run::zone()), precision: Precision::Second, has_offset: true }
    }

    /// Reads what HL7 and ISO 8601 write.
    fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
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
    fn named(name: &str) -> Outcome<Self> {
        Ok(match name.trim_end_matches('s') {
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Fraction(3),
            _ => {
                return broke(format!(
                    "`{name}` is no precision: year, month, day, hour, minute, second, millisecond"
                ));
            }
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
        (_, Some(_)) => return None,
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

fn unit_named(name: &str) -> Outcome<Unit> {
    Ok(match name.trim_end_matches('s') {
        "year" => Unit::Year,
        "month" => Unit::Month,
        "week" => Unit::Week,
        "day" => Unit::Day,
        "hour" => Unit::Hour,
        "minute" => Unit::Minute,
        "second" => Unit::Second,
        _ => {
            return broke(format!(
                "`{name}` is no unit: years, months, weeks, days, hours, minutes, seconds"
            ));
        }
    })
}

fn span(count: INT, unit: &str) -> Outcome<Span> {
    let empty = Span::new();
    let span = match unit_named(unit)? {
        Unit::Year => empty.try_years(count),
        Unit::Month => empty.try_months(count),
        Unit::Week => empty.try_weeks(count),
        Unit::Day => empty.try_days(count),
        Unit::Hour => empty.try_hours(count),
        Unit::Minute => empty.try_minutes(count),
        _ => empty.try_seconds(count),
    };
    span.or_else(|_| broke("the number is too large for a time"))
}

fn in_unit(span: &Span, unit: Unit) -> INT {
    match unit {
        Unit::Year => span.get_years().into(),
        Unit::Month => span.get_months().into(),
        Unit::Week => span.get_weeks().into(),
        Unit::Day => span.get_days().into(),
        Unit::Hour => span.get_hours().into(),
        Unit::Minute => span.get_minutes(),
        _ => span.get_seconds(),
    }
}
