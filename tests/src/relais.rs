//! The binary as a process that can be asked, stopped and killed.

use std::{
    env,
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::{Asker, Project};

/// The password of every account that a test makes.
pub const WORDS: &str = "four words make one";

/// A running server. Killed when the test ends, whatever the test did.
pub struct Relais {
    child: Child,
    port: u16,
    root: PathBuf,
}

/// The binary that `cargo build` made beside this test.
pub fn binary() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let folder = test.parent().and_then(Path::parent).expect("a test lies in target/PROFILE/deps");
    let binary = folder.join("relais");
    assert!(binary.exists(), "{} is not there: run `cargo build -p server` first", binary.display());
    binary
}

/// A port that was free a moment ago, and that the system gives to no connection and no test to another one.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Below those from which the system takes the ports of connections. Test programs run side by side: each begins elsewhere.
    let begin = std::process::id().wrapping_mul(61);
    let tried = |number: u32| (10_000 + begin.wrapping_add(number) % 20_000) as u16;
    std::iter::repeat_with(|| tried(GIVEN.fetch_add(1, Ordering::SeqCst)))
        .take(20_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("the system has a free port")
}

/// Looks again and again until it is so; fails the test, in words, when it never is.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(comes_true(Duration::from_mins(1), is_so), "waited a minute in vain until {what}");
}

/// Looks again and again until it is so; says whether it was within that time.
pub fn comes_true(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
    true
}

impl Relais {
    pub(crate) fn start(project: &Project) -> Self {
        Self::start_with(project, &mut Command::new(binary()))
    }

    /// Starts the binary through another program, such as one that makes its disk fail.
    pub fn start_with(project: &Project, command: &mut Command) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(project.path("relais.log"))
            .expect("the log can be opened");
        let child = command
            .args(["run", "."])
            .current_dir(project.root())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary can be started");
        let mut relais = Self { child, port: project.port, root: project.root().to_owned() };
        wait_until("the server answers", || {
            if let Some(status) = relais.child.try_wait().expect("a child can be asked") {
                panic!("relais left with {status}:\n{}", relais.log());
            }
            relais.get("/health/live").is_some_and(|answer| answer.0 == 200)
        });
        relais
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The highest memory that it took so far, in megabytes.
    pub fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        peak.expect("it is told in kilobytes") / 1024
    }

    /// The key of its project.
    pub fn key(&self) -> String {
        std::fs::read_to_string(self.key_file()).expect("the key can be read").trim().to_owned()
    }

    /// Seen as the server sees it: its store may lie on a disk of its own.
    fn key_file(&self) -> PathBuf {
        let root = self.root.strip_prefix("/").expect("a project has an absolute path");
        Path::new("/proc").join(self.process().to_string()).join("root").join(root).join("data/key")
    }

    /// Whoever asks with the key.
    pub fn owner(&self) -> Asker {
        Asker::bearing(self.port, &self.key())
    }

    /// An account with a password; signed in.
    pub fn account(&self, name: &str, role: &str, tags: &[&str]) -> Asker {
        let wanted = serde_json::json!({ "name": name, "role": role, "tags": tags });
        let made = self.owner().post("/api/v1/accounts", &wanted);
        assert_eq!(made.status, 201, "{made:?}");
        let chosen = serde_json::json!({ "link": made.json()["link"], "password": WORDS });
        let page = Asker::nobody(self.port).with("relais-console", "1");
        let welcome = page.post("/welcome", &chosen);
        let cookie = welcome.session().unwrap_or_else(|| panic!("no session: {welcome:?}"));
        page.with("Cookie", &cookie)
    }

    /// A token with these rights, for channels with these tags.
    pub fn token(&self, name: &str, rights: &[&str], tags: &[&str]) -> Asker {
        let wanted = serde_json::json!({ "name": name, "rights": rights, "tags": tags, "days": 1 });
        let made = self.owner().post("/api/v1/tokens", &wanted);
        assert_eq!(made.status, 201, "{made:?}");
        Asker::bearing(self.port, made.json()["token"].as_str().expect("a token is text"))
    }

    /// What it wrote to its terminal.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("relais.log")).unwrap_or_default()
    }

    /// Pulls the plug.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill can be run");
        let mut status = None;
        wait_until("the server has stopped", || {
            status = self.child.try_wait().expect("a child can be asked");
            status.is_some()
        });
        status.expect("it has stopped")
    }

    /// Asks a path of the server; the key is taken from the project. `None` where nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str) -> Option<(u16, String)> {
        self.ask("POST", path)
    }

    /// The value of a metric's series, as it is written there.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    fn ask(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let key = std::fs::read_to_string(self.key_file()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.port,
            key.trim()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }
}

impl Drop for Relais {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
