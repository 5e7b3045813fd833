//! Instances that are longer than memory should be: taken, changed in their header, sent on, with the plug pulled in between.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tests::{LongInstance, Orthanc, Project, Sshd, free_port, wait_until};

/// Long enough that it cannot hide in what the process takes anyway.
const BLOCKS: u32 = 200;
/// What the process may take at most, in megabytes, built without optimization.
const MOST: u64 = 150;

const STEPS: &str = "steps:\n  - set: { PatientID: 'HOP-${msg[\"PatientID\"]}' }\n";

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.flatten().count())
}

/// Bytes of an instance that is on its way in.
fn spooled(project: &Project) -> u64 {
    let entries = fs::read_dir(project.path("data/spool")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// A channel that takes what is posted, or what comes by association, into a folder of its name.
fn receiver(project: &Project, name: &str, source: &str) {
    let to = format!("to:\n      file: {{ dir: {name}, name: '${{msg[\"SOPInstanceUID\"]}}.dcm' }}");
    let text = format!("name: {name}\nsource:\n  {source}\ndestinations:\n  - name: files\n    {to}\n");
    project.channel(name, &text);
}

fn arrived(project: &Project, folder: &str, long: &LongInstance) {
    let path = project.path(&format!("{folder}/{}.dcm", long.instance.uid));
    wait_until("it has arrived", || path.exists());
    is_as_sent(&path, long);
}

fn is_as_sent(path: &Path, long: &LongInstance) {
    assert!(long.is_in(path), "{}: it was changed on its way", path.display());
    let head = fs::File::open(path).and_then(|file| {
        let mut head = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, 2000), &mut head)?;
        Ok(head)
    });
    let head = head.expect("a file can be read");
    let is_changed = head.windows(6).any(|six| six == b"HOP-P1");
    assert!(is_changed, "{}: the steps' header is not in it", path.display());
}

#[test]
fn an_instance_that_is_long_goes_through_steps_to_three_receivers_and_is_never_in_memory() {
    let (sender, archive) = (Project::new(), Project::new());
    let [by_association, by_stow, listen, posted] = [(); 4].map(|()| free_port());
    receiver(
        &archive,
        "associated",
        &format!("dicom: {{ listen: \"127.0.0.1:{by_association}\", ae: PACS }}"),
    );
    receiver(&archive, "stowed", &format!("dicomweb: {{ listen: \"127.0.0.1:{by_stow}\" }}"));
    sender.channel(
        "modality",
        &format!(
            "name: modality\nsource:\n  dicom: {{ listen: \"127.0.0.1:{listen}\" }}\n{STEPS}destinations:\n\
             \x20 - name: files\n    to:\n      file: {{ dir: files, name: '${{msg[\"SOPInstanceUID\"]}}.dcm' }}\n\
             \x20 - name: associated\n    to:\n      dicom: {{ connect: \"127.0.0.1:{by_association}\", called_ae: PACS }}\n\
             \x20 - name: stowed\n    to:\n      dicomweb: {{ url: \"http://127.0.0.1:{by_stow}/dicom-web\" }}\n"
        ),
    );
    sender.channel(
        "posted",
        &format!(
            "name: posted\nsource:\n  dicomweb: {{ listen: \"127.0.0.1:{posted}\" }}\n{STEPS}destinations:\n\
             \x20 - name: files\n    to:\n      file: {{ dir: posted, name: '${{msg[\"SOPInstanceUID\"]}}.dcm' }}\n"
        ),
    );
    let relais = [&archive, &sender].map(Project::start);
    let long = LongInstance::of("1.2.826.0.1.31", BLOCKS);
    let file = sender.path("long.dcm");
    long.write_file(&file);
    let stored = Command::new("storescu")
        .args(["-aec", "RELAIS", "127.0.0.1", &listen.to_string()])
        .arg(&file)
        .output()
        .expect("there is no storescu: apt-get install dcmtk");
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
    for (project, folder) in [(&sender, "files"), (&archive, "associated"), (&archive, "stowed")] {
        arrived(project, folder, &long);
    }
    let other = LongInstance::of("1.2.826.0.1.32", BLOCKS);
    assert_eq!(other.post(posted).expect("it is taken"), 200);
    arrived(&sender, "posted", &other);
    // One file each: what the steps made of it is its new header, and a place in that file.
    assert_eq!((count(&sender.path("data/large")), spooled(&sender)), (2, 0));
    // The message can be had as it came, and is not in memory for it either.
    let (status, text) = relais[1].get("/api/v1/messages/1").expect("the server answers");
    assert!(status == 200 && text.len() < 1_000_000, "{status}: {} bytes", text.len());
    for relais in &relais {
        let peak = relais.memory_peak();
        assert!(peak < MOST, "{peak} MB");
    }
}

