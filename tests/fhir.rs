//! The binary and a FHIR server that is not ours: what arrives there, once and no more, whatever breaks in between.

use serde_json::{Value, json};
use tests::{Cutting, FhirServer, Project, Relais, Sender, free_port, message, mshfield, wait_until};

/// A channel from MLLP whose only step makes a payload of each message, and sends it so.
fn channel(project: &Project, base: &str, script: &str, settings: &str) -> u16 {
    let listen = free_port();
    let script = script.replace('\n', "\n          ");
    project.channel(
        "storing",
        &format!(
            "name: storing\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: {{ when: processed, within: 20s }}\n\
             repeats: answer_again\ndestinations:\n  - name: record\n    steps:\n      - script: |\n          {script}\n\
             \x20   to:\n      fhir:\n        base: {base}\n{settings}    retry: {{ first: 20ms, longest: 200ms }}\n    order: none\n    workers: 4\n"
        ),
    );
    listen
}

fn delivery(relais: &Relais, id: &str) -> Value {
    let (_, found) = relais.get("/api/v1/messages?channel=storing&limit=1000").expect("the server answers");
    let found: Value = serde_json::from_str(&found).unwrap_or_else(|_| panic!("the server says {found}"));
    let message = found.as_array().and_then(|all| all.iter().find(|one| one["control_id"] == id));
    message.map(|message| message["deliveries"][0].clone()).unwrap_or_default()
}

fn waiting(relais: &Relais) -> Option<f64> {
    relais.metric("relais_queue_depth{channel=\"storing\",destination=\"record\"}")
}

/// A patient and an observation that refers to it, in one transaction: the observation has nothing of its own to be found by.
const TRANSACTION: &str = r#"let patient = "urn:uuid:6f1e5e2e-0000-4000-8000-000000000001";
#{
  resourceType: "Bundle", type: "transaction",
  entry: [
    #{
      fullUrl: patient,
      resource: #{ resourceType: "Patient", identifier: [#{ system: "urn:p", value: msg["PID-3.1"] }] },
      request: #{ method: "PUT", url: "Patient?identifier=urn:p|" + msg["PID-3.1"] },
    },
    #{
      fullUrl: "urn:uuid:6f1e5e2e-0000-4000-8000-000000000002",
      resource: #{
        resourceType: "Observation", status: "final", code: #{ text: msg["MSH-10"] }, subject: #{ reference: patient },
      },
      request: #{ method: "POST", url: "Observation" },
    },
  ],
}"#;

/// The words of each observation's code, in order.
fn codes(server: &FhirServer) -> Vec<String> {
    let found = server.search("Observation");
    let mut codes: Vec<String> =
        found.iter().filter_map(|one| one["code"]["text"].as_str().map(str::to_owned)).collect();
    codes.sort();
    codes
}

#[test]
fn two_hundred_transactions_arrive_once_though_the_engine_is_killed_twice_and_the_server_once() {
    let mut server = FhirServer::start();
    let cutting = Cutting::start(server.port, 7);
    let project = Project::new();
    let base = format!("http://127.0.0.1:{}/fhir", cutting.port);
    let listen = channel(&project, &base, TRANSACTION, "");
    let mut relais = project.start();
    let ids: Vec<String> = (0..200).map(|number| format!("T{number:03}")).collect();
    for (place, id) in ids.iter().enumerate() {
        match place {
            60 | 140 => {
                relais.kill();
                relais = project.start();
            }
            100 => server.kill(),
            120 => server.restart(),
            _ => {}
        }
        let mut sender = Sender::connect(listen).expect("the channel listens");
        let patient = format!("{}", place % 10);
        let answer = sender.send(&message(id, &patient)).expect("each is answered");
        assert_eq!(mshfield(&answer, "MSA", 1), "AA", "{id}");
    }
    wait_until("all have arrived", || waiting(&relais) == Some(0.0));
    // Every message once more: its sender did not hear, and asks again.
    for (place, id) in ids.iter().enumerate() {
        let mut sender = Sender::connect(listen).expect("the channel listens");
        let answer = sender.send(&message(id, &format!("{}", place % 10))).expect("each is answered");
        assert_eq!(mshfield(&answer, "MSA", 1), "AA", "{id}");
    }
    wait_until("nothing waits", || waiting(&relais) == Some(0.0));
    assert!(cutting.cuts() > 20, "what was carried out was in doubt: {}", cutting.cuts());
    assert_eq!(codes(&server), ids);
    let patients = server.search("Patient");
    assert_eq!(patients.len(), 10);
    let of_first = server.search("Observation?subject:Patient.identifier=urn:p%7C0");
    assert_eq!(of_first.len(), 20, "each observation refers to its patient");
}

