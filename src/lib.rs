//! Millstream: Kafka Streams for Rust.
pub mod cluster;
mod commit;
pub mod config;
pub mod error;
mod failpoint;
pub mod membership;
mod restore;
mod task;

pub use millstream_dsl as dsl;
pub use millstream_state as state;
