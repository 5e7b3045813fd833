//! What needs a person, as the real server finds it without any setting, and as people are told of it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{net::TcpListener, process::Command, time::Duration};

use serde_json::{Value, json};
use tests::{
    Behaviour, Project, Receiver, Receiving, Relais, Sender, comes_true, free_port, message, python,
    wait_until,
};

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
    soon_over(&project);
    let safe = free_port();
    project.channel(
        "safe",
        &format!(
            "name: safe\nsource:\n  mllp: {{ listen: \"127.0.0.1:{safe}\", tls: {{ certificate: server.pem, key: server.key }} }}\n\
             destinations: []\n"
        ),
    );
    let relais = project.start();
    Sender::connect(port).unwrap().send(&message("B1", "42")).unwrap();
    for cause in ["channel_broken", "given_up", "source_down", "certificate"] {
        wait_until(cause, || of_cause(&relais, cause).is_some());
    }
    let text = format!("{:?}", episodes(&relais));
    assert!(!text.contains("EXAMPLE"), "an episode holds content: {text}");
    assert!(!comes_true(Duration::from_secs(2), || episodes(&relais).len() != 4), "{text}");
    drop(taken);
    wait_until("the port is free", || {
        of_cause(&relais, "source_down").is_some_and(|one| one["state"] == "closed")
    });
}

/// A certificate that ends in five days.
fn soon_over(project: &Project) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut asked = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let days = Duration::from_hours(24 * 5);
    asked.not_after = (std::time::SystemTime::now() + days).into();
    project
        .write("server.pem", asked.self_signed(&key).unwrap().pem())
        .write("server.key", key.serialize_pem());
}

fn mail(project: &Project, is_safe: bool) -> (Receiving, Command) {
    let mut command = python("mail.py");
    if is_safe {
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        project.write("mail.pem", issued.cert.pem()).write("mail.key", issued.signing_key.serialize_pem());
        command.arg(project.path("mail.pem")).arg(project.path("mail.key"));
    }
    (Receiving::start(command), python("mail.py"))
}

