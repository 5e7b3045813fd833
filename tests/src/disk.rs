//! Disks that fail under a running server: system calls that strace answers with an error, and a disk that fills up.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use crate::{Project, Relais, binary};

/// System calls of a running server under the eyes, or in the hands, of strace.
pub struct Strace {
    child: Child,
    /// What it says of itself; it must have somebody to say it to.
    _words: BufReader<ChildStderr>,
}

impl Strace {
    /// Makes syncs of these files, or of all where none is named, fail with `error`, from each thread's `from`th on,
    /// until it is dropped.
    pub fn fail_syncs(relais: &Relais, error: &str, from: u32, files: &[PathBuf]) -> Self {
        let inject = format!("inject=fsync,fdatasync:error={error}:when={from}+");
        let mut command = Command::new("strace");
        command.args(["-e", "trace=fsync,fdatasync", "-e", &inject, "-o", "/dev/null"]);
        for file in files {
            command.arg("-P").arg(file);
        }
        Self::attach(relais, command)
    }

    /// Makes every sync take five milliseconds longer, until it is dropped.
    pub fn slow_syncs(relais: &Relais) -> Self {
        let mut command = Command::new("strace");
        command.args(["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_exit=5000"]);
        command.args(["-o", "/dev/null"]);
        Self::attach(relais, command)
    }

    /// Writes the calls of these names into a file, with the paths of what they touch.
    pub fn watch(relais: &Relais, calls: &str, into: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(["-y", "-s", "400", "-e", &format!("trace={calls}"), "-o"]).arg(into);
        Self::attach(relais, command)
    }

    /// Returns once strace has every thread of the server.
    fn attach(relais: &Relais, mut command: Command) -> Self {
        let mut child = command
            .args(["-f", "-p", &relais.process().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace can be run: apt-get install strace");
        let mut words = BufReader::new(child.stderr.take().expect("what strace says is read"));
        let mut said = String::new();
        while !said.contains(" attached") {
            let length = words.read_line(&mut said).expect("what strace says can be read");
            assert!(
                length > 0,
                "strace cannot attach; be root, or set kernel.yama.ptrace_scope to 0:\n{said}"
            );
        }
        Self { child, _words: words }
    }
}

impl Drop for Strace {
    /// Lets the server go: it runs on as if nothing had been.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A folder of a project that is a disk of its own, in the eyes of one server.
pub struct SmallDisk {
    filler: PathBuf,
}

impl SmallDisk {
    /// Starts the server with a small disk mounted on a folder of its project.
    pub fn start(project: &Project, folder: &str, options: &str) -> (Relais, Self) {
        fs::create_dir_all(project.path(folder)).expect("a folder can be made");
        let relais = Relais::start_with(project, &mut Self::command(folder, options));
        // What is mounted there is seen through the server's own view of the files.
        let root = PathBuf::from(format!("/proc/{}/root", relais.process()));
        let inside = project.path(folder);
        let inside = inside.strip_prefix("/").expect("a project has an absolute path");
        let filler = root.join(inside).join("filler");
        (relais, Self { filler })
    }

    /// What starts a program that sees such a disk; its arguments follow.
    pub fn command(folder: &str, options: &str) -> Command {
        let mut command = Command::new("unshare");
        if !is_root() {
            command.arg("--map-root-user");
        }
        let script = format!("mount -t tmpfs -o {options} relais-test {folder} && exec \"$0\" \"$@\"");
        command.args(["--mount", "sh", "-c", &script]).arg(binary());
        command
    }

    /// Takes so many bytes.
    pub fn take(&self, bytes: usize) {
        self.filler().write_all(&vec![0; bytes]).expect("so many bytes are left");
    }

    fn filler(&self) -> File {
        File::options().create(true).append(true).open(&self.filler).expect("a disk can be filled")
    }

    /// Takes every byte that is left.
    pub fn fill(&self) {
        let mut filler = self.filler();
        let block = [0; 4096];
        loop {
            match filler.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("cannot fill {}: {error}", self.filler.display()),
            }
        }
    }

    /// Gives it all back.
    pub fn free(&self) {
        fs::remove_file(&self.filler).expect("what fills a disk can be removed");
    }
}

/// Whether the tests run as the user whom nothing is forbidden.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id can be run");
    id.stdout.trim_ascii() == b"0"
}
