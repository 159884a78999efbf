//! CONTRACT: how records move through a task. Real modules replace `contract.rs` and keep these names.
mod contract;
pub use contract::*;
