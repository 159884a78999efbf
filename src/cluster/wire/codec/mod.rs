//! Bytes of the requests: streams groups by hand (no crate has them), offsets through `kafka-protocol`.
#[cfg(test)]
mod decoders;
pub(super) mod describe;
pub(super) mod heartbeat;
pub(super) mod offsets;
mod primitives;
#[cfg(test)]
mod vectors;
