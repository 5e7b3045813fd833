//! What a project becomes: plans, versions, variables, warnings.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{collections::BTreeMap, fs, time::Duration};

use channels::{Options, Project, Secrets, load};
use engine::{Order, QueueMode, RepeatPolicy, ReplyWhen, WhenUnsure};
use tempfile::TempDir;

/// A project in a folder of its own.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn load(&self) -> Project {
        self.load_with(&options(&[]))
    }

    fn load_with(&self, options: &Options) -> Project {
        load(self.0.path(), options)
    }
}

fn options(variables: &[(&str, &str)]) -> Options {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Options { variables: variables.collect(), ..Options::default() }
}

fn codes(project: &Project) -> Vec<&'static str> {
    project.faults.iter().map(|fault| fault.diagnostic.code).collect()
}

const LAB: &str = r#"
name: lab
source:
  mllp: { listen: "127.0.0.1:2575" }
reply: { from: record, within: 5s }
repeats: answer_again
steps:
  - set: { PV1-3.1: '${table("wards", "code", msg["PV1-3.1"], "name", "")}' }
  - script: scripts/clean.rhai
destinations:
  - name: record
    to:
      mllp: { connect: "${LAB_HOST:-record}:2575" }
    queue: always
    retry: { first: 2s, attempts: 7, for: 1h30m }
    order: { key: PID-3.1 }
    workers: 3
    when_unsure: hold
    nack: { AR: retry }
    rate: 10/s
    hours: 20:00-06:00
"#;

fn lab() -> Folder {
    Folder::new(&[
        ("channels/lab.yaml", LAB),
        ("scripts/clean.rhai", "msg"),
        ("tables/wards.csv", "code,name\nCAR,Cardiology\n"),
    ])
}

#[test]
fn every_setting_of_a_destination_reaches_the_plan() {
    let project = lab().load();
    assert_eq!(codes(&project), [""; 0]);
    let plan = project.channels[0].plan.as_ref().unwrap();
    assert_eq!(plan.reply.when, ReplyWhen::From("record".into()));
    assert_eq!(plan.reply.within, Duration::from_secs(5));
    assert_eq!(plan.repeats.policy, RepeatPolicy::AnswerAgain);
    assert_eq!(plan.repeats.window, Duration::from_hours(24));
    let outlet = &plan.outlets[0];
    assert_eq!((outlet.queue, outlet.order, outlet.workers), (QueueMode::Always, Order::Key, 3));
    assert_eq!((outlet.retry.first, outlet.retry.attempts), (Duration::from_secs(2), Some(7)));
    assert_eq!(outlet.retry.lasting, Some(Duration::from_mins(90)));
    assert_eq!(outlet.when_unsure, Some(WhenUnsure::Hold));
    assert!(outlet.nack.contains_key("AR") && !outlet.nack.contains_key("AE"));
    assert_eq!(outlet.rate.unwrap().sends, 10);
    assert!(outlet.hours.is_some());
}

#[test]
fn a_version_is_the_file_and_all_it_uses_and_no_value_of_a_variable() {
    let folder = lab();
    let version = |folder: &Folder| folder.load().channels[0].version;
    let first = version(&folder);
    assert_eq!(first, version(&folder));
    let elsewhere = folder.load_with(&options(&[("LAB_HOST", "elsewhere")]));
    let plan = elsewhere.channels[0].plan.as_ref().unwrap();
    assert_eq!(plan.version, first);
    assert!(!plan.text.contains("elsewhere"));
    let here = folder.load();
    assert_ne!(plan.outlets[0].version, here.channels[0].plan.as_ref().unwrap().outlets[0].version);
    folder.write("tables/wards.csv", "code,name\nCAR,Heart\n");
    let second = version(&folder);
    assert_ne!(first, second);
    folder.write("scripts/clean.rhai", "msg // again");
    assert_ne!(second, version(&folder));
}

#[test]
fn the_source_is_opened_anew_only_for_what_concerns_it() {
    let folder = lab();
    let version = |folder: &Folder| folder.load().channels[0].plan.as_ref().unwrap().source_version;
    let first = version(&folder);
    folder.write("channels/lab.yaml", &LAB.replace("workers: 3", "workers: 4"));
    assert_eq!(first, version(&folder));
    folder.write("channels/lab.yaml", &LAB.replace("within: 5s", "within: 5s, mode: original"));
    assert_ne!(first, version(&folder));
}

