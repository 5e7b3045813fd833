//! Looks at the channels, the store and the files, and says what may need a person: measured, not yet judged.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use channels::{Fault, Project, Rule};
use engine::{ChannelState, ChannelView, History as _, OutletView, Store as _, Unsettled};
use jiff::Timestamp;

use super::{
    book::since,
    cause::Cause,
    episode::{Evidence, Key, Seen},
    rhythm::Keeper,
    shares::Shares,
    words,
};
use crate::{
    fleet::{Fleet, Life, Member},
    metrics::Metrics,
    terminal::lasting,
    why::{self, Why},
};

/// How often the store is asked what it counts, at most.
const COUNTED: Duration = Duration::from_secs(3);

/// And for no more than this part of the time.
const PART: u32 = 50;

/// How often the certificates are read again; and while one of them needs a person.
const CERTIFICATES: (Duration, Duration) = (Duration::from_hours(1), Duration::from_secs(20));

/// What has been tried again by itself for so many seconds in vain needs a person.
const LONG: f64 = 86_400.0;

/// What is looked at, and what has to be remembered from one look to the next.
pub(super) struct Eye {
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    /// Since when something is so that lasts.
    since: HashMap<Key, Timestamp>,
    /// How many were sent to each destination when it was last looked at.
    sent: HashMap<(String, String), u64>,
    shares: Shares,
    counted: Counted,
    certificates: Certificates,
    rhythms: Arc<Mutex<Keeper>>,
}

/// What the store counted when it was last asked.
#[derive(Default)]
struct Counted {
    unsettled: Vec<Unsettled>,
    overdue: BTreeMap<String, u64>,
    again: Option<Timestamp>,
}

#[derive(Default)]
struct Certificates {
    ends: Vec<(Key, SystemTime)>,
    again: Option<Timestamp>,
}

impl Eye {
    /// `open`: since when what was open before a restart has been so.
    pub(super) fn new(
        (fleet, metrics): (Arc<Fleet>, Arc<Metrics>),
        rhythms: Arc<Mutex<Keeper>>,
        open: impl IntoIterator<Item = (Key, Timestamp)>,
    ) -> Self {
        Self {
            fleet,
            metrics,
            since: open.into_iter().collect(),
            sent: HashMap::new(),
            shares: Shares::default(),
            counted: Counted::default(),
            certificates: Certificates::default(),
            rhythms,
        }
    }

    /// Everything that may need a person, as it is now.
    pub(super) async fn look(&mut self, now: Timestamp) -> Vec<Seen> {
        self.count(now).await;
        self.read_certificates(now).await;
        let mut seen = self.of_server();
        let rules = self.fleet.alerts();
        for (name, member) in self.fleet.members() {
            match &member.life {
                Life::Runs(channel) => {
                    let view = channel.view();
                    self.of_channel(&view, now, &mut seen);
                    seen.extend(self.of_rhythm(&view, &rules, now));
                }
                Life::Broken(faults) => seen.push(broken(&name, faults)),
                Life::Disabled => {}
            }
            self.of_messages(&name, &mut seen);
        }
        let mut rhythms = self.rhythms.lock().unwrap_or_else(PoisonError::into_inner);
        rhythms.keep(|name| self.fleet.member(name).is_some());
        drop(rhythms);
        self.of_edit(&mut seen);
        seen.extend(self.certificates.seen(now));
        seen
    }

    fn of_server(&self) -> Vec<Seen> {
        let store = &self.fleet.store;
        let room = store.room();
        let bytes = |name: &str, bytes: u64| Evidence::of(name, bytes as f64, "bytes");
        let left = vec![bytes("free", room.free), bytes("floor", room.floor)];
        let seen = |cause: Cause, detail: Option<String>| Seen {
            key: Key::server(cause),
            measure: 1.0,
            count: 1,
            evidence: left.clone(),
            reason: None,
            detail: detail.map(Why::ours),
        };
        match (store.trouble(), store.refuses(), room.full_days) {
            (Some(why), _, _) => vec![Seen { evidence: Vec::new(), ..seen(Cause::StoreTrouble, Some(why)) }],
            (None, Some(why), _) => vec![seen(Cause::StoreRefuses, Some(why))],
            (None, None, Some(days)) => {
                let mut evidence = vec![Evidence::of("days_left", days, "days")];
                evidence.extend(left.clone());
                vec![Seen { measure: days, count: days as u64, evidence, ..seen(Cause::Disk, None) }]
            }
            (None, None, None) => Vec::new(),
        }
    }

