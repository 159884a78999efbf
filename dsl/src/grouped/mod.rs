//! Streams and tables, grouped: what aggregations start from.
pub(crate) mod fold;
mod stream;
mod windowed;

pub use stream::KGroupedStream;
pub use windowed::TimeWindowedKStream;
