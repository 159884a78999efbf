//! A topology without Kafka: pipe records in, move the clock, read what comes out, look into the stores.
mod capture;
mod core;
mod error;
mod log;
mod queues;
pub use capture::ProducedRef;
pub use error::{DriverError, Result};
