//! A server that misbehaves, in this process: what is kept here must be what it has, each change told once.

mod faults;
mod histories;
mod rejects;
mod scenario;
mod slices;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use engine::{Changed, Directory as _, Mirror, Presence, Search, Stop, StoreError, SyncName, Tenure};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use serde_json::Value;
use store::Directory;

use super::{
    asking::{self, Ask, Got, Trouble},
    leaving::{Keeps, Leave, Left},
    page::Rejected,
    plan::{Inactive, Outside, Plan, Rejects, Removal},
    run::{Cut, Work},
    state::{Standing, State},
};
use crate::annuaire::mock::{Annuaire, Event, Kind, Request, Scenario, Settings};

const HOST: &str = "http://annuaire.example";
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const KIND: Kind = Kind::Practitioner;

/// A server in this process, whose clock stands until it is moved.
struct Played {
    annuaire: Mutex<Annuaire>,
    clock: AtomicI64,
    /// After so many more answers it says nothing, ever: whoever asks is to be dropped.
    dies_after: AtomicI64,
    asked: AtomicU64,
    /// What happens behind the answer to a page.
    during: Mutex<Vec<(u64, Event)>>,
    died: tokio::sync::Notify,
}

impl Played {
    fn new(practitioners: u64, seed: u64) -> Self {
        let begin = "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let settings = Settings {
            practitioners,
            seed,
            rate: None,
            key: None,
            faults: Vec::new(),
            scenario: Scenario::default(),
        };
        Self {
            annuaire: Mutex::new(Annuaire::new(settings, begin)),
            clock: AtomicI64::new(begin),
            dies_after: AtomicI64::new(i64::MAX),
            asked: AtomicU64::new(0),
            during: Mutex::default(),
            died: tokio::sync::Notify::new(),
        }
    }

    fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn pass(&self, milliseconds: i64) {
        self.clock.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn annuaire(&self) -> std::sync::MutexGuard<'_, Annuaire> {
        self.annuaire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server has: each id with its content, and whether it is active.
    fn truth(&self) -> BTreeMap<String, (Value, bool)> {
        let truth = self.annuaire().truth(KIND);
        truth.into_iter().map(|(id, text)| (id, content(&text))).collect()
    }
}

fn content(text: &str) -> (Value, bool) {
    let mut resource: Value = serde_json::from_str(text).unwrap();
    let is_active = resource["active"] == true;
    resource["meta"].as_object_mut().unwrap().retain(|name, _| name != "versionId" && name != "lastUpdated");
    (resource, is_active)
}

#[async_trait]
impl Ask for Played {
    async fn get(&self, target: &str) -> Result<Got, Trouble> {
        if self.dies_after.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { method: "GET", path, query, host: HOST, ..Request::default() };
        self.pass(100);
        let now = self.now();
        let reply = self.annuaire().answer(&request, now);
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let due: Vec<Event> = {
            let mut during = self.during.lock().unwrap();
            let (due, rest) = during.drain(..).partition(|(after, _)| *after <= asked);
            *during = rest;
            Vec::into_iter(due).map(|(_, event): (u64, Event)| event).collect()
        };
        for event in due {
            self.annuaire().happen(&event, now + 50);
        }
        if reply.is_cut {
            return Err(Trouble::Again("the server hung up within its answer".to_owned()));
        }
        let header = |name: &str| {
            reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        let date = header("date").and_then(|date| DateTimeParser::new().parse_timestamp(&date).ok());
        Ok(Got { status: reply.status, date, pause: asking::pause(header, date), body: reply.body.into() })
    }
}

/// What left, in order: id, version, what, content.
#[derive(Default)]
struct Gone {
    all: Mutex<Vec<(String, i64, Changed, Value)>>,
    rejected: AtomicU64,
    /// Whoever takes them has enough before it.
    is_full: AtomicBool,
    mirror: Mutex<Option<Arc<dyn Mirror>>>,
}

#[async_trait]
impl Leave for Gone {
    async fn some(&self, tenure: &Tenure) -> Result<Left, StoreError> {
        let mirror = self.mirror.lock().unwrap().clone().unwrap();
        let changes = mirror.changes(tenure, 7)?;
        let Some(last) = changes.last().map(|change| change.number) else { return Ok(Left::All) };
        if self.is_full.load(Ordering::SeqCst) {
            return Ok(Left::Full("waiting for the destination".to_owned()));
        }
        let mut all = self.all.lock().unwrap();
        for change in changes {
            all.push((change.id, change.version, change.what, serde_json::from_slice(&change.body).unwrap()));
        }
        drop(all);
        mirror.left(tenure, last)?;
        Ok(Left::Some)
    }

