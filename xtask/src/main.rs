//! Every chore of the repository is a command here: `cargo xtask --help`.
#![expect(clippy::print_stdout, reason = "a command line tool")]

mod bench;
mod broker;
mod chaos;
mod conformance;
mod demo;
mod paths;
mod prerequisites;
mod run;
mod simulate;
mod test;
mod tidy;
mod topologies;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of Millstream")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run the fraud-detection example on the cluster inside the process.
    Demo(demo::Options),
    /// Run every check: format, lints, architecture, unit, documentation and integration tests, conformance.
    Test(test::Options),
    /// Micro-benchmarks; `bench operators` and `bench instructions` give the figures of each kind of operator, `bench peer` runs
    /// side by side with Kafka Streams.
    Bench(bench::Options),
    /// Check the sentences of the architecture against the sources.
    Tidy,
    /// Run applications on a simulated cluster under faults, seed by seed.
    Simulate(simulate::Options),
    /// Break real brokers, processes, networks and disks under an application, and check what is promised.
    Chaos(chaos::Options),
    /// Plant known mistakes and show that each is found.
    Teeth(simulate::TeethOptions),
    /// Start or stop Apache Kafka on loopback.
    Broker(broker::Options),
    /// Random topologies against the interpreter of the semantics.
    Topologies(topologies::Options),
    /// Compare recorded behaviour of Kafka Streams with ours.
    Conformance(conformance::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Demo(options) => demo::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Tidy => tidy::run(),
        Chore::Simulate(options) => simulate::run(&options),
        Chore::Chaos(options) => chaos::run(&options),
        Chore::Teeth(options) => simulate::teeth(&options),
        Chore::Broker(options) => broker::run(&options),
        Chore::Topologies(options) => topologies::run(&options),
        Chore::Conformance(options) => conformance::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
