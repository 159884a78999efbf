//! Streams and tables, grouped: what aggregations start from.
mod cogrouped;
mod cogrouped_windowed;
pub(crate) mod cut;
mod definition;
pub(crate) mod fold;
mod session;
mod stream;
mod table;
mod windowed;

pub use cogrouped::CogroupedKStream;
pub use cogrouped_windowed::{SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream};
pub use definition::WindowDefinition;
pub use session::SessionWindowedKStream;
pub use stream::KGroupedStream;
pub use table::KGroupedTable;
pub use windowed::TimeWindowedKStream;
