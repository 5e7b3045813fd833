//! The kinds of values that stand in a file as one word: times, rates, hours, zones.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use jiff::{civil::Time, tz::TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

/// A length of time: `500ms`, `30s`, `1h30m`, `30d`, `1y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

/// At most so many in so much time: `10/s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerTime(pub(crate) engine::Rate);

/// A part of the day: `20:00-06:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartOfDay {
    pub(crate) from: Time,
    pub(crate) until: Time,
}

/// A time zone by its name: `Europe/Paris`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Zone(pub(crate) TimeZone);

/// An instant with its offset: `2026-03-01T08:00:00+01:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) jiff::Timestamp);

/// A value that is written as one text, with what its schema says of it.
trait Word: FromStr<Err = String> {
    const NAME: &'static str;
    const PATTERN: &'static str;
    /// Completes "`x` is not …".
    const TITLE: &'static str;
    const EXAMPLES: &'static [&'static str];
}

fn schema_of<T: Word>() -> Schema {
    json_schema!({ "type": "string", "title": T::TITLE, "pattern": T::PATTERN, "examples": T::EXAMPLES })
}

fn read<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("y", 31_536_000_000)];

impl Word for Period {
    const NAME: &'static str = "Period";
    const PATTERN: &'static str = "^([0-9]{1,9}(ms|s|m|h|d|y))+$";
    const TITLE: &'static str = "a length of time";
    const EXAMPLES: &'static [&'static str] = &["500ms", "30s", "1h30m", "30d"];
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time such as `30s`, `5m` or `1h30m`");
        let mut rest = text;
        let mut total = 0u64;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, after) = rest.split_at(digits);
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            let (_, each) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            total = number.checked_mul(*each).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            rest = next;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl Word for PerTime {
    const NAME: &'static str = "Rate";
    const PATTERN: &'static str = "^[1-9][0-9]{0,5}/(s|m|h)$";
    const TITLE: &'static str = "a rate";
    const EXAMPLES: &'static [&'static str] = &["10/s", "100/m"];
}

impl FromStr for PerTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a rate such as `10/s`");
        let (sends, unit) = text.split_once('/').ok_or_else(wrong)?;
        let sends = sends.parse().ok().filter(|sends| *sends > 0).ok_or_else(wrong)?;
        let per = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err(wrong()),
        };
        Ok(Self(engine::Rate { sends, per }))
    }
}

impl Word for PartOfDay {
    const NAME: &'static str = "Hours";
    const PATTERN: &'static str = "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$";
    const TITLE: &'static str = "a part of the day";
    const EXAMPLES: &'static [&'static str] = &["20:00-06:00", "08:30-12:00"];
}

impl FromStr for PartOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a part of the day such as `20:00-06:00`");
        let (from, until) = text.split_once('-').ok_or_else(wrong)?;
        let from: Time = from.parse().map_err(|_| wrong())?;
        let until: Time = until.parse().map_err(|_| wrong())?;
        if from == until {
            return Err(format!("`{text}` is no time at all"));
        }
        Ok(Self { from, until })
    }
}

impl Word for Zone {
    const NAME: &'static str = "Zone";
    const PATTERN: &'static str = "^[A-Za-z0-9_+/-]+$";
    const TITLE: &'static str = "the name of a time zone";
    const EXAMPLES: &'static [&'static str] = &["Europe/Paris", "UTC"];
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        TimeZone::get(text).map(Self).map_err(|_| format!("there is no time zone `{text}`"))
    }
}

impl Word for Instant {
    const NAME: &'static str = "Instant";
    const PATTERN: &'static str =
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})$";
    const TITLE: &'static str = "an instant with its offset";
    const EXAMPLES: &'static [&'static str] = &["2026-03-01T08:00:00+01:00"];
}

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is no instant such as `2026-03-01T08:00:00+01:00`"))
    }
}

/// Every word is read and described in the same way.
macro_rules! words {
    ($($word:ty),*) => {$(
        impl<'de> Deserialize<'de> for $word {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(deserializer)
            }
        }

        impl JsonSchema for $word {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                Self::NAME.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schema_of::<Self>()
            }
        }
    )*};
}

words!(Period, PerTime, PartOfDay, Zone, Instant);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_adds_up_its_parts() {
        let of = |text: &str| text.parse::<Period>().map(|period| period.0);
        assert_eq!(of("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(of("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(of("1y"), Ok(Duration::from_hours(365 * 24)));
        for wrong in ["", "30", "s", "1x", "1h30", "-1s", "999999999999999999999s", "9999999999999999y"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_and_hours_and_a_zone_are_read() {
        assert_eq!(
            "10/s".parse::<PerTime>().unwrap().0,
            engine::Rate { sends: 10, per: Duration::from_secs(1) }
        );
        assert!("0/s".parse::<PerTime>().is_err());
        let night: PartOfDay = "20:00-06:00".parse().unwrap();
        assert_eq!((night.from.hour(), night.until.hour()), (20, 6));
        assert!("20:00-20:00".parse::<PartOfDay>().is_err());
        assert!("Europe/Paris".parse::<Zone>().is_ok());
        assert!("Europe/Pari".parse::<Zone>().is_err());
    }
}
