//! Options of operators with state: how a result is stored, grouped, joined.
mod grouped;
mod joined;
mod materialized;
mod table_joined;

pub use grouped::Grouped;
pub use joined::{Joined, StreamJoined};
pub use materialized::Materialized;
pub(crate) use materialized::Planned;
pub use table_joined::TableJoined;
