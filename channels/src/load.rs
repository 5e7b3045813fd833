//! Reads a whole project: settings, environments, shared sources, channels; then looks at them together.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    thread,
};

use engine::{Diagnostic, Path, Severity};
use scripts::Library;
use serde_json::Value;

use crate::{
    Channel, Options, Project, ServerSettings, alerts, cross,
    files::Span,
    near::nearest,
    reading::{Around, Draft, Reader, Shared, channel},
    report::Report,
    schema::{environment_schema, schema, settings_schema, source_schema},
    shape::Shape,
    tables::tables,
    variables::Variables,
    yaml::Node,
};

/// Reads the project in `root`. Never fails: what is wrong is in [`Project::faults`], all of it.
pub fn load(root: &FilePath, options: &Options) -> Project {
    let mut report = Report::new(root, Variables::new(root, options));
    if !root.is_dir() {
        nowhere(&mut report, root);
    }
    environments(&mut report, root, options.environment.as_deref());
    let settings = settings(&mut report, root);
    let (served, tables) = tables(&mut report, root);
    let (library, found) = Library::load_with(root, served);
    for found in found {
        report.add_file(found);
    }
    let shared = sources(&mut report, root);
    let schema = schema();
    let around = Around {
        root,
        library: &library,
        zone: &settings.zone,
        shared: &shared,
        schema: Shape::new(&schema),
    };
    let channels = channels(&mut report, &around, settings.listen);
    let names: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    let (alerts, rule_trees) = alerts::rules(&mut report, root, (&settings.zone, &names)).into_iter().unzip();
    let faults = report.sorted(options.strict);
    Project { root: root.to_owned(), settings, channels, tables, alerts, rule_trees, faults, report }
}

/// What `relais.yaml` alone says, as [`load`] would find it, without reading the channels.
pub fn load_settings(root: &FilePath, options: &Options) -> ServerSettings {
    let mut report = Report::new(root, Variables::new(root, options));
    environments(&mut report, root, options.environment.as_deref());
    settings(&mut report, root)
}

fn nowhere(report: &mut Report, root: &FilePath) {
    let number = report.files.add(PathBuf::from("."), "");
    let message = format!("there is no folder `{}`", root.display());
    report.add_at(Span::new(number, 0..0), Diagnostic::error("unreadable-file", Path::default(), message));
}

/// The YAML files of a folder, by name. One that is written `.yml` would be left out in silence: say so.
pub(crate) fn yaml_files(report: &mut Report, root: &FilePath, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(FilePath::new(folder).join(entry.ok()?.file_name())))
        .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
        .collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yml")) {
        let number = report.files.add(path.clone(), "");
        let fault = Diagnostic::error("not-read", Path::default(), "a file that ends in `.yml` is not read");
        report.add_at(Span::new(number, 0..0), fault.help("let its name end in `.yaml`"));
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files
}

pub(crate) fn stem(path: &FilePath) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Looks through every environment, and takes the variables of the one that is chosen.
fn environments(report: &mut Report, root: &FilePath, chosen: Option<&str>) {
    let schema = environment_schema();
    let mut names = Vec::new();
    for path in yaml_files(report, root, "environments") {
        let name = stem(&path);
        if let Some((_, mut tree)) = report.read_yaml(&path) {
            let variables = variables(report, &mut tree, Shape::new(&schema), chosen == Some(&name));
            if chosen == Some(&name) {
                let put_in = Arc::get_mut(&mut report.variables).expect("no other thread reads yet");
                put_in.set_environment(variables);
            }
        }
        names.push(name);
    }
    if let Some(chosen) = chosen.filter(|chosen| !names.iter().any(|name| name == chosen)) {
        let path = FilePath::new("environments").join(format!("{chosen}.yaml"));
        let number = report.files.add(path, "");
        let mut fault = Diagnostic::error(
            "unknown-environment",
            Path::default(),
            format!("there is no environment `{chosen}`"),
        );
        if let Some(near) = nearest(chosen, names.iter().map(String::as_str)) {
            fault = fault.help(format!("did you mean `{near}`?"));
        }
        report.add_at(Span::new(number, 0..0), fault);
    }
}

/// What is missing in an environment that is not chosen says nothing about this machine.
fn variables(
    report: &mut Report,
    tree: &mut Node,
    shape: Shape<'_>,
    chosen: bool,
) -> BTreeMap<String, String> {
    let mut found = Reader::fill(tree, shape, report);
    found.retain(|fault| chosen || !["variable-missing", "secret-missing"].contains(&fault.code));
    for entry in tree.entries() {
        let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if !entry.key.chars().all(is_name) || entry.key.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!("`{}` is no name of a variable", entry.key);
            let at = Path::default().join(&entry.key);
            let fault = Diagnostic::error("wrong-value", at, message).place(engine::Place::Key);
            found.push(fault.help("it has capitals, digits and `_`"));
        }
    }
    for fault in found {
        report.add(tree, fault);
    }
    let text = |entry: &crate::yaml::Entry| {
        let scalar = entry.value.scalar().filter(|scalar| !scalar.unknown)?;
        Some((entry.key.clone(), scalar.text.clone()))
    };
    tree.entries().iter().filter_map(text).collect()
}

