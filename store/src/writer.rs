//! The one thread that writes: takes all that is asked at once, commits it together, then answers.
//!
//! Nothing waits for company: a lone command is committed at once, and what comes meanwhile shares the next
//! commit. An answer is sent only after its commit. When a commit fails, every command of it fails; the log is
//! emptied and the file opened anew before the next write. If even that cannot be done at the time, the next
//! opening may find the failed commit in the log and let it stand: whoever asked must take the result as
//! unknown, and look.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use engine::{MessageId, StoreError, Told};
use tokio::sync::oneshot;

use crate::{
    codes,
    failure::{Failure, OpenError, is_of_the_command, words},
    messages,
    tables::Tables,
};

/// How many commands share a commit at most: it bounds how long the first of them waits.
const BATCH: usize = 1000;
/// How long what became of an answer waits for a write that takes it along.
const TOLD_WITHIN: Duration = Duration::from_millis(20);
/// How often a store in trouble is tried when nobody writes.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How many of them are remembered while nothing can be written.
const TOLD_AT_MOST: usize = 100_000;

/// The way to the writing thread. Dropped, it lets the thread write what it was given, and joins it.
pub(crate) struct Writer {
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    trouble: Trouble,
}

/// Why nothing can be written at this moment.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

enum Command {
    Write(Box<dyn Job>),
    Told(MessageId, Told),
}

/// Something to be written, and somebody who waits for it.
trait Job: Send {
    /// Does the work within the transaction; may be asked again after a rollback.
    fn apply(&mut self, tables: &Tables) -> rusqlite::Result<()>;

    /// Tells the one who waits, once it is known whether the transaction stands.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Asked<T, W> {
    work: W,
    result: Option<Result<T, StoreError>>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: Fn(&Tables) -> Result<T, Failure> + Send> Job for Asked<T, W> {
    fn apply(&mut self, tables: &Tables) -> rusqlite::Result<()> {
        self.result = Some(match (self.work)(tables) {
            Err(Failure::Database(error)) => return Err(error),
            Err(refused) => Err(refused.into()),
            Ok(result) => Ok(result),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, asker, .. } = *self;
        let result = committed.and_then(|()| result.expect("what was committed was applied"));
        // Whoever asked may have gone: what is written stays written.
        let _ = asker.send(result);
    }
}

impl Writer {
    pub(crate) fn start(folder: PathBuf, tables: Tables) -> std::io::Result<Self> {
        let (commands, asked) = mpsc::channel();
        let trouble = Trouble::default();
        let thread = Thread {
            folder,
            tables: Some(tables),
            asked,
            told: Vec::new(),
            told_due: None,
            try_due: None,
            trouble: trouble.clone(),
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || thread.run())?;
        Ok(Self { commands: Some(commands), thread: Some(thread), trouble })
    }

    /// Has `work` done in the next transaction; returns when that is durable.
    ///
    /// `work` may be called more than once, and refuses before it writes.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Tables) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (asker, answer) = oneshot::channel();
        self.command(Command::Write(Box::new(Asked { work, result: None, asker })));
        answer.await.unwrap_or_else(|_| Err(StoreError("the thread that writes has ended".to_owned())))
    }

    /// Leaves a word that the next transaction takes along.
    pub(crate) fn told(&self, id: MessageId, told: Told) {
        self.command(Command::Told(id, told));
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Some("the thread that writes has ended; start the program again".to_owned());
        }
        self.trouble.get()
    }

    fn command(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // An ended thread drops the command, and with it the sender of its answer: that is the answer.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands.take();
        if let Some(thread) = self.thread.take() {
            // A panic there was told to everybody who waited.
            let _ = thread.join();
        }
    }
}

impl Trouble {
    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says so in the log when it begins, not each time it is found to last.
    fn begins(&self, why: &str) {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            tracing::error!(why, "the store cannot write; senders are told to come again");
        }
        *trouble = Some(why.to_owned());
    }

    fn ends(&self) {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.take().is_some() {
            tracing::info!("the store writes again");
        }
    }
}

struct Thread {
    folder: PathBuf,
    /// Missing from a failed commit until the file is opened anew.
    tables: Option<Tables>,
    asked: mpsc::Receiver<Command>,
    told: Vec<(MessageId, Told)>,
    told_due: Option<Instant>,
    try_due: Option<Instant>,
    trouble: Trouble,
}

