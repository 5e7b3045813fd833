//! The `relais` binary: the command line, the running server and its API.

mod accounts;
mod alerts;
mod api;
mod attempts;
mod audit;
mod beside;
mod cli;
mod client;
mod events;
mod fleet;
mod flow_log;
mod heaps;
mod in_force;
mod key;
mod log;
mod metrics;
mod open_files;
mod overdue;
mod pulse;
mod recent;
mod reload;
mod retention;
mod serving;
mod signals;
mod station;
mod terminal;
mod threads;
mod traces;
mod versions;
mod why;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
