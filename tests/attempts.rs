//! When each attempt at a delivery was made, and why it failed: also after a restart, and after a kill.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
};

use serde_json::{Value, json};
use tests::{Asker, Behaviour, Project, Receiver, Relais, Sender, free_port, message, wait_until};

fn attempts(relais: &Relais) -> Vec<Value> {
    let said = relais.owner().get("/api/v1/messages/1/attempts");
    assert_eq!(said.status, 200, "{said:?}");
    said.json().as_array().unwrap().clone()
}

/// Waits until one more was made.
fn one_more(relais: &Relais, before: &[Value]) -> Vec<Value> {
    wait_until("one more attempt was made", || attempts(relais).last() != before.last());
    attempts(relais)
}

#[test]
fn attempts_before_a_restart_and_before_a_kill_are_shown_with_their_times_and_reasons() {
    let project = Project::new();
    let (listen, record) = (free_port(), free_port());
    project.channel(
        "ward",
        &format!(
            "name: ward\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\ndestinations:\n  - name: record\n    to:\n      \
             mllp: {{ connect: \"127.0.0.1:{record}\" }}\n    retry: {{ first: 50ms, longest: 50ms }}\n"
        ),
    );
    let relais = project.start();
    Sender::connect(listen).unwrap().send(&message("A1", "P1")).unwrap();
    let before = one_more(&relais, &one_more(&relais, &[]));
    let why = format!("not delivered: cannot connect to 127.0.0.1:{record}");
    assert!(before[0]["why"].as_str().unwrap().starts_with(&why), "{before:?}");
    assert_eq!((&before[0]["number"], &before[0]["outcome"]), (&json!(1), &json!("retried")));
    assert!(before[0]["next"].as_f64().unwrap() > 0.0 && before[0]["took"].is_number(), "{before:?}");
    // What was shown was written: a kill does not take it.
    relais.kill();

    let relais = project.start();
    let behind = one_more(&relais, &before);
    assert_eq!(behind[..2], before[..2]);
    assert!(relais.terminate().success());

    let relais = project.start();
    let receiver = Receiver::listen(record, Behaviour::Code("AA"));
    wait_until("it arrives", || receiver.count() == 1);
    wait_until("that is written", || attempts(&relais).last().unwrap()["outcome"] == "sent");
    let all = attempts(&relais);
    assert_eq!(all[..2], before[..2]);
    assert!(all.len() <= 20, "the first and the last of many: {}", all.len());
    // Everybody who may look reads when and of what kind; the words are for who may see content.
    let viewer = relais.token("monitor", &["look"], &[]);
    let seen = viewer.get("/api/v1/messages/1/attempts").json();
    assert_eq!(seen[0]["why"], "not delivered (cannot connect)");
    assert_eq!(seen[0]["at"], before[0]["at"]);
    let shown = project.relais(&["show", "1"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("  1. retried after ") && shown.contains(&why), "{shown}");
}

/// A FHIR server that takes nothing, and names a patient where a code should be.
fn name_a_patient(listener: &TcpListener) {
    let body =
        json!({ "resourceType": "OperationOutcome", "issue": [{ "severity": "error", "code": "transient",
        "details": { "coding": [{ "code": "DUPONT" }] }, "diagnostics": "Jean DUPONT waits" }] })
        .to_string();
    for mut stream in listener.incoming().map_while(Result::ok) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            let value = line.to_ascii_lowercase();
            if let Some(value) = value.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        // Whoever only looked has gone.
        if reader.read_exact(&mut vec![0; length]).is_err() {
            continue;
        }
        let head = "HTTP/1.1 503 Busy\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n";
        let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
    }
}

#[test]
fn what_a_server_says_of_a_patient_is_with_the_delivery_and_in_no_line_of_the_log() {
    let project = Project::new();
    let (listen, listener) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let record = listener.local_addr().unwrap();
    project.channel(
        "ward",
        &format!(
            "name: ward\nformat: json\nsource:\n  http: {{ listen: \"127.0.0.1:{listen}\" }}\ndestinations:\n  - name: record\n    to:\n      \
             fhir: {{ base: \"http://{record}/fhir\", capabilities: ignored }}\n    retry: {{ first: 50ms, longest: 50ms }}\n"
        ),
    );
    std::thread::spawn(move || name_a_patient(&listener));
    let relais = project.start();
    let patient = json!({ "resourceType": "Patient", "id": "p1" });
    assert_eq!(Asker::nobody(listen).post("/", &patient).status, 200);
    let made = one_more(&relais, &[]);
    assert!(made[0]["why"].as_str().unwrap().contains("DUPONT"), "{made:?}");
    wait_until("the log has it", || relais.log().contains("a delivery did not arrive"));
    let log = relais.log();
    assert!(log.contains("not delivered (busy)") && !log.contains("DUPONT"), "{log}");
}
