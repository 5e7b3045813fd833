//! Servers of files as they are met: full, of another make, asking for a password or for a key that an agent has.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tests::{PASSWORD, Project, Receiving, Relais, SmallDisk, Sshd, binary, python, wait_until};

/// The settings of a connection as YAML in one line.
fn one_line(settings: &Value) -> String {
    settings.to_string().trim_start_matches('{').trim_end_matches('}').to_owned()
}

fn drop_file(folder: &Path, name: &str, content: &str) {
    fs::write(folder.join("writing.tmp"), content).unwrap();
    fs::rename(folder.join("writing.tmp"), folder.join(name)).unwrap();
}

fn names(folder: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn folders(at: &Path) -> usize {
    fs::read_dir(at).map_or(0, Iterator::count)
}

fn says(project: &Project, arguments: &[&str], words: &str) {
    let mut said = String::new();
    let is_said = tests::comes_true(Duration::from_secs(30), || {
        let output = project.relais(arguments);
        said = String::from_utf8_lossy(&output.stdout).into_owned();
        said += &String::from_utf8_lossy(&output.stderr);
        said.contains(words)
    });
    assert!(is_said, "{arguments:?} never said `{words}`:\n{said}");
}

/// A flow that hands each file to a program, whose words go back as an answer.
fn answering(project: &Project, sshd: &Sshd, folder: &str) {
    let server = one_line(&sshd.settings(json!({ "timeout": "5s" })));
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {server}, dir: {folder}/in, complete: renamed, every: 200ms, done: \
             ../done, answer: {{ dir: ../out }} }}\nreply: {{ from: program }}\ndestinations:\n  - name: program\n    to:\n      exec: {{ \
             run: [cat], input: stdin, answer: stdout }}\n"
        ),
    );
}

#[test]
fn a_disk_that_is_full_over_there_holds_an_answer_back_and_each_is_given_once() {
    let sshd = Sshd::on_small_disk("disk", "300k");
    let project = Project::new();
    answering(&project, &sshd, "disk");
    for folder in ["in", "out", "done"] {
        fs::create_dir(sshd.inside("disk").join(folder)).unwrap();
    }
    let incoming = sshd.inside("disk/in");
    fs::write(incoming.join("a.tmp"), "an order").unwrap();
    let mut filler = fs::File::create(sshd.inside("disk/filler")).unwrap();
    while match filler.write(&[0; 4096]) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            false
        }
    } {}
    let _relais = project.start();
    fs::rename(incoming.join("a.tmp"), incoming.join("a.txt")).unwrap();
    says(&project, &["status"], "no space left in `disk/in/.relais/");
    let pending = project.relais(&["pending", "--format", "json"]);
    let pending: Value = serde_json::from_slice(&pending.stdout).unwrap();
    assert_eq!((&pending[0]["side"], &pending[0]["number"]), (&json!("here"), &json!(1)), "{pending}");
    drop(filler);
    fs::remove_file(sshd.inside("disk/filler")).unwrap();
    wait_until("the answer is given", || names(sshd.inside("disk/done")) == ["a.txt"]);
    assert_eq!(names(sshd.inside("disk/out")), ["a.answer"]);
    assert_eq!(fs::read_to_string(sshd.inside("disk/out/a.answer")).unwrap(), "an order");
}

#[test]
fn a_disk_that_is_full_here_leaves_files_on_the_server_and_takes_each_once_afterwards() {
    let (sshd, project) = (Sshd::start(), Project::new());
    project.write("relais.yaml", format!("listen: 127.0.0.1:{}\nstore: {{ free: 20MB }}\n", project.port));
    let server = one_line(&sshd.settings(json!({ "timeout": "5s" })));
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {server}, dir: in, complete: renamed, every: 200ms, done: ../done }}\n\
             destinations:\n  - name: out\n    to:\n      file: {{ dir: out, name: '${{source.name}}' }}\n"
        ),
    );
    let (relais, disk) = SmallDisk::start(&project, "data", "size=64m");
    disk.fill();
    wait_until("the server says that it is not ready", || {
        relais.get("/health/ready").is_some_and(|(status, _)| status == 503)
    });
    let dropped: Vec<String> = (0..5).map(|number| format!("{number}.txt")).collect();
    for name in &dropped {
        drop_file(&sshd.path("in"), name, name);
    }
    // Its key lies on that disk, which no other program sees: the log says it.
    wait_until("the flow says why", || relais.log().contains("the channel takes nothing now"));
    assert!(names(sshd.path("done")).is_empty() && project.files("out").is_empty());
    disk.free();
    wait_until("all are archived", || names(sshd.path("done")) == dropped);
    wait_until("all are delivered", || names(project.path("out")) == dropped);
    assert!(relais.terminate().success());
}

