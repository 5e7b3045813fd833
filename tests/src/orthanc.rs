//! A real Orthanc with its DICOMweb plugin on this machine, for one test: an archive that is not ours.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{free_port, relais::wait_until};

const ORTHANC: &str = "/usr/sbin/Orthanc";
const DICOMWEB: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";

/// A running Orthanc, which lives as long as the test.
pub struct Orthanc {
    child: Child,
    folder: TempDir,
    /// Where it speaks HTTP.
    pub port: u16,
    /// Where it takes associations, as `ORTHANC`.
    pub dicom: u16,
}

impl Default for Orthanc {
    fn default() -> Self {
        Self::start()
    }
}

impl Orthanc {
    pub fn start() -> Self {
        Self::with(&json!({}))
    }

    /// With more in its settings.
    pub fn with(settings: &Value) -> Self {
        for (file, package) in [(ORTHANC, "orthanc"), (DICOMWEB, "orthanc-dicomweb")] {
            assert!(Path::new(file).exists(), "there is no {file}: apt-get install {package}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (port, dicom) = (free_port(), free_port());
        let store = folder.path().join("store");
        let mut all = json!({
            "Name": "test", "StorageDirectory": store, "IndexDirectory": store, "HttpPort": port, "DicomPort": dicom,
            "DicomAet": "ORTHANC", "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "Plugins": [DICOMWEB],
            "DicomAlwaysAllowFind": true, "DicomThreadsCount": 8,
            "DicomWeb": { "Enable": true, "Root": "/dicom-web/", "EnableWado": true },
        });
        for (name, value) in settings.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        fs::write(folder.path().join("orthanc.json"), all.to_string()).expect("a file can be written");
        let orthanc = Self { child: run(&folder), folder, port, dicom };
        orthanc.wait();
        orthanc
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts it again on what it holds.
    pub fn restart(&mut self) {
        self.child = run(&self.folder);
        self.wait();
    }

    /// The root of its DICOMweb.
    pub fn web(&self) -> String {
        format!("http://127.0.0.1:{}/dicom-web", self.port)
    }

    /// Asks a path of its own interface.
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let status = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_off(end)))
    }

    /// How many instances it holds.
    pub fn count(&self) -> u64 {
        let (_, answer) = self.ask("GET", "/statistics", b"").expect("Orthanc answers");
        let answer: Value = serde_json::from_slice(&answer).expect("it answers with JSON");
        answer["CountInstances"].as_u64().expect("it counts its instances")
    }

    /// The UIDs of all its instances.
    pub fn instances(&self) -> BTreeSet<String> {
        let (_, answer) = self.ask("GET", "/instances?expand", b"").expect("Orthanc answers");
        let answer: Value = serde_json::from_slice(&answer).expect("it answers with JSON");
        let named = |one: &Value| one["MainDicomTags"]["SOPInstanceUID"].as_str().map(str::to_owned);
        answer.as_array().expect("a list").iter().filter_map(named).collect()
    }

    /// The file that it holds for an instance.
    pub fn file(&self, uid: &str) -> Option<Vec<u8>> {
        let (_, found) = self.ask("POST", "/tools/lookup", uid.as_bytes())?;
        let found: Value = serde_json::from_slice(&found).ok()?;
        let found = found.as_array()?.iter().find(|one| one["Type"] == "Instance")?;
        let (status, file) = self.ask("GET", &format!("{}/file", found["Path"].as_str()?), b"")?;
        (status == 200).then_some(file)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn wait(&self) {
        wait_until("Orthanc answers", || {
            self.ask("GET", "/system", b"").is_some_and(|(status, _)| status == 200)
        });
    }
}

fn run(folder: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(folder.path().join("log"));
    let log = log.expect("a file can be made");
    Command::new(ORTHANC)
        .arg("orthanc.json")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("Orthanc can be started")
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
