//! The two ends of a TLS connection, with certificates that are read anew when their files change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use engine::{Hindered, Hindrance};
use rustls::{
    ClientConfig, ConfigBuilder, ServerConfig, WantsVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::ServerName,
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tracing::{info, warn};

use super::{Tls, load, trust};

const DISTRUST: &str = "TLS failed: the other side's certificate is not accepted";

/// The end that listens.
pub struct Acceptor(Fresh<ServerConfig>);

/// The end that connects.
pub(crate) struct Connector {
    fresh: Fresh<ClientConfig>,
    server_name: Option<String>,
}

impl Acceptor {
    /// With certificates from files named from `root` on; the error is for an operator.
    pub fn new(tls: &Tls, root: &Path) -> Result<Self, String> {
        Ok(Self(Fresh::new(tls.beneath(root), server_config)?))
    }

    /// Greets a peer that connected; the error is for an operator.
    pub async fn accept(&self, stream: TcpStream) -> Result<server::TlsStream<TcpStream>, String> {
        TlsAcceptor::from(self.0.current()).accept(stream).await.map_err(|error| explain(&error))
    }
}

impl Connector {
    pub(crate) fn new(tls: &Tls, root: &Path) -> Result<Self, String> {
        Self::offering(tls, root, &[])
    }

    /// One that offers to speak these, the first most of all (ALPN).
    pub(crate) fn offering(tls: &Tls, root: &Path, protocols: &[&[u8]]) -> Result<Self, String> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.to_vec()).collect();
        let build = move |tls: &Tls| {
            let mut config = client_config(tls)?;
            config.alpn_protocols.clone_from(&protocols);
            Ok(config)
        };
        let fresh = Fresh::new(tls.beneath(root), build)?;
        Ok(Self { fresh, server_name: tls.server_name.clone() })
    }

    /// Greets the peer we connected to; the error is for an operator.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<client::TlsStream<TcpStream>, Hindered> {
        let failed = |why: String| Hindered::by(Hindrance::Tls, why);
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| failed(format!("`{name}` is not a name that a certificate can bear")))?;
        let connected = TlsConnector::from(self.fresh.current()).connect(name, stream).await;
        connected.map_err(|error| failed(explain(&error)))
    }
}

/// Whether the other end refused our greeting or our certificate: then it read nothing of what we sent.
pub(crate) fn is_alert(error: &io::Error) -> bool {
    matches!(tls_error(error), Some(rustls::Error::AlertReceived(_)))
}

/// Whether words of [`explain`] say that it is the other side's certificate that we do not accept.
pub(crate) fn is_distrust(words: &str) -> bool {
    words.contains(DISTRUST)
}

/// Says in words what went wrong in a greeting.
pub(crate) fn explain(error: &io::Error) -> String {
    match tls_error(error) {
        Some(rustls::Error::InvalidMessage(_)) => "TLS failed: the other side does not speak TLS".to_owned(),
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("TLS failed: the other side refused it ({alert:?})")
        }
        Some(rustls::Error::NoCertificatesPresented) => {
            "TLS failed: the other side showed no certificate".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!("{DISTRUST} ({why})")
        }
        Some(error) => format!("TLS failed: {error}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "TLS failed: the other side hung up during the greeting; it may not speak TLS".to_owned()
        }
        None => format!("TLS failed: {error}"),
    }
}

/// Says in words why nothing more can be read.
pub(crate) fn explain_reading(error: &io::Error) -> String {
    match tls_error(error) {
        Some(_) => explain(error),
        None => format!("cannot read: {error}"),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

type Build<T> = dyn Fn(&Tls) -> Result<T, String> + Send + Sync;

/// A configuration made from files, made anew when one of them changes.
struct Fresh<T> {
    tls: Tls,
    build: Box<Build<T>>,
    current: Mutex<(Vec<Stamp>, Arc<T>)>,
}

/// When a file was written, and its length; `None` where there is none.
type Stamp = Option<(SystemTime, u64)>;

impl<T> Fresh<T> {
    fn new(
        tls: Tls,
        build: impl Fn(&Tls) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let stamps = stamps(&tls);
        let first = Arc::new(build(&tls)?);
        Ok(Self { tls, build: Box::new(build), current: Mutex::new((stamps, first)) })
    }

    /// The configuration of the files as they are. A file that has gone bad leaves the last good one in force.
    fn current(&self) -> Arc<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.tls);
        if current.0 != now {
            match (self.build)(&self.tls) {
                Ok(built) => {
                    info!("certificates changed and are in force");
                    current.1 = Arc::new(built);
                }
                Err(why) => {
                    warn!(%why, "certificates changed and cannot be used; the ones before stay in force");
                }
            }
            current.0 = now;
        }
        Arc::clone(&current.1)
    }
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    tls.files()
        .map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
        .collect()
}

impl Tls {
    /// The same settings with every file from the project's folder on.
    fn beneath(&self, root: &Path) -> Self {
        let place = |file: &Option<PathBuf>| file.as_ref().map(|file| root.join(file));
        Self {
            certificate: place(&self.certificate),
            key: place(&self.key),
            clients: place(&self.clients),
            authorities: place(&self.authorities),
            server_name: self.server_name.clone(),
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate, &self.key, &self.clients, &self.authorities].into_iter().flatten()
    }
}

fn server_config(tls: &Tls) -> Result<ServerConfig, String> {
    let provider = provider();
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        return Err("listening with TLS needs a `certificate` and its `key`".to_owned());
    };
    let verifier = match &tls.clients {
        Some(file) => trust::clients(file, &provider)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    versions(ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(load::certificates(certificate)?, load::key(key)?)
        .map_err(|error| format!("cannot use `{}` with `{}`: {error}", certificate.display(), key.display()))
}

fn client_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = provider();
    let verifier = trust::servers(tls.authorities.as_deref(), &provider)?;
    let builder =
        versions(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        return Ok(builder.with_no_client_auth());
    };
    builder
        .with_client_auth_cert(load::certificates(certificate)?, load::key(key)?)
        .map_err(|error| format!("cannot use `{}` with `{}`: {error}", certificate.display(), key.display()))
}

/// The end that connects to a server whose certificate stands in this file, or is of an authority that does.
pub fn trusting(authorities: &Path) -> Result<ClientConfig, String> {
    client_config(&Tls { authorities: Some(authorities.to_owned()), ..Tls::default() })
}

fn versions<S: rustls::ConfigSide>(
    builder: Result<ConfigBuilder<S, WantsVerifier>, rustls::Error>,
) -> Result<ConfigBuilder<S, WantsVerifier>, String> {
    builder.map_err(|error| format!("TLS cannot be set up: {error}"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