#[test]
fn two_channels_share_a_folder_and_each_takes_its_own_files_also_after_a_kill() {
    let (sshd, project) = (Sshd::start(), Project::new());
    let server = one_line(&sshd.settings(json!({ "timeout": "5s" })));
    for ending in ["hl7", "csv"] {
        project.channel(
            ending,
            &format!(
                "name: {ending}\nformat: text\nsource:\n  sftp: {{ {server}, dir: in, pattern: '*.{ending}', complete: renamed, \
                 every: 200ms, done: ../done }}\ndestinations:\n  - name: out\n    to:\n      file: {{ dir: out-{ending}, \
                 name: '${{source.name}}' }}\n"
            ),
        );
    }
    let mut dropped = Vec::new();
    let mut relais = project.start();
    for round in 0..3 {
        for number in 0..40 {
            for ending in ["hl7", "csv", "pdf"] {
                let name = format!("{round}-{number:02}.{ending}");
                drop_file(&sshd.path("in"), &name, &name);
                dropped.push(name);
            }
        }
        wait_until("some are archived", || names(sshd.path("done")).len() > round * 80);
        relais.kill();
        relais = project.start();
    }
    dropped.sort();
    let those =
        |ending: &str| dropped.iter().filter(|name| name.ends_with(ending)).cloned().collect::<Vec<_>>();
    wait_until("all are archived", || names(sshd.path("done")).len() == those("hl7").len() * 2);
    for ending in ["hl7", "csv"] {
        wait_until("all are delivered", || names(project.path(&format!("out-{ending}"))) == those(ending));
    }
    assert_eq!(names(sshd.path("in")), those("pdf"), "what nobody takes stays");
    assert!(relais.terminate().success());
}

#[test]
fn a_server_of_another_make_lets_in_by_a_password_and_serves_both_ways() {
    let sshd = Sshd::start();
    // Of OpenSSH the folder and the keys are used alone.
    let mut serving = python("serve_files.py");
    serving.arg(sshd.path("")).arg(sshd.path("host"));
    let serving = Receiving::start(serving);
    by_password(&sshd, json!({ "port": serving.port, "user": "partner" }));
}

/// A flow that runs a program for each file, answers it and brings it back, all of it on one server.
fn there_and_back(project: &Project, server: &str) {
    project.write("secret", PASSWORD);
    project.write("run.sh", "cat > last; echo $RELAIS_FILE_NAME >> ran; echo \"ran $RELAIS_FILE_NAME\"\n");
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {server}, dir: in, complete: renamed, every: 100ms, done: ../done, \
             answer: {{ dir: ../out }} }}\nreply: {{ from: program }}\ndestinations:\n  - name: program\n    to:\n      exec: {{ \
             run: [sh, run.sh], input: stdin, answer: stdout }}\n  - name: back\n    retry: {{ first: 100ms }}\n    to:\n      \
             sftp: {{ {server}, dir: back, name: '${{source.name}}' }}\n"
        ),
    );
}

/// Drops files, each while the server hangs up at another change that the file needs, until there is none left; returns
/// their names.
fn cut_at_each_change(sshd: &Sshd, order: &Path, relais: &Relais) -> Vec<String> {
    let mut dropped = Vec::new();
    for moment in ["before", "after"] {
        for change in 1.. {
            let name = format!("{moment}-{change:02}.txt");
            fs::write(order, format!("{moment} {change}")).unwrap();
            drop_file(&sshd.path("in"), &name, &name);
            dropped.push(name);
            let is_over = tests::comes_true(Duration::from_mins(1), || {
                names(sshd.path("done")).len() == dropped.len()
                    && names(sshd.path("back")).len() >= dropped.len()
                    && folders(&sshd.path("in/.relais")) == 0
            });
            assert!(is_over, "cut {moment} change {change}\n{}", relais.log());
            if order.exists() {
                assert!(change > 8, "only {change} changes {moment}");
                break;
            }
        }
    }
    dropped.sort();
    dropped
}

