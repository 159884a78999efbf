//! CONTRACT of the crate; the real modules replace this file and keep these names.
#![allow(
    dead_code,
    unused_variables,
    clippy::todo,
    clippy::new_without_default,
    missing_docs,
    reason = "contract"
)]
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

/// One record header; a value may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: Rc<str>,
    pub value: Option<Rc<[u8]>>,
}

/// Headers of a record. Shared by reference along a record's way, as in Kafka Streams: `add` is seen by
/// everybody downstream who holds the same record; `clone` copies. Empty headers never allocate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    inner: RefCell<Vec<Header>>,
}
impl Headers {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn is_empty(&self) -> bool {
        self.inner.borrow().is_empty()
    }
    pub fn len(&self) -> usize {
        self.inner.borrow().len()
    }
    pub fn add(&self, key: &str, value: Option<&[u8]>) {
        self.inner.borrow_mut().push(Header {
            key: key.into(),
            value: value.map(Into::into),
        })
    }
    pub fn remove(&self, key: &str) {
        self.inner.borrow_mut().retain(|h| &*h.key != key)
    }
    pub fn last(&self, key: &str) -> Option<Header> {
        self.inner.borrow().iter().rev().find(|h| &*h.key == key).cloned()
    }
    pub fn to_vec(&self) -> Vec<Header> {
        self.inner.borrow().clone()
    }
    pub fn for_each(&self, mut f: impl FnMut(&str, Option<&[u8]>)) {
        for h in self.inner.borrow().iter() {
            f(&h.key, h.value.as_deref())
        }
    }
    pub fn clear(&self) {
        self.inner.borrow_mut().clear()
    }
}

/// Where a record came from; kept with cached updates so that they are forwarded with it.
#[derive(Clone, Debug)]
pub struct RecordContext {
    pub topic: Rc<str>,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub headers: Headers,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    #[error("{0}")]
    Todo(String),
    #[error("{0}")]
    Changelog(String),
}
pub type Result<T> = std::result::Result<T, StateError>;

/// Index of a store in the list of specs its task was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreIndex(pub u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Rows key -> value; `timestamped` rows are `timestamp(8) ++ value` as in Kafka Streams.
    KeyValue { timestamped: bool },
    /// Rows `key ++ start(8) ++ seq(4)` -> value. `retention_ms`, `segment_interval_ms`, `window_size_ms` as in Kafka Streams.
    Window {
        timestamped: bool,
        window_size_ms: i64,
        retention_ms: i64,
        segment_interval_ms: i64,
        retain_duplicates: bool,
    },
    /// Rows `key ++ end(8) ++ start(8)` -> aggregate.
    Session {
        retention_ms: i64,
        segment_interval_ms: i64,
    },
    /// History of each key.
    Versioned {
        history_retention_ms: i64,
        segment_interval_ms: i64,
    },
    /// Key-value in memory holding at most `max_entries`; the least recently used is evicted (with a tombstone in the changelog).
    Lru { max_entries: usize },
    /// Raw ordered bytes owned by one operator (outer-join store, subscription store ...): key -> bytes, no timestamp.
    Raw,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreBackend {
    Persistent,
    InMemory,
}

/// What a task needs to open a store.
#[derive(Clone, Debug)]
pub struct StoreSpec {
    pub name: Arc<str>,
    pub kind: StoreKind,
    pub backend: StoreBackend,
    pub caching: bool,
    pub logging: bool,
}

/// Receives what stores write to their changelogs. Implemented by the task.
/// `timestamp` None: the broker assigns the time (suppress buffers).
pub trait ChangeLogger {
    fn log(
        &self,
        store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        headers: Option<&Headers>,
    ) -> Result<()>;
}

/// Memory budget and settings of all stores of the process: one block cache, one write-buffer manager.
#[derive(Clone)]
pub struct StateEngine {}
impl StateEngine {
    /// RocksDB under `state_dir/application_id`, which is locked for this process; `memory_bytes` bounds block cache + memtables.
    #[cfg(feature = "rocksdb")]
    pub fn rocksdb(state_dir: &Path, application_id: &str, memory_bytes: usize) -> Result<Self> {
        todo!()
    }
    /// Everything in memory, nothing survives (test driver, `rocksdb` feature off).
    pub fn in_memory() -> Self {
        todo!()
    }
    /// UUID kept in the state directory (`kafka-streams-process-metadata`).
    pub fn process_id(&self) -> &str {
        todo!()
    }
    /// Tasks (`0_1`) that have a directory, each with the sum of its stored offsets.
    pub fn tasks_on_disk(&self) -> Result<Vec<String>> {
        todo!()
    }
    /// Opens (locks) the task's database. Damage: `StateError` that says so; `wipe` then makes it empty.
    pub fn open_task(&self, task: &str, specs: &[StoreSpec]) -> Result<TaskDatabase> {
        todo!()
    }
    pub fn wipe_task(&self, task: &str) -> Result<()> {
        todo!()
    }
    pub fn task_dir(&self, task: &str) -> Option<PathBuf> {
        todo!()
    }
}

