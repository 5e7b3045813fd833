//! Each kind of state that needs a person begins on the real server, in its words, and ends when its cause does.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{collections::BTreeSet, fs, fs::File, net::TcpListener, time::Duration};

use serde_json::{Value, json};
use tests::{
    Behaviour, Project, Receiver, Relais, Sender, SmallDisk, Strace, comes_true, free_port, message,
    mshfield, wait_until,
};

/// Far more than the slowest takes: `silent` opens after a minute, `queue_old` closes after half of one.
const LONG: Duration = Duration::from_mins(4);

/// Opens here, and does not end in seconds by any means: it closes when it has been over for five minutes.
const LASTS: &str = "error_share";

/// What needs a person, of one kind on one channel or of the whole server.
fn episode(relais: &Relais, cause: &str, channel: &str) -> Option<Value> {
    let channel = if channel.is_empty() { Value::Null } else { json!(channel) };
    let is_meant = |one: &Value| one["cause"] == cause && one["channel"] == channel;
    episodes(relais).into_iter().find(is_meant)
}

fn episodes(relais: &Relais) -> Vec<Value> {
    let (status, text) = relais.get("/api/v1/episodes").unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["episodes"].as_array().unwrap().clone()
}

/// Waits until it is open, and reads it as people do.
#[track_caller]
fn begins(relais: &Relais, cause: &str, channel: &str, words: &str) {
    let is_open = || episode(relais, cause, channel).is_some_and(|one| one["state"] == "open");
    assert!(comes_true(LONG, is_open), "no {cause} of `{channel}`: {:#?}", episodes(relais));
    let open = episode(relais, cause, channel).unwrap();
    let said = open["words"].as_str().unwrap();
    assert!(said.contains(words), "{cause} says: {said}");
    assert!(!open["advice"].as_str().unwrap().is_empty(), "{open}");
    let series = |state: &str| format!("relais_episodes{{cause=\"{cause}\",state=\"{state}\"}}");
    assert!(relais.metric(&series("open")).unwrap() >= 1.0, "{cause} is not counted");
}

#[track_caller]
fn ends(relais: &Relais, cause: &str, channel: &str) {
    let is_closed = || episode(relais, cause, channel).is_some_and(|one| one["state"] == "closed");
    assert!(comes_true(LONG, is_closed), "{cause} of `{channel}` lasts: {:#?}", episodes(relais));
}

/// A channel over MLLP, on the port that this returns, with more lines in its file.
fn channel(project: &Project, name: &str, more: &str) -> u16 {
    let port = free_port();
    project.channel(name, &taking(name, port, more));
    port
}

fn taking(name: &str, port: u16, more: &str) -> String {
    format!("name: {name}\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n{more}")
}

/// One destination over MLLP, with more of its lines.
fn to(port: u16, more: &str) -> String {
    format!(
        "destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{port}\" }}\n    \
         retry: {{ first: 100ms, longest: 500ms }}\n{more}"
    )
}

/// The code that a channel answers to one message.
fn sends(port: u16, id: &str) -> String {
    let answer = Sender::connect(port).unwrap().send(&message(id, "42")).unwrap();
    mshfield(&answer, "MSA", 1)
}

/// Does something with the message of this control id.
#[track_caller]
fn does(project: &Project, relais: &Relais, verb: &str, id: &str) {
    let (_, found) = relais.get(&format!("/api/v1/messages?q={id}")).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    run(project, &[verb, &found[0]["id"].to_string()]);
}

