//! Talks with two implementations of HL7 over MLLP that are not ours, both ways: Python's `hl7` and npm's `@medplum/hl7`.

use std::process::Command;

use serde_json::Value;
use tests::{
    Project, Receiving, Relais, Sender, free_port, installed, message, mshfield, node, python, wait_until,
};

/// A small result in this charset, of a patient whose name needs one.
fn result(id: &str, family: &str, charset: &str) -> String {
    let text = String::from_utf8(message(id, "42")).expect("the harness writes UTF-8");
    text.replace("|P|2.5\r", &format!("|P|2.5||||||{charset}\r")).replace("EXAMPLE", family)
}

/// A server that takes messages and files them.
fn taking(project: &Project) -> (Relais, u16) {
    let port = free_port();
    project.channel(
        "taking",
        &format!(
            "name: taking\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\ndestinations:\n  - name: archive\n\
             \x20   to:\n      file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
        ),
    );
    (project.start(), port)
}

/// Has a peer send in this encoding and holds the answers it read, and what was filed, to what it sent.
fn hears_from(mut peer: Command, encoding: &str, encode: fn(&str) -> Vec<u8>, charset: &str) {
    let project = Project::new();
    let (_relais, port) = taking(&project);
    let messages: Vec<String> = (1..=5).map(|n| result(&format!("P{n}"), "ÉTÉ", charset)).collect();
    let listed = serde_json::to_string(&messages).expect("texts are JSON");
    project.write("messages.json", listed);

    let output = peer
        .arg(port.to_string())
        .arg(project.path("messages.json"))
        .arg(encoding)
        .output()
        .expect("a peer can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the peer failed: {}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a peer prints JSON")).collect();
    assert_eq!(answers.len(), messages.len(), "{said}");
    for (answer, n) in answers.iter().zip(1..) {
        assert_eq!(answer["code"], "AA");
        assert_eq!(answer["id"], format!("P{n}"));
        assert_eq!(answer["kind"], "ACK^R01^ACK");
        assert_eq!(answer["charset"], charset);
    }
    wait_until("all are filed", || project.files("out").len() == messages.len());
    for (path, message) in project.files("out").iter().zip(&messages) {
        let filed = std::fs::read(path).expect("a file can be read");
        assert_eq!(filed.trim_ascii_end(), encode(message).trim_ascii_end());
    }
}

/// Has us deliver to a peer, and holds what it read, and what we made of its answers, to what we sent.
fn delivers_to(mut peer: Receiving) {
    let project = Project::new();
    let listen = free_port();
    project.channel(
        "giving",
        &format!(
            "name: giving\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: delivered\ndestinations:\n\
             \x20 - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{}\" }}\n",
            peer.port
        ),
    );
    let relais = project.start();
    let mut sender = Sender::connect(listen).expect("the channel listens");
    for (id, family, code) in [("D1", "ÉTÉ", "AA"), ("D2", "REFUSE", "AE"), ("D3", "O\\T\\NEIL", "AA")] {
        let answer = sender.send(result(id, family, "UNICODE UTF-8").as_bytes()).expect("each is answered");
        assert_eq!((mshfield(&answer, "MSA", 1).as_str(), mshfield(&answer, "MSA", 2).as_str()), (code, id));
        let read = peer.next_read();
        assert_eq!(read["id"], id);
        assert_eq!(read["value"], "4.1");
        assert_eq!(read["family"], family);
    }
    let count = |outcome: &str| {
        let series = "relais_deliveries_total{channel=\"giving\",destination=\"record\",outcome=";
        relais.metric(&format!("{series}\"{outcome}\"}}"))
    };
    wait_until("both answers are counted", || count("sent") == Some(2.0) && count("given_up") == Some(1.0));
    assert_eq!(count("retried"), Some(0.0));
}

fn utf8(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).expect("a letter of Latin-1")).collect()
}

#[test]
fn python_sends_and_reads_our_answers() {
    hears_from(python("send.py"), "utf-8", utf8, "UNICODE UTF-8");
}

#[test]
fn python_sends_in_latin_1_and_its_bytes_are_kept() {
    hears_from(python("send.py"), "latin-1", latin1, "8859/1");
}

#[test]
fn node_sends_and_reads_our_answers() {
    hears_from(node("send.mjs"), "utf-8", utf8, "UNICODE UTF-8");
}

#[test]
fn node_sends_in_latin_1_and_its_bytes_are_kept() {
    hears_from(node("send.mjs"), "iso-8859-1", latin1, "8859/1");
}

#[test]
fn python_receives_what_we_deliver_and_we_read_its_answers() {
    delivers_to(Receiving::start(python("receive.py")));
}

#[test]
fn node_receives_what_we_deliver_and_we_read_its_answers() {
    delivers_to(Receiving::start(node("receive.mjs")));
}

#[test]
fn the_command_of_python_hl7_sends_a_file_of_messages() {
    let project = Project::new();
    let (_relais, port) = taking(&project);
    let framed: Vec<u8> = (1..=20).flat_map(|n| tests::frame(&message(&format!("F{n}"), "7"))).collect();
    project.write("messages.mllp", framed);
    let output = Command::new(installed("python/bin/mllp_send"))
        .args(["--file", "messages.mllp", "--port", &port.to_string(), "127.0.0.1"])
        .current_dir(project.root())
        .output()
        .expect("mllp_send can be run");
    assert!(output.status.success(), "mllp_send failed: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let told: Vec<&str> = said.split('\r').filter(|line| line.starts_with("MSA")).collect();
    let expected: Vec<String> = (1..=20).map(|n| format!("MSA|AA|F{n}")).collect();
    assert_eq!(told, expected);
    wait_until("all are filed", || project.files("out").len() == 20);
}