#[test]
fn a_long_instance_survives_the_plug_while_it_comes_and_while_it_goes() {
    let (sender, archive) = (Project::new(), Project::new());
    let [by_stow, posted] = [(); 2].map(|()| free_port());
    receiver(&archive, "stowed", &format!("dicomweb: {{ listen: \"127.0.0.1:{by_stow}\" }}"));
    sender.channel(
        "posted",
        &format!(
            "name: posted\nsource:\n  dicomweb: {{ listen: \"127.0.0.1:{posted}\" }}\n{STEPS}reply: stored\ndestinations:\n\
             \x20 - name: stowed\n    to:\n      dicomweb: {{ url: \"http://127.0.0.1:{by_stow}/dicom-web\" }}\n\
             \x20   retry: {{ first: 20ms, longest: 200ms }}\n"
        ),
    );
    let (_archive, relais) = (archive.start(), sender.start());
    let long = LongInstance::of("1.2.826.0.1.33", BLOCKS);
    let half = long.post_half(posted).expect("half of it is taken");
    wait_until("some of it is on the disk", || spooled(&sender) > 0);
    relais.kill();
    drop(half);
    let relais = sender.start();
    assert_eq!(
        (count(&sender.path("data/large")), spooled(&sender)),
        (0, 0),
        "nothing is left of half of it"
    );
    assert_eq!(long.post(posted).expect("it is taken"), 200);
    wait_until("it goes", || spooled(&archive) > 0);
    relais.kill();
    let _relais = sender.start();
    arrived(&archive, "stowed", &long);
    wait_until("nothing is left of what was cut", || spooled(&archive) == 0);
    assert_eq!((count(&archive.path("stowed")), count(&archive.path("data/large"))), (1, 1));
}

/// A channel whose messages come from here, into a folder of its name.
fn fetching(project: &Project, name: &str, source: &str) {
    let to = format!("to:\n      file: {{ dir: {name}, name: '${{msg[\"SOPInstanceUID\"]}}.dcm' }}");
    let text = format!(
        "name: {name}\nsource:\n  {source}\nformat: dicom\n{STEPS}destinations:\n  - name: files\n    {to}\n"
    );
    project.channel(name, &text);
}

#[test]
fn an_instance_that_is_long_is_fetched_and_read_from_folders_and_compared_and_is_never_in_memory() {
    let (orthanc, sshd, project) = (Orthanc::start(), Sshd::start(), Project::new());
    let [fetched, here, there] =
        [34, 35, 36].map(|number| LongInstance::of(&format!("1.2.826.0.1.{number}"), BLOCKS));
    let long = project.path("long.dcm");
    fetched.write_file(&long);
    let file = fs::read(&long).expect("a file can be read");
    assert_eq!(orthanc.ask("POST", "/instances", &file).expect("Orthanc answers").0, 200);
    drop(file);
    for folder in ["in", "same"] {
        fs::create_dir_all(project.path(folder)).expect("a folder can be made");
    }
    here.write_file(&project.path("in/here.dcm"));
    fs::create_dir_all(sshd.path("in")).expect("a folder can be made");
    there.write_file(&sshd.path("in/there.dcm"));
    fs::rename(&long, project.path("same/fetched.dcm")).expect("a file can be renamed");
    fetching(&project, "fetched", &format!("dicomweb: {{ url: \"{}\", every: 1s }}", orthanc.web()));
    fetching(&project, "here", "file: { dir: in, pattern: \"*\", max_size: 1GB, delete: true }");
    let server = sshd.settings(
        json!({ "dir": "in", "max_size": "1GB", "every": "200ms", "delete": true, "timeout": "60s" }),
    );
    fetching(&project, "there", &format!("sftp: {server}"));
    // What the archive has already, it gives to be compared.
    project.channel(
        "same",
        &format!(
            "name: same\nsource:\n  file: {{ dir: same, pattern: \"*\", max_size: 1GB, delete: true }}\nformat: dicom\ndestinations:\n\
             \x20 - name: archive\n    to:\n      dicomweb: {{ url: \"http://127.0.0.1:{}/dicom-web\" }}\n",
            fetched.held()
        ),
    );
    let relais = project.start();
    for (folder, long) in [("fetched", &fetched), ("here", &here), ("there", &there)] {
        arrived(&project, folder, long);
    }
    wait_until("it is known to be there", || {
        let (_, found) = relais.get("/api/v1/messages?channel=same").expect("the server answers");
        let found: Value = serde_json::from_str(&found).unwrap_or_default();
        assert_ne!(found[0]["deliveries"][0]["state"], "given_up", "{found}");
        found[0]["deliveries"][0]["state"] == "sent"
    });
    assert_eq!((count(&project.path("data/large")), spooled(&project)), (4, 0));
    let peak = relais.memory_peak();
    assert!(peak < MOST, "{peak} MB");
    // Its single steps can be looked at, as far as it is shown.
    let (_, found) = relais.get("/api/v1/messages?channel=here").expect("the server answers");
    let found: Value = serde_json::from_str(&found).unwrap_or_default();
    let (status, steps) =
        relais.get(&format!("/api/v1/messages/{}/steps", found[0]["id"])).expect("it answers");
    assert!(status == 200 && steps.len() < 1_000_000, "{status}: {} bytes", steps.len());
    let peak = relais.memory_peak();
    assert!(peak < MOST, "{peak} MB after its steps were shown");
}

