//! `relais bench`: measures this binary on this machine, beside the floor that the machine sets.

mod child;
mod delivered;
pub(in crate::cli) mod floor;
mod floors;
mod flow;
mod histogram;
mod load;
mod machine;
mod oru;
mod peer;
mod place;
mod ports;
mod report;
mod rows;
mod scenario;
pub(crate) mod silence;
mod stand;
mod window;

use std::{cell::RefCell, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use super::{Complaint, Ending, Exit, Format, say, say_json};
use crate::signals::Signals;
use floors::Floors;
use report::Row;
use scenario::Scenario;

/// Measure this binary on this machine: rates, waits, memory, disk.
///
/// Starts a server of its own on a fresh project and loads it over real sockets with made-up messages of 1.5 KB, each
/// with its own control id. Every message is on disk before it is answered. The floor beside each figure is a bare
/// listener in this same binary. Leaves with 1 when a message is answered negatively, lost or out of order.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; everything but `soak` by default
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
    /// The numbers of connections that each way of a message is measured at
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 16, 64, 1000],
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Vec<u16>,
    /// How long each is measured, in five slices, after a warm-up of one more
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Where the stores lie while they are measured: its disk decides [default: a temporary folder that is not memory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Loads another engine's MLLP port instead, with the same messages
    #[arg(long, value_name = "ADDR", conflicts_with = "scenarios")]
    against: Option<String>,
    /// Where that engine hands messages on to; counts what arrives there
    #[arg(long, value_name = "ADDR", requires = "against")]
    receive: Option<String>,
    #[command(flatten)]
    counts: Counts,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// How much is measured where not time but a number decides.
#[derive(Debug, clap::Args)]
struct Counts {
    /// `channels`: how many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(3..=10_000))]
    channels: u64,
    /// `backlog`: deliveries that wait
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    backlog: u64,
    /// `kept`: messages in the store
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    kept: u64,
    /// `consoles`: how many
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=2000))]
    consoles: u64,
    /// `outage`: messages that come while the receiver is down
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    outage: u64,
    /// `disk`: messages kept and delivered
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    disk: u64,
    /// `retention`: messages that are forgotten
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    forgotten: u64,
    /// `large`: the document's size
    #[arg(long, value_name = "MB", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=60))]
    large: u64,
    /// `soak`: how long
    #[arg(long, value_name = "N", default_value_t = 30.0, value_parser = seconds)]
    minutes: f64,
    /// `soak`: messages each second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pace: u64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.01..=86_400.0).contains(&number) => Ok(number),
        _ => Err("a number from 0.01 to 86400".to_owned()),
    }
}

/// A run: what was asked, where it happens, what is known so far.
struct Bench {
    arguments: Arguments,
    folder: PathBuf,
    floors: Floors,
    rows: RefCell<Vec<Row>>,
}

pub(crate) async fn run(arguments: Arguments) -> Ending {
    let _ = crate::open_files::allow_most();
    let folder = place::choose(arguments.dir.as_deref())?;
    let bench = Bench { arguments, folder, floors: Floors::default(), rows: RefCell::default() };
    let mut told = bench.opening();
    warn(&bench);
    if bench.arguments.format == Format::Text {
        say(opening_in_words(&told));
    }
    let mut signals = Signals::take().map_err(Complaint::wrong)?;
    tokio::select! {
        ended = bench.measure() => ended?,
        // Children and folders go with what is given up.
        _ = signals.next() => return Err(Complaint::wrong("interrupted before everything was measured")),
    }
    told["load_after"] = machine::load().into();
    match bench.arguments.format {
        Format::Text => say(format_args!("load average afterwards {}\n", machine::load())),
        Format::Json => {
            told["rows"] = bench.rows.borrow().iter().map(Row::as_json).collect();
            say_json(&told);
        }
    }
    Ok(Exit::Done)
}

impl Bench {
    async fn measure(&self) -> Result<(), Complaint> {
        if let Some(address) = &self.arguments.against {
            return rows::against::measure(self, address).await;
        }
        let asked = &self.arguments.scenarios;
        let scenarios = if asked.is_empty() { Scenario::usual() } else { asked.clone() };
        for scenario in scenarios {
            scenario.measure(self).await.map_err(|complaint| complaint.within(&scenario.name()))?;
        }
        Ok(())
    }

    /// How long each is measured.
    fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.arguments.seconds)
    }

    fn counts(&self) -> &Counts {
        &self.arguments.counts
    }

    fn connections(&self) -> Vec<u16> {
        self.arguments.connections.clone()
    }

    /// Shows a row at once to people, and keeps it for programs.
    fn tell(&self, row: Row) {
        if self.arguments.format == Format::Text {
            say(row.as_text());
        }
        self.rows.borrow_mut().push(row);
    }

    /// What every figure depends on.
    fn opening(&self) -> Value {
        json!({
            "relais": env!("CARGO_PKG_VERSION"),
            "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "machine": machine::describe(&self.folder),
            "folder": self.folder.display().to_string(),
            "load_before": machine::load(),
            "method": METHOD.replace('\n', " "),
            "seconds": self.arguments.seconds,
            "message_bytes": oru::length(),
        })
    }
}

const METHOD: &str = "\
Senders, receivers and server share this machine, the server in a process of its own with a fresh
store; every message is on disk (fdatasync) before it is answered. A rate is the median of five
slices after a warm-up; where messages are delivered it counts what has arrived, with at most 256
under way, or two for each connection (4096 where files are written: their count is read now and
then). The floor is a bare listener that appends each message to a file written before, one
fdatasync for all that came meanwhile.";

fn opening_in_words(told: &Value) -> String {
    let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    format!(
        "relais {}, {} build\n{}\nload average before {}\n{METHOD}\nMessages of {} bytes, {} s each, in {}.\n\n",
        word("relais"),
        word("build"),
        machine::in_words(&told["machine"]),
        word("load_before"),
        told["message_bytes"],
        told["seconds"],
        word("folder")
    )
}

fn warn(bench: &Bench) {
    if cfg!(debug_assertions) {
        eprintln!("relais: this is a debug build; its figures say nothing about a release");
    }
    if place::is_in_memory(&bench.folder) {
        eprintln!("relais: {} lies in memory; a sync costs nothing there", bench.folder.display());
    }
}
