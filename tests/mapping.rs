//! The mapping to FHIR, held against messages of other projects: validators that are not ours take every resource, and what
//! each message says is looked for in its Bundle.
//!
//! `UPDATE=1` writes the table of `docs/benchmarks.md` anew; `-- --nocapture` shows the places whose facts did not arrive.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

#[path = "mapping/facts.rs"]
mod facts;
#[path = "mapping/message.rs"]
mod message;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use facts::{Fact, KINDS};
use message::Message;
use serde_json::Value;
use tests::{FhirServer, Maker, Project, corpus, installed, node, pydicom_files, python};

/// How many facts of a kind arrived, and of how many.
type Counts = BTreeMap<&'static str, (usize, usize)>;

/// Of each source, how many messages it has and how their facts fared.
type Table = BTreeMap<String, (usize, Counts)>;

/// Every message of the corpora, as the Bundle that a step makes of it, in the folder `out` of a project.
struct Mapped {
    project: Project,
    /// Where each message comes from, and its name in the project.
    messages: Vec<(PathBuf, String)>,
}

impl Mapped {
    fn by(step: &str) -> Self {
        let project = Project::new();
        let mut files = Vec::new();
        for folder in ["hl7", "v2fhir"] {
            gather(&corpus(folder), &mut files);
        }
        files.sort();
        let messages: Vec<_> =
            files.into_iter().enumerate().map(|(n, path)| (path, format!("{n:03}"))).collect();
        let mut channel = format!(
            "name: mapping\nsource:\n  mllp: {{ listen: \"127.0.0.1:2575\" }}\ndestinations:\n  - name: fhir\n    \
             steps:\n      - script: {step}\n    to:\n      file: {{ dir: sent }}\ntests:\n"
        );
        for (path, name) in &messages {
            project.write(&format!("messages/{name}.hl7"), fs::read(path).unwrap());
            writeln!(
                channel,
                "  - name: \"{name}\"\n    message: messages/{name}.hl7\n    at: 2026-03-01T08:00:00+01:00\n    \
                 expect: {{ fhir: {{ file: out/{name}.json }} }}"
            )
            .unwrap();
        }
        project.channel("mapping", &channel);
        let made = project.relais(&["test", "--update", "."]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        Self { project, messages }
    }

    fn bundle(&self, name: &str) -> Value {
        let text = fs::read(self.project.path(&format!("out/{name}.json")));
        serde_json::from_slice(&text.unwrap_or_else(|_| panic!("{name} has no Bundle"))).unwrap()
    }
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "hl7") {
            files.push(path);
        }
    }
}

/// What a validator says of the Bundles in a folder: how many resources it looked at, and each error.
fn verdict(mut command: Command, folder: &Path) -> (u64, Vec<String>) {
    let output = command.arg(folder).output().expect("a validator can be started");
    let words = String::from_utf8_lossy(&output.stdout);
    let said: Vec<Value> = words.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let looked = said.iter().find_map(|line| line["looked"].as_u64());
    let looked = looked.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (looked, said.iter().filter(|line| line["error"].is_string()).map(ToString::to_string).collect())
}

fn validators() -> [Command; 2] {
    installed("node/node_modules/fhir");
    [node("validate.mjs"), python("validate.py")]
}

#[test]
fn three_validators_take_every_resource_that_is_made_of_messages_of_other_projects() {
    for step in ["relais/to_fhir", "relais/to_fhir_message"] {
        let mapped = Mapped::by(step);
        assert!(mapped.messages.len() > 130, "only {} messages", mapped.messages.len());
        for validator in validators() {
            let (looked, errors) = verdict(validator, &mapped.project.path("out"));
            assert!(looked > 1000, "only {looked} resources");
            assert!(errors.is_empty(), "{step}: {} errors\n{}", errors.len(), errors.join("\n"));
        }
    }
}

#[test]
fn a_server_that_refuses_what_is_not_valid_takes_the_bundle_of_every_message_of_other_projects() {
    let server = FhirServer::of(Maker::Helios);
    let wrong = r#"{"resourceType": "Observation", "status": "nonsense"}"#;
    assert_eq!(server.ask("POST", "Observation", wrong).0, 422, "it refuses what is not valid");
    let taken = taken_by(&server, &Mapped::by("relais/to_fhir").project.path("out"));
    assert!(taken > 900, "only {taken} resources");
}

/// Has a server take every Bundle of a folder; how many resources that were.
fn taken_by(server: &FhirServer, folder: &Path) -> usize {
    let mut taken = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (status, answer) = server.ask("POST", "", &fs::read_to_string(&path).unwrap());
        assert_eq!(status, 200, "{}: {answer}", path.display());
        taken += answer["entry"].as_array().map_or(0, Vec::len);
    }
    taken
}

/// Instances of pydicom that say whose and of what they are, each with its name in the project.
fn images(project: &Project) -> Vec<String> {
    let mut folders = vec![pydicom_files()];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = fs::read(&path).unwrap();
            let Ok(instance) = formats::dicom::Instance::of_bytes(file.clone().into()) else { continue };
            let has = |path: &&str| {
                let path = formats::dicom::Path::parse(path).unwrap();
                instance.get(&path).is_ok_and(|value| !value.is_empty())
            };
            let whole =
                ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"];
            if formats::dicom::Header::read(std::io::Cursor::new(&file)).is_ok() && whole.iter().all(has) {
                let name = format!("{:03}", names.len());
                project.write(&format!("messages/{name}.dcm"), file);
                names.push(name);
            }
        }
    }
    names
}

