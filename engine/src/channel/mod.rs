//! A channel that runs: its source, its line, its outlets, and what a person may do to it.

mod build;
mod life;
mod look;
mod person;
mod view;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use look::Retraced;
pub use person::{LeftAsItWas, Refusal};
pub use view::{ChannelState, ChannelView};

use crate::{
    AnswerState, Backlog, Connections, Expectations, Feeds, Inlet, MessageId, Mirror, Observer, Outcome,
    Plan, Ports, Reply, Shares, Spots, Stop, Store, Told, Trouble, arrivals::Arrivals, group::Waking,
    held::Holding, line::Line, outlet::Outlet, recovery::Recovery,
};

/// What a channel stands in.
#[derive(Clone)]
pub struct Surroundings {
    pub store: Arc<dyn Store>,
    pub ports: Ports,
    pub feeds: Feeds,
    pub shares: Shares,
    pub observer: Arc<dyn Observer>,
    pub expectations: Expectations,
    /// The project's folder.
    pub root: PathBuf,
    /// A folder where sources keep what they have to remember of their side.
    pub notes: PathBuf,
    pub spots: Spots,
    /// Resources that sources keep in step with their servers.
    pub directory: Arc<dyn Mirror>,
}

/// What an earlier run left, read from the store before the channels start.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Every durable switch ([`Store::switches`]).
    pub switches: Vec<(String, String)>,
    /// Destinations that have deliveries waiting, whether or not the file still names them.
    pub destinations: Vec<String>,
}

/// One running channel. It outlives reloads; what changes is the plan it follows.
pub struct Channel {
    name: Arc<str>,
    around: Surroundings,
    arrivals: Arc<Arrivals>,
    recovery: Arc<Recovery>,
    holding: Arc<Holding>,
    waking: Arc<Waking>,
    tasks: TaskTracker,
    connections: Connections,
    trouble: Trouble,
    inlet: Inlet,
    line: RwLock<Arc<Line>>,
    plan: RwLock<Plan>,
    outlets: RwLock<BTreeMap<String, Arc<Outlet>>>,
    running: Mutex<Running>,
    /// One change of life at a time: start, pause, stop, reload.
    changing: tokio::sync::Mutex<()>,
}

/// The tasks of a channel. Whoever takes one out joins it.
struct Running {
    state: ChannelState,
    trouble: Option<String>,
    source: Option<(Stop, JoinHandle<()>)>,
    /// Stops the outlets' workers and what takes up stranded messages.
    stop: Stop,
    workers: Vec<((String, usize), JoinHandle<()>)>,
    tending: Option<JoinHandle<()>>,
    /// Whether the outlets know their queues: only then may they have workers.
    sends: bool,
}

impl Channel {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plan in force.
    pub fn plan(&self) -> Plan {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A way in beside the source: for whoever feeds the channel by hand.
    pub fn inlet(&self) -> Inlet {
        self.inlet.clone()
    }

    /// What lies on the side of its source, where that takes files.
    pub fn backlog(&self) -> Option<Arc<dyn Backlog>> {
        let plan = self.plan();
        plan.source.backlog(&self.standing().opening(&plan))
    }

    /// Lets the answer to a message be made anew: of what becomes of its deliveries from here on.
    pub fn answer_anew(&self, message: MessageId) {
        let reply = Reply::of(Outcome::Unavailable);
        self.around.store.told(message, Told { state: AnswerState::Owed, reply });
    }

    fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn outlet(&self, name: &str) -> Option<Arc<Outlet>> {
        self.outlets.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn all_outlets(&self) -> Vec<Arc<Outlet>> {
        self.outlets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The durable switch of a channel's life: `paused` or `stopped`.
fn life_switch(channel: &str) -> String {
    format!("channel {channel}")
}

/// The durable switch of a destination's hold.
fn hold_switch(channel: &str, destination: &str) -> String {
    format!("hold {channel}/{destination}")
}