/// A record of a changelog, to be restored.
#[derive(Clone, Copy, Debug)]
pub struct ChangelogRecord<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub timestamp: i64,
    pub offset: i64,
}

/// The committed state of one task: `Send`, so that it can be restored away from the stream thread.
pub struct TaskDatabase {
    specs: Vec<StoreSpec>,
}
impl TaskDatabase {
    pub fn specs(&self) -> &[StoreSpec] {
        &self.specs
    }
    /// Changelog offset (next to read) the store's data stands for; None: nothing known, restore from the beginning.
    pub fn offset(&self, store: StoreIndex) -> Option<i64> {
        todo!()
    }
    /// Applies changelog records and `next_offset` in one atomic batch.
    pub fn restore(&mut self, store: StoreIndex, records: &[ChangelogRecord<'_>], next_offset: i64) -> Result<()> {
        todo!()
    }
    /// Empties one store and forgets its offset.
    pub fn wipe(&mut self, store: StoreIndex) -> Result<()> {
        todo!()
    }
    /// Makes everything durable.
    pub fn flush(&mut self) -> Result<()> {
        todo!()
    }
    pub fn close(self) -> Result<()> {
        todo!()
    }
}

/// The live state of one task, on its stream thread: database + overlay of everything since the last commit.
#[derive(Clone)]
pub struct TaskState {}
impl TaskState {
    /// `cache_bytes`: the record cache of this task; 0 switches caching off for every store.
    pub fn new(database: TaskDatabase, logger: Rc<dyn ChangeLogger>, cache_bytes: usize) -> Self {
        todo!()
    }
    pub fn key_value(&self, name: &str) -> Option<Rc<KeyValueStore>> {
        todo!()
    }
    pub fn window(&self, name: &str) -> Option<Rc<WindowStore>> {
        todo!()
    }
    pub fn session(&self, name: &str) -> Option<Rc<SessionStore>> {
        todo!()
    }
    pub fn versioned(&self, name: &str) -> Option<Rc<VersionedStore>> {
        todo!()
    }
    /// The overlay goes to the database together with the changelog offsets (next to write) it stands for.
    /// Caches must have been flushed. A failure poisons the state: no further write is accepted.
    pub fn commit(&self, offsets: &[(StoreIndex, i64)]) -> Result<()> {
        todo!()
    }
    /// Forgets everything since the last commit.
    pub fn discard(&self) {
        todo!()
    }
    /// Bytes the overlay holds (with its overhead).
    pub fn uncommitted_bytes(&self) -> usize {
        todo!()
    }
    pub fn flush(&self) -> Result<()> {
        todo!()
    }
    /// Takes the database back (uncommitted writes are dropped). All store handles must be gone.
    pub fn into_database(self) -> Option<TaskDatabase> {
        todo!()
    }
}

/// An update that leaves the record cache.
pub struct CachedUpdate<'a> {
    pub key: &'a [u8],
    pub new: Option<(&'a [u8], i64)>,
    /// The value before the first cached update, with its timestamp.
    pub old: Option<(&'a [u8], i64)>,
    pub context: &'a RecordContext,
}

/// Key-value rows, all bytes. Key order is unsigned byte order. Plain stores: the timestamp read is -1.
pub struct KeyValueStore {}
impl KeyValueStore {
    pub fn index(&self) -> StoreIndex {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    /// True when updates wait in the record cache: the caller must not forward but let `flush_cache` do it.
    pub fn is_cached(&self) -> bool {
        todo!()
    }
    /// Reads into `value` (cleared first); gives the timestamp of the row, or None when there is none.
    pub fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<Option<i64>> {
        todo!()
    }
    /// Writes, or deletes with None; logged to the changelog at once unless cached.
    /// `context` is that of the record being processed (its timestamp is logged for plain stores and for deletes).
    pub fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, context: &RecordContext) -> Result<()> {
        todo!()
    }
    /// Rows with lo <= key <= hi (None = open) in order, or in reverse.
    pub fn range(self: &Rc<Self>, lo: Option<&[u8]>, hi: Option<&[u8]>, reverse: bool) -> Rows {
        todo!()
    }
    pub fn prefix(self: &Rc<Self>, prefix: &[u8]) -> Rows {
        todo!()
    }
    pub fn approximate_count(&self) -> Result<u64> {
        todo!()
    }
    /// Logs every cached update and gives it to `f`, in the order of the last update of each key.
    pub fn flush_cache(&self, f: &mut dyn FnMut(CachedUpdate<'_>) -> Result<()>) -> Result<()> {
        todo!()
    }
}

/// An owned row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Rc<[u8]>,
    pub value: Rc<[u8]>,
    pub timestamp: i64,
}
/// Rows of a range read. Pages through the store; owns what it has read, so the store may be written meanwhile.
pub struct Rows {}
impl Iterator for Rows {
    type Item = Result<Row>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// A window row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    pub key: Rc<[u8]>,
    pub start: i64,
    pub value: Rc<[u8]>,
    pub timestamp: i64,
}
pub struct WindowRows {}
impl Iterator for WindowRows {
    type Item = Result<WindowRow>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Windows of keys. Expired rows are not returned; a put into an expired window is dropped (and counted by the caller: `put` gives false).
pub struct WindowStore {}
impl WindowStore {
    pub fn index(&self) -> StoreIndex {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn is_cached(&self) -> bool {
        todo!()
    }
    pub fn get(&self, key: &[u8], start: i64, value: &mut Vec<u8>) -> Result<Option<i64>> {
        todo!()
    }
    pub fn put(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        start: i64,
        timestamp: i64,
        context: &RecordContext,
    ) -> Result<bool> {
        todo!()
    }
    /// Windows of one key with from <= start <= to, in order of start.
    pub fn fetch(self: &Rc<Self>, key: &[u8], from: i64, to: i64, reverse: bool) -> WindowRows {
        todo!()
    }
    /// Windows of lo <= key <= hi (None = open).
    pub fn fetch_range(
        self: &Rc<Self>,
        lo: Option<&[u8]>,
        hi: Option<&[u8]>,
        from: i64,
        to: i64,
        reverse: bool,
    ) -> WindowRows {
        todo!()
    }
    pub fn all(self: &Rc<Self>, reverse: bool) -> WindowRows {
        todo!()
    }
    /// In `CachedUpdate`, `key` is `key ++ start(8) ++ seq(4)`.
    pub fn flush_cache(&self, f: &mut dyn FnMut(CachedUpdate<'_>) -> Result<()>) -> Result<()> {
        todo!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub key: Rc<[u8]>,
    pub start: i64,
    pub end: i64,
    pub value: Rc<[u8]>,
}
pub struct SessionRows {}
impl Iterator for SessionRows {
    type Item = Result<SessionRow>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
pub struct SessionStore {}
impl SessionStore {
    pub fn index(&self) -> StoreIndex {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn is_cached(&self) -> bool {
        todo!()
    }
    /// Sessions with end >= earliest_end and start <= latest_start, in order of (key, end, start).
    pub fn find(
        self: &Rc<Self>,
        lo: Option<&[u8]>,
        hi: Option<&[u8]>,
        earliest_end: i64,
        latest_start: i64,
        reverse: bool,
    ) -> SessionRows {
        todo!()
    }
    pub fn get(&self, key: &[u8], start: i64, end: i64, value: &mut Vec<u8>) -> Result<bool> {
        todo!()
    }
    /// None removes.
    pub fn put(&self, key: &[u8], start: i64, end: i64, value: Option<&[u8]>, context: &RecordContext) -> Result<bool> {
        todo!()
    }
    /// In `CachedUpdate`, `key` is `key ++ end(8) ++ start(8)`.
    pub fn flush_cache(&self, f: &mut dyn FnMut(CachedUpdate<'_>) -> Result<()>) -> Result<()> {
        todo!()
    }
}
pub struct VersionedRow {
    pub value: Rc<[u8]>,
    pub valid_from: i64,
    pub valid_to: Option<i64>,
}
pub struct VersionedStore {}
impl VersionedStore {
    pub fn index(&self) -> StoreIndex {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Java's return codes: -1 valid to undefined, i64::MIN not put, else the end of validity.
    pub fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, context: &RecordContext) -> Result<i64> {
        todo!()
    }
    pub fn get(&self, key: &[u8]) -> Result<Option<VersionedRow>> {
        todo!()
    }
    pub fn get_as_of(&self, key: &[u8], timestamp: i64) -> Result<Option<VersionedRow>> {
        todo!()
    }
    pub fn history(&self, key: &[u8], from: i64, to: i64, ascending: bool) -> Result<Vec<VersionedRow>> {
        todo!()
    }
}
