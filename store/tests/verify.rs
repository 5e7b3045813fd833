//! What is damaged in a store is told, with the file and the messages that it concerns.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{fs, path::Path};

use engine::{MessageId, Store};
use rusqlite::Connection;
use stage::{arrival, delivery, processed, queue, sent};
use store::{Report, Sqlite};

/// A store with some messages, one of them large, closed in order; returns the large one.
async fn filled(folder: &Path) -> MessageId {
    let store = Sqlite::open(folder).unwrap();
    for name in 0..20 {
        let (_, id) = queue(&store, &format!("A{name}"), "record").await;
        store.settle(id, sent("AA")).await.unwrap();
    }
    let large = store.next_message();
    store.keep(vec![arrival(large, "large", &"x".repeat(2 << 20))]).await.unwrap();
    let wish = delivery(store.next_delivery(), "record");
    store.queue(processed(large, "large", vec![wish])).await.unwrap();
    large
}

fn told(report: &Report, words: &str) -> Vec<u64> {
    let fault = report.faults.iter().find(|fault| fault.what.contains(words));
    fault.unwrap_or_else(|| panic!("`{words}` is not told: {report:?}")).messages.clone()
}

fn change(folder: &Path, sql: &str) {
    let span = folder.join("spans/00000000000000000000.db");
    let connection = Connection::open(span).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_sound_store_has_no_faults_whether_it_is_open_or_not() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let report = store::verify(folder.path()).unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
    assert_eq!((report.messages, report.deliveries, report.is_running), (21, 21, false));
    let _open = Sqlite::open(folder.path()).unwrap();
    let report = store::verify(folder.path()).unwrap();
    assert!(report.faults.is_empty() && report.is_running, "{report:?}");
    assert!(store::verify(&folder.path().join("elsewhere")).is_err());
}

#[tokio::test]
async fn large_bytes_that_are_gone_packed_ones_that_are_damaged_and_rows_without_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let large = filled(folder.path()).await;
    let file = fs::read_dir(folder.path().join("large")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(file).unwrap();
    change(
        folder.path(),
        "UPDATE contents SET packed = x'28B52FFD00' WHERE message = 3;
         DELETE FROM messages WHERE id = 5;
         UPDATE messages SET state = 77 WHERE id = 7;",
    );
    let report = store::verify(folder.path()).unwrap();
    assert_eq!(told(&report, "large bytes are gone"), [large.0]);
    assert_eq!(told(&report, "cannot be unpacked"), [3]);
    assert_eq!(told(&report, "bytes without their message"), [5]);
    assert_eq!(told(&report, "deliveries without their message"), [5]);
    assert_eq!(told(&report, "cannot be read as they stand"), [7]);
}

#[tokio::test]
async fn a_file_that_is_damaged_and_a_journal_that_lacks_records_are_told() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let span = folder.path().join("spans/00000000000000000000.db");
    let mut bytes = fs::read(&span).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    fs::write(&span, bytes).unwrap();
    // As if the last run had not ended in order, and its journal were cut.
    fs::remove_file(folder.path().join("ended-well")).unwrap();
    for entry in fs::read_dir(folder.path().join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let length = fs::metadata(&path).unwrap().len();
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(2000);
        bytes.resize(length as usize, 0);
        fs::write(&path, bytes).unwrap();
    }
    let report = store::verify(folder.path()).unwrap();
    assert!(report.faults.iter().any(|fault| fault.file.starts_with("spans/")), "{report:?}");
    assert!(report.faults.iter().any(|fault| fault.file == "journal"), "{report:?}");
}
