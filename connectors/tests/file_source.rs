//! The source of files: what it takes and when, where files go, and what a crash or a full disk leaves.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use engine::{ReplyWords, WhenFiltered};
use serde_json::{Value, json};
use stage::{Stage, fact, message, telling};
use tempfile::TempDir;

/// Puts a file in its place at once.
fn drop_file(root: &Path, name: impl AsRef<OsStr>, content: &str) {
    let at = root.join("in").join(name.as_ref());
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(root.join("writing.tmp"), content).unwrap();
    fs::rename(root.join("writing.tmp"), at).unwrap();
}

async fn stage(root: &Path, more: Value) -> Stage {
    let mut settings = json!({ "dir": "in", "complete": "renamed" });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Stage::taking(root, settings, ReplyWords::default()).await
}

fn put_away() -> Value {
    json!({ "done": "done", "refused": "refused", "failed": "failed" })
}

fn names(folder: PathBuf) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|entries| {
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

fn root() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_where_its_outcome_says_and_keeps_its_name() {
    let root = root();
    let stage = stage(root.path(), put_away()).await;
    for (name, content) in [
        ("good.hl7", message("M-1")),
        ("filtered.hl7", telling("M-2", "filter")),
        ("refused.hl7", telling("M-3", "refuse")),
        ("broken.hl7", telling("M-4", "break")),
        ("junk.hl7", "no message".to_owned()),
    ] {
        drop_file(root.path(), name, &content);
        stage.tells(name, "moved to").await;
    }
    drop_file(root.path(), "good.hl7", &message("M-5"));
    stage
        .told(|stories| stories.iter().filter(|(_, words)| words.contains("moved to done")).count() == 3)
        .await;
    assert_eq!(names(root.path().join("done")), ["filtered.hl7", "good-1.hl7", "good.hl7"]);
    assert_eq!(names(root.path().join("refused")), ["junk.hl7", "refused.hl7"]);
    assert_eq!(names(root.path().join("failed")), ["broken.hl7"]);
    assert!(names(root.path().join("in")).is_empty());
    assert!(fs::read_dir(root.path().join("in/.relais")).unwrap().next().is_none(), "no claim stays");
    let first = &stage.messages()[0].message;
    assert_eq!(
        (fact(&first.facts, "name"), fact(&first.facts, "path")),
        (Some("good.hl7"), Some("in/good.hl7"))
    );
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_file_is_refused_where_the_reply_says_so() {
    let root = root();
    let words = ReplyWords { filtered: WhenFiltered::Refuse, ..ReplyWords::default() };
    let settings = json!({ "dir": "in", "complete": "renamed", "done": "done", "refused": "refused" });
    let stage = Stage::taking(root.path(), settings, words).await;
    drop_file(root.path(), "a.hl7", &telling("M-1", "filter"));
    stage.tells("a.hl7", "moved to refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_is_taken_when_it_is_whole() {
    let root = root();
    let stage = stage(root.path(), json!({ "complete": "stable", "done": "done" })).await;
    fs::create_dir_all(root.path().join("in")).unwrap();
    let mut file = fs::File::create(root.path().join("in/slow.hl7")).unwrap();
    file.write_all(message("M-1").as_bytes()).unwrap();
    let began = Instant::now();
    let mut lines = 0;
    while began.elapsed() < Duration::from_millis(2500) {
        file.write_all(b"NTE|1||more\r").unwrap();
        lines += 1;
        tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await.unwrap_err();
    }
    assert!(stage.messages().is_empty(), "taken while it grew");
    drop(file);
    stage.tells("slow.hl7", "moved to").await;
    assert_eq!(stage.messages()[0].message.body.len(), message("M-1").len() + 12 * lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_companion_waits_for_it_and_takes_it_along() {
    let root = root();
    let stage = stage(root.path(), json!({ "complete": { "companion": ".ok" }, "done": "done" })).await;
    for name in ["a.hl7", "b.hl7", "c.hl7"] {
        drop_file(root.path(), name, &message(name));
    }
    drop_file(root.path(), "a.hl7.ok", "");
    drop_file(root.path(), "b.ok", "");
    stage.tells("a.hl7", "moved to").await;
    stage.tells("b.hl7", "moved to").await;
    assert_eq!(names(root.path().join("done")), ["a.hl7", "b.hl7"]);
    assert_eq!(names(root.path().join("in")), ["c.hl7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_stay_are_read_once_also_by_the_next_start() {
    let root = root();
    let first = stage(root.path(), json!({})).await;
    drop_file(root.path(), "a.hl7", &message("M-1"));
    drop_file(root.path(), "poison.hl7", &telling("M-2", "refuse"));
    first.tells("a.hl7", "left where it is").await;
    first.tells("poison.hl7", "left where it is").await;
    first.stop().await;
    // Another store: the notes alone know these files.
    let second = stage(root.path(), json!({})).await;
    drop_file(root.path(), "new.hl7", &message("M-3"));
    second.tells("new.hl7", "left where it is").await;
    drop_file(root.path(), "a.hl7", &message("M-4 and longer"));
    second.tells("a.hl7", "left where it is").await;
    assert_eq!(second.messages().len(), 2);
    assert_eq!(names(root.path().join("in")), ["a.hl7", "new.hl7", "poison.hl7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_for_it_a_refused_file_goes_back_and_is_not_read_again() {
    let root = root();
    let stage = stage(root.path(), json!({ "done": "done" })).await;
    drop_file(root.path(), "poison.hl7", &telling("M-1", "refuse"));
    stage.tells("poison.hl7", "left as in/poison.hl7").await;
    drop_file(root.path(), "a.hl7", &message("M-2"));
    stage.tells("a.hl7", "moved to").await;
    assert_eq!((stage.messages().len(), names(root.path().join("in"))), (2, vec!["poison.hl7".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_below_are_read_where_asked_links_and_devices_never() {
    let root = root();
    let away = tempfile::tempdir().unwrap();
    fs::write(away.path().join("secret.hl7"), message("M-9")).unwrap();
    fs::create_dir_all(root.path().join("in/sub")).unwrap();
    symlink(away.path(), root.path().join("in/out")).unwrap();
    symlink(away.path().join("secret.hl7"), root.path().join("in/link.hl7")).unwrap();
    fs::create_dir_all(root.path().join("in/done")).unwrap();
    fs::write(root.path().join("in/done/old.hl7"), message("M-8")).unwrap();
    let stage = stage(root.path(), json!({ "recursive": true, "done": "in/done" })).await;
    drop_file(root.path(), "sub/deep/a.hl7", &message("M-1"));
    stage.tells("sub/deep/a.hl7", "moved to in/done/sub/deep/a.hl7").await;
    drop_file(root.path(), OsStr::from_bytes(b"z\xff\n\x1b.hl7"), &message("M-2"));
    stage.tells(r"z\xFF\n\u{1b}.hl7", "moved to").await;
    assert_eq!(stage.messages().len(), 2);
    assert!(root.path().join("in/done").join(OsStr::from_bytes(b"z\xff\n\x1b.hl7")).exists());
    assert!(root.path().join("in/link.hl7").exists());
    // Whoever looks for it finds why.
    stage.leaves_out(Some("`in/link.hl7` is a link, a pipe or a device, and never taken")).await;
    fs::remove_file(root.path().join("in/link.hl7")).unwrap();
    stage.leaves_out(Some("`in/out` is a link")).await;
    fs::remove_file(root.path().join("in/out")).unwrap();
    stage.leaves_out(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_batch_goes_its_own_way_and_the_worst_decides_for_the_file() {
    let root = root();
    let mut settings = put_away();
    settings["split"] = "hl7".into();
    let stage = stage(root.path(), settings).await;
    let batch = |messages: &str| format!("FHS|^~\\&|LAB\rBHS|^~\\&|LAB\r{messages}BTS|2\rFTS|1\r");
    drop_file(root.path(), "good.hl7", &batch(&(message("M-1") + &message("M-2"))));
    stage.tells("good.hl7", "moved to done").await;
    drop_file(root.path(), "bad.hl7", &(message("M-3") + &telling("M-4", "refuse") + &message("M-5")));
    stage.tells("bad.hl7", "moved to refused").await;
    // One line for the file, however many messages it holds.
    stage
        .told(|stories| {
            let said = |words: &str| stories.iter().filter(|(_, said)| said.contains(words)).count();
            said("accepted, all of its 2 messages") == 1
                && said("; 1 of its 3 messages did not get through") == 1
                && said("accepted") + said("refused: ") == 2
        })
        .await;
    let messages = stage.messages();
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[4].message.facts["batch"], json!({ "place": 3, "of": 3 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_claimed_before_a_crash_is_found_and_taken_once() {
    let root = root();
    let first = stage(root.path(), put_away()).await;
    drop_file(root.path(), "a.hl7", &message("M-1"));
    first.tells("a.hl7", "moved to").await;
    first.stop().await;
    let notes = fs::read_dir(root.path().join("notes")).unwrap().next().unwrap().unwrap().path();
    let notes = fs::read_to_string(notes).unwrap();
    let owner = notes.lines().next().unwrap().strip_prefix("owner ").unwrap();
    for sweep in [format!("{owner}-0123456789abcdef"), "0000000000000000-0123456789abcdef".to_owned()] {
        let sweep = root.path().join("in/.relais").join(sweep);
        fs::create_dir_all(&sweep).unwrap();
        fs::write(sweep.join("b.hl7"), message("M-2")).unwrap();
    }
    let second = stage(root.path(), put_away()).await;
    second.tells("b.hl7", "moved to done").await;
    drop_file(root.path(), "c.hl7", &message("M-3"));
    second.tells("c.hl7", "moved to done").await;
    assert_eq!(second.messages().len(), 2, "another engine's claim is left alone");
    assert_eq!(names(root.path().join("done")), ["a.hl7", "b.hl7", "c.hl7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_had_is_a_state_and_then_it_goes_on() {
    let root = root();
    fs::write(root.path().join("done"), "in the way").unwrap();
    let stage = stage(root.path(), put_away()).await;
    drop_file(root.path(), "a.hl7", &message("M-1"));
    stage.trouble(Some("cannot open `done`: Not a directory")).await;
    fs::remove_file(root.path().join("done")).unwrap();
    stage.tells("a.hl7", "moved to done").await;
    stage.trouble(None).await;
    assert_eq!(stage.messages().len(), 1);
    // However often it was tried.
    stage.told(|stories| stories.iter().filter(|(_, words)| words == "accepted").count() == 1).await;

    fs::rename(root.path().join("in"), root.path().join("gone")).unwrap();
    fs::write(root.path().join("in"), "in the way").unwrap();
    stage.trouble(Some("cannot open `in`: Not a directory")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_long_is_refused_unread() {
    let root = root();
    let mut settings = put_away();
    settings["max_size"] = "100".into();
    let stage = stage(root.path(), settings).await;
    drop_file(root.path(), "long.hl7", &"x".repeat(101));
    stage.tells("long.hl7", "moved to refused").await;
    stage.tells("long.hl7", "refused: it is longer than `max_size`, 100 bytes").await;
    let messages = stage.messages();
    assert_eq!(messages.len(), 1, "it came, and is counted");
    assert!(messages[0].message.body.is_empty(), "nothing of it is kept");
    assert_eq!(messages[0].message.facts["size"], json!(101));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_order_and_by_the_day() {
    let root = root();
    for (name, age) in [("c.hl7", 30), ("a.hl7", 20), ("b.hl7", 10)] {
        drop_file(root.path(), name, &message(name));
        let file = fs::File::open(root.path().join("in").join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    let stage = stage(root.path(), json!({ "done": "done", "dated": "day" })).await;
    stage.tells("b.hl7", "moved to").await;
    let order: Vec<_> =
        stage.messages().iter().map(|stored| stored.message.control_id.clone().unwrap()).collect();
    assert_eq!(order, ["c.hl7", "a.hl7", "b.hl7"]);
    let day = names(root.path().join("done"));
    assert!(day.len() == 1 && day[0].starts_with("20") && day[0].len() == 10, "{day:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_files_are_each_taken_once() {
    let root = root();
    for number in 0..1000 {
        drop_file(root.path(), format!("{number:04}.hl7"), &message(&format!("M-{number}")));
    }
    let stage = stage(root.path(), put_away()).await;
    stage
        .told(|stories| stories.iter().filter(|(_, words)| words.contains("moved to done")).count() == 1000)
        .await;
    assert_eq!((stage.messages().len(), names(root.path().join("done")).len()), (1000, 1000));
}
