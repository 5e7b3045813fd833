//! The binary and an archive of images that is not ours: what arrives there, byte for byte, once and whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
    path::PathBuf,
};

use formats::dicom::Header;
use serde_json::{Value, json};
use tests::{Orthanc, Project, Relais, free_port, pydicom_files, wait_until};

/// Every file that pydicom is tested with.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut folders = vec![pydicom_files()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be listed") {
            let path: PathBuf = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.push((name, fs::read(&path).expect("a file can be read")));
            }
        }
    }
    found.sort();
    found
}

fn is_dicom(file: &[u8]) -> bool {
    file.get(128..132) == Some(b"DICM")
}

/// Whether its structure holds: an archive that cannot read an instance says nothing at all of it.
fn is_sound(file: &[u8]) -> bool {
    Header::read(Cursor::new(file)).is_ok()
}

/// The messages of a channel, with their deliveries.
fn messages(relais: &Relais, channel: &str) -> Vec<Value> {
    let (_, found) =
        relais.get(&format!("/api/v1/messages?channel={channel}&limit=5000")).expect("the server answers");
    serde_json::from_str(&found).unwrap_or_else(|_| panic!("the server says {found}"))
}

fn deliveries(relais: &Relais, channel: &str) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for message in messages(relais, channel) {
        let state = message["deliveries"][0]["state"].as_str().unwrap_or("none").to_owned();
        *states.entry(state).or_default() += 1;
    }
    states
}

/// The bytes behind the meta information, filled up as an association has them.
fn data_set(file: &[u8]) -> Vec<u8> {
    let begins = Header::read(Cursor::new(file)).expect("it is sound").data_set as usize;
    let mut set = file[begins..].to_vec();
    set.resize(set.len().next_multiple_of(2), 0);
    set
}

/// A channel that takes the files of `in`, and sends them so.
fn folder(project: &Project, to: &str) {
    project.channel(
        "folder",
        &format!(
            "name: folder\nsource:\n  file: {{ dir: in, pattern: \"*\", done: done }}\nformat: binary\n\
             destinations:\n  - name: archive\n    to:\n      {to}\n    retry: {{ first: 50ms, longest: 500ms }}\n"
        ),
    );
}

/// Waits until as many deliveries of a channel have ended, and says how.
fn ended(relais: &Relais, channel: &str, count: usize) -> BTreeMap<String, usize> {
    wait_until("all have ended", || {
        let states = deliveries(relais, channel);
        ["sent", "given_up"].iter().filter_map(|state| states.get(*state)).sum::<usize>() == count
    });
    deliveries(relais, channel)
}

/// Why those that were given up were.
fn reasons(relais: &Relais, channel: &str) -> Vec<String> {
    let all = messages(relais, channel).into_iter().map(|mut message| message["deliveries"][0].take());
    let given_up = all.filter(|delivery| delivery["state"] == "given_up");
    given_up.map(|delivery| delivery["why"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_file_of_pydicom_is_stored_byte_for_byte_or_refused_with_a_reason() {
    let orthanc = Orthanc::with(&json!({ "OverwriteInstances": true }));
    let project = Project::new();
    folder(&project, &format!("dicomweb: {{ url: \"{}\" }}", orthanc.web()));
    let files = files();
    for (place, (name, file)) in files.iter().enumerate() {
        project.write(&format!("in/{place:03}-{name}"), file);
    }
    let relais = project.start();
    let states = ended(&relais, "folder", files.len());
    assert!(states["sent"] >= 140, "{states:?}");
    let reasons = reasons(&relais, "folder");
    assert!(
        reasons.iter().all(|why| why.starts_with("the server answered 400") || why.starts_with("it")),
        "{reasons:?}"
    );
    let not_dicom = files.iter().filter(|(_, file)| !is_dicom(file)).count();
    let unread = reasons.iter().filter(|why| why.contains("no DICOM file")).count();
    assert_eq!(unread, not_dicom);
    let sent: BTreeSet<&[u8]> = files.iter().map(|(_, file)| file.as_slice()).collect();
    let stored = orthanc.instances();
    assert!(stored.len() > 110, "{}", stored.len());
    for uid in stored {
        let file = orthanc.file(&uid).expect("it has what it lists");
        assert!(sent.contains(file.as_slice()), "{uid} was changed on its way");
    }
}

#[test]
fn what_one_sends_by_association_another_takes_byte_for_byte() {
    let orthanc = Orthanc::with(&json!({ "OverwriteInstances": true }));
    let project = Project::new();
    let listen = free_port();
    folder(&project, &format!("dicom: {{ connect: \"127.0.0.1:{listen}\", ae: SENDER, called_ae: RELAIS }}"));
    project.channel(
        "modality",
        &format!(
            "name: modality\nsource:\n  dicom: {{ listen: \"127.0.0.1:{listen}\", senders: [SENDER, STORESCU] }}\n\
             destinations:\n  - name: archive\n    to:\n      dicom: {{ connect: \"127.0.0.1:{}\", called_ae: ORTHANC, out_of_resources: refuse }}\n\
             \x20 - name: files\n    to:\n      file: {{ dir: out, name: '${{ctx.id()}}.dcm' }}\n",
            orthanc.dicom
        ),
    );
    let files: Vec<_> = files().into_iter().filter(|(_, file)| is_sound(file)).collect();
    for (place, (name, file)) in files.iter().enumerate() {
        project.write(&format!("in/{place:03}-{name}"), file);
    }
    let relais = project.start();
    assert_eq!(ended(&relais, "folder", files.len())["sent"], files.len());
    wait_until("all have arrived", || project.files("out").len() == files.len());
    let sent: BTreeSet<Vec<u8>> = files.iter().map(|(_, file)| data_set(file)).collect();
    for path in project.files("out") {
        let file = fs::read(&path).expect("a file can be read");
        assert!(sent.contains(&data_set(&file)), "{} was changed on its way", path.display());
    }
    // Orthanc writes anew what it takes by association: only that it has it can be compared.
    let stored = ended(&relais, "modality", files.len());
    assert!(stored["sent"] > 125, "{stored:?} {:?}", reasons(&relais, "modality"));
    assert!(orthanc.count() > 100, "{}", orthanc.count());
}
