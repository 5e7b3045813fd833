//! All channels of a project, running, and how another version of their files comes into force.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use channels::{Fault, InForce, Options, Outline, Project, Rule, ServerSettings};
use engine::{
    Ages, Channel, ChannelState, Claim, Connections, Hash, History, Opening, Past, Plan, ReplyWords, Store,
    StoreError, Surroundings, Trouble,
};
use futures_util::future::join_all;
use store::Sqlite;
use tokio::net::TcpListener;

use crate::{accounts::Sees, flow_log::FlowLogs, in_force, metrics::Metrics, versions::Versions};

/// How long a start waits for a source to open; it goes on opening behind that.
const OPENING: Duration = Duration::from_millis(500);

/// The channels of one project.
pub(crate) struct Fleet {
    pub(crate) root: PathBuf,
    options: Options,
    /// As they were at the start: some take effect then and not later.
    settings: ServerSettings,
    pub(crate) store: Arc<Sqlite>,
    around: Surroundings,
    metrics: Arc<Metrics>,
    pub(crate) logs: Arc<FlowLogs>,
    members: RwLock<BTreeMap<String, Member>>,
    /// What is wrong with the files as they are now, where they are not in force.
    edit: RwLock<Vec<Fault>>,
    /// What its channels promise, as it is written beside the store.
    in_force: RwLock<InForce>,
    pub(crate) versions: Versions,
    /// Who is told of what needs a person.
    alerts: RwLock<Vec<Rule>>,
    /// One change of files at a time.
    changing: tokio::sync::Mutex<()>,
}

/// A channel's file, and what became of it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) file: PathBuf,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) ages: Ages,
    pub(crate) version: Hash,
    pub(crate) outline: Arc<Outline>,
    pub(crate) life: Life,
}

#[derive(Clone)]
pub(crate) enum Life {
    Runs(Arc<Channel>),
    /// `enabled: false`
    Disabled,
    /// Stands with its faults until they are gone.
    Broken(Vec<Fault>),
}

impl Member {
    pub(crate) fn running(&self) -> Option<&Arc<Channel>> {
        match &self.life {
            Life::Runs(channel) => Some(channel),
            Life::Disabled | Life::Broken(_) => None,
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.life, Life::Broken(_))
    }
}

/// What came of bringing the files into force.
pub(crate) enum Deployment {
    InForce(Changes),
    /// The version before goes on.
    Refused(Vec<Fault>),
}

/// What another version of the files has changed.
#[derive(Default)]
pub(crate) struct Changes {
    /// Each in words.
    pub(crate) made: Vec<String>,
    /// What is promised no more.
    pub(crate) losses: Vec<Fault>,
    /// Settings of `relais.yaml` that wait for a restart.
    pub(crate) wait_for_restart: Vec<&'static str>,
}

