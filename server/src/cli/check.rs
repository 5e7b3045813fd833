//! `relais check`: everything wrong with a project, with lines.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use channels::{Options, Project, Secrets};
use engine::{
    Connections, EmptyDirectory, Feeds, OpenError, Opening, Plan, Ports, ReplyWords, Shares, Trouble,
};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::time::timeout;

use super::{
    Complaint, Ending, Exit, Format, Place,
    change::{self, Change},
    promises, say, say_json,
};
use crate::terminal::{Tone, colour, counted, tinted};

/// The longest that one source or destination is tried: a disk may hang.
const TRY: Duration = Duration::from_secs(10);

/// Say everything that is wrong with a project, with lines.
///
/// Leaves with 1 if anything is. A warning never does, unless `--strict`. Of a sound project it says too what the files lose
/// against what is in force: in the running server, in the one that `--server` names, or in what ran last.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The project's folder
    dir: Option<PathBuf>,
    /// The variables of `environments/NAME.yaml`
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Secrets must be there and readable; else they are taken as present
    #[arg(long)]
    secrets: bool,
    /// Warnings count as faults
    #[arg(long)]
    strict: bool,
    /// Try the other side of every enabled channel too, without sending a message; needs the secrets
    #[arg(long)]
    connect: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let root = place.root(arguments.dir.as_ref());
    let secrets =
        if arguments.secrets || arguments.connect { Secrets::Needed } else { Secrets::TakenAsPresent };
    let options = Options {
        environment: arguments.environment.clone(),
        secrets,
        strict: arguments.strict,
        ..Options::default()
    };
    let mut project = load(&root, &options)?;
    if arguments.connect {
        connect(&mut project).await;
        connect_ways(&mut project).await;
    }
    let change = if project.is_sound() {
        change::against(&project, options.environment.as_deref(), place).await?
    } else {
        Change::default()
    };
    match arguments.format {
        Format::Json => say_json(&channels::to_json(&[project.faults.as_slice(), &change.notes].concat())),
        Format::Text => say(format_args!("{}{}", report(&project), change.told())),
    }
    Ok(if project.is_sound() { Exit::Done } else { Exit::Wrong })
}

/// Loads the project of a command; a folder that is not there makes the command wrong.
pub(super) fn load(root: &Path, options: &Options) -> Result<Project, Complaint> {
    if !root.is_dir() {
        return Err(Complaint::misused(format!("there is no folder {}", root.display())));
    }
    Ok(channels::load(root, options))
}

/// What is spoken with the other side, or why it is not there; each with the place where its channel names it.
type Tried = Result<Option<(engine::Path, String)>, (engine::Path, String)>;

/// Tries every source and destination of the enabled channels that have a plan, all at once, and the servers of tables.
async fn connect(project: &mut Project) {
    let mut tries = Vec::new();
    for (place, channel) in project.channels.iter().enumerate().filter(|(_, channel)| channel.enabled) {
        let of_channel = channel.plan.iter().flat_map(|plan| tries_of(plan, &project.root));
        tries.extend(of_channel.map(|tried| tried.map(move |found| (place, found))));
    }
    let tables = project.tables.iter().enumerate().map(|(place, table)| {
        let register = Arc::clone(&table.register);
        let reaching = tokio::task::spawn_blocking(move || register.reach());
        async move { (place, reaching.await.unwrap_or_else(|_| Err("the look at it broke".to_owned()))) }
    });
    for (place, reached) in join_all(tables).await {
        if let Err(why) = reached {
            project.add_unreachable_table(place, &why);
        }
    }
    for (place, found) in join_all(tries).await {
        match found {
            Ok(None) => {}
            Ok(Some((at, words))) => project.add_spoken(place, &at, &words),
            Err((at, why)) => project.add_unreachable(place, &at, &why),
        }
    }
}