fn settings(report: &mut Report, root: &FilePath) -> ServerSettings {
    let path = FilePath::new("relais.yaml");
    if !root.join(path).exists() {
        return ServerSettings::default();
    }
    let Some((_, mut tree)) = report.read_yaml(path) else { return ServerSettings::default() };
    let schema = settings_schema();
    let found = Reader::fill(&mut tree, Shape::new(&schema), report);
    let mut reader = Reader::new(&tree, Shape::new(&schema), found);
    let settings = ServerSettings::read(&mut reader, root);
    for fault in reader.found {
        report.add(&tree, fault);
    }
    settings
}

/// The sources that channels share. Their variables are put in where they are used.
fn sources(report: &mut Report, root: &FilePath) -> Shared {
    let schema: Value = source_schema();
    let mut shared = Shared::new();
    for path in yaml_files(report, root, "sources") {
        let Some((_, tree)) = report.read_yaml(&path) else { continue };
        let mut looked_at = tree.clone();
        for mut fault in Reader::fill(&mut looked_at, Shape::new(&schema), report) {
            if ["variable-missing", "secret-missing"].contains(&fault.code) {
                fault.severity = Severity::Warning;
            }
            report.add(&looked_at, fault);
        }
        shared.insert(stem(&path), (path, tree));
    }
    shared
}

/// A channel's file, what could be read of it, and how many errors and warnings it has.
type Drafted = (PathBuf, Option<Draft>, (usize, usize));

/// Fewer channels than this are not worth a thread.
const A_THREADS_WORTH: usize = 32;

/// Reads the channels, on all processors where they are many: a reload is waited for.
fn drafts(report: &mut Report, around: &Around<'_>) -> Vec<Drafted> {
    let paths = yaml_files(report, around.root, "channels");
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = paths.len().div_ceil(threads).max(A_THREADS_WORTH);
    let read = |paths: &[PathBuf], mut beside: Report| {
        let drafts: Vec<_> = paths.iter().map(|path| draft(&mut beside, path, around)).collect();
        (drafts, beside)
    };
    let read = &read;
    let shares: Vec<_> = thread::scope(|scope| {
        let begin = |paths| {
            let beside = report.beside();
            scope.spawn(move || read(paths, beside))
        };
        let started: Vec<_> = paths.chunks(share).map(begin).collect();
        started.into_iter().map(|one| one.join().expect("reading a channel does not panic")).collect()
    });
    let mut drafts = Vec::with_capacity(paths.len());
    for (read, beside) in shares {
        drafts.extend(read);
        report.join(beside);
    }
    drafts
}

fn draft(report: &mut Report, path: &FilePath, around: &Around<'_>) -> Drafted {
    let first = report.faults.len();
    let draft = report.read_yaml(path).map(|read| channel(report, read, &stem(path), around));
    (path.to_owned(), draft, report.count_from(first))
}

fn channels(report: &mut Report, around: &Around<'_>, listen: std::net::SocketAddr) -> Vec<Channel> {
    let mut drafts = Vec::new();
    let mut channels = Vec::new();
    for (path, draft, counted) in self::drafts(report, around) {
        match draft {
            Some(draft) => drafts.push((path, draft, counted)),
            None => channels.push(Channel::unread(path, counted)),
        }
    }
    let (paths, (drafts, counts)): (Vec<_>, (Vec<_>, Vec<_>)) =
        drafts.into_iter().map(|(path, draft, counted)| (path, (draft, counted))).unzip();
    let mut more = vec![0; drafts.len()];
    for (place, fault) in cross::check(&drafts, listen) {
        report.add(&drafts[place].tree, fault);
        more[place] += 1;
    }
    let all = paths.into_iter().zip(drafts).zip(counts.into_iter().zip(more));
    channels.extend(
        all.map(|((path, draft), ((faults, warnings), more))| taken(path, draft, (faults + more, warnings))),
    );
    channels.sort_by(|one, other| one.file.cmp(&other.file));
    channels
}

fn taken(file: PathBuf, draft: Draft, (faults, warnings): (usize, usize)) -> Channel {
    Channel {
        name: draft.name,
        file,
        enabled: draft.enabled,
        description: draft.description,
        tags: draft.tags,
        plan: draft.plan.filter(|_| faults == 0),
        ages: draft.ages,
        log_file: draft.log_file,
        version: draft.version,
        promises: draft.promises.filter(|_| faults == 0),
        faults,
        warnings,
        tests: draft.tests,
        trial: draft.trial,
        tree: Some(draft.tree),
    }
}
