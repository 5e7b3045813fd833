//! Everything of one running server that lives as long as the process.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use channels::{Options, Project};
use connectors::{setting::Size, tls::Acceptor};
use engine::{Expectations, Feeds, Observer, Ports, Shares, Spots, Stop, Store, Surroundings};
use store::{Directory, Sqlite};

use crate::{
    accounts::{Accounts, Gate},
    alerts::Alerts,
    api::{self, ChannelStatus, Reach},
    audit::Audit,
    events::Events,
    fleet::Fleet,
    flow_log::FlowLogs,
    key::Key,
    metrics::Metrics,
    pulse::Pulse,
    threads::Sends,
    traces::Traces,
};

/// A project with its store open and its channels started.
pub(crate) struct Station {
    pub(crate) context: Arc<api::Context>,
    /// The store's folder.
    pub(crate) folder: PathBuf,
    /// How the API listens by TLS, and the file of its certificate, from the root on.
    pub(crate) tls: Option<Arc<Acceptor>>,
    pub(crate) certificate: Option<PathBuf>,
    _sends: Sends,
}

impl Station {
    /// Opens the store and starts every sound channel. Fails, in words, only where nothing could start.
    pub(crate) async fn open(project: Project, options: Options) -> Result<Arc<Self>, String> {
        // Installed once for the process; a second install finds the first, which is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let root = project.root.clone();
        let folder = root.join(&project.settings.store.path);
        let settings = project.settings.clone();
        let reach =
            if project.settings.listen.ip().is_loopback() { Reach::Loopback } else { Reach::Everywhere };
        if reach == Reach::Everywhere && !settings.allow_remote && settings.tls.is_none() {
            let listen = settings.listen;
            return Err(format!(
                "`listen: {listen}` lets other machines in, unencrypted; give it `tls`, or say `allow_remote: true` if that is meant"
            ));
        }
        let (tls, certificate) = encryption(&settings, &root)?;
        let store = Arc::new(
            Sqlite::open_with(&folder, kept_as(&settings.store)).map_err(|error| error.to_string())?,
        );
        let directory = Arc::new(Directory::open(&folder)?);
        let key = Key::of(&folder)
            .map_err(|error| format!("cannot keep the API's key in {}: {error}", folder.display()))?;
        let accounts = Accounts::open(&folder)
            .map_err(|error| format!("cannot read the accounts in {}: {error}", folder.display()))?;
        let gate = settings.sign_in.as_ref().map(|sign_in| Gate::new(sign_in, &root));
        let audit = Audit::open(&folder).map_err(|error| format!("cannot open the audit log: {error}"))?;
        let is_encrypted = settings.tls.is_some();
        let cookie = format!("relais-{}", settings.listen.port());
        let metrics = Arc::new(Metrics::new().map_err(|error| format!("cannot count: {error}"))?);
        let logs = Arc::new(FlowLogs::default());
        logs.begin(Arc::clone(&store), settings.zone.clone());
        let events = events(&settings, &root, (&metrics, &logs))?;
        let sends = Sends::start().map_err(|error| format!("cannot start threads: {error}"))?;
        let around = surroundings(
            (root, &folder, &sends),
            (Arc::clone(&store), Arc::clone(&directory)),
            Arc::clone(&events),
        );
        let fleet = Arc::new(Fleet::new((options, settings), store, around, (Arc::clone(&metrics), logs)));
        fleet.start(project).await.map_err(|error| error.to_string())?;
        let context = api::Context {
            alerts: Arc::new(Alerts::open(&folder, fleet.zone())),
            fleet,
            directory,
            metrics,
            events,
            key,
            accounts,
            gate,
            audit,
            cookie,
            reach,
            is_encrypted,
            pulse: Pulse::default(),
            started: Instant::now(),
            many: api::Many::default(),
            retrying: tokio::sync::Mutex::default(),
            stop: Stop::default(),
        };
        Ok(Arc::new(Self { context: Arc::new(context), folder, tls, certificate, _sends: sends }))
    }

    /// Whether no channel runs, and none could without an edit.
    pub(crate) fn is_empty(&self) -> bool {
        let members = self.context.fleet.members();
        members.values().all(crate::fleet::Member::is_broken)
    }

    pub(crate) fn channels(&self) -> Vec<ChannelStatus> {
        let edit = self.context.fleet.edit();
        let members = self.context.fleet.members();
        members.iter().map(|(name, member)| ChannelStatus::of(name, member, (0, &[]), &edit)).collect()
    }
}

/// How the API listens by TLS, where it does, and the file of its certificate.
fn encryption(
    settings: &channels::ServerSettings,
    root: &Path,
) -> Result<(Option<Arc<Acceptor>>, Option<PathBuf>), String> {
    let Some(tls) = &settings.tls else { return Ok((None, None)) };
    let acceptor = Acceptor::new(&tls.settings(), root)?;
    let certificate = std::path::absolute(root.join(&tls.certificate));
    let certificate =
        certificate.map_err(|error| format!("cannot tell where the certificate lies: {error}"))?;
    Ok((Some(Arc::new(acceptor)), Some(certificate)))
}

/// Who hears what happens, and tells it on.
fn events(
    settings: &channels::ServerSettings,
    root: &Path,
    (metrics, logs): (&Arc<Metrics>, &Arc<FlowLogs>),
) -> Result<Arc<Events>, String> {
    let traces = settings.traces.as_ref().map(|said| Traces::new(said, root)).transpose()?;
    Ok(Arc::new(Events::new(Arc::clone(metrics), Arc::clone(logs), traces.map(Arc::new))))
}

fn kept_as(said: &channels::StoreSettings) -> store::Settings {
    let bytes = |size: Size| size.0 as u64;
    store::Settings {
        floor: said.free.map(bytes),
        budget: said.budget.map(bytes),
        ..store::Settings::default()
    }
}

fn surroundings(
    (root, folder, sends): (PathBuf, &Path, &Sends),
    (store, directory): (Arc<Sqlite>, Arc<Directory>),
    events: Arc<Events>,
) -> Surroundings {
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    let store: Arc<dyn Store> = store;
    let observer: Arc<dyn Observer> = events;
    Surroundings {
        store,
        ports: Ports::default(),
        expectations: Expectations::default(),
        feeds: Feeds::default(),
        shares: Shares::default(),
        observer,
        root,
        notes: folder.join("notes"),
        spots: Spots::new(threads.saturating_sub(1).max(1)).sending_on(sends.handle().clone()),
        directory,
    }
}
