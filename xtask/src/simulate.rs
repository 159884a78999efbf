//! `cargo xtask simulate`: applications under faults, many seeds, each the same whenever it is run.
use std::path::PathBuf;

use clap::Args;

use crate::run::{self, Result, built, cargo_on_workspace};

/// What `simulate` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads; 0: one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Go on after a seed has failed.
    #[arg(long)]
    keep_going: bool,
    /// Print every step of the first seed instead. With RUST_LOG=millstream=debug the application's own log, too.
    #[arg(long)]
    trace: bool,
    /// With --trace: write the history of the seed to this file. Without: check the history in this file, and nothing else.
    #[arg(long)]
    history: Option<PathBuf>,
}

/// What `teeth` takes.
#[derive(Args)]
pub(crate) struct TeethOptions {
    /// Within how many seeds each mistake must be found.
    #[arg(long, default_value_t = 3_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// Plants known mistakes, one after the other, and shows that each is found.
pub(crate) fn teeth(options: &TeethOptions) -> Result {
    let mut build = cargo_on_workspace("build");
    build.args([
        "--bin",
        "simulate",
        "--features",
        "millstream-integration-tests/mutants",
    ]);
    run::run(&mut build)?;
    let mut simulate = built("simulate");
    simulate.arg("--teeth");
    simulate.args(["--seeds", &options.seeds.to_string()]);
    simulate.args(["--from", &options.from.to_string()]);
    run::run(&mut simulate)
}

pub(crate) fn run(options: &Options) -> Result {
    let mut build = cargo_on_workspace("build");
    build.args(["--bin", "simulate"]);
    run::run(&mut build)?;
    let mut simulate = built("simulate");
    simulate.args(["--seeds", &options.seeds.to_string()]);
    simulate.args(["--from", &options.from.to_string()]);
    simulate.args(["--threads", &options.threads.to_string()]);
    let switches = [(options.keep_going, "--keep-going"), (options.trace, "--trace")];
    simulate.args(switches.iter().filter(|(on, _)| *on).map(|(_, name)| name));
    if let Some(file) = &options.history {
        let file = std::path::absolute(file).map_err(|e| format!("{}: {e}", file.display()))?;
        simulate.arg("--history").arg(file);
    }
    run::run(&mut simulate)
}
