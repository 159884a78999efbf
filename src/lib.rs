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
pub use runtime::{MetricsHandle, MetricsSnapshot, State};
pub use streams::{CloseOptions, KafkaStreams, KafkaStreamsBuilder, UncaughtAction};
pub use task::partition_of;

/// What most applications need: the DSL and what runs it.
pub mod prelude {
    pub use crate::{
        CloseOptions, KafkaStreams, KafkaStreamsBuilder, MetricsHandle, MetricsSnapshot, ProcessingGuarantee, State,
        StreamsConfig, UncaughtAction, dsl::prelude::*,
    };
}
