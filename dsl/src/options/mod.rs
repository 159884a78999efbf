//! Options of operators with state: how a result is stored, grouped, joined.
mod grouped;
mod joined;
mod materialized;
mod store_options;
mod suppressed;
mod table_joined;

pub use grouped::Grouped;
pub use joined::{Joined, StreamJoined};
pub use materialized::Materialized;
pub(crate) use materialized::{Extent, Planned};
pub(crate) use suppressed::{Bounds, Until, WhenFull};
pub use suppressed::{BufferConfig, Eager, Strict, Suppressed};
pub use table_joined::TableJoined;
