//! A backup taken under load is brought back, found sound, and delivers what waited; damage is found where it is.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use tests::{Behaviour, Project, Receiver, Sender, free_port, message, mshfield, wait_until};

const SENDERS: usize = 4;

/// A project whose one channel hands on to a peer that is not there yet.
fn project(listen: u16, record: u16) -> Project {
    let project = Project::new();
    project.channel(
        "ward",
        &format!(
            "name: ward\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\n\
             destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{record}\" }}\n\
             \x20   retry: {{ first: 50ms, longest: 200ms }}\n"
        ),
    );
    project
}

/// Senders that go on until they are told to stop; what they were told is accepted.
struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<Mutex<Vec<String>>>,
    sending: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(listen: u16) -> Self {
        let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let sending = (0..SENDERS).map(|sender| {
            let (stop, accepted) = (Arc::clone(&stop), Arc::clone(&accepted));
            std::thread::spawn(move || {
                let mut connection = Sender::connect(listen).expect("the channel listens");
                for number in 0.. {
                    let id = format!("L{sender}-{number}");
                    let answer = connection.send(&message(&id, &sender.to_string())).expect("it answers");
                    assert_eq!(mshfield(&answer, "MSA", 1), "AA");
                    accepted.lock().expect("nobody panicked").push(id);
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                }
            })
        });
        let sending = sending.collect();
        Self { stop, accepted, sending }
    }

    fn accepted(&self) -> Vec<String> {
        self.accepted.lock().expect("nobody panicked").clone()
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.sending.into_iter().for_each(|sending| sending.join().expect("a sender saw nothing wrong"));
    }
}

