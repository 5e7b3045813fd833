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

/// A user that this machine does not have, for a server that must not be root's.
const ORDINARY: (&str, u32) = ("relais-test", 4711);

/// What [`Sshd::asking_password`] lets in by, and what a system keeps of it.
pub const PASSWORD: &str = "open sesame";
const HASHED: &str =
    "$6$relais$K/iLPCTjsaV/1FQHRm6PKYF6PZqNipUr33zVC4zcNtWHsi2AT/Tkfbx/5QlzkwuTV2q5g2GO/ZtwS/nzLKpzN/";

/// An OpenSSH server that lets us in by a key.
pub struct Sshd {
    folder: TempDir,
    address: SocketAddr,
    user: String,
    /// What starts the server; its own command follows.
    launcher: Vec<String>,
    child: Option<Child>,
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines in its settings.
    pub fn with(lines: &str) -> Self {
        let mut sshd = Self::made(lines);
        sshd.go();
        sshd
    }

    /// As an ordinary user: as the one who runs the test, or in place of root as another.
    pub fn ordinary() -> Self {
        let mut sshd = Self::made("");
        if sshd.user == "root" {
            let (_, number) = ORDINARY;
            sshd.serving("*");
            let becoming = format!("--reuid={number} --regid={number} --clear-groups");
            sshd.launcher.extend(["setpriv"].into_iter().chain(becoming.split(' ')).map(str::to_owned));
        }
        sshd.go();
        sshd
    }

    /// As the machine's own, which lets an ordinary user in by [`PASSWORD`] and by nothing else.
    pub fn asking_password() -> Self {
        let mut sshd = Self::made("PubkeyAuthentication no");
        sshd.serving(HASHED);
        sshd.go();
        sshd
    }

    /// Knows an ordinary user, whose folder it is: the one who runs the test, or in place of root another.
    fn serving(&mut self, password: &str) {
        let (mut name, mut number) = (self.user.clone(), id("-u"));
        if name == "root" {
            (name, number) = (ORDINARY.0.to_owned(), ORDINARY.1.to_string());
        }
        let machine = fs::read_to_string("/etc/passwd").unwrap();
        let users = self.path("users");
        let known = format!("{name}:{password}:{number}:{number}::/:/bin/sh\n{machine}");
        fs::write(&users, known).unwrap();
        self.in_its_eyes(&format!("mount --bind {} /etc/passwd", users.display()));
        let owner = Some(number.parse().unwrap());
        for entry in fs::read_dir(self.path("")).unwrap() {
            std::os::unix::fs::chown(entry.unwrap().path(), owner, owner).unwrap();
        }
        std::os::unix::fs::chown(self.path(""), owner, owner).unwrap();
        self.user = name;
    }

    /// With a disk of this size mounted on one of its folders, in its own eyes: [`Self::inside`] looks there.
    pub fn on_small_disk(folder: &str, size: &str) -> Self {
        let mut sshd = Self::made("");
        let at = sshd.path(folder);
        fs::create_dir_all(&at).unwrap();
        sshd.in_its_eyes(&format!("mount -t tmpfs -o size={size} relais-test {}", at.display()));
        sshd.go();
        sshd
    }

    /// Lets the server see other files than the rest of the machine does.
    fn in_its_eyes(&mut self, mounting: &str) {
        let script = format!("{mounting} && exec \"$0\" \"$@\"");
        let rights: &[&str] = if self.user == "root" { &[] } else { &["--map-current-user", "--keep-caps"] };
        let words = [&["unshare"], rights, &["--mount", "sh", "-c", &script]].concat();
        self.launcher = words.into_iter().map(str::to_owned).collect();
    }

    fn made(lines: &str) -> Self {
        assert!(Path::new(SSHD).exists(), "there is no {SSHD}: apt-get install openssh-server");
        // A server of root keeps its unprivileged part there.
        let _ = fs::create_dir_all("/run/sshd");
        let folder = tempfile::tempdir().unwrap();
        let sshd = Self { address: free(), user: id("-un"), launcher: Vec::new(), child: None, folder };
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
        sshd
    }

    /// Where a user arrives, and what lies there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same, in the eyes of the server.
    pub fn inside(&self, name: &str) -> PathBuf {
        let process = self.child.as_ref().expect("it runs").id();
        let path = self.path(name);
        let path = path.strip_prefix("/").expect("a temporary folder has an absolute path");
        PathBuf::from(format!("/proc/{process}/root")).join(path)
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
            "user": self.user,
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
        let words: Vec<&str> = self.launcher.iter().map(String::as_str).chain([SSHD]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-D", "-e", "-f"]).arg(self.path("settings"));
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

/// Who runs the test: by name (`-un`) or by number (`-u`).
fn id(how: &str) -> String {
    let named = Command::new("id").arg(how).output().unwrap();
    String::from_utf8(named.stdout).unwrap().trim().to_owned()
}

fn children(process: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().map(|child| child.parse().unwrap()).collect()
}
