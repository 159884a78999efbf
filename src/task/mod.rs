//! One task: which record is next, what is its time, what has been processed so far?
//!
//! Stepped: no clock, no randomness, no I/O of its own. Records come in as lent batches, output leaves through [`Output`],
//! which wraps the thread's producer; time is an argument.

mod collector;
#[cfg(test)]
mod decoders;
mod heads;
mod input;
mod lifecycle;
mod logged;
mod metadata;
mod output;
mod partitioner;
mod readiness;
mod task_impl;

pub(crate) use collector::TaskCollector;
pub(crate) use lifecycle::Phase;
pub(crate) use logged::{LoggedStore, logged_stores};
pub(crate) use metadata::CommittedMetadata;
pub(crate) use output::{Output, ProducerFactory};
pub use partitioner::partition_of;
pub(crate) use task_impl::{CommittedInput, Task, TaskParts, at_record, task_name};