/// Runs a command that is to leave with this code; what it said.
#[track_caller]
fn says(project: &Project, arguments: &[&str], code: i32) -> String {
    let output = project.relais(arguments);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

#[test]
fn what_waited_when_a_backup_was_taken_under_load_is_delivered_by_the_store_that_is_brought_back() {
    let (listen, record) = (free_port(), free_port());
    let project = project(listen, record);
    let relais = project.start();
    let mut large = message("LARGE", "1");
    large.extend_from_slice(format!("NTE|1||{}\r", "x".repeat(1 << 21)).as_bytes());
    let answer = Sender::connect(listen).and_then(|mut sender| sender.send(&large)).expect("it answers");
    assert_eq!(mshfield(&answer, "MSA", 1), "AA");
    let load = Load::start(listen);
    wait_until("some were accepted", || load.accepted().len() > 100);
    let before = load.accepted();
    says(&project, &["backup", "backup"], 0);
    let (first, after) = (before.len(), load.accepted().len());
    assert!(after > first, "messages come in while the backup is taken");
    load.stop();
    relais.kill();

    // The disk is gone, and everything on it.
    fs::remove_dir_all(project.path("data")).expect("it was there");
    assert!(says(&project, &["verify", "backup"], 0).contains("nothing is wrong"));
    assert!(says(&project, &["restore", "backup", "--hold"], 0).contains("every destination is held"));
    assert!(says(&project, &["verify"], 0).contains("nothing is wrong"));

    let receiver = Receiver::listen(record, Behaviour::Code("AA"));
    let relais = project.start();
    assert!(says(&project, &["status"], 0).contains("held"));
    assert_eq!(receiver.count(), 0, "what may have been sent since waits for a person");
    says(&project, &["release", "ward/record"], 0);
    let depth = "relais_queue_depth{channel=\"ward\",destination=\"record\"}";
    wait_until("nothing waits", || relais.metric(depth) == Some(0.0));
    let arrived = receiver.received();
    let ids: Vec<String> = arrived.iter().map(|message| mshfield(message, "MSH", 10)).collect();
    let missing: Vec<&String> = before.iter().filter(|id| !ids.contains(id)).collect();
    assert!(missing.is_empty(), "accepted before the backup began, and not delivered: {missing:?}");
    assert!(arrived.iter().any(|message| message == &large), "the large one is as it came");
    assert_eq!(receiver.count(), ids.iter().collect::<std::collections::BTreeSet<_>>().len());

    assert!(relais.terminate().success());
    damage_is_found(&project);
}

/// One byte is turned in each kind of file, and turned back.
fn damage_is_found(project: &Project) {
    assert!(says(project, &["verify"], 0).contains("nothing is wrong"));
    let span = only_file(&project.path("data/spans"), |path| path.extension().is_some_and(|end| end == "db"));
    let name = span.file_name().expect("a file has a name").to_string_lossy().into_owned();
    // Packed bytes begin so; some of them nobody needs any more.
    let packed: Vec<usize> = positions(&span, b"\x28\xb5\x2f\xfd").map(|at| at + 12).collect();
    finds(project, (&span, &packed), &[&name]);
    let large = only_file(&project.path("data/large"), |_| true);
    let name = large.file_name().expect("a file has a name").to_string_lossy().into_owned();
    finds(project, (&large, &[1 << 20]), &[&name, "not those that were kept: 1"]);
    // After an end that was not in order the newest segment tells how far the journal went.
    project.start().kill();
    let newest = only_file(&project.path("data/journal"), |path| {
        let turn = |path: &Path| fs::read(path).expect("it can be read")[24..32].to_vec();
        let all = fs::read_dir(path.parent().expect("it lies in a folder")).expect("it is there");
        all.flatten().all(|other| turn(&other.path()) <= turn(path))
    });
    finds(
        project,
        (&newest, &[20]),
        &[
            "journal",
            &format!("journal/{}", newest.file_name().unwrap_or_default().display()),
            "its beginning cannot be read",
        ],
    );
    assert!(says(project, &["verify"], 0).contains("nothing is wrong"));
}

/// Turns a byte at each place, has the store verified, and turns them back.
#[track_caller]
fn finds(project: &Project, (path, places): (&Path, &[usize]), words: &[&str]) {
    let sound = fs::read(path).expect("it can be read");
    let mut turned = sound.clone();
    for at in places {
        turned[*at] ^= 0x10;
    }
    fs::write(path, turned).expect("it can be written");
    let said = says(project, &["verify"], 1);
    fs::write(path, sound).expect("it can be written");
    for word in words {
        assert!(said.contains(word), "`{word}` is not said of {}:\n{said}", path.display());
    }
}

fn only_file(folder: &Path, is_meant: impl Fn(&Path) -> bool) -> PathBuf {
    let mut found = fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    found.find(|path| is_meant(path)).expect("such a file is there")
}

fn positions(path: &Path, what: &'static [u8]) -> impl Iterator<Item = usize> {
    let bytes = fs::read(path).expect("it can be read");
    let is_there = move |at: &usize| bytes[*at..].starts_with(what) && at + 12 < bytes.len();
    (0..fs::metadata(path).expect("it is there").len() as usize).filter(is_there)
}

/// What a backup leaves out: what opens the server, and what tells of one run alone.
const OF_ONE_RUN: [&str; 8] =
    ["key", "address", "lock", "marks", "growth", "ended-well", "directory.db-wal", "directory.db-shm"];

/// Every file of a folder, as its path from there.
fn all_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(all_files(&entry.path()).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(name);
        }
    }
    found
}

