//! `relais send`: sends messages over MLLP and shows what comes back.

mod files;
mod flood;
mod measure;

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::ArgGroup;
use connectors::mllp::peer::{Peer, Security};
use serde_json::json;

use super::{Complaint, Ending, Exit, Format, say, say_json};
use crate::terminal::{lasting, tinted, tone_of};

pub(crate) use measure::Measure;

/// Send messages over MLLP and show each answer.
///
/// A file holds one message (a batch is one), or several in MLLP frames; it goes out byte for byte. Leaves with 1 if
/// an answer is negative or missing.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("trust").args(["ca", "insecure"])))]
pub(crate) struct Arguments {
    /// Where to: HOST:PORT
    #[arg(value_name = "ADDR")]
    address: String,
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// So many messages in all, the files over and over; each gets an MSH-10 of its own. Shows rate and times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// So many connections at once
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// How long to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Speak TLS
    #[arg(long)]
    tls: bool,
    /// The peer's authority, in PEM; else those of the system
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// Our certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The name in the peer's certificate, where it is not the host
    #[arg(long, value_name = "NAME", requires = "tls")]
    server_name: Option<String>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}
