//! `cargo xtask topologies --count N`: random topologies against the interpreter of the semantics, more than a test runs.
use clap::Args;

use crate::run::{self, Result, cargo_on_workspace};

/// What `topologies` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How many topologies.
    #[arg(long, default_value_t = 5_000)]
    count: u32,
}

pub(crate) fn run(options: &Options) -> Result {
    run::run(
        cargo_on_workspace("test")
            .args(["--test", "random"])
            .env("MILLSTREAM_RANDOM_TOPOLOGIES", options.count.to_string()),
    )
}
