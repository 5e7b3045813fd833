//! The binary and an archive of images that is not ours: what arrives there, byte for byte, once and whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
    path::PathBuf,
    process::Command,
};

use formats::dicom::Header;
use serde_json::{Value, json};
use tests::{Instance, Orthanc, Project, Relais, free_port, pydicom_files, stow, wait_until};

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
        && formats::dicom::Instance::of_bytes(file.to_vec().into()).is_ok()
}

/// The messages of a channel, with their deliveries.
fn messages(relais: &Relais, channel: &str) -> Vec<Value> {
    let (_, found) =
        relais.get(&format!("/api/v1/messages?channel={channel}&limit=1000")).expect("the server answers");
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
            "name: modality\nsource:\n  dicom: {{ listen: \"127.0.0.1:{listen}\", senders: [SENDER, STORESCU], replace: true }}\n\
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

/// Runs one of dcmtk's tools; whether it says that all went well.
fn dcmtk(tool: &str, port: u16, arguments: &[&str]) -> bool {
    let run =
        Command::new(tool).args(["-aec", "RELAIS", "127.0.0.1", &port.to_string()]).args(arguments).output();
    run.unwrap_or_else(|error| panic!("{tool}: {error}; apt-get install dcmtk")).status.success()
}

/// A channel that takes instances by association, and stores them in an archive by STOW-RS.
fn modality(project: &Project, archive: &str, more: &str) -> u16 {
    let listen = free_port();
    project.channel(
        "modality",
        &format!(
            "name: modality\nsource:\n  dicom: {{ listen: \"127.0.0.1:{listen}\"{more} }}\n\
             destinations:\n  - name: archive\n    to:\n      dicomweb: {{ url: \"{archive}\" }}\n\
             \x20   retry: {{ first: 20ms, longest: 200ms }}\n    order: none\n    workers: 4\n"
        ),
    );
    listen
}

#[test]
fn a_study_of_two_thousand_instances_arrives_whole_though_the_engine_is_killed_five_times() {
    const CHUNKS: u32 = 10;
    const EACH: u32 = 200;
    let orthanc = Orthanc::with(&json!({ "OverwriteInstances": true }));
    let project = Project::new();
    let listen = modality(&project, &orthanc.web(), "");
    let all: Vec<Instance> =
        (1..=CHUNKS * EACH).map(|number| Instance::of("1.2.826.0.1.1", number)).collect();
    for instance in &all {
        let chunk = (instance.number - 1) / EACH;
        project.write(&format!("study/{chunk}/{:05}.dcm", instance.number), instance.file());
    }
    let mut relais = project.start();
    for chunk in 0..CHUNKS {
        let folder = project.path(&format!("study/{chunk}"));
        let folder = folder.to_str().expect("a path of ours is UTF-8").to_owned();
        if chunk % 2 == 1 {
            // In the middle of what is sent: some of it was answered, some was not.
            let taken = relais.metric(RECEIVED).unwrap_or_default();
            let sending = std::thread::spawn({
                let folder = folder.clone();
                move || dcmtk("storescu", listen, &["+sd", &folder])
            });
            wait_until("some of it has come", || {
                relais.metric(RECEIVED).is_some_and(|now| now > taken + 20.0)
            });
            relais.kill();
            relais = project.start();
            let _ = sending.join().expect("a tool ends");
        }
        // A sender that was cut sends the whole again.
        wait_until("all of it is taken", || dcmtk("storescu", listen, &["+sd", &folder]));
    }
    let waiting = "relais_queue_depth{channel=\"modality\",destination=\"archive\"}";
    wait_until("nothing waits", || relais.metric(waiting) == Some(0.0));
    let wanted: BTreeSet<String> = all.iter().map(|instance| instance.uid.clone()).collect();
    assert!(orthanc.instances() == wanted, "{} of {} arrived", orthanc.count(), wanted.len());
    assert_eq!(reasons(&relais, "modality"), Vec::<String>::new());
    for instance in all.iter().step_by(97) {
        let file = orthanc.file(&instance.uid).expect("it has what it lists");
        assert_eq!(data_set(&file), instance.data_set(), "{}", instance.uid);
    }
}

const RECEIVED: &str = "relais_received_total{channel=\"modality\"}";

#[test]
fn an_archive_posts_to_us_and_is_searched_and_both_bring_all_of_it_once() {
    let hear = free_port();
    let orthanc = Orthanc::with(&json!({
        "OverwriteInstances": true,
        "DicomWeb": {
            "Enable": true, "Root": "/dicom-web/",
            "Servers": { "relais": { "Url": format!("http://127.0.0.1:{hear}/dicom-web/"), "HasDelete": false } },
        },
    }));
    // One of two that have the same name is not to be had by DICOMweb.
    let mut names = BTreeSet::new();
    for (_, file) in files() {
        if Header::read(Cursor::new(&file)).is_ok_and(|header| names.insert(header.sop_instance)) {
            let _ = orthanc.ask("POST", "/instances", &file);
        }
    }
    let held: BTreeMap<String, Vec<u8>> = orthanc
        .instances()
        .into_iter()
        .map(|uid| (uid.clone(), orthanc.file(&uid).expect("it has it")))
        .collect();
    assert!(held.len() > 100, "{}", held.len());
    let project = Project::new();
    let channel = |name: &str, source: &str| {
        let to = format!(
            "to:\n      file: {{ dir: {name}, name: '${{source.sop_instance}}.dcm', existing: refuse }}"
        );
        let text = format!(
            "name: {name}\nsource:\n  dicomweb: {source}\ndestinations:\n  - name: files\n    {to}\n"
        );
        project.channel(name, &text);
    };
    channel("posted", &format!("{{ listen: \"127.0.0.1:{hear}\", path: /dicom-web }}"));
    channel("found", &format!("{{ url: \"{}\", every: 100ms }}", orthanc.web()));
    let relais = project.start();
    wait_until("some were found", || project.files("found").len() > 10);
    relais.kill();
    let relais = project.start();
    let resources: Vec<String> = held.keys().map(|uid| resource(&orthanc, uid)).collect();
    let asked = json!({ "Resources": resources, "Synchronous": true }).to_string();
    let posted =
        orthanc.ask("POST", "/dicom-web/servers/relais/stow", asked.as_bytes()).expect("Orthanc answers");
    assert_eq!(posted.0, 200, "{}\n{}", String::from_utf8_lossy(&posted.1), orthanc.log());
    for folder in ["posted", "found"] {
        wait_until("all have come", || project.files(folder).len() >= held.len());
        for (uid, file) in &held {
            let came = fs::read(project.path(&format!("{folder}/{uid}.dcm")));
            let came = came.unwrap_or_else(|error| panic!("{folder}: {uid}: {error}"));
            assert!(came == *file, "{folder}: {uid} was changed on its way");
        }
    }
    assert_eq!(messages(&relais, "found").len(), held.len(), "each is taken once");
    // What comes later is found too, and nothing twice.
    let late = Instance::of("1.2.826.0.1.9", 1);
    assert_eq!(orthanc.ask("POST", "/instances", &late.file()).expect("Orthanc answers").0, 200);
    wait_until("the late one is found", || project.path(&format!("found/{}.dcm", late.uid)).exists());
    assert_eq!(messages(&relais, "found").len(), held.len() + 1);
}

/// What Orthanc itself calls an instance.
fn resource(orthanc: &Orthanc, uid: &str) -> String {
    let (_, found) = orthanc.ask("POST", "/tools/lookup", uid.as_bytes()).expect("Orthanc answers");
    let found: Value = serde_json::from_slice(&found).expect("it answers with JSON");
    let instance = found.as_array().and_then(|all| all.iter().find(|one| one["Type"] == "Instance"));
    instance.and_then(|one| one["ID"].as_str()).expect("it knows its instance").to_owned()
}

/// What became of the messages of a channel, the oldest first.
fn fates(relais: &Relais, channel: &str) -> Vec<String> {
    let mut all = messages(relais, channel);
    all.sort_by_key(|message| message["id"].as_u64());
    all.iter().map(|message| message["state"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn another_instance_of_a_known_name_is_refused_and_kept_unless_the_channel_replaces() {
    let project = Project::new();
    let (by_association, replacing, posted) = (free_port(), free_port(), free_port());
    for (name, source) in [
        ("modality", format!("dicom: {{ listen: \"127.0.0.1:{by_association}\" }}")),
        ("replacing", format!("dicom: {{ listen: \"127.0.0.1:{replacing}\", replace: true }}")),
        ("posted", format!("dicomweb: {{ listen: \"127.0.0.1:{posted}\" }}")),
    ] {
        let text = format!("name: {name}\nsource:\n  {source}\nformat: binary\ndestinations: []\n");
        project.channel(name, &text);
    }
    let one = Instance::of("1.2.826.0.1.2", 1);
    let other = Instance { patient: "P2".to_owned(), ..Instance::of("1.2.826.0.1.2", 1) };
    project.write("one.dcm", one.file()).write("other.dcm", other.file());
    let relais = project.start();
    for port in [by_association, replacing] {
        for file in ["one.dcm", "other.dcm", "one.dcm"] {
            let path = project.path(file);
            dcmtk("storescu", port, &[path.to_str().expect("a path of ours is UTF-8")]);
        }
    }
    assert_eq!(fates(&relais, "modality"), ["queued", "refused", "queued"]);
    assert_eq!(fates(&relais, "replacing"), ["queued", "queued", "queued"]);
    let third = Instance::of("1.2.826.0.1.2", 3);
    let parts = [one.file(), other.file(), b"no image".to_vec(), third.file(), one.file()];
    let (status, reasons) = stow(posted, &parts);
    assert_eq!((status, reasons), (202, vec![None, None, None, Some(0xC000), Some(0xC000)]));
    assert_eq!(fates(&relais, "posted"), ["queued", "refused", "refused", "queued", "queued"]);
    assert_eq!(stow(posted, &[other.file()]), (409, vec![Some(0xC000)]));
}

#[test]
fn another_patient_in_a_known_study_is_refused_and_kept_unless_the_channel_replaces() {
    let project = Project::new();
    let (by_association, replacing, posted) = (free_port(), free_port(), free_port());
    for (name, source) in [
        ("modality", format!("dicom: {{ listen: \"127.0.0.1:{by_association}\" }}")),
        ("replacing", format!("dicom: {{ listen: \"127.0.0.1:{replacing}\", replace: true }}")),
        ("posted", format!("dicomweb: {{ listen: \"127.0.0.1:{posted}\" }}")),
    ] {
        project.channel(name, &format!("name: {name}\nsource:\n  {source}\ndestinations: []\n"));
    }
    let of = |number, patient: &str| Instance {
        patient: patient.to_owned(),
        ..Instance::of("1.2.826.0.1.71", number)
    };
    let all = [of(1, "P1"), of(2, "P2"), of(3, ""), of(4, "P1 "), of(5, "P2")];
    for (place, instance) in all.iter().enumerate() {
        project.write(&format!("{place}.dcm"), instance.file());
    }
    let send = |port: u16, place: usize| {
        let path = project.path(&format!("{place}.dcm"));
        dcmtk("storescu", port, &[path.to_str().expect("a path of ours is UTF-8")])
    };
    let relais = project.start();
    for place in 0..4 {
        for port in [by_association, replacing] {
            send(port, place);
        }
    }
    let files = all.each_ref().map(Instance::file);
    let (status, reasons) = stow(posted, &files[..4]);
    assert_eq!((status, reasons), (202, vec![None, None, None, Some(0xC000)]));
    // Nothing of it is in memory alone.
    relais.kill();
    let relais = project.start();
    for port in [by_association, replacing] {
        send(port, 4);
    }
    assert_eq!(stow(posted, &files[4..]), (409, vec![Some(0xC000)]));
    for channel in ["modality", "posted"] {
        assert_eq!(
            fates(&relais, channel),
            ["queued", "refused", "queued", "queued", "refused"],
            "{channel}"
        );
    }
    assert_eq!(fates(&relais, "replacing"), ["queued"; 5]);
    let refused = messages(&relais, "modality").into_iter().find(|message| message["state"] == "refused");
    let refused = refused.expect("one was refused");
    assert_eq!(refused["flags"], json!(["same-study-other-patient"]), "{refused}");
    assert_eq!(refused["why"], "what is known of its study is another patient's", "{refused}");
    let again = project.relais(&["resend", &refused["id"].to_string()]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    wait_until("a person sent it on", || {
        fates(&relais, "modality").last().is_some_and(|last| last == "queued")
    });
}

#[test]
fn each_file_of_pydicom_that_cannot_be_read_is_answered_so_and_kept_as_it_came() {
    let project = Project::new();
    let posted = free_port();
    let source = format!("dicomweb: {{ listen: \"127.0.0.1:{posted}\" }}");
    project.channel("posted", &format!("name: posted\nsource:\n  {source}\ndestinations: []\n"));
    let unsound: Vec<Vec<u8>> =
        files().into_iter().map(|(_, file)| file).filter(|file| !is_sound(file)).collect();
    assert!(unsound.len() > 5, "{}", unsound.len());
    let relais = project.start();
    assert_eq!(stow(posted, &unsound), (409, vec![Some(0xC000); unsound.len()]));
    let mut kept = messages(&relais, "posted");
    kept.sort_by_key(|message| message["id"].as_u64());
    assert_eq!(kept.len(), unsound.len());
    for (message, file) in kept.iter().zip(&unsound) {
        assert_eq!(message["state"], "refused", "{message}");
        assert_eq!(message["size"], file.len(), "{message}");
    }
}

/// Instances that mean harm, each with a beginning as it should be.
fn hostile() -> Vec<Vec<u8>> {
    let sound = Instance::of("1.2.826.0.1.3", 1);
    let file = sound.file();
    let begins = file.len() - sound.data_set().len();
    // Cut at odd places, so never between two elements; one that lacks a last byte of filling is whole with it.
    let is_whole = |end: &usize| Header::read(Cursor::new([&file[..*end], &[0]].concat())).is_ok();
    let ends = (begins + 9..file.len()).step_by(22).filter(|end| !is_whole(end));
    let mut all: Vec<Vec<u8>> = ends.map(|end| file[..end].to_vec()).collect();
    let with = |behind: &[u8]| [&file[..], behind].concat();
    // A length of four gigabytes; a sequence that never ends; one in one, 20,000 deep.
    all.push(with(&[0xff, 0xff, 0x10, 0, b'O', b'B', 0, 0, 0xfe, 0xff, 0xff, 0xff, 1, 2]));
    all.push(with(&[0xff, 0xff, 0x10, 0, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff]));
    let deep = [0xff, 0xff, 0x10, 0, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff]
        .into_iter()
        .chain([0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    all.push(with(&deep.collect::<Vec<u8>>().repeat(20_000)));
    // A kind that there is not, and a name that is a path.
    all.push(with(&[0xff, 0xff, 0x10, 0, b'?', b'!', 4, 0, 1, 2, 3, 4]));
    let mut path = file[..begins].to_vec();
    path.extend(Instance { uid: "../../../x".to_owned(), ..Instance::of("1.2.826.0.1.3", 1) }.data_set());
    all.push(path);
    all
}

#[test]
fn hostile_instances_are_refused_and_kept_and_cost_no_memory() {
    let project = Project::new();
    let (listen, posted) = (free_port(), free_port());
    folder(&project, &format!("dicom: {{ connect: \"127.0.0.1:{listen}\", called_ae: RELAIS }}"));
    for (name, source) in [
        ("modality", format!("dicom: {{ listen: \"127.0.0.1:{listen}\" }}")),
        ("posted", format!("dicomweb: {{ listen: \"127.0.0.1:{posted}\" }}")),
    ] {
        let text = format!(
            "name: {name}\nsource:\n  {source}\nformat: binary\ndestinations:\n  - name: files\n\
             \x20   to:\n      file: {{ dir: out, name: '${{source.sop_instance}}.dcm' }}\n"
        );
        project.channel(name, &text);
    }
    let hostile = hostile();
    for (place, file) in hostile.iter().enumerate() {
        project.write(&format!("in/{place:03}.dcm"), file);
    }
    let relais = project.start();
    let (status, told) = stow(posted, &hostile);
    assert_eq!((status, told), (409, vec![Some(0xC000); hostile.len()]));
    assert_eq!(ended(&relais, "folder", hostile.len())["given_up"], hostile.len());
    for channel in ["modality", "posted"] {
        assert_eq!(fates(&relais, channel), vec!["refused"; hostile.len()], "{channel}");
    }
    assert!(!project.path("out").exists() || project.files("out").is_empty());
    let status = fs::read_to_string(format!("/proc/{}/status", relais.process())).expect("it runs");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most: u64 = most.and_then(|line| line.trim().split(' ').next()?.parse().ok()).expect("it is told");
    assert!(most < 200_000, "it took {most} kB");
}

#[test]
fn an_order_becomes_an_entry_that_a_modality_and_a_step_find_until_it_is_cancelled() {
    let project = Project::new();
    let made = project.relais(&["new", "--template", "worklist", "ris"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let of = |path: &str| project.path(&format!("ris/{path}"));
    let port = free_port();
    let channel =
        fs::read_to_string(of("channels/worklist.yaml")).unwrap().replace("2587", &port.to_string());
    project.channel("worklist", &channel);
    fs::create_dir_all(project.path("out/worklist")).unwrap();
    let plugin = "/usr/share/orthanc/plugins/libModalityWorklists.so";
    let orthanc = Orthanc::with(&json!({
        "Plugins": [plugin],
        "DicomAlwaysAllowFindWorklist": true,
        "Worklists": { "Enable": true, "Database": project.path("out/worklist") },
    }));
    project.write(
        "tables/worklist.yaml",
        format!(
            "dicom:\n  connect: 127.0.0.1:{}\n  called_ae: ORTHANC\n  keys: [AccessionNumber]\n  columns: [PatientName, \
             ScheduledProcedureStepSequence.ScheduledProcedureStepID]\ncache: 0s\non_missing: refuse\n",
            orthanc.dicom
        ),
    );
    project.channel(
        "asking",
        "name: asking\nformat: text\nsource:\n  file: { dir: in, done: done, refused: refused, every: 100ms }\nsteps:\n  - script: |\n      \
         let number = msg.trim();\n      \
         table(\"worklist\", \"AccessionNumber\", number, \"PatientName\") + \" \" + table(\"worklist\", \"AccessionNumber\", \
         number, \"ScheduledProcedureStepSequence.ScheduledProcedureStepID\")\ndestinations:\n  - name: found\n    to:\n      \
         file: { dir: found, name: '${source.name}' }\n",
    );
    let relais = project.start();
    let send = |message: &str| {
        let output =
            project.relais(&["send", &format!("127.0.0.1:{port}"), &format!("ris/messages/{message}")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    let entries = || project.files("out/worklist").len();
    send("imaging-order.hl7");
    wait_until("the entry is there", || entries() == 1);
    let mut modality = Command::new("findscu");
    modality.args(["-W", "-aec", "ORTHANC", "127.0.0.1", &orthanc.dicom.to_string()]);
    modality.args(["-k", "AccessionNumber=A-8001", "-k", "PatientID", "-k", "RequestedProcedurePriority"]);
    let shown = modality.output().expect("apt-get install dcmtk");
    let shown = String::from_utf8_lossy(&[shown.stdout, shown.stderr].concat()).into_owned();
    assert!(shown.contains("[900002]") && shown.contains("[ROUTINE ]"), "{shown}");
    project.write("in/a.txt", "A-8001");
    wait_until("a step finds it", || project.files("found").len() == 1);
    assert_eq!(fs::read_to_string(project.path("found/a.txt")).unwrap(), "MÜLLER^PAUL^^Dr SPS-8001");
    // What would stand for every number is one that nobody has.
    project.write("in/star.txt", "A-*");
    wait_until("nothing is found", || project.files("refused").len() == 1);
    send("imaging-order-cancelled.hl7");
    wait_until("the entry is gone", || entries() == 0);
    assert!(relais.terminate().success());
}
