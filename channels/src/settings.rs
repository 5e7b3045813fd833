//! The server's settings: `relais.yaml`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path as FilePath, PathBuf},
};

use connectors::{
    setting::Size,
    tls::{Side, Tls},
};
use engine::{Checks, Diagnostic, Path};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{reading::Reader, sign_in::SignIn, traces::TraceSettings, values::Zone};

/// What a store takes for its journal and for what is on its way, and some more.
const LEAST_BUDGET: Size = Size(100_000_000);

/// What `relais.yaml` says, with a default for everything.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where console, REST, metrics and health listen.
    pub listen: SocketAddr,
    /// Lets `listen` be an address that other machines reach, without TLS too.
    pub allow_remote: bool,
    /// How it listens by TLS.
    pub tls: Option<ListenTls>,
    /// The provider by which people may sign in.
    pub sign_in: Option<SignIn>,
    /// Where traces go.
    pub traces: Option<TraceSettings>,
    pub store: StoreSettings,
    pub log: LogSettings,
    /// For times without an offset.
    pub zone: TimeZone,
    pub reload: Reload,
}

/// The settings of a Relais server, all with a default.
#[derive(Default, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "The settings of a Relais server")]
pub(crate) struct SettingsFile {
    /// Where console, REST, metrics and health listen (`127.0.0.1:8600`).
    #[schemars(with = "Option<String>", extend("examples" = ["127.0.0.1:8600"]))]
    listen: Option<SocketAddr>,
    /// Lets `listen` be an address that other machines reach without TLS. Without either only this machine is let in.
    #[serde(default)]
    allow_remote: bool,
    /// TLS where console and REST listen: other machines may reach them then.
    tls: Option<ListenTls>,
    /// A provider of accounts by which people may sign in (`OpenID` Connect).
    sign_in: Option<SignIn>,
    /// Where it tells what messages went through (OpenTelemetry); nobody, by default.
    traces: Option<TraceSettings>,
    /// Where messages are kept.
    #[serde(default)]
    store: StoreSettings,
    /// What is logged, and how.
    #[serde(default)]
    log: LogSettings,
    /// For times without an offset; else the machine's.
    zone: Option<Zone>,
    /// When an edited file takes effect.
    #[serde(default)]
    reload: Reload,
}

/// The certificate of console and REST, in PEM files that are read anew when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// The certificate, with what links it to its authority; a file, from the project's folder on.
    #[schemars(example = "server.pem")]
    pub certificate: PathBuf,
    /// Its key.
    #[schemars(example = "server.key")]
    pub key: PathBuf,
}

impl ListenTls {
    /// The same, as connections are opened with it.
    pub fn settings(&self) -> Tls {
        let (certificate, key) = (Some(self.certificate.clone()), Some(self.key.clone()));
        Tls { certificate, key, ..Tls::default() }
    }
}

/// Where messages are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// A folder, from the project's own (`data`).
    #[serde(default = "data")]
    pub path: PathBuf,
    /// New messages are refused with fewer bytes free on its disk (`1GB`, or a twentieth of a smaller disk than 20 GB).
    pub free: Option<Size>,
    /// New messages are refused with more bytes than this in the folder; no limit by default.
    pub budget: Option<Size>,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// For people, or for programs.
    #[serde(default)]
    pub format: LogFormat,
    /// The least that is logged.
    #[serde(default)]
    pub level: LogLevel,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The least that is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// When an edited file takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// When the files have been still for a second and the whole project is sound.
    #[default]
    OnChange,
    /// With `relais deploy`, or SIGHUP.
    OnCommand,
}

impl LogLevel {
    /// The word that stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: data(), free: None, budget: None }
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        SettingsFile::default().into()
    }
}

impl From<SettingsFile> for ServerSettings {
    fn from(file: SettingsFile) -> Self {
        Self {
            listen: file.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8600))),
            allow_remote: file.allow_remote,
            tls: file.tls,
            sign_in: file.sign_in,
            traces: file.traces,
            store: file.store,
            log: file.log,
            zone: file.zone.map_or_else(TimeZone::system, |zone| zone.0),
            reload: file.reload,
        }
    }
}

impl ServerSettings {
    /// Reads `relais.yaml`, value by value.
    pub(crate) fn read(reader: &mut Reader<'_>, root: &FilePath) -> Self {
        let at = |key: &str| Path::parse(key);
        let file = SettingsFile {
            listen: reader.read(&at("listen")),
            allow_remote: reader.read_or_default(&at("allow_remote")),
            tls: reader.read(&at("tls")),
            sign_in: reader.read(&at("sign_in")),
            traces: reader.read(&at("traces")),
            store: StoreSettings {
                path: reader.read(&at("store.path")).unwrap_or_else(data),
                free: reader.read(&at("store.free")),
                budget: reader.read(&at("store.budget")),
            },
            log: LogSettings {
                format: reader.read_or_default(&at("log.format")),
                level: reader.read_or_default(&at("log.level")),
            },
            zone: reader.read(&at("zone")),
            reload: reader.read_or_default(&at("reload")),
        };
        let settings = Self::from(file);
        reader.found.extend(settings.check());
        if let Some(tls) = &settings.tls {
            let mut checks = Checks::new(Path::default(), &mut reader.found);
            tls.settings().examine(Side::Listens, root, "tls", &mut checks);
        }
        if let Some(sign_in) = &settings.sign_in {
            sign_in.check(root, &mut reader.found);
        }
        if let Some(traces) = &settings.traces {
            traces.check(root, &mut reader.found);
        }
        settings
    }

    /// What is wrong beyond what the schema says.
    fn check(&self) -> Vec<Diagnostic> {
        let mut wrong = Vec::new();
        if !self.listen.ip().is_loopback() && !self.allow_remote && self.tls.is_none() {
            let message = format!("`{}` can be reached from other machines", self.listen);
            wrong.push(Diagnostic::error("listen-remote", Path::parse("listen"), message).help(
                "give it a certificate, `tls: { certificate: server.pem, key: server.key }`; or say \
                         `allow_remote: true` if it is meant to go unencrypted",
            ));
        }
        if self.store.budget.is_some_and(|budget| budget < LEAST_BUDGET) {
            let message = format!("a store needs {LEAST_BUDGET} to work in, whatever it keeps");
            wrong.push(Diagnostic::error("size-too-small", Path::parse("store.budget"), message));
        }
        wrong
    }
}

fn data() -> PathBuf {
    "data".into()
}
