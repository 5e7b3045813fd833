//! What the code that runs on this thread may ask, and how long it may take.
//!
//! Rhai's callbacks are shared by all messages and outlive each, while a step's [`Context`] is borrowed
//! for one run: the two meet here, and nowhere else.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{Context, Missing};
use jiff::tz::TimeZone;
use rhai::{Dynamic, EvalAltResult, Position};
use scoped_tls::scoped_thread_local;

use crate::{Limits, ending::Ending, language::LONGEST_TEXT, table::Tables};

scoped_thread_local!(static CONTEXT: Context);
scoped_thread_local!(static RUN: Run);

/// Rhai copies and drops lists within lists by recursion, and so goes its own code. A value has at most
/// 100,000 lists and 100,000 maps in it: were each in the next, that takes less than this. A thread
/// that has it left costs nothing more.
const ENOUGH_STACK: usize = 96 << 20;

/// As much text as one run may write into messages, whatever it replaces.
const MOST_WRITTEN: usize = 4 * LONGEST_TEXT;

/// How many operations go between two looks at what a run has used up.
const LOOKS_EVERY: u64 = 32;

/// What a thread with less is lent for one run.
const MUCH_STACK: usize = 128 << 20;

/// One message's way through code.
pub(crate) struct Run {
    pub(crate) zone: TimeZone,
    pub(crate) tables: Arc<Tables>,
    pub(crate) limits: Limits,
    pub(crate) started: Instant,
    /// How much text was written into messages.
    pub(crate) written: Cell<usize>,
    /// Whether a message may be held: what runs when it has gone on cannot.
    pub(crate) holds: Holds,
    /// What tables lacked that hold a message.
    pub(crate) missing: RefCell<Vec<Missing>>,
    /// How long it waited for the answers of servers, which is no work of its own.
    pub(crate) waited: Cell<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
}

/// As many rows that a message lacks are told.
const MOST_MISSING: usize = 100;

impl Run {
    /// Does `work`, whose code asks `context`, on a stack that its values cannot use up.
    pub(crate) fn with<T>(&self, context: &Context, work: impl FnOnce() -> T) -> T {
        on_enough_stack(|| CONTEXT.set(context, || RUN.set(self, work)))
    }
}

impl Run {
    fn worked(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.waited.get())
    }
}

/// Asks the running step's context what it may have to wait for.
pub(crate) fn wait_for<T>(question: impl FnOnce(&Context) -> T) -> Result<T, Box<EvalAltResult>> {
    let began = Instant::now();
    let answer = ask(question);
    if RUN.is_set() {
        RUN.with(|run| run.waited.set(run.waited.get() + began.elapsed()));
    }
    answer
}

/// Does work that goes down into nested code or values.
pub(crate) fn on_enough_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ENOUGH_STACK, MUCH_STACK, work)
}

/// Asks the running step's context.
pub(crate) fn ask<T>(question: impl FnOnce(&Context) -> T) -> Result<T, Box<EvalAltResult>> {
    if CONTEXT.is_set() {
        return Ok(CONTEXT.with(question));
    }
    Err("only a step that runs on a message may ask this".into())
}

/// The project's tables.
pub(crate) fn tables() -> Result<Arc<Tables>, Box<EvalAltResult>> {
    if RUN.is_set() {
        return Ok(RUN.with(|run| Arc::clone(&run.tables)));
    }
    Err("only a step that runs on a message may look into a table".into())
}

/// Notes a row that is lacking, where that holds the message; says whether it does.
pub(crate) fn lacks(missing: Missing) -> bool {
    if !RUN.is_set() {
        return false;
    }
    RUN.with(|run| {
        let mut all = run.missing.borrow_mut();
        let same = |one: &Missing| {
            (&one.table, &one.asked, &one.sender) == (&missing.table, &missing.asked, &missing.sender)
        };
        if run.holds == Holds::Yes && all.len() < MOST_MISSING && !all.iter().any(same) {
            all.push(missing);
        }
        run.holds == Holds::Yes
    })
}

/// Takes what was lacking since this was last asked.
pub(crate) fn take_missing() -> Vec<Missing> {
    if RUN.is_set() { RUN.with(|run| run.missing.take()) } else { Vec::new() }
}

/// The zone of times without an offset.
pub(crate) fn zone() -> TimeZone {
    if RUN.is_set() { RUN.with(|run| run.zone.clone()) } else { TimeZone::UTC }
}

/// Called by Rhai at each operation: ends what has used up its share.
pub(crate) fn progress(operations: u64) -> Option<Dynamic> {
    // To ask costs as much as a small operation does.
    if !operations.is_multiple_of(LOOKS_EVERY) {
        return None;
    }
    if !RUN.is_set() {
        return bound(operations > Limits::default().operations, "it took too many operations");
    }
    RUN.with(|run| {
        if operations > run.limits.operations {
            return bound(true, "it took too many operations");
        }
        bound(run.worked() > run.limits.time, "it took too long")
    })
}

/// Called by what goes through a whole document at one operation.
pub(crate) fn look_at_the_clock() -> Result<(), Box<EvalAltResult>> {
    if RUN.is_set() && RUN.with(|run| run.worked() > run.limits.time) {
        return Ending::Bound("it took too long".to_owned()).raise();
    }
    Ok(())
}

fn bound(reached: bool, why: &str) -> Option<Dynamic> {
    reached.then(|| Dynamic::from(Ending::Bound(why.to_owned())))
}

/// Counts text that goes into a message: one that grows without end is ended before the memory is.
pub(crate) fn count_written(length: usize) -> Result<(), Box<EvalAltResult>> {
    if !RUN.is_set() {
        return Ok(());
    }
    let written = RUN.with(|run| {
        run.written.set(run.written.get().saturating_add(length));
        run.written.get()
    });
    if written > MOST_WRITTEN { too_large("Length of message") } else { Ok(()) }
}

/// Ends a native function that would take or make too much.
pub(crate) fn too_large<T>(what: &str) -> Result<T, Box<EvalAltResult>> {
    Err(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE).into())
}

#[cfg(test)]
mod tests {
    use rhai::{Map, Scope};

    use super::*;

    #[test]
    fn the_deepest_value_has_the_stack_to_be_copied_measured_hashed_and_dropped() {
        let work = || {
            let deeper = |value, _| Dynamic::from_array(vec![Map::from([("a".into(), value)]).into()]);
            let deepest: Dynamic = (0..99_990).fold(Dynamic::UNIT, deeper);
            let mut scope = Scope::new();
            scope.push_dynamic("x", deepest);
            let code = "let y = x; y.push(1); let z = [y]; switch y { 1 => 2, _ => y.len() + z.len() }";
            crate::language::new().eval_with_scope::<i64>(&mut scope, code).unwrap()
        };
        let thread = std::thread::Builder::new().stack_size(ENOUGH_STACK);
        assert_eq!(thread.spawn(work).unwrap().join().unwrap(), 3);
    }
}
