//! The one thread that writes: takes all that is asked at once, makes it durable together, then answers.
//!
//! Nothing waits for company: a lone command is written at once, and what comes meanwhile shares the next record of the
//! journal. An answer is sent only after its record is on disk. When that fails, every command of it fails, and what it
//! did is taken back; the next record goes elsewhere. If even that cannot be done before the process ends, the next
//! opening may find the failed record whole and let it stand: whoever asked must take the result as unknown, and look.
//!
//! The rows go into the files behind it, on a thread of their own. What is too much in memory waits for that one.

mod core;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use engine::{MessageId, StoreError, Told};
use tokio::sync::oneshot;

use self::core::Core;
use crate::{
    codes::nanoseconds,
    failure::{Failure, words},
    filer::Filer,
    journal,
    ledger::{Filing, Ledger},
};

/// How many commands share a record at most: it bounds how long the first of them waits.
const BATCH: usize = 1000;
/// How long what became of an answer waits for a write that takes it along.
const TOLD_WITHIN: Duration = Duration::from_millis(20);
/// How long rows stay out of the files: most messages have gone their way by then, and are filed once.
const FILED_WITHIN: Duration = Duration::from_millis(150);
/// A disk is quick where a write takes less.
const AT_ONCE: Duration = Duration::from_micros(500);
/// So many bytes are filed at once, without waiting for more.
const ENOUGH: usize = 4 << 20;
/// More than this waits for the filer.
const TOO_MUCH: usize = 32 << 20;
/// How often a store in trouble is tried when nobody writes.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How many words of what senders were told are remembered while nothing can be written.
const TOLD_AT_MOST: usize = 100_000;

/// The way to the writing thread. Dropped, it lets the thread write and file what it was given, and joins it.
pub(crate) struct Writer {
    commands: mpsc::Sender<Command>,
    filer: mpsc::Sender<Task>,
    threads: Mutex<Option<(JoinHandle<bool>, JoinHandle<()>)>>,
    shared: Arc<Shared>,
    troubles: Troubles,
}

/// What whoever writes holds for as long.
struct Shared {
    core: Mutex<Core>,
    /// Commands on their way to the thread.
    queued: AtomicUsize,
}

/// Why nothing can be written at this moment: to the journal, to the files.
#[derive(Clone, Default)]
struct Troubles {
    journal: Trouble,
    files: Trouble,
}

#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

enum Command {
    Write(Box<dyn Job>),
    Told(Word),
    /// Everything that was written before is to be in the files.
    File(oneshot::Sender<()>),
    Filed(Box<Filing>, Result<(), String>, Option<PathBuf>),
    /// Something is due earlier than the thread knows.
    Nudge,
    Stop,
}

/// What became of an answer, and when.
struct Word {
    of: MessageId,
    told: Told,
    at: i64,
}

/// What the filing thread does, one after the other.
enum Task {
    File(Box<Filing>, Option<PathBuf>),
    Do(Box<dyn FnOnce(&mut Filer) + Send>),
    Stop,
}

/// Something to be written, and somebody who waits for it.
trait Job: Send {
    /// Does the work; says whether it stands.
    fn apply(&mut self, ledger: &mut Ledger) -> bool;

