//! A running server: what it takes, shows, keeps and says.

use crate::project::{MESSAGE, Project, Running, free_port, lab, said};

fn send(project: &Project, port: u16) -> String {
    project.does(&["send", &format!("127.0.0.1:{port}"), "message.hl7"])
}

fn key(project: &Project) -> String {
    project.read("data/key").trim().to_owned()
}

fn metric(running: &Running, series: &str) -> Option<f64> {
    let (status, page) = running.get("/metrics", None);
    assert_eq!(status, 200);
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn a_message_that_is_answered_aa_stands_in_its_folder_and_is_found() {
    let port = free_port();
    let project = Project::lab(port);
    let running = project.run();
    assert!(running.opening.contains(&format!("127.0.0.1:{port}")), "{}", running.opening);
    let words = send(&project, port);
    assert!(words.contains("AA"), "{words}");
    assert_eq!(project.read("out/M1.hl7"), MESSAGE);

    let found = project.json(&["find", "M1"]);
    assert_eq!(found[0]["control_id"], "M1");
    assert_eq!(found[0]["deliveries"][0]["state"], "sent");
    let id = found[0]["id"].to_string();
    assert!(project.does(&["find", "123"]).contains("M1"), "not found by its patient");
    let shown = project.does(&["show", &id]);
    assert!(shown.contains("PID|1||123^^^HOP||DUPONT^JEAN"), "{shown}");
    assert_eq!(project.does(&["show", &id, "--raw"]), MESSAGE);
    assert_eq!(project.relais(&["find", "NOBODY"]).status.code(), Some(1));
    assert_eq!(project.relais(&["show", "999999"]).status.code(), Some(1));
}

#[test]
fn a_filtered_message_is_answered_aa_and_counted_as_filtered() {
    let port = free_port();
    let project = Project::lab(port);
    project.write("message.hl7", &MESSAGE.replace("ORU^R01^ORU_R01", "ADT^A01^ADT_A01"));
    let running = project.run();
    let series = "relais_messages_total{channel=\"lab\",outcome=\"filtered\"}";
    assert_eq!(metric(&running, series), Some(0.0));
    assert_eq!(metric(&running, "relais_queue_depth{channel=\"lab\",destination=\"drop\"}"), Some(0.0));
    assert_eq!(metric(&running, "relais_channel_up{channel=\"lab\"}"), Some(1.0));
    send(&project, port);
    assert_eq!(metric(&running, series), Some(1.0));
    assert_eq!(metric(&running, "relais_received_total{channel=\"lab\"}"), Some(1.0));
    assert!(metric(&running, "relais_store_bytes").unwrap() > 0.0);
}

#[test]
fn the_api_needs_the_key_and_the_probes_do_not() {
    let project = Project::lab(free_port());
    let running = project.run();
    for open in ["/", "/metrics", "/health/live", "/health/ready"] {
        assert_eq!(running.get(open, None).0, 200, "{open}");
    }
    for path in ["/api/v1/channels", "/api/v1/messages", "/api/v1/events", "/api/v1/nothing", "/api/x"] {
        assert_eq!(running.get(path, None).0, 401, "{path}");
        assert_eq!(running.get(path, Some("wrong")).0, 401, "{path}");
    }
    let key = key(&project);
    let (status, channels) = running.get("/api/v1/channels", Some(&key));
    assert_eq!(status, 200);
    assert!(channels.contains("\"lab\""), "{channels}");
    assert_eq!(running.get("/api/v1/messages?state=lost", Some(&key)).0, 400);
    assert_eq!(running.get("/api/v1/channels/none", Some(&key)).0, 404);
}

#[test]
fn a_request_for_another_host_is_refused_on_loopback() {
    let project = Project::lab(free_port());
    let running = project.run();
    let request = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let (status, head, _) = running.http(request);
    assert_eq!(status, 421);
    assert!(head.contains("application/problem+json"), "{head}");
}

#[test]
fn a_destination_on_hold_keeps_its_messages_until_it_is_released() {
    let port = free_port();
    let project = Project::lab(port);
    let running = project.run();
    assert!(project.does(&["hold", "lab/drop"]).contains("held"));
    send(&project, port);
    assert_eq!(metric(&running, "relais_queue_depth{channel=\"lab\",destination=\"drop\"}"), Some(1.0));
    assert!(project.does(&["status"]).contains("held"));
    assert!(project.does(&["park", "lab/drop"]).contains("held"));
    project.does(&["release", "lab/drop"]);
    let found = project.json(&["find", "--state", "set_aside"]);
    let id = found[0]["id"].to_string();
    assert!(project.does(&["drop", &id]).contains("done"));
    assert_eq!(project.json(&["find", "M1"])[0]["deliveries"][0]["state"], "dropped");
}

#[test]
fn a_stopped_channel_stays_stopped_over_a_restart() {
    let project = Project::lab(free_port());
    let running = project.run();
    assert!(project.does(&["stop", "lab"]).contains("stopped"));
    assert_eq!(metric(&running, "relais_channel_up{channel=\"lab\"}"), Some(0.0));
    assert_eq!(running.stop().0, Some(0));
    let running = project.run();
    assert!(running.opening.contains("stopped"), "{}", running.opening);
    assert!(project.does(&["start", "lab"]).contains("running"));
}

#[test]
fn a_term_signal_ends_it_cleanly_and_its_address_goes() {
    let project = Project::lab(free_port());
    let running = project.run();
    let (code, rest) = running.stop();
    assert_eq!(code, Some(0));
    assert!(rest.contains("stopped"), "{rest}");
    assert!(!project.path().join("data/address").exists());
}

#[test]
fn a_second_server_on_one_store_is_told_who_holds_it() {
    let project = Project::lab(free_port());
    let running = project.run();
    let second = project.relais(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains(&running.child.id().to_string()), "{}", said(&second));
}

#[test]
fn a_broken_channel_stands_as_broken_beside_sound_ones() {
    let project = Project::lab(free_port());
    project.write("channels/other.yaml", "name: other\nsorce: 1\ndestinations: []\n");
    let running = project.run();
    assert!(running.opening.contains("broken"), "{}", running.opening);
    assert_eq!(metric(&running, "relais_channel_up{channel=\"other\"}"), Some(0.0));
    assert_eq!(metric(&running, "relais_channel_up{channel=\"lab\"}"), Some(1.0));
    let output = project.relais(&["start", "other"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("broken"));
}

#[test]
fn nothing_runs_where_relais_yaml_is_wrong_or_no_channel_is_sound() {
    let project = Project::lab(free_port());
    project.write("relais.yaml", "listne: 127.0.0.1:0\n");
    assert_eq!(project.relais(&["run"]).status.code(), Some(1));
    let project = Project::new();
    project.write("channels/other.yaml", "name: other\nsorce: 1\ndestinations: []\n");
    let output = project.relais(&["run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

/// The system may give the same one twice.
fn two_ports() -> (u16, u16) {
    let first = free_port();
    let second = std::iter::repeat_with(free_port).find(|port| *port != first);
    (first, second.expect("there are many ports"))
}

#[test]
fn deploy_brings_an_edit_into_force_and_refuses_one_with_faults() {
    let (before, after) = two_ports();
    let project = Project::lab(before);
    let _running = project.run();
    project.write("channels/lab.yaml", &lab(after));
    let said_of_it = project.does(&["deploy"]);
    assert!(said_of_it.contains("lab changed"), "{said_of_it}");
    send(&project, after);
    project.write("channels/lab.yaml", "name: lab\nsorce: 1\ndestinations: []\n");
    let output = project.relais(&["deploy"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("channels/lab.yaml:2"), "{}", said(&output));
    send(&project, after);
    assert!(project.does(&["status"]).contains("not in force"));
}

#[test]
fn a_changed_file_comes_into_force_by_itself() {
    let (before, after) = two_ports();
    let project = Project::lab(before);
    project.write("relais.yaml", "listen: 127.0.0.1:0\nreload: on_change\n");
    let mut running = project.run();
    project.write("channels/lab.yaml", &lab(after));
    running.await_log("runs as its file says now");
    send(&project, after);
    project.write("channels/more.yaml", &lab(free_port()).replace("name: lab", "name: more"));
    running.await_log("more started");
    project.write("channels/more.yaml", "name: more\n");
    running.await_log("not in force");
}

#[test]
fn a_hang_up_signal_brings_an_edit_into_force() {
    let (before, after) = two_ports();
    let project = Project::lab(before);
    let mut running = project.run();
    project.write("channels/lab.yaml", &lab(after));
    running.signal("HUP");
    running.await_log("runs as its file says now");
    send(&project, after);
}

#[test]
fn many_messages_are_measured_and_one_negative_answer_is_an_exit_code() {
    let port = free_port();
    let project = Project::lab(port);
    let _running = project.run();
    let address = format!("127.0.0.1:{port}");
    let words = project.does(&["send", &address, "message.hl7", "--count", "40", "--connections", "4"]);
    assert!(words.contains("40 answers") && words.contains("AA 40"), "{words}");
    assert_eq!(std::fs::read_dir(project.path().join("out")).unwrap().count(), 40);
    project.write("bad.hl7", "MSH|^~\\&|LAB|HOSP\r");
    let output = project.relais(&["send", &address, "bad.hl7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("AR"), "{}", said(&output));
}

#[test]
fn events_tell_of_a_message_as_it_ends() {
    use std::io::{BufRead, BufReader, Write};
    let port = free_port();
    let project = Project::lab(port);
    let running = project.run();
    let mut stream = std::net::TcpStream::connect(&running.address).unwrap();
    let key = key(&project);
    let host = &running.address;
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    // The counts come first: from then on it listens.
    assert!(lines.any(|line| line.contains("\"channel\":\"lab\"")));
    send(&project, port);
    assert!(lines.any(|line| line.contains("\"outcome\":\"accepted\"")));
    // A stream that is open does not hold the end.
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_a_peer_refused_is_given_up_and_goes_again_when_a_person_says_so() {
    let (port, away) = (free_port(), free_port());
    let project = Project::lab(port);
    let to_peer = format!("mllp: {{ connect: \"127.0.0.1:{away}\" }}");
    let channel = lab(port).replace("name: drop", "name: peer");
    let file = channel.lines().find(|line| line.contains("file:")).unwrap().trim().to_owned();
    project.write("channels/lab.yaml", &channel.replace(&file, &to_peer));
    let refusing = project.listen(away, &["--answer", "AE"]);
    let _running = project.run();
    let output = project.relais(&["send", &format!("127.0.0.1:{port}"), "message.hl7"]);
    assert!(said(&output).contains("AE"), "{}", said(&output));
    drop(refusing);

    let planned = project.relais(&["resend", "--state", "given_up", "--to", "peer", "--since", "1h"]);
    assert_eq!(planned.status.code(), Some(0), "one alone needs no plan: {}", said(&planned));
    let mut taking = project.listen(away, &["--save", "saved"]);
    project.relais(&["resend", &project.json(&["find", "M1"])[0]["id"].to_string()]);
    assert!(taking.line().contains("M1"));
    assert_eq!(project.read("saved/000001.hl7"), MESSAGE);
}

#[test]
fn many_at_once_are_a_plan_until_a_program_says_yes() {
    let port = free_port();
    let project = Project::lab(port);
    let _running = project.run();
    project.does(&["hold", "lab/drop"]);
    project.does(&["send", &format!("127.0.0.1:{port}"), "message.hl7", "--count", "3"]);
    let planned = project.relais(&["drop", "--state", "waiting", "--to", "drop"]);
    assert_eq!(planned.status.code(), Some(2), "{}", said(&planned));
    assert!(said(&planned).contains("drop for drop"), "{}", said(&planned));
    assert_eq!(project.json(&["find", "--state", "waiting"]).as_array().unwrap().len(), 3);
    assert!(project.does(&["drop", "--state", "waiting", "--to", "drop", "--yes"]).contains('3'));
    assert!(project.json(&["find", "--state", "waiting"]).as_array().unwrap().is_empty());
}

#[test]
fn a_failed_message_runs_again_once_its_channel_is_mended() {
    let port = free_port();
    let project = Project::lab(port);
    project.write(
        "channels/lab.yaml",
        &lab(port).replace("destinations:", "  - script: throw \"no\"\ndestinations:"),
    );
    let _running = project.run();
    let output = project.relais(&["send", &format!("127.0.0.1:{port}"), "message.hl7"]);
    assert!(said(&output).contains("AE"), "{}", said(&output));
    let id = project.json(&["find", "--state", "failed"])[0]["id"].to_string();
    assert_eq!(project.relais(&["resend", &id]).status.code(), Some(1), "its channel still breaks");
    // Another message stands for the first now.
    let id = project.json(&["find", "--state", "failed"])[0]["id"].to_string();
    project.write("channels/lab.yaml", &lab(port));
    project.does(&["deploy"]);
    project.does(&["resend", &id]);
    assert_eq!(project.read("out/M1.hl7"), MESSAGE);
}

#[test]
fn a_server_elsewhere_is_reached_with_its_key() {
    let project = Project::lab(free_port());
    let running = project.run();
    let server = format!("http://{}", running.address);
    let elsewhere = Project::new();
    assert_eq!(elsewhere.relais(&["status", "--server", &server]).status.code(), Some(2), "no key was given");
    assert_eq!(elsewhere.relais(&["status", "--server", &server, "--token", "x"]).status.code(), Some(1));
    let key = key(&project);
    assert!(elsewhere.does(&["status", "--server", &server, "--token", &key]).contains("lab"));
}

#[test]
fn what_changed_while_no_server_ran_is_said_by_a_check_and_at_the_start() {
    let port = free_port();
    let project = Project::lab(port);
    drop(project.run());
    project.write("channels/lab.yaml", &lab(port).replace("reply: delivered", "reply: stored"));
    let words = project.does(&["check"]);
    assert!(words.contains("against what ran last, the change loses"), "{words}");
    assert!(words.contains("channels/lab.yaml:4: the sender hears yes before the steps"), "{words}");
    let mut running = project.run();
    assert!(running.await_log("the sender hears yes before the steps").contains("channels/lab.yaml:4"));
    let words = project.does(&["check"]);
    assert!(!words.contains("loses"), "{words}");
}

#[test]
fn settings_that_wait_for_a_restart_are_named() {
    let project = Project::lab(free_port());
    let _running = project.run();
    project.write("relais.yaml", "listen: 127.0.0.1:0\nreload: on_command\nlog: { level: debug }\n");
    let words = project.does(&["deploy"]);
    assert!(words.contains("`log` takes effect when the server is restarted"), "{words}");
}

#[test]
fn every_answer_of_a_batch_is_shown_and_none_twice() {
    let port = free_port();
    let project = Project::lab(port);
    let steps = "steps:\n  - require: [PID-3.1]\n";
    project.write("channels/lab.yaml", &lab(port).replace("steps:\n", steps));
    let without = MESSAGE.replace("123^^^HOP", "").replace("|M1|", "|M2|");
    project.write("batch.hl7", &format!("FHS|^~\\&\rBHS|^~\\&\r{MESSAGE}{without}BTS|2\rFTS|1\r"));
    let _running = project.run();
    let output = project.relais(&["send", &format!("127.0.0.1:{port}"), "batch.hl7"]);
    let words = said(&output);
    assert!(words.contains("1 of 2 accepted"), "{words}");
    assert!(words.contains("1  AA  M1\n"), "{words}");
    assert!(words.contains("2  AE  M2  PID-3.1 is missing\n"), "{words}");
}

#[test]
fn a_broken_channel_names_the_command_that_says_more() {
    let project = Project::lab(free_port());
    project.write(
        "channels/other.yaml",
        &lab(free_port()).replace("name: lab", "name: other").replace("reply:", "replyy:"),
    );
    let _running = project.run();
    let words = project.does(&["status"]);
    assert!(words.contains("unknown field `replyy`; see `relais check`"), "{words}");
}

#[test]
fn listen_speaks_tls_and_tells_of_a_peer_that_does_not() {
    let project = Project::lab(free_port());
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    project.write("peer.pem", &issued.cert.pem());
    project.write("peer.key", &issued.signing_key.serialize_pem());
    let port = free_port();
    let secured = ["--tls", "--certificate", "peer.pem", "--key", "peer.key"];
    let mut peer = project.listen(port, &secured);
    let address = format!("localhost:{port}");
    let words = project.does(&["send", &address, "message.hl7", "--tls", "--ca", "peer.pem"]);
    assert!(words.contains("AA  M1"), "{words}");
    assert!(peer.line().contains("M1"));
    let plain = project.relais(&["send", &address, "message.hl7", "--timeout", "5"]);
    assert_eq!(plain.status.code(), Some(1), "{}", said(&plain));
    let line = peer.line();
    assert!(line.contains("TLS"), "{line}");
}
