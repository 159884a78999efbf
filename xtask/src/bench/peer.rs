//! `cargo xtask bench peer`: load once, then for each mode theirs, ours, and both outputs compared.
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::processes::{Broker, Peer, ours};
use super::report::{Engine, Round};
use crate::prerequisites::{self, Need};
use crate::run::{Result, program};

/// What `bench peer` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these workloads (default: all).
    #[arg(long, value_enum)]
    workload: Vec<Workload>,
    /// Only these guarantees (default: both).
    #[arg(long, value_enum)]
    mode: Vec<Mode>,
    /// Records of each workload.
    #[arg(long, default_value_t = 4_000_000)]
    records: u64,
    /// Different keys.
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// Port of the broker that is started for the run.
    #[arg(long, default_value_t = 19_092)]
    port: u16,
    /// Also run a bare librdkafka loop that does what `relay` does.
    #[arg(long)]
    bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    Relay,
    Count,
    WindowedCount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Alos,
    Eos,
}

fn name(value: impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|v| v.get_name().to_owned())
        .unwrap_or_default()
}

/// All values unless some were chosen.
fn chosen<T: ValueEnum + Copy>(values: &[T]) -> Vec<T> {
    if values.is_empty() {
        T::value_variants().to_vec()
    } else {
        values.to_vec()
    }
}

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[
        Need::Compiler,
        Need::Make,
        Need::Libclang,
        Need::Java,
        Need::JavaCompiler,
        Need::Maven,
    ])?;
    program("millstream-bench-app")?;
    program("bare_relay")?;
    let broker = Broker::start(options.port)?;
    let peer = Peer::new(&broker);
    let mut rounds = Vec::new();
    for workload in chosen(&options.workload).into_iter().map(name) {
        let (records, keys) = (options.records.to_string(), options.keys.to_string());
        println!("\n== {workload}: loading {records} records with {keys} keys");
        peer.line(&["load", &workload, "--records", &records, "--keys", &keys])?;
        for mode in chosen(&options.mode).into_iter().map(name) {
            let round = one(&peer, &broker, &workload, &mode, options.bare)?;
            println!("{}", round.table());
            rounds.push(round);
        }
    }
    println!();
    for round in &rounds {
        println!("{}", round.line());
    }
    if rounds.iter().all(Round::is_equal) {
        Ok(())
    } else {
        Err("outputs differ".to_owned())
    }
}

fn one(peer: &Peer, broker: &Broker, workload: &str, mode: &str, bare: bool) -> Result<Round> {
    println!("\n-- {workload} {mode}");
    let theirs = Engine {
        figures: peer.line(&["app", workload, "--mode", mode, "--wipe"])?,
        digest: digest(&peer.line(&["check", workload])?),
    };
    peer.run(&["reset", workload])?;
    let ours_run = Engine {
        figures: ours(broker, "millstream-bench-app", workload, mode)?,
        digest: digest(&peer.line(&["check", workload])?),
    };
    let mut round = Round {
        workload: workload.to_owned(),
        mode: mode.to_owned(),
        theirs,
        ours: ours_run,
        bare: None,
    };
    if bare && workload == "relay" {
        peer.run(&["reset", workload])?;
        let figures = ours(broker, "bare_relay", workload, mode)?;
        round.bare = Some(Engine {
            figures,
            digest: digest(&peer.line(&["check", workload])?),
        });
    }
    Ok(round)
}

/// What makes two outputs equal: how many records or keys, and the sums over them, timestamps included.
fn digest(line: &Value) -> String {
    let text = |field: &str| line[field].as_str().unwrap_or("?").to_owned();
    let count = if line["keys"].is_null() {
        &line["records_read"]
    } else {
        &line["keys"]
    };
    format!(
        "{count} {} {} {}",
        text("digest_sum"),
        text("digest_xor"),
        text("digest_with_time_sum")
    )
}
