//! `cargo xtask conformance PATH...`: recorded behaviour of Kafka Streams against ours.
use std::path::PathBuf;

use clap::Args;

use crate::run::{self, Result, program};

/// Cases of the repository.
pub(crate) const CASES: &str = "integration-tests/conformance/cases";

/// What `conformance` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Case files, folders, JSONL files.
    #[arg(default_value = CASES)]
    paths: Vec<PathBuf>,
    /// Print the actual results instead of comparing.
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(options: &Options) -> Result {
    let mut command = program("conformance")?;
    if options.print {
        command.arg("--print");
    }
    // Paths are relative to where the person is; the program runs in the root.
    for path in &options.paths {
        let absolute = std::env::current_dir().map_err(|e| e.to_string())?.join(path);
        command.arg(if absolute.exists() { absolute } else { path.clone() });
    }
    run::run(&mut command)
}