impl Fleet {
    pub(crate) fn new(
        (options, settings): (Options, ServerSettings),
        store: Arc<Sqlite>,
        around: Surroundings,
        (metrics, logs): (Arc<Metrics>, Arc<FlowLogs>),
    ) -> Self {
        Self {
            versions: Versions::open(&around.root.join(&settings.store.path)),
            root: around.root.clone(),
            options,
            settings,
            store,
            around,
            metrics,
            logs,
            members: RwLock::default(),
            edit: RwLock::default(),
            in_force: RwLock::default(),
            alerts: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Starts every sound channel; the others stand with their faults.
    pub(crate) async fn start(&self, project: Project) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let pasts = self.pasts().await?;
        self.compare_with_last_run(&project, &pasts);
        self.logs.follow(&project, None);
        self.take_alerts(&project);
        self.complain_of_alerts(&project);
        let enabled = project.channels.iter().filter(|read| read.enabled);
        for plan in enabled.filter_map(|read| read.plan.as_ref()) {
            self.around.expectations.declare(plan);
        }
        let mut members = BTreeMap::new();
        let mut starting = Vec::new();
        for read in &project.channels {
            let mut member = Member::of(read, Life::Disabled);
            match &read.plan {
                Some(plan) if read.enabled => starting.push(self.launch(plan.clone(), pasts.of(&read.name))),
                None if read.enabled || !read.is_sound() => {
                    member.life = Life::Broken(faults_of(&project, read));
                }
                _ => {}
            }
            // Of two with one name, both broken for it, one is shown: with the faults of both.
            match (members.get_mut(&read.name), member.life.clone()) {
                (Some(Member { life: Life::Broken(first), .. }), Life::Broken(more)) => first.extend(more),
                _ => drop(members.insert(read.name.clone(), member)),
            }
        }
        for channel in join_all(starting).await {
            if let Some(member) = members.get_mut(channel.name()) {
                member.life = Life::Runs(channel);
            }
        }
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
        self.note_versions(None);
        Ok(())
    }

    /// Ends every channel with the process, all at once.
    pub(crate) async fn stop(&self, deadline: Duration) {
        let _changing = self.changing.lock().await;
        let members = self.members();
        join_all(members.values().filter_map(Member::running).map(|channel| channel.stop(deadline))).await;
    }

    /// The rules of alerts in force.
    pub(crate) fn alerts(&self) -> Vec<Rule> {
        self.alerts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a rule is about a channel, or about the server.
    pub(crate) fn is_about(&self, rule: &Rule, channel: Option<&str>) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let none = Vec::new();
        let tags = |name: &str| members.get(name).map_or(none.as_slice(), |member| member.tags.as_slice());
        rule.is_about(channel.map(|name| (name, tags(name))))
    }

    /// What a destination stands in that no channel has.
    pub(crate) fn opening(&self, name: &str) -> Opening {
        Opening {
            channel: format!("alerts/{name}").into(),
            root: self.root.clone(),
            words: ReplyWords::default(),
            charset: None,
            ports: self.around.ports.clone(),
            feeds: self.around.feeds.clone(),
            shares: self.around.shares.clone(),
            connections: Connections::default(),
            notes: self.around.notes.clone(),
            trouble: Trouble::default(),
            directory: Arc::clone(&self.around.directory),
        }
    }

    /// A rule with faults tells nobody: that is no state to start in silently.
    fn complain_of_alerts(&self, project: &Project) {
        let of_rules = |fault: &&Fault| fault.is_error() && fault.file.starts_with("alerts");
        let faults: Vec<Fault> = project.faults.iter().filter(of_rules).cloned().collect();
        for fault in &faults {
            tracing::warn!(place = fault.place(), "a rule is not in force: {}", fault.diagnostic.message);
        }
        *self.edit.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Puts the rules of the files into force; says whether they are others.
    fn take_alerts(&self, project: &Project) -> bool {
        let mut alerts = self.alerts.write().unwrap_or_else(PoisonError::into_inner);
        let versions = |rules: &[Rule]| rules.iter().map(|rule| rule.version).collect::<Vec<_>>();
        let is_other = versions(&alerts) != versions(&project.alerts);
        alerts.clone_from(&project.alerts);
        is_other
    }

    /// Every channel, by its name.
    pub(crate) fn members(&self) -> BTreeMap<String, Member> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server's settings as they were at the start, and whose variables were put in.
    pub(crate) fn settings(&self) -> (&ServerSettings, Option<&str>) {
        (&self.settings, self.options.environment.as_deref())
    }

    /// The zone that days are counted in.
    pub(crate) fn zone(&self) -> jiff::tz::TimeZone {
        self.settings.zone.clone()
    }

    pub(crate) fn member(&self, name: &str) -> Option<Member> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether a channel with this name is among those that somebody sees. One that is no more is seen by who sees all.
    pub(crate) fn is_seen(&self, name: &str, sees: &Sees) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        *sees == Sees::Everything || members.get(name).is_some_and(|member| sees.includes(&member.tags))
    }

    /// The channels that somebody sees, by their names.
    pub(crate) fn seen(&self, sees: &Sees) -> Vec<String> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let ours = members.iter().filter(|(_, member)| sees.includes(&member.tags));
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a channel waits for answers.
    pub(crate) fn expects(&self) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.values().filter_map(Member::running).any(|channel| channel.plan().expect.is_some())
    }

