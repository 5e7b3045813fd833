//! From a channel file to a plan, with everything that is wrong about it.

mod channel;
mod destination;
mod expect;
mod files;
mod group;
mod hours;
mod names;
mod reader;
mod reply;
mod source;
mod steps;
mod tests;

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use engine::{Ages, Claim, Diagnostic, Hash, Order, Path, Place, Plan, Severity};
use jiff::tz::TimeZone;
use scripts::{Library, Limits, Program, Whereabouts};

pub(crate) use reader::Reader;
pub(crate) use source::{Shared, plain, protocol, take_shared};

use crate::{
    files::Files,
    promises::Promises,
    report::{Report, span_of},
    shape::Shape,
    trial::Trial,
    yaml::{Kind, Node},
};
pub(crate) use channel::ChannelRead;
pub(crate) use destination::{DestinationRead, destination_at, texts};

/// What all channels of a project share.
pub(crate) struct Around<'a> {
    pub(crate) root: &'a FilePath,
    pub(crate) library: &'a Library,
    pub(crate) zone: &'a TimeZone,
    pub(crate) shared: &'a Shared,
    pub(crate) schema: Shape<'a>,
}

/// A channel file as far as it could be read.
pub(crate) struct Draft {
    pub(crate) tree: Node,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) ages: Ages,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) version: Hash,
    pub(crate) plan: Option<Plan>,
    pub(crate) trial: Option<Trial>,
    pub(crate) promises: Option<Promises>,
    pub(crate) claims: Vec<(Claim, Path)>,
    pub(crate) tests: Vec<String>,
    /// The channels whose answers it waits for, and those of its tests, and where it names them.
    pub(crate) names: Vec<(String, Path)>,
}

/// Faults that are warnings where a channel is not enabled: what is missing may be on another machine.
const ELSEWHERE: [&str; 3] = ["variable-missing", "secret-missing", "file-unreadable"];

/// What a part of the file that could not be read may hold.
const MAY_STAND_THERE: [&str; 3] = ["missing-field", "no-connector", "unknown-destination"];

/// Reads one channel. `stem` names it where it does not name itself.
pub(crate) fn channel(
    report: &mut Report,
    (file, mut tree): (usize, Node),
    stem: &str,
    around: &Around<'_>,
) -> Draft {
    let (shared, found) = prepare(report, &mut tree, around);
    let first = report.faults.len();
    let mut reader = Reader::new(&tree, around.schema, found);
    let read = ChannelRead::read(&mut reader, stem, around);
    let mut found = reader.found;
    let compiled = scripts::compile(
        read.program(whereabouts(&report.files, file, &tree)),
        around.library,
        Limits::default(),
    );
    let program = compiled.map_err(|faults| take_code(faults, report, &mut found)).ok().map(Arc::new);
    found.extend(program.as_deref().and_then(|program| overtaken(program, &read)));
    explain_cuts(&tree, report, &mut found);
    if report.torn.contains(&file) {
        let is_of_gap = |fault: &Diagnostic| match tree.at(&fault.at) {
            Some(node) => holds_gap(node) && (node.scalar().is_some() || fault.code == "wrong-value"),
            None => false,
        };
        found.retain(|fault| !MAY_STAND_THERE.contains(&fault.code) && !is_of_gap(fault));
    }
    for diagnostic in found {
        report.add(&tree, severity(diagnostic, read.enabled));
    }
    let text = version_text(report, (file, shared), around.library, program.as_deref());
    let version = Hash::of(&[text.as_bytes()]);
    let is_ready = report.count_from(first).0 == 0 && !holds_unknown(&tree);
    let plan = program.clone().filter(|_| is_ready).and_then(|script| read.plan(script, version, &text));
    let promises = Promises::of(&read, &tree, report.files.get(file).path.clone());
    let source = protocol(&tree, &Path::parse("source"));
    let trial = program.map(|script| Trial::new(&read, script, source.as_deref()));
    Draft {
        plan,
        trial,
        promises,
        version,
        claims: read.claims(),
        names: read
            .expect
            .iter()
            .flat_map(|expect| expect.named.clone())
            .chain(tests::named(&tree))
            .collect(),
        tests: read.tests.iter().map(|test| test.name.clone()).collect(),
        name: read.name,
        enabled: read.enabled,
        description: read.description,
        tags: read.tags,
        ages: read.ages,
        log_file: read.log_file,
        tree,
    }
}