/// Tries every way of every rule: whether it is there and lets us in, without a word to anybody.
async fn connect_ways(project: &mut Project) {
    let ways = project.alerts.iter().enumerate().flat_map(|(place, rule)| {
        let opening = opening(format!("alerts/{}", rule.name).into(), &project.root);
        rule.tell.iter().enumerate().map(move |(way, route)| {
            let (settings, its) = (Arc::clone(&route.settings), opening.clone());
            let reaching = async move { settings.reach(&its).await.map(|()| None) };
            tried("tell".to_owned(), reaching.boxed()).map(move |found| (place, way, found))
        })
    });
    let ways: Vec<_> = ways.collect();
    for (place, way, found) in join_all(ways).await {
        if let Err((_, why)) = found {
            project.add_unreachable_way(place, way, &why);
        }
    }
}

/// What nothing runs around.
fn opening(channel: Arc<str>, root: &Path) -> Opening {
    Opening {
        channel,
        root: root.to_owned(),
        words: ReplyWords::default(),
        charset: None,
        ports: Ports::default(),
        feeds: Feeds::default(),
        shares: Shares::default(),
        connections: Connections::default(),
        notes: root.join("data").join("notes"),
        trouble: Trouble::default(),
        directory: Arc::new(EmptyDirectory),
    }
}

fn tries_of(plan: &Plan, root: &Path) -> Vec<BoxFuture<'static, Tried>> {
    let opening = Opening {
        words: plan.words.clone(),
        charset: plan.charset.clone(),
        ..opening(Arc::clone(&plan.name), root)
    };
    let (source, its) = (Arc::clone(&plan.source), opening.clone());
    let reaching = async move {
        source.reach(&its).await?;
        Ok(source.spoken(&its).await)
    };
    let mut tries = vec![tried("source".to_owned(), reaching.boxed())];
    for (number, outlet) in plan.outlets.iter().enumerate() {
        let (settings, its) = (Arc::clone(&outlet.settings), opening.clone());
        let reaching = async move {
            settings.reach(&its).await?;
            Ok(settings.spoken(&its).await)
        };
        tries.push(tried(format!("destinations.{number}.to"), reaching.boxed()));
    }
    tries
}

/// What is wrong at `at`, if it is not reached in time.
fn tried(
    at: String,
    reaching: BoxFuture<'static, Result<Option<String>, OpenError>>,
) -> BoxFuture<'static, Tried> {
    async move {
        let at = engine::Path::parse(&at);
        let reached = timeout(TRY, reaching).await;
        let reached = reached.unwrap_or_else(|_| Err(OpenError::new(format!("no answer within {TRY:?}"))));
        match reached {
            Ok(spoken) => Ok(spoken.map(|words| (at, words))),
            Err(why) => Err((at, why.to_string())),
        }
    }
    .boxed()
}

fn report(project: &Project) -> String {
    let mut text = channels::render_text(&project.faults, colour());
    if !project.faults.is_empty() {
        text.push('\n');
    }
    let errors = project.faults.iter().filter(|fault| fault.is_error()).count() as u64;
    let warnings = project.faults.iter().filter(|fault| fault.is_warning()).count() as u64;
    let looked_at = counted(project.channels.len() as u64, "channel");
    let summary = match (errors, warnings) {
        (0, 0) => format!("{}: {looked_at}\n", tinted("nothing is wrong", Tone::Good)),
        (0, warnings) => format!("{looked_at}: nothing is wrong, {}\n", counted(warnings, "warning")),
        (errors, 0) => format!("{looked_at}: {}\n", tinted(&counted(errors, "fault"), Tone::Bad)),
        (errors, warnings) => {
            let faults = tinted(&counted(errors, "fault"), Tone::Bad);
            format!("{looked_at}: {faults}, {}\n", counted(warnings, "warning"))
        }
    };
    // Between faults nobody reads promises.
    let promises = if errors == 0 { promises::table(project) } else { String::new() };
    format!("{text}{summary}{promises}")
}
