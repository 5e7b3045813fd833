//! Dates and times: as HL7 writes them, as ISO 8601 does, and as precise as they were.

use jiff::{Span, Unit, fmt::strtime, tz::TimeZone};
use rhai::{INT, plugin::*};

use super::{Outcome, broke};
use crate::{
    run,
    time::{Precision, Time},
};

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
        match Precision::named(precision) {
            Some(precision) => Ok(Time { precision, ..time.clone() }),
            None => broke(format!(
                "`{precision}` is no precision: year, month, day, hour, minute, second, millisecond"
            )),
        }
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