/// What waits for a code does not hold up an order of arrival: worth knowing.
fn overtaken(program: &Program, read: &ChannelRead) -> Option<Diagnostic> {
    let tables = program.holding_tables();
    let in_order =
        |one: &&DestinationRead| one.plan.as_ref().is_some_and(|plan| plan.order == Order::Arrival);
    let first = read.destinations.iter().find(in_order).filter(|_| !tables.is_empty())?;
    let names: Vec<String> = tables.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "a message that waits for a code of {} is overtaken by later ones, here as in every order of arrival",
        names.join(", ")
    );
    let note = Diagnostic::note("held-overtaken", first.path.join("name"), message);
    Some(note.help("`order: { key: … }` holds back those of its own key"))
}

/// Puts shared sources and variables in place, and looks through the whole by its schema.
fn prepare(report: &Report, tree: &mut Node, around: &Around<'_>) -> (Option<usize>, Vec<Diagnostic>) {
    match take_shared(tree, around.shared) {
        Ok(shared) => {
            let found = Reader::fill(tree, around.schema, report);
            (shared.and_then(|path| report.files.find(&path)), found)
        }
        Err(unknown) => {
            let mut found = Reader::fill(tree, around.schema, report);
            found.retain(|fault| fault.at != Path::parse("source"));
            found.push(unknown);
            (None, found)
        }
    }
}

fn take_code(faults: Vec<scripts::Fault>, report: &mut Report, found: &mut Vec<Diagnostic>) {
    for fault in faults {
        match fault {
            // Names are looked up here too, all of them.
            scripts::Fault::Channel(diagnostic) if diagnostic.code == "unknown-destination" => {
                let known =
                    found.iter().any(|fault| fault.at == diagnostic.at && fault.code == diagnostic.code);
                if !known {
                    found.push(diagnostic);
                }
            }
            scripts::Fault::Channel(diagnostic) => found.push(diagnostic),
            scripts::Fault::File(file) => report.add_file(file),
        }
    }
}

/// Code that does not compile may have been cut by YAML: ` #` begins a comment.
fn explain_cuts(tree: &Node, report: &Report, found: &mut [Diagnostic]) {
    for diagnostic in found.iter_mut().filter(|found| found.code == "script-syntax" && found.help.is_none()) {
        let Some(node) = tree.at(&diagnostic.at) else { continue };
        let plain = node.scalar().is_some_and(|scalar| scalar.style == crate::yaml::Style::Plain);
        let rest = report.files.get(node.span.file).text.get(node.span.end..).unwrap_or_default();
        if plain && rest.trim_start_matches([' ', '\t']).starts_with('#') {
            diagnostic.help = Some(format!("YAML ends it before ` #`: {}", crate::lint::QUOTE_IT));
        }
    }
}

fn severity(mut diagnostic: Diagnostic, enabled: bool) -> Diagnostic {
    if !enabled && ELSEWHERE.contains(&diagnostic.code) {
        diagnostic.severity = Severity::Warning;
    }
    diagnostic
}

/// The file as it is written, with the shared source, the scripts and the tables it uses.
fn version_text(
    report: &Report,
    (file, shared): (usize, Option<usize>),
    library: &Library,
    program: Option<&Program>,
) -> String {
    let mut text = report.files.get(file).text.to_string();
    if let Some(shared) = shared {
        let more = report.files.get(shared);
        text = format!("{text}\n# {}\n{}", more.path.display(), more.text);
    }
    if let Some(program) = program {
        text.push_str(&library.version_text(program.uses()));
    }
    text
}

/// Names a place in the channel's file, for a step that fails.
fn whereabouts(files: &Files, file: usize, tree: &Node) -> Whereabouts {
    let tree = tree.clone();
    let source = files.get(file).clone();
    let alone = Files::only(file, &source);
    Whereabouts(Arc::new(move |at, line, column| {
        let place = Diagnostic::error("", at.clone(), "").place(Place::Inside { line, column });
        let span = span_of(&alone, &tree, &place);
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", source.path.display())
    }))
}

/// Whether nobody knows what stands here, or beneath.
fn holds_gap(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.unknown && scalar.text.is_empty(),
        Kind::List(items) => items.iter().any(holds_gap),
        Kind::Map(entries) => entries.iter().any(|entry| holds_gap(&entry.value)),
    }
}

/// Whether a secret was only taken as present, or a variable is missing.
pub(crate) fn holds_unknown(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.unknown,
        Kind::List(items) => items.iter().any(holds_unknown),
        Kind::Map(entries) => entries.iter().any(|entry| holds_unknown(&entry.value)),
    }
}
