//! A project in a temporary folder and the real binary that runs it.

#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const MESSAGE: &str = "MSH|^~\\&|LAB|HOSP|RELAIS|HERE|20260301080000||ORU^R01^ORU_R01|M1|P|2.5\r\
    PID|1||123^^^HOP||DUPONT^JEAN\rOBR|1|P1|F1|K\rOBX|1|NM|K||5.1\r";

/// A project's folder; its `relais.yaml` listens on a port of the system's choice.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.write("relais.yaml", "listen: 127.0.0.1:0\nreload: on_command\n");
        project
    }

    /// A project with one channel, `lab`, that takes ORU on `port` and drops them in `out/`.
    pub(crate) fn lab(port: u16) -> Self {
        let project = Self::new();
        project.write("channels/lab.yaml", &lab(port));
        project.write("message.hl7", MESSAGE);
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Runs a command about this project.
    pub(crate) fn relais(&self, words: &[&str]) -> Output {
        command().current_dir(self.path()).args(words).output().unwrap()
    }

    /// Runs a command that must do what it was asked, and returns what it said.
    pub(crate) fn does(&self, words: &[&str]) -> String {
        let output = self.relais(words);
        assert!(output.status.success(), "relais {}: {}", words.join(" "), said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&self.does(&words)).unwrap()
    }

    /// Starts a peer that receives, and waits until it listens.
    pub(crate) fn listen(&self, port: u16, words: &[&str]) -> Peer {
        let mut child = command()
            .current_dir(self.path())
            .args(["listen", &format!("127.0.0.1:{port}")])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut peer = Peer { stdout: BufReader::new(child.stdout.take().unwrap()), child };
        assert!(peer.line().starts_with("listening"));
        peer
    }

    /// Starts the server and waits until it has said where it is.
    pub(crate) fn run(&self) -> Running {
        let mut child = command()
            .current_dir(self.path())
            .arg("run")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Running {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            stderr: BufReader::new(child.stderr.take().unwrap()),
            address: String::new(),
            opening: String::new(),
            child,
        };
        running.await_opening();
        running
    }
}

pub(crate) fn lab(port: u16) -> String {
    format!(
        "name: lab\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\nreply: delivered\nsteps:\n  \
         - filter: msg[\"MSH-9.1\"] == \"ORU\"\ndestinations:\n  - name: drop\n    to:\n      \
         file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
    )
}

/// A peer that receives; killed when it is dropped.
pub(crate) struct Peer {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// The next line it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running server; killed when the test ends.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    /// What it said at its start.
    pub(crate) opening: String,
}

impl Running {
    fn await_opening(&mut self) {
        loop {
            let line = self.line();
            if let Some((_, address)) = line.split_once("http://") {
                address.trim().clone_into(&mut self.address);
            }
            self.opening.push_str(&line);
            if line.starts_with("serving") {
                return;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).unwrap() == 0 {
            let mut log = String::new();
            let _ = self.stderr.read_to_string(&mut log);
            panic!("the server ended; it said:\n{}\nand logged:\n{log}", self.opening);
        }
        line
    }

    /// Reads the log until a line holds `words`.
    pub(crate) fn await_log(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "the log ended without `{words}`");
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to stop, and returns its exit code and the rest of what it said.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    /// One HTTP request, word for word; returns the status line's number, the head and the body.
    pub(crate) fn http(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    pub(crate) fn get(&self, path: &str, key: Option<&str>) -> (u16, String) {
        let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let host = &self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{key}Connection: close\r\n\r\n");
        let (status, _, body) = self.http(&request);
        (status, body)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    // The system may give one again that was given back.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    std::iter::repeat_with(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port())
        .find(|port| GIVEN.lock().unwrap().insert(*port))
        .unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_relais"))
}

fn command() -> Command {
    let mut command = Command::new(binary());
    command.env_remove("RUST_LOG").env_remove("RELAIS_TOKEN").env("NO_COLOR", "1");
    command
}
