//! `relais run`: starts a project's channels and serves until it is asked to stop.

use std::{
    fmt::Write as _,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use channels::{Options, Project, Reload, Secrets, ServerSettings};

use super::{Complaint, Ending, Exit, Place, check, say};
use crate::{
    alerts, log, open_files,
    reload::{self, Watch},
    serving::Serving,
    signals::{Asked, Signals},
    station::Station,
    terminal::{Table, Tone, colour, tinted},
};

/// How long messages under way may take to end when the process is asked to stop.
const DEADLINE: Duration = Duration::from_secs(10);

/// Start every sound channel of a project, and serve until asked to stop.
///
/// SIGTERM or Ctrl-C stops cleanly, a second one at once; SIGHUP brings edited files into force.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The project's folder
    dir: Option<PathBuf>,
    /// The variables of `environments/NAME.yaml`
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// When to forget for the first time what `keep` says is old enough, in seconds; for the benchmark
    #[arg(long, value_name = "N", hide = true, default_value_t = 60)]
    forget_after: u64,
}

pub(crate) async fn run(arguments: Arguments, place: Place) -> Ending {
    let mut signals = Signals::take().map_err(|error| Complaint::wrong(format!("cannot start: {error}")))?;
    let root = place.root(arguments.dir.as_ref());
    let options =
        Options { environment: arguments.environment, secrets: Secrets::Needed, ..Options::default() };
    let watch = Watch::begin(&root);
    let project = check::load(&root, &options)?;
    require_settings(&project)?;
    let settings = project.settings.clone();
    log::start(settings.log);
    let plans =
        project.channels.iter().filter(|channel| channel.enabled).filter_map(|channel| channel.plan.as_ref());
    open_files::say_if_too_few(open_files::allow_most(), plans);
    let watch = wanted(watch, settings.reload);
    let station = Station::open(project, options).await.map_err(Complaint::wrong)?;
    let serving = Serving::begin(&settings, Arc::clone(&station)).await;
    say(opening(&station, &settings, &serving));
    say(first_link(&station, &serving));
    let ending = if station.is_empty() {
        Err(nothing_runs(&station))
    } else {
        let forget_after = Duration::from_secs(arguments.forget_after);
        serve(&station, watch, forget_after, &mut signals).await;
        Ok(Exit::Done)
    };
    tokio::select! {
        () = wind_down(&station, serving) => {}
        () = asked_again(&mut signals) => std::process::exit(1),
    }
    if ending.is_ok() {
        say("stopped\n");
    }
    ending
}

/// Only a wrong `relais.yaml` keeps everything from starting: nobody can tell what it meant.
fn require_settings(project: &Project) -> Result<(), Complaint> {
    let wrong = |fault: &&channels::Fault| fault.is_error() && fault.file.as_os_str() == "relais.yaml";
    let faults: Vec<_> = project.faults.iter().filter(wrong).cloned().collect();
    if faults.is_empty() {
        return Ok(());
    }
    eprint!("{}", channels::render_text(&faults, colour()));
    Err(Complaint::wrong("relais.yaml is wrong; nothing was started"))
}

fn nothing_runs(station: &Station) -> Complaint {
    let root = station.context.fleet.root.display();
    if station.context.fleet.members().is_empty() {
        return Complaint::wrong(format!(
            "there are no channels in {root}/channels; `relais new DIR` makes some"
        ));
    }
    Complaint::wrong("no channel could start; `relais check` says what is wrong")
}

/// The watch, where files come into force by themselves.
fn wanted(watch: notify::Result<Watch>, reload: Reload) -> Option<Watch> {
    if reload == Reload::OnCommand {
        return None;
    }
    let said = |error: &notify::Error| {
        tracing::warn!(%error, "cannot watch the project's files; `relais deploy` brings changes into force");
    };
    watch.inspect_err(said).ok()
}

/// Waits for the end, and reloads meanwhile.
async fn serve(station: &Station, watch: Option<Watch>, forget_after: Duration, signals: &mut Signals) {
    let fleet = &station.context.fleet;
    let watching = watch.map(|watch| tokio::spawn(watch.reload(Arc::clone(fleet))));
    let due = tokio::spawn(crate::overdue::watch(Arc::clone(fleet), Arc::clone(&station.context.events)));
    let context = &station.context;
    let watching_over = tokio::spawn(Arc::clone(&context.alerts).watch(
        Arc::clone(fleet),
        Arc::clone(&context.metrics),
        Arc::clone(&context.events),
    ));
    let telling = alerts::tell(Arc::clone(&context.alerts), Arc::clone(fleet), station.folder.clone());
    let telling = tokio::spawn(telling);
    let forgetting = tokio::spawn(crate::retention::hourly(Arc::clone(fleet), forget_after));
    let tracing = context.events.traces.clone().map(|traces| tokio::spawn(async move { traces.run().await }));
    while signals.next().await == Asked::Reload {
        reload::deploy_all(fleet).await;
    }
    for task in watching.into_iter().chain(tracing).chain([forgetting, due, watching_over, telling]) {
        task.abort();
    }
}

async fn wind_down(station: &Station, serving: Serving) {
    station.context.stop.request();
    station.context.fleet.stop(DEADLINE).await;
    station.context.fleet.logs.end().await;
    if let Some(traces) = &station.context.events.traces {
        traces.end().await;
    }
    serving.end().await;
    // Tasks that were told to end may hold the store for a moment still: it ends now, and in order.
    let store = Arc::clone(&station.context.fleet.store);
    let ended = tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(move || store.end())).await;
    if ended.is_err() {
        tracing::warn!(
            "the store does not end; what is in its journal is put into its files at the next start"
        );
    }
}

async fn asked_again(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// How the first administrator comes in, as long as nobody can sign in. On a terminal only: what a program reads of us
/// is kept in logs.
fn first_link(station: &Station, serving: &Serving) -> String {
    let link = match station.context.accounts.first_link() {
        Ok(Some(link)) => link,
        Ok(None) => return String::new(),
        Err(error) => {
            tracing::error!(?error, "cannot make the first account");
            return String::new();
        }
    };
    if !std::io::stdout().is_terminal() {
        return "nobody can sign in yet; `relais account link admin` makes a link\n".to_owned();
    }
    let at = serving.address().unwrap_or_default();
    format!(
        "nobody can sign in yet; choose the password of `admin` here, once, within a day:\n  {at}/#/welcome/{link}\n"
    )
}

/// A path as a person would write it.
fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(".").unwrap_or(path).display()
}

/// What a person sees first: where things are, and each channel.
fn opening(station: &Station, settings: &ServerSettings, serving: &Serving) -> String {
    let mut text = format!("relais {}\n\n", env!("CARGO_PKG_VERSION"));
    let at = match serving.address() {
        Some(address) => address,
        None => format!("http://{} ({})", settings.listen, tinted("in use; tried again", Tone::Warning)),
    };
    let _ = writeln!(text, "  console, API, metrics      {at}");
    let _ = writeln!(text, "  the API's key              {}\n", shown(&station.folder.join("key")));
    let mut table = Table::headed(&["CHANNEL", "STATE", "WHAT"]);
    for status in station.channels() {
        let destinations: Vec<_> = status.destinations.iter().map(|one| one.name.as_str()).collect();
        let what = match (status.words(), destinations.as_slice()) {
            (words, []) => words,
            (words, _) => format!("{words} → {}", destinations.join(", ")),
        };
        table.row([status.name.clone(), status.state.clone(), what]);
    }
    text.push_str(&table.render(Some(1)));
    text.push_str("\nserving; Ctrl-C stops\n");
    text
}
