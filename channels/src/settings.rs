//! The server's settings: `relais.yaml`.

use std::{net::SocketAddr, path::PathBuf};

use jiff::tz::TimeZone;

/// What `relais.yaml` says, with a default for everything.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where console, REST, metrics and health listen.
    pub listen: SocketAddr,
    /// Lets `listen` be an address that other machines reach.
    pub allow_remote: bool,
    pub store: StoreSettings,
    pub log: LogSettings,
    /// For times without an offset.
    pub zone: TimeZone,
    pub reload: Reload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Relative to the project.
    pub path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// When an edited file takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reload {
    #[default]
    OnChange,
    OnCommand,
}