/// Which changes a server makes, and which it makes without a word of it, is its own affair: each is cut in turn.
#[test]
fn a_server_that_hangs_up_at_each_of_its_changes_gets_each_file_and_each_answer_once() {
    let (sshd, project) = (Sshd::start(), Project::new());
    let order = project.path("order");
    let mut serving = python("serve_files.py");
    serving.arg(sshd.path("")).arg(sshd.path("host")).arg(&order);
    let serving = Receiving::start(serving);
    let mut settings = sshd.settings(
        json!({ "port": serving.port, "user": "partner", "password": "${file:secret}", "timeout": "5s" }),
    );
    settings.as_object_mut().unwrap().remove("key");
    there_and_back(&project, &one_line(&settings));
    fs::create_dir(sshd.path("back")).unwrap();
    let relais = project.start();
    let dropped = cut_at_each_change(&sshd, &order, &relais);
    assert_eq!(names(sshd.path("done")), dropped);
    assert_eq!(names(sshd.path("back")), dropped);
    assert!(names(sshd.path("in")).is_empty());
    let ran = fs::read_to_string(project.path("ran")).unwrap();
    let mut ran: Vec<_> = ran.lines().collect();
    ran.sort_unstable();
    assert_eq!(ran, dropped, "{}", relais.log());
    let answers: Vec<_> = dropped.iter().map(|name| name.replace(".txt", ".answer")).collect();
    assert_eq!(names(sshd.path("out")), answers);
    for (name, answer) in dropped.iter().zip(&answers) {
        assert_eq!(fs::read_to_string(sshd.path("out").join(answer)).unwrap(), format!("ran {name}\n"));
    }
    let log = relais.log();
    assert!(!log.contains("it is not there"), "{log}");
    assert!(relais.terminate().success());
}

#[test]
fn an_openssh_server_lets_in_by_a_password_and_serves_both_ways() {
    by_password(&Sshd::asking_password(), json!({}));
}

/// Files go there and back with the right password, and it is said where it is wrong.
fn by_password(sshd: &Sshd, more: Value) {
    let project = Project::new();
    let mut settings = sshd.settings(more);
    settings["password"] = json!("${file:secret}");
    settings.as_object_mut().unwrap().remove("key");
    let user = settings["user"].as_str().unwrap().to_owned();
    let server = one_line(&settings);
    project.channel(
        "flow",
        &format!(
            "name: flow\nformat: text\nsource:\n  sftp: {{ {server}, dir: in, complete: renamed, every: 200ms, done: ../done }}\n\
             destinations:\n  - name: back\n    to:\n      sftp: {{ {server}, dir: out, name: '${{source.name}}' }}\n"
        ),
    );
    project.write("secret", "open says me\n");
    says(&project, &["check", "--connect"], &format!("the password of user `{user}` was refused"));
    project.write("secret", format!("{PASSWORD}\n"));
    let checked = project.relais(&["check", "--connect"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let _relais = project.start();
    let long = "line\n".repeat(100_000);
    drop_file(&sshd.path("in"), "long.txt", &long);
    for number in 0..20 {
        drop_file(&sshd.path("in"), &format!("{number:02}.txt"), "short");
    }
    wait_until("all are archived", || names(sshd.path("done")).len() == 21);
    wait_until("all are back", || names(sshd.path("out")).len() == 21);
    assert!(fs::read_to_string(sshd.path("out/long.txt")).unwrap() == long);
}

/// An SSH agent without keys; ended with the test.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(socket: PathBuf) -> Self {
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
        let child = command.spawn().expect("ssh-agent can be run: apt-get install openssh-client");
        wait_until("the agent listens", || socket.exists());
        Self { child, socket }
    }

    fn run(&self, command: &mut Command) -> (bool, String) {
        let output = command.env("SSH_AUTH_SOCK", &self.socket).output().unwrap();
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), words + &String::from_utf8_lossy(&output.stderr))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_signs_in_with_the_key_that_it_has() {
    let (sshd, project) = (Sshd::start(), Project::new());
    let agent = Agent::start(sshd.path("agent"));
    let mut settings = sshd.settings(json!({ "agent": true }));
    settings.as_object_mut().unwrap().remove("key");
    let server = one_line(&settings);
    project.channel(
        "flow",
        &format!("name: flow\nsource:\n  sftp: {{ {server}, dir: in, delete: true }}\ndestinations: []\n"),
    );
    let connects =
        || agent.run(Command::new(binary()).args(["check", "--connect"]).current_dir(project.root()));
    let (is_in, said) = connects();
    assert!(!is_in && said.contains("agent"), "{said}");
    let (is_added, said) = agent.run(Command::new("ssh-add").arg(sshd.path("user")));
    assert!(is_added, "{said}");
    let (is_in, said) = connects();
    assert!(is_in, "{said}");
}
