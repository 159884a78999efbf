//! `cargo xtask bench`: micro-benchmarks, the figures of operators, and `bench peer`: side by side with Kafka Streams.
mod binary;
mod criterion;
mod figures;
mod instructions;
mod operators;
mod peer;
mod processes;
mod report;
mod tables;

use clap::{Args, Subcommand};

use crate::prerequisites::{self, Need};
use crate::run::{self, Result, cargo_on_workspace};

/// What `bench` takes.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// Passed on to criterion.
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Subcommand)]
enum What {
    /// The same workloads on Kafka Streams and on Millstream: same broker, same data, one after the other.
    Peer(peer::Options),
    /// Each kind of operator several times: best and median, as the tables of `bench/README.md`.
    Operators(operators::Options),
    /// Instructions per record of operators, counted by valgrind.
    Instructions(instructions::Options),
}

pub(crate) fn run(options: &Options) -> Result {
    match &options.what {
        Some(What::Peer(options)) => peer::run(options),
        Some(What::Operators(options)) => operators::run(options),
        Some(What::Instructions(options)) => instructions::run(options),
        None => micro(&options.arguments),
    }
}

fn micro(arguments: &[String]) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang])?;
    // By pattern: `--benches` would also run the test harness of every library.
    run::run(cargo_on_workspace("bench").args(["--bench", "*", "--"]).args(arguments))
}
