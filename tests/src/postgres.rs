//! A PostgreSQL server as Debian ships it, with a database of the test's own and TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{disk::is_root, free_port, relais::wait_until};

/// A running server; ended with the test.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    child: Option<Child>,
    pub port: u16,
}

impl Default for Postgres {
    fn default() -> Self {
        Self::start()
    }
}

impl Postgres {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self { folder, programs: programs(), child: None, port: free_port() };
        server.write("password", "s3cret\n");
        server.own(&[]);
        let data = server.path("data");
        let made = server
            .program("initdb")
            .args(["-U", "postgres", "-A", "scram-sha-256", "--no-sync", "--pwfile"])
            .arg(server.path("password"))
            .arg("-D")
            .arg(&data)
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("it can be issued");
        server.write("server.pem", &issued.cert.pem());
        server.write("server.key", &issued.signing_key.serialize_pem());
        server.own(&["server.key"]);
        server.go();
        server
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets it go, or go again.
    pub fn go(&mut self) {
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.path("data"))
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(self.folder.path());
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "ssl=on"] {
            command.args(["-c", setting]);
        }
        for (name, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
            command.args(["-c", &format!("{name}={}", self.path(file).display())]);
        }
        let log = fs::File::create(self.path("log")).expect("a file can be made");
        self.child =
            Some(command.stdout(Stdio::null()).stderr(log).spawn().expect("postgres can be started"));
        wait_until("PostgreSQL answers", || self.ask("select 1").is_some());
    }

    /// Ends it in the middle of whatever it does.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Its own children go with it: at once, and without waiting for those who are connected.
        let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
        let _ = child.wait();
    }

    /// What SQL does; `None` where nobody answers, or it is wrong.
    pub fn ask(&self, sql: &str) -> Option<String> {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
                "-At",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                sql,
            ])
            .env("PGPASSWORD", "s3cret")
            .output()
            .expect("psql can be run");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file can be written");
    }

    /// PostgreSQL does not run as root: there it runs as its own user, whose the folder is then.
    fn own(&self, private: &[&str]) {
        for name in private {
            assert!(run(Command::new("chmod").arg("600").arg(self.path(name))));
        }
        if is_root() {
            assert!(run(Command::new("chown").args(["-R", "postgres"]).arg(self.folder.path())));
        }
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// Where Debian puts them.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let newest = versions.map(|version| version.path().join("bin")).filter(|bin| has_server(bin)).max();
    newest.expect("PostgreSQL is installed: apt-get install postgresql-15")
}

fn has_server(programs: &Path) -> bool {
    programs.join("postgres").exists()
}
