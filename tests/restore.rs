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
