//! Looks at certificates before they are used, so that `check` finds what a connection would stumble over.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use engine::{Checks, Diagnostic, Severity};
use rustls::{crypto::aws_lc_rs, pki_types::CertificateDer, sign::CertifiedKey};
use x509_parser::{
    certificate::{Validity, X509Certificate},
    prelude::FromDer,
};

use super::{Side, Tls, load};

/// How long before its end a certificate is warned of.
const NOTICE: Duration = Duration::from_hours(30 * 24);

pub(super) struct Examination<'a> {
    pub(super) tls: &'a Tls,
    pub(super) side: Side,
    pub(super) root: &'a Path,
    /// Where the settings stand.
    pub(super) field: &'a str,
}

impl Examination<'_> {
    pub(super) fn run(&self, checks: &mut Checks<'_>) {
        let own = self.read("certificate", self.tls.certificate.as_deref(), checks);
        if let Some(first) = own.first() {
            self.check_usage(first, checks);
        }
        self.check_key(own, checks);
        self.read("clients", self.tls.clients.as_deref(), checks);
        self.read("authorities", self.tls.authorities.as_deref(), checks);
    }

    /// The certificates of one file; complains of what cannot be read and of dates.
    fn read(&self, name: &str, file: Option<&Path>, checks: &mut Checks<'_>) -> Vec<CertificateDer<'static>> {
        let Some(file) = file else { return Vec::new() };
        match load::certificates(&self.root.join(file)) {
            Ok(found) => {
                for certificate in &found {
                    self.check_dates(name, certificate, checks);
                }
                found
            }
            Err(why) => {
                checks.error("file-unreadable", &self.at(name), why);
                Vec::new()
            }
        }
    }

    fn check_dates(&self, name: &str, certificate: &CertificateDer<'_>, checks: &mut Checks<'_>) {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            return checks.error(
                "file-unreadable",
                &self.at(name),
                "holds a certificate that cannot be read",
            );
        };
        let validity = certificate.validity();
        let now = seconds_now();
        if now > validity.not_after.timestamp() {
            let why = format!("`{}` expired on {}", certificate.subject(), validity.not_after);
            checks.add(self.ends("certificate-expired", (name, why), validity));
        } else if now < validity.not_before.timestamp() {
            let why = format!("`{}` is valid only from {}", certificate.subject(), validity.not_before);
            checks.error("certificate-expired", &self.at(name), why);
        } else if now + NOTICE.as_secs() as i64 > validity.not_after.timestamp() {
            let why = format!("`{}` expires on {}", certificate.subject(), validity.not_after);
            let expires = self.ends("certificate-expires", (name, why), validity);
            checks.add(Diagnostic { severity: Severity::Warning, ..expires });
        }
    }

    /// A complaint that says when the certificate ends.
    fn ends(&self, code: &'static str, (name, why): (&str, String), validity: &Validity) -> Diagnostic {
        let seconds = u64::try_from(validity.not_after.timestamp()).unwrap_or_default();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX)));
        Diagnostic::error(code, engine::Path::parse(&self.at(name)), why).ending(end)
    }

    fn check_usage(&self, certificate: &CertificateDer<'_>, checks: &mut Checks<'_>) {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return };
        let Ok(Some(usage)) = certificate.extended_key_usage() else { return };
        let (fits, wanted) = match self.side {
            Side::Listens => (usage.value.server_auth, "servers (serverAuth)"),
            Side::Connects => (usage.value.client_auth, "clients (clientAuth)"),
        };
        if !fits && !usage.value.any {
            let why = format!("`{}` may not be used by {wanted}", certificate.subject());
            checks.error("certificate-usage", &self.at("certificate"), why);
        }
    }

    fn check_key(&self, own: Vec<CertificateDer<'static>>, checks: &mut Checks<'_>) {
        let Some(file) = &self.tls.key else { return };
        let key = match load::key(&self.root.join(file)) {
            Ok(key) => key,
            Err(why) => return checks.error("file-unreadable", &self.at("key"), why),
        };
        if own.is_empty() {
            return;
        }
        if let Err(error) = CertifiedKey::from_der(own, key, &aws_lc_rs::default_provider()) {
            let why = format!("is not the key of `certificate`: {error}");
            checks.error("certificate-key", &self.at("key"), why);
        }
    }

    fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.field)
    }
}

fn seconds_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}
