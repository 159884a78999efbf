//! The processes of a comparison: the broker, the Java peer, and our application.
use std::process::Command;

use serde_json::Value;

use crate::paths;
use crate::run::{Result, built, output, program, run};

/// A broker for one comparison; stopped on drop.
pub(crate) struct Broker {
    pub(crate) bootstrap: String,
    pid: String,
}

impl Broker {
    pub(crate) fn start(port: u16) -> Result<Self> {
        let mut start = program("kafka_broker")?;
        let told = output(start.args(["start", "--measuring", "--port", &port.to_string()]))?;
        let value = |name: &str| {
            told.lines()
                .find_map(|l| l.strip_prefix(name))
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Self {
            bootstrap: value("bootstrap="),
            pid: value("pids="),
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = run(built("kafka_broker").arg("stop")) {
            eprintln!("{error}");
        }
    }
}

/// The Java application of `bench/peer`.
pub(crate) struct Peer {
    bootstrap: String,
    broker_pid: String,
}

impl Peer {
    pub(crate) fn new(broker: &Broker) -> Self {
        Self {
            bootstrap: broker.bootstrap.clone(),
            broker_pid: broker.pid.clone(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(paths::root().join("bench/peer/run"));
        command
            .args(arguments)
            .env("KAFKA_BOOTSTRAP", &self.bootstrap)
            .env("BROKER_PID", &self.broker_pid)
            .env("PEER_TARGET", paths::cache().join("peer"))
            .env("PEER_WORK", paths::cache().join("peer-state"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result {
        output(&mut self.command(arguments)).map(drop)
    }

    /// Runs a command of the peer that prints one line of JSON.
    pub(crate) fn line(&self, arguments: &[&str]) -> Result<Value> {
        last_json(&output(&mut self.command(arguments))?)
    }
}

/// Runs a program of `bench` on an empty state directory; it prints one line of JSON.
pub(crate) fn ours(broker: &Broker, program: &str, workload: &str, mode: &str) -> Result<Value> {
    let mut command = built(program);
    command
        .args([workload, "--mode", mode, "--bootstrap", &broker.bootstrap])
        .env("BROKER_PID", &broker.pid);
    last_json(&output(&mut command)?)
}

fn last_json(text: &str) -> Result<Value> {
    // Maven colours the end of its output even when it says nothing.
    let start = text.rfind("\n{").map_or_else(|| text.find('{'), |at| Some(at + 1));
    let line = start.and_then(|at| text.get(at..)).unwrap_or_default();
    serde_json::from_str(line.trim()).map_err(|e| format!("no line of JSON ({e}) in: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_json_is_found_behind_colours_and_other_lines() {
        assert_eq!(last_json("\u{1b}[0m{\"a\": 1}\n").unwrap()["a"], 1);
        assert_eq!(last_json("downloading\n{\"a\": 1}\n{\"a\": 2}\n").unwrap()["a"], 2);
        assert!(last_json("nothing").is_err());
    }
}
