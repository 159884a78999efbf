//! Applications built on Millstream. Each runs on a cluster inside the process by default, and on Kafka with `--bootstrap`.
//!
//! - [`word_count`]: the classic, five lines of topology;
//! - [`fraud`]: payments, customer profiles and card-present events in, fraud alerts out.
//!
//! A topology lies in a module of its own, so that tests drive it without a cluster; [`feed`], [`watch`] and [`setup`]
//! are what an application usually gets from outside: somebody who writes its input and reads its output.
pub mod feed;
pub mod fraud;
pub mod random;
pub mod setup;
pub mod watch;
pub mod word_count;

/// Error of an example: something to print.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
