//! `cargo xtask chaos`: real faults against three real brokers on this machine, with a table of what came of it.
use std::path::PathBuf;

use clap::Args;

use crate::prerequisites::{self, Need};
use crate::run::{self, Result, built, cargo_on_workspace};

/// What `chaos` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How long it may take, roughly: counts are scaled, and every row runs at least once.
    #[arg(long, default_value_t = 180)]
    minutes: u64,
    /// Only these rows, as in `R01,R22`.
    #[arg(long)]
    rows: Option<String>,
    /// So many injections of each row instead.
    #[arg(long)]
    count: Option<u64>,
    /// Decides every random choice of the run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write outcomes here, one JSON line for each row.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Write the table here, in Markdown, after each row.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Put the table between the marks of this file when all is done [default: RELIABILITY.md for a run of all rows].
    #[arg(long)]
    write: Option<PathBuf>,
    /// Only say which rows there are and what they would take.
    #[arg(long)]
    list: bool,
    /// Plant known mistakes instead, one after the other: each must turn its row red, which without it is green.
    #[arg(long)]
    teeth: bool,
}

/// Where the last run of all rows is told of.
const RESULTS: &str = "RELIABILITY.md";

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang, Need::Java, Need::Maven])?;
    run::run(
        cargo_on_workspace("build")
            .args(["--bin", "chaos", "--bin", "counting-app"])
            // The process dies at named steps, and mistakes can be planted.
            .args(["--features", "millstream-integration-tests/failpoints"])
            .args(["--features", "millstream-integration-tests/mutants"]),
    )?;
    let mut chaos = built("chaos");
    chaos.args(["--minutes", &options.minutes.to_string()]);
    chaos.args(["--seed", &options.seed.to_string()]);
    if let Some(count) = options.count {
        chaos.args(["--count", &count.to_string()]);
    }
    if let Some(rows) = &options.rows {
        chaos.args(["--rows", rows]);
    }
    let everything = options.rows.is_none() && options.count.is_none();
    let write = options.write.clone().or_else(|| everything.then(|| RESULTS.into()));
    for (name, path) in [
        ("--history", &options.history),
        ("--table", &options.table),
        ("--write", &write),
    ] {
        if let Some(path) = path {
            chaos.arg(name).arg(path);
        }
    }
    let switches = [(options.list, "--list"), (options.teeth, "--teeth")];
    chaos.args(switches.iter().filter(|(on, _)| *on).map(|(_, name)| name));
    run::run(&mut chaos)
}