    /// Tells the one who waits, once it is known whether the record is on disk.
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Asked<T, W> {
    work: W,
    result: Option<Result<T, StoreError>>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: Fn(&mut Ledger) -> Result<T, Failure> + Send> Job for Asked<T, W> {
    fn apply(&mut self, ledger: &mut Ledger) -> bool {
        let done = (self.work)(ledger).map_err(StoreError::from);
        let stands = done.is_ok();
        self.result = Some(done);
        stands
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let Self { result, asker, .. } = *self;
        let answer = match (result, durable) {
            (Some(result), durable) => result.and_then(|done| durable.map(|()| done)),
            // A bug cut it, or one before it.
            (None, durable) => Err(durable.err().unwrap_or_else(|| StoreError("it was not done".to_owned()))),
        };
        // Whoever asked may have gone: what is written stays written.
        let _ = asker.send(answer);
    }
}

impl Writer {
    pub(crate) fn start(ledger: Ledger, filer: Filer) -> std::io::Result<Self> {
        let (commands, asked) = mpsc::channel();
        let (tasks, given) = mpsc::channel();
        let troubles = Troubles::default();
        let core = Core {
            ledger,
            filer: tasks.clone(),
            held: VecDeque::new(),
            told: Vec::new(),
            told_due: None,
            file_due: None,
            try_due: None,
            wakes: None,
            took: Duration::ZERO,
            wanted: Vec::new(),
            is_filing: false,
            is_stopping: false,
            broken: None,
            troubles: troubles.clone(),
        };
        let shared = Arc::new(Shared { core: Mutex::new(core), queued: AtomicUsize::new(0) });
        let thread = Thread { asked, shared: Arc::clone(&shared) };
        let back = commands.clone();
        let filing =
            std::thread::Builder::new().name("filer".to_owned()).spawn(move || file(filer, &given, &back))?;
        let writing = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            let shared = Arc::clone(&thread.shared);
            catch_unwind(AssertUnwindSafe(|| thread.run())).unwrap_or_else(|_| {
                shared.give_up();
                false
            })
        })?;
        Ok(Self { commands, filer: tasks, threads: Mutex::new(Some((writing, filing))), shared, troubles })
    }

