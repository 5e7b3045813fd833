//! Programs that are not ours, which send and receive: scripts of `tests/peers` on what `tests/run` installs.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::installed;

const PYTHON: &str = "python/bin/python";
const PACKAGES: &str = "node/node_modules";

/// A script of `tests/peers` in Python.
pub fn python(name: &str) -> Command {
    let mut command = Command::new(installed(PYTHON));
    command.arg(script(name));
    command
}

/// A script of `tests/peers` for Node.
pub fn node(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script(name)).arg(installed(PACKAGES));
    command
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers")).join(name)
}

/// A peer that receives; ended with the test.
pub struct Receiving {
    child: Child,
    words: BufReader<ChildStdout>,
    pub port: u16,
}

impl Receiving {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a peer can be started");
        let mut words = BufReader::new(child.stdout.take().expect("what a peer says is read"));
        let mut port = String::new();
        words.read_line(&mut port).expect("a peer says its port");
        let port = port.trim().parse().unwrap_or_else(|_| panic!("a peer says `{port}` instead of its port"));
        Self { child, words, port }
    }

    /// What it read of the next message.
    pub fn next_read(&mut self) -> Value {
        let mut line = String::new();
        self.words.read_line(&mut line).expect("a peer says what it received");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("a peer says `{line}`"))
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
