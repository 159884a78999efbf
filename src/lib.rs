//! Kafka Streams for Rust: typed stream processing with state, exactly once.
//!
//! A topology is written with a [`StreamsBuilder`](prelude::StreamsBuilder), is immutable once built, and runs in an
//! ordinary binary. Start more copies of the binary to scale out: Kafka shares the partitions among them.
//!
//! ```
//! use millstream::prelude::*;
//!
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream::<Option<String>, String>("lines")
//!     .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone())
//!     .count()
//!     .to_stream()
//!     .to("counts");
//! let topology = builder.build().unwrap();
//! assert_eq!(topology.subtopologies().len(), 2); // re-keyed records go through a repartition topic
//! ```
//!
//! [`KafkaStreams`] runs it on a real cluster, or on [`MemoryCluster`](cluster::memory::MemoryCluster) inside the
//! process; [`testing::TopologyTestDriver`] pipes single records through it. What the operators do is described in
//! [`dsl`], what a task remembers in [`state`], and what a cluster is to us in [`cluster`].
pub mod cluster;
mod commit;
pub mod config;
pub mod error;
mod failpoint;
pub mod membership;
mod mutants;
#[cfg(test)]
#[path = "../fuzz/replay.rs"]
mod replay;
mod restore;
mod runtime;
mod streams;
mod task;
pub mod testing;

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
