//! `cargo xtask simulate`: applications under faults, many seeds, each the same whenever it is run.
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
    /// Plant known mistakes instead, one after the other: each must be found within the seeds.
    #[arg(long)]
    teeth: bool,
}

pub(crate) fn run(options: &Options) -> Result {
    let mut build = cargo_on_workspace("build");
    build.args(["--bin", "simulate"]);
    if options.teeth {
        build.args(["--features", "millstream-integration-tests/mutants"]);
    }
    run::run(&mut build)?;
    let mut simulate = built("simulate");
    simulate.args(["--seeds", &options.seeds.to_string()]);
    simulate.args(["--from", &options.from.to_string()]);
    simulate.args(["--threads", &options.threads.to_string()]);
    let switches = [
        (options.keep_going, "--keep-going"),
        (options.trace, "--trace"),
        (options.teeth, "--teeth"),
    ];
    simulate.args(switches.iter().filter(|(on, _)| *on).map(|(_, name)| name));
    run::run(&mut simulate)
}
