//! What can go wrong with a driver: wrong names, wrong types, and whatever stopped the topology.
use millstream_state::StateError;

use crate::engine::ProcessError;

/// An error of [`TopologyTestDriver`](super::TopologyTestDriver).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology reads no such topic.
    #[error("`{topic}` is not a source topic of the topology; its source topics are: {known}")]
    UnknownInputTopic {
        /// The name that was asked for.
        topic: String,
        /// The names there are, comma separated.
        known: String,
    },
    /// The pattern of a source is no regular expression.
    #[error("`{pattern}` is no regular expression")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The topology writes no such topic.
    #[error("the topology does not write to `{topic}`; it writes to: {known}")]
    UnknownOutputTopic {
        /// The name that was asked for.
        topic: String,
        /// The names there are, comma separated.
        known: String,
    },
    /// The topology has no such store.
    #[error("the topology has no store `{store}`; its stores are: {known}")]
    UnknownStore {
        /// The name that was asked for.
        store: String,
        /// The names there are, comma separated.
        known: String,
    },
    /// The store exists, with another type.
    #[error("store `{store}` is not a {wanted} store")]
    WrongStoreType {
        /// Name of the store.
        store: String,
        /// The type that was asked for.
        wanted: &'static str,
    },
    /// A key or value could not be turned into bytes.
    #[error("cannot serialize the {part} for topic or store `{name}`")]
    Serialize {
        /// Topic or store.
        name: String,
        /// `key` or `value`.
        part: &'static str,
        /// What the serde says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Bytes that were produced or stored are not what the serde expects.
    #[error("cannot deserialize the {part} of a record of topic or store `{name}`")]
    Deserialize {
        /// Topic or store.
        name: String,
        /// `key` or `value`.
        part: &'static str,
        /// What the serde says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The driver was used from within one of its own callbacks.
    #[error("the driver is busy: it cannot be used from a callback that runs inside it")]
    Busy,
    /// The topology could not be started, or stopped at a record.
    #[error(transparent)]
    Process(#[from] Box<ProcessError>),
    /// A store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Result of the driver's methods.
pub type Result<T> = std::result::Result<T, DriverError>;