    fn of_channel(&mut self, view: &ChannelView, now: Timestamp, seen: &mut Vec<Seen>) {
        let channel = view.name.as_str();
        let detail = view.trouble.clone().or_else(|| view.left_out.clone()).map(Why::of_source);
        if let Some(down) = self.lasts(Key::channel(Cause::SourceDown, channel), detail.is_some(), now) {
            let evidence = vec![Evidence::seconds("down", down)];
            let key = Key::channel(Cause::SourceDown, channel);
            let reason = match (&view.trouble, view.tries_again) {
                (None, _) => Some(words::IN_PART),
                (Some(_), true) if down < LONG => Some(words::BY_ITSELF),
                (Some(_), _) => None,
            };
            let reason = reason.map(str::to_owned);
            seen.push(Seen { key, measure: down, count: 1, evidence, reason, detail });
        }
        for outlet in &view.destinations {
            seen.extend(self.of_destination(channel, outlet, now));
        }
        let (all, wrong) = self.metrics.ended_by(channel);
        if let Some((share, wrong, all)) = self.shares.share(channel, (all, wrong), now) {
            let count = |name: &str, number| Evidence::count(name, number).within(900);
            let evidence = vec![
                Evidence::of("share", share, "percent").within(900),
                count("wrong", wrong),
                count("all", all),
            ];
            let key = Key::channel(Cause::ErrorShare, channel);
            seen.push(Seen { key, measure: share, count: wrong, evidence, reason: None, detail: None });
        }
    }

    /// A feed that stands still: longer than its rhythm explains, or than a rule allows.
    fn of_rhythm(&self, view: &ChannelView, rules: &[Rule], now: Timestamp) -> Option<Seen> {
        let channel = view.name.as_str();
        let mut rhythms = self.rhythms.lock().unwrap_or_else(PoisonError::into_inner);
        let can_come = view.state == ChannelState::Running && view.trouble.is_none();
        if !can_come || self.fleet.store.refuses().is_some() {
            rhythms.look_away(channel);
            return None;
        }
        let learned = rhythms.look(channel, self.metrics.received_by(channel), now);
        let key = Key::channel(Cause::Silent, channel);
        let silent = |seconds: f64| Evidence::seconds("silent", seconds);
        if let Some(standing) = learned {
            let usual = Evidence::of("usual", standing.usual_per_hour, "per_hour").within(3600);
            let evidence = vec![
                silent(standing.silent_seconds),
                usual,
                Evidence::count("missed", standing.missed as u64),
            ];
            let (measure, count) = (standing.silent_seconds, standing.missed as u64);
            return Some(Seen {
                key,
                measure,
                count,
                evidence,
                reason: None,
                detail: Some(Why::ours(standing.words)),
            });
        }
        let last = rhythms.last(channel)?;
        drop(rhythms);
        let (seconds, limit) =
            rules.iter().filter(|rule| self.fleet.is_about(rule, Some(channel))).find_map(|rule| {
                let channels::Limit::Silent { seconds, counts } = rule.limit("silent")? else { return None };
                let silent = counts.seconds(last, now);
                (silent >= *seconds).then_some((silent, *seconds))
            })?;
        let evidence = vec![silent(seconds), Evidence::seconds("limit", limit)];
        let lasted = |seconds: f64| lasting(Duration::from_secs_f64(seconds.max(0.0).round()));
        let words = format!("silent {}; {} are allowed", lasted(seconds), lasted(limit));
        Some(Seen { key, measure: seconds, count: 1, evidence, reason: None, detail: Some(Why::ours(words)) })
    }

