//! Each project of `examples/`, started as its README says: the console shows its channels, and the browser has nothing to complain of.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use tests::{Annuaire, Browser, Project, Relais, binary, free_port, wait_until};

const PASSWORD: &str = "a long and quiet evening";

/// All that there are; `server` is a project within another.
const PROJECTS: [&str; 5] = ["annuaire", "file-flow", "file-flow/server", "imaging", "lab"];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A program beside the server, ended with the test.
struct Beside(Child);

impl Beside {
    fn start(command: &mut Command, port: u16) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Self(quiet.spawn().expect("it can be started"));
        wait_until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        started
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An example as it is on disk, in a folder and on ports of its own.
struct Example {
    project: Project,
    ports: BTreeMap<String, u16>,
}

impl Example {
    fn copied(name: &str) -> Self {
        let project = Project::new();
        let ports = BTreeMap::from([(listens(&examples().join(name)), project.port)]);
        let mut example = Self { project, ports };
        let to = example.project.root().to_owned();
        example.copy(&examples().join(name.split('/').next().unwrap()), &to);
        example
    }

    fn copy(&mut self, from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
            if from.is_dir() {
                self.copy(&from, &to);
                continue;
            }
            fs::copy(&from, &to).unwrap();
            // A message or an image need not be text.
            if let Ok(text) = fs::read_to_string(&from) {
                fs::write(&to, self.moved(&text)).unwrap();
            }
        }
    }

    /// The same text with every port of this machine replaced, each by the same everywhere.
    fn moved(&mut self, text: &str) -> String {
        const HOST: &str = "127.0.0.1:";
        let mut parts = text.split(HOST);
        let mut moved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(part.len());
            let port = *self.ports.entry(part[..digits].to_owned()).or_insert_with(free_port);
            moved.extend([HOST, &port.to_string(), &part[digits..]]);
        }
        moved
    }

    fn port(&self, was: &str) -> u16 {
        self.ports[was]
    }
}

/// The port that stands in the settings of a project.
fn listens(folder: &Path) -> String {
    let settings = fs::read_to_string(folder.join("relais.yaml")).unwrap();
    let line = settings.lines().find_map(|line| line.strip_prefix("listen: 127.0.0.1:")).unwrap();
    line.trim().to_owned()
}

/// The channels of a project, as its files name them.
fn channels(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder.join("channels")).unwrap();
    let named = |file: PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().find_map(|line| line.strip_prefix("name: ")).unwrap().to_owned()
    };
    files.map(|file| named(file.unwrap().path())).collect()
}

/// Starts it with what its README starts beside it; that ends when the server does.
fn started(name: &str, example: &Example) -> (Relais, Vec<Beside>, Option<Annuaire>) {
    let project = &example.project;
    let mut command = Command::new(binary());
    let fhir = |was: &str| {
        let port = example.port(was);
        Beside::start(
            Command::new(binary()).args(["mock", "fhir", "--listen", &format!("127.0.0.1:{port}")]),
            port,
        )
    };
    match name {
        "annuaire" => {
            let annuaire = Annuaire::start(&["--practitioners", "50"]);
            let command = command.env("ANNUAIRE_BASE", annuaire.base());
            let beside = vec![fhir("8603")];
            (Relais::start_with(project, command), beside, Some(annuaire))
        }
        "imaging" | "lab" => {
            let beside = vec![fhir(if name == "lab" { "2703" } else { "8645" })];
            (Relais::start_with(project, &mut command), beside, None)
        }
        "file-flow/server" => {
            // The port of the file server stands alone in two files.
            let port = free_port();
            for file in ["start-server", "server/channels/partner.yaml"] {
                let text = fs::read_to_string(project.path(file)).unwrap();
                project.write(file, text.replace("2722", &port.to_string()));
            }
            let beside = vec![Beside::start(Command::new("sh").arg(project.path("start-server")), port)];
            let user = Command::new("id").arg("-un").output().unwrap().stdout;
            let mut command = Command::new("sh");
            command.args(["-c", "exec \"$0\" run server"]).arg(binary());
            command.env("USER", String::from_utf8(user).unwrap().trim());
            (Relais::start_with(project, &mut command), beside, None)
        }
        _ => (project.start(), Vec::new(), None),
    }
}

/// Signs in as the README says: by the link that the server makes.
fn sign_in(browser: &mut Browser, project: &Project, folder: &str) {
    let said = project.relais(&["--project", folder, "account", "link", "admin"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let link = said.split_whitespace().find_map(|word| Some(&word[word.find("#/welcome/")?..]));
    browser.anew(&json!({ "policy": true }));
    browser.turn_to(project.port);
    browser.open(link.unwrap_or_else(|| panic!("no link: {said}")));
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
    browser.click("button[type=submit]");
    browser.see("#top nav", "");
}

#[test]
fn the_console_shows_the_channels_of_each_example() {
    let mut browser = Browser::start(0);
    for name in PROJECTS {
        let example = Example::copied(name);
        let folder = if name.contains('/') { "server" } else { "." };
        let (relais, beside, annuaire) = started(name, &example);
        sign_in(&mut browser, &example.project, folder);
        for channel in channels(&examples().join(name)) {
            browser.open("#/channels");
            browser.see(&format!("[data-row=\"{channel}\"]"), "running");
            browser.open(&format!("#/channels/{channel}"));
            browser.see("h1", &channel);
            browser.see(".flow .node", "");
        }
        browser.open("#/system");
        browser.see(".panel", "The files on disk are in force");
        assert_eq!(browser.complaints(), json!([]), "{name}:\n{}", relais.log());
        drop((relais, beside, annuaire));
    }
}

#[test]
fn no_example_is_left_out() {
    let mut found = BTreeSet::new();
    let mut folders = vec![examples()];
    while let Some(folder) = folders.pop() {
        if folder.join("relais.yaml").exists() {
            let name = folder.strip_prefix(examples()).unwrap().to_string_lossy().into_owned();
            found.insert(name);
        }
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    assert_eq!(found, PROJECTS.map(str::to_owned).into());
}
