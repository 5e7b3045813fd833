//! When each attempt at a delivery was made, and why it failed: also after a restart, and after a kill.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use serde_json::{Value, json};
use tests::{Behaviour, Project, Receiver, Relais, Sender, free_port, message, wait_until};

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
