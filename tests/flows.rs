//! `examples/file-flow`, run as its README says: files dropped in folders, a program, its answer, HPRIM as HL7, and a report.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tests::{Behaviour, Project, Receiver, Relais, binary, free_port, wait_until};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/file-flow")
}

/// The example as it is on disk; the project has its own address.
fn flows() -> Project {
    let project = Project::new();
    for folder in ["channels", "scripts", "tables", "messages", "expected", "programs"] {
        for file in fs::read_dir(example().join(folder)).unwrap() {
            let file = file.unwrap().path();
            let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
            project.write(&name, fs::read(&file).unwrap());
        }
    }
    project
}

/// Drops files of `messages/` in a partner's folder, whole at once.
fn drop_in(project: &Project, folder: &str, ending: &str) {
    fs::create_dir_all(project.path(folder)).unwrap();
    for file in project.files("messages") {
        if file.extension().is_some_and(|of| of == ending) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            fs::copy(&file, project.path(&format!("{folder}/.{name}"))).unwrap();
            fs::rename(project.path(&format!("{folder}/.{name}")), project.path(&format!("{folder}/{name}")))
                .unwrap();
        }
    }
}

fn names(project: &Project, folder: &str) -> Vec<String> {
    let files = project.files(folder);
    files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn words(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_flows_check_clean_and_their_own_tests_pass() {
    let project = flows();
    for arguments in [["check", "--strict"], ["test", "."]] {
        let output = project.relais(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    }
}

#[test]
fn files_are_loaded_answered_mapped_put_away_and_reported() {
    let project = flows();
    project.write("loaded/closed", "");
    let _relais = project.start();
    drop_in(&project, "partners/clinic/in", "csv");
    drop_in(&project, "partners/laboratory/in", "hpr");

    wait_until("two files are refused at once", || names(&project, "refused/clinic").len() == 2);
    wait_until("two patients are two messages", || project.files("out").len() == 2);
    assert_eq!(names(&project, "refused/laboratory"), ["without-patient.hpr"]);
    let left: Vec<Vec<u8>> = project.files("out").iter().map(|file| fs::read(file).unwrap()).collect();
    for name in ["first.hl7", "second.hl7"] {
        assert!(left.contains(&fs::read(example().join("expected").join(name)).unwrap()), "{name}");
    }
    // The loader's database is closed: nothing was loaded, and nothing is lost.
    assert_eq!(project.files("loaded").len(), 1);
    fs::remove_file(project.path("loaded/closed")).unwrap();

    let answer = project.path("partners/clinic/out/results.csv.ack");
    wait_until("the clinic has its answer", || answer.exists());
    assert_eq!(fs::read_to_string(answer).unwrap(), "results.csv: 3 rows loaded\n");
    wait_until("the loader refused the other", || words(&project.relais(&["status"])).contains("1 given up"));
    assert_eq!(names(&project, "partners/clinic/out"), ["results.csv.ack"]);
    // Its answer follows the loader, and waits for a person as what may have arrived does: no plan takes it up by itself.
    for arguments in [&["pending", "spreadsheet"][..], &["retry", "spreadsheet", "--plan"]] {
        let said = words(&project.relais(arguments));
        assert!(said.contains("set aside for a person: 1; `relais find"), "{said}");
    }
    assert!(project.files("answers").is_empty(), "an answer that was taken lies there no more");

    reported(&project);
}

/// A server that the example's own script starts; ended with the test.
struct Started(std::process::Child);

impl Drop for Started {
    fn drop(&mut self) {
        // The script has become the server.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_batches_come_from_the_server_that_the_example_starts() {
    let (project, port, receiver) = (Project::new(), free_port(), Receiver::start(Behaviour::Code("AA")));
    for name in ["start-server", "server/channels/partner.yaml"] {
        let text = fs::read_to_string(example().join(name)).unwrap();
        let text = text.replace("2722", &port.to_string()).replace("2712", &receiver.port.to_string());
        assert!(text.contains(&port.to_string()));
        project.write(name, text);
    }
    let server = fs::read_to_string(example().join("server/relais.yaml")).unwrap();
    project.write("server/relais.yaml", server.replace("8605", &project.port.to_string()));
    fs::create_dir_all("/run/sshd").unwrap_or_default();
    let mut script = Command::new("sh");
    let log = fs::File::create(project.path("sshd.log")).unwrap();
    script.arg("start-server").current_dir(project.root()).stderr(log);
    let started = Started(script.spawn().unwrap());
    wait_until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());

    let mut relais = Command::new("sh");
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    // Everything is found from the folder of `server/relais.yaml`.
    relais.args(["-c", "cd server && exec \"$0\" \"$@\""]).arg(binary()).env("USER", user.trim());
    let relais = Relais::start_with(&project, &mut relais);
    fs::copy(example().join("messages/batch.hl7"), project.path("server/files/batch.tmp")).unwrap();
    fs::rename(project.path("server/files/batch.tmp"), project.path("server/files/in/batch.hl7")).unwrap();
    let refused = project.path("server/files/refused/batch.hl7");
    wait_until("one of the batch has no number", || refused.exists());
    wait_until("the others are recorded", || receiver.count() == 2);
    let report = project.relais(&["--project", "server", "report", "partner", "--format", "json"]);
    let total = &serde_json::from_slice::<Value>(&report.stdout).unwrap()["total"];
    let counted = ["received", "messages", "refused", "processed"].map(|name| total[name].as_u64().unwrap());
    assert_eq!(counted, [1, 3, 1, 0], "a file of three messages is one file: {total}");
    drop((relais, started));
}

/// The report's numbers are those of the files that were dropped.
fn reported(project: &Project) {
    let report = project.relais(&["report", "spreadsheet", "--format", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let total = |name: &str| report["total"][name].as_u64().unwrap();
    let counted =
        ["received", "processed", "refused", "failed", "given_up", "in_doubt", "waiting"].map(total);
    assert_eq!(counted, [4, 1, 2, 0, 1, 0, 0], "{report}");
    assert_eq!(report["days"].as_array().unwrap().len(), 30);
    assert!(report["total"]["median_ms"].is_number());
    let kinds: Vec<&str> =
        report["reasons"].as_array().unwrap().iter().map(|reason| reason["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["unreadable", "refused_at", "given_up"]);

    for (language, heading) in [("en", "By day"), ("fr", "Par jour")] {
        let written = project.relais(&["report", "hprim", "--language", language, "--output", "page.html"]);
        assert!(written.status.success(), "{}", words(&written));
        let page = fs::read_to_string(project.path("page.html")).unwrap();
        assert!(page.contains(heading) && page.contains("<svg") && !page.contains("DUPONT"), "{page}");
    }
    let wrong = project.relais(&["report", "spreadsheet", "--from", "2026-02-30"]);
    assert!(words(&wrong).contains("is no day") && !wrong.status.success(), "{}", words(&wrong));
}
