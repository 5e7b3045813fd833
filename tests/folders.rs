//! Folders that cannot be written: under a file destination, and under the store of a server that starts.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};

use tests::{
    Project, Relais, Sender, SmallDisk, Strace, binary, free_port, is_root, message, mshfield, wait_until,
};

/// A project that files what it takes.
fn filing(project: &Project) -> u16 {
    let listen = free_port();
    project.channel(
        "ward",
        &format!(
            "name: ward\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\ndestinations:\n  - name: archive\n\
             \x20   to:\n      file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n\
             \x20   retry: {{ first: 50ms, longest: 200ms }}\n"
        ),
    );
    listen
}

/// A message larger than what little a full disk may still hold.
fn large(id: &str) -> Vec<u8> {
    let mut large = message(id, "1");
    large.extend_from_slice(format!("NTE|1||{}\r", "x".repeat(100_000)).as_bytes());
    large
}

/// Why the delivery that goes next waits, as the server says.
fn waits_for(project: &Project) -> String {
    let status = project.relais(&["status", "--format", "json"]).stdout;
    String::from_utf8_lossy(&status).into_owned()
}

#[test]
fn a_full_disk_under_a_file_destination_holds_its_lane_until_there_is_room() {
    let project = Project::new();
    let listen = filing(&project);
    let (relais, disk) = SmallDisk::start(&project, "out", "size=1m");
    disk.fill();
    let mut sender = Sender::connect(listen).expect("the channel listens");
    for id in ["O1", "O2"] {
        let answer = sender.send(&large(id)).expect("each is answered");
        assert_eq!(mshfield(&answer, "MSA", 1), "AA", "the store has room");
    }
    wait_until("it says why it waits", || waits_for(&project).to_lowercase().contains("space"));
    disk.free();
    let sent = "relais_deliveries_total{channel=\"ward\",destination=\"archive\",outcome=\"sent\"}";
    wait_until("both are filed by themselves", || relais.metric(sent) == Some(2.0));
    let out = PathBuf::from(format!("/proc/{}/root", relais.process()))
        .join(project.path("out").strip_prefix("/").expect("a project has an absolute path"));
    for id in ["O1", "O2"] {
        assert_eq!(fs::read(out.join(format!("{id}.hl7"))).expect("it is filed"), large(id));
    }
    assert_eq!(fs::read_dir(out).expect("the folder can be read").count(), 2, "something else was left");
}

#[test]
fn a_folder_that_cannot_be_synced_does_not_count_as_filed_and_is_not_filed_twice() {
    let project = Project::new();
    let listen = filing(&project);
    project.write("out/there-already", "");
    let relais = project.start();
    let failing = Strace::fail_syncs(&relais, "EIO", 1, &[project.path("out")]);
    let mut sender = Sender::connect(listen).expect("the channel listens");
    let answer = sender.send(&message("D1", "1")).expect("it is answered");
    assert_eq!(mshfield(&answer, "MSA", 1), "AA");
    wait_until("it says that it is in doubt", || waits_for(&project).contains("durable"));
    let sent = "relais_deliveries_total{channel=\"ward\",destination=\"archive\",outcome=\"sent\"}";
    assert_eq!(relais.metric(sent), Some(0.0));
    drop(failing);
    wait_until("it is filed by itself", || relais.metric(sent) == Some(1.0));
    let names: Vec<PathBuf> = project.files("out");
    assert_eq!(names, [project.path("out/D1.hl7"), project.path("out/there-already")]);
}

/// How a server ends that cannot start, and what it says.
fn refused(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(!words.contains("panicked"), "{words}");
    words
}

#[test]
fn a_store_on_a_disk_that_is_read_only_is_refused_with_what_to_do() {
    let project = Project::new();
    filing(&project);
    fs::create_dir(project.path("data")).expect("a folder can be made");
    let output = SmallDisk::command("data", "ro")
        .args(["run", "."])
        .current_dir(project.root())
        .output()
        .expect("unshare can be run");
    let words = refused(&output);
    assert!(words.contains("`./data`") && words.contains("mount it writable"), "{words}");
}

