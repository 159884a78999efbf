//! The DSL: builder, operators, windows, serdes, processor API and the immutable `Topology`.
//! Knows stores and the names of topics, but no broker.
pub mod driver;
pub mod engine;
pub mod serde;
pub mod topology;
pub mod window;
