//! What does a task remember, and what of it survives?
//!
//! A task has one database with a family of rows per store. Everything written since the last commit lives in an
//! overlay per store, which is write buffer, record cache and transaction buffer in one; at commit it goes to the
//! database in one atomic batch with the changelog offsets it stands for. The crate has never heard of Kafka:
//! changelog records leave through [`ChangeLogger`].
mod appended;
mod core;
mod database;
#[cfg(test)]
mod decoders;
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code, reason = "nothing is kept on disk"))]
mod directory;
mod engine;
mod error;
mod global;
mod headers;
mod key_value;
mod keyed;
mod keys;
#[cfg(any(feature = "rocksdb", test))]
mod layout;
mod lru;
mod packed;
mod pages;
mod passing;
mod record_buffer;
mod row_headers;
mod row_list;
mod segments;
mod session;
mod spec;
mod special;
mod suppress;
mod table;
mod task;
mod task_database;
mod versioned;
mod window;
mod window_list;

pub use self::core::CachedUpdate;
pub use database::disk::{DiskCopy, MemoryDisk};
pub use engine::StateEngine;
pub use error::{Result, StateError};
pub use global::{GlobalReader, GlobalState};
pub use headers::{Header, Headers, RecordContext, SourceRecord, UpdateContext};
pub use key_value::{KeyValueStore, Row, Rows};
pub use record_buffer::{RecordBuffer, Waited};
pub use row_headers::keep_headers;
pub use row_list::RowList;
pub use session::{SessionRow, SessionRows, SessionStore};
pub use spec::{ChangeLogger, ChangelogRecord, LoggedHeaders, StoreBackend, StoreIndex, StoreKind, StoreSpec};
pub use suppress::{BufferTotals, Evicted, SuppressBuffer};
pub use task::{STATE_MEMORY_BYTES, TaskOptions, TaskState, row_cache_bytes};
pub use task_database::TaskDatabase;
pub use versioned::{VersionedRow, VersionedStore};
pub use window::{RowOrder, WindowRow, WindowRows, WindowStore};
pub use window_list::{ListedRow, WindowList};
