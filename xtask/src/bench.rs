//! `cargo xtask bench`: micro-benchmarks, and `bench peer`.
use clap::Args;

use crate::prerequisites::{self, Need};
use crate::run::{self, Result, cargo};

/// What `bench` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Passed on to criterion.
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang])?;
    run::run(
        cargo()
            .args(["bench", "--profile", "release", "--locked", "--workspace", "--benches", "--"])
            .args(&options.arguments),
    )
}
