//! How many heaps the allocator keeps apart for the threads of the process.

use std::{
    env::{args_os, current_exe, var_os},
    os::unix::process::CommandExt,
    process::Command,
};

/// What glibc reads when a process starts, and only then.
const LIMIT: &str = "MALLOC_ARENA_MAX";

/// One heap for each thread that works, where glibc would give eight to each processor: what one thread has freed lies
/// idle in its heap while others ask for more. Starts this same process over with the limit, before it has done anything;
/// where that cannot be, it goes on with more memory.
pub(crate) fn keep_few() {
    if cfg!(not(target_env = "gnu")) || var_os(LIMIT).is_some() || var_os("GLIBC_TUNABLES").is_some() {
        return;
    }
    let Ok(binary) = current_exe() else { return };
    let mut arguments = args_os();
    let mut over = Command::new(binary);
    if let Some(name) = arguments.next() {
        over.arg0(name);
    }
    // It only comes back where it failed.
    let _ = over.args(arguments).env(LIMIT, crate::threads::workers().to_string()).exec();
}