fn json(project: &Project, arguments: &[&str]) -> serde_json::Value {
    let output = project.relais(arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// How many messages of a channel there are.
fn messages(project: &Project, channel: &str) -> usize {
    let found = json(project, &["find", "--channel", channel, "--limit", "1000", "--format", "json"]);
    found.as_array().map_or(0, Vec::len)
}

/// Each file of the store's folder is in the backup, or is known to be left out.
fn nothing_is_left_out(project: &Project) {
    let saved = fs::read_to_string(project.path("backup/SHA256SUMS")).expect("the backup is whole");
    let saved: Vec<&str> =
        saved.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    let is_of_one_run = |name: &str| {
        OF_ONE_RUN.contains(&name)
            || name.starts_with("journal/")
            || name.ends_with("-wal")
            || name.ends_with("-shm")
    };
    let left_out: Vec<String> = all_files(&project.path("data"))
        .into_iter()
        .filter(|name| !saved.contains(&name.as_str()) && !is_of_one_run(name))
        .collect();
    assert!(left_out.is_empty(), "files of the store's folder that a backup leaves out: {left_out:?}");
    for name in ["directory.db", "accounts.json", "audit.jsonl", "in-force.json"] {
        assert!(saved.contains(&name), "{name}: {saved:?}");
    }
    assert!(saved.iter().any(|name| name.starts_with("notes/")), "{saved:?}");
}

#[test]
fn a_directory_comes_back_as_of_the_instant_of_its_messages_and_everything_else_that_is_kept_with_it() {
    let annuaire = tests::Annuaire::start(&["--practitioners", "200"]);
    let project = Project::new();
    project.write("in/1.txt", "one");
    project.channel(
        "drop",
        "name: drop\nsource:\n  file: { dir: in, complete: stable, every: 100ms }\nformat: binary\n\
         destinations:\n  - name: files\n    to:\n      file: { dir: dropped }\n",
    );
    project.channel(
        "people",
        &format!(
            "name: people\nsource:\n  annuaire: {{ base: \"{}\", resources: [Practitioner], every: 1h, page: 5, rate: 10/s }}\n\
             destinations:\n  - name: directory\n    to:\n      directory: {{}}\n",
            annuaire.base()
        ),
    );
    let sync = || json(&project, &["sync", "list", "--format", "json"])[0].clone();
    let relais = project.start();
    relais.account("ada", "operator", &[]);
    wait_until("the file is taken", || project.files("dropped").len() == 1);
    wait_until("some pages are taken", || sync()["pages"].as_u64() >= Some(8));
    says(&project, &["backup", "backup"], 0);
    assert_ne!(sync()["state"], "OK", "the backup was taken in the middle");
    nothing_is_left_out(&project);

    // It goes on and sends more; all of that is lost, and one of them changes once again.
    let at_first = r#"{"do": "change", "ids": ["003-9000001-9100001"]}"#;
    annuaire.happen(at_first);
    wait_until("everything is here", || sync()["state"] == "OK");
    relais.kill();
    fs::remove_dir_all(project.path("data")).expect("it was there");
    annuaire.happen(at_first);
    assert!(says(&project, &["verify", "backup"], 0).contains("nothing is wrong"));
    says(&project, &["restore", "backup"], 0);
    assert!(says(&project, &["verify"], 0).contains("nothing is wrong"));
    let relais = project.start();
    wait_until("everything is here again", || sync()["state"] == "OK");
    wait_until("nothing waits", || sync()["waiting"].as_u64().unwrap_or_default() == 0);
    assert_eq!(sync()["resources"], 200);
    assert!(sync()["pages"].as_u64() < Some(44), "it went on where it stood: {}", sync());
    assert_eq!(messages(&project, "people"), 201, "each left once, and one of them changed");
    assert!(says(&project, &["account", "list"], 0).contains("ada"));
    assert!(says(&project, &["audit", "verify"], 0).contains("each follows the one before"));
    assert!(relais.terminate().success());
    assert_eq!(project.files("dropped").len(), 1, "what was taken is not taken again");
    damaged_beside(&project);
}

/// Damage of what lies beside the messages is found where it is.
fn damaged_beside(project: &Project) {
    let directory = project.path("data/directory.db");
    let packed: Vec<usize> = positions(&directory, b"\x28\xb5\x2f\xfd").map(|at| at + 12).collect();
    finds(project, (&directory, &packed), &["directory.db: resources cannot be unpacked", "Practitioner/"]);
    for file in ["accounts.json", "in-force.json"] {
        finds(project, (&project.path(&format!("data/{file}")), &[0]), &[&format!("{file}: ")]);
    }
    finds(project, (&project.path("data/audit.jsonl"), &[3]), &["audit.jsonl: "]);
}

/// Nothing is left in the logs beside its files, and the next start need not think of a crash.
#[test]
fn a_server_that_is_asked_to_stop_ends_its_store_in_order() {
    let (listen, record) = (free_port(), free_port());
    let project = project(listen, record);
    let relais = project.start();
    let answer = Sender::connect(listen)
        .and_then(|mut sender| sender.send(&message("M1", "1")))
        .expect("the channel answers");
    assert_eq!(mshfield(&answer, "MSA", 1), "AA");
    assert!(relais.terminate().success());
    assert!(project.path("data/ended-well").exists(), "it says that it ended in order");
    let logs = fs::read_dir(project.path("data/spans")).expect("the folder is there");
    let logs = logs.map(|file| file.expect("it can be read")).filter(|file| {
        file.file_name().to_string_lossy().ends_with("-wal")
            && file.metadata().is_ok_and(|file| file.len() > 0)
    });
    assert_eq!(logs.count(), 0, "what was written is in the files");
}
