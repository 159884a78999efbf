//! Typed stores for processors: what to add to the builder, and the handles taken in `init`.
mod access;
mod add;
mod key_value;
mod session;
mod value;
mod versioned;
mod window;

pub use access::{Handle, StoreAccess, StoreFailure, StoreSerdes};
pub use add::Store;
pub(crate) use add::{check_segments, default_segment_ms};
pub use key_value::{KeyValueStore, TimestampedKeyValueStore, TimestampedKeyValueStoreWithHeaders};
pub use session::{SessionStore, SessionStoreWithHeaders};
pub use value::{AggregationWithHeaders, TimedRow, ValueAndTimestamp, ValueTimestampHeaders};
pub use versioned::{VersionedKeyValueStore, VersionedRecord};
pub use window::{TimestampedWindowStore, TimestampedWindowStoreWithHeaders, WindowStore};