    /// A destination that is down, stopped, or whose queue grows old: the worst of them alone.
    fn of_destination(&mut self, channel: &str, outlet: &OutletView, now: Timestamp) -> Option<Seen> {
        let name = outlet.name.as_str();
        let key = |cause| Key::destination(cause, channel, name);
        let waiting = Evidence::count("waiting", outlet.depth);
        let head = outlet.head.as_ref();
        let trouble = outlet.trouble.clone().map(engine::Why::ours);
        let why = trouble.or_else(|| head.and_then(|head| head.why.clone()));
        let has_moved = self.has_moved(channel, name);
        let failed =
            head.is_some_and(|head| head.attempts > 0) && why.as_ref().is_some_and(why::is_of_endpoint);
        let is_down = failed && !has_moved && ["waiting", "sending"].contains(&outlet.state);
        let down = self.lasts(key(Cause::DestinationDown), is_down, now);
        let stopped = self.lasts(key(Cause::DestinationStopped), outlet.state == "stopped", now);
        if let Some(stopped) = stopped {
            let evidence = vec![waiting, Evidence::seconds("stopped", stopped)];
            let key = key(Cause::DestinationStopped);
            return Some(Seen {
                key,
                measure: 1.0,
                count: outlet.depth,
                evidence,
                reason: None,
                detail: why.map(Why::from),
            });
        }
        if let Some(down) = down {
            let attempts = Evidence::count("attempts", head.map_or(0, |head| u64::from(head.attempts)));
            let evidence = vec![waiting, Evidence::seconds("down", down), attempts];
            let reason = why.as_ref().map(|why| why::hindrance(why).map_or("other", why::code).to_owned());
            let detail = why.map(|why| {
                let words = why.strip_prefix("not delivered: ").unwrap_or(&why);
                Why::hidden(words, Why::from(why.clone()).kind())
            });
            let key = key(Cause::DestinationDown);
            return Some(Seen { key, measure: down, count: outlet.depth, evidence, reason, detail });
        }
        let oldest = outlet.oldest_seconds.filter(|_| !["held", "closed"].contains(&outlet.state))?;
        let evidence = vec![waiting, Evidence::seconds("oldest", oldest)];
        let key = key(Cause::QueueOld);
        Some(Seen {
            key,
            measure: oldest,
            count: outlet.depth,
            evidence,
            reason: None,
            detail: why.map(Why::from),
        })
    }

    /// Whether anything was sent there since the last look: then it is not down, whatever its first in line says.
    fn has_moved(&mut self, channel: &str, destination: &str) -> bool {
        let sent = self.metrics.sent_to(channel, destination);
        let before = self.sent.insert((channel.to_owned(), destination.to_owned()), sent);
        before.is_some_and(|before| before != sent)
    }

    /// For how many seconds it has been so.
    fn lasts(&mut self, key: Key, is_so: bool, now: Timestamp) -> Option<f64> {
        if !is_so {
            self.since.remove(&key);
            return None;
        }
        let began = *self.since.entry(key).or_insert(now);
        Some(since(began, now).as_secs_f64())
    }

    fn of_messages(&self, channel: &str, seen: &mut Vec<Seen>) {
        for one in self.counted.unsettled.iter().filter(|one| one.channel == channel) {
            let (cause, name) = match one.state {
                "given_up" => (Cause::GivenUp, "given_up"),
                "set_aside" => (Cause::SetAside, "set_aside"),
                "unsure" => (Cause::Unsure, "unsure"),
                "held" => (Cause::Unmapped, "held"),
                "failed" => (Cause::Failed, "failed"),
                _ => continue,
            };
            let key = Key { destination: one.destination.clone(), ..Key::channel(cause, channel) };
            let mut counted = Seen::counted(key, name, one.number);
            if cause == Cause::Failed {
                counted.evidence = vec![Evidence::count(name, one.number).within(86_400)];
            }
            seen.push(counted);
        }
        let overdue = self.counted.overdue.get(channel).copied().unwrap_or(0);
        seen.push(Seen::counted(Key::channel(Cause::Overdue, channel), "overdue", overdue));
    }

