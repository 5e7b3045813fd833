//! One run of a program, from its start to the end of its whole process group.

use std::{io, pin::pin, time::Duration};

use bytes::Bytes;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    signal::{self, unix::SignalKind},
    time::{Instant, timeout, timeout_at},
};

use super::{
    meaning::End,
    output::{Kept, Whole},
};

/// How long what a program leaves behind may hold its output open.
const LINGER: Duration = Duration::from_secs(1);

/// How long the system may take to end what was killed.
const KILLED: Duration = Duration::from_secs(5);

/// How long a run may take, and then to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) run: Duration,
    pub(super) grace: Duration,
}

/// What becomes of stdout.
#[derive(Debug)]
pub(super) enum Stdout {
    Kept(Kept),
    Answer(Whole),
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) took: Duration,
    pub(super) stdout: Stdout,
    pub(super) stderr: Kept,
    /// It ended, and something that it started kept its output open.
    pub(super) left_behind: bool,
}

/// Why there is no end to tell of.
#[derive(Debug)]
pub(super) enum Lost {
    /// It did not start.
    Start(io::Error),
    /// It started, and nobody knows how it ended.
    End(io::Error),
}

/// The processes of one run. Whoever drops a run that is not over ends them.
struct Group {
    leader: Pid,
    is_over: bool,
}

impl Group {
    fn signal(&self, signal: Signal) {
        // Nobody is left to hear it, or it is not ours to end: the leader's end decides.
        let _ = kill_process_group(self.leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            self.signal(Signal::KILL);
        }
    }
}

/// Runs a program with this input.
pub(super) async fn run(
    mut command: Command,
    input: Bytes,
    (mut stdout, mut stderr): (Stdout, Kept),
    patience: Patience,
) -> Result<Ran, Lost> {
    let started = Instant::now();
    let changes = signal::unix::signal(SignalKind::child()).map_err(Lost::Start)?;
    let mut child = command.process_group(0).spawn().map_err(Lost::Start)?;
    let leader = child
        .id()
        .and_then(|id| Pid::from_raw(id as i32))
        .expect("a child that was not waited for has a number");
    let mut group = Group { leader, is_over: false };
    let mut ends = Ends { leader, changes };
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let deadline = started + patience.run;
    let (is_late, left_behind) = {
        let mut talk = pin!(talk(pipes, input, &mut stdout, &mut stderr));
        let mut waiting = pin!(ends.end_by(deadline, patience.grace, &group));
        let mut is_silent = false;
        let is_late = loop {
            tokio::select! {
                is_late = waiting.as_mut() => break is_late,
                () = talk.as_mut(), if !is_silent => is_silent = true,
            }
        };
        let left_behind = !is_silent && timeout(LINGER, talk.as_mut()).await.is_err();
        if is_late || left_behind {
            // The leader is not reaped yet: its number is nobody else's.
            group.signal(Signal::KILL);
        }
        if left_behind {
            let _ = timeout(LINGER, talk).await;
        }
        (is_late, left_behind)
    };
    let status = reap(&mut child).await.map_err(Lost::End)?;
    group.is_over = true;
    let end = if is_late { End::TooLong } else { End::of(status) };
    Ok(Ran { end, took: started.elapsed(), stdout, stderr, left_behind })
}

type Pipes = (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>);

/// Gives the program its input and takes what it writes, until all of it is closed.
async fn talk(pipes: Pipes, input: Bytes, stdout: &mut Stdout, stderr: &mut Kept) {
    let (stdin, out_pipe, err_pipe) = pipes;
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program need not read all that it is given.
            let _ = stdin.write_all(&input).await;
        }
    };
    let out = async {
        match (out_pipe, stdout) {
            (Some(pipe), Stdout::Kept(kept)) => kept.take_all(pipe).await,
            (Some(pipe), Stdout::Answer(whole)) => whole.take_all(pipe).await,
            (None, _) => {}
        }
    };
    let err = async {
        if let Some(pipe) = err_pipe {
            stderr.take_all(pipe).await;
        }
    };
    tokio::join!(feed, out, err);
}

/// Sees a program end, and leaves it to be reaped: until then its number is nobody else's.
struct Ends {
    leader: Pid,
    changes: signal::unix::Signal,
}

impl Ends {
    /// Waits for the end.
    async fn end(&mut self) {
        while !self.has_ended() {
            self.changes.recv().await;
        }
    }

    fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // Nobody else's child and no child at all: it has ended, and was reaped.
        waitid(WaitId::Pid(self.leader), look).map_or(true, |status| status.is_some())
    }

    /// Waits for the end, and brings it about where it takes too long. Says whether it did.
    async fn end_by(&mut self, deadline: Instant, grace: Duration, group: &Group) -> bool {
        if timeout_at(deadline, self.end()).await.is_ok() {
            return false;
        }
        group.signal(Signal::TERM);
        if timeout(grace, self.end()).await.is_err() {
            group.signal(Signal::KILL);
            let _ = timeout(KILLED, self.end()).await;
        }
        true
    }
}

async fn reap(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    timeout(KILLED, child.wait()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