    /// What is wrong with the files as they are now, where they are not in force.
    pub(crate) fn edit(&self) -> Vec<Fault> {
        self.edit.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings the files as they are now into force, all of them or, with `only`, one channel. `by`: who wants it, where
    /// it is not the files themselves.
    pub(crate) async fn deploy(
        &self,
        only: Option<&str>,
        by: Option<&str>,
    ) -> Result<Deployment, StoreError> {
        let _changing = self.changing.lock().await;
        let project = self.read().await;
        let faults: Vec<_> = project.faults.iter().filter(|fault| fault.is_error()).cloned().collect();
        let in_the_way = match only.map(|name| project.channels.iter().find(|read| read.name == name)) {
            None => faults.clone(),
            Some(Some(read)) if !read.is_sound() => faults_of(&project, read),
            Some(_) => Vec::new(),
        };
        *self.edit.write().unwrap_or_else(PoisonError::into_inner) = faults;
        if !in_the_way.is_empty() {
            return Ok(Deployment::Refused(in_the_way));
        }
        let before = self.promised().await?;
        let mut made = self.apply(&project, only).await?;
        if only.is_none() && self.take_alerts(&project) {
            made.push("the rules of alerts changed, and are in force".to_owned());
        }
        let losses = channels::losses(&project, &restricted(before, only));
        self.promise(&project, only);
        self.note_versions(by);
        let wait_for_restart = needs_restart(&self.settings, &project.settings);
        Ok(Deployment::InForce(Changes { made, losses, wait_for_restart }))
    }

    fn note_versions(&self, by: Option<&str>) {
        let members = self.members();
        let running = members.iter().filter(|(_, member)| member.running().is_some());
        let running: Vec<_> =
            running.map(|(name, member)| (name.clone(), member.version.to_string())).collect();
        self.versions.note(&running, by);
    }

    /// What is promised, and how many deliveries wait.
    pub(crate) async fn promised(&self) -> Result<InForce, StoreError> {
        let waiting = Some(self.store.depths().await?);
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(InForce { waiting, ..in_force })
    }

    /// Says in the log what was lost while no server ran.
    fn compare_with_last_run(&self, project: &Project, pasts: &Pasts) {
        let last = in_force::read(&self.store_folder());
        let last = last.filter(|last| last.environment == self.options.environment).unwrap_or_default();
        let before = InForce { waiting: Some(pasts.depths.clone()), ..last };
        in_force::log(&channels::losses(project, &before));
        let environment = self.options.environment.clone();
        let kept = InForce { environment, waiting: None, ..before };
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = kept;
        self.promise(project, None);
    }

    fn promise(&self, project: &Project, only: Option<&str>) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        in_force::renew(&mut in_force, project, only);
        if let Err(error) = in_force::write(&self.store_folder(), &in_force) {
            tracing::warn!(%error, "cannot write down what is in force; a later change is not told by what it loses");
        }
    }

    fn store_folder(&self) -> PathBuf {
        self.root.join(&self.settings.store.path)
    }

    /// The files as they are now.
    pub(crate) async fn read(&self) -> Project {
        let (root, options) = (self.root.clone(), self.options.clone());
        let reading = tokio::task::spawn_blocking(move || channels::load(&root, &options));
        reading.await.expect("reading a project does not panic")
    }

