//! A FHIR terminology server that is not ours, of another code base: `hts` of Helios, with terms of the test's own.

use std::{
    fs::File,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{Asker, free_port, installed, relais::wait_until};

/// A running server; ended with the test.
pub struct Terms {
    folder: tempfile::TempDir,
    child: Option<Child>,
    pub port: u16,
}

impl Terms {
    /// Holds these resources.
    pub fn start(resources: &[Value]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let entries: Vec<Value> = resources.iter().map(|one| json!({ "resource": one })).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": entries });
        std::fs::write(folder.path().join("terms.json"), bundle.to_string()).expect("a file can be written");
        let mut server = Self { folder, child: None, port: free_port() };
        let imported = server.program(&["import", "terms.json"]).output().expect("hts can be run");
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        server.go();
        server
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets it go, or go again, with what it held.
    pub fn go(&mut self) {
        let log = File::create(self.folder.path().join("log")).expect("a file can be made");
        let port = self.port.to_string();
        let mut command = self.program(&["run", "--host", "127.0.0.1", "--port", &port]);
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        self.child = Some(command.spawn().expect("hts can be started"));
        let asker = Asker::nobody(self.port);
        wait_until("the terminology server answers", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && asker.get("/metadata").status == 200
        });
    }

    /// Ends it in the middle of whatever it does.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It may have left already.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Takes a resource in the place of the one with its id.
    pub fn put(&self, resource: &Value) {
        let path =
            format!("/{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let answer = Asker::nobody(self.port).with("Content-Type", "application/fhir+json").ask(
            "PUT",
            &path,
            Some(resource.to_string().as_bytes()),
        );
        assert!([200, 201].contains(&answer.status), "{answer:?}");
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed("helios/bin/hts"));
        command
            .args(arguments)
            .args(["--database-url", "terms.db"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Terms {
    fn drop(&mut self) {
        self.stop();
    }
}
