//! Key-value stores: plain, timestamped, and those that forget the least recently used.
use std::{ops::Bound, rc::Rc};

use crate::{
    Headers, RecordContext, Result, RowList, StoreIndex, StoreKind, UpdateContext,
    core::{Beneath, CachedUpdate, Core},
    table::Found,
};

/// Key-value rows, all bytes. Key order is unsigned byte order. Plain stores: the timestamp read is -1.
pub struct KeyValueStore {
    pub(crate) core: Rc<Core>,
    timestamped: bool,
    max_entries: Option<usize>,
}

impl KeyValueStore {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        let timestamped = core.spec.kind.is_timestamped();
        let max_entries = match core.spec.kind {
            StoreKind::Lru { max_entries, .. } => Some(max_entries),
            _ => None,
        };
        Self {
            core,
            timestamped,
            max_entries,
        }
    }
    /// Index among the stores of the task.
    pub fn index(&self) -> StoreIndex {
        self.core.index
    }
    /// Name of the store.
    pub fn name(&self) -> &str {
        &self.core.spec.name
    }
    /// True when updates wait in the record cache: the caller must not forward but let `flush_cache` do it.
    pub fn is_cached(&self) -> bool {
        self.core.is_cached()
    }
    /// Reads into `value` (cleared first); gives the timestamp of the row, or None when there is none.
    pub fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<Option<i64>> {
        if self.core.spec.keeps_headers() {
            return Ok(self.get_with_headers(key, value)?.map(|(timestamp, _)| timestamp));
        }
        let found = self.core.get(key, value)?;
        self.note_use(key, found.is_some());
        Ok(found)
    }
    /// [`get`](Self::get), with the headers that the row keeps; none in other stores.
    pub fn get_with_headers(&self, key: &[u8], value: &mut Vec<u8>) -> Result<Option<(i64, Headers)>> {
        let found = self.core.get_with_headers(key, value)?;
        self.note_use(key, found.is_some());
        Ok(found)
    }
    /// A row was read: an LRU store hears of it unless the record cache had it, as in Kafka Streams.
    fn note_use(&self, key: &[u8], found: bool) {
        let forgets = self.max_entries.is_some() && !self.core.is_read_only();
        if forgets && found && self.core.is_read_past_cache(key) {
            self.core
                .database
                .recency(self.core.index, |recency| recency.touch(key));
        }
    }
    /// Whether its rows keep headers.
    pub fn keeps_headers(&self) -> bool {
        self.core.spec.keeps_headers()
    }
    /// Writes, or deletes with None; logged to the changelog at once unless cached.
    /// `context` is that of the record being processed (its timestamp is logged for plain stores and for deletes).
    pub fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, context: &dyn UpdateContext) -> Result<()> {
        self.core.check_writable()?;
        let row_timestamp = if self.core.spec.kind.is_timestamped() {
            timestamp
        } else {
            -1
        };
        if self.core.is_cached() {
            return self.core.put_cached(key, value, row_timestamp, context);
        }
        self.core.put(key, value, row_timestamp);
        if let Some(max) = self.max_entries {
            self.evict(max, key, value.is_some(), context)?;
        }
        let logged = if self.timestamped && value.is_some() {
            timestamp
        } else {
            context.timestamp()
        };
        self.core.log(key, value, logged, context.headers())
    }

    /// A row of an LRU store was written or deleted; others may have to go. Kafka Streams does so beneath the record
    /// cache, too: what is put there counts only when it is flushed, and is found there after it has gone here.
    fn evict(&self, max: usize, key: &[u8], present: bool, context: &dyn UpdateContext) -> Result<()> {
        let database = &self.core.database;
        database.recency(self.core.index, |recency| {
            if present {
                recency.touch(key);
            } else {
                recency.forget(key);
            }
        });
        let eldest = || {
            database
                .recency(self.core.index, |recency| recency.evict_beyond(max))
                .flatten()
        };
        while let Some(eldest) = eldest() {
            self.core.delete_beneath_cache(&eldest);
            if !self.timestamped {
                self.core.log(&eldest, None, context.timestamp(), context.headers())?;
            }
        }
        Ok(())
    }

    /// Rows with lo <= key <= hi (`None` = open) in order, or in reverse.
    pub fn range(self: &Rc<Self>, lo: Option<&[u8]>, hi: Option<&[u8]>, reverse: bool) -> Rows {
        let bound = |key: Option<&[u8]>| key.map_or(Bound::Unbounded, |key| Bound::Included(key.into()));
        Rows {
            scan: Scan::new(Rc::clone(&self.core), bound(lo), bound(hi), reverse),
        }
    }

    /// At most about `max_rows` rows from the key `lo` on, in order, into a list that is used again; none only at the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, lo: &[u8], max_rows: usize, list: &mut RowList) -> Result<()> {
        self.core.list(lo, max_rows, list)
    }

    /// Rows whose key starts with `prefix`, in order.
    pub fn prefix(self: &Rc<Self>, prefix: &[u8]) -> Rows {
        let hi = after_prefix(prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(end.as_slice().into()));
        Rows {
            scan: Scan::new(Rc::clone(&self.core), Bound::Included(prefix.into()), hi, false),
        }
    }

    /// Number of rows; an estimate in RocksDB, and without what is not yet committed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn approximate_count(&self) -> Result<u64> {
        self.core.database.with(self.core.index, |database| {
            database.approximate_count(self.core.index.0 as usize)
        })
    }

    /// Whether the record cache is over its budget: flush it soon.
    pub fn cache_is_full(&self) -> bool {
        self.core.cache_is_full()
    }

    /// Logs every cached update and gives it to `f`, in the order of the last update of each key.
    ///
    /// # Errors
    /// Of the database, of the changelog, or of `f`.
    pub fn flush_cache(&self, f: &mut dyn FnMut(CachedUpdate<'_>) -> Result<()>) -> Result<()> {
        self.core.flush(Some(f), self).map(|_| ())
    }

    /// Logs every cached update, also of a row that was made and deleted since the last time: nobody listens who could
    /// be spared that.
    ///
    /// # Errors
    /// Of the database or of the changelog.
    pub fn log_cache(&self) -> Result<()> {
        self.core.flush(None, self).map(|_| ())
    }
}

