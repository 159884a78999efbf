//! What can go wrong while a test's cluster is started or watched.
use std::path::PathBuf;

/// Result of the harness.
pub type Result<T> = std::result::Result<T, HarnessError>;

/// An error of the harness, never of the code under test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// Something the machine needs is missing; the text says what and how to get it.
    #[error("{0}")]
    Missing(String),
    /// A broker did not come up.
    #[error("broker {node} did not start: {reason}; its log is {log}")]
    Broker {
        /// Node id, from 1.
        node: usize,
        /// What was seen.
        reason: String,
        /// Log of the broker.
        log: PathBuf,
    },
    /// The cluster was asked for something that its kind cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// Something did not happen in time.
    #[error("{what} within {seconds} s")]
    TimeOut {
        /// What was waited for, as "no ...".
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A file or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The observing client.
    #[error("{what}: {source}")]
    Client {
        /// What was tried.
        what: String,
        /// librdkafka's answer.
        source: rdkafka::error::KafkaError,
    },
    /// The container runtime.
    #[error("container: {0}")]
    Container(String),
}

/// Adds what was tried to an error of the system or of the client.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| HarnessError::Io { what: what(), source })
    }
}

impl<T> Context<T> for rdkafka::error::KafkaResult<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| HarnessError::Client { what: what(), source })
    }
}
