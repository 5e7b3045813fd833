//! Start, pause, stop and reload.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::task::TaskTracker;

use super::{Channel, ChannelState, Past, Running, Surroundings, build::Standing, hold_switch, life_switch};
use crate::{
    Connections, Inlet, Plan, Stop, StoreError, Trouble, arrivals::Arrivals, held::Holding, line::tend,
    recovery::Recovery,
};

/// How long to wait before opening again what could not be opened.
const REOPEN: Duration = Duration::from_secs(1);

/// How long a reload waits for the new source before it lets the old one go.
const HAND_OVER: Duration = Duration::from_secs(2);

impl Channel {
    /// Starts a channel. It never fails: a port or a peer that is not there is tried again, and said in the view.
    pub async fn start(plan: Plan, around: Surroundings, past: &Past) -> Arc<Self> {
        let standing = Standing {
            around: around.clone(),
            arrivals: Arc::new(Arrivals::default()),
            recovery: Arc::new(Recovery::default()),
            holding: Arc::new(Holding::new(plan.version)),
            waking: Arc::default(),
            tasks: TaskTracker::new(),
            connections: Connections::default(),
            trouble: Trouble::default(),
        };
        let mut outlets = standing.outlets(&plan, &std::collections::BTreeMap::new());
        for name in &past.destinations {
            outlets.entry(name.clone()).or_insert_with(|| standing.outlet(&plan, name));
        }
        let set =
            |switch: &str| past.switches.iter().find(|(name, _)| name == switch).map(|(_, value)| value);
        for (name, outlet) in &outlets {
            outlet.set_held(set(&hold_switch(&plan.name, name)).is_some());
        }
        standing.conduct(&plan, &outlets);
        standing.around.expectations.declare(&plan);
        let line = standing.line(&plan, &outlets);
        let channel = Arc::new(Self {
            name: Arc::clone(&plan.name),
            around,
            arrivals: standing.arrivals,
            recovery: standing.recovery,
            holding: standing.holding,
            waking: standing.waking,
            tasks: standing.tasks,
            connections: standing.connections,
            trouble: standing.trouble,
            inlet: Inlet::new(Arc::clone(&plan.name), Arc::clone(&line)),
            line: RwLock::new(line),
            plan: RwLock::new(plan),
            outlets: RwLock::new(outlets),
            running: Mutex::new(Running::nothing()),
            changing: tokio::sync::Mutex::default(),
        });
        channel.remember().await;
        let state = match set(&life_switch(&channel.name)).map(String::as_str) {
            Some("stopped") => ChannelState::Stopped,
            Some("paused") => ChannelState::Paused,
            _ => ChannelState::Running,
        };
        channel.run(state);
        channel
    }

