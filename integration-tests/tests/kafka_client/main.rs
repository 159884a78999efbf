//! The Kafka clients against a real broker: what librdkafka and the wire client do there, call by call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scenario fails by panicking"
)]
mod groups;
mod records;
mod support;
mod topics;
mod transactions;