#[test]
fn three_validators_take_the_study_of_every_image_and_of_all_of_a_study() {
    let project = Project::new();
    let names = images(&project);
    assert!(names.len() > 60, "only {} images", names.len());
    let study: Vec<tests::Instance> = (1..=40).map(|n| tests::Instance::of("1.2.826.0.1.7", n)).collect();
    for one in &study {
        project.write(&format!("messages/study-{}.dcm", one.number), one.file());
    }
    project.write(
        "scripts/study.rhai",
        "import \"relais/fhir/imaging\" as imaging;\nimaging::study(msg, #{ patients: \"urn:oid:1.2.3\", orders: \"urn:oid:1.2.4\",\n\
         wado: \"http://pacs.example/dicom-web\", viewer: \"http://pacs.example/{study}\" })\n",
    );
    let mut channel = "name: studies\nsource:\n  dicom: { listen: \"127.0.0.1:11112\" }\n\
        group: { by: StudyInstanceUID, quiet: 5s }\ndestinations:\n  - name: fhir\n    steps:\n      \
        - script: scripts/study.rhai\n    to:\n      file: { dir: sent }\ntests:\n"
        .to_owned();
    for name in &names {
        writeln!(
            channel,
            "  - name: \"{name}\"\n    message: messages/{name}.dcm\n    expect: {{ fhir: {{ file: out/{name}.json }} }}"
        )
        .unwrap();
    }
    let members: Vec<String> = (2..=40).map(|n| format!("messages/study-{n}.dcm")).collect();
    writeln!(
        channel,
        "  - name: a study\n    message: messages/study-1.dcm\n    members: [{}]\n    expect: {{ fhir: {{ file: out/study.json }} }}",
        members.join(", ")
    )
    .unwrap();
    project.channel("studies", &channel);
    let made = project.relais(&["test", "--update", "."]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    for validator in validators() {
        let (looked, errors) = verdict(validator, &project.path("out"));
        assert!(looked > 300, "only {looked} resources");
        assert!(errors.is_empty(), "{} errors\n{}", errors.len(), errors.join("\n"));
    }
    assert!(taken_by(&FhirServer::of(Maker::Helios), &project.path("out")) > 200);
}

#[test]
fn each_validator_refuses_a_resource_that_is_wrong() {
    let project = Project::new();
    let wrong = r#"{"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:uuid:0",
        "resource": {"resourceType": "Observation", "status": "nonsense", "value": 5}}]}"#;
    project.write("wrong/wrong.json", wrong);
    let errors: Vec<String> =
        validators().into_iter().flat_map(|validator| verdict(validator, &project.path("wrong")).1).collect();
    for judge in ["medplum", "lantana", "fhir.resources"] {
        assert!(errors.iter().any(|error| error.contains(judge)), "{judge} takes everything: {errors:?}");
    }
}

#[test]
fn the_table_of_facts_that_arrive_is_current() {
    let mapped = Mapped::by("relais/to_fhir");
    let mut table = Table::new();
    for (path, name) in &mapped.messages {
        let source = path.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
        let message = Message::read(&fs::read(path).unwrap());
        let row = table.entry(source).or_default();
        row.0 += 1;
        for Fact { kind, place, arrived } in facts::compare(&message, &mapped.bundle(name)) {
            let count = row.1.entry(kind).or_default();
            count.0 += usize::from(arrived);
            count.1 += 1;
            if !arrived {
                println!("{}: {kind} of {place} did not arrive", path.display());
            }
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has a place for the table");
    let (old, after) = rest.split_once(END).expect("the table ends");
    let new = shown(&table);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&page, [before, BEGIN, &new, END, after].concat()).unwrap();
    } else {
        assert!(old == new, "the table of docs/benchmarks.md is old: run with UPDATE=1\n{new}");
    }
}

const BEGIN: &str = "<!-- facts: written by tests/mapping.rs -->\n";
const END: &str = "<!-- end of facts -->\n";

fn shown(table: &Table) -> String {
    let mut page = format!(
        "\n| messages of | messages | {} |\n|---|---|{}\n",
        KINDS.join(" | "),
        "---|".repeat(KINDS.len())
    );
    let mut total = (0, Counts::new());
    for (source, (messages, kinds)) in table {
        writeln!(page, "| {source} | {messages} | {} |", cells(kinds)).unwrap();
        total.0 += messages;
        for (kind, (arrived, all)) in kinds {
            let sum: &mut (usize, usize) = total.1.entry(*kind).or_default();
            *sum = (sum.0 + arrived, sum.1 + all);
        }
    }
    writeln!(page, "| **all** | {} | {} |\n", total.0, cells(&total.1)).unwrap();
    page
}

fn cells(kinds: &Counts) -> String {
    let cell = |kind: &&str| {
        kinds.get(kind).map_or_else(|| "–".to_owned(), |(arrived, all)| format!("{arrived} of {all}"))
    };
    KINDS.iter().map(cell).collect::<Vec<_>>().join(" | ")
}