const WITH_SECRET: &str = r#"
name: secret
source:
  mllp: { listen: "127.0.0.1:2575" }
destinations:
  - name: out
    to:
      mllp: { connect: "${file:secrets/address}" }
"#;

#[test]
fn a_secret_is_read_without_its_last_line_break_and_never_shown() {
    let folder = Folder::new(&[("channels/a.yaml", WITH_SECRET), ("secrets/address", "hidden-host:2575\n")]);
    let project = folder.load();
    assert_eq!(codes(&project), [""; 0]);
    assert!(!project.channels[0].plan.as_ref().unwrap().text.contains("hidden-host"));
    folder.write("secrets/address", "hidden-host\n");
    let project = folder.load();
    assert_eq!(codes(&project), ["wrong-value"]);
    assert!(!format!("{:?}", project.faults).contains("hidden"));
}

#[test]
fn a_secret_that_is_not_there_is_an_error_only_where_it_is_needed() {
    let folder = Folder::new(&[("channels/a.yaml", WITH_SECRET)]);
    assert_eq!(codes(&folder.load()), ["secret-missing"]);
    let project = folder.load_with(&Options { secrets: Secrets::TakenAsPresent, ..options(&[]) });
    assert_eq!(codes(&project), [""; 0]);
    assert!(project.channels[0].plan.is_none() && project.channels[0].is_sound());
}

#[test]
fn what_a_channel_that_is_not_enabled_lacks_is_a_warning_and_strictly_an_error() {
    let off = WITH_SECRET.replace("name: secret", "name: secret\nenabled: false");
    let folder = Folder::new(&[("channels/a.yaml", &off)]);
    let project = folder.load();
    assert_eq!(codes(&project), ["secret-missing"]);
    assert!(project.is_sound() && project.channels[0].warnings == 1);
    assert!(!folder.load_with(&Options { strict: true, ..options(&[]) }).is_sound());
}

#[test]
fn the_process_goes_before_the_environment_which_may_hold_secrets() {
    let text = LAB.replace("${LAB_HOST:-record}:2575", "${LAB_HOST}:${LAB_PORT}");
    let folder = lab();
    folder.write("channels/lab.yaml", &text);
    folder.write("environments/test.yaml", "LAB_HOST: from-file\nLAB_PORT: \"${file:port}\"\n");
    folder.write("port", "2600\n");
    let chosen = Options { environment: Some("test".into()), ..options(&[("LAB_HOST", "from-process")]) };
    assert_eq!(codes(&folder.load_with(&chosen)), [""; 0]);
    assert_eq!(codes(&folder.load()), ["variable-missing", "variable-missing"]);
    let other = Options { environment: Some("tset".into()), ..options(&[]) };
    assert!(codes(&folder.load_with(&other)).contains(&"unknown-environment"));
}

#[test]
fn channels_that_are_not_enabled_claim_no_port() {
    let one = "name: one\nsource:\n  mllp: { listen: \"127.0.0.1:2575\" }\ndestinations: []\n";
    let two = one.replace("one", "two");
    let folder = Folder::new(&[("channels/one.yaml", one), ("channels/two.yaml", &two)]);
    assert_eq!(codes(&folder.load()), ["port-taken"]);
    folder.write("channels/two.yaml", &format!("{two}enabled: false\n"));
    assert_eq!(codes(&folder.load()), [""; 0]);
}

#[test]
fn channels_share_a_folder_where_no_name_is_taken_by_both() {
    let channel = |name: &str, pattern: &str| {
        format!(
            "name: {name}\nsource:\n  file: {{ dir: in, pattern: {pattern}, delete: true }}\ndestinations: []\n"
        )
    };
    let folder = Folder::new(&[("channels/one.yaml", &channel("one", "'*.hl7'"))]);
    folder.write("channels/two.yaml", &channel("two", "['*.csv', '*.txt']"));
    assert_eq!(codes(&folder.load()), [""; 0]);
    folder.write("channels/two.yaml", &channel("two", "['*.csv', 'lab-*']"));
    assert_eq!(codes(&folder.load()), ["folder-taken"]);
}

