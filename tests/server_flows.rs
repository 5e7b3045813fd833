//! Files through the real binary and a real OpenSSH server: each once, whatever is cut, killed, poisoned or replaced.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use serde_json::json;
use tests::{Project, Sshd, comes_true, wait_until};

/// The settings of a connection as YAML in one line.
fn server(sshd: &Sshd) -> String {
    let settings = sshd.settings(json!({ "timeout": "5s" }));
    let text = settings.to_string();
    text.trim_start_matches('{').trim_end_matches('}').to_owned()
}

fn drop_file(folder: &Path, name: impl AsRef<OsStr>, content: &str) {
    let hidden = folder.join("../writing.tmp");
    fs::write(&hidden, content).unwrap();
    fs::rename(hidden, folder.join(name.as_ref())).unwrap();
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| {
        entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count()
    })
}

/// A program that remembers each effect by the file it came from, and takes no poison.
const LOADER: &str = r#"grep -q POISON && { echo "this is poison" >&2; exit 1; }
mkdir -p "effects/$RELAIS_EFFECT" && printf '%s' "$RELAIS_FILE_NAME" > "effects/$RELAIS_EFFECT/name"
echo "loaded $RELAIS_FILE_NAME"
"#;

fn flow(project: &Project, sshd: &Sshd) {
    project.write("load.sh", LOADER);
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {}, dir: in, every: 500ms, done: ../done, refused: ../refused, \
             failed: ../failed, \
             answer: {{ dir: ../out, name: \"{{stem}}.ack\" }} }}\nreply: {{ from: loader }}\ndestinations:\n  - name: loader\n    to:\n      exec: {{ run: [sh, load.sh], answer: stdout }}\n    \
             when_unsure: resend\n    order: none\n    workers: 4\n    retry: {{ first: 100ms, longest: 1s }}\n",
            server(sshd)
        ),
    );
}

/// How often each file was processed, by what the loader was told.
fn processed(project: &Project) -> BTreeMap<String, usize> {
    let mut files = BTreeMap::new();
    for effect in fs::read_dir(project.path("effects")).into_iter().flatten() {
        let name = fs::read_to_string(effect.unwrap().path().join("name")).unwrap_or_default();
        *files.entry(name).or_default() += 1;
    }
    files
}

