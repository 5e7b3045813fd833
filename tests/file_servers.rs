//! Servers of files as they are met: full, of another make, asking for a password or for a key that an agent has.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tests::{PASSWORD, Project, Receiving, SmallDisk, Sshd, binary, python, wait_until};

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

fn says(project: &Project, arguments: &[&str], words: &str) {
    let mut said = String::new();
    let is_said = tests::comes_true(std::time::Duration::from_secs(30), || {
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
fn a_server_of_another_make_lets_in_by_a_password_and_serves_both_ways() {
    let sshd = Sshd::start();
    // Of OpenSSH the folder and the keys are used alone.
    let mut serving = python("serve_files.py");
    serving.arg(sshd.path("")).arg(sshd.path("host"));
    let serving = Receiving::start(serving);
    by_password(&sshd, json!({ "port": serving.port, "user": "partner" }));
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
