//! A real OpenSSH server on this machine, for one test: its keys, its folder, and its end.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";
/// Longer than it takes to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// An OpenSSH server that lets us in by a key.
pub struct Sshd {
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines in its settings.
    pub fn with(lines: &str) -> Self {
        assert!(Path::new(SSHD).exists(), "there is no {SSHD}: apt-get install openssh-server");
        // A server of root keeps its unprivileged part there.
        let _ = fs::create_dir_all("/run/sshd");
        let folder = tempfile::tempdir().unwrap();
        let mut sshd = Self { address: free(), child: None, folder };
        sshd.generate("host", "ed25519", "");
        sshd.generate("user", "ed25519", "");
        fs::copy(sshd.path("user.pub"), sshd.path("authorized")).unwrap();
        let settings = format!(
            "ListenAddress {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n\
             MaxStartups 100\nSubsystem sftp internal-sftp\nForceCommand internal-sftp -d {}\n{lines}\n",
            sshd.address,
            sshd.path("host").display(),
            sshd.path("authorized").display(),
            sshd.path("").display(),
        );
        fs::write(sshd.path("settings"), settings).unwrap();
        fs::create_dir(sshd.path("in")).unwrap();
        fs::create_dir(sshd.path("out")).unwrap();
        sshd.go();
        sshd
    }

    /// Where a user arrives, and what lies there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a pair of keys in the server's folder.
    pub fn generate(&self, name: &str, kind: &str, passphrase: &str) {
        let file = self.path(name);
        let _ = fs::remove_file(&file);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(file);
        assert!(command.status().unwrap().success(), "ssh-keygen makes a key");
    }

    /// Lets this key in too.
    pub fn let_in(&self, name: &str) {
        let more = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        let known = fs::read_to_string(self.path("authorized")).unwrap();
        fs::write(self.path("authorized"), known + &more).unwrap();
    }

    pub fn public_key(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    /// How to sign in here; `more` goes over it.
    pub fn settings(&self, mut more: Value) -> Value {
        let mut settings = json!({
            "host": self.address.ip().to_string(),
            "port": self.address.port(),
            "user": user(),
            "key": self.path("user"),
            "host_key": self.public_key("host"),
            "timeout": "5s",
        });
        settings.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
        settings
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and returns once it does.
    pub fn go(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(SSHD);
        command.args(["-D", "-e", "-f"]).arg(self.path("settings"));
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(began.elapsed() < PATIENCE, "sshd does not listen: {}", log());
            std::thread::yield_now();
        }
    }

    /// Ends at once, with every connection.
    pub fn cut(&mut self) {
        if let Some(mut child) = self.child.take() {
            let mut all = vec![child.id()];
            let mut at = 0;
            while at < all.len() {
                all.extend(children(all[at]));
                at += 1;
            }
            for process in all {
                let _ =
                    Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
            }
            let _ = child.wait();
        }
    }

    /// How many connections it has.
    pub fn connections(&self) -> usize {
        self.child.as_ref().map_or(0, |child| children(child.id()).len())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn user() -> String {
    let named = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(named.stdout).unwrap().trim().to_owned()
}

fn children(process: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().map(|child| child.parse().unwrap()).collect()
}
