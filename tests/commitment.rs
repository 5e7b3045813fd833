//! An archive's word that it keeps what it took: over an association of its own, as Orthanc gives it, and over the one that asked.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::{Instance, Orthanc, Project, Receiving, Relais, free_port, python, wait_until};

/// A channel that takes the files of `in`, and sends them so.
fn folder(project: &Project, to: &str) {
    project.channel(
        "folder",
        &format!(
            "name: folder\nsource:\n  file: {{ dir: in, pattern: \"*\", done: done }}\nformat: dicom\ndestinations:\n  - name: archive\n\
             \x20   to:\n      dicom: {to}\n    retry: {{ first: 50ms, longest: 500ms }}\n    order: none\n    workers: 4\n"
        ),
    );
}

fn patient(number: u32, patient: &str) -> Instance {
    Instance { patient: patient.to_owned(), ..Instance::of("1.2.826.0.1.51", number) }
}

fn write(project: &Project, all: &[Instance]) {
    for instance in all {
        project.write(&format!("in/{:03}.dcm", instance.number), instance.file());
    }
}

/// How each instance's delivery stands, by the patient that it is of.
fn deliveries(relais: &Relais) -> BTreeMap<String, Value> {
    let (_, found) = relais.get("/api/v1/messages?channel=folder&limit=500").expect("the server answers");
    let found: Vec<Value> =
        serde_json::from_str(&found).unwrap_or_else(|_| panic!("the server says {found}"));
    let shown = found.iter().map(|message| {
        let (_, text) =
            relais.get(&format!("/api/v1/messages/{}", message["id"])).expect("the server answers");
        let message: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("the server says {text}"));
        (message["source"]["name"].as_str().unwrap_or_default().to_owned(), message["deliveries"][0].clone())
    });
    shown.collect()
}

fn ended(relais: &Relais, count: usize) -> BTreeMap<String, Value> {
    let is_over = |delivery: &Value| {
        ["sent", "given_up"].iter().any(|state| delivery["state"] == *state) || delivery["stopped"] == true
    };
    wait_until("all have ended", || deliveries(relais).values().filter(|one| is_over(one)).count() == count);
    deliveries(relais)
}

#[test]
fn what_an_archive_took_is_sent_once_it_has_said_that_it_keeps_it() {
    const COUNT: u32 = 30;
    let reports = free_port();
    let project = Project::new();
    // It says that it has stored what this turns away, as archives do that sort out later.
    let rule =
        "function ReceivedInstanceFilter(dicom, origin, info)\n  return dicom.PatientID ~= 'UNWANTED'\nend\n";
    project.write("rule.lua", rule);
    let orthanc = Orthanc::with(&json!({
        "DicomModalities": { "relais": ["SENDER", "127.0.0.1", reports] },
        "LuaScripts": [project.path("rule.lua")],
    }));
    folder(
        &project,
        &format!(
            "{{ connect: \"127.0.0.1:{}\", ae: SENDER, called_ae: ORTHANC, commitment: {{ within: 20s, listen: \"127.0.0.1:{reports}\" }} }}",
            orthanc.dicom
        ),
    );
    let all: Vec<Instance> =
        (1..=COUNT).map(|number| patient(number, if number == 7 { "UNWANTED" } else { "P1" })).collect();
    write(&project, &all);
    let checked = project.relais(&["check", "--connect", "."]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let relais = project.start();
    let ended = ended(&relais, COUNT as usize);
    for (name, delivery) in &ended {
        if name == "007.dcm" {
            assert_eq!(delivery["state"], "given_up", "{delivery}\n{}", orthanc.log());
            let why = delivery["why"].as_str().unwrap_or_default();
            assert!(why.contains("does not keep it: 0112 (no such instance)"), "{why}");
            assert_eq!(delivery["attempts"], 2, "it was sent once more");
        } else {
            assert_eq!(delivery["state"], "sent", "{name}: {delivery}\n{}", orthanc.log());
        }
    }
    assert_eq!(orthanc.count(), u64::from(COUNT) - 1);
}

#[test]
fn a_report_over_the_association_that_asked_is_heard_and_each_reason_is_gone_by() {
    let archive = Receiving::start(python("commit.py"));
    let project = Project::new();
    folder(
        &project,
        &format!(
            "{{ connect: \"127.0.0.1:{}\", called_ae: PACS, commitment: {{ within: 10s }} }}",
            archive.port
        ),
    );
    let all = [(1, "P1"), (2, "LOST"), (3, "F0119"), (4, "P2")].map(|(number, name)| patient(number, name));
    write(&project, &all);
    let relais = project.start();
    let ended = ended(&relais, all.len());
    for name in ["001.dcm", "002.dcm", "004.dcm"] {
        assert_eq!(ended[name]["state"], "sent", "{}", ended[name]);
    }
    assert_eq!((&ended["001.dcm"]["attempts"], &ended["002.dcm"]["attempts"]), (&json!(1), &json!(2)));
    assert_eq!(ended["003.dcm"]["state"], "given_up");
    let why = ended["003.dcm"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("0119 (the class and the instance conflict)"), "{why}");
}

#[test]
fn an_archive_that_never_says_so_or_cannot_has_nothing_counted_as_sent() {
    let archive = Receiving::start(python("commit.py"));
    let project = Project::new();
    let to = |port: u16, ae: &str| {
        format!("{{ connect: \"127.0.0.1:{port}\", called_ae: {ae}, commitment: {{ within: 200ms }} }}")
    };
    folder(&project, &to(archive.port, "PACS"));
    write(&project, &[patient(1, "SILENT")]);
    let relais = project.start();
    let delivery = ended(&relais, 1).remove("001.dcm").unwrap_or_default();
    assert_eq!((&delivery["stopped"], &delivery["attempts"]), (&json!(true), &json!(5)), "{delivery}");
    let why = delivery["why"].as_str().unwrap_or_default();
    assert!(why.contains("it has not said so within 200ms"), "{why}");
    // One that takes instances, and has never heard of commitment.
    let listen = free_port();
    let deaf = Project::new();
    let text = format!(
        "name: deaf\nsource:\n  dicom: {{ listen: \"127.0.0.1:{listen}\" }}\nformat: binary\ndestinations: []\n"
    );
    deaf.channel("deaf", &text);
    let _deaf = deaf.start();
    let asking = Project::new();
    folder(&asking, &to(listen, "RELAIS"));
    let checked = asking.relais(&["check", "--connect", "."]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && said.contains("does not speak storage commitment"), "{said}");
    write(&asking, &[patient(1, "P1")]);
    let relais = asking.start();
    wait_until("it was tried", || {
        let why = deliveries(&relais).remove("001.dcm").map(|delivery| delivery["why"].clone());
        why.is_some_and(|why| {
            why.as_str().is_some_and(|why| why.contains("does not speak storage commitment"))
        })
    });
}
