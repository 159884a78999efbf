//! "I own this partition: what state do I start from?"
//!
//! From the changelog offset the database stands for to the end the changelog had when the task was opened. That end is the *high
//! watermark*, also under exactly-once: the transaction that committed the offsets we start from may still be about to write its
//! marker into the changelog, and the last stable offset would hide its records from us. Reading committed records only, the
//! consumer cannot get past an open transaction, so reaching the high watermark means that all of it has been settled.
//!
//! Stepped: no clock, no threads; [`RestoringTask::step`] takes what the consumer has.

mod plan;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use plan::{ChangelogBounds, Lost, StorePlan};
pub(crate) use task::{Changelog, Progress, Purpose, RestoringTask};
