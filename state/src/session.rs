//! Sessions of keys.
use std::rc::Rc;

use crate::core::{CachedUpdate, Core};
use crate::segments::{PREFIX_BYTES, Segments, suffix_bytes};
use crate::table::Found;
use crate::window::{Keys, SegmentScans, split_row_key};
use crate::window_list::WindowList;
use crate::{Headers, LoggedHeaders, Result, StoreBackend, StoreIndex, UpdateContext};

/// A session row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Key bytes.
    pub key: Rc<[u8]>,
    /// Time of the first record, milliseconds since the epoch.
    pub start: i64,
    /// Time of the last record.
    pub end: i64,
    /// Bytes of the aggregate.
    pub value: Rc<[u8]>,
    /// Those the row keeps; none in other stores.
    pub headers: Headers,
}

/// Sessions of keys, filed by their end.
pub struct SessionStore {
    core: Rc<Core>,
    segments: Segments,
}

impl SessionStore {
    pub(crate) fn new(core: Rc<Core>, segments: Segments) -> Self {
        Self { core, segments }
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
    /// Whether the rows are in memory only.
    pub fn is_in_memory(&self) -> bool {
        self.core.spec.backend == StoreBackend::InMemory
    }

    /// Whether the record cache is over its budget: flush it soon.
    pub fn cache_is_full(&self) -> bool {
        self.core.cache_is_full()
    }

    /// Sessions of lo <= key <= hi (`None` = open) with end >= `earliest_end` and start <= `latest_start`: on disk in order of
    /// (key, end, start) within a segment; in memory, without a record cache, of (end, key), the last start first.
    pub fn find(
        self: &Rc<Self>,
        lo: Option<&[u8]>,
        hi: Option<&[u8]>,
        earliest_end: i64,
        latest_start: i64,
        reverse: bool,
    ) -> SessionRows {
        let readable = self.segments.readable_from(self.core.observed());
        let keys = Keys {
            lo: lo.map(Into::into),
            hi: hi.map(Into::into),
        };
        let by_end = self.core.spec.backend == StoreBackend::InMemory;
        let rows = self.rows(keys, (earliest_end, i64::MAX), readable, latest_start, reverse);
        if by_end { rows.by_end(reverse) } else { rows }
    }

    /// Sessions of a key with end >= `earliest_end` and start <= `latest_start`, in order of (end, start), into a list that
    /// is cleared first: a read that allocates nothing once the list is big enough.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_into(
        self: &Rc<Self>,
        key: &[u8],
        earliest_end: i64,
        latest_start: i64,
        list: &mut WindowList,
    ) -> Result<()> {
        list.clear();
        let add = &mut |times: [i64; 2], value: &[u8], timestamp| {
            if times[1] <= latest_start {
                list.push(times, value, timestamp);
            }
            true
        };
        let times = (earliest_end.max(0), i64::MAX);
        if self.segments.lend_rows(&self.core, key, times, false, add)? {
            return Ok(());
        }
        list.clear();
        for row in self.find(Some(key), Some(key), earliest_end, latest_start, false) {
            let row = row?;
            list.push([row.end, row.start], &row.value, -1);
        }
        Ok(())
    }

