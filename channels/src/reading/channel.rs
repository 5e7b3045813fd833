//! Everything that stands in a channel file, read part by part.

use std::path::PathBuf;

use engine::{Ages, Claim, Hash, OtherBytes, Path, Plan, Repeats};
use jiff::tz::TimeZone;
use scripts::{At, OutletFile, ProgramFile, Whereabouts};

use super::{
    Around,
    destination::{DestinationRead, destination},
    expect::{ExpectRead, expect},
    files::{log_file, parts_fit},
    group::{GroupRead, group},
    names,
    reader::Reader,
    reply::{ReplyRead, repeats, reply},
    source::{SourceRead, protocol, source},
    steps::{Parts, steps},
    tests,
};
use crate::{
    file::KeepFile,
    format_file::{FixedFormat, FormatFile},
    tests_file::TestFile,
    values::{Period, Zone},
};

/// The parts of a channel, those that could be read.
pub(crate) struct ChannelRead {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) ages: Ages,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) tests: Vec<TestFile>,
    pub(crate) reply: ReplyRead,
    pub(crate) destinations: Vec<DestinationRead>,
    pub(crate) repeats: Repeats,
    pub(crate) index: Vec<(String, At<String>)>,
    pub(crate) expect: Option<ExpectRead>,
    pub(crate) group: Option<GroupRead>,
    source: Option<SourceRead>,
    format: scripts::Format,
    charset: Option<String>,
    zone: TimeZone,
    steps: Vec<At<scripts::StepFile>>,
}

impl ChannelRead {
    pub(crate) fn read(reader: &mut Reader<'_>, stem: &str, around: &Around<'_>) -> Self {
        let top = Path::parse;
        let zone = reader.read::<Zone>(&top("zone")).map_or_else(|| around.zone.clone(), |zone| zone.0);
        let reply = reply(reader);
        let source = source(reader, around.root, &reply.words);
        let places = reader.items(&top("destinations"));
        let destinations: Vec<_> =
            places.into_iter().map(|at| destination(reader, at, (around.root, &zone))).collect();
        names::check(reader, &destinations);
        let name = reader.read(&top("name")).filter(|name: &String| !name.is_empty());
        let name = name.unwrap_or_else(|| stem.to_owned());
        let ages = ages(reader.read_or_default(&top("keep")));
        let others = source.as_ref().map_or(OtherBytes::Flag, |source| source.settings.others());
        Self {
            log_file: log_file(reader, &name, around.root),
            name,
            description: reader.read(&top("description")),
            tags: reader.read_or_default(&top("tags")),
            enabled: reader.read(&top("enabled")).unwrap_or(true),
            ages,
            tests: tests::tests(reader),
            format: format(reader, source.as_ref()),
            charset: reader.read(&top("charset")),
            repeats: repeats(reader, others, ages.metadata),
            steps: steps(reader, &top("steps"), parts(reader)),
            index: index(reader),
            expect: expect(reader),
            group: group(reader, &reply),
            reply,
            destinations,
            source,
            zone,
        }
    }

    /// Its code, for the compiler.
    pub(crate) fn program(&self, whereabouts: Whereabouts) -> ProgramFile {
        let at = Path::parse("reply.script");
        ProgramFile {
            format: self.format.clone(),
            charset: self.charset.clone(),
            zone: self.zone.clone(),
            steps: self.steps.clone(),
            outlets: self
                .destinations
                .iter()
                .map(|destination| destination.outlet.clone())
                .collect::<Vec<OutletFile>>(),
            reply: self.reply.script.clone().map(|code| At::new(at, code)),
            index: self.index.clone(),
            expect: self.expect.as_ref().map(|expect| expect.code.clone()),
            group: self.group.as_ref().map(|group| group.code.clone()),
            whereabouts,
        }
    }

    /// What two channels cannot both have, and where it is claimed.
    pub(crate) fn claims(&self) -> Vec<(Claim, Path)> {
        let source = self.source.iter().flat_map(|source| source.claims.iter());
        source.chain(self.destinations.iter().flat_map(|destination| &destination.claims)).cloned().collect()
    }

    /// What its source takes for itself.
    pub(crate) fn source_claims(&self) -> Vec<Claim> {
        let claims = self.source.iter().flat_map(|source| source.claims.iter());
        claims.map(|(claim, _)| claim.clone()).collect()
    }

    /// The plan of a channel in which nothing is wrong.
    pub(crate) fn plan(
        &self,
        script: std::sync::Arc<dyn engine::Script>,
        version: Hash,
        text: &str,
    ) -> Option<Plan> {
        let source = self.source.as_ref()?;
        let opened_with = [&source.version.0[..], self.charset.as_deref().unwrap_or_default().as_bytes()];
        Some(Plan {
            name: self.name.as_str().into(),
            version,
            text: text.into(),
            source: source.settings.clone(),
            source_version: Hash::of(&opened_with),
            charset: self.charset.clone(),
            reply: self.reply.policy.clone(),
            words: self.reply.words.clone(),
            repeats: self.repeats,
            script,
            expect: self.expect.as_ref().map(|expect| expect.plan.clone()),
            group: self.group.as_ref().map(|group| group.plan.clone()),
            outlets: self.destinations.iter().map(|read| read.plan.clone()).collect::<Option<_>>()?,
        })
    }
}

/// Where a source reads files, one bad part does not hold back the file's others.
fn parts(reader: &Reader<'_>) -> Parts {
    match protocol(reader.tree, &Path::parse("source")).as_deref() {
        Some("file" | "sftp") => Parts::Each,
        _ => Parts::Together,
    }
}

fn format(reader: &mut Reader<'_>, source: Option<&SourceRead>) -> scripts::Format {
    let at = Path::parse("format");
    let Some(file) = reader.read::<FormatFile>(&at) else {
        let usual = match source.map(|source| source.settings.usual_format()) {
            Some("json") => scripts::Format::Json,
            Some("dicom") => scripts::Format::Dicom,
            Some("text") => scripts::Format::Text,
            Some("binary") => scripts::Format::Binary,
            _ => scripts::Format::Hl7,
        };
        return parts_fit(reader, usual);
    };
    if let FormatFile::Fixed(FixedFormat { fixed }) = &file {
        let columns = &fixed.columns;
        for (place, column) in columns.iter().enumerate() {
            if columns[..place].iter().any(|earlier| earlier.name == column.name) {
                let at = at.join("fixed").join("columns").join(place).join("name");
                reader.error("wrong-value", &at, format!("two columns are called `{}`", column.name));
            }
        }
    }
    parts_fit(reader, file.format())
}

fn ages(keep: KeepFile) -> Ages {
    let days = |period: Option<Period>, usual: u64| {
        period.map_or(std::time::Duration::from_hours(24 * usual), |period| period.0)
    };
    Ages {
        content: days(keep.content, 30),
        errors: days(keep.errors, 90),
        metadata: days(keep.metadata, 365),
    }
}

fn index(reader: &Reader<'_>) -> Vec<(String, At<String>)> {
    let at = Path::parse("index");
    let entries = reader.tree.at(&at).map_or(&[][..], |node| node.entries());
    let key = |entry: &crate::yaml::Entry| {
        let path = entry.value.scalar()?.text.clone();
        Some((entry.key.clone(), At::new(at.join(&entry.key), path)))
    };
    entries.iter().filter_map(key).collect()
}
