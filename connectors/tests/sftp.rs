//! Files on a real OpenSSH server: taken, put, cut off in between, and who is let in where.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use engine::{Destination, Hindrance, ReplyWords, SendError, Shares};
use serde_json::{Value, json};
use stage::{Sshd, Stage, destination, destination_in, fact, message, named, opening, source, telling};

async fn taking(sshd: &Sshd, root: &Path, more: Value) -> Stage {
    let mut settings = sshd.settings(json!({
        "dir": "in", "complete": "renamed", "every": "200ms",
        "done": "done", "refused": "refused", "failed": "../failed",
    }));
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Stage::fetching("sftp", root, settings, ReplyWords::default()).await
}

async fn putting(sshd: &Sshd, more: Value) -> Box<dyn Destination> {
    let mut settings = sshd.settings(json!({ "dir": "out" }));
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    destination("sftp", settings, Path::new("/")).await
}

fn drop_file(sshd: &Sshd, name: impl AsRef<OsStr>, content: &str) {
    fs::write(sshd.path("writing.tmp"), content).unwrap();
    fs::rename(sshd.path("writing.tmp"), sshd.path("in").join(name.as_ref())).unwrap();
}

fn names(folder: PathBuf) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|entries| {
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_taken_once_whatever_their_names_and_go_where_they_belong() {
    let (sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    for (name, content) in [
        (OsStr::new("good.hl7"), message("M-1")),
        (OsStr::new("refused.hl7"), telling("M-2", "refuse")),
        (OsStr::new("broken.hl7"), telling("M-3", "break")),
        (OsStr::from_bytes(b"z\xff \n'$(x).hl7"), message("M-4")),
        (OsStr::new("empty.hl7"), String::new()),
    ] {
        drop_file(&sshd, name, &content);
    }
    std::os::unix::fs::symlink("/etc/passwd", sshd.path("in/link.hl7")).unwrap();
    let stage = taking(&sshd, root.path(), json!({})).await;
    stage.told(|stories| stories.iter().filter(|(_, words)| words.contains("moved to")).count() == 5).await;
    drop_file(&sshd, "good.hl7", &message("M-5"));
    stage.tells("good.hl7", "moved to in/done/good-1.hl7").await;
    assert_eq!(names(sshd.path("in/done")).len(), 3);
    assert!(sshd.path("in/done").join(OsStr::from_bytes(b"z\xff \n'$(x).hl7")).exists());
    assert_eq!(names(sshd.path("in/refused")), ["empty.hl7", "refused.hl7"]);
    assert_eq!(names(sshd.path("failed")), ["broken.hl7"]);
    assert_eq!(names(sshd.path("in")), [".relais", "done", "link.hl7", "refused"]);
    assert_eq!((stage.messages().len(), names(sshd.path("in/.relais"))), (6, Vec::<String>::new()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_off_is_a_state_and_nothing_is_taken_twice() {
    let (mut sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    let stage = taking(&sshd, root.path(), json!({})).await;
    for round in 0..3 {
        for number in 0..40 {
            drop_file(&sshd, format!("{round}-{number}.hl7"), &message(&format!("M-{round}-{number}")));
        }
        stage.ended(round * 40 + 5).await;
        sshd.cut();
        stage.trouble(Some("127.0.0.1")).await;
        sshd.go();
        stage.trouble(None).await;
        let moved = (round + 1) * 40;
        stage
            .told(|stories| {
                stories.iter().filter(|(_, words)| words.contains("moved to") || words == "gone").count()
                    >= moved
            })
            .await;
    }
    assert_eq!((stage.messages().len(), names(sshd.path("in/done")).len()), (120, 120));
}

/// The day goes by on the runtime's clock; the server is away in truth.
#[tokio::test]
async fn a_server_that_is_off_for_a_day_is_caught_up_with_oldest_first() {
    let (mut sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    let stage = taking(&sshd, root.path(), json!({})).await;
    drop_file(&sshd, "before.hl7", &message("before"));
    stage.tells("before.hl7", "moved to").await;
    sshd.cut();
    stage.trouble(Some("cannot connect to")).await;
    tokio::time::pause();
    let now = SystemTime::now();
    // By their names they would come the other way around.
    let names: Vec<_> = (1..=24).rev().map(|hours| format!("{hours:02}.hl7")).collect();
    for (hour, name) in names.iter().enumerate() {
        drop_file(&sshd, name, &message(name));
        let file = fs::File::options().write(true).open(sshd.path("in").join(name)).unwrap();
        file.set_modified(now - Duration::from_hours(24 - hour as u64)).unwrap();
        tokio::time::sleep(Duration::from_hours(1)).await;
    }
    assert_eq!(stage.messages().len(), 1, "it is off");
    sshd.go();
    // Whatever the pause between two tries has grown to.
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
    stage.told(|stories| stories.iter().filter(|(_, words)| words.contains("moved to")).count() == 25).await;
    stage.trouble(None).await;
    let came: Vec<_> =
        stage.messages().iter().map(|one| fact(&one.message.facts, "name").unwrap().to_owned()).collect();
    assert_eq!(came[1..], names);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_the_server_or_not_let_in_is_said_in_words() {
    let (sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    sshd.generate("other", "ed25519", "");
    sshd.generate("of_another_kind", "ecdsa", "");
    let address = sshd.address();
    let host = |key: &str| format!("[{}]:{} {}\n", address.ip(), address.port(), sshd.public_key(key));
    fs::write(sshd.path("changed"), format!("# who is who\nexample.org ssh-rsa AAAA\n{}", host("other")))
        .unwrap();
    fs::write(sshd.path("empty"), "").unwrap();
    fs::write(sshd.path("right"), host("host")).unwrap();
    let nobody = json!(null);
    let listed = |file: &str| json!({ "host_key": nobody, "known_hosts": sshd.path(file) });
    for (more, words) in [
        (
            json!({ "host_key": sshd.public_key("other") }),
            "it showed another key than `host_key` says, ssh-ed25519 SHA256:",
        ),
        (
            json!({ "host_key": sshd.public_key("of_another_kind") }),
            "it has no key of the kind that `host_key` says, ecdsa-sha2-nistp256; it offers ssh-ed25519: either",
        ),
        (listed("changed"), "/changed` says, ssh-ed25519 SHA256:"),
        (listed("empty"), "does not know it; it showed ssh-ed25519 SHA256:"),
        (listed("missing"), "is not there"),
        (json!({ "key": sshd.path("other") }), "the key of user"),
        (json!({ "key": nobody, "password": "wrong" }), "the password of user"),
        (json!({ "dir": "nowhere" }), "there is no folder `nowhere` on 127.0.0.1:"),
        (json!({ "port": stage::free_address().port() }), "Connection refused"),
    ] {
        let settings = source("sftp", sshd.settings(add(json!({ "dir": "in" }), &more)));
        let error = settings.reach(&opening(root.path())).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("wrong"), "no secret in {error}");
    }
    let settings = source("sftp", sshd.settings(add(json!({ "dir": "in" }), &listed("right"))));
    settings.reach(&opening(root.path())).await.unwrap();
    let spoken = settings.spoken(&opening(root.path())).await.unwrap();
    assert!(spoken.contains("ssh-ed25519") && spoken.contains("sha256"), "{spoken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_us_is_not_asked_again_and_again() {
    let (sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    sshd.generate("stranger", "ed25519", "");
    let settings = source("sftp", sshd.settings(json!({ "dir": "in", "key": sshd.path("stranger") })));
    let opening = opening(root.path());
    let backlog = settings.backlog(&opening).unwrap();
    let asked = || {
        let log = fs::read_to_string(sshd.path("log")).unwrap();
        let ports = log.lines().filter(|line| line.contains("[preauth]"));
        ports.filter_map(|line| line.split(" port ").nth(1)?.split(' ').next().map(str::to_owned)).collect()
    };
    let began = Instant::now();
    // Longer than one that cannot be reached is left alone.
    while began.elapsed() < Duration::from_millis(2500) {
        let error = backlog.waiting(1).await.unwrap_err().to_string();
        assert!(error.contains("was refused") && error.contains("every five minutes"), "{error}");
    }
    let asked: HashSet<String> = asked();
    assert!(asked.len() <= 1, "{asked:?}");
    sshd.let_in("stranger");
    settings.reach(&opening).await.unwrap();
}

fn add(mut settings: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_sign_in_and_old_algorithms_only_where_they_are_named() {
    let (sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    for (kind, passphrase) in [("rsa", ""), ("ecdsa", ""), ("ed25519", "open sesame"), ("rsa", "open sesame")]
    {
        sshd.generate("mine", kind, passphrase);
        sshd.let_in("mine");
        let key = json!({ "dir": "in", "key": sshd.path("mine"), "passphrase": passphrase });
        let settings = source("sftp", sshd.settings(key));
        settings.reach(&opening(root.path())).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    let locked = json!({ "dir": "in", "key": sshd.path("mine") });
    let error = source("sftp", sshd.settings(locked)).reach(&opening(root.path())).await.unwrap_err();
    assert!(error.to_string().contains("`passphrase` opens it"), "{error}");

    let old = Sshd::with("MACs hmac-sha1\nCiphers aes128-ctr\nKexAlgorithms diffie-hellman-group14-sha1\n");
    let error =
        source("sftp", old.settings(json!({ "dir": "in" }))).reach(&opening(root.path())).await.unwrap_err();
    assert!(error.to_string().contains("no algorithm in common"), "{error}");
    let named = json!({ "dir": "in", "old_algorithms": ["hmac-sha1", "diffie-hellman-group14-sha1"] });
    source("sftp", old.settings(named)).reach(&opening(root.path())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_put_is_whole_has_its_name_and_never_another_ones() {
    let sshd = Sshd::start();
    let files = putting(&sshd, json!({})).await;
    let big = "x".repeat(3_000_000);
    for (name, content) in [("a.hl7", "one"), ("sub/é/b.hl7", "two"), ("big.hl7", &big)] {
        let response = files.send(&named(name, content)).await.unwrap();
        assert_eq!(response.facts["path"], format!("out/{name}"));
        assert_eq!(fs::read_to_string(sshd.path("out").join(name)).unwrap(), content);
    }
    assert_eq!(files.send(&named("a.hl7", "one")).await.unwrap().facts["name"], "a.hl7", "the same again");
    assert_eq!(files.send(&named("a.hl7", "other")).await.unwrap().facts["name"], "a-1.hl7");
    assert_eq!(names(sshd.path("out")), ["a-1.hl7", "a.hl7", "big.hl7", "sub"]);
    assert!(matches!(files.send(&named("../x", "")).await, Err(SendError::Refused { .. })));
    std::os::unix::fs::symlink("/", sshd.path("out/away")).unwrap();
    assert!(matches!(files.send(&named("away/tmp/x", "")).await, Err(SendError::Refused { .. })));

    let replacing = putting(&sshd, json!({ "existing": "replace" })).await;
    replacing.send(&named("a.hl7", "new")).await.unwrap();
    assert_eq!(fs::read_to_string(sshd.path("out/a.hl7")).unwrap(), "new");
    let refusing = putting(&sshd, json!({ "existing": "refuse" })).await;
    assert!(matches!(refusing.send(&named("a.hl7", "newer")).await, Err(SendError::Refused { .. })));
    let missing = putting(&sshd, json!({ "dir": "nowhere" })).await;
    assert!(matches!(missing.send(&named("a", "")).await, Err(SendError::NotDelivered { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_is_written_on() {
    let mut sshd = Sshd::start();
    let files = putting(&sshd, json!({})).await;
    let content = (0..400_000).map(|number: u32| format!("{number:>9}")).collect::<Vec<_>>().join("\n");
    let outbound = named("big.txt", &content);
    let hidden = sshd.path("out").join(format!(".{:.32}.tmp", outbound.effect.to_string()));
    // The end of what an earlier try wrote never reached the disk.
    let mut torn = content.as_bytes()[..3_000_000].to_vec();
    torn[2_900_000..].fill(0);
    fs::write(&hidden, torn).unwrap();
    sshd.cut();
    assert!(matches!(files.send(&outbound).await, Err(SendError::NotDelivered { .. })));
    sshd.go();
    tokio::time::timeout(Duration::from_millis(1100), std::future::pending::<()>()).await.unwrap_err();
    files.send(&outbound).await.unwrap();
    assert!(fs::read_to_string(sshd.path("out/big.txt")).unwrap() == content);
    assert!(!hidden.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_server_is_said_in_words_and_leaves_nothing_half() {
    let sshd = Sshd::on_small_disk("out", "1m");
    let files = putting(&sshd, json!({})).await;
    match files.send(&named("big.hl7", "x".repeat(2_000_000))).await {
        Err(SendError::NotDelivered { why, by, .. }) => {
            assert!(why.starts_with("no space left in `out` on 127.0.0.1:"), "{why}");
            assert_eq!(by, Some(Hindrance::NoRoom));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(names(sshd.inside("out")), Vec::<String>::new());
    files.send(&named("small.hl7", "fits")).await.unwrap();
    assert_eq!(fs::read_to_string(sshd.inside("out/small.hl7")).unwrap(), "fits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_ordinary_user_serves_theirs_and_says_what_it_may_not() {
    let (sshd, root) = (Sshd::ordinary(), tempfile::tempdir().unwrap());
    drop_file(&sshd, "a.hl7", &message("M-1"));
    let stage = taking(&sshd, root.path(), json!({})).await;
    stage.tells("a.hl7", "moved to in/done/a.hl7").await;
    let may = |mode: u32| fs::set_permissions(sshd.path("in"), fs::Permissions::from_mode(mode)).unwrap();
    may(0o000);
    stage.trouble(Some("ermission denied")).await;
    may(0o755);
    stage.trouble(None).await;
    drop_file(&sshd, "b.hl7", &message("M-2"));
    stage.tells("b.hl7", "moved to in/done/b.hl7").await;
    // What may be read and not moved is left, and said once.
    may(0o555);
    let put = putting(&sshd, json!({ "dir": "in" })).await;
    match put.send(&named("c.hl7", "x")).await {
        Err(SendError::NotDelivered { why, by, .. }) => {
            assert!(why.contains("ermission denied"), "{why}");
            assert_eq!(by, Some(Hindrance::SignedOut));
        }
        other => panic!("{other:?}"),
    }
    may(0o755);
    assert_eq!(stage.messages().len(), 2);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_of_one_server_share_its_connection() {
    let (sshd, root) = (Sshd::start(), tempfile::tempdir().unwrap());
    let opening = engine::Opening { shares: Shares::default(), ..opening(root.path()) };
    let mut all = Vec::new();
    for number in 0..5 {
        let settings = sshd.settings(json!({ "dir": "out", "name": format!("{number}.hl7") }));
        all.push(destination_in("sftp", settings, &opening).await);
    }
    for (number, one) in all.iter().enumerate() {
        one.send(&stage::outbound(format!("{number}"))).await.unwrap();
    }
    assert_eq!((sshd.connections(), names(sshd.path("out")).len()), (1, 5));
    drop(all);
}

#[test]
fn what_would_let_anybody_in_or_nobody_is_found_beforehand() {
    let wrong = |settings: Value| {
        let mut found = Vec::new();
        source("sftp", settings).check(&mut engine::Checks::new(engine::Path::default(), &mut found));
        found.into_iter().map(|fault| fault.code).collect::<Vec<_>>()
    };
    let base = json!({ "host": "h", "user": "u", "dir": "in", "delete": true });
    assert_eq!(wrong(base.clone()), ["missing-field"]);
    assert_eq!(wrong(add(base.clone(), &json!({ "passphrase": "x", "agent": true }))), ["missing-field"]);
    let odd = json!({ "agent": true, "known_hosts": "k", "old_algorithms": ["rot13"] });
    assert_eq!(wrong(add(base.clone(), &odd)), ["unknown-word"]);
    let mut found = Vec::new();
    let kind = connectors::find("sftp").unwrap().source.as_ref().unwrap();
    let settings = add(base, &json!({ "key": "none", "host_key": "no key", "known_hosts": "none" }));
    (kind.examine)(settings, Path::new("/"), &mut engine::Checks::new(engine::Path::default(), &mut found));
    assert_eq!(found.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["ssh-key"; 3]);
}
