//! `cargo xtask demo`: the fraud-detection example, with nothing to set up.
use clap::Args;

use crate::prerequisites::{self, Need};
use crate::run::{self, Result, program};

/// What `demo` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Passed on to the example; `cargo xtask demo -- --help` lists what it takes.
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang])?;
    println!("the first build compiles RocksDB and librdkafka, which takes many minutes; later ones take seconds");
    run::run(program("fraud_detection")?.args(&options.arguments))
}