    /// Has `work` done with the next record; returns when that is durable.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Ledger) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (asker, answer) = oneshot::channel();
        self.write_job(Box::new(Asked { work, result: None, asker }));
        answer.await.unwrap_or_else(|_| Err(StoreError("the thread that writes has ended".to_owned())))
    }

    /// Where nobody else writes, whoever asks does it at once, on a quick disk: to wake a thread takes as long.
    fn write_job(&self, job: Box<dyn Job>) {
        match self.alone() {
            Some(core) if core.took < AT_ONCE => {
                match catch_unwind(AssertUnwindSafe(|| self.write_here(core, job))) {
                    Ok(Some(job)) => self.command(Command::Write(job)),
                    Ok(None) => {}
                    Err(_) => self.shared.give_up(),
                }
            }
            _ => self.command(Command::Write(job)),
        }
    }

    /// Gives the job back where it needs the files: whoever asked may be on a thread that must not wait for them.
    fn write_here(&self, mut core: MutexGuard<'_, Core>, job: Box<dyn Job>) -> Option<Box<dyn Job>> {
        let left = core.write_at_once(job);
        core.file_if_due();
        self.nudge(core);
        left
    }

    /// Leaves a word that the next record takes along.
    pub(crate) fn told(&self, of: MessageId, told: Told) {
        let word = Word { of, told, at: nanoseconds(SystemTime::now()) };
        match self.alone() {
            Some(mut core) => {
                core.take_note(word);
                self.nudge(core);
            }
            None => self.command(Command::Told(word)),
        }
    }

    /// The core, where nobody holds it or waits for it, and nobody has to wait for the filer.
    fn alone(&self) -> Option<MutexGuard<'_, Core>> {
        if self.shared.queued.load(Ordering::SeqCst) > 0 {
            return None;
        }
        self.shared
            .core
            .try_lock()
            .ok()
            .filter(|core| core.held.is_empty() && !core.is_too_much() && !core.is_stopping)
    }

    /// Tells the thread where something is due before it looks by itself.
    fn nudge(&self, mut core: MutexGuard<'_, Core>) {
        let due = core.due();
        if due.is_some() && core.wakes.is_none_or(|wakes| due < Some(wakes)) {
            core.wakes = due;
            drop(core);
            self.command(Command::Nudge);
        }
    }

    /// Returns when everything written so far is in the files, or cannot be put there now.
    pub(crate) async fn filed(&self) {
        let (tell, told) = oneshot::channel();
        self.command(Command::File(tell));
        let _ = told.await;
    }

    /// Has something done where nothing else is filed meanwhile.
    pub(crate) async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Filer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let task = Task::Do(Box::new(move |filer| {
            let _ = tell.send(work(filer).map_err(StoreError::from));
        }));
        let _ = self.filer.send(task);
        told.await.unwrap_or_else(|_| Err(StoreError("the thread that files has ended".to_owned())))
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.as_ref().is_none_or(|(writing, filing)| writing.is_finished() || filing.is_finished()) {
            return Some("a thread of the store has ended; start the program again".to_owned());
        }
        self.troubles.journal.get().or_else(|| self.troubles.files.get())
    }

    /// Why no new message can be taken.
    pub(crate) fn refuses(&self) -> Option<String> {
        self.troubles.files.get()
    }

    fn command(&self, command: Command) {
        self.shared.queued.fetch_add(1, Ordering::SeqCst);
        // An ended thread drops the command, and with it the sender of its answer: that is the answer.
        let _ = self.commands.send(command);
    }

    /// Writes and files what was asked; says whether nothing is left in the journal.
    pub(crate) fn stop(&self) -> bool {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((writing, filing)) = threads else { return false };
        self.command(Command::Stop);
        // A panic there was told to everybody who waited.
        let is_filed = writing.join().unwrap_or(false);
        let _ = self.filer.send(Task::Stop);
        filing.join().is_ok() && is_filed
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
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

    fn lasts(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// The filing thread.
fn file(mut filer: Filer, given: &mpsc::Receiver<Task>, back: &mpsc::Sender<Command>) {
    while let Ok(task) = given.recv() {
        match task {
            Task::File(mut filing, wanted) => {
                let done = catch_unwind(AssertUnwindSafe(|| filer.file(&mut filing)));
                let done = done.map_or_else(
                    |_| {
                        filer.begin_anew();
                        Err("a bug keeps what was written from its files; report it, with the log".to_owned())
                    },
                    |done| done.map_err(|error| words(&error)),
                );
                let prepared = wanted.filter(|path| journal::prepare(path).is_ok());
                let _ = back.send(Command::Filed(filing, done, prepared));
            }
            // Whoever waits for it hears that it was cut.
            Task::Do(work) => {
                if catch_unwind(AssertUnwindSafe(|| work(&mut filer))).is_err() {
                    filer.begin_anew();
                }
            }
            Task::Stop => return,
        }
    }
}

struct Thread {
    asked: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
}

impl Thread {
    /// Says at its end whether everything is filed.
    fn run(self) -> bool {
        let mut due = None;
        loop {
            let first = self.next(due);
            let mut core = self.shared.core();
            let mut jobs = Vec::new();
            if let Some(command) = first {
                core.take(command, &mut jobs);
            }
            while jobs.len() < BATCH
                && let Some(command) = self.shared.counted(self.asked.try_recv().ok())
            {
                core.take(command, &mut jobs);
            }
            core.take_held(&mut jobs);
            core.write(jobs);
            core.file_if_due();
            if core.is_stopping && core.held.is_empty() {
                core.write(Vec::new());
                return core.broken.is_none() && self.file_the_rest(core);
            }
            due = core.due();
            core.wakes = due;
        }
    }

    /// Waits for a command, as long as nothing is due.
    fn next(&self, due: Option<Instant>) -> Option<Command> {
        let next = match due {
            Some(due) => self.asked.recv_timeout(due.saturating_duration_since(Instant::now())).ok(),
            None => self.asked.recv().ok(),
        };
        self.shared.counted(next)
    }

    /// Waits for the filer, and gives it what is left. One that fails leaves it to the journal.
    fn file_the_rest(&self, mut core: MutexGuard<'_, Core>) -> bool {
        for _ in 0..2 {
            if !core.is_filing && core.ledger.has_unfiled() {
                core.give_to_the_filer();
            }
            while core.is_filing {
                let Ok(command) = self.asked.recv() else { return false };
                core.take(command, &mut Vec::new());
            }
        }
        !core.ledger.has_unfiled() && !core.troubles.any()
    }
}

impl Shared {
    /// Where somebody panicked in the middle of a write, nothing more is written: the next record would hold half of it.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("nobody panicked in the middle of a write")
    }

    /// A bug cut whoever held the core: everybody who waits hears that nothing more is written.
    fn give_up(&self) {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).break_down();
    }

    /// A command that has come is on its way no more.
    fn counted(&self, command: Option<Command>) -> Option<Command> {
        // The filer's own come uncounted.
        if command.as_ref().is_some_and(|command| !matches!(command, Command::Filed(..))) {
            self.queued.fetch_sub(1, Ordering::SeqCst);
        }
        command
    }
}

impl Troubles {
    fn any(&self) -> bool {
        self.journal.lasts() || self.files.lasts()
    }
}