#[test]
fn a_thousand_files_are_processed_once_though_the_server_is_cut_and_the_engine_killed() {
    // A server that is not root's; those of the other tests are.
    let (mut sshd, project) = (Sshd::ordinary(), Project::new());
    let (incoming, done) = (sshd.path("in"), sshd.path("done"));
    flow(&project, &sshd);
    let growing = Growing::file(incoming.join("growing.txt"));
    let mut relais = project.start();
    for number in 0..1000 {
        drop_file(&incoming, format!("{number:04}.txt"), &format!("file {number}"));
    }
    drop_file(&incoming, "poison.txt", "POISON");
    drop_file(&incoming, OsStr::from_bytes(b"z\xff $(touch pwned)'.txt"), "hostile");
    for step in 1..=9 {
        let went_on = comes_true(Duration::from_mins(2), || count(&done) >= step * 100);
        assert!(went_on, "step {step}: {} done\n{}", count(&done), relais.log());
        if step % 3 == 0 {
            sshd.cut();
            sshd.go();
        } else {
            relais.kill();
            relais = project.start();
        }
    }
    assert!(!done.join("growing.txt").exists(), "taken while it grew");
    drop(growing);
    // By now the first of this name has gone; another one comes under it.
    drop_file(&incoming, "0000.txt", "file 0 again");
    let all = 1000 + 3;
    let is_away = || count(&done) == all && sshd.path("refused/poison.txt").exists();
    let is_done = comes_true(Duration::from_mins(3), is_away);
    assert!(is_done, "{} done, {} in the folder\n{}", count(&done), count(&incoming), relais.log());
    let files = processed(&project);
    assert_eq!(files.len(), all - 1);
    let often: Vec<_> =
        files.iter().filter(|(name, times)| **times != usize::from(*name == "0000.txt") + 1).collect();
    assert!(often.is_empty(), "not once: {often:?}");
    assert!(files.contains_key(r"z\xFF $(touch pwned)'.txt") && !project.path("pwned").exists());
    assert_eq!(fs::read_to_string(done.join("0000-1.txt")).unwrap(), "file 0 again");
    assert_eq!(count(&incoming), 0);
    answered_once(&sshd.path("out"), all);
    let refused = project.relais(&["find", "--state", "given_up", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    let id = found[0]["id"].to_string();
    let shown = String::from_utf8(project.relais(&["show", &id]).stdout).unwrap();
    assert!(shown.contains("this is poison"), "{shown}");
    told_truly(&project, all);
    assert!(relais.terminate().success());
}

/// Nothing waits any more, and the report's numbers are those of the files that were dropped.
fn told_truly(project: &Project, done: usize) {
    let asked = |arguments: &[&str]| -> serde_json::Value {
        let output = project.relais(&[arguments, &["--format", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    wait_until("nothing waits", || asked(&["pending"]).as_array().unwrap().is_empty());
    let report = asked(&["report", "flow"]);
    let count = |name: &str| report["total"][name].as_u64().unwrap();
    let names = ["received", "processed", "refused", "failed", "given_up", "in_doubt", "waiting"];
    assert_eq!(names.map(count), [done as u64 + 1, done as u64, 0, 0, 1, 0, 0], "{}", report["total"]);
    let plan = asked(&["retry", "flow", "--plan"]);
    let files: Vec<_> = plan.as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["poison.txt"], "{plan}");
}

/// A file that somebody writes on and on, until this is dropped.
struct Growing(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Growing {
    fn file(at: PathBuf) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let writing = std::thread::spawn(move || {
            let mut file = fs::File::create(at).unwrap();
            while !comes_true(Duration::from_millis(100), || over.load(Ordering::SeqCst)) {
                file.write_all(b"more\n").unwrap();
            }
        });
        Self(is_over, Some(writing))
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.take().unwrap().join().unwrap();
    }
}

/// Each file has one answer, with the program's words.
fn answered_once(folder: &Path, all: usize) {
    let mut words = Vec::new();
    for answer in fs::read_dir(folder).unwrap() {
        words.push(fs::read_to_string(answer.unwrap().path()).unwrap());
    }
    words.sort();
    // What the program said of the poison is an answer too.
    let other: Vec<_> = words.extract_if(.., |words| !words.starts_with("loaded ")).collect();
    let twice: Vec<_> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert_eq!((words.len(), other.len()), (all, 1), "{other:?} {twice:?}");
    assert_eq!(twice, [["loaded 0000.txt\n", "loaded 0000.txt\n"]], "that name came twice");
}

#[test]
fn a_dropped_file_is_delivered_within_three_seconds() {
    let (sshd, project) = (Sshd::start(), Project::new());
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {}, dir: in, complete: renamed, done: done }}\ndestinations:\n  - \
             name: archive\n    to:\n      file: {{ dir: out, name: \"${{source.name}}\" }}\n",
            server(&sshd)
        ),
    );
    let _relais = project.start();
    // A thousand a minute.
    let pause = Duration::from_millis(60);
    let files = 200;
    let began = Instant::now();
    let mut dropped = Vec::new();
    for number in 0..files {
        assert!(!comes_true((pause * number).saturating_sub(began.elapsed()), || false));
        let name = format!("{number}.txt");
        drop_file(&sshd.path("in"), &name, "file");
        dropped.push((name, SystemTime::now()));
    }
    wait_until("all are delivered", || project.files("out").len() == files as usize);
    let mut times: Vec<Duration> = dropped
        .iter()
        .map(|(name, since)| {
            let delivered = fs::metadata(project.path("out").join(name)).unwrap().modified().unwrap();
            delivered.duration_since(*since).unwrap_or_default()
        })
        .collect();
    times.sort();
    let p95 = times[times.len() * 95 / 100];
    assert!(p95 < Duration::from_secs(3), "p95 is {p95:?}");
}

#[test]
fn a_hundred_thousand_waiting_files_take_little_memory_and_do_not_stall_the_flow() {
    let project = Project::new();
    project.channel(
        "flow",
        "name: flow\nformat: text\nsource:\n  file: { dir: in, done: done, sort: name }\ndestinations: []\n",
    );
    fs::create_dir_all(project.path("in")).unwrap();
    crowded(&project, &project.path("in"), &project.path("done"));
}

#[test]
fn a_hundred_thousand_files_waiting_on_a_server_take_little_memory_and_do_not_stall_the_flow() {
    let (sshd, project) = (Sshd::start(), Project::new());
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {}, dir: in, complete: renamed, done: ../done, sort: name }}\n\
             destinations: []\n",
            server(&sshd)
        ),
    );
    crowded(&project, &sshd.path("in"), &sshd.path("done"));
}

/// A hundred thousand files wait in a folder when the flow starts.
fn crowded(project: &Project, incoming: &Path, done: &Path) {
    for number in 0..100_000 {
        fs::write(incoming.join(format!("{number:06}.txt")), "file").unwrap();
    }
    let relais = project.start();
    wait_until("the first are taken", || count(done) >= 2000);
    let status = fs::read_to_string(format!("/proc/{}/status", relais.process())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 100 * 1024, "{peak} KiB at most");
}

#[test]
fn a_flow_says_in_its_status_what_keeps_it_from_taking_files() {
    let (mut sshd, project) = (Sshd::start(), Project::new());
    flow(&project, &sshd);
    fs::remove_dir(sshd.path("in")).unwrap();
    let _relais = project.start();
    let says = |words: &str| {
        wait_until(words, || {
            let status = project.relais(&["status"]);
            String::from_utf8_lossy(&status.stdout).contains(words)
        });
    };
    says("there is no folder `in` on 127.0.0.1:");
    sshd.cut();
    says("Connection refused");
    fs::create_dir(sshd.path("in")).unwrap();
    sshd.go();
    drop_file(&sshd.path("in"), "a.txt", "file");
    wait_until("it goes on by itself", || count(&sshd.path("done")) == 1);
    let checked = project.relais(&["check", "--connect"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("spoken with 127.0.0.1:"), "{said}");
}
