//! A project folder that lives as long as the test.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{Relais, binary, free_port};

/// A folder with `relais.yaml` and whatever the test writes into it.
pub struct Project {
    folder: tempfile::TempDir,
    /// Where its REST interface listens.
    pub port: u16,
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let project = Self { folder, port };
        project.write("relais.yaml", format!("listen: 127.0.0.1:{port}\nlog: {{ level: info }}\n"));
        project
    }

    /// A project of `examples/` as it is on disk, its ports replaced by others.
    pub fn of_example(name: &str, ports: &BTreeMap<u16, u16>) -> Self {
        let project = Self::new();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        for folder in ["channels", "scripts", "tables", "messages", "expected"] {
            // Not every example has every folder.
            let Ok(files) = fs::read_dir(example.join(folder)) else { continue };
            for file in files {
                let file = file.expect("a folder can be read").path();
                let mut content = fs::read(&file).expect("a file can be read");
                if folder == "channels" {
                    let text = String::from_utf8(content).expect("a channel file is UTF-8");
                    let text = ports.iter().fold(text, |text, (old, new)| {
                        text.replace(&format!("127.0.0.1:{old}"), &format!("127.0.0.1:{new}"))
                    });
                    content = text.into_bytes();
                }
                let name = file.file_name().expect("a file has a name").to_string_lossy();
                project.write(&format!("{folder}/{name}"), content);
            }
        }
        project
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders can be made");
        fs::write(path, text).expect("a file can be written");
        self
    }

    /// Writes `channels/NAME.yaml`.
    pub fn channel(&self, name: &str, text: &str) -> &Self {
        self.write(&format!("channels/{name}.yaml"), text)
    }

    /// A link by which somebody signs in for the first time, and chooses a password.
    pub fn link(&self, name: &str) -> String {
        let said = self.relais(&["account", "link", name]);
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        let link = words.split_whitespace().find_map(|word| Some(&word[word.find("#/welcome/")?..]));
        link.unwrap_or_else(|| panic!("{words}{}", String::from_utf8_lossy(&said.stderr))).to_owned()
    }

    /// Runs a command of the binary on this project.
    pub fn relais(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .args(arguments)
            .current_dir(self.root())
            .output()
            .expect("the binary can be started")
    }

    pub fn start(&self) -> Relais {
        Relais::start(self)
    }

    /// The files of a folder that are whole: no temporary names.
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                path.is_file()
                    && !name.starts_with('.')
                    && path.extension().is_none_or(|ending| ending != "tmp")
            })
            .collect();
        files.sort();
        files
    }
}