#[test]
fn a_shared_source_is_part_of_the_version_and_its_settings_can_be_said_anew() {
    let channel = "name: one\nsource: { use: lab, listen: \"127.0.0.1:2600\" }\ndestinations: []\n";
    let folder = Folder::new(&[
        ("channels/one.yaml", channel),
        ("sources/lab.yaml", "mllp: { listen: \"127.0.0.1:2575\", max_size: 1MB }\n"),
    ]);
    let first = folder.load().channels.remove(0);
    let claims = first.plan.unwrap().source.claims();
    assert_eq!(claims, [engine::Claim::Port("127.0.0.1:2600".parse().unwrap())]);
    folder.write("sources/lab.yaml", "mllp: { listen: \"127.0.0.1:2575\", max_size: 2MB }\n");
    assert_ne!(first.version, folder.load().channels[0].version);
}

#[test]
fn the_settings_of_the_server_are_read_and_have_defaults() {
    let folder = Folder::new(&[]);
    let settings = folder.load().settings;
    assert_eq!(
        (settings.listen.to_string().as_str(), settings.store.path.to_str()),
        ("127.0.0.1:8600", Some("data"))
    );
    folder.write(
        "relais.yaml",
        "listen: 0.0.0.0:9000\nallow_remote: true\nzone: Europe/Paris\nlog: { format: json }\n",
    );
    let project = folder.load();
    assert_eq!(codes(&project), [""; 0]);
    assert_eq!(project.settings.zone.iana_name(), Some("Europe/Paris"));
    assert_eq!(project.settings.log.format, channels::LogFormat::Json);
}

#[test]
fn room_on_the_disk_is_said_in_sizes_and_a_budget_that_nothing_fits_in_is_named() {
    let folder = Folder::new(&[("relais.yaml", "store: { path: kept, free: 2GB, budget: 50GB }\n")]);
    let project = folder.load();
    assert_eq!(codes(&project), [""; 0]);
    let store = project.settings.store;
    assert_eq!(store.path.to_str(), Some("kept"));
    assert_eq!((store.free.unwrap().0, store.budget.unwrap().0), (2_000_000_000, 50_000_000_000));
    folder.write("relais.yaml", "store: { free: plenty, budget: 1MB }\n");
    let project = folder.load();
    assert_eq!(codes(&project), ["wrong-value", "size-too-small"]);
    assert!(
        project.faults[1].diagnostic.message.contains("100MB"),
        "{}",
        project.faults[1].diagnostic.message
    );
}

#[test]
fn a_text_stays_as_the_characters_stand() {
    let text =
        "name: 007\ndescription: NO\ntags: [1.50, ~, 0x10, yes]\nsource:\n  channel: {}\ndestinations: []\n";
    let project = Folder::new(&[("channels/a.yaml", text)]).load();
    let channel = &project.channels[0];
    assert_eq!(codes(&project), [""; 0]);
    assert_eq!((channel.name.as_str(), channel.description.as_deref()), ("007", Some("NO")));
    assert_eq!(channel.tags, ["1.50", "~", "0x10", "yes"]);
}

#[test]
fn nothing_of_the_variables_of_the_process_is_taken_unless_it_is_named() {
    let variables = BTreeMap::from([("PATH".to_owned(), "mllp".to_owned())]);
    let project = lab().load_with(&Options { variables, ..Options::default() });
    assert_eq!(codes(&project), [""; 0]);
}

#[test]
fn each_of_many_channels_has_its_own_faults_at_their_places_whoever_reads_it() {
    let folder = Folder::new(&[
        ("sources/lab.yaml", "mllp: { listen: \"127.0.0.1:0\" }\n"),
        ("scripts/broken.rhai", "let = 1;\n"),
    ]);
    for number in 0..200 {
        let rest = match number % 10 {
            3 => "steps:\n  - filter: msg[\"PID-0\"] == \"x\"\n",
            7 => "steps:\n  - script: scripts/broken.rhai\n",
            _ => "",
        };
        let text = format!("name: c{number}\nsource: {{ use: lab }}\n{rest}destinations: []\n");
        folder.write(&format!("channels/c{number:03}.yaml"), &text);
    }
    let project = folder.load();
    let found: Vec<_> = project
        .faults
        .iter()
        .filter(|fault| fault.is_error())
        .map(|fault| (fault.file.to_string_lossy().into_owned(), fault.line))
        .collect();
    let of_own = |number: usize| (format!("channels/c{number:03}.yaml"), 4);
    let mut asked: Vec<_> = (0..200).filter(|number| [3, 7].contains(&(number % 10))).map(of_own).collect();
    asked.push(("scripts/broken.rhai".to_owned(), 1));
    assert_eq!(found, asked);
    let sound = project.channels.iter().filter(|channel| channel.plan.is_some()).count();
    assert_eq!((project.channels.len(), sound), (200, 160));
}
