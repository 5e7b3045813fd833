//! Killed at any instant, with a disk that fails or is full: what was acknowledged is there.
//!
//! Each test starts this very program again as a child that writes and says on its standard output what was
//! acknowledged to it.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;
mod crash {
    pub(crate) mod child;
    pub(crate) mod long;
    pub(crate) mod parent;
}

use crash::{
    child, long,
    parent::{Child, Spoken, check, under_strace},
};

/// What the children run; does nothing where nobody asks it to.
#[test]
fn child_of_the_tests_here() {
    child::run();
}

#[test]
fn killed_under_load_many_times_it_keeps_all_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Spoken::default();
    for round in 0..20 {
        let mut spoken = Spoken::default();
        let mut child = Child::start(folder.path(), "load");
        // At another moment each time, within the first writes or some thousands later.
        spoken.hear(&mut child, 7 + round * round * 11);
        child.kill();
        spoken.hear(&mut child, usize::MAX);
        drop(child);
        check(folder.path(), &spoken);
        all.settled.append(&mut spoken.settled);
    }
    assert!(all.settled.len() > 100, "the children got on with their work");
    check(folder.path(), &all);
}

#[test]
fn killed_while_it_reads_the_journal_back_it_reads_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Spoken::default();
    for round in 0..6 {
        let mut child = Child::start(folder.path(), "load");
        all.hear(&mut child, 400 + round * 37);
        child.kill();
        all.hear(&mut child, usize::MAX);
        drop(child);
        for _ in 0..4 {
            let mut child = Child::start(folder.path(), "load");
            child.begins();
            child.kill();
            all.hear(&mut child, usize::MAX);
        }
    }
    check(folder.path(), &all);
}

#[test]
fn a_write_whose_sync_fails_is_refused_did_not_happen_and_the_next_ones_go_on() {
    let spoken = under_strace("sync", "fsync,fdatasync:error=EIO:when=25", "one");
    // On a slow disk two threads write, and each counts its own.
    assert!((1..=2).contains(&spoken.failed.len()), "the one that met the failing sync");
    assert!(spoken.words[0].contains("the disk failed"), "{}", spoken.words[0]);
}

#[test]
fn a_disk_that_fails_for_a_while_loses_nothing_it_acknowledged() {
    let spoken = under_strace("sync", "fsync,fdatasync:error=EIO:when=20..25", "some");
    assert!(!spoken.failed.is_empty());
}

#[test]
fn a_full_disk_is_said_in_words_and_writing_goes_on_when_there_is_room() {
    let spoken = under_strace("sync", "pwrite64:error=ENOSPC:when=150..155", "some");
    assert!(!spoken.failed.is_empty());
    assert!(spoken.words.iter().any(|words| words.contains("no space is left")), "{:?}", spoken.words);
}

#[test]
fn trouble_ends_by_itself_though_nobody_writes() {
    let spoken = under_strace("idle", "fsync,fdatasync:error=EIO:when=25", "one");
    assert_eq!(spoken.words.last().map(String::as_str), Some("cleared"));
}

#[test]
fn cut_at_each_of_its_calls_to_the_disk_a_long_body_is_whole_or_gone_and_leaves_no_file_behind() {
    let cuts = long::cut_at_each();
    assert!(cuts > 30, "{cuts} cuts");
}
