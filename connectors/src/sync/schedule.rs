//! When a sync runs: so long after the last one, or at times of the day as `cron` writes them.

use std::{str::FromStr, time::Duration};

use jiff::{ToSpan, Zoned, tz::TimeZone};

/// The minutes, hours, days, months and days of the week at which something happens: `30 2 * * 1-5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both days and days of the week are narrowed: then either fits.
    either_day: bool,
}

impl Times {
    /// How long from now until the next of them, in a zone.
    pub(super) fn after(&self, now: &Zoned, zone: &TimeZone) -> Option<Duration> {
        let now = now.with_time_zone(zone.clone());
        let minute = now.with().second(0).subsec_nanosecond(0).build().ok()?;
        let mut at = minute.checked_add(1.minute()).ok()?;
        // Leap days come within eight years.
        let last = now.checked_add(9.years()).ok()?;
        while at < last {
            if !holds(self.months, at.month()) || !self.is_day(&at) {
                at = at.start_of_day().ok()?.checked_add(1.day()).ok()?;
            } else if !holds(self.hours, at.hour()) {
                at = at.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?;
            } else if holds(self.minutes, at.minute()) {
                return now.duration_until(&at).try_into().ok();
            } else {
                at = at.checked_add(1.minute()).ok()?;
            }
        }
        None
    }

    fn is_day(&self, at: &Zoned) -> bool {
        let day = holds(self.days, at.day());
        let weekday = holds(self.weekdays, at.weekday().to_sunday_zero_offset());
        if self.either_day { day || weekday } else { day && weekday }
    }
}

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!(
                "`{text}` is not five fields such as `30 2 * * 1-5`: minute, hour, day, month, day of the week"
            ));
        };
        let read = |text: &str, name: &str, bounds: (u8, u8)| {
            field(text, bounds)
                .ok_or_else(|| format!("`{text}` is no {name} from {} to {}", bounds.0, bounds.1))
        };
        let weekday = read(weekdays, "day of the week", (0, 7))?;
        let times = Self {
            minutes: read(minutes, "minute", (0, 59))?,
            hours: read(hours, "hour", (0, 23))?,
            days: read(days, "day", (1, 31))?,
            months: read(months, "month", (1, 12))?,
            // Sunday is 0 and 7.
            weekdays: (weekday | weekday >> 7) & 0x7f,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        };
        let now = Zoned::now();
        match times.after(&now, &TimeZone::UTC) {
            Some(_) => Ok(times),
            None => Err(format!("`{text}` never comes")),
        }
    }
}

/// `*`, `5`, `1-5`, `*/10`, `1-31/2`, and several of these with commas.
fn field(text: &str, (first, last): (u8, u8)) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) =
            part.split_once('/').map_or((part, Some(1)), |(range, step)| (range, step.parse().ok()));
        let step: usize = step.filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let one: u8 = range.parse().ok()?;
                (one, if part.contains('/') { last } else { one })
            }
        };
        if from < first || to > last || from > to {
            return None;
        }
        (from..=to).step_by(step).for_each(|one| bits |= 1 << one);
    }
    Some(bits)
}

fn holds(bits: u64, number: i8) -> bool {
    bits >> number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(times: &str, now: &str) -> u64 {
        let now: jiff::Timestamp = now.parse().unwrap();
        let times: Times = times.parse().unwrap();
        times.after(&now.to_zoned(TimeZone::UTC), &TimeZone::UTC).unwrap().as_secs() / 60
    }

    #[test]
    fn the_next_time_is_found_over_hours_days_and_years() {
        assert_eq!(next("30 2 * * *", "2026-03-01T02:29:30Z"), 0);
        assert_eq!(next("30 2 * * *", "2026-03-01T02:30:00Z"), 24 * 60);
        assert_eq!(next("*/15 8-18 * * 1-5", "2026-02-28T08:00:00Z"), 2 * 24 * 60);
        assert_eq!(next("0 0 29 2 *", "2026-03-01T00:00:00Z"), 730 * 24 * 60);
        assert_eq!(next("0 0 1 * 0", "2026-03-02T00:00:00Z"), 6 * 24 * 60);
        assert_eq!(next("0 0 * * 7", "2026-03-02T00:00:00Z"), 6 * 24 * 60);
    }

    #[test]
    fn what_never_comes_is_no_time() {
        for wrong in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "0 0 31 2 *",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
        ] {
            assert!(wrong.parse::<Times>().is_err(), "{wrong}");
        }
    }
}
