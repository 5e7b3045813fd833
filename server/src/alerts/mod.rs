//! Episodes: states that need a person, found without any setting, kept over a restart, told as they change.

mod book;
mod cause;
mod desk;
mod episode;
mod letter;
mod look;
pub(crate) mod rhythm;
mod shares;
mod telling;
mod words;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};

pub(crate) use book::{Change, Say, Unsaid};
pub(crate) use cause::{Cause, Severity};
pub(crate) use episode::Episode;
pub(crate) use rhythm::RHYTHMS;
pub(crate) use telling::{TOLD, tell, trial};
pub(crate) use words::call;

use book::{Book, Kept};
use cause::Limit;
use episode::Seen;
use look::Eye;
use rhythm::Keeper;

use crate::{events::Events, fleet::Fleet, key::write_for_owner, metrics::Metrics, why::Reader};

/// How often it is looked, where looking is quick; and for no more than this part of the time.
const EVERY: Duration = Duration::from_secs(1);
const PART: u32 = 50;

/// Numbers that moved are written down so often; what opened or closed at once.
const WRITTEN: Duration = Duration::from_mins(1);

/// What was learned of rhythms is written down so often.
const LEARNED: Duration = Duration::from_mins(5);

/// Where the episodes are kept, beside the store.
pub(crate) const EPISODES: &str = "episodes.json";

/// The episodes of a running server.
pub(crate) struct Alerts {
    file: PathBuf,
    book: Mutex<Book>,
    rhythms: Arc<Mutex<Keeper>>,
}

impl Alerts {
    /// Reads what was kept. A file that cannot be read costs what people said of episodes, and no message.
    pub(crate) fn open(folder: &Path, zone: TimeZone) -> Self {
        let file = folder.join(EPISODES);
        let read = std::fs::read(&file).ok().map(|text| serde_json::from_slice::<Kept>(&text));
        let book = match read {
            None => Book::default(),
            Some(Ok(kept)) => Book::of(kept),
            Some(Err(error)) => {
                tracing::warn!(file = %file.display(), %error, "cannot read the episodes; they begin anew");
                Book::default()
            }
        };
        let rhythms = Arc::new(Mutex::new(Keeper::open(folder, zone)));
        Self { file, book: Mutex::new(book), rhythms }
    }

    pub(crate) fn rhythms(&self) -> MutexGuard<'_, Keeper> {
        self.rhythms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are open and those that were, of one channel or of all.
    pub(crate) fn list(&self, channel: Option<&str>) -> Vec<Episode> {
        let is_meant =
            |episode: &&Episode| channel.is_none_or(|name| episode.channel.as_deref() == Some(name));
        self.book().all().filter(is_meant).cloned().collect()
    }

    /// Takes a person's word, and tells it.
    pub(crate) fn say(&self, id: u64, say: (Say, &str), events: &Events) -> Result<Episode, Unsaid> {
        let (change, episode) = self.book().say(id, say, now())?;
        self.write();
        events.episode(change, &episode);
        Ok(episode)
    }

    /// Looks again and again, until the task is dropped.
    pub(crate) async fn watch(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        metrics: Arc<Metrics>,
        events: Arc<Events>,
    ) {
        let open: Vec<_> = self.list(None).into_iter().filter(Episode::is_open).collect();
        let open = open.into_iter().map(|episode| (episode.key(), episode.since));
        let mut eye = Eye::new((Arc::clone(&fleet), metrics), Arc::clone(&self.rhythms), open);
        let (mut written, mut learned) = (Instant::now(), Instant::now());
        loop {
            let began = Instant::now();
            let now = now();
            let seen = eye.look(now).await;
            let changes = self.judge(seen, &fleet, now);
            let is_new = changes.iter().any(|(change, _)| *change != Change::Updated);
            if is_new || (!changes.is_empty() && written.elapsed() > WRITTEN) {
                self.write();
                written = Instant::now();
            }
            if learned.elapsed() > LEARNED {
                self.rhythms().write();
                learned = Instant::now();
            }
            for (change, episode) in &changes {
                log(*change, episode);
                events.episode(*change, episode);
            }
            tokio::time::sleep(EVERY.max(began.elapsed() * PART)).await;
        }
    }

    /// Keeps what reaches its limit: the usual one, or an earlier one of a rule.
    fn judge(&self, seen: Vec<Seen>, fleet: &Fleet, now: Timestamp) -> Vec<(Change, Episode)> {
        let rules = fleet.alerts();
        let mut book = self.book();
        let reached = |one: &Seen| {
            let about = rules.iter().filter(|rule| fleet.is_about(rule, one.key.channel.as_deref()));
            let limits = about.filter_map(|rule| match rule.limit(one.key.cause.name())? {
                channels::Limit::From(limit) => Some(Limit::From(*limit)),
                channels::Limit::DownTo(limit) => Some(Limit::DownTo(*limit)),
                channels::Limit::Usual | channels::Limit::Silent { .. } => None,
            });
            let limit = limits.fold(one.key.cause.limit(), Limit::or);
            limit.is_reached(one.measure, book.is_open(&one.key))
        };
        let reached = seen.into_iter().filter(reached).collect();
        book.look(reached, now)
    }

    /// How many episodes are open, for Prometheus: every series from the start.
    pub(crate) fn metrics(&self) -> String {
        let now = Timestamp::now();
        let mut text = String::from(
            "# HELP relais_episodes Open states that need a person, by cause and by what people said of them\n\
             # TYPE relais_episodes gauge\n",
        );
        let open = self.list(None);
        for cause in Cause::ALL {
            for state in ["open", "acknowledged", "snoozed"] {
                let is_so = |one: &&Episode| one.cause == cause && one.standing(now) == Some(state);
                let number = open.iter().filter(is_so).count();
                let name = cause.name();
                let _ = writeln!(text, "relais_episodes{{cause=\"{name}\",state=\"{state}\"}} {number}");
            }
        }
        text
    }

    fn write(&self) {
        let kept = self.book().kept();
        let text = Reader::OfWords.written(|| serde_json::to_string(&kept));
        let text = text.expect("an episode has text keys");
        if let Err(error) = write_for_owner(&self.file, &text) {
            tracing::warn!(file = %self.file.display(), %error, "cannot write down the episodes");
        }
    }
}

/// The time, to the second: nobody needs it finer.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).expect("a whole second is a time")
}

fn log(change: Change, episode: &Episode) {
    let (id, cause) = (episode.id, episode.cause.name());
    let (channel, destination) = (episode.channel.as_deref(), episode.destination.as_deref());
    match change {
        Change::Opened | Change::Worse => {
            tracing::warn!(
                episode = id,
                cause,
                channel,
                destination,
                "{}: {}",
                call(episode),
                episode.words.kind()
            );
        }
        Change::Closed => {
            tracing::info!(episode = id, cause, channel, destination, "is over: {}", episode.words.kind());
        }
        _ => {}
    }
}
