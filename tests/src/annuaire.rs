//! The Annuaire that the binary plays, as a process that can be told what happens, and a server of TLS before it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::{Project, binary, free_port, wait_until};

/// `relais mock annuaire`, which lives as long as the test.
pub struct Annuaire {
    child: Child,
    pub port: u16,
}

impl Annuaire {
    pub fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new(binary())
            .args(["mock", "annuaire", "--listen", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary can be started");
        wait_until("the Annuaire listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port }
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}/fhir/v2", self.port)
    }

    /// Lets something happen now: an event as a scenario has them.
    pub fn happen(&self, event: &str) {
        let (status, body) = self.ask("POST", "/mock", event).expect("the Annuaire answers");
        assert_eq!(status, 204, "{event}: {body}");
    }

    /// What a search finds, by its path below `/fhir/v2/`.
    pub fn search(&self, query: &str) -> serde_json::Value {
        let (status, body) = self.ask("GET", &format!("/fhir/v2/{query}"), "").expect("the Annuaire answers");
        assert_eq!(status, 200, "{query}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("the Annuaire says {body}"))
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Length: {length}\r\n\r\n{body}",
            self.port
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

impl Drop for Annuaire {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Speaks TLS before a port of this machine, with a certificate that nobody knows.
pub struct Private {
    pub port: u16,
    certificate: String,
}

impl Private {
    pub fn before(port: u16) -> Self {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.expect("a certificate can be made");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let settings = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a certificate fits its key");
        let own = free_port();
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        // It ends with the process: whoever is let in last may be anybody.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a thread can wait").block_on(serve(own, port, acceptor));
        });
        wait_until("it listens", || TcpStream::connect(("127.0.0.1", own)).is_ok());
        Self { port: own, certificate: cert.pem() }
    }

    /// Lets a project know the certificate, as `ca.pem`.
    pub fn introduce(&self, project: &Project) {
        fs::write(project.path("ca.pem"), &self.certificate).expect("a file can be written");
    }
}

async fn serve(port: u16, before: u16, acceptor: TlsAcceptor) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a port is free");
    while let Ok((client, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut client = acceptor.accept(client).await?;
            let mut server = tokio::net::TcpStream::connect(("127.0.0.1", before)).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}
