//! The part of the day in which a destination sends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use engine::Hours;
use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::values::PartOfDay;

/// How long from a time until sending is allowed, in a zone with its summer time.
pub(crate) fn hours(part: PartOfDay, zone: TimeZone) -> Hours {
    Hours(Arc::new(move |now| {
        let Ok(now) = Timestamp::try_from(now) else { return Duration::ZERO };
        wait(part, &now.to_zoned(zone.clone()))
    }))
}

fn wait(part: PartOfDay, now: &Zoned) -> Duration {
    let time = now.time();
    let inside = if part.from < part.until {
        part.from <= time && time < part.until
    } else {
        part.from <= time || time < part.until
    };
    if inside {
        return Duration::ZERO;
    }
    let today = now.date().to_datetime(part.from).to_zoned(now.time_zone().clone());
    let next = match today {
        Ok(today) if today > *now => Ok(today),
        _ => {
            now.date().tomorrow().and_then(|day| day.to_datetime(part.from).to_zoned(now.time_zone().clone()))
        }
    };
    let Ok(next) = next else { return Duration::ZERO };
    SystemTime::from(next.timestamp())
        .duration_since(SystemTime::from(now.timestamp()))
        .unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_at(part: &str, now: &str) -> Duration {
        wait(part.parse().unwrap(), &now.parse::<Zoned>().unwrap())
    }

    #[test]
    fn a_night_begins_in_the_evening_and_ends_in_the_morning() {
        assert_eq!(wait_at("20:00-06:00", "2026-03-10T23:00[Europe/Paris]"), Duration::ZERO);
        assert_eq!(wait_at("20:00-06:00", "2026-03-10T05:59[Europe/Paris]"), Duration::ZERO);
        assert_eq!(wait_at("20:00-06:00", "2026-03-10T06:00[Europe/Paris]"), Duration::from_hours(14));
        assert_eq!(wait_at("08:00-12:00", "2026-03-10T13:00[Europe/Paris]"), Duration::from_hours(19));
    }

    #[test]
    fn a_night_in_which_the_clock_jumps_is_an_hour_shorter() {
        assert_eq!(wait_at("08:00-12:00", "2026-03-28T20:00[Europe/Paris]"), Duration::from_hours(11));
    }
}
