//! Scenarios of Millstream against real Kafka, and what they need: a cluster, and an observer that is not Millstream.
pub mod app;
pub mod applications;
pub mod behaviour;
pub mod chaos;
pub mod fold;
pub mod history;
pub mod kafka;
pub mod proxy;
pub mod simulation;
