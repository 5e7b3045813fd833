//! What is to be written, and what is not yet filed: in the hands of whoever writes.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use engine::StoreError;
use tokio::sync::oneshot;

use super::{
    BATCH, Command, ENOUGH, FILED_WITHIN, Job, TOLD_AT_MOST, TOLD_WITHIN, TOO_MUCH, TRY_AGAIN, Task,
    Troubles, Word,
};
use crate::{
    failure,
    ledger::{Filing, Ledger, Mark},
    messages,
};

/// Everything that is to be written, and is not yet filed.
pub(super) struct Core {
    pub(super) ledger: Ledger,
    pub(super) filer: mpsc::Sender<Task>,
    /// Asked while too much waited for the filer.
    pub(super) held: VecDeque<Box<dyn Job>>,
    pub(super) told: Vec<Word>,
    pub(super) told_due: Option<Instant>,
    pub(super) file_due: Option<Instant>,
    pub(super) try_due: Option<Instant>,
    /// When the thread looks by itself.
    pub(super) wakes: Option<Instant>,
    /// How long a write takes of late.
    pub(super) took: Duration,
    /// Who waits for what is written to be filed, and whether the filing under way covers it.
    pub(super) wanted: Vec<(oneshot::Sender<()>, bool)>,
    pub(super) is_filing: bool,
    pub(super) is_stopping: bool,
    pub(super) troubles: Troubles,
    /// A bug cut a write in its middle: nothing more is written, and why.
    pub(super) broken: Option<String>,
}

impl Core {
    pub(super) fn take(&mut self, command: Command, jobs: &mut Vec<Box<dyn Job>>) {
        match command {
            Command::Write(job) if self.broken.is_none() && self.is_too_much() => self.held.push_back(job),
            Command::Write(job) => jobs.push(job),
            Command::Told(word) => self.take_note(word),
            Command::File(tell) => self.wanted.push((tell, false)),
            Command::Filed(filing, done, prepared) => self.filed(*filing, done, prepared),
            Command::Nudge => {}
            Command::Stop => self.is_stopping = true,
        }
    }

    /// Puts those that were held before those that came since.
    pub(super) fn take_held(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        if self.is_too_much() || self.held.is_empty() {
            return;
        }
        self.held.extend(jobs.drain(..));
        let room = BATCH.min(self.held.len());
        jobs.extend(self.held.drain(..room));
    }