    async fn reject(&self, _kind: &str, _rejected: &Rejected) -> Result<(), String> {
        self.rejected.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn say(&self, _resource: &str, _keeps: Option<Keeps>) {}
}

/// A sync with its server and its directory.
struct Stage {
    server: Played,
    mirror: Arc<dyn Mirror>,
    directory: Arc<Directory>,
    gone: Gone,
    plan: Plan,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new(practitioners: u64, page: u32, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(folder.path()).unwrap());
        let mirror: Arc<dyn Mirror> = Arc::clone(&directory) as Arc<dyn Mirror>;
        let gone = Gone::default();
        *gone.mirror.lock().unwrap() = Some(Arc::clone(&mirror));
        let hours = SignedDuration::from_hours;
        let plan = Plan {
            base: format!("{HOST}/fhir/v2"),
            also_known_as: Vec::new(),
            kind: KIND.name().to_owned(),
            filter: String::new(),
            page,
            overlap: hours(48),
            window: hours(30 * 24),
            full_every: hours(24 * 365),
            slice: None,
            full_patience: Duration::from_hours(6),
            delta_patience: Duration::from_mins(30),
            total: true,
            inactive: Inactive::AsReceived,
            removal: Removal::Tombstone,
            outside: Outside::Keep,
            unusable: Rejects::GoOn,
            most_removed: 100,
        };
        Self { server: Played::new(practitioners, seed), mirror, directory, gone, plan, _folder: folder }
    }

    fn tenure(&self) -> Tenure {
        let name = SyncName { channel: "annuaire".into(), resource: KIND.name().into() };
        self.mirror.take_over(&name).unwrap()
    }

    /// What the sync has noted last.
    fn noted(&self) -> State {
        serde_json::from_value(self.tenure().note).unwrap_or_default()
    }

    /// What a sync has at its start.
    fn work(&self) -> Work<'_> {
        let tenure = self.tenure();
        let noted: State = serde_json::from_value(tenure.note.clone()).unwrap_or_default();
        Work {
            plan: &self.plan,
            ask: &self.server,
            mirror: &self.mirror,
            leave: &self.gone,
            stop: Stop::default(),
            due: None,
            tenure,
            state: noted.of_origin(&self.plan.origin()),
        }
    }

    /// Runs once, as after a start; with a crash after so many answers.
    async fn run(&self, full: bool, crash: Option<i64>) -> Result<State, Cut> {
        let mut work = self.work();
        self.server.dies_after.store(crash.unwrap_or(i64::MAX), Ordering::SeqCst);
        let ended = tokio::select! {
            ended = work.once(full) => ended,
            () = self.server.died.notified() => return Err(Cut::Stopped),
        };
        if let Err(Cut::Later(why) | Cut::Person(why)) = &ended {
            (work.state.standing, work.state.why) = (Standing::Ko, Some(why.clone()));
            work.note().await.unwrap();
        }
        ended.map(|_| work.state)
    }

    /// What is kept: each id with its content and whether it is active.
    fn held(&self) -> BTreeMap<String, (Value, bool)> {
        let search = Search { kind: KIND.name().into(), limit: 10_000, ..Search::default() };
        let held = self.directory.find(&search).unwrap();
        held.into_iter()
            .map(|one| {
                let (resource, is_active) = content(std::str::from_utf8(&one.body).unwrap());
                assert_eq!(one.state == Presence::Active, is_active);
                (one.id, (resource, is_active))
            })
            .collect()
    }

    /// Every version here left exactly once and in order, and each differs from the one before.
    fn told_once(&self) {
        let all = self.gone.all.lock().unwrap();
        let mut told: BTreeMap<&str, Vec<(i64, Changed, Value)>> = BTreeMap::new();
        for (id, version, what, resource) in all.iter() {
            let (content, _) = content(&resource.to_string());
            told.entry(id).or_default().push((*version, *what, content));
        }
        for (id, told) in told {
            let versions: Vec<i64> = told.iter().map(|(version, ..)| *version).collect();
            let kept = self.directory.versions(KIND.name(), id).unwrap().len() as i64;
            assert_eq!(
                versions,
                (1..=kept).collect::<Vec<i64>>(),
                "{id}: each version leaves once, in order"
            );
            assert_eq!(told[0].1, Changed::Created);
            for pair in told.windows(2) {
                let is_new = pair[0].2 != pair[1].2 || [pair[0].1, pair[1].1].contains(&Changed::Removed);
                assert!(is_new, "{id}: version {} says nothing new", pair[1].0);
            }
        }
    }
}
