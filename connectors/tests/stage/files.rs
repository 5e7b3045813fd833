//! Certificates and keys in files, as a hospital has them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use connectors::tls::Tls;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of certificates, as a hospital has it.
pub struct Files {
    pub folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority("Hospital CA");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let files = Self { folder, authority };
        files.issue("server", |params| usage(params, ExtendedKeyUsagePurpose::ServerAuth));
        files.issue("client", |params| usage(params, ExtendedKeyUsagePurpose::ClientAuth));
        files
    }

    /// A certificate of the authority for this machine, as `NAME.pem` and `NAME.key`.
    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(name, &certificate.pem(), &key);
    }

    /// A certificate that vouches for itself.
    pub fn sign_itself(&self, name: &str) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["device".to_owned()]).unwrap();
        self.write(name, &cert.pem(), &signing_key);
    }

    pub fn write(&self, name: &str, certificate: &str, key: &KeyPair) {
        fs::write(self.path(&format!("{name}.pem")), certificate).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn text(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    /// The settings of a server, with files named absolutely.
    pub fn server(&self) -> Value {
        json!({ "certificate": self.text("server.pem"), "key": self.text("server.key") })
    }

    pub fn server_for(&self, clients: &str) -> Value {
        let mut server = self.server();
        server["clients"] = self.text(clients).into();
        server
    }
}

/// A client's settings, with files named from the folder on.
pub fn client(name: &str) -> Tls {
    Tls {
        certificate: Some(format!("{name}.pem").into()),
        key: Some(format!("{name}.key").into()),
        authorities: Some("ca.pem".into()),
        ..Tls::default()
    }
}

pub fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub fn usage(params: &mut CertificateParams, usage: ExtendedKeyUsagePurpose) {
    params.extended_key_usages = vec![usage];
}
