//! A Kafka cluster for a person or a benchmark: `start`, `stop`. `cargo xtask broker` calls it.
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use millstream_integration_tests::kafka::{ServerConfig, start_detached, stop_detached};

#[derive(Parser)]
#[command(about = "Starts and stops Apache Kafka on loopback")]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start brokers that go on after this command.
    Start {
        /// 1 or 3.
        #[arg(long, default_value_t = 1)]
        brokers: usize,
        /// Port of the first broker; the others follow.
        #[arg(long, default_value_t = 9092)]
        port: u16,
        /// More heap and full compilation, for measuring.
        #[arg(long)]
        measuring: bool,
        /// A broker setting, NAME=VALUE; may be repeated.
        #[arg(long = "property", value_name = "NAME=VALUE")]
        properties: Vec<String>,
    },
    /// Stop them and remove their data.
    Stop,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Verb::Start {
            brokers,
            port,
            measuring,
            properties,
        } => {
            let mut config = ServerConfig::new(brokers).first_port(port);
            if measuring {
                config = config.for_measuring();
            }
            for property in &properties {
                let Some((name, value)) = property.split_once('=') else {
                    eprintln!("--property takes NAME=VALUE, not {property}");
                    return ExitCode::FAILURE;
                };
                config = config.property(name, value);
            }
            start_detached(&config).map(|cluster| {
                let pids: Vec<String> = cluster.pids.iter().map(u32::to_string).collect();
                println!("bootstrap={}", cluster.bootstrap);
                println!("pids={}", pids.join(","));
                println!("directory={}", cluster.dir.display());
            })
        }
        Verb::Stop => stop_detached().map(|count| println!("stopped {count} broker(s)")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