#[track_caller]
fn run(project: &Project, arguments: &[&str]) {
    let done = project.relais(arguments);
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn what_is_wrong_with_files_and_ways() {
    let project = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = taken.local_addr().unwrap().port();
    project.channel("broken", "name: broken\nsource: { mllp: {} }\ndestinations: []\n");
    project.channel("deaf", &taking("deaf", there, "destinations: []\n"));
    let away = free_port();
    let lab = channel(&project, "lab", &to(away, ""));
    let key = rcgen::KeyPair::generate().unwrap();
    project.write("server.pem", certificate(&key, 5)).write("server.key", key.serialize_pem());
    project.channel(
        "safe",
        &format!(
            "name: safe\nsource:\n  mllp: {{ listen: \"127.0.0.1:{}\", tls: {{ certificate: server.pem, key: server.key }} }}\n\
             destinations: []\n",
            free_port()
        ),
    );
    let relais = project.start();
    assert_eq!(sends(lab, "L1"), "AA");
    begins(&relais, "channel_broken", "broken", "broken: its file has faults, and it does not run: ");
    begins(&relais, "certificate", "safe", "` expires in ");
    begins(&relais, "source_down", "deaf", "deaf: takes nothing since ");
    begins(&relais, "destination_down", "lab", "lab → record: nothing gets there since ");

    let right = fs::read_to_string(project.path("channels/lab.yaml")).unwrap();
    project.channel("lab", &right.replace("retry:", "retri:"));
    begins(&relais, "edit_not_in_force", "lab", "and is not in force; the version before goes on: ");
    project.channel("lab", &right);
    ends(&relais, "edit_not_in_force", "lab");

    project.write("server.pem", certificate(&key, 400));
    channel(&project, "broken", "destinations: []\n");
    drop(taken);
    let record = Receiver::listen(away, Behaviour::Code("AA"));
    ends(&relais, "channel_broken", "broken");
    ends(&relais, "source_down", "deaf");
    ends(&relais, "destination_down", "lab");
    ends(&relais, "certificate", "safe");
    assert_eq!(record.count(), 1);
}

/// A certificate that ends in so many days.
fn certificate(key: &rcgen::KeyPair, days: u64) -> String {
    let mut asked = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    asked.not_after = (std::time::SystemTime::now() + Duration::from_hours(24 * days)).into();
    asked.self_signed(key).unwrap().pem()
}

#[test]
fn what_became_of_deliveries() {
    let project = Project::new();
    let records = [Behaviour::Cut, Behaviour::Cut, Behaviour::Code("AE"), Behaviour::Code("AE")];
    let records = records.map(Receiver::start);
    let [doubtful, aside, refusing, slow] = &records;
    let stops = channel(&project, "stops", &to(doubtful.port, "    when_unsure: stop\n"));
    let goes_on = channel(&project, "goes-on", &to(aside.port, "    when_unsure: hold\n"));
    let refused = channel(&project, "refused", &to(refusing.port, ""));
    let late = channel(&project, "late", &to(slow.port, "    nack: { AE: retry }\n"));
    project.write("alerts/early.yaml", "when: { queue_old: { for: 2s } }\ntell: []\n");
    let relais = project.start();
    for (port, id) in [(stops, "S1"), (goes_on, "G1"), (refused, "R1"), (late, "Q1")] {
        assert_eq!(sends(port, id), "AA");
    }
    begins(&relais, "destination_stopped", "stops", "stops → record: stopped since ");
    begins(&relais, "set_aside", "goes-on", "goes-on → record: 1 delivery set aside for a person");
    begins(&relais, "given_up", "refused", "refused → record: 1 delivery given up");
    begins(&relais, "queue_old", "late", "late → record: the oldest of 1 waiting came ");

    for record in &records {
        record.behave(Behaviour::Code("AA"));
    }
    does(&project, &relais, "resend", "S1");
    does(&project, &relais, "drop", "G1");
    does(&project, &relais, "resend", "R1");
    ends(&relais, "destination_stopped", "stops");
    ends(&relais, "set_aside", "goes-on");
    ends(&relais, "given_up", "refused");
    ends(&relais, "queue_old", "late");
}

#[test]
fn what_became_of_messages() {
    let project = Project::new();
    let step = "steps:\n  - set: { OBX-16: '${table(\"codes\", \"ours\", msg[\"OBR-4.1\"], \"theirs\")}' }\n";
    project.write("tables/codes.csv", "# on_missing: hold\nours,theirs\nNA,1\n");
    let held = channel(&project, "held", &format!("{step}destinations: []\n"));
    let broken = "steps:\n  - script: throw \"no\"\ndestinations: []\n";
    let failing = channel(&project, "failing", broken);
    let wrong = channel(&project, "wrong", "steps:\n  - require: [ZZZ-1]\ndestinations: []\n");
    let answer = "'msg[\"MSH-9.1\"] == \"ACK\"'";
    let asking = channel(
        &project,
        "asking",
        &format!(
            "expect:\n  key: OBR-2\n  within: 1s\n  answered_by: [{{ channel: asking, when: {answer}, key: OBR-2 }}]\ndestinations: []\n"
        ),
    );
    let relais = project.start();
    assert_eq!([held, asking].map(|port| sends(port, "M1")), ["AA", "AA"]);
    assert_ne!(sends(failing, "F1"), "AA");
    begins(&relais, "unmapped", "held", "held: 1 message waits for a code that a table lacks");
    begins(&relais, "failed", "failing", "failing: 1 message failed in a step within 24 h");
    begins(&relais, "overdue", "asking", "asking: 1 expected answer is overdue");
    // A share is of what came since the server looked first, and by now it has.
    for number in 0..12 {
        assert_ne!(sends(wrong, &format!("W{number}")), "AA");
    }
    begins(&relais, "error_share", "wrong", "messages refused or failed within 15 min (100 %)");

    project.write("tables/codes.csv", "# on_missing: hold\nours,theirs\nNA,1\n2823-3,2\n");
    project.channel("failing", &taking("failing", failing, "destinations: []\n"));
    run(&project, &["deploy", "failing"]);
    does(&project, &relais, "resend", "F1");
    run(&project, &["overdue", "asking", "--settle", "OM1"]);
    ends(&relais, "unmapped", "held");
    ends(&relais, "failed", "failing");
    ends(&relais, "overdue", "asking");
    assert_eq!(episode(&relais, LASTS, "wrong").unwrap()["state"], "open");
}

/// An attempt that a crash cut, at a destination that somebody holds: nothing tries it again meanwhile.
#[test]
fn what_a_crash_leaves() {
    let project = Project::new();
    let record = Receiver::start(Behaviour::Silent);
    let lab = channel(&project, "lab", &to(record.port, ""));
    let relais = project.start();
    assert_eq!(sends(lab, "C1"), "AA");
    wait_until("it is being sent", || record.count() == 1);
    run(&project, &["hold", "lab/record"]);
    relais.kill();
    let relais = project.start();
    begins(&relais, "unsure", "lab", "lab → record: 1 delivery may have arrived or not");
    record.behave(Behaviour::Code("AA"));
    run(&project, &["release", "lab/record"]);
    ends(&relais, "unsure", "lab");
    assert_eq!(record.count(), 2);
}

#[test]
fn what_the_disk_does_to_the_store() {
    let project = Project::new();
    let lab = channel(&project, "lab", "destinations: []\n");
    project.write("relais.yaml", format!("listen: 127.0.0.1:{}\nstore: {{ free: 20MB }}\n", project.port));
    let (relais, disk) = SmallDisk::start(&project, "data", "size=64m");
    assert_eq!(sends(lab, "D1"), "AA");
    disk.take(45_000_000);
    begins(&relais, "store_refuses", "", "server: new messages are refused: too little room: ");
    assert_eq!(sends(lab, "D2"), "AR");
    disk.free();
    ends(&relais, "store_refuses", "");

    let failing = Strace::fail_syncs(&relais, "EIO", 1, &[]);
    wait_until("a write hits the fault", || sends(lab, "D3") == "AR");
    begins(&relais, "store_trouble", "", "server: the store cannot write: ");
    drop(failing);
    ends(&relais, "store_trouble", "");
    assert_eq!(sends(lab, "D4"), "AA");
}

/// How fast a disk fills is measured over a day. The server is given a history as it writes it itself: half a day ago it held
/// nothing. It ends as a person ends it: the store may be larger.
#[test]
fn what_the_disk_will_do() {
    let project = Project::new();
    channel(&project, "lab", "destinations: []\n");
    project.start().terminate();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    project.write("data/growth", format!("{} 0 0\n", now - 12 * 3600));
    // It takes no room, and is as long as what half a day brought.
    File::create(project.path("data/grown")).and_then(|file| file.set_len(100_000_000)).unwrap();
    let allow = |budget: &str| {
        let port = project.port;
        project.write("relais.yaml", format!("listen: 127.0.0.1:{port}\nstore: {{ budget: {budget} }}\n"));
    };
    allow("150MB");
    let relais = project.start();
    begins(&relais, "disk", "", "server: full in ");
    let open = episode(&relais, "disk", "").unwrap();
    assert_eq!(open["severity"], "critical", "{open}");
    relais.terminate();
    allow("10GB");
    let relais = project.start();
    ends(&relais, "disk", "");
}

/// A rhythm is learned in three weeks. The server is given one as it writes it itself, of a message a second at every hour; the
/// silence is the channel's own.
#[test]
fn what_the_rhythm_of_a_feed_tells() {
    let project = Project::new();
    let feed = channel(&project, "feed", "destinations: []\n");
    let spread = json!({ "mean": 1.0, "square": 2.0 });
    let rhythm = json!({
        "usual": vec![3600.0; 168], "seen": vec![4; 168], "yearly": 3600.0 * 168.0 * 52.0, "watched": 4.0 * 168.0,
        "tail": { "number": 100_000, "slow": spread, "fast": spread },
        "hour": { "number": 0, "cell": 0, "watched": 0.0, "came": 0.0 },
        "day": { "number": 0, "came": 0.0, "expected": 0.0, "part": 0.0 },
        "silence": { "seconds": 0.0, "before": 0.0, "usual": 0.0, "quiet": 0.0 },
    });
    project.write("data/rhythms.json", json!({ "rhythms": { "feed": rhythm }, "last": {} }).to_string());
    let relais = project.start();
    begins(&relais, "silent", "feed", "; 3600/h are usual now, ");
    let open = episode(&relais, "silent", "feed").unwrap();
    assert!(open["words"].as_str().unwrap().starts_with("feed: silent "), "{open}");
    assert_eq!(sends(feed, "F1"), "AA");
    ends(&relais, "silent", "feed");
}

/// The kinds stand in the server's metrics, each from the start.
#[test]
fn no_kind_is_left_out() {
    let project = Project::new();
    channel(&project, "lab", "destinations: []\n");
    let relais = project.start();
    let (_, page) = relais.get("/metrics").unwrap();
    let series = page.lines().filter_map(|line| line.strip_prefix("relais_episodes{cause=\""));
    let counted: BTreeSet<String> =
        series.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
    assert_eq!(counted, written(), "a kind is in the code and not in `Cause::ALL`");
    let here = include_str!("kinds.rs");
    for cause in &counted {
        let is_in = |act: &str| here.contains(&format!("    {act}(&relais, \"{cause}\", \""));
        assert!(is_in("begins"), "no test lets `{cause}` begin");
        assert!(is_in("ends") != (cause == LASTS), "no test lets `{cause}` end");
    }
}

/// The kinds as the code names them.
fn written() -> BTreeSet<String> {
    let code = include_str!("../server/src/alerts/cause.rs");
    let kinds = code.split_once("pub(crate) enum Cause {").unwrap().1.split_once('}').unwrap().0;
    let kinds = kinds.lines().map(str::trim).filter(|line| line.ends_with(',') && !line.starts_with('/'));
    let snake = |kind: &str| {
        let parted = kind
            .trim_end_matches(',')
            .chars()
            .flat_map(|letter| letter.is_uppercase().then_some('_').into_iter().chain(letter.to_lowercase()));
        parted.skip(1).collect()
    };
    kinds.map(snake).collect()
}
