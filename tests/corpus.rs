//! Every message of other projects is taken, answered for itself, and delivered byte for byte as it came.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use tests::{Project, Sender, corpus, free_port, mshfield, wait_until};

/// The files below a folder that hold one message each, in order.
fn messages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the corpus can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            found.extend(messages(&path));
        } else if path.extension().is_some_and(|ending| ending == "hl7") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Sends a message and holds its answer to what it asks for.
fn send(sender: &mut Sender, path: &Path, message: &[u8]) {
    let name = path.display();
    let answer = sender.send(message).unwrap_or_else(|error| panic!("{name} has no answer: {error}"));
    let code = mshfield(&answer, "MSA", 1);
    assert!(code == "AA" || code == "CA", "{name} was answered {code}: {}", mshfield(&answer, "MSA", 3));
    assert_eq!(mshfield(&answer, "MSA", 2), control_id(message), "{name} was answered for another message");
}

/// MSH-10 as it stands, whatever separates the fields and ends the lines.
fn control_id(message: &[u8]) -> String {
    let line = message.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let separator = message[3];
    let field = line.split(|byte| *byte == separator).nth(9).unwrap_or_default();
    String::from_utf8_lossy(field).into_owned()
}

#[test]
fn every_message_of_other_projects_is_answered_and_leaves_byte_for_byte_as_it_came() {
    let messages = messages(&corpus("hl7"));
    assert!(messages.len() > 100, "only {} messages in the corpus", messages.len());
    let project = Project::new();
    let port = free_port();
    project.channel(
        "corpus",
        &format!(
            "name: corpus\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n\
             destinations:\n  - name: archive\n    to:\n      file: {{ dir: out }}\n"
        ),
    );
    let _relais = project.start();

    let mut sender = Sender::connect(port).expect("the channel listens");
    let mut came: HashMap<Vec<u8>, usize> = HashMap::new();
    for path in &messages {
        let message = fs::read(path).expect("a message of the corpus can be read");
        send(&mut sender, path, &message);
        *came.entry(message).or_default() += 1;
    }

    wait_until("every message is delivered", || project.files("out").len() == messages.len());
    let mut left: HashMap<Vec<u8>, usize> = HashMap::new();
    for path in project.files("out") {
        *left.entry(fs::read(path).expect("a delivered file can be read")).or_default() += 1;
    }
    let changed = came.iter().filter(|(message, count)| left.get(*message) != Some(*count)).count();
    assert_eq!(changed, 0, "messages were not delivered as they came");
    assert_eq!(came.len(), left.len(), "something was delivered that never came");
}