    /// Files that were edited and are wrong: the version before goes on.
    fn of_edit(&self, seen: &mut Vec<Seen>) {
        let edit = self.fleet.edit();
        let members = self.fleet.members();
        let mut by_owner: BTreeMap<Option<&String>, Vec<&Fault>> = BTreeMap::new();
        for fault in &edit {
            let owner = members.iter().find(|(_, member)| member.file == fault.file);
            if !owner.is_some_and(|(_, member)| member.is_broken()) {
                by_owner.entry(owner.map(|(name, _)| name)).or_default().push(fault);
            }
        }
        for (owner, faults) in by_owner {
            let key = Key { channel: owner.cloned(), ..Key::server(Cause::EditNotInForce) };
            let detail =
                faults.first().map(|fault| format!("{}: {}", fault.place(), fault.diagnostic.message));
            let detail = detail.map(Why::ours);
            seen.push(Seen { detail, ..Seen::counted(key, "faults", faults.len() as u64) });
        }
    }

    async fn count(&mut self, now: Timestamp) {
        if self.counted.again.is_some_and(|again| now < again) {
            return;
        }
        let began = std::time::Instant::now();
        let day = SystemTime::now().checked_sub(Duration::from_hours(24)).unwrap_or(SystemTime::UNIX_EPOCH);
        match self.fleet.store.unsettled(day).await {
            Ok(unsettled) => self.counted.unsettled = unsettled,
            // What was known stands: a store that cannot be read has an episode of its own.
            Err(error) => tracing::debug!(%error, "cannot count what needs a person; will try again"),
        }
        if let Ok(overdue) = self.fleet.store.count_overdue().await {
            self.counted.overdue = overdue;
        }
        self.counted.again = Some(now + COUNTED.max(began.elapsed() * PART));
    }

    async fn read_certificates(&mut self, now: Timestamp) {
        if self.certificates.again.is_some_and(|again| now < again) {
            return;
        }
        let project = self.fleet.read().await;
        self.certificates.ends = certificates(&project, &self.fleet.members());
        let pause = if self.certificates.ends.is_empty() { CERTIFICATES.0 } else { CERTIFICATES.1 };
        self.certificates.again = Some(now + pause);
    }
}

impl Certificates {
    fn seen(&self, now: Timestamp) -> impl Iterator<Item = Seen> {
        self.ends.iter().map(move |(key, end)| {
            let now = SystemTime::from(now);
            let left = end.duration_since(now).map(|left| left.as_secs_f64());
            let left = left.unwrap_or_else(|past| -past.duration().as_secs_f64()) / 86_400.0;
            Seen {
                key: key.clone(),
                measure: left,
                count: left.max(0.0) as u64,
                evidence: vec![Evidence::of("days_left", left, "days")],
                reason: None,
                detail: None,
            }
        })
    }
}

fn broken(channel: &str, faults: &[Fault]) -> Seen {
    let key = Key::channel(Cause::ChannelBroken, channel);
    let detail = faults.first().map(|fault| format!("{}: {}", fault.place(), fault.diagnostic.message));
    let detail = detail.map(Why::ours);
    // A channel may be broken by a port in use, without a fault in a file.
    Seen { detail, ..Seen::counted(key, "faults", faults.len().max(1) as u64) }
}

/// The certificates of channels that are to run which end soon or have ended.
fn certificates(project: &Project, members: &BTreeMap<String, Member>) -> Vec<(Key, SystemTime)> {
    let ends = project.faults.iter().filter_map(|fault| {
        let end = fault.diagnostic.ends()?;
        let owner = members.iter().find(|(_, member)| member.file == fault.file);
        if owner.is_some_and(|(_, member)| matches!(member.life, Life::Disabled)) {
            return None;
        }
        let at = fault.diagnostic.at.to_string();
        let file = &fault.file;
        let destination = owner.and_then(|(name, _)| destination_at(project, name, &at));
        let subject = format!("{}:{} {at}", shown(file), fault.line);
        let channel = owner.map(|(name, _)| name.clone());
        Some((Key { channel, destination, subject: Some(subject), ..Key::server(Cause::Certificate) }, end))
    });
    ends.collect()
}

fn shown(file: &Path) -> std::path::Display<'_> {
    file.display()
}

/// The destination that a place in a channel's file belongs to.
fn destination_at(project: &Project, channel: &str, at: &str) -> Option<String> {
    let place: usize = at.strip_prefix("destinations.")?.split('.').next()?.parse().ok()?;
    let read = project.channels.iter().find(|read| read.name == channel)?;
    Some(read.plan.as_ref()?.outlets.get(place)?.name.clone())
}
