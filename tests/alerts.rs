//! What needs a person, as the real server finds it without any setting, and as people are told of it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{net::TcpListener, time::Duration};

use serde_json::{Value, json};
use tests::{Behaviour, Project, Receiver, Relais, Sender, comes_true, free_port, message, wait_until};

fn channel(project: &Project, name: &str, to: u16) -> u16 {
    let port = free_port();
    project.channel(
        name,
        &format!(
            "name: {name}\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\ndestinations:\n  - name: record\n    to:\n      \
             mllp: {{ connect: \"127.0.0.1:{to}\" }}\n    retry: {{ first: 100ms, longest: 1s }}\n"
        ),
    );
    port
}

fn episodes(relais: &Relais) -> Vec<Value> {
    let (status, text) = relais.get("/api/v1/episodes").unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["episodes"].as_array().unwrap().clone()
}

fn of_cause(relais: &Relais, cause: &str) -> Option<Value> {
    episodes(relais).into_iter().find(|one| one["cause"] == cause)
}

#[test]
fn a_destination_that_is_down_is_one_episode_from_its_beginning_to_its_end() {
    let project = Project::new();
    let to = free_port();
    let port = channel(&project, "lab", to);
    let relais = project.start();
    assert!(episodes(&relais).is_empty());
    let mut sender = Sender::connect(port).unwrap();
    sender.send(&message("A1", "42")).unwrap();
    wait_until("it is found", || of_cause(&relais, "destination_down").is_some());
    let open = of_cause(&relais, "destination_down").unwrap();
    assert_eq!((&open["state"], &open["severity"]), (&json!("open"), &json!("critical")));
    assert_eq!((&open["channel"], &open["destination"]), (&json!("lab"), &json!("record")));
    assert_eq!((&open["count"], &open["reason"]), (&json!(1), &json!("cannot_connect")));
    assert!(open["words"].as_str().unwrap().starts_with("lab → record: nothing gets there since"), "{open}");
    assert_eq!(relais.metric("relais_episodes{cause=\"destination_down\",state=\"open\"}"), Some(1.0));
    let status = project.relais(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("needs a person: lab → record: nothing gets there"), "{status}");

    let id = open["id"].to_string();
    let said = project.relais(&["episodes", &id, "--acknowledge", "--note", "the vendor knows"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("acknowledged") && said.contains("the vendor knows"), "{said}");
    assert_eq!(
        relais.metric("relais_episodes{cause=\"destination_down\",state=\"acknowledged\"}"),
        Some(1.0)
    );

    relais.kill();
    let relais = project.start();
    let kept = of_cause(&relais, "destination_down").unwrap();
    assert_eq!((&kept["id"], &kept["since"]), (&open["id"], &open["since"]));
    assert_eq!(kept["acknowledged"]["note"], "the vendor knows");
    let _receiver = Receiver::listen(to, Behaviour::Code("AA"));
    wait_until("it is over", || {
        of_cause(&relais, "destination_down").is_some_and(|one| one["state"] == "closed")
    });
    assert_eq!(episodes(&relais).len(), 1, "{:?}", episodes(&relais));
    let (status, _) = relais.post(&format!("/api/v1/episodes/{id}/wake")).unwrap();
    assert_eq!(status, 409, "what is over cannot be woken");
}

#[test]
fn what_is_broken_or_refused_or_cannot_listen_is_found_too() {
    let project = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = Receiver::start(Behaviour::Code("AE"));
    let port = channel(&project, "lab", receiver.port);
    project.channel("broken", "name: broken\nsource: { mllp: {} }\ndestinations: []\n");
    project.channel(
        "deaf",
        &format!(
            "name: deaf\nsource:\n  mllp: {{ listen: \"{}\" }}\ndestinations: []\n",
            taken.local_addr().unwrap()
        ),
    );
    let relais = project.start();
    Sender::connect(port).unwrap().send(&message("B1", "42")).unwrap();
    for cause in ["channel_broken", "given_up", "source_down"] {
        wait_until(cause, || of_cause(&relais, cause).is_some());
    }
    let text = format!("{:?}", episodes(&relais));
    assert!(!text.contains("EXAMPLE"), "an episode holds content: {text}");
    assert!(!comes_true(Duration::from_secs(2), || episodes(&relais).len() != 3), "{text}");
    drop(taken);
    wait_until("the port is free", || {
        of_cause(&relais, "source_down").is_some_and(|one| one["state"] == "closed")
    });
}
