//! `relais send`: sends messages over MLLP and shows what comes back.

mod files;
mod flood;
mod measure;
mod wire;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use connectors::tls::Tls;
use serde_json::{Value, json};

use super::{Ending, Exit, Format, say, say_json};
use crate::terminal::{Tone, lasting, tinted, tone_of};
use files::Letter;
use wire::Came;

pub(crate) use flood::Flood;
pub(crate) use measure::Measure;
pub(crate) use wire::Wire;

/// Send messages over MLLP and show each answer.
///
/// A file holds one message (a batch is one), or several in MLLP frames; it goes out byte for byte. Leaves with 1 if
/// an answer is negative or missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to: HOST:PORT
    #[arg(value_name = "ADDR")]
    address: String,
    /// Messages, sent in this order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// So many messages in all, the files over and over; each gets an MSH-10 of its own. Shows rate and times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// So many connections at once
    #[arg(long, value_name = "C", default_value_t = 1, requires = "count", value_parser = clap::value_parser!(u16).range(1..=4096))]
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

pub(crate) async fn run(arguments: Arguments) -> Ending {
    let letters = files::read(&arguments.files)?;
    let wire =
        Wire::new(&arguments.address, Duration::from_secs(arguments.timeout), trust(&arguments).as_ref())?;
    if let Some(count) = arguments.count {
        let messages: Vec<Bytes> = letters.into_iter().map(|letter| letter.bytes).collect();
        let flood = Flood { messages, count, connections: arguments.connections };
        let mut measure = flood.pour(&wire).await;
        match arguments.format {
            Format::Json => say_json(&measure.as_json()),
            Format::Text => say(measure.report()),
        }
        return Ok(if measure.all_accepted() { Exit::Done } else { Exit::Wrong });
    }
    one_by_one(&letters, &wire, arguments.format).await
}

/// Each message with its answer, over one connection.
async fn one_by_one(letters: &[Letter], wire: &Wire, format: Format) -> Ending {
    let width = letters.iter().map(|letter| letter.name.chars().count()).max().unwrap_or(0);
    let mut open = None;
    let mut all_accepted = true;
    let mut listed = Vec::new();
    for letter in letters {
        let began = Instant::now();
        let came = wire.exchange(&mut open, &letter.bytes).await;
        all_accepted &= came.as_ref().is_ok_and(Came::is_positive);
        match format {
            Format::Json => listed.push(as_json(letter, &came, began.elapsed())),
            Format::Text => say(lines(letter, width, &came, began.elapsed())),
        }
    }
    if format == Format::Json {
        say_json(&listed);
    }
    Ok(if all_accepted { Exit::Done } else { Exit::Wrong })
}

/// The answer in a line; those of a batch in a line each.
fn lines(letter: &Letter, width: usize, came: &Result<Came, String>, took: Duration) -> String {
    let mut text = format!("{:<width$}  {}\n", letter.name, told(came, took));
    if let Ok(came) = came {
        for (number, one) in came.each.iter().enumerate() {
            let code = tinted(&one.code, tone_of(&one.code));
            let line = format!("  {:>3}  {code}  {}  {}", number + 1, one.control_id, one.words);
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn told(came: &Result<Came, String>, took: Duration) -> String {
    match came {
        Ok(came) => {
            let code = tinted(&came.code, tone_of(&came.code));
            if !came.each.is_empty() {
                let accepted = came.each.iter().filter(|one| one.is_positive()).count();
                return format!("{code}  {accepted} of {} accepted  {}", came.each.len(), lasting(took));
            }
            format!("{code}  {}  {}  {}", came.control_id, lasting(took), came.words).trim_end().to_owned()
        }
        Err(why) => tinted(why, Tone::Bad),
    }
}

fn as_json(letter: &Letter, came: &Result<Came, String>, took: Duration) -> Value {
    let seconds = took.as_secs_f64();
    match came {
        Ok(came) => json!({
            "message": letter.name, "code": came.code, "control_id": came.control_id, "text": came.words,
            "seconds": seconds, "answers": came.each.iter().map(answer_json).collect::<Vec<_>>(),
        }),
        Err(why) => json!({ "message": letter.name, "error": why, "seconds": seconds }),
    }
}

/// One answer of a batch.
fn answer_json(one: &Came) -> Value {
    json!({ "code": one.code, "control_id": one.control_id, "text": one.words })
}

/// What of TLS was asked for.
fn trust(arguments: &Arguments) -> Option<Tls> {
    arguments.tls.then(|| Tls {
        certificate: arguments.certificate.clone(),
        key: arguments.key.clone(),
        clients: None,
        authorities: arguments.ca.clone(),
        server_name: arguments.server_name.clone(),
    })
}
