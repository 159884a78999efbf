//! Millstream: Kafka Streams for Rust.
pub mod cluster;
pub use millstream_dsl as dsl;
