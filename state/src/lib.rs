//! State stores: what a task remembers.
//!
//! CONTRACT (first commit): signatures that `dsl` and the runtime rely on.
mod contract;
pub use contract::*;