impl Thread {
    fn run(mut self) {
        while let Some(jobs) = self.gather() {
            self.write(jobs);
        }
        if !self.told.is_empty() {
            self.write(Vec::new());
        }
    }

    /// Everything that is asked by now; nothing, when it is time to write what nobody waits for, or to try again.
    /// `None` when nobody can ask any more.
    fn gather(&mut self) -> Option<Vec<Box<dyn Job>>> {
        let mut jobs = Vec::new();
        loop {
            match self.next() {
                Ok(Command::Told(id, told)) => self.take_note(id, told),
                Ok(Command::Write(job)) => {
                    jobs.push(job);
                    break;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => return Some(jobs),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            }
        }
        while jobs.len() < BATCH {
            match self.asked.try_recv() {
                Ok(Command::Write(job)) => jobs.push(job),
                Ok(Command::Told(id, told)) => self.take_note(id, told),
                Err(_) => break,
            }
        }
        Some(jobs)
    }

    fn next(&self) -> Result<Command, mpsc::RecvTimeoutError> {
        let due = if self.tables.is_some() { self.told_due } else { self.try_due };
        match due {
            Some(due) => self.asked.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => self.asked.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
        }
    }

    fn take_note(&mut self, id: MessageId, told: Told) {
        if self.told.len() >= TOLD_AT_MOST {
            self.told.clear();
            tracing::warn!("what senders were told is forgotten: the store has not written for long");
        }
        self.told.push((id, told));
        self.told_due.get_or_insert_with(|| Instant::now() + TOLD_WITHIN);
    }

    /// Commits the jobs together, then tells everybody.
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.try_to_write(&mut jobs) {
            Ok(()) => {
                self.told.clear();
                self.told_due = None;
                self.trouble.ends();
                for job in jobs {
                    job.answer(Ok(()));
                }
            }
            Err(why) => {
                self.trouble.begins(&why);
                self.try_due = Some(Instant::now() + TRY_AGAIN);
                for job in jobs {
                    job.answer(Err(StoreError(why.clone())));
                }
            }
        }
    }

    fn try_to_write(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), String> {
        let tables = match self.tables.take() {
            Some(tables) => tables,
            None => reopen(&self.folder).map_err(|error| error.to_string())?,
        };
        if let Err(error) = commit(&tables, &self.told, jobs) {
            // Where this works, it is certain that the failed commit did not take effect.
            let _ = tables.empty_the_log();
            return Err(words(&error));
        }
        self.tables = Some(tables);
        Ok(())
    }
}

/// Opens the file anew after a failed commit, and sees whether it can be written.
fn reopen(folder: &Path) -> Result<Tables, OpenError> {
    let tables = Tables::open(folder)?;
    let tried = tables.empty_the_log().and_then(|()| tables.pulse(codes::nanoseconds(SystemTime::now())));
    match tried {
        Ok(()) => Ok(tables),
        Err(error) => Err(OpenError::Database { folder: folder.to_owned(), why: words(&error) }),
    }
}

/// One transaction for all of them. A job that is to blame for an error is answered with it and left out:
/// the others are applied again without it.
fn commit(tables: &Tables, told: &[(MessageId, Told)], jobs: &mut Vec<Box<dyn Job>>) -> rusqlite::Result<()> {
    while !told.is_empty() || !jobs.is_empty() {
        let Err((culprit, error)) = apply(tables, told, jobs) else { return Ok(()) };
        if !tables.connection.is_autocommit() {
            tables.run("ROLLBACK", [])?;
        }
        tables.forget_names();
        match culprit {
            Some(index) if is_of_the_command(&error) => {
                jobs.remove(index).answer(Err(StoreError(words(&error))));
            }
            _ => return Err(error),
        }
    }
    Ok(())
}

/// Fails with the place of the job that failed, where it was one.
fn apply(
    tables: &Tables,
    told: &[(MessageId, Told)],
    jobs: &mut [Box<dyn Job>],
) -> Result<(), (Option<usize>, rusqlite::Error)> {
    let ours = |error| (None, error);
    tables.run("BEGIN IMMEDIATE", []).map_err(ours)?;
    for (id, told) in told {
        messages::note_answer(tables, *id, told).map_err(ours)?;
    }
    for (index, job) in jobs.iter_mut().enumerate() {
        job.apply(tables).map_err(|error| (Some(index), error))?;
    }
    tables.run("COMMIT", []).map_err(ours)?;
    Ok(())
}
