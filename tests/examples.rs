//! The projects in `examples/`, run as their README says: the real binary, its own messages, peers on free ports.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tests::{Behaviour, Project, Receiver, Sender, free_port, mshfield, wait_until};

/// `examples/lab` as it is on disk, on ports of this test's own.
struct Laboratory {
    project: Project,
    results: u16,
    orders: u16,
    batch: u16,
    record: Receiver,
    lis: Receiver,
}

impl Laboratory {
    fn new() -> Self {
        let (results, orders, batch) = (free_port(), free_port(), free_port());
        let record = Receiver::start(Behaviour::Code("AA"));
        let lis = Receiver::start(Behaviour::Code("AA"));
        let ports = BTreeMap::from([
            (2675, results),
            (2676, orders),
            (2677, batch),
            (2678, free_port()),
            (2679, free_port()),
            (2701, record.port),
            (2702, lis.port),
            // Nobody keeps a chart there.
            (2703, free_port()),
        ]);
        Self { project: Project::of_example("lab", &ports), results, orders, batch, record, lis }
    }

    fn message(&self, name: &str) -> Vec<u8> {
        fs::read(self.project.path(&format!("messages/{name}"))).unwrap()
    }

    /// Sends a file of `messages/` and says what MSA-1 of the answer is.
    fn send(&self, port: u16, name: &str) -> String {
        let answer = Sender::connect(port).unwrap().send(&self.message(name)).unwrap();
        mshfield(&answer, "MSA", 1)
    }

