//! Starts the child, hears what it says, and looks whether it is so.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStdout, Command, Stdio},
};

use engine::{DeliveryState, History, MessageId, MessageState};
use store::Sqlite;

use super::child::{FOLDER, MODE};

pub(crate) struct Child {
    process: std::process::Child,
    output: BufReader<ChildStdout>,
}

/// What children said was acknowledged to them.
#[derive(Default)]
pub(crate) struct Spoken {
    pub(crate) kept: Vec<u64>,
    pub(crate) queued: Vec<u64>,
    pub(crate) begun: Vec<u64>,
    pub(crate) settled: Vec<u64>,
    pub(crate) failed: Vec<u64>,
    pub(crate) words: Vec<String>,
}

impl Child {
    pub(crate) fn start(folder: &Path, mode: &str) -> Self {
        Self::spawn(Command::new(std::env::current_exe().unwrap()), folder, mode)
    }

    pub(crate) fn spawn(mut command: Command, folder: &Path, mode: &str) -> Self {
        let mut process = command
            .args(["--exact", "child_of_the_tests_here", "--nocapture"])
            .env(FOLDER, folder)
            .env(MODE, mode)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()));
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Self { process, output }
    }

    /// Hears that it runs: next it opens the store.
    pub(crate) fn begins(&mut self) {
        let mut line = String::new();
        while !line.contains("running 1 test") {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it never began");
        }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Spoken {
    /// Hears so many lines, or all to the end.
    pub(crate) fn hear(&mut self, child: &mut Child, lines: usize) {
        let mut heard = 0;
        let mut line = String::new();
        while heard < lines && child.output.read_line(&mut line).unwrap() > 0 {
            // A line that was cut by the kill says nothing.
            if let Some((word, rest)) = line.trim_end_matches('\n').split_once(' ')
                && line.ends_with('\n')
                && self.note(word, rest)
            {
                heard += 1;
            }
            line.clear();
        }
    }

    fn note(&mut self, word: &str, rest: &str) -> bool {
        let list = match word {
            "kept" => &mut self.kept,
            "queued" => &mut self.queued,
            "begun" => &mut self.begun,
            "settled" => &mut self.settled,
            "failed" => &mut self.failed,
            "words" => {
                self.words.push(rest.to_owned());
                return true;
            }
            _ => return false,
        };
        list.push(rest.parse().unwrap());
        true
    }
}

/// Runs the child with a system call that fails; `failures`: `one` did certainly not take effect, of `some`
/// nobody can tell.
pub(crate) fn under_strace(mode: &str, inject: &str, failures: &str) -> Spoken {
    let folder = tempfile::tempdir().unwrap();
    let calls = inject.split(':').next().unwrap();
    let found = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    assert!(
        found.is_ok(),
        "this test makes system calls fail with strace: install it (apt-get install strace)"
    );
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={inject}")]).arg(std::env::current_exe().unwrap());
    let mut child = Child::spawn(strace, folder.path(), mode);
    let mut spoken = Spoken::default();
    spoken.hear(&mut child, usize::MAX);
    let ended = child.process.wait().unwrap();
    assert!(ended.success(), "the child failed: {:?}", spoken.words);
    check(folder.path(), &spoken);
    if failures == "one" {
        let store = Sqlite::open(folder.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for id in &spoken.failed {
            let shown = runtime.block_on(store.show(MessageId(*id))).unwrap();
            assert!(shown.is_none(), "message {id} was refused and is kept all the same");
        }
    }
    spoken
}

/// Opens the store that the child left, and looks for all that it said.
pub(crate) fn check(folder: &Path, spoken: &Spoken) {
    let store = Sqlite::open(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let show = |id: &u64| {
        let shown = runtime.block_on(store.show(MessageId(*id))).unwrap();
        shown.unwrap_or_else(|| panic!("message {id} was acknowledged and is gone"))
    };
    for id in &spoken.kept {
        assert_eq!(show(id).body.map(|body| body.len()), Some(3000), "message {id}");
    }
    for id in &spoken.queued {
        assert_eq!(show(id).row.state, MessageState::Queued, "message {id}");
    }
    for id in &spoken.begun {
        let state = show(id).row.deliveries[0].state;
        assert!(matches!(state, DeliveryState::Unsure | DeliveryState::Sent), "message {id}: {state:?}");
    }
    for id in &spoken.settled {
        assert_eq!(show(id).row.deliveries[0].state, DeliveryState::Sent, "message {id}");
    }
}
