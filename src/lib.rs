//! Millstream: Kafka Streams for Rust.
pub mod cluster;
mod commit;
pub mod config;
pub mod error;
mod failpoint;
pub mod membership;
mod restore;
mod runtime;
mod streams;
mod task;

pub use config::{ProcessingGuarantee, StreamsConfig};
pub use error::{Error, ErrorKind, Result};
pub use millstream_dsl as dsl;
pub use millstream_state as state;
pub use runtime::{MetricsSnapshot, State};
pub use streams::{CloseOptions, KafkaStreams, KafkaStreamsBuilder, UncaughtAction};