impl Beneath for KeyValueStore {
    fn take(&self, row_key: &[u8], present: bool, context: &RecordContext) -> Result<bool> {
        if let Some(max) = self.max_entries {
            self.evict(max, row_key, present, context)?;
        }
        Ok(true)
    }
}

/// The smallest key behind all keys with the prefix.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// An owned row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Key bytes.
    pub key: Rc<[u8]>,
    /// Value bytes.
    pub value: Rc<[u8]>,
    /// Milliseconds since the epoch; -1 in plain stores.
    pub timestamp: i64,
    /// Those the row keeps; none in other stores.
    pub headers: Headers,
}

/// Rows of a range read. Reads page by page and owns what it has read, so the store may be written meanwhile.
pub struct Rows {
    scan: Scan,
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.scan.next()?;
        Some(row.and_then(|Found { key, value, timestamp }| {
            let (value, headers) = self.scan.core.value_and_headers(value)?;
            Ok(Row {
                key,
                value,
                timestamp,
                headers,
            })
        }))
    }
}

/// A range read in pages that grow, as most ranges are short.
pub(crate) struct Scan {
    core: Rc<Core>,
    lo: Bound<Rc<[u8]>>,
    hi: Bound<Rc<[u8]>>,
    reverse: bool,
    page: std::vec::IntoIter<Found>,
    page_rows: usize,
    done: bool,
}

impl Scan {
    pub(crate) fn new(core: Rc<Core>, lo: Bound<Rc<[u8]>>, hi: Bound<Rc<[u8]>>, reverse: bool) -> Self {
        Self {
            core,
            lo,
            hi,
            reverse,
            page: Vec::new().into_iter(),
            page_rows: 16,
            done: false,
        }
    }
}

impl Scan {
    /// Rows that have been read already.
    pub(crate) fn of(core: Rc<Core>, rows: Vec<Found>) -> Self {
        Self {
            page: rows.into_iter(),
            done: true,
            ..Self::new(core, Bound::Unbounded, Bound::Unbounded, false)
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(found) = self.page.next() {
            return Some(Ok(found));
        }
        if self.done {
            return None;
        }
        let range = (self.lo.as_ref().map(|key| &**key), self.hi.as_ref().map(|key| &**key));
        let rows = match self.core.page(range, self.reverse, self.page_rows) {
            Ok(rows) => rows,
            Err(error) => {
                self.done = true;
                return Some(Err(error));
            }
        };
        let Some(last) = rows.last() else {
            self.done = true;
            return None;
        };
        let passed = Bound::Excluded(Rc::clone(&last.key));
        if self.reverse {
            self.hi = passed;
        } else {
            self.lo = passed;
        }
        self.page_rows = (self.page_rows * 4).min(1_024);
        self.page = rows.into_iter();
        self.page.next().map(Ok)
    }
}
