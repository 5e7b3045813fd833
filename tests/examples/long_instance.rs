//! An instance of 2 GB through the engine: how long each way takes, and how much memory at most.
//!
//! `cargo build --release -p server && cargo run --release -p tests --example long_instance`. It comes by C-STORE, by STOW-RS and from a
//! folder, its header is changed, and it leaves as a file, by C-STORE and by STOW-RS to a second engine that writes it to a file.

use std::{
    env, fs,
    process::Command,
    time::{Duration, Instant},
};

use tests::{LongInstance, Project, comes_true, free_port};

/// Megabytes of pixels.
const USUAL: u32 = 2000;
const STEPS: &str = "steps:\n  - set: { PatientID: 'HOP-${msg[\"PatientID\"]}' }\n";
const FILES: &str = "name: '${msg[\"SOPInstanceUID\"]}.dcm'";

fn channel(project: &Project, name: &str, source: &str, to: &str) {
    let text = format!(
        "name: {name}\nsource:\n  {source}\n{STEPS}reply: stored\ndestinations:\n  - name: next\n    to:\n      {to}\n"
    );
    project.channel(name, &text);
}

/// Waits for the file of an instance, looks whether it is the right one, and takes it away.
fn arrived(project: &Project, folder: &str, long: &LongInstance) -> Duration {
    let began = Instant::now();
    let path = project.path(&format!("{folder}/{}.dcm", long.instance.uid));
    assert!(comes_true(Duration::from_mins(10), || path.exists()), "{folder}: it did not arrive");
    let took = began.elapsed();
    assert!(long.is_in(&path), "{folder}: it was changed on its way");
    fs::remove_file(path).expect("a file can be removed");
    took
}

fn store(port: u16, project: &Project, long: &LongInstance) {
    let file = project.path("long.dcm");
    long.write_file(&file);
    let stored = Command::new("storescu")
        .args(["-aec", "RELAIS", "127.0.0.1", &port.to_string()])
        .arg(&file)
        .output()
        .expect("there is no storescu: apt-get install dcmtk");
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
    fs::remove_file(file).expect("a file can be removed");
}

/// A channel that takes what lies in a folder.
fn taking(project: &Project) {
    fs::create_dir_all(project.path("in")).expect("a folder can be made");
    let source =
        "file: { dir: in, pattern: \"*.dcm\", max_size: 4GB, every: 100ms, delete: true }\nformat: dicom";
    channel(project, "d", source, &format!("file: {{ dir: taken, {FILES} }}"));
}

/// Puts an instance into that folder, and waits for what becomes of it.
fn take(project: &Project, blocks: u32) -> Duration {
    let long = LongInstance::of("1.2.826.0.1.49", blocks);
    long.write_file(&project.path("long.dcm"));
    fs::rename(project.path("long.dcm"), project.path("in/long.dcm")).expect("a file can be renamed");
    arrived(project, "taken", &long)
}

fn main() {
    let blocks = env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(USUAL);
    let (sender, archive) = (Project::new(), Project::new());
    let [by_association, by_stow] = [(); 2].map(|()| free_port());
    let association = |port, ae| format!("dicom: {{ listen: \"127.0.0.1:{port}\", ae: {ae} }}");
    let web = |port| format!("dicomweb: {{ listen: \"127.0.0.1:{port}\" }}");
    channel(
        &archive,
        "associated",
        &association(by_association, "PACS"),
        &format!("file: {{ dir: associated, {FILES} }}"),
    );
    channel(&archive, "stowed", &web(by_stow), &format!("file: {{ dir: stowed, {FILES} }}"));
    let to_associated = format!("dicom: {{ connect: \"127.0.0.1:{by_association}\", called_ae: PACS }}");
    let to_stowed = format!("dicomweb: {{ url: \"http://127.0.0.1:{by_stow}/dicom-web\" }}");
    let [first, second, third] = [(); 3].map(|()| free_port());
    channel(&sender, "a", &association(first, "RELAIS"), &to_associated);
    channel(&sender, "b", &web(second), &to_stowed);
    channel(&sender, "c", &association(third, "RELAIS"), &format!("file: {{ dir: files, {FILES} }}"));
    taking(&sender);
    let relais = [&sender, &archive].map(|project| (project.start(), project));
    println!(
        "{blocks} MB of pixels; at rest {:?} MB",
        relais.each_ref().map(|(relais, _)| relais.memory_peak())
    );
    let ways = [
        ("C-STORE to C-STORE", first, &archive, "associated"),
        ("STOW to STOW", second, &archive, "stowed"),
        ("C-STORE to a file", third, &sender, "files"),
    ];
    for (number, (name, port, project, folder)) in ways.into_iter().enumerate() {
        let long = LongInstance::of(&format!("1.2.826.0.1.4{number}"), blocks);
        let began = Instant::now();
        if name.starts_with("STOW") {
            assert_eq!(long.post(port).expect("it is taken"), 200);
        } else {
            store(port, &sender, &long);
        }
        let answered = began.elapsed();
        let there = arrived(project, folder, &long);
        let peaks = relais.each_ref().map(|(relais, _)| relais.memory_peak());
        println!("{name}: answered after {answered:.1?}, there {there:.1?} later; at most {peaks:?} MB");
    }
    let took = take(&sender, blocks);
    let peaks = relais.each_ref().map(|(relais, _)| relais.memory_peak());
    println!("from a folder to a file: there after {took:.1?}; at most {peaks:?} MB");
}
