//! Syncs: how each stands, what it shall do, and channels that are made for one.

use std::{
    fmt::Write as _,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Extension, Json, extract::State, http::StatusCode};
use connectors::sync::{Mode, Standing, State as Noted, Unusable};
use engine::{ChannelState, Mirror as _, SyncRow, Wish};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    asked::{Body, Path as Segments, Query},
    problem::Problem,
    rights::Subject,
};
use crate::{
    accounts::Caller,
    fleet::{Deployment, Fleet, Member},
    why::Why,
};

/// So many of what is asked for again are named.
const SHOWN: usize = 20;

type Shared = State<Arc<Context>>;

/// How a sync stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SyncStatus {
    pub(crate) channel: String,
    pub(crate) resource: String,
    /// OK, KO, STOP or RUNNING.
    pub(crate) state: String,
    /// Those of this type that its server has, as far as is known here.
    pub(crate) resources: i64,
    /// Of the run that runs, or ran last.
    pub(crate) pages: u64,
    #[schemars(with = "Option<String>")]
    pub(crate) last_success: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    pub(crate) next_run: Option<Timestamp>,
    pub(crate) why: Option<Why>,
    /// FULL or DELTA, of the run that runs or was cut.
    #[schemars(with = "Option<String>")]
    pub(crate) mode: Option<Mode>,
    /// Resources on the pages of that run.
    pub(crate) seen: u64,
    /// How many there are, where the server says.
    pub(crate) total: Option<u64>,
    /// Pages a second.
    pub(crate) rate: Option<f64>,
    pub(crate) seconds_left: Option<u64>,
    /// Everything that could be seen at that time, by the server's clock, is here.
    #[schemars(with = "Option<String>")]
    pub(crate) watermark: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    pub(crate) last_full: Option<Timestamp>,
    /// Changes that have not left for the channel yet.
    pub(crate) waiting: i64,
    /// Entries of the run that runs, or ran last, that could not be used.
    pub(crate) rejected: u64,
    /// Of those, so many that nothing names: nobody can ask for them again.
    pub(crate) nameless: u64,
    /// Resources of which an entry could not be used, and which are asked for again by their ids.
    pub(crate) unusable: usize,
    /// The first of them.
    pub(crate) asked_again: Vec<AskedAgain>,
    pub(crate) late_changes: i64,
    /// Resources that no page of a whole pass had, and that their server has.
    pub(crate) overlooked: u64,
    /// Resources that their server has, and that the filter finds no more.
    pub(crate) outside: u64,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) deactivated: i64,
    pub(crate) removed: i64,
    pub(crate) pages_total: u64,
}

/// A resource of which nothing could be used yet.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AskedAgain {
    pub(crate) id: String,
    #[schemars(with = "String")]
    pub(crate) since: Timestamp,
}

/// A channel that is to be made for a sync.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewSync {
    pub(crate) channel: String,
    /// A file of `sources/`, in place of a base.
    pub(crate) source: Option<String>,
    pub(crate) base: Option<String>,
    /// Where the key is: `${NAME}` or `${file:PATH}`.
    pub(crate) key: Option<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) every: Option<String>,
    /// In place of `every`: when runs begin, as cron writes it.
    pub(crate) at: Option<String>,
    /// The zone of `at`.
    pub(crate) zone: Option<String>,
    pub(crate) rate: Option<String>,
    /// A FHIR server that the changes go to, beside the directory.
    pub(crate) fhir: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    resource: Option<String>,
    #[serde(default)]
    forget: bool,
}

pub(super) async fn list(State(context): Shared, caller: Caller) -> Result<Json<Vec<SyncStatus>>, Problem> {
    let mut all = statuses(&context).await?;
    all.retain(|status| context.fleet.is_seen(&status.channel, &caller.sees));
    Ok(Json(all))
}

pub(super) async fn show(
    State(context): Shared,
    Segments(channel): Segments<String>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<SyncStatus>>, Problem> {
    meant(&context, &channel, which.resource.as_deref()).await.map(Json)
}

/// `start`, `stop` or `full`.
pub(super) async fn act(
    State(context): Shared,
    Segments((channel, act)): Segments<(String, String)>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<SyncStatus>>, Problem> {
    let wish = match act.as_str() {
        "start" => Wish::Start,
        "stop" => Wish::Stop,
        "full" => Wish::Full,
        _ => {
            return Err(Problem::missing(format!(
                "a sync can `start`, `stop` and run in `full`, not `{act}`"
            )));
        }
    };
    let meant_ones = meant(&context, &channel, which.resource.as_deref()).await?;
    let rows = rows(&context).await?;
    let wanted = |row: &&SyncRow| {
        row.name.channel == channel && meant_ones.iter().any(|status| status.resource == row.name.resource)
    };
    for row in rows.iter().filter(wanted) {
        let (directory, sync) = (Arc::clone(&context.directory), row.sync);
        blocking(move || directory.wish(sync, wish)).await?;
    }
    meant(&context, &channel, which.resource.as_deref()).await.map(Json)
}

/// Makes a channel, as a file of `channels/`, and starts it.
pub(super) async fn create(
    State(context): Shared,
    caller: Caller,
    Body(new): Body<NewSync>,
) -> Result<(StatusCode, Extension<Subject>, Json<Vec<SyncStatus>>), Problem> {
    let file = file_of(&context.fleet, &new.channel)?;
    let text = written(&new)?;
    write_new(&file, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Problem::conflict(format!("there is a channel file {} already", file.display()))
        }
        _ => Problem::conflict(format!("cannot write {}: {error}", file.display())),
    })?;
    match context.fleet.deploy(Some(&new.channel), Some(&caller.name)).await? {
        Deployment::InForce(_) => {
            let subject = Subject(format!("channel {}", new.channel));
            Ok((StatusCode::CREATED, Extension(subject), Json(Vec::new())))
        }
        Deployment::Refused(faults) => {
            let _ = fs::remove_file(&file);
            let words: Vec<String> = faults.iter().map(|fault| fault.diagnostic.message.clone()).collect();
            Err(Problem::wrong(format!("the channel would not be right: {}", words.join("; "))))
        }
    }
}

