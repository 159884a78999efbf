//! The Kafka clients against a real broker: what librdkafka and the wire client do there, call by call.
mod groups;
mod records;
mod support;
mod topics;
mod transactions;
