//! Years of feeds with nights, week-ends and holidays: how often a silence is told that is none, and how soon one that is.

use std::fmt::Write as _;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{Place, Rhythm};

/// A feed as it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feed {
    pub(crate) name: &'static str,
    /// Messages in an hour of a working day.
    pub(crate) hourly: f64,
    /// What part of that comes at night, on Sundays and holidays; on Saturdays it is between the two.
    pub(crate) night: f64,
    pub(crate) sunday: f64,
    /// From when to when it is day.
    pub(crate) hours: (i8, i8),
}

/// The feeds that are tried.
pub(crate) const FEEDS: [Feed; 6] = [
    Feed { name: "1/day", hourly: 1.0 / 24.0, night: 1.0, sunday: 1.0, hours: (0, 24) },
    Feed { name: "1/h", hourly: 1.0, night: 1.0, sunday: 1.0, hours: (0, 24) },
    Feed {
        name: "1/h by day, nothing at night and on Sundays",
        hourly: 1.0,
        night: 0.0,
        sunday: 0.0,
        hours: (7, 19),
    },
    Feed {
        name: "60/h, a tenth at night, a fifth on Sundays",
        hourly: 60.0,
        night: 0.1,
        sunday: 0.2,
        hours: (7, 19),
    },
    Feed {
        name: "60/h by day, nothing at night and on Sundays",
        hourly: 60.0,
        night: 0.0,
        sunday: 0.0,
        hours: (7, 19),
    },
    Feed {
        name: "1/s, a tenth at night, a fifth on Sundays",
        hourly: 3600.0,
        night: 0.1,
        sunday: 0.2,
        hours: (7, 19),
    },
];

/// What came of one feed over all seeds.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) years: u32,
    pub(crate) messages: u64,
    pub(crate) false_alarms: u32,
    /// Hours until a feed was found that stopped while messages were coming, and at any time.
    pub(crate) by_day: Vec<f64>,
    pub(crate) at_any_time: Vec<f64>,
    /// Feeds that stopped and were not found within 60 days.
    pub(crate) missed: u32,
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next silence where messages come independently of each other.
    fn silence(&mut self) -> f64 {
        -(1.0 - self.roll()).ln()
    }
}

/// A day of a feed: what part of the usual it brings.
fn part_of(feed: &Feed, date: Date, holidays: &[Date]) -> f64 {
    match date.weekday() {
        _ if holidays.contains(&date) => feed.sunday,
        jiff::civil::Weekday::Sunday => feed.sunday,
        jiff::civil::Weekday::Saturday => {
            f64::midpoint(feed.sunday, 1.0) * if feed.sunday == 0.0 { 0.5 } else { 1.0 }
        }
        _ => 1.0,
    }
}

/// The holidays of France in a year, with the Friday between Ascension and its week-end.
pub(crate) fn holidays(year: i16) -> Vec<Date> {
    let fixed = [(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)];
    let easter = easter(year);
    let moving = [1, 39, 40, 50].map(|days: i64| easter.saturating_add(days.days()));
    fixed.iter().filter_map(|(month, day)| Date::new(year, *month, *day).ok()).chain(moving).collect()
}

/// Easter Sunday, by the rule of Meeus.
#[expect(clippy::many_single_char_names, reason = "the rule is written so")]
fn easter(year: i16) -> Date {
    let year = i32::from(year);
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e, g) = (b / 4, b % 4, (8 * b + 13) / 25);
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let (month, day) = ((h + l - 7 * m + 114) / 31, (h + l - 7 * m + 114) % 31 + 1);
    Date::new(year as i16, month as i8, day as i8).unwrap_or(Date::MIN)
}

/// One feed, second by second where that matters, as the server would watch it.
struct Play<'f> {
    feed: &'f Feed,
    rhythm: Rhythm,
    dice: Dice,
    zone: TimeZone,
    now: Timestamp,
    /// What is left until the next message, in messages that come meanwhile on average.
    left: f64,
    holidays: Vec<Date>,
    messages: u64,
    /// How much grows or shrinks from week to week.
    growth: f64,
}

impl<'f> Play<'f> {
    fn new(feed: &'f Feed, seed: u64) -> Self {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed.wrapping_mul(0xD134_2543_DE82_EF95).max(1));
        let left = dice.silence();
        Self {
            feed,
            rhythm: Rhythm::default(),
            dice,
            zone: TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC),
            now: Timestamp::from_second(1_767_222_000 + 3600 * (seed % 168) as i64).unwrap_or_default(),
            left,
            holidays: (2025..2029).flat_map(holidays).collect(),
            messages: 0,
            growth: 1.0,
        }
    }

    /// Plays an hour; says after how many seconds a silence was told in it, if one was.
    fn hour(&mut self, has_stopped: bool) -> Option<f64> {
        let local = self.now.to_zoned(self.zone.clone());
        let is_day = (self.feed.hours.0..self.feed.hours.1).contains(&local.hour());
        let day =
            part_of(self.feed, local.date(), &self.holidays) * if is_day { 1.0 } else { self.feed.night };
        let rate = if has_stopped { 0.0 } else { self.feed.hourly * day * self.growth };
        let place = Place::of(self.now, &self.zone);
        let (mut second, mut told) = (0.0, None);
        while second < 3600.0 {
            let until = if rate > 0.0 { self.left / rate * 3600.0 } else { f64::MAX };
            // A look a minute finds a silence as soon as the server does, to the minute; to the second where it is quick.
            let look = if self.feed.hourly > 1000.0 { 1.0 } else { 60.0 };
            let step = until.min(look).min(3600.0 - second);
            let has_come = until <= step;
            self.rhythm.watch(place, step, 0.0);
            second += step;
            if self.rhythm.is_silent() && told.is_none() {
                told = Some(second);
            }
            if has_come {
                self.rhythm.watch(place, 0.0, 1.0);
                self.messages += 1;
                self.left = self.dice.silence();
            } else {
                self.left -= step / 3600.0 * rate;
            }
        }
        self.now += 1.hours();
        told
    }
}

