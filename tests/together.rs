//! Instances that are ready at the same time, in one request of STOW-RS: each is sent, refused or in doubt by itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::{Cutting, Instance, Orthanc, Project, Relais, free_port, wait_until};

const COUNT: u32 = 200;

/// A channel that stores the files of `in`, several in a request.
fn folder(project: &Project, port: u16) {
    project.channel(
        "folder",
        &format!(
            "name: folder\nsource:\n  file: {{ dir: in, pattern: \"*\", done: done }}\nformat: binary\ndestinations:\n  - name: archive\n\
             \x20   to:\n      dicomweb: {{ url: \"http://127.0.0.1:{port}/dicom-web\", together: 16 }}\n\
             \x20   retry: {{ first: 20ms, longest: 200ms }}\n    order: none\n    workers: 32\n"
        ),
    );
}

fn instance(number: u32) -> Instance {
    Instance::of("1.2.826.0.1.61", number)
}

fn write(project: &Project) {
    for number in 1..=COUNT {
        project.write(&format!("in/{number:03}.dcm"), instance(number).file());
    }
}

/// How many deliveries stand how.
fn states(relais: &Relais) -> BTreeMap<String, u32> {
    let mut states = BTreeMap::new();
    for delivery in deliveries(relais) {
        *states.entry(delivery["state"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    states
}

fn deliveries(relais: &Relais) -> Vec<Value> {
    let (_, found) = relais.get("/api/v1/messages?channel=folder&limit=1000").expect("the server answers");
    let found: Vec<Value> =
        serde_json::from_str(&found).unwrap_or_else(|_| panic!("the server says {found}"));
    let first = |mut message: Value| message["deliveries"].get_mut(0).map(Value::take);
    found.into_iter().filter_map(first).collect()
}

fn ended(relais: &Relais) -> BTreeMap<String, u32> {
    let of = |states: &BTreeMap<String, u32>| {
        ["sent", "given_up"].iter().filter_map(|state| states.get(*state)).sum::<u32>()
    };
    wait_until("all have ended", || of(&states(relais)) == COUNT);
    states(relais)
}

#[test]
fn an_instance_that_an_archive_cannot_read_costs_the_others_of_its_request_nothing() {
    let orthanc = Orthanc::with(&json!({ "OverwriteInstances": true }));
    let between = Cutting::start(orthanc.port, usize::MAX);
    let project = Project::new();
    folder(&project, between.port);
    write(&project);
    // A beginning as it should be, and no data set behind it.
    let file = instance(100).file();
    let begins = file.len() - instance(100).data_set().len();
    project.write("in/100.dcm", [&file[..begins], b"what is no data set at all"].concat());
    let relais = project.start();
    let states = ended(&relais);
    assert_eq!(states, BTreeMap::from([("given_up".to_owned(), 1), ("sent".to_owned(), COUNT - 1)]));
    assert_eq!(orthanc.count(), u64::from(COUNT) - 1);
    for number in (1..=COUNT).step_by(37) {
        let held = orthanc.file(&instance(number).uid).expect("it has it");
        assert!(held == instance(number).file(), "{number} was changed on its way");
    }
    let requests = between.answers();
    assert!(requests < COUNT as usize / 2, "{requests} requests for {COUNT} instances");
}

#[test]
fn what_a_server_refuses_by_name_is_refused_and_what_it_takes_beside_it_is_sent() {
    let listen = free_port();
    let archive = Project::new();
    archive.channel(
        "posted",
        &format!(
            "name: posted\nsource:\n  dicomweb: {{ listen: \"127.0.0.1:{listen}\" }}\n\
             steps:\n  - filter: 'if msg[\"PatientID\"] == \"UNWANTED\" {{ refuse(\"not here\") }} else {{ true }}'\n\
             destinations:\n  - name: files\n    to:\n      file: {{ dir: out, name: '${{msg[\"SOPInstanceUID\"]}}.dcm' }}\n"
        ),
    );
    let project = Project::new();
    folder(&project, listen);
    write(&project);
    for number in [50, 120, 121] {
        let unwanted = Instance { patient: "UNWANTED".to_owned(), ..instance(number) };
        project.write(&format!("in/{number:03}.dcm"), unwanted.file());
    }
    let (_archive, relais) = (archive.start(), project.start());
    let states = ended(&relais);
    assert_eq!(states, BTreeMap::from([("given_up".to_owned(), 3), ("sent".to_owned(), COUNT - 3)]));
    for delivery in deliveries(&relais).iter().filter(|delivery| delivery["state"] == "given_up") {
        let why = delivery["why"].as_str().unwrap_or_default();
        assert!(why.contains("for the instance C000"), "{why}");
        assert_eq!(delivery["attempts"], 1);
    }
    wait_until("all have arrived", || archive.files("out").len() == COUNT as usize - 3);
}

#[test]
fn a_request_that_is_cut_leaves_each_of_its_instances_in_doubt_and_each_arrives_once() {
    let orthanc = Orthanc::with(&json!({ "OverwriteInstances": true }));
    let between = Cutting::start(orthanc.port, 7);
    let project = Project::new();
    folder(&project, between.port);
    write(&project);
    let relais = project.start();
    assert_eq!(ended(&relais), BTreeMap::from([("sent".to_owned(), COUNT)]));
    assert!(between.cuts() > 0);
    let unsure = "relais_deliveries_total{channel=\"folder\",destination=\"archive\",outcome=\"unsure\"}";
    let unsure = relais.metric(unsure).unwrap_or_default();
    assert!(unsure > between.cuts() as f64, "{unsure} in doubt by {} cuts", between.cuts());
    let twice = deliveries(&relais).iter().filter(|delivery| delivery["attempts"] != 1).count();
    assert!(twice > 0 && twice < COUNT as usize, "{twice} were sent again");
    assert_eq!(orthanc.count(), u64::from(COUNT));
}