#[test]
fn a_letter_reaches_a_mail_server_that_is_not_ours() {
    let project = Project::new();
    let (mut server, _) = mail(&project, true);
    let port = free_port();
    project.write("password", "secret\n");
    let smtp = |more: &str| {
        format!(
            "smtp: {{ server: \"127.0.0.1:{}\", tls: {{ authorities: mail.pem }}, auth: {{ user: relais, password: \"${{file:password}}\" }}, \
             from: \"Relais <relais@example.org>\", {more} }}",
            server.port
        )
    };
    let letter = smtp(
        "to: [\"lab@example.org\", 'ward-${msg[\"PID-3.1\"]}@example.org'], subject: 'Résultat ${msg[\"MSH-10\"]}', body: \"Voilà\\n.\", attach: '${msg[\"MSH-10\"]}.hl7'",
    );
    let refused = smtp("to: ['never-${msg[\"PID-3.1\"]}@example.org'], subject: x");
    let later = smtp("to: [\"later@example.org\"], subject: y");
    project.channel(
        "post",
        &format!(
            "name: post\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\ndestinations:\n  - name: letter\n    to:\n      {letter}\n  \
             - name: refused\n    to:\n      {refused}\n  - name: later\n    to:\n      {later}\n    retry: {{ first: 100ms }}\n"
        ),
    );
    let checked = project.relais(&["check", "--connect"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let relais = project.start();
    Sender::connect(port).unwrap().send(&message("C1", "42")).unwrap();
    let read = [server.next_read(), server.next_read()];
    let of = |subject: &str| read.iter().find(|one| one["subject"] == subject).unwrap();
    let letter = of("Résultat C1");
    assert_eq!(letter["from"], "relais@example.org");
    assert_eq!(letter["to"], json!(["lab@example.org", "ward-42@example.org"]));
    assert_eq!((&letter["tls"], &letter["authenticated"]), (&json!(true), &json!(true)));
    assert_eq!(letter["text"].as_str().unwrap().trim_end().replace("\r\n", "\n"), "Voilà\n.");
    assert_eq!(
        (&letter["files"][0]["name"], &letter["files"][0]["type"]),
        (&json!("C1.hl7"), &json!("application/hl7-v2"))
    );
    assert!(letter["identity"].as_str().unwrap().ends_with("@example.org>"), "{letter}");
    assert_eq!(letter["automatic"], "auto-generated");
    assert!(of("y")["text"].as_str().unwrap().contains("PID|1||42"), "the message itself is the text");
    wait_until("the refused one is given up", || {
        relais
            .metric("relais_deliveries_total{channel=\"post\",destination=\"refused\",outcome=\"given_up\"}")
            == Some(1.0)
    });
    let retried =
        relais.metric("relais_deliveries_total{channel=\"post\",destination=\"later\",outcome=\"retried\"}");
    assert_eq!(retried, Some(2.0));
    assert!(!relais.log().contains("never-42"), "the log holds content");

    project.write("password", "wrong\n");
    let checked = project.relais(&["check", "--connect"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && said.contains("refused the login: 535"), "{said}");
}

#[test]
fn channels_that_go_down_at_once_are_one_letter_and_one_when_it_is_over() {
    const CHANNELS: usize = 30;
    let project = Project::new();
    let (mut server, _) = mail(&project, false);
    let programs = Receiver::start(Behaviour::Status(200));
    let to = free_port();
    let ports: Vec<u16> = (0..CHANNELS).map(|n| channel(&project, &format!("lab-{n}"), to)).collect();
    let letter = format!(
        "smtp: {{ server: \"127.0.0.1:{}\", encryption: none, from: relais@example.org, to: [\"night@example.org\"] }}",
        server.port
    );
    project.channel("alarms", "name: alarms\nsource: { channel: {} }\nformat: json\ndestinations:\n  - name: kept\n    to:\n      file: { dir: alarms }\n");
    let rule = |more: &str| {
        format!(
            "when: {{ destination_down: {{ for: 10s }} }}\nchannels: [\"lab-*\"]\ntell:\n  - {letter}\n  - http: {{ url: \"http://127.0.0.1:{}/\" }}\n  \
             - channel: {{ name: alarms }}\n{more}",
            programs.port
        )
    };
    project.write("alerts/night.yaml", rule("subjects: x\n"));
    let wrong = project.relais(&["check"]);
    let wrong = String::from_utf8_lossy(&wrong.stdout).into_owned();
    assert!(wrong.contains("alerts/night.yaml:7:1") && wrong.contains("subjects"), "{wrong}");
    project.write("alerts/night.yaml", rule(""));
    let relais = project.start();
    for (n, port) in ports.iter().enumerate() {
        Sender::connect(*port).unwrap().send(&message(&format!("D{n}"), "42")).unwrap();
    }
    let down = server.next_read();
    assert!(
        down["subject"].as_str().unwrap().ends_with(&format!("critical: {CHANNELS} × destination down")),
        "{down}"
    );
    assert_eq!(down["to"], json!(["night@example.org"]));
    assert!(down["text"].as_str().unwrap().contains("… and 10 more"), "{down}");
    assert!(!down["text"].as_str().unwrap().contains("EXAMPLE"), "a letter holds content");
    let _receiver = Receiver::listen(to, Behaviour::Code("AA"));
    let over = server.next_read();
    assert!(over["subject"].as_str().unwrap().ends_with("all of it is over"), "{over}");
    assert!(
        comes_true(Duration::from_mins(3), || programs.count() == 2 && project.files("alarms").len() == 2)
    );
    let told: Value = serde_json::from_slice(&programs.received()[0]).unwrap();
    assert_eq!((&told["rule"], &told["numbers"]["opened"]), (&json!("night"), &json!(CHANNELS)));
    assert!(relais.log().matches("needs a person").count() >= CHANNELS);
}

#[test]
fn a_silence_that_a_rule_does_not_allow_is_found_and_an_edited_rule_comes_into_force() {
    let project = Project::new();
    let receiver = Receiver::start(Behaviour::Code("AA"));
    let port = channel(&project, "lab", receiver.port);
    project.write("alerts/lab.yaml", "when: { silent: { for: 1h } }\ntell: []\n");
    let relais = project.start();
    let mut sender = Sender::connect(port).unwrap();
    sender.send(&message("E1", "42")).unwrap();
    wait_until("it is delivered", || receiver.count() == 1);
    assert!(of_cause(&relais, "silent").is_none());
    project.write("alerts/lab.yaml", "when: { silent: { for: 2s } }\ntell: []\n");
    wait_until("the silence is found", || of_cause(&relais, "silent").is_some());
    let silent = of_cause(&relais, "silent").unwrap();
    assert!(silent["words"].as_str().unwrap().starts_with("lab: silent "), "{silent}");
    assert_eq!((&silent["channel"], &silent["severity"]), (&json!("lab"), &json!("warning")));
    wait_until("a message ends it", || {
        sender.send(&message("E2", "42")).unwrap();
        of_cause(&relais, "silent").is_some_and(|one| one["state"] == "closed")
    });
    let (status, rhythm) = relais.get("/api/v1/channels/lab/rhythm").unwrap();
    assert_eq!(status, 200, "{rhythm}");
    let rhythm: Value = serde_json::from_str(&rhythm).unwrap();
    assert_eq!(rhythm["week"].as_array().unwrap().len(), 168);
    assert!(rhythm["now"]["limit"].is_null(), "a rhythm of seconds is none");

    project.write("alerts/lab.yaml", "when: { silence: {} }\ntell: []\n");
    wait_until("the fault is shown", || of_cause(&relais, "edit_not_in_force").is_some());
}
