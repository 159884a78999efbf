//! A Kafka cluster inside this process: the default of the examples, one arm of the behaviour suite, the ground of
//! the simulator. Not a mock: partitions with control records, last stable offset, transactions with fencing and
//! time-outs, streams groups with epochs and revocation answer as a 4.3 broker does.
//!
//! Shape: `Broker` is the whole cluster as one value without clock, threads or I/O. Clients hold a
//! [`MemoryCluster`] and reach it through one function, `MemoryCluster::apply`: at once, or through a network that delays,
//! loses and reorders requests and answers (`transport`).
//!
//! Left out: authorization, quotas, static membership, classic and consumer groups, warm-up tasks.
mod admin;
mod batch;
mod broker;
mod clock;
mod compaction;
mod config;
mod consumer;
mod dispatch;
mod errors;
mod group_client;
mod groups;
mod log;
mod producer;
mod producer_requests;
mod sequence;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;
pub(crate) mod transport;

pub use self::{
    clock::{Clock, ManualClock, SystemClock},
    config::MemoryClusterConfig,
    dispatch::{MemoryCluster, RequestKind},
};
