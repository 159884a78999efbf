//! Streams and tables, grouped: what aggregations start from.
pub(crate) mod fold;
mod session;
mod stream;
mod table;
mod windowed;

pub use session::SessionWindowedKStream;
pub use stream::KGroupedStream;
pub use table::KGroupedTable;
pub use windowed::TimeWindowedKStream;
