//! A laboratory whose results go to a record and into files: what the console is shown with.

use crate::{Project, Sender, free_port, message};

/// Its channel `lab`, to a record that may be away; returns where it listens.
pub fn laboratory(project: &Project, record: u16) -> u16 {
    let port = free_port();
    project.channel(
        "lab",
        &format!(
            "name: lab\ndescription: Results from the analysers to the record\ntags: [laboratory]\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n\
             steps:\n  - filter: msg[\"MSH-9.1\"] == \"ORU\"\n  - require: [PID-3.1, OBR-4]\n  - set: {{ PID-3.4: HOSPITAL }}\n\
             destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{record}\" }}\n    retry: {{ first: 200ms, longest: 500ms }}\n  \
             - name: archive\n    to:\n      file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n\
             tests:\n  - name: a result goes to the record\n    message: messages/one.hl7\n    expect: {{ record: {{ paths: {{ PID-3.4: HOSPITAL }} }} }}\n"
        ),
    );
    project.write("messages/one.hl7", message("T1", "4711"));
    port
}

/// Sends it results of one patient, and sees each accepted.
pub fn results(port: u16, ids: impl IntoIterator<Item = String>) {
    let mut sender = Sender::connect(port).expect("it listens");
    for id in ids {
        let answer = sender.send(&message(&id, "4711")).expect("it answers");
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA"), "{id}");
    }
}