#[test]
fn each_way_of_storing_leaves_one_resource() {
    let server = FhirServer::start();
    let script = r#"let observation = #{ resourceType: "Observation", status: "final", code: #{ text: msg["MSH-10"] } };
switch msg["NTE-3"] {
  "id" => { observation.id = "own-1"; observation }
  "identifier" => { observation.identifier = [#{ system: "urn:o", value: "7" }]; observation }
  "provenance" => #{
    resourceType: "Provenance", recorded: "2026-01-01T00:00:00Z", target: [#{ reference: "Patient/1" }],
    agent: [#{ who: #{ display: "x" } }],
  },
  "wrong" => #{ resourceType: "Observation", status: "final" },
  "batch" => #{ resourceType: "Bundle", type: "batch", entry: [
    #{ resource: observation, request: #{ method: "POST", url: "Observation" } },
    #{ resource: #{ resourceType: "Observation", status: "final" }, request: #{ method: "POST", url: "Observation" } },
  ] },
  _ => observation,
}"#;
    let project = Project::new();
    let listen = channel(&project, &server.base(), script, "        resources: [Observation]\n");
    let relais = project.start();
    let mut sender = Sender::connect(listen).expect("the channel listens");
    let mut send = |id: &str, kind: &str| {
        let noted = [message(id, "42"), format!("NTE|1||{kind}\r").into_bytes()].concat();
        sender.send(&noted).expect("each is answered");
        wait_until("it has ended", || {
            ["sent", "given_up"].contains(&delivery(&relais, id)["state"].as_str().unwrap_or_default())
        });
        delivery(&relais, id)
    };
    for (id, kind) in [
        ("A1", "id"),
        ("A2", "id"),
        ("B1", "identifier"),
        ("B2", "identifier"),
        ("C1", "none"),
        ("C2", "none"),
    ] {
        assert_eq!(send(id, kind)["state"], "sent", "{id}");
    }
    assert_eq!(codes(&server), ["A2", "B2", "C1", "C2"], "the newest of each stands");
    assert_eq!(send("P1", "provenance")["state"], "sent");
    assert_eq!(server.search("Provenance")[0]["meta"]["tag"][0]["system"], "urn:relais:effect");
    let refused = send("W1", "wrong");
    let why = "the server answered 400 (error: structure at Observation.code)";
    assert_eq!((&refused["state"], &refused["why"]), (&json!("given_up"), &json!(why)));
    let refused = send("W2", "batch");
    let why = "1 of 2 entries were not done: entry 2: 400 (error: structure at Observation.code)";
    assert_eq!(refused["why"], why);
    assert!(codes(&server).contains(&"W2".to_owned()), "the other entry was done");
}

#[test]
fn a_server_that_cannot_be_asked_for_what_it_holds_is_refused_by_check_and_at_the_start() {
    let server = FhirServer::start();
    let project = Project::new();
    let settings =
        "        interaction: create\n        condition: { colour: red }\n        resources: [Observation]\n";
    channel(&project, &server.base(), "#{ resourceType: \"Observation\" }", settings);
    let checked = project.relais(&["check", "--connect", "."]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("does not name the search parameter `colour` of Observation"), "{said}");
    let relais = project.start();
    wait_until("the log says so", || relais.log().contains("search parameter `colour` of Observation"));
    let settings = settings.replace("colour", "status");
    channel(&project, &server.base(), "#{ resourceType: \"Observation\" }", &settings);
    let checked = project.relais(&["check", "--connect", "."]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
}