    /// Puts another plan in force. Messages under way end on the old one; a port that stays keeps listening.
    pub async fn reload(self: &Arc<Self>, plan: Plan) {
        let _changing = self.changing.lock().await;
        let before = self.plan();
        let standing = self.standing();
        let outlets = standing.outlets(&plan, &self.outlets.read().unwrap_or_else(PoisonError::into_inner));
        let fresh: Vec<_> =
            outlets.values().filter(|outlet| self.outlet(outlet.name()).is_none()).cloned().collect();
        *self.outlets.write().unwrap_or_else(PoisonError::into_inner) = outlets.clone();
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan.clone();
        self.remember().await;
        for outlet in fresh {
            self.refill(&outlet).await;
        }
        standing.conduct(&plan, &outlets);
        standing.around.expectations.declare(&plan);
        let line = standing.line(&plan, &outlets);
        *self.line.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&line);
        self.inlet.switch(line);
        self.holding.comes_into_force(plan.version);
        self.waking.joined();
        self.recovery.wake();
        let (runs, sends) = {
            let running = self.running();
            (running.state, running.sends)
        };
        if sends {
            self.hire();
        }
        if runs == ChannelState::Running && before.source_version != plan.source_version {
            self.change_source().await;
        }
        self.around.observer.changed(&self.name);
    }

    /// Takes messages again and sends again. Durable.
    pub async fn resume(self: &Arc<Self>, by: &str) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        self.around.store.switch(&life_switch(&self.name), None, by).await?;
        if self.running().state == ChannelState::Stopped {
            self.run(ChannelState::Running);
        } else if self.running().state == ChannelState::Paused {
            self.running().state = ChannelState::Running;
            self.open_source();
        }
        self.around.observer.changed(&self.name);
        Ok(())
    }

    /// Takes no more messages; what is queued is still sent. Durable.
    pub async fn pause(self: &Arc<Self>, by: &str) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        self.around.store.switch(&life_switch(&self.name), Some("paused"), by).await?;
        if self.running().state == ChannelState::Stopped {
            self.run(ChannelState::Paused);
        } else {
            self.running().state = ChannelState::Paused;
            self.close_source(Duration::from_secs(10)).await;
        }
        self.around.observer.changed(&self.name);
        Ok(())
    }

    /// Takes no more messages and sends none. Durable.
    pub async fn halt(self: &Arc<Self>, by: &str) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        self.around.store.switch(&life_switch(&self.name), Some("stopped"), by).await?;
        self.wind_down(Duration::from_secs(10)).await;
        self.running().state = ChannelState::Stopped;
        self.around.observer.changed(&self.name);
        Ok(())
    }

    /// Ends with the process: the source first, then messages under way, then the sends; the rest is left to recovery.
    pub async fn stop(&self, deadline: Duration) {
        let _changing = self.changing.lock().await;
        self.wind_down(deadline).await;
        self.running().state = ChannelState::Stopped;
    }

    fn run(self: &Arc<Self>, state: ChannelState) {
        self.running().state = state;
        if state == ChannelState::Stopped {
            return;
        }
        self.running().stop = Stop::default();
        if state == ChannelState::Running {
            self.open_source();
        }
        let stop = self.running().stop.clone();
        let channel = Arc::clone(self);
        let tending = tokio::spawn(async move { channel.tend(stop).await });
        self.running().tending = Some(tending);
    }

    /// Finds what an earlier run left, lets the outlets go, and takes up what was cut.
    async fn tend(self: Arc<Self>, stop: Stop) {
        // What a stop within this process left open is known already.
        if !self.recovery.has_looked_back() {
            self.line().find_interrupted(&stop).await;
            self.line().find_held(&self.all_outlets(), &stop).await;
        }
        self.holding.look_again();
        self.waking.joined();
        for outlet in self.all_outlets() {
            self.refill(&outlet).await;
        }
        if !stop.is_requested() {
            self.running().sends = true;
            self.hire();
        }
        tend(&self.recovery, || (self.line(), self.all_outlets()), &stop).await;
    }

    async fn refill(&self, outlet: &crate::outlet::Outlet) {
        let stop = self.running().stop.clone();
        while let Err(pause) = outlet.refill().await {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Gives each outlet as many workers as its settings say. Those too many leave by themselves.
    fn hire(self: &Arc<Self>) {
        let mut running = self.running();
        running.workers.retain(|(_, worker)| !worker.is_finished());
        let stop = running.stop.clone();
        for outlet in self.all_outlets() {
            for worker in 0..outlet.wanted_workers() {
                let place = (outlet.name().to_owned(), worker);
                if running.workers.iter().all(|(taken, _)| *taken != place) {
                    let task = self.around.spots.send(Arc::clone(&outlet).work(worker, stop.clone()));
                    running.workers.push((place, task));
                }
            }
        }
    }

    fn open_source(self: &Arc<Self>) {
        let stop = Stop::default();
        let (task, _opened) = self.spawn_source(stop.clone());
        self.running().source = Some((stop, task));
    }

    /// Opens the new source before it lets the old one go: both share the port.
    async fn change_source(self: &Arc<Self>) {
        let before = self.running().source.take();
        let stop = Stop::default();
        let (task, opened) = self.spawn_source(stop.clone());
        self.running().source = Some((stop, task));
        // A new source that cannot open (its port is the old one's, on another address) must not keep the old one.
        let _ = tokio::time::timeout(HAND_OVER, opened).await;
        if let Some((stop, task)) = before {
            stop.request();
            join(task, Duration::from_secs(10)).await;
        }
    }

    async fn close_source(&self, deadline: Duration) {
        let source = self.running().source.take();
        if let Some((stop, task)) = source {
            stop.request();
            join(task, deadline).await;
        }
    }

    async fn wind_down(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.close_source(deadline).await;
        self.tasks.close();
        // Messages under way end their leg.
        let _ = tokio::time::timeout_at(until, self.tasks.wait()).await;
        self.tasks.reopen();
        let (tending, workers) = {
            let mut running = self.running();
            running.stop.request();
            running.sends = false;
            (running.tending.take(), std::mem::take(&mut running.workers))
        };
        let tasks = tending.into_iter().chain(workers.into_iter().map(|(_, worker)| worker));
        for task in tasks {
            join(task, until.saturating_duration_since(Instant::now())).await;
        }
    }

    /// Opens the source and runs it; opens it again when it cannot be opened or breaks.
    fn spawn_source(self: &Arc<Self>, stop: Stop) -> (JoinHandle<()>, tokio::sync::oneshot::Receiver<()>) {
        let (tell_opened, opened) = tokio::sync::oneshot::channel();
        let channel = Arc::clone(self);
        let plan = self.plan();
        let opening = self.standing().opening(&plan);
        let task = tokio::spawn(async move {
            let mut tell_opened = Some(tell_opened);
            while !stop.is_requested() {
                let ended = match plan.source.open(&opening).await {
                    Ok(source) => {
                        channel.set_trouble(None);
                        tell_opened.take().map(|tell| tell.send(()));
                        source.run(channel.inlet.clone(), stop.clone()).await
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = ended {
                    channel.set_trouble(Some(error.to_string()));
                }
                tokio::select! {
                    () = tokio::time::sleep(REOPEN) => {}
                    () = stop.requested() => {}
                }
            }
        });
        (task, opened)
    }

    fn set_trouble(&self, trouble: Option<String>) {
        let mut running = self.running();
        if running.trouble == trouble {
            return;
        }
        if let Some(why) = &trouble {
            tracing::warn!(channel = %self.name, why, "the source does not run; will try again");
        }
        running.trouble = trouble;
        drop(running);
        self.around.observer.changed(&self.name);
    }

    /// Keeps the version's text; without it an old message could not be explained, but it can be carried.
    async fn remember(&self) {
        let plan = self.plan();
        if let Err(error) = self.around.store.remember(&self.name, plan.version, &plan.text).await {
            tracing::warn!(channel = %self.name, %error, "cannot keep the channel's version");
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            around: self.around.clone(),
            arrivals: Arc::clone(&self.arrivals),
            recovery: Arc::clone(&self.recovery),
            holding: Arc::clone(&self.holding),
            waking: Arc::clone(&self.waking),
            tasks: self.tasks.clone(),
            connections: self.connections.clone(),
            trouble: self.trouble.clone(),
        }
    }
}

impl Running {
    fn nothing() -> Self {
        Self {
            state: ChannelState::Stopped,
            trouble: None,
            source: None,
            stop: Stop::default(),
            workers: Vec::new(),
            tending: None,
            sends: false,
        }
    }
}

/// Waits for a task that was asked to stop; ends it when it does not.
async fn join(mut task: JoinHandle<()>, deadline: Duration) {
    if tokio::time::timeout(deadline, &mut task).await.is_err() {
        task.abort();
        let _ = task.await;
    }
}
