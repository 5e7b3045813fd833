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

#[test]
fn what_changes_on_a_server_comes_once_page_for_page_and_across_a_crash() {
    let server = FhirServer::start();
    let observe = |code: &str| {
        let body = json!({ "resourceType": "Observation", "status": "final", "code": { "text": code } });
        let (status, made) = server.ask("POST", "Observation", &body.to_string());
        assert_eq!(status, 201, "{made}");
        made
    };
    let mut first = observe("F00");
    for number in 1..25 {
        observe(&format!("F{number:02}"));
    }
    let project = Project::new();
    project.channel(
        "watching",
        &format!(
            "name: watching\nsource:\n  fhir: {{ base: \"{}\", search: \"Observation?status=final\", every: 50ms, page: 4 }}\n\
             destinations:\n  - name: files\n    to:\n      file: {{ dir: out, name: '${{msg[\"code.text\"]}}-${{source.version}}.json' }}\n",
            server.base()
        ),
    );
    let received = "relais_messages_total{channel=\"watching\",outcome=\"accepted\"}";
    let relais = project.start();
    wait_until("the first are taken", || project.files("out").len() >= 5);
    relais.kill();
    let relais = project.start();
    wait_until("all are taken", || project.files("out").len() == 25);
    first["code"]["text"] = "changed".into();
    let path = format!("Observation/{}", first["id"].as_str().expect("a resource has an id"));
    assert_eq!(server.ask("PUT", &path, &first.to_string()).0, 200);
    observe("last");
    wait_until("the changes are taken", || project.files("out").len() == 27);
    assert!(project.path("out/changed-2.json").exists() && project.path("out/last-1.json").exists());
    // Nothing comes twice: a number would have been added to its file's name.
    let count = relais.metric(received);
    relais.terminate();
    let relais = project.start();
    observe("later");
    wait_until("the next is taken", || project.files("out").len() == 28);
    assert_eq!(relais.metric(received), Some(1.0), "before the restart it was {count:?}");
}

#[test]
fn a_notification_of_a_subscription_is_read_back() {
    let server = FhirServer::start();
    let body =
        json!({ "resourceType": "Observation", "id": "n-1", "status": "final", "code": { "text": "noted" } });
    assert_eq!(server.ask("PUT", "Observation/n-1", &body.to_string()).0, 201);
    let project = Project::new();
    let hook = free_port();
    project.channel(
        "notified",
        &format!(
            "name: notified\nsource:\n  http: {{ listen: \"127.0.0.1:{hook}\", path: /hook }}\nformat: binary\n\
             destinations:\n  - name: record\n    to:\n      fhir:\n        base: {}\n        interaction: read\n\
             \x20       target: '${{source.path.sub_string(\"/hook/\".len)}}'\n\
             \x20 - name: files\n    after: record\n    steps:\n      - script: responses[\"record\"].body\n\x20       as: text\n\
             \x20   to:\n      file: {{ dir: out, name: '${{ctx.id()}}.json' }}\n",
            server.base()
        ),
    );
    let _relais = project.start();
    // As FHIR R4 has it: the resource is put beneath the endpoint. Its words are not believed.
    let forged = "{\"resourceType\": \"Observation\", \"code\": {\"text\": \"forged\"}}";
    let client = std::net::TcpStream::connect(("127.0.0.1", hook)).expect("the channel listens");
    let request = format!(
        "PUT /hook/Observation/n-1 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{forged}",
        forged.len()
    );
    std::io::Write::write_all(&mut &client, request.as_bytes()).expect("it is sent");
    let answer = std::io::read_to_string(&client).expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    wait_until("it is read", || project.files("out").len() == 1);
    let text = std::fs::read_to_string(&project.files("out")[0]).expect("it can be read");
    assert!(text.contains("noted") && !text.contains("forged"), "{text}");
}

/// The demonstration's server, ended with the test.
struct Mock(std::process::Child);

impl Drop for Mock {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_server_of_the_demonstration_takes_transactions_and_is_searched() {
    let port = free_port();
    let mock = std::process::Command::new(tests::binary())
        .args(["mock", "fhir", "--listen", &format!("127.0.0.1:{port}")])
        .stdout(std::process::Stdio::null())
        .spawn();
    let _mock = Mock(mock.expect("the binary can be started"));
    let project = Project::new();
    let base = format!("http://127.0.0.1:{port}/fhir");
    wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let listen = channel(&project, &base, TRANSACTION, "        resources: [Patient, Observation]\n");
    project.channel(
        "watching",
        &format!(
            "name: watching\nsource:\n  fhir: {{ base: \"{base}\", search: \"Observation?status=final\", every: 50ms, page: 2 }}\n\
             destinations:\n  - name: files\n    to:\n      file: {{ dir: out, name: '${{msg[\"code.text\"]}}-${{source.version}}.json' }}\n"
        ),
    );
    let relais = project.start();
    let mut sender = Sender::connect(listen).expect("the channel listens");
    for number in 0..5 {
        let answer = sender.send(&message(&format!("M{number}"), "42")).expect("each is answered");
        assert_eq!(mshfield(&answer, "MSA", 1), "AA");
    }
    wait_until("all are sent", || {
        (0..5).all(|number| delivery(&relais, &format!("M{number}"))["state"] == "sent")
    });
    wait_until("all are found", || project.files("out").len() == 5);
    let text = std::fs::read_to_string(&project.files("out")[0]).expect("it can be read");
    assert!(text.contains("\"reference\":\"Patient/demo-"), "{text}");
}
