//! The destination of files: nothing half, nothing lost, nothing twice, nothing outside its folder.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use engine::{Destination, Outbound, Response, SendError};
use serde_json::{Value, json};
use stage::{destination, named};
use tempfile::TempDir;

struct Desk {
    root: TempDir,
    files: Box<dyn Destination>,
}

impl Desk {
    async fn new(mut settings: Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        settings["dir"] = "out/lab".into();
        settings["name"] = "unused".into();
        let files = destination("file", settings, root.path()).await;
        Self { root, files }
    }

    async fn send(&self, name: &str, body: &str) -> Result<Response, SendError> {
        self.files.send(&named(name, body)).await
    }

    /// One attempt as the engine makes it; returns what was noted.
    async fn attempt(&self, outbound: &mut Outbound) -> Result<Response, SendError> {
        outbound.note = self.files.prepare(outbound).await;
        self.files.send(outbound).await
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join("out/lab").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        names(&self.root.path().join("out/lab"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_refused<T: std::fmt::Debug>(result: &Result<T, SendError>) -> bool {
    matches!(result, Err(SendError::Refused { .. }))
}

fn is_not_delivered<T: std::fmt::Debug>(result: &Result<T, SendError>) -> bool {
    matches!(result, Err(SendError::NotDelivered { .. }))
}

#[tokio::test]
async fn a_file_is_put_in_place_and_nothing_else_is_left() {
    let desk = Desk::new(json!({})).await;
    let response = desk.send("M-1.hl7", "one").await.unwrap();
    assert_eq!(response.facts["path"], "out/lab/M-1.hl7");
    assert_eq!((desk.read("M-1.hl7"), desk.names()), ("one".to_owned(), vec!["M-1.hl7".to_owned()]));
}

#[tokio::test]
async fn the_same_bytes_under_the_same_name_are_one_file() {
    let desk = Desk::new(json!({})).await;
    for _ in 0..2 {
        desk.send("M-1.hl7", "one").await.unwrap();
    }
    assert_eq!(desk.names(), ["M-1.hl7"]);
}

#[tokio::test]
async fn other_bytes_under_the_same_name_get_a_number() {
    let desk = Desk::new(json!({})).await;
    for body in ["one", "two", "three", "two"] {
        desk.send("M-1.hl7", body).await.unwrap();
    }
    assert_eq!(desk.names(), ["M-1-1.hl7", "M-1-2.hl7", "M-1.hl7"]);
    assert_eq!(
        (desk.read("M-1.hl7"), desk.read("M-1-1.hl7"), desk.read("M-1-2.hl7")),
        ("one".into(), "two".into(), "three".into())
    );
}

#[tokio::test]
async fn other_bytes_replace_or_are_refused_where_the_channel_says_so() {
    let desk = Desk::new(json!({ "existing": "replace" })).await;
    desk.send("a", "one").await.unwrap();
    desk.send("a", "two").await.unwrap();
    assert_eq!((desk.read("a"), desk.names().len()), ("two".to_owned(), 1));

    let desk = Desk::new(json!({ "existing": "refuse" })).await;
    desk.send("a", "one").await.unwrap();
    assert!(is_refused(&desk.send("a", "two").await));
    desk.send("a", "one").await.unwrap();
    assert_eq!((desk.read("a"), desk.names().len()), ("one".to_owned(), 1));
}

#[tokio::test]
async fn many_at_once_under_one_name_are_all_there() {
    let desk = Desk::new(json!({})).await;
    let sends = (0..20).map(|n| {
        let (files, outbound) = (&desk.files, named("a.hl7", format!("body {n}")));
        async move { files.send(&outbound).await.unwrap() }
    });
    futures_util::future::join_all(sends).await;
    assert_eq!(desk.names().len(), 20);
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let desk = Desk::new(json!({})).await;
    desk.send("first", "x").await.unwrap();
    let long = "x".repeat(300);
    for name in ["", "/etc/x", "../x", "a/../../x", "..", ".hidden", "a\0b", "a\nb", "NUL", long.as_str()] {
        assert!(is_refused(&desk.send(name, "x").await), "{name:?}");
    }
    assert_eq!(desk.names(), ["first"]);
}

#[tokio::test]
async fn no_link_leads_out_of_the_folder() {
    let desk = Desk::new(json!({})).await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("target"), "theirs").unwrap();
    desk.send("first", "x").await.unwrap();
    symlink(outside.path(), desk.path("link")).unwrap();
    symlink(outside.path().join("target"), desk.path("file")).unwrap();
    assert!(is_refused(&desk.send("link/x", "x").await));
    desk.send("file", "ours").await.unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("target")).unwrap(), "theirs");
    assert_eq!(desk.read("file-1"), "ours");
    assert_eq!(names(outside.path()), ["target"]);
}

#[tokio::test]
async fn a_name_may_make_folders_below() {
    let desk = Desk::new(json!({})).await;
    desk.send("ORU/2026/M-1.hl7", "one").await.unwrap();
    assert_eq!(desk.read("ORU/2026/M-1.hl7"), "one");
}

#[tokio::test]
async fn a_folder_outside_the_project_is_not_made() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("disk/out");
    let files =
        destination("file", json!({ "dir": missing.to_str().unwrap(), "name": "x" }), root.path()).await;
    assert!(is_not_delivered(&files.send(&named("x", "x")).await));
    fs::create_dir_all(&missing).unwrap();
    files.send(&named("x", "x")).await.unwrap();
    assert_eq!(names(&missing), ["x"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_delivers_nothing() {
    let desk = Desk::new(json!({})).await;
    fs::write(desk.root.path().join("out"), "a file, not a folder").unwrap();
    assert!(is_not_delivered(&desk.send("x", "x").await));
    fs::remove_file(desk.root.path().join("out")).unwrap();
    desk.send("x", "x").await.unwrap();
    let folder = desk.root.path().join("out/lab");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let sent = desk.send("y", "y").await;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    // The superuser may write everywhere.
    assert!(is_not_delivered(&sent) || sent.is_ok());
}

#[tokio::test]
async fn what_a_crash_left_under_the_hidden_name_is_written_over() {
    let desk = Desk::new(json!({})).await;
    let outbound = named("a.hl7", "whole");
    desk.send("first", "x").await.unwrap();
    fs::write(desk.path(&format!(".{:.32}.tmp", outbound.effect.to_string())), "to").unwrap();
    desk.files.send(&outbound).await.unwrap();
    assert_eq!(
        (desk.read("a.hl7"), desk.names()),
        ("whole".to_owned(), vec!["a.hl7".into(), "first".into()])
    );
}

#[tokio::test]
async fn a_file_without_a_name_is_called_after_its_message() {
    let root = tempfile::tempdir().unwrap();
    let files = destination("file", json!({ "dir": "out" }), root.path()).await;
    files.send(&stage::outbound("one")).await.unwrap();
    files.send(&stage::outbound("two")).await.unwrap();
    let names = names(&root.path().join("out"));
    assert!(
        names.len() == 2 && names.iter().all(|name| name.starts_with("7-") && name.contains(".msg")),
        "{names:?}"
    );
}

#[tokio::test]
async fn texts_are_appended_one_behind_the_other() {
    let desk = Desk::new(json!({ "append": true })).await;
    for body in ["one;", "two;"] {
        desk.attempt(&mut named("log", body)).await.unwrap();
    }
    assert_eq!(desk.read("log"), "one;two;");
}

#[tokio::test]
async fn many_texts_at_once_are_all_whole() {
    let desk = Desk::new(json!({ "append": true })).await;
    let sends = (0..20).map(|n| {
        let (desk, mut outbound) = (&desk, named("log", format!("[{n:02}]")));
        async move { desk.attempt(&mut outbound).await.unwrap() }
    });
    futures_util::future::join_all(sends).await;
    let log = desk.read("log");
    assert_eq!(log.len(), 80);
    assert!((0..20).all(|n| log.contains(&format!("[{n:02}]"))), "{log}");
}

/// A second try after the first wrote `written` and somebody else then wrote `behind`: the whole file.
async fn second_try(written: &str, behind: &str) -> String {
    let desk = Desk::new(json!({ "append": true })).await;
    desk.attempt(&mut named("log", "before;")).await.unwrap();
    let mut outbound = named("log", "text;");
    let note = desk.files.prepare(&outbound).await;
    // The process dies here: another one finds what it wrote.
    fs::write(desk.path("log"), format!("before;{written}{behind}")).unwrap();
    let root = desk.root;
    let files =
        destination("file", json!({ "dir": "out/lab", "name": "log", "append": true }), root.path()).await;
    drop(desk.files);
    let desk = Desk { root, files };
    outbound.previous = note;
    desk.attempt(&mut outbound).await.unwrap();
    desk.read("log")
}

#[tokio::test]
async fn a_second_try_writes_what_is_missing_and_no_more() {
    assert_eq!(second_try("", "").await, "before;text;");
    assert_eq!(second_try("te", "").await, "before;text;");
    assert_eq!(second_try("text;", "").await, "before;text;");
    assert_eq!(second_try("text;", "other;").await, "before;text;other;");
    assert_eq!(second_try("te", "other;").await, "before;teother;text;");
    assert_eq!(second_try("", "other;").await, "before;other;text;");
}

#[tokio::test]
async fn a_second_try_on_another_file_appends_anew() {
    let desk = Desk::new(json!({ "append": true })).await;
    let mut outbound = named("log", "text;");
    desk.attempt(&mut outbound).await.unwrap();
    fs::rename(desk.path("log"), desk.path("log.1")).unwrap();
    fs::write(desk.path("log"), "").unwrap();
    outbound.previous = outbound.note.take();
    desk.attempt(&mut outbound).await.unwrap();
    assert_eq!((desk.read("log"), desk.read("log.1")), ("text;".to_owned(), "text;".to_owned()));
}

#[tokio::test]
async fn a_third_try_still_knows_where_the_text_began() {
    let desk = Desk::new(json!({ "append": true })).await;
    let mut outbound = named("log", "text;");
    desk.attempt(&mut outbound).await.unwrap();
    for _ in 0..2 {
        outbound.previous = outbound.note.take();
        desk.attempt(&mut outbound).await.unwrap();
    }
    assert_eq!(desk.read("log"), "text;");
}

#[tokio::test]
async fn nothing_is_appended_through_a_link() {
    let desk = Desk::new(json!({ "append": true })).await;
    desk.attempt(&mut named("first", "x")).await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path().join("target"), desk.path("log")).unwrap();
    assert!(is_refused(&desk.attempt(&mut named("log", "x")).await));
    assert!(names(outside.path()).is_empty());
}