/// Removes the file of a channel that has syncs, and the channel with it. `forget` removes what they brought.
pub(super) async fn delete(
    State(context): Shared,
    caller: Caller,
    Segments(channel): Segments<String>,
    Query(which): Query<Which>,
) -> Result<StatusCode, Problem> {
    meant(&context, &channel, None).await?;
    let member = context.fleet.member(&channel).ok_or_else(|| unknown(&channel))?;
    let file = context.fleet.root.join(&member.file);
    fs::remove_file(&file)
        .map_err(|error| Problem::conflict(format!("cannot remove {}: {error}", member.file.display())))?;
    context.fleet.deploy(Some(&channel), Some(&caller.name)).await?;
    if which.forget {
        for row in rows(&context).await?.into_iter().filter(|row| row.name.channel == channel) {
            let directory = Arc::clone(&context.directory);
            blocking(move || directory.forget(row.sync)).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A name, its kind, what it is, and its value.
type Series<'s> = (&'s str, &'s str, &'s str, &'s dyn Fn(&SyncStatus) -> Option<f64>);

/// The series of every sync.
pub(super) async fn metrics(context: &Context) -> String {
    let Ok(statuses) = statuses(context).await else { return String::new() };
    let lag =
        |status: &SyncStatus| status.watermark.map(|at| Timestamp::now().duration_since(at).as_secs_f64());
    let up =
        |status: &SyncStatus| Some(f64::from(u8::from(status.state == "OK" || status.state == "RUNNING")));
    let series: [Series<'_>; 9] = [
        ("relais_sync_up", "gauge", "1 if the sync is OK or runs", &up),
        ("relais_sync_resources", "gauge", "Resources that its server has", &|status| {
            Some(status.resources as f64)
        }),
        ("relais_sync_waiting", "gauge", "Changes that have not left yet", &|status| {
            Some(status.waiting as f64)
        }),
        ("relais_sync_lag_seconds", "gauge", "Since everything that could be seen was taken", &lag),
        ("relais_sync_pages_total", "counter", "Pages taken", &|status| Some(status.pages_total as f64)),
        ("relais_sync_rejected", "gauge", "Entries of the last run that could not be used", &|status| {
            Some(status.rejected as f64)
        }),
        (
            "relais_sync_unusable",
            "gauge",
            "Resources that cannot be used yet and are asked for by id",
            &|status| Some(status.unusable as f64),
        ),
        (
            "relais_sync_overlooked_total",
            "counter",
            "Resources that no page of a whole pass had, and that their server has",
            &|status| Some(status.overlooked as f64),
        ),
        (
            "relais_sync_late_changes_total",
            "counter",
            "Changes that came later than the overlap allows for",
            &|status| Some(status.late_changes as f64),
        ),
    ];
    let mut text = String::new();
    for (name, kind, what, value) in series {
        let _ = writeln!(text, "# HELP {name} {what}\n# TYPE {name} {kind}");
        for status in &statuses {
            if let Some(value) = value(status) {
                let _ = writeln!(
                    text,
                    "{name}{{channel=\"{}\",resource=\"{}\"}} {value}",
                    status.channel, status.resource
                );
            }
        }
    }
    text
}

async fn statuses(context: &Context) -> Result<Vec<SyncStatus>, Problem> {
    let members = context.fleet.members();
    let rows = rows(context).await?;
    let known = rows.iter().filter_map(|row| Some(SyncStatus::of(row, members.get(&row.name.channel)?)));
    Ok(known.collect())
}

async fn meant(context: &Context, channel: &str, resource: Option<&str>) -> Result<Vec<SyncStatus>, Problem> {
    let mut found = statuses(context).await?;
    found.retain(|status| {
        status.channel == channel && resource.is_none_or(|resource| status.resource == resource)
    });
    if found.is_empty() {
        return Err(match resource {
            Some(resource) => Problem::missing(format!("there is no sync {channel}/{resource}")),
            None => unknown(channel),
        });
    }
    Ok(found)
}

fn unknown(channel: &str) -> Problem {
    Problem::missing(format!("there is no channel `{channel}` with a sync"))
}

async fn rows(context: &Context) -> Result<Vec<SyncRow>, Problem> {
    let directory = Arc::clone(&context.directory);
    blocking(move || directory.syncs()).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, engine::StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or_else(|_| Err(engine::StoreError("reading was cut".to_owned())))?)
}

impl From<Unusable> for AskedAgain {
    fn from(Unusable { id, since }: Unusable) -> Self {
        Self { id, since }
    }
}

impl SyncStatus {
    fn of(row: &SyncRow, member: &Member) -> Self {
        let noted: Noted = serde_json::from_value(row.note.clone()).unwrap_or_default();
        let runs = member.running().is_some_and(|channel| channel.view().state == ChannelState::Running);
        let is_stopped = row.wished.is_stopped && noted.standing != Standing::Running;
        let standing = if runs && !is_stopped { noted.standing } else { Standing::Stop };
        let run = noted.run.as_ref();
        let since = run.map(|run| Timestamp::now().duration_since(run.started).as_secs_f64());
        let rate = since.filter(|since| *since > 0.0).zip(run).map(|(since, run)| run.pages as f64 / since);
        let total = run.and_then(|run| run.total);
        let left = total.zip(run).zip(rate.filter(|rate| *rate > 0.0)).map(|((total, run), rate)| {
            let pages = total.div_ceil(u64::from(run.count.max(1))).saturating_sub(run.pages);
            (pages as f64 / rate) as u64
        });
        Self {
            channel: row.name.channel.clone(),
            resource: row.name.resource.clone(),
            state: standing.name().to_owned(),
            resources: row.resources,
            pages: noted.pages,
            last_success: noted.last_success,
            next_run: noted.next_run,
            why: row.says.clone().or_else(|| noted.why.clone()).map(Why::of_source),
            mode: run.map(|run| run.mode),
            seen: noted.seen,
            total,
            rate,
            seconds_left: left,
            watermark: noted.watermark,
            last_full: noted.last_full,
            waiting: row.waiting,
            rejected: noted.rejected,
            nameless: noted.nameless,
            unusable: noted.unusable.len(),
            asked_again: noted.unusable.into_iter().take(SHOWN).map(AskedAgain::from).collect(),
            late_changes: noted.late_changes,
            overlooked: noted.overlooked,
            outside: noted.outside,
            created: noted.created,
            updated: noted.updated,
            deactivated: noted.deactivated,
            removed: noted.removed,
            pages_total: noted.pages_total,
        }
    }
}

/// The file that a channel of this name would have.
fn file_of(fleet: &Fleet, channel: &str) -> Result<PathBuf, Problem> {
    let is_name = !channel.is_empty()
        && channel.len() <= 64
        && channel.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_name {
        return Err(Problem::wrong(format!("`{channel}` is no name: letters, digits, `-` and `_`")));
    }
    if fleet.member(channel).is_some() {
        return Err(Problem::conflict(format!("there is a channel `{channel}` already")));
    }
    Ok(fleet.root.join("channels").join(format!("{channel}.yaml")))
}

fn write_new(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut opened = fs::File::create_new(file)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()
}

/// The channel as its file says it. Values are written as JSON writes them, which YAML reads.
fn written(new: &NewSync) -> Result<String, Problem> {
    if new.key.as_ref().is_some_and(|key| !key.starts_with("${")) {
        return Err(Problem::wrong(
            "a key does not stand in a channel's file: say where it is, `${NAME}` or `${file:PATH}`",
        ));
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let protocol = if new.base.is_some() && new.key.is_none() { "fhir_sync" } else { "annuaire" };
    let mut text = format!("name: {}\nsource:\n", new.channel);
    let indent = if let Some(source) = &new.source {
        let _ = writeln!(text, "  use: {}", quoted(source));
        "  "
    } else {
        let _ = writeln!(text, "  {protocol}:");
        "    "
    };
    let settings = [
        ("base", &new.base),
        ("key", &new.key),
        ("every", &new.every),
        ("at", &new.at),
        ("zone", &new.zone),
        ("rate", &new.rate),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            let _ = writeln!(text, "{indent}{name}: {}", quoted(value));
        }
    }
    if !new.resources.is_empty() {
        let resources: Vec<String> = new.resources.iter().map(|resource| quoted(resource)).collect();
        let _ = writeln!(text, "{indent}resources: [{}]", resources.join(", "));
    }
    // In order of each resource: in that of all, one after the other would take as long as the disk for each.
    text.push_str(
        "destinations:\n  - name: directory\n    to:\n      directory: {}\n    order: { key: source.id }\n    workers: 16\n    queue: always\n",
    );
    if let Some(base) = &new.fhir {
        let _ = write!(
            text,
            "  - name: server\n    when: source.change != \"removed\"\n    to:\n      fhir: {{ base: {} }}\n    order: {{ key: source.id }}\n    workers: 4\n",
            quoted(base)
        );
    }
    Ok(text)
}