/// Plays a feed for so many days, then lets it stop at some time of the following week.
pub(crate) fn play(feed: &Feed, seed: u64, days: u32, outcome: &mut Outcome) {
    let mut play = Play::new(feed, seed);
    let yearly = 0.8 + 0.5 * play.dice.roll();
    let mut was_told = false;
    for hour in 0..days * 24 {
        // It grows or shrinks by up to a third within the year.
        play.growth = yearly.powf(f64::from(hour) / 8760.0);
        let told = play.hour(false).is_some();
        outcome.false_alarms += u32::from(told && !was_told);
        was_told = told;
    }
    outcome.messages += play.messages;
    outcome.years += 1;
    for _ in 0..(play.dice.roll() * 168.0) as u32 {
        play.hour(false);
    }
    let local = play.now.to_zoned(play.zone.clone());
    let (from, until) = feed.hours;
    let is_working = part_of(feed, local.date(), &play.holidays) >= 1.0;
    let by_day = is_working && (from + 1..until.min(24) - 3).contains(&local.hour());
    for hour in 0..60 * 24 {
        if let Some(seconds) = play.hour(true) {
            let took = f64::from(hour) + seconds / 3600.0;
            outcome.at_any_time.push(took);
            if by_day {
                outcome.by_day.push(took);
            }
            return;
        }
    }
    outcome.missed += 1;
}

/// The table of `docs/benchmarks.md`.
pub(crate) fn table(seeds: u64, days: u32) -> String {
    let mut text = String::from(
        "| feed | years | messages | false alarms | stopped by day: median, worst | stopped at any time: median, worst | not found in 60 days |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for feed in &FEEDS {
        let seeds = if feed.hourly > 1000.0 { seeds.div_ceil(10) } else { seeds };
        let mut outcome = Outcome::default();
        (1..=seeds).for_each(|seed| play(feed, seed, days, &mut outcome));
        let (day, any) = (spread(&mut outcome.by_day), spread(&mut outcome.at_any_time));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {day} | {any} | {} |",
            feed.name, outcome.years, outcome.messages, outcome.false_alarms, outcome.missed
        );
    }
    text
}

fn spread(hours: &mut [f64]) -> String {
    hours.sort_by(f64::total_cmp);
    let shown = |hours: f64| match hours {
        hours if hours < 1.0 / 30.0 => format!("{:.0} s", hours * 3600.0),
        hours if hours < 2.0 => format!("{:.0} min", hours * 60.0),
        hours if hours < 48.0 => format!("{hours:.1} h"),
        hours => format!("{:.1} days", hours / 24.0),
    };
    match (hours.get(hours.len() / 2), hours.last()) {
        (Some(median), Some(worst)) => format!("{}, {}", shown(*median), shown(*worst)),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easter_and_what_hangs_on_it_are_known() {
        assert_eq!(easter(2026), Date::new(2026, 4, 5).unwrap());
        assert_eq!(easter(2027), Date::new(2027, 3, 28).unwrap());
        assert!(holidays(2026).contains(&Date::new(2026, 5, 14).unwrap()), "Ascension");
        assert!(holidays(2026).contains(&Date::new(2026, 5, 25).unwrap()), "Whit Monday");
    }

    /// A whole year, with the holidays in it.
    const YEAR: u32 = 365;

    fn raises_none_and_is_found(feed: &Feed, seed: u64, days: u32) {
        let mut outcome = Outcome::default();
        play(feed, seed, days, &mut outcome);
        assert_eq!((outcome.false_alarms, outcome.missed), (0, 0), "{}, {seed}: {outcome:?}", feed.name);
    }

    #[test]
    fn a_year_raises_no_alarm_and_a_stopped_feed_is_found() {
        // The years of `docs/benchmarks.md` take minutes: here is one of each, and some weeks of what is never still.
        for feed in &FEEDS {
            raises_none_and_is_found(feed, 1, if feed.hourly > 1000.0 { 30 } else { YEAR });
        }
    }

    #[test]
    fn what_the_night_of_a_holiday_brought_is_not_taken_for_what_its_day_brings() {
        // Of thousands of years those in which the first hours of a holiday brought much, or nothing after a first message.
        for seed in [130, 1060] {
            raises_none_and_is_found(&FEEDS[3], seed, 150);
        }
    }
}
