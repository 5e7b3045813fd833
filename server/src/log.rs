//! Where the log goes: standard error, as text or JSON; its last lines are kept.

use std::io::{self, IsTerminal};

use channels::{LogFormat, LogLevel, LogSettings};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::recent::Keeping;

/// Starts the log. `RUST_LOG` comes before the file.
pub(crate) fn start(settings: LogSettings) {
    let level = match settings.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // What watches folders tells of folders that went before it could let go of them: nobody can act on that.
    let usual = || EnvFilter::new(format!("{level},notify=error"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let started = match settings.format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).finish().with(Keeping).try_init(),
        LogFormat::Json => log.json().flatten_event(true).finish().with(Keeping).try_init(),
    };
    // A second start in one process (a test) goes on with the first log.
    drop(started);
}
