//! What a store is: kind, back end, and where its changelog goes.
use std::sync::Arc;

use crate::{Headers, Result};

/// Index of a store in the list of specs its task was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreIndex(pub u32);

/// What kind of rows a store holds. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Rows key -> value; `timestamped` rows are `timestamp(8) ++ value` as in Kafka Streams.
    KeyValue {
        /// Rows carry the time of their last update.
        timestamped: bool,
    },
    /// Rows `key ++ start(8) ++ seq(4)` -> value, as in Kafka Streams.
    Window {
        /// Rows carry the time of their last update.
        timestamped: bool,
        /// Length of a window.
        window_size_ms: i64,
        /// How long windows stay readable behind the newest.
        retention_ms: i64,
        /// Windows are dropped in segments of this length.
        segment_interval_ms: i64,
        /// Several rows for one key and start, told apart by a sequence number (stream-stream joins).
        retain_duplicates: bool,
    },
    /// Rows `key ++ end(8) ++ start(8)` -> aggregate.
    Session {
        /// How long sessions stay readable behind the newest.
        retention_ms: i64,
        /// Sessions are dropped in segments of this length.
        segment_interval_ms: i64,
    },
    /// History of each key.
    Versioned {
        /// How long old versions stay readable.
        history_retention_ms: i64,
        /// Segment length of Kafka Streams' format.
        segment_interval_ms: i64,
    },
    /// Key-value in memory holding at most `max_entries`; the least recently used is evicted (with a tombstone in the changelog).
    Lru {
        /// Rows with timestamps, as tables have them. Kafka Streams logs no tombstone for what such a store evicts.
        timestamped: bool,
        /// Capacity.
        max_entries: usize,
    },
    /// Raw ordered bytes owned by one operator (outer-join store, subscription store ...): key -> bytes, no timestamp.
    Raw,
    /// Updates of a suppressed table that wait, in the order in which they are to leave.
    Suppress,
    /// Records of a stream that wait for a table, in the order of their time.
    RecordBuffer,
}

impl StoreKind {
    /// Whether rows begin with a timestamp.
    pub fn is_timestamped(&self) -> bool {
        matches!(
            self,
            Self::KeyValue { timestamped: true }
                | Self::Window { timestamped: true, .. }
                | Self::Lru { timestamped: true, .. }
        )
    }
}

/// Where the rows of a store live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreBackend {
    /// In RocksDB (in memory where the feature or the directory is missing).
    Persistent,
    /// In this process; restored from the changelog at every start.
    InMemory,
}

/// Which changes take the headers of their record to the changelog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedHeaders {
    /// None, as the timestamped stores of Kafka Streams.
    #[default]
    Never,
    /// Deletions, as Kafka Streams' header-aware tables do.
    OfDeletions,
    /// All, as the plain stores of Kafka Streams do.
    Always,
    /// Those that the rows keep, and those of records that delete: the stores with headers of Kafka Streams. A value that is
    /// written begins with [its headers](crate::keep_headers).
    Kept,
}

/// What a task needs to open a store.
#[derive(Clone, Debug)]
pub struct StoreSpec {
    /// Name, unique in the topology.
    pub name: Arc<str>,
    /// Kind of rows.
    pub kind: StoreKind,
    /// Where they live.
    pub backend: StoreBackend,
    /// Whether updates may wait in the record cache.
    pub caching: bool,
    /// Whether changes go to a changelog.
    pub logging: bool,
    /// Which of them with headers.
    pub logged_headers: LoggedHeaders,
}

impl StoreSpec {
    /// Whether rows begin with headers.
    pub fn keeps_headers(&self) -> bool {
        self.logged_headers == LoggedHeaders::Kept
    }
}

/// Receives what stores write to their changelogs. Implemented by the task.
/// `timestamp` None: the broker assigns the time (suppress buffers).
pub trait ChangeLogger {
    /// Takes one change; copies what it keeps.
    ///
    /// # Errors
    /// When the changelog cannot be written.
    fn log(
        &self,
        store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        headers: Option<&Headers>,
    ) -> Result<()>;
}

/// A record of a changelog, to be restored.
#[derive(Clone, Copy, Debug)]
pub struct ChangelogRecord<'a> {
    /// Key as in the changelog.
    pub key: &'a [u8],
    /// Value; `None` deletes.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Offset in the changelog.
    pub offset: i64,
    /// Headers; looked at only by stores that keep them.
    pub headers: Option<&'a Headers>,
}