/// How long the file is that is being written to a folder under a hidden name; 0 where there is none.
fn hidden(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let hidden = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    hidden.filter_map(|entry| Some(entry.metadata().ok()?.len())).max().unwrap_or(0)
}

#[test]
fn a_long_instance_is_written_to_a_server_over_a_cut_and_compared_and_is_never_in_memory() {
    const LONG: u32 = 300;
    let (mut sshd, project) = (Sshd::start(), Project::new());
    let server = sshd.settings(
        json!({ "dir": "out", "name": "${msg[\"SOPInstanceUID\"]}.dcm", "existing": "refuse", "timeout": "60s" }),
    );
    project.channel(
        "there",
        &format!(
            "name: there\nsource:\n  file: {{ dir: in, pattern: \"*.dcm\", max_size: 1GB, delete: true }}\nformat: dicom\n{STEPS}\
             destinations:\n  - name: server\n    to:\n      sftp: {server}\n    retry: {{ first: 20ms, longest: 200ms }}\n"
        ),
    );
    fs::create_dir_all(project.path("in")).expect("a folder can be made");
    let long = LongInstance::of("1.2.826.0.1.37", LONG);
    let send = |name: &str| {
        long.write_file(&project.path("in/writing"));
        fs::rename(project.path("in/writing"), project.path(name)).expect("a file can be renamed");
    };
    send("in/first.dcm");
    let relais = project.start();
    let out = sshd.path("out");
    let most = u64::from(LONG) << 20;
    wait_until("a part of it is there", || hidden(&out) > most / 8);
    sshd.cut();
    let stood = hidden(&out);
    assert!(stood < most, "it was cut in the middle");
    sshd.go();
    let written = out.join(format!("{}.dcm", long.instance.uid));
    let mut shortest = stood;
    wait_until("it has arrived", || {
        let now = hidden(&out);
        let is_there = written.exists();
        if now > 0 && !is_there {
            shortest = shortest.min(now);
        }
        is_there
    });
    assert_eq!(shortest, stood, "it was not begun anew");
    is_as_sent(&written, &long);
    // The same again is looked for in pieces, and so is what differs in one byte near its end.
    let states = || {
        let (_, found) = relais.get("/api/v1/messages?channel=there").expect("the server answers");
        let found: Vec<Value> = serde_json::from_str(&found).unwrap_or_default();
        let state = |message: &Value| message["deliveries"][0]["state"].as_str().unwrap_or("").to_owned();
        found.iter().map(state).collect::<Vec<_>>()
    };
    send("in/again.dcm");
    wait_until("it is known to be there", || states() == ["sent", "sent"]);
    let file = fs::File::options().write(true).open(&written).expect("a file can be opened");
    std::os::unix::fs::FileExt::write_all_at(&file, b"other", most - 100).expect("it can be changed");
    send("in/other.dcm");
    wait_until("it is refused", || {
        let mut states = states();
        states.sort();
        states == ["given_up", "sent", "sent"]
    });
    assert_eq!(count(&out), 1);
    assert!(relais.memory_peak() < MOST, "{} MB", relais.memory_peak());
}
