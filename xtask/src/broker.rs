//! `cargo xtask broker start|stop`: Apache Kafka on loopback, for a person.
use clap::{Args, Subcommand};

use crate::prerequisites::{self, Need};
use crate::run::{self, Result, program};

/// What `broker` takes.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start brokers that go on until `stop`.
    Start {
        /// 1 or 3.
        #[arg(long, default_value_t = 1)]
        brokers: usize,
        /// Port of the first broker; the others follow.
        #[arg(long, default_value_t = 9092)]
        port: u16,
    },
    /// Stop them and remove their data.
    Stop,
}

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang, Need::Java, Need::Maven])?;
    let mut command = program("kafka_broker")?;
    match &options.verb {
        Verb::Start { brokers, port } => {
            command.args(["start", "--brokers", &brokers.to_string(), "--port", &port.to_string()])
        }
        Verb::Stop => command.arg("stop"),
    };
    run::run(&mut command)
}