    /// When something has to be done though nobody asks.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.broken.is_some() {
            return None;
        }
        let at_once = (!self.is_too_much() && !self.held.is_empty()).then(Instant::now);
        let file_due = self.file_due.filter(|_| !self.is_filing);
        let held_off = self.try_due.filter(|_| self.troubles.files.lasts());
        let file = file_due.map(|due| held_off.map_or(due, |held_off| due.max(held_off)));
        let try_due = self.try_due.filter(|_| self.troubles.journal.lasts());
        [self.told_due, file, try_due, at_once].into_iter().flatten().min()
    }

    pub(super) fn is_too_much(&self) -> bool {
        self.is_filing && self.ledger.weight() > TOO_MUCH
    }

    pub(super) fn take_note(&mut self, word: Word) {
        if self.broken.is_some() {
            return;
        }
        if self.told.len() >= TOLD_AT_MOST {
            self.told.clear();
            tracing::warn!("what senders were told is forgotten: the store has not written for long");
        }
        self.told.push(word);
        self.told_due.get_or_insert_with(|| Instant::now() + TOLD_WITHIN);
    }

    /// Makes the jobs durable together, then tells everybody.
    pub(super) fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let now = Instant::now();
        let is_tried = self.troubles.journal.lasts() && self.try_due.is_some_and(|due| due <= now);
        let is_told = self.told_due.is_some_and(|due| due <= now) || self.is_stopping;
        if self.broken.is_some() {
            return self.refuse(jobs);
        }
        if jobs.is_empty() && !is_tried && !is_told {
            return;
        }
        let start = self.ledger.mark();
        let done = catch_unwind(AssertUnwindSafe(|| {
            self.apply(&mut jobs);
            self.make_durable(start, is_tried)
        }));
        self.end(jobs, done);
    }

    /// Does the same with a job whose caller must not wait for the files; gives it back where it needs them.
    pub(super) fn write_at_once(&mut self, job: Box<dyn Job>) -> Option<Box<dyn Job>> {
        let mut jobs = vec![job];
        if self.broken.is_some() {
            self.refuse(jobs);
            return None;
        }
        let start = self.ledger.mark();
        let done = catch_unwind(AssertUnwindSafe(|| {
            self.ledger.close_files();
            self.apply(&mut jobs);
            if self.ledger.open_files() {
                self.ledger.undo(start);
                return None;
            }
            Some(self.make_durable(start, false))
        }));
        match done {
            Ok(None) => return jobs.pop(),
            Ok(Some(answer)) => self.end(jobs, Ok(answer)),
            Err(panic) => self.end(jobs, Err(panic)),
        }
        None
    }

    fn apply(&mut self, jobs: &mut [Box<dyn Job>]) {
        for word in &self.told {
            let mark = self.ledger.mark();
            if messages::note_answer(&mut self.ledger, word.of, (&word.told, word.at)).is_err() {
                self.ledger.undo(mark);
            }
        }
        for job in jobs {
            let mark = self.ledger.mark();
            if !job.apply(&mut self.ledger) {
                self.ledger.undo(mark);
            }
        }
    }

    fn make_durable(&mut self, start: Mark, is_tried: bool) -> Result<(), StoreError> {
        let began = Instant::now();
        let written = if is_tried { self.ledger.commit_at_least(start) } else { self.ledger.commit(start) };
        self.took = (self.took * 7 + began.elapsed()) / 8;
        let answer = match written {
            Ok(has_written) => {
                self.told.clear();
                self.told_due = None;
                if has_written {
                    self.troubles.journal.ends();
                }
                Ok(())
            }
            Err(error) => {
                let why = failure::of_the_disk(&error);
                self.troubles.journal.begins(&why);
                self.told_due = None;
                Err(StoreError(why))
            }
        };
        // Not put off by each write that comes: it would never be time, for the journal or for the files.
        let later = self.try_due.filter(|_| !is_tried).unwrap_or(began + TRY_AGAIN);
        self.try_due = self.troubles.any().then_some(later);
        if self.file_due.is_none() && self.ledger.has_unfiled() {
            self.file_due = Some(Instant::now() + FILED_WITHIN);
        }
        answer
    }

    fn end(&mut self, jobs: Vec<Box<dyn Job>>, done: std::thread::Result<Result<(), StoreError>>) {
        let Ok(answer) = done else {
            self.break_down();
            return self.refuse(jobs);
        };
        for job in jobs {
            job.answer(answer.clone());
        }
    }

    /// A bug cut a write in its middle. Nothing more is written: the next record would hold half of it. What was answered
    /// is in the journal, and the next start finds it there.
    pub(super) fn break_down(&mut self) {
        let why = "a bug stopped the store; start the program again".to_owned();
        self.troubles.journal.begins(&why);
        self.broken = Some(why);
        (self.told_due, self.file_due, self.try_due) = (None, None, None);
        self.told.clear();
        let held = std::mem::take(&mut self.held);
        self.refuse(held.into());
        tell_all(self.wanted.drain(..));
    }

    fn refuse(&mut self, jobs: Vec<Box<dyn Job>>) {
        let why = StoreError(self.broken.clone().unwrap_or_default());
        for job in jobs {
            job.answer(Err(why.clone()));
        }
    }

    pub(super) fn file_if_due(&mut self) {
        if self.broken.is_some() {
            return tell_all(self.wanted.drain(..));
        }
        if self.is_filing {
            return;
        }
        if !self.ledger.has_unfiled() {
            self.file_due = None;
            tell_all(self.wanted.drain(..));
            return;
        }
        let now = Instant::now();
        let is_wanted = !self.wanted.is_empty() || self.ledger.weight() > ENOUGH;
        let is_late = self.file_due.is_some_and(|due| due <= now);
        let is_held_off = self.troubles.files.lasts() && self.try_due.is_some_and(|due| due > now);
        if !is_held_off && (is_wanted || is_late) {
            self.give_to_the_filer();
        } else if is_held_off {
            // Whoever looks sees what is there.
            tell_all(self.wanted.drain(..));
        }
    }

    pub(super) fn give_to_the_filer(&mut self) {
        let filing = Box::new(self.ledger.take_filing());
        let wanted = self.ledger.journal().wants();
        self.file_due = None;
        self.is_filing = self.filer.send(Task::File(filing, wanted)).is_ok();
        self.wanted.iter_mut().for_each(|(_, covered)| *covered = true);
    }

    pub(super) fn filed(&mut self, mut filing: Filing, done: Result<(), String>, prepared: Option<PathBuf>) {
        self.is_filing = false;
        if let Some(path) = prepared {
            self.ledger.journal().take(path);
        }
        match done {
            Ok(()) => {
                self.ledger.filed(&filing);
                if let Some(group) = filing.group.take() {
                    self.ledger.grouped(group);
                }
                self.troubles.files.ends();
                self.try_due = self.try_due.filter(|_| self.troubles.journal.lasts());
            }
            Err(why) => {
                self.ledger.not_filed(filing);
                self.troubles.files.begins(&why);
                self.try_due = Some(Instant::now() + TRY_AGAIN);
            }
        }
        if self.file_due.is_none() && self.ledger.has_unfiled() {
            self.file_due = Some(Instant::now() + FILED_WITHIN);
        }
        let (covered, others) =
            std::mem::take(&mut self.wanted).into_iter().partition(|(_, covered)| *covered);
        self.wanted = others;
        let covered: Vec<(oneshot::Sender<()>, bool)> = covered;
        tell_all(covered.into_iter());
    }
}

/// Whoever asked may have gone.
fn tell_all(asked: impl Iterator<Item = (oneshot::Sender<()>, bool)>) {
    asked.for_each(|(tell, _)| {
        let _ = tell.send(());
    });
}
