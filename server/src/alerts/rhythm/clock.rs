//! Where an instant stands in the week of a zone.

use jiff::{Timestamp, tz::TimeZone};

/// When a day of work begins: what comes at night belongs to the day before.
const BEGINS: i8 = 0;

/// An hour of a week, and of which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Counts on from hour to hour.
    pub(super) hour: i64,
    /// From Monday 0 h on.
    pub(super) cell: usize,
    /// Counts on from day to day.
    pub(super) day: i64,
}

impl Place {
    pub(crate) fn of(now: Timestamp, zone: &TimeZone) -> Self {
        let local = now.to_zoned(zone.clone());
        let weekday = local.weekday().to_monday_zero_offset();
        let offset = i64::from(local.offset().seconds());
        let seconds = now.as_second() + offset;
        Self {
            hour: now.as_second().div_euclid(3600),
            cell: weekday as usize * 24 + local.hour() as usize,
            day: (seconds - i64::from(BEGINS) * 3600).div_euclid(86_400),
        }
    }
}
