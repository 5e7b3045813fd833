//! To whom a channel is connected: also where the connection is one of files or of mail.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
};

use serde_json::{Value, json};
use tests::{Asker, Project, Relais, Sshd, free_port, wait_until};

fn open(relais: &Relais, channel: &str) -> Vec<Value> {
    let said = relais.owner().get(&format!("/api/v1/channels/{channel}/connections"));
    assert_eq!(said.status, 200, "{said:?}");
    said.json()["connections"].as_array().unwrap().clone()
}

/// Those that are no sender's.
fn to(relais: &Relais, channel: &str, destination: &str) -> Vec<Value> {
    open(relais, channel).into_iter().filter(|one| one["destination"] == destination).collect()
}

#[test]
fn a_connection_to_a_server_of_files_is_shown_to_each_channel_that_shares_it_until_it_is_cut() {
    let (mut sshd, project) = (Sshd::start(), Project::new());
    let server = sshd.settings(json!({ "timeout": "5s" })).to_string();
    let server = server.trim_start_matches('{').trim_end_matches('}').to_owned();
    let listen = free_port();
    project.channel(
        "takes",
        &format!(
            "name: takes\nformat: text\nsource:\n  sftp: {{ {server}, dir: in, complete: renamed, every: 200ms, done: ../done }}\n\
             destinations:\n  - name: out\n    to:\n      file: {{ dir: out, name: '${{source.name}}' }}\n"
        ),
    );
    project.channel(
        "puts",
        &format!(
            "name: puts\nformat: text\nsource:\n  http: {{ listen: '127.0.0.1:{listen}' }}\ndestinations:\n  - name: partner\n    to:\n      \
             sftp: {{ {server}, dir: out }}\n    retry: {{ first: 1h, longest: 1h }}\n"
        ),
    );
    let relais = project.start();
    wait_until("the source is connected", || open(&relais, "takes").len() == 1);
    assert_eq!(Asker::nobody(listen).post("/", &json!({ "who": "nobody" })).status, 200);
    wait_until("both are shown the one connection", || to(&relais, "puts", "partner").len() == 1);
    let (here, there) = (open(&relais, "takes").remove(0), to(&relais, "puts", "partner").remove(0));
    assert_eq!((&here["peer"], &here["since"]), (&there["peer"], &there["since"]));
    assert!(here["destination"].is_null(), "it takes from there: {here}");
    assert_eq!(here["peer"], sshd.address().to_string());
    assert!(here["last_in"].is_string() && here["last_out"].is_string(), "{here}");
    sshd.cut();
    wait_until("neither is shown what was cut", || {
        open(&relais, "takes").is_empty() && to(&relais, "puts", "partner").is_empty()
    });
}

/// Speaks SMTP with one client up to the end of its letter, and says so only when it is told to.
fn mail_server(listener: &TcpListener, reached: &mpsc::Sender<SocketAddr>, go_on: &mpsc::Receiver<()>) {
    let (stream, peer) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let say = |words: &str| (&stream as &TcpStream).write_all(format!("{words}\r\n").as_bytes()).unwrap();
    say("220 mail");
    let mut is_letter = false;
    while let Some(Ok(line)) = lines.next() {
        match (line.split(' ').next().unwrap_or_default(), is_letter) {
            (".", true) => {
                is_letter = false;
                reached.send(peer).unwrap();
                go_on.recv().unwrap();
                say("250 taken");
            }
            (_, true) => {}
            ("DATA", false) => {
                is_letter = true;
                say("354 go on");
            }
            ("QUIT", false) => {
                say("221 bye");
                return;
            }
            _ => say("250 yes"),
        }
    }
}

#[test]
fn a_connection_to_a_mail_server_is_shown_while_it_is_open() {
    let project = Project::new();
    let (listen, listener) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    project.channel(
        "letters",
        &format!(
            "name: letters\nformat: text\nsource:\n  http: {{ listen: '127.0.0.1:{listen}' }}\ndestinations:\n  - name: letter\n    to:\n      smtp: {{ \
             server: '{address}', encryption: none, from: relais@example.org, to: [lab@example.org] }}\n"
        ),
    );
    let relais = project.start();
    let (tell, reached) = mpsc::channel();
    let (let_go, go_on) = mpsc::channel();
    let serving = std::thread::spawn(move || mail_server(&listener, &tell, &go_on));
    assert_eq!(Asker::nobody(listen).post("/", &json!({ "who": "nobody" })).status, 200);
    let ours = reached.recv().unwrap();
    let shown = to(&relais, "letters", "letter");
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0]["peer"], address.to_string(), "not our own end, {ours}");
    assert!(shown[0]["last_in"].is_string() && shown[0]["last_out"].is_string(), "{shown:?}");
    let_go.send(()).unwrap();
    wait_until("it is shown no more", || to(&relais, "letters", "letter").is_empty());
    serving.join().unwrap();
}
