//! The cluster that a test gets, whatever it is made of.
use std::path::PathBuf;
use std::time::Duration;

use super::config::ServerConfig;
use super::error::{HarnessError, Result};
use super::jvm::JvmCluster;
use super::observer::Observer;
use super::process::Signal;

/// Names a running cluster that tests may fill and empty.
const BOOTSTRAP_VARIABLE: &str = "MILLSTREAM_TEST_BOOTSTRAP";
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A Kafka cluster for one test. Dropping it ends it, also while the test panics.
///
/// Brokers are counted from 0.
pub struct KafkaServer {
    kind: Kind,
    bootstrap: String,
}

enum Kind {
    /// Somebody else's; never stopped.
    External,
    #[cfg(feature = "containers")]
    Containers(super::container::ContainerCluster),
    Jvm(JvmCluster),
}

impl KafkaServer {
    /// A cluster with the settings for tests; waits until it answers.
    pub fn start(brokers: usize) -> Result<Self> {
        Self::start_with(&ServerConfig::new(brokers))
    }

    /// A cluster as described. Settings do not reach a cluster named by `MILLSTREAM_TEST_BOOTSTRAP`.
    pub fn start_with(config: &ServerConfig) -> Result<Self> {
        if let Some(bootstrap) = std::env::var(BOOTSTRAP_VARIABLE).ok().filter(|v| !v.is_empty()) {
            let observer = Observer::new(&bootstrap)?;
            observer.wait_for_brokers(config.brokers, READY_LIMIT)?;
            return Ok(Self {
                kind: Kind::External,
                bootstrap,
            });
        }
        let kind = Self::own_cluster(config)?;
        let bootstrap = match &kind {
            Kind::Jvm(cluster) => cluster.bootstrap(),
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => cluster.bootstrap(),
            Kind::External => String::new(),
        };
        let mut server = Self { kind, bootstrap };
        let ready = server
            .observer()
            .and_then(|o| o.wait_for_brokers(config.brokers, READY_LIMIT));
        if ready.is_err() {
            server.keep_logs();
        }
        ready.map(|()| server)
    }

    #[cfg(feature = "containers")]
    fn own_cluster(config: &ServerConfig) -> Result<Kind> {
        if super::container::runtime_answers() {
            match super::container::ContainerCluster::start(config) {
                Ok(cluster) => return Ok(Kind::Containers(cluster)),
                // A runtime that cannot fetch images is common; the brokers are the same either way.
                Err(error) => eprintln!("no containers ({error}): starting JVM brokers instead"),
            }
        }
        JvmCluster::start(config).map(Kind::Jvm)
    }

    #[cfg(not(feature = "containers"))]
    fn own_cluster(config: &ServerConfig) -> Result<Kind> {
        JvmCluster::start(config).map(Kind::Jvm)
    }

    /// `host:port,...`
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A client that is not Millstream's.
    pub fn observer(&self) -> Result<Observer> {
        Observer::new(&self.bootstrap)
    }

    /// Number of brokers, running or not; 0 for a cluster that is not ours.
    pub fn brokers(&self) -> usize {
        match &self.kind {
            Kind::External => 0,
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => cluster.len(),
            Kind::Jvm(cluster) => cluster.len(),
        }
    }

    /// Process ids of the brokers that are JVMs of ours.
    pub fn pids(&self) -> Vec<u32> {
        match &self.kind {
            Kind::Jvm(cluster) => cluster.pids(),
            _ => Vec::new(),
        }
    }

    /// What the brokers that are JVMs of ours write, a file each.
    pub fn logs(&self) -> Vec<PathBuf> {
        match &self.kind {
            Kind::Jvm(cluster) => cluster.logs(),
            _ => Vec::new(),
        }
    }

    /// Starts a broker that was stopped or killed, on its old port and data; waits until it answers.
    pub fn start_broker(&mut self, index: usize) -> Result<()> {
        match &mut self.kind {
            Kind::Jvm(cluster) => cluster.start_broker(index),
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => cluster.start_broker(index),
            Kind::External => Err(not_ours()),
        }
    }

    /// Starts every broker that does not run, at once; waits until they answer.
    pub fn start_all_brokers(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Jvm(cluster) => cluster.start_all(),
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => (0..cluster.len()).try_for_each(|index| cluster.start_broker(index)),
            Kind::External => Err(not_ours()),
        }
    }

    /// Stops a broker in an orderly way; waits until it is gone.
    pub fn stop_broker(&mut self, index: usize) -> Result<()> {
        match &mut self.kind {
            Kind::Jvm(cluster) => cluster.stop_broker(index),
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => cluster.stop_broker(index),
            Kind::External => Err(not_ours()),
        }
    }

    /// `kill -9`.
    pub fn kill_broker(&mut self, index: usize) -> Result<()> {
        match &mut self.kind {
            Kind::Jvm(cluster) => cluster.kill_broker(index),
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => cluster.kill_broker(index),
            Kind::External => Err(not_ours()),
        }
    }

    /// Freezes a broker: its connections stay open and nothing answers.
    pub fn pause_broker(&mut self, index: usize) -> Result<()> {
        self.freeze(index, Signal::Pause)
    }

    /// Lets a paused broker go on.
    pub fn resume_broker(&mut self, index: usize) -> Result<()> {
        self.freeze(index, Signal::Resume)
    }

    fn freeze(&mut self, index: usize, signal: Signal) -> Result<()> {
        match &mut self.kind {
            Kind::Jvm(cluster) => cluster.signal_broker(index, signal),
            #[cfg(feature = "containers")]
            Kind::Containers(cluster) => cluster.freeze(index, signal == Signal::Pause),
            Kind::External => Err(not_ours()),
        }
    }

    /// Ends the cluster and leaves its logs, for a test that fails without a panic.
    pub fn keep_logs(&mut self) {
        if let Kind::Jvm(cluster) = &mut self.kind {
            cluster.keep_logs();
        }
    }
}

fn not_ours() -> HarnessError {
    HarnessError::Unsupported(format!("the cluster of {BOOTSTRAP_VARIABLE} is not ours to stop"))
}
