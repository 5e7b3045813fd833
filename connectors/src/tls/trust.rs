//! Whom we believe: authorities, and single certificates that stand in the same file.
//!
//! Many devices come with a certificate they signed themselves. Put in the file of authorities it is
//! trusted as it stands, name included, as long as it is not expired.

use std::{path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::load;

/// The verifier of servers: those of the file's authorities, or of the system's where no file is given.
pub(super) fn servers(
    file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let known = file.map_or_else(system, load::certificates)?;
    let inner = WebPkiServerVerifier::builder_with_provider(store(&known), Arc::clone(provider))
        .build()
        .map_err(|error| format!("no authority to trust: {error}"))?;
    // A system's certificates are authorities and nothing else.
    let pinned = if file.is_some() { known } else { Vec::new() };
    Ok(Arc::new(Servers { inner, pinned: Pinned(pinned) }))
}

/// The verifier of clients: every one must show a certificate.
pub(super) fn clients(
    file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let known = load::certificates(file)?;
    let inner = WebPkiClientVerifier::builder_with_provider(store(&known), Arc::clone(provider))
        .build()
        .map_err(|error| format!("no authority to trust in `{}`: {error}", file.display()))?;
    Ok(Arc::new(Clients { inner, pinned: Pinned(known) }))
}

fn system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        Err("the system trusts no authority: name `authorities`".to_owned())
    } else {
        Ok(found)
    }
}

fn store(known: &[CertificateDer<'static>]) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(known.iter().cloned());
    Arc::new(store)
}

/// Certificates that are trusted as they stand.
#[derive(Debug)]
struct Pinned(Vec<CertificateDer<'static>>);

impl Pinned {
    fn holds(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        self.0.contains(certificate)
            && X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
                let now = now.as_secs() as i64;
                let validity = certificate.validity();
                validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp()
            })
    }
}

#[derive(Debug)]
struct Servers {
    inner: Arc<WebPkiServerVerifier>,
    pinned: Pinned,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(_) if self.pinned.holds(end_entity, now) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct Clients {
    inner: Arc<dyn ClientCertVerifier>,
    pinned: Pinned,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.inner.verify_client_cert(end_entity, intermediates, now) {
            Err(_) if self.pinned.holds(end_entity, now) => Ok(ClientCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