    /// All sessions that end between two times (inclusive) and are still there, which on disk includes expired ones of
    /// segments that have not been dropped: an operator that emits sessions when they close may come late. It goes on from
    /// `latest_end`; a read costs what it gives, once a segment was read for the first time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_kept(self: &Rc<Self>, earliest_end: i64, latest_end: i64) -> Result<Vec<SessionRow>> {
        let observed = self.core.observed();
        let kept = match self.core.spec.backend {
            StoreBackend::InMemory => self.segments.readable_from(observed),
            StoreBackend::Persistent => self.segments.kept_from(observed),
        };
        let ends = (earliest_end.max(0), latest_end);
        let Some(found) = self.segments.by_time(&self.core, ends, kept)? else {
            return self
                .rows(Keys { lo: None, hi: None }, ends, kept, i64::MAX, false)
                .collect();
        };
        let row = |found: Found| {
            let (key, [end, start]) = split_row_key(&found.key, suffix_bytes(&self.core.spec.kind))?;
            let row = self.core.value_and_headers(found.value);
            Some(row.map(|(value, headers)| SessionRow {
                key: key.into(),
                start,
                end,
                value,
                headers,
            }))
        };
        found.into_iter().filter_map(row).collect()
    }

    fn rows(&self, keys: Keys, ends: (i64, i64), shown_from: i64, latest_start: i64, reverse: bool) -> SessionRows {
        let (earliest_end, latest_end) = (ends.0.max(0), ends.1);
        let scans = SegmentScans::new(
            Rc::clone(&self.core),
            self.segments,
            keys,
            (earliest_end, latest_end),
            shown_from,
            reverse,
        );
        SessionRows {
            scans,
            earliest_end,
            latest_end,
            latest_start,
            sorted: None,
        }
    }

    /// Reads into `value` (cleared first); false: no such session.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, key: &[u8], start: i64, end: i64, value: &mut Vec<u8>) -> Result<bool> {
        Ok(self.get_with_headers(key, start, end, value)?.is_some())
    }

    /// [`get`](Self::get), with the headers that the row keeps; none in other stores.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_with_headers(&self, key: &[u8], start: i64, end: i64, value: &mut Vec<u8>) -> Result<Option<Headers>> {
        value.clear();
        let found = self.with_row_key(key, start, end, |row_key| {
            if self.segments.shows(&self.core, end, row_key) {
                self.core.get_with_headers(row_key, value)
            } else {
                Ok(None)
            }
        })?;
        Ok(found.map(|(_, headers)| headers))
    }

    /// Whether its rows keep headers.
    pub fn keeps_headers(&self) -> bool {
        self.core.spec.keeps_headers()
    }

    /// Writes, or removes with `None`. False: the session has expired, the row is dropped.
    ///
    /// # Errors
    /// Of the database or the changelog.
    pub fn put(
        &self,
        key: &[u8],
        start: i64,
        end: i64,
        value: Option<&[u8]>,
        context: &dyn UpdateContext,
    ) -> Result<bool> {
        self.core.check_writable()?;
        if self.core.is_cached() {
            self.core.cached_segments.add(self.segments.id(end));
            self.with_row_key(key, start, end, |row_key| {
                self.core.put_cached(row_key, value, -1, context)
            })?;
            return Ok(true);
        }
        let segment = self.segments.take(&self.core, end);
        // The changelog does not see the segment.
        self.with_key_in(segment.unwrap_or_default(), key, (start, end), |row_key| {
            if segment.is_some() {
                self.core.table.borrow_mut().put(row_key, value, -1);
            }
            let logged = row_key.get(PREFIX_BYTES..).unwrap_or_default();
            self.core.log(logged, value, context.timestamp(), context.headers())
        })?;
        Ok(segment.is_some())
    }

    fn with_row_key<R>(&self, key: &[u8], start: i64, end: i64, f: impl FnOnce(&mut [u8]) -> R) -> R {
        self.with_key_in(self.segments.id(end), key, (start, end), f)
    }

    /// The same where the segment is known.
    fn with_key_in<R>(&self, segment: i64, key: &[u8], (start, end): (i64, i64), f: impl FnOnce(&mut [u8]) -> R) -> R {
        let suffix = [&end.to_be_bytes()[..], &start.to_be_bytes()];
        self.core.with_row_key(segment, key, &suffix, f)
    }

    /// Whether its rows are of the format with headers.
    pub fn is_header_aware(&self) -> bool {
        self.core.spec.logged_headers != LoggedHeaders::Never
    }

    /// Logs every cached update and gives it to `f`, in the order of the last update of each session.
    /// The key is `key ++ end(8) ++ start(8)`.
    ///
    /// # Errors
    /// Of the database, of the changelog, or of `f`.
    pub fn flush_cache(&self, f: &mut dyn FnMut(CachedUpdate<'_>) -> Result<()>) -> Result<()> {
        self.segments.flush(&self.core, Some(f)).map(|_| ())
    }

    /// Logs every cached update, also of a row that was made and deleted since the last time: nobody listens who could
    /// be spared that. Gives the number of rows that had expired, each of which counts as a dropped record.
    ///
    /// # Errors
    /// Of the database or of the changelog.
    pub fn log_cache(&self) -> Result<u64> {
        self.segments.flush(&self.core, None)
    }
}

/// Sessions of a range read.
pub struct SessionRows {
    scans: SegmentScans,
    earliest_end: i64,
    latest_end: i64,
    latest_start: i64,
    /// All of them, where the order is not that of the scans.
    sorted: Option<std::vec::IntoIter<Result<SessionRow>>>,
}

impl SessionRows {
    /// In the order of Kafka Streams' store in memory: by end, by key, and the last start first.
    fn by_end(mut self, reverse: bool) -> Self {
        let mut rows: Vec<Result<SessionRow>> = std::iter::from_fn(|| self.advance()).collect();
        rows.sort_by(|a, b| match (a, b) {
            (Ok(a), Ok(b)) if reverse => (b.end, &b.key, a.start).cmp(&(a.end, &a.key, b.start)),
            (Ok(a), Ok(b)) => (a.end, &a.key, b.start).cmp(&(b.end, &b.key, a.start)),
            _ => std::cmp::Ordering::Equal,
        });
        self.sorted = Some(rows.into_iter());
        self
    }

    fn advance(&mut self) -> Option<Result<SessionRow>> {
        loop {
            let (key, [end, start], found) = match self.scans.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            if end >= self.earliest_end && end <= self.latest_end && start <= self.latest_start {
                let row = self.scans.core.value_and_headers(found.value);
                return Some(row.map(|(value, headers)| SessionRow {
                    key,
                    start,
                    end,
                    value,
                    headers,
                }));
            }
        }
    }
}

impl Iterator for SessionRows {
    type Item = Result<SessionRow>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.sorted {
            Some(sorted) => sorted.next(),
            None => self.advance(),
        }
    }
}
