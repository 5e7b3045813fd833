//! `relais bench-silence`: years of simulated feeds, and how soon a stopped one is found.

use crate::{
    alerts::rhythm::simulation,
    cli::{Exit, say},
};

/// Simulate years of feeds with nights, week-ends and holidays, and print how often a silence is told that is none.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many feeds of each kind; a tenth of it of the fastest
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// How many days of each are watched before it stops
    #[arg(long, default_value_t = 365)]
    days: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    say(simulation::table(arguments.seeds, arguments.days));
    Exit::Done
}
