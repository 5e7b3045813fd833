//! The rhythm of a feed, learned by the hour of the week, and whether a silence is longer than it explains (decision 0027).

mod clock;
mod keeper;
pub(crate) mod simulation;
mod tail;

use serde::{Deserialize, Serialize};

pub(crate) use clock::Place;
pub(crate) use keeper::{Keeper, RHYTHMS};
use tail::Tail;

/// Hours of a week, from Monday 0 h on.
const HOURS: usize = 168;

/// How much a week tells of what is usual, once there are some.
const WEEK: f32 = 0.15;

/// A rhythm is trusted after so many weeks, and so many silences that ended.
const TRUSTED: (f64, u32) = (3.0, 30);

/// A day is taken for a quiet one until so many messages that were to be expected have shown what it is like.
const DOUBT: f64 = 5.0;

/// A day without any message may be a holiday: it counts for no more than this part of the limit.
const HOLIDAY: f64 = 0.24;

/// No shorter silence is told.
const SHORTEST: f64 = 60.0;

/// The rhythm of one feed. Everything that it knows is here, and no larger for a feed that is never still.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    /// Usual messages in each hour of the week.
    usual: Vec<f32>,
    /// Usual messages in a year.
    yearly: f64,
    /// How often each hour was seen whole.
    seen: Vec<u8>,
    /// What the silences between messages were, measured in messages that were to be expected.
    tail: Tail,
    /// Hours that were watched.
    watched: f64,
    hour: Hour,
    day: Day,
    silence: Silence,
}

/// The hour that goes on: which one, how much of it was watched, and what came in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Hour {
    number: i64,
    cell: usize,
    watched: f64,
    came: f64,
}

/// The day that goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Day {
    number: i64,
    came: f64,
    expected: f64,
    /// What part of the usual the day brings, as far as its messages tell.
    part: f64,
}

/// The silence that goes on, since the last message.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Silence {
    seconds: f64,
    /// Messages that were to be expected in it until this day.
    before: f64,
    /// And on this day: by what is usual, and by what is usual on the quietest day.
    usual: f64,
    quiet: f64,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            usual: vec![0.0; HOURS],
            yearly: 0.0,
            seen: vec![0; HOURS],
            tail: Tail::default(),
            watched: 0.0,
            hour: Hour { number: i64::MIN, ..Hour::default() },
            day: Day { number: i64::MIN, ..Day::default() },
            silence: Silence::default(),
        }
    }
}

impl Rhythm {
    /// Watches for so many seconds, all of them within one hour, in which so many messages came at the end.
    pub(crate) fn watch(&mut self, at: Place, seconds: f64, came: f64) {
        self.enter(at);
        let hours = seconds / 3600.0;
        let expected = f64::from(self.usual[at.cell]) * hours;
        self.hour.watched += hours;
        self.watched += hours;
        self.day.expected += expected;
        self.silence.seconds += seconds;
        self.silence.usual += expected;
        self.silence.quiet += self.quiet(at.cell) * hours;
        if came > 0.0 {
            self.hear(came);
        }
    }

    /// A message ends the silence, and says what the day is like.
    fn hear(&mut self, came: f64) {
        self.tail.learn(self.missed().min(self.limit().unwrap_or(f64::MAX)));
        self.hour.came += came;
        self.day.came += came;
        self.silence = Silence::default();
        let quiet = self.quiet(self.hour.cell) / f64::from(self.usual[self.hour.cell]).max(1e-9);
        let doubt = DOUBT * quiet.clamp(0.0, 1.0);
        self.day.part = ((self.day.came + doubt) / (self.day.expected + DOUBT)).min(1.0);
    }

    fn enter(&mut self, at: Place) {
        if at.hour != self.hour.number {
            self.learn_hour();
            self.hour = Hour { number: at.hour, cell: at.cell, ..Hour::default() };
        }
        if at.day != self.day.number {
            self.silence.before = self.missed();
            (self.silence.usual, self.silence.quiet) = (0.0, 0.0);
            self.day = Day { number: at.day, ..Day::default() };
        }
    }

    /// An hour that was watched nearly whole tells what is usual.
    fn learn_hour(&mut self) {
        let Hour { cell, watched, came, .. } = self.hour;
        if watched < 0.9 {
            return;
        }
        let weight = (1.0 / (f32::from(self.seen[cell]) + 1.0)).max(WEEK);
        self.usual[cell] += weight * ((came / watched) as f32 - self.usual[cell]);
        self.seen[cell] = self.seen[cell].saturating_add(1);
        self.yearly = self.usual.iter().map(|usual| f64::from(*usual)).sum::<f64>() * 52.0;
    }

    /// What the quietest day of the week brings in an hour of the day like this one.
    fn quiet(&self, cell: usize) -> f64 {
        let days = (0..7).map(|day| self.usual[day * 24 + cell % 24]);
        f64::from(days.fold(f32::MAX, f32::min))
    }

    /// How many messages the silence that goes on has cost, as far as the rhythm tells.
    pub(crate) fn missed(&self) -> f64 {
        let today = if self.day.came > 0.0 {
            self.missed_of_day()
        } else {
            let holiday = self.limit().map_or(f64::MAX, |limit| limit * HOLIDAY);
            self.silence.quiet.max(self.silence.usual.min(holiday))
        };
        self.silence.before + today
    }

    /// What a day has cost that brought something. A few messages of a night say little of the day that follows, so what the day is
    /// like stays in doubt while it is silent: of a rate that is known by as many messages as were to be expected until the
    /// silence began, this is what the silence weighs. It is no less than on the quietest day, unless the day is quieter.
    fn missed_of_day(&self) -> f64 {
        let Silence { usual, quiet, .. } = self.silence;
        let shown = self.day.expected - usual + DOUBT;
        let in_doubt = self.day.part * shown * (usual / shown).ln_1p();
        in_doubt.max(quiet.min(usual * self.day.part))
    }

    /// With so many missed messages the silence is not explained any more; none while too little is known.
    pub(crate) fn limit(&self) -> Option<f64> {
        let is_trusted = self.watched >= TRUSTED.0 * HOURS as f64 && self.tail.number() >= TRUSTED.1;
        is_trusted.then(|| self.tail.limit(self.yearly))
    }

    /// Whether the silence is longer than the rhythm explains.
    pub(crate) fn is_silent(&self) -> bool {
        self.silence.seconds >= SHORTEST && self.limit().is_some_and(|limit| self.missed() >= limit)
    }

    /// How long nothing has come while it was watched, in seconds.
    pub(crate) fn silent_seconds(&self) -> f64 {
        self.silence.seconds
    }

    /// Messages in an hour that are usual now.
    pub(crate) fn usual_now(&self) -> f64 {
        f64::from(self.usual[self.hour.cell])
    }

    /// Days that were watched.
    pub(crate) fn learned_days(&self) -> u64 {
        (self.watched / 24.0) as u64
    }

    /// Usual messages by the hour of the week; none where the hour was not seen yet.
    pub(crate) fn week(&self) -> Vec<Option<f32>> {
        let both = self.usual.iter().zip(&self.seen);
        both.map(|(usual, seen)| (*seen > 0).then_some((usual * 10.0).round() / 10.0)).collect()
    }
}