    /// Channels that go let go of their ports before others take them.
    async fn apply(&self, project: &Project, only: Option<&str>) -> Result<Vec<String>, StoreError> {
        let pasts = self.pasts().await?;
        self.logs.follow(project, only);
        let meant = |name: &str| only.is_none_or(|only| only == name);
        let before = self.members();
        let mut changes = Vec::new();
        let wanted: BTreeSet<&str> =
            project.channels.iter().filter(|read| read.enabled).map(|read| read.name.as_str()).collect();
        for (name, member) in before.iter().filter(|(name, _)| meant(name) && !wanted.contains(name.as_str()))
        {
            if let Some(channel) = member.running() {
                channel.stop(Duration::from_secs(10)).await;
                self.around.expectations.withdraw(name);
                changes.push(format!("{name} stopped: it is no longer in the files, or not enabled"));
            }
            self.members.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        for read in project.channels.iter().filter(|read| meant(&read.name)) {
            let life = match &read.plan {
                Some(plan) if read.enabled => {
                    let running = before.get(&read.name).and_then(Member::running);
                    Life::Runs(self.bring(plan, running, pasts.of(&read.name), &mut changes).await)
                }
                _ => Life::Disabled,
            };
            let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
            members.insert(read.name.clone(), Member::of(read, life));
        }
        Ok(changes)
    }

    async fn bring(
        &self,
        plan: &Plan,
        running: Option<&Arc<Channel>>,
        past: Past,
        changes: &mut Vec<String>,
    ) -> Arc<Channel> {
        let Some(channel) = running else {
            changes.push(format!("{} started", plan.name));
            return self.launch(plan.clone(), past).await;
        };
        if is_another(&channel.plan(), plan) {
            self.expect(plan);
            channel.reload(plan.clone()).await;
            changes.push(format!("{} changed, and runs as its file says now", plan.name));
        }
        Arc::clone(channel)
    }

    async fn launch(&self, plan: Plan, past: Past) -> Arc<Channel> {
        self.expect(&plan);
        let claimed = plan.source.claims().into_iter().filter_map(|claim| match claim {
            Claim::Port(address) | Claim::Path { port: address, .. } if address.port() != 0 => Some(address),
            _ => None,
        });
        let sockets = join_all(claimed.map(|address| self.around.ports.listen(address))).await;
        let channel = Channel::start(plan, self.around.clone(), &past).await;
        let waiting = channel.view().state == ChannelState::Running && !sockets.is_empty();
        if waiting {
            await_opening(&channel, &sockets).await;
        }
        channel
    }

    fn expect(&self, plan: &Plan) {
        self.metrics.expect(&plan.name, plan.outlets.iter().map(|outlet| outlet.name.clone()));
    }

    async fn pasts(&self) -> Result<Pasts, StoreError> {
        Ok(Pasts { switches: self.store.switches().await?, depths: self.store.depths().await? })
    }
}

impl Member {
    fn of(read: &channels::Channel, life: Life) -> Self {
        Self {
            file: read.file.clone(),
            description: read.description.clone(),
            tags: read.tags.clone(),
            ages: read.ages,
            version: read.version,
            outline: Arc::new(read.outline()),
            life,
        }
    }
}

/// What earlier runs left, of all channels.
struct Pasts {
    switches: Vec<(String, String)>,
    depths: Vec<(String, String, u64)>,
}

impl Pasts {
    fn of(&self, name: &str) -> Past {
        let waiting = self.depths.iter().filter(|(channel, _, _)| channel == name);
        Past {
            switches: self.switches.clone(),
            destinations: waiting.map(|(_, destination, _)| destination.clone()).collect(),
        }
    }
}

/// Waits until a source has taken its sockets, or says why it has not: whoever hears that it runs can connect.
async fn await_opening(channel: &Channel, sockets: &[std::io::Result<Arc<TcpListener>>]) {
    let taken = |socket: &std::io::Result<Arc<TcpListener>>| {
        socket.as_ref().is_ok_and(|socket| Arc::strong_count(socket) > 1)
    };
    let began = Instant::now();
    while began.elapsed() < OPENING && channel.view().trouble.is_none() && !sockets.iter().all(taken) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One channel alone, where only one comes into force.
fn restricted(mut before: InForce, only: Option<&str>) -> InForce {
    before.channels.retain(|name, _| only.is_none_or(|only| only == name));
    before
}

/// What of `relais.yaml` takes effect at a start alone.
fn needs_restart(then: &ServerSettings, now: &ServerSettings) -> Vec<&'static str> {
    let settings = [
        ("listen", then.listen != now.listen),
        ("allow_remote", then.allow_remote != now.allow_remote),
        ("tls", then.tls != now.tls),
        ("sign_in", then.sign_in != now.sign_in),
        ("traces", then.traces != now.traces),
        ("store", then.store != now.store),
        ("log", then.log != now.log),
        ("reload", then.reload != now.reload),
    ];
    settings.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}

/// Variables change a plan and not its text.
fn is_another(before: &Plan, now: &Plan) -> bool {
    let outlets = |plan: &Plan| plan.outlets.iter().map(|outlet| outlet.version).collect::<Vec<_>>();
    before.version != now.version
        || before.source_version != now.source_version
        || outlets(before) != outlets(now)
}

/// What keeps a channel from running: the errors of its file, else those of the whole project.
fn faults_of(project: &Project, read: &channels::Channel) -> Vec<Fault> {
    let errors = || project.faults.iter().filter(|fault| fault.is_error());
    let own: Vec<_> = errors().filter(|fault| fault.file == *read.file).cloned().collect();
    if own.is_empty() { errors().filter(|fault| !is_channel(&fault.file)).cloned().collect() } else { own }
}

fn is_channel(file: &Path) -> bool {
    file.starts_with("channels")
}
