//! What can be measured: one word each.

use clap::ValueEnum;

use super::{Bench, flow, rows};
use crate::cli::Complaint;

/// A thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// A start with one channel: time, memory, size of the binary
    Start,
    /// `reply: stored`: on disk, answered
    Stored,
    /// `reply: processed`, a script of ten statements, no destination
    Processed,
    /// The same, each message then a file of its own, durable before it counts
    File,
    /// `reply: processed`, the shipped mapping to FHIR, no destination
    Map,
    /// The same, each Bundle then a file of its own, in any order with 16 workers
    MapFile,
    /// MLLP, script, MLLP through a queue, in order of arrival over one connection
    Route,
    /// The same, in order of each patient with 16 workers
    Keyed,
    /// MLLP, a script that makes FHIR, HTTP through a queue, in any order with 16 workers
    Http,
    /// 50 results a second through the shipped mapping to a FHIR server: how long each takes
    Chart,
    /// Four destinations, each with a script of its own
    Fanout,
    /// How long a lone sender waits, beside the floor
    Lone,
    /// One key's receiver silent, 64 workers: what the others get
    Stuck,
    /// A receiver down while messages come, and up again
    Outage,
    /// Many channels, each with its own port
    Channels,
    /// Many deliveries waiting in one queue
    Backlog,
    /// Many messages kept: intake and searches
    Kept,
    /// Many consoles open while messages come: what they cost
    Consoles,
    /// What a message takes on the disk
    Disk,
    /// A message with a document of 50 MB, beside small ones
    Large,
    /// Forgetting what `keep` says, beside intake
    Retention,
    /// The script alone, on a message of 30 segments
    Script,
    /// Memory and files, minute by minute; only when asked for
    Soak,
}

impl Scenario {
    /// What is measured when nothing is asked for.
    pub(super) fn usual() -> Vec<Self> {
        Self::value_variants().iter().copied().filter(|one| *one != Self::Soak).collect()
    }

    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(super) async fn measure(self, bench: &Bench) -> Result<(), Complaint> {
        match self {
            Self::Start => rows::start::measure(bench).await,
            Self::Stored => flow::STORED.measure(bench).await,
            Self::Processed => flow::PROCESSED.measure(bench).await,
            Self::File => flow::FILE.measure(bench).await,
            Self::Map => flow::MAP.measure(bench).await,
            Self::MapFile => flow::MAP_FILE.measure(bench).await,
            Self::Route => flow::ROUTE.measure(bench).await,
            Self::Keyed => flow::KEYED.measure(bench).await,
            Self::Http => flow::HTTP.measure(bench).await,
            Self::Chart => rows::chart::measure(bench).await,
            Self::Fanout => flow::FANOUT.measure(bench).await,
            Self::Lone => rows::lone::measure(bench).await,
            Self::Stuck => rows::stuck::measure(bench).await,
            Self::Outage => rows::outage::measure(bench).await,
            Self::Channels => rows::channels::measure(bench).await,
            Self::Backlog => rows::backlog::measure(bench).await,
            Self::Kept => rows::kept::measure(bench).await,
            Self::Consoles => rows::consoles::measure(bench).await,
            Self::Disk => rows::disk::measure(bench).await,
            Self::Large => rows::large::measure(bench).await,
            Self::Retention => rows::retention::measure(bench).await,
            Self::Script => rows::script::measure(bench),
            Self::Soak => rows::soak::measure(bench).await,
        }
    }
}