#[test]
fn a_store_that_this_user_may_not_write_is_refused_with_what_to_do() {
    let project = Project::new();
    filing(&project);
    fs::create_dir(project.path("data")).expect("a folder can be made");
    let mode = |path: &str, mode| {
        fs::set_permissions(project.path(path), fs::Permissions::from_mode(mode)).expect("a mode can be set");
    };
    mode(".", 0o755);
    mode("data", 0o555);
    // Nothing is forbidden to root; the binary may lie where nobody else can reach it.
    fs::copy(binary(), project.path("relais")).expect("the binary can be copied");
    let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    let output = command
        .args(["./relais", "run", "."])
        .current_dir(project.root())
        .output()
        .expect("the binary can be started");
    let words = refused(&output);
    assert!(
        words.contains("`./data`") && words.contains("give this user the right to write there"),
        "{words}"
    );
}

/// Has the project's server run by somebody to whom folders can be closed: nothing is forbidden to root.
fn as_nobody(project: &Project) -> Command {
    // The binary may lie where nobody else can reach it.
    fs::copy(binary(), project.path("relais")).expect("the binary can be copied");
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(project.root()).status();
    assert!(!is_root() || owned.expect("chown can be run").success());
    let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command.arg("./relais");
    command
}

#[test]
fn a_file_or_a_folder_that_is_closed_is_a_state_and_holds_no_other_file() {
    let project = Project::new();
    for (name, mode) in [("open", 0o755), ("shut", 0o555)] {
        let files = format!("file: {{ dir: {name}, complete: renamed, done: done-{name} }}");
        project.channel(name, &format!("name: {name}\nformat: text\nsource:\n  {files}\ndestinations: []\n"));
        project.write(&format!("{name}/closed.txt"), "file");
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(project.path(&format!("{name}/closed.txt")), closed).expect("a mode can be set");
        fs::set_permissions(project.path(name), fs::Permissions::from_mode(mode)).expect("a mode can be set");
    }
    let mut command = as_nobody(&project);
    if is_root() {
        // Of a folder like /tmp nobody takes away what is another's.
        fs::write(project.path("open/foreign.txt"), "file").expect("a file can be written");
        std::os::unix::fs::chown(project.path("open"), Some(0), None).expect("root may");
        fs::set_permissions(project.path("open"), fs::Permissions::from_mode(0o1777))
            .expect("a mode can be set");
    }
    fs::write(project.path("open/good.txt"), "file").expect("a file can be written");
    if is_root() {
        std::os::unix::fs::chown(project.path("open/good.txt"), Some(65534), None).expect("root may");
    }
    let relais = Relais::start_with(&project, &mut command);
    wait_until("the others are taken", || project.path("done-open/good.txt").exists());
    let said = || {
        let status = project.relais(&["status"]).stdout;
        String::from_utf8_lossy(&status).into_owned()
    };
    let closed = if is_root() { "2 files cannot be taken now: " } else { "1 file cannot be taken now: " };
    wait_until("it says what it cannot take", || said().contains(closed));
    let line = said().lines().find(|line| line.starts_with("open")).map(str::to_owned).expect("a line");
    assert!(!line.contains("not taking") && line.contains("see `relais pending open`"), "{line}");
    assert_eq!(relais.metric("relais_channel_up{channel=\"open\"}"), Some(1.0));
    // The same words at each try: a state, and no line of the log for each.
    let shut = "not taking: cannot make `shut/.relais`: Permission denied";
    wait_until("the folder is said", || said().contains(shut));
    assert_eq!(relais.metric("relais_channel_up{channel=\"shut\"}"), Some(0.0));
    let pending = project.relais(&["pending", "open"]).stdout;
    assert!(String::from_utf8_lossy(&pending).contains("closed.txt"), "{pending:?}");
    fs::set_permissions(project.path("shut"), fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    wait_until("the folder is open again", || said().contains("1 file cannot be taken now: "));
}

#[test]
fn a_second_server_on_one_store_is_told_who_has_it_and_leaves() {
    let project = Project::new();
    let listen = filing(&project);
    let relais = project.start();
    let words = refused(&project.relais(&["run", "."]));
    assert!(words.contains(&format!("in use by process {}", relais.process())), "{words}");
    assert!(words.contains("stop that one first"), "{words}");
    let mut sender = Sender::connect(listen).expect("the first one goes on");
    let answer = sender.send(&message("A1", "1")).expect("the first one goes on");
    assert_eq!(mshfield(&answer, "MSA", 1), "AA");
}
