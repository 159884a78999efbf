//! Millstream: Kafka Streams for Rust.
pub mod cluster;
pub mod membership;
pub use millstream_dsl as dsl;