    fn expected(&self, name: &str) -> Vec<u8> {
        fs::read(self.project.path(&format!("expected/{name}"))).unwrap()
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples").join(name)
}

fn control_ids(receiver: &Receiver) -> Vec<String> {
    receiver.received().iter().map(|message| mshfield(message, "MSH", 10)).collect()
}

#[test]
fn the_laboratory_checks_clean_and_its_own_tests_pass() {
    let laboratory = Laboratory::new();
    for arguments in [["check", "--strict"], ["test", "."]] {
        let output = laboratory.project.relais(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn results_reach_the_record_and_the_folder_as_the_example_shows_them() {
    let laboratory = Laboratory::new();
    let _relais = laboratory.project.start();
    let answers = [
        "result.hl7",
        "result-preliminary.hl7",
        "result-final.hl7",
        "result-training.hl7",
        "result-without-patient.hl7",
    ]
    .map(|name| laboratory.send(laboratory.results, name));
    assert_eq!(answers, ["AA", "AA", "AA", "AA", "AE"]);

    wait_until("two results are in the record", || laboratory.record.count() == 2);
    wait_until("three results are in the folder", || laboratory.project.files("out/results").len() == 3);
    let wanted = laboratory.expected("result.hl7");
    assert!(laboratory.record.received().contains(&wanted));
    assert_eq!(fs::read(laboratory.project.path("out/results/RES-1001.hl7")).unwrap(), wanted);
}

#[test]
fn an_order_message_leaves_as_one_message_for_each_order() {
    let laboratory = Laboratory::new();
    let _relais = laboratory.project.start();
    assert_eq!(laboratory.send(laboratory.orders, "order.hl7"), "AA");
    // The ward is answered once the laboratory has been asked.
    assert_eq!(control_ids(&laboratory.lis), ["ORD-2001.1", "ORD-2001.2"]);
    assert_eq!(laboratory.lis.received()[0], laboratory.expected("order-first.hl7"));
    assert_eq!(laboratory.send(laboratory.orders, "order-unknown-test.hl7"), "AE");
    assert_eq!(laboratory.lis.count(), 2);
}

#[test]
fn the_ward_hears_what_the_laboratory_refused() {
    let laboratory = Laboratory::new();
    laboratory.lis.behave(Behaviour::Code("AE"));
    let _relais = laboratory.project.start();
    assert_eq!(laboratory.send(laboratory.orders, "order.hl7"), "AE");
}

#[test]
fn a_batch_is_answered_message_by_message_and_what_is_sound_is_written() {
    let laboratory = Laboratory::new();
    let _relais = laboratory.project.start();
    let mut sender = Sender::connect(laboratory.batch).unwrap();
    let answer = String::from_utf8(sender.send(&laboratory.message("batch.hl7")).unwrap()).unwrap();
    let codes: Vec<&str> =
        answer.split('\r').filter(|line| line.starts_with("MSA")).map(|line| &line[4..6]).collect();
    assert_eq!(codes, ["AA", "AE", "AA"]);

    let written = || {
        let files = laboratory.project.files("out/batch");
        files.iter().map(|file| fs::read_to_string(file).unwrap()).collect::<String>()
    };
    wait_until("two results are in the day's file", || written().matches("MSH|").count() == 2);
    assert!(written().contains("X01^^^OUTSIDE") && written().contains("PÉNÉLOPE"));
    assert!(!written().contains("positif"));
}

/// Which resources of a Bundle of `expected/` the server is asked for: what finds each.
fn asked_for(name: &str) -> Vec<String> {
    let bundle: Value =
        serde_json::from_slice(&fs::read(example("lab").join("expected").join(name)).unwrap()).unwrap();
    let entries = bundle["entry"].as_array().unwrap().iter().map(|entry| {
        let (request, kind) = (&entry["request"], entry["resource"]["resourceType"].as_str().unwrap());
        match request["ifNoneExist"].as_str() {
            Some(condition) => format!("{kind}?{condition}"),
            None => request["url"].as_str().unwrap().to_owned(),
        }
    });
    entries.collect()
}

#[test]
fn a_repeat_a_correction_and_a_late_order_find_what_is_in_the_chart() {
    let first = asked_for("chart-result.json");
    assert!(first.iter().any(|found| found.starts_with("Observation?identifier=")), "{first:?}");
    assert_eq!(asked_for("chart-result-again.json"), first);
    assert_eq!(asked_for("chart-result-corrected.json"), first);
    let order: Vec<_> = first.iter().filter(|found| found.starts_with("ServiceRequest?")).cloned().collect();
    assert_eq!(order, ["ServiceRequest?identifier=urn:oid:1.2.250.1.999.2|P-701"]);
    for late in ["chart-order.json", "chart-order-cancelled.json"] {
        assert!(asked_for(late).contains(&order[0]), "{late}");
    }
    // Another result is another report, though of the same patient.
    let other = asked_for("chart-unknown-code.json");
    assert!(!other.iter().any(|found| found.starts_with("DiagnosticReport?") && first.contains(found)));
}

#[test]
fn images_of_the_scanner_are_in_the_archive_and_what_is_wrong_with_one_is_told() {
    let ports = [11113, 8643, 8645, 2680].map(|port| (port, free_port()));
    let project = Project::of_example("imaging", &BTreeMap::from(ports));
    let output = project.relais(&["check", "--strict"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let relais = project.start();
    for name in ["1-1", "1-2", "1-3", "2-1", "2-2-cut"] {
        let image = fs::read(example("imaging").join(format!("images/{name}.dcm"))).unwrap();
        project.write(&format!("in/{name}.dcm"), image);
    }
    let refused = || {
        let (_, found) = relais.get("/api/v1/messages?channel=images&state=refused").unwrap();
        let found: Value = serde_json::from_str(&found).unwrap();
        found.as_array().unwrap().iter().map(|message| message["why"].to_string()).collect::<Vec<_>>()
    };
    wait_until("four images are in the archive", || project.files("out/archive").len() == 4);
    wait_until("the one that was cut is refused", || refused().len() == 1);
    assert!(refused()[0].contains("byte"), "{:?}", refused());
    let changed = fs::read(example("imaging").join("images/changed/1-1.dcm")).unwrap();
    project.write("in/changed.dcm", changed);
    wait_until("the one that was changed is refused", || refused().len() == 2);
    assert_eq!(project.files("out/archive").len(), 4);
}
