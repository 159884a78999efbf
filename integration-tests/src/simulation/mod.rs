//! Which applications are simulated, and was what they did right? Each seed draws an application with settings of its own; what
//! an observer of the simulated cluster saw is a [history](crate::history), and goes through the same checkers as one of real
//! Kafka.

mod batch;
mod events;
mod input;
mod observed;
mod orderly;
mod scenarios;
#[cfg(feature = "mutants")]
pub mod teeth;
mod watch;

pub use batch::{Batch, Tally, run_batch, run_seed};
pub use events::MUST_HAPPEN;
pub use observed::history;
pub use scenarios::{Scenario, scenario};
