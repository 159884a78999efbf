//! Scenarios of Millstream, and what they need.
pub mod behaviour;
