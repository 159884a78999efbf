//! Windows of keys.
use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Bound;
use std::rc::Rc;

use crate::core::{CachedUpdate, Core};
use crate::key_value::Scan;
use crate::keys::Suffix;
use crate::segments::{PREFIX_BYTES, Segments, suffix_bytes};
use crate::table::Found;
use crate::window_list::WindowList;
use crate::{Headers, Result, StoreBackend, StoreIndex, StoreKind, UpdateContext};

/// A window row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// Key bytes.
    pub key: Rc<[u8]>,
    /// Start of the window, milliseconds since the epoch.
    pub start: i64,
    /// Value bytes.
    pub value: Rc<[u8]>,
    /// Time of the last update; -1 in plain stores.
    pub timestamp: i64,
    /// Those the row keeps; none in other stores.
    pub headers: Headers,
}

/// Windows of keys; rows older than the retention cannot be read and leave in segments.
pub struct WindowStore {
    core: Rc<Core>,
    segments: Segments,
    retain_duplicates: bool,
    order: Cell<RowOrder>,
}

/// How rows of several keys are given out. One key's rows always come by their start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowOrder {
    /// By key and then start on disk, by start and then key in memory, as in Kafka Streams.
    #[default]
    OfBackend,
    /// By start and then key: Kafka Streams' store of windows that are emitted when they close.
    ByStart,
    /// The same, but by key and then start where a bound of the keys is given: its store with an index by key.
    ByStartOverAllKeys,
}

impl WindowStore {
    pub(crate) fn new(core: Rc<Core>, segments: Segments) -> Self {
        let retain_duplicates = matches!(
            core.spec.kind,
            StoreKind::Window {
                retain_duplicates: true,
                ..
            }
        );
        Self {
            core,
            segments,
            retain_duplicates,
            order: Cell::default(),
        }
    }

    /// Changes the order of rows of several keys, for all who hold the store.
    pub fn set_order(&self, order: RowOrder) {
        self.order.set(order);
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

    /// Whether the record cache is over its budget: flush it soon.
    pub fn cache_is_full(&self) -> bool {
        self.core.cache_is_full()
    }

    /// Reads into `value` (cleared first); gives the timestamp of the row, or `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, key: &[u8], start: i64, value: &mut Vec<u8>) -> Result<Option<i64>> {
        Ok(self
            .get_with_headers(key, start, value)?
            .map(|(timestamp, _)| timestamp))
    }

    /// [`get`](Self::get), with the headers that the row keeps; none in other stores.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_with_headers(&self, key: &[u8], start: i64, value: &mut Vec<u8>) -> Result<Option<(i64, Headers)>> {
        value.clear();
        // Of duplicates Kafka Streams looks for the one that was put last into the store, and in memory for none.
        let sequence = match self.core.spec.backend {
            StoreBackend::Persistent if self.retain_duplicates => self.core.row_sequence.get(),
            _ => 0,
        };
        self.with_row_key(key, start, sequence, |row_key| {
            if self.segments.shows(&self.core, start, row_key) {
                self.core.get_with_headers(row_key, value)
            } else {
                Ok(None)
            }
        })
    }

    /// Whether its rows keep headers.
    pub fn keeps_headers(&self) -> bool {
        self.core.spec.keeps_headers()
    }

    /// Lends `segment(8) ++ key ++ start(8) ++ sequence(4)`; behind the segment it is the key of the changelog.
    fn with_row_key<T>(&self, key: &[u8], start: i64, sequence: i32, f: impl FnOnce(&mut [u8]) -> T) -> T {
        self.with_key_in(self.segments.id(start), key, (start, sequence), f)
    }

    /// The same where the segment is known.
    fn with_key_in<T>(
        &self,
        segment: i64,
        key: &[u8],
        (start, sequence): (i64, i32),
        f: impl FnOnce(&mut [u8]) -> T,
    ) -> T {
        let suffix = [&start.to_be_bytes()[..], &sequence.to_be_bytes()];
        self.core.with_row_key(segment, key, &suffix, f)
    }

    /// Writes, or deletes with `None`; logged at once unless cached. False: the window has expired, the row is dropped.
    ///
    /// # Errors
    /// Of the database or the changelog.
    pub fn put(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        start: i64,
        timestamp: i64,
        context: &dyn UpdateContext,
    ) -> Result<bool> {
        self.core.check_writable()?;
        if self.retain_duplicates && value.is_none() && self.core.spec.backend == StoreBackend::Persistent {
            // Deleting one of several duplicates means nothing, not even that time has passed: only the changelog hears
            // of it. (Kafka Streams' store in memory does take its time.)
            self.log(key, None, start, context.timestamp(), context)?;
            return Ok(true);
        }
        let row_timestamp = if self.core.spec.kind.is_timestamped() {
            timestamp
        } else {
            -1
        };
        if self.core.is_cached() {
            self.core.cached_segments.add(self.segments.id(start));
            self.with_row_key(key, start, 0, |row_key| {
                self.core.put_cached(row_key, value, row_timestamp, context)
            })?;
            return Ok(true);
        }
        let segment = self.segments.take(&self.core, start);
        let logged_at = if row_timestamp >= 0 && value.is_some() {
            timestamp
        } else {
            context.timestamp()
        };
        // Deleting one of several duplicates means nothing: only the changelog hears of it.
        let Some(segment) = segment.filter(|_| value.is_some() || !self.retain_duplicates) else {
            self.log(key, value, start, logged_at, context)?;
            return Ok(segment.is_some());
        };
        let times = (start, self.next(&self.core.row_sequence));
        self.with_key_in(segment, key, times, |row_key| {
            self.core.put(row_key, value, row_timestamp);
            let logged = row_key.get_mut(PREFIX_BYTES..).unwrap_or_default();
            if let Some(number) = logged.last_chunk_mut() {
                *number = self.next(&self.core.log_sequence).to_be_bytes();
            }
            self.core.log(logged, value, logged_at, context.headers())
        })?;
        Ok(true)
    }

    fn log(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        start: i64,
        timestamp: i64,
        context: &dyn UpdateContext,
    ) -> Result<()> {
        self.with_row_key(key, start, self.next(&self.core.log_sequence), |row_key| {
            let logged = row_key.get(PREFIX_BYTES..).unwrap_or_default();
            self.core.log(logged, value, timestamp, context.headers())
        })
    }

    fn next(&self, sequence: &Cell<i32>) -> i32 {
        if !self.retain_duplicates {
            return 0;
        }
        sequence.set(sequence.get().wrapping_add(1) & i32::MAX);
        sequence.get()
    }

    /// Windows of one key with from <= start <= to, in order of start.
    pub fn fetch(self: &Rc<Self>, key: &[u8], from: i64, to: i64, reverse: bool) -> WindowRows {
        self.rows(Keys::of(key), from, to, reverse)
    }

    /// The same in order of start, into a list that is cleared first: a read that allocates nothing once the list is big
    /// enough.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn fetch_into(self: &Rc<Self>, key: &[u8], from: i64, to: i64, list: &mut WindowList) -> Result<()> {
        self.read_into(key, (from, to), false, list, &mut |_| false)
    }

    /// The same, newest first; nothing behind the first window of which `is_last` is true is read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn fetch_back_into(
        self: &Rc<Self>,
        key: &[u8],
        (from, to): (i64, i64),
        list: &mut WindowList,
        is_last: &mut dyn FnMut(i64) -> bool,
    ) -> Result<()> {
        self.read_into(key, (from, to), true, list, is_last)
    }

    fn read_into(
        self: &Rc<Self>,
        key: &[u8],
        (from, to): (i64, i64),
        reverse: bool,
        list: &mut WindowList,
        is_last: &mut dyn FnMut(i64) -> bool,
    ) -> Result<()> {
        let from = from.max(0);
        list.clear();
        let add = &mut |times: [i64; 2], value: &[u8], timestamp| {
            list.push(times, value, timestamp);
            !is_last(times[0])
        };
        if self.segments.lend_rows(&self.core, key, (from, to), reverse, add)? {
            return Ok(());
        }
        list.clear();
        for row in self.fetch(key, from, to, reverse) {
            let row = row?;
            list.push([row.start, 0], &row.value, row.timestamp);
            if is_last(row.start) {
                break;
            }
        }
        Ok(())
    }

    /// Windows of lo <= key <= hi (`None` = open).
    pub fn fetch_range(
        self: &Rc<Self>,
        lo: Option<&[u8]>,
        hi: Option<&[u8]>,
        from: i64,
        to: i64,
        reverse: bool,
    ) -> WindowRows {
        self.rows(
            Keys {
                lo: lo.map(Into::into),
                hi: hi.map(Into::into),
            },
            from,
            to,
            reverse,
        )
    }

    /// Windows of all keys with from <= start <= to, by key or by start: what whoever emits windows when they close asks for,
    /// who goes on from `to`. Costs what it gives, once a segment was read for the first time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn fetch_closed(self: &Rc<Self>, from: i64, to: i64) -> Result<Vec<WindowRow>> {
        let readable = self.segments.readable_from(self.core.observed());
        let Some(found) = self.segments.by_time(&self.core, (from.max(0), to), readable)? else {
            return self.fetch_range(None, None, from, to, false).collect();
        };
        let row = |found: Found| {
            let (key, [start, _]) = split_row_key(&found.key, suffix_bytes(&self.core.spec.kind))?;
            let row = self.core.value_and_headers(found.value);
            Some(row.map(|(value, headers)| WindowRow {
                key: key.into(),
                start,
                value,
                timestamp: found.timestamp,
                headers,
            }))
        };
        found.into_iter().filter_map(row).collect()
    }

    /// All windows that can be read.
    pub fn all(self: &Rc<Self>, reverse: bool) -> WindowRows {
        self.rows(Keys { lo: None, hi: None }, 0, i64::MAX, reverse)
    }

    fn rows(&self, keys: Keys, from: i64, to: i64, reverse: bool) -> WindowRows {
        let from = from.max(0);
        let by_start = match (self.core.spec.backend, self.order.get()) {
            (StoreBackend::InMemory, _) | (_, RowOrder::ByStart) => true,
            (_, RowOrder::OfBackend) => false,
            (_, RowOrder::ByStartOverAllKeys) => keys.lo.is_none() && keys.hi.is_none(),
        };
        let by_key = keys.single().is_some() || !by_start;
        let readable = self.segments.readable_from(self.core.observed());
        let scans = SegmentScans::new(
            Rc::clone(&self.core),
            self.segments,
            keys,
            (from, to),
            readable,
            reverse,
        );
        let rows = WindowRows {
            scans,
            from,
            to,
            sorted: None,
        };
        if by_key { rows } else { rows.by_start(reverse) }
    }

    /// Logs every cached update and gives it to `f`, in the order of the last update of each window.
    /// The key is `key ++ start(8) ++ seq(4)`.
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

/// A range of keys, both ends inclusive.
pub(crate) struct Keys {
    pub(crate) lo: Option<Rc<[u8]>>,
    pub(crate) hi: Option<Rc<[u8]>>,
}

impl Keys {
    fn of(key: &[u8]) -> Self {
        let key: Rc<[u8]> = key.into();
        Self {
            lo: Some(Rc::clone(&key)),
            hi: Some(key),
        }
    }

    /// The key, if there is but one.
    fn single(&self) -> Option<&Rc<[u8]>> {
        self.lo.as_ref().filter(|_| self.lo == self.hi)
    }

    fn contain(&self, key: &[u8]) -> bool {
        self.lo.as_deref().is_none_or(|lo| lo <= key) && self.hi.as_deref().is_none_or(|hi| key <= hi)
    }
}

/// Rows of a range of keys, segment by segment. What is outside of the range of keys is left out, and what has expired,
/// unless it is still in the record cache.
pub(crate) struct SegmentScans {
    pub(crate) core: Rc<Core>,
    segments: Segments,
    ids: VecDeque<i64>,
    keys: Keys,
    times: (i64, i64),
    readable_from: i64,
    reverse: bool,
    suffix_bytes: usize,
    current: Option<Scan>,
}

impl SegmentScans {
    pub(crate) fn new(
        core: Rc<Core>,
        segments: Segments,
        keys: Keys,
        (from, to): (i64, i64),
        readable_from: i64,
        reverse: bool,
    ) -> Self {
        let ids = segments.seen(&core, from, to, readable_from);
        // Only the record cache has rows that have expired and are seen all the same.
        let times = if core.is_cached() {
            (from, to)
        } else {
            (from.max(readable_from), to.min(core.observed()))
        };
        Self {
            suffix_bytes: suffix_bytes(&core.spec.kind),
            core,
            segments,
            ids,
            keys,
            times,
            readable_from,
            reverse,
            current: None,
        }
    }

    /// Rows of the key, if there is but one, as far as they are in memory.
    fn known(&self, segment: i64) -> Result<Option<Scan>> {
        let Some(key) = self.keys.single() else {
            return Ok(None);
        };
        let times = (Suffix::from_time(self.times.0), Suffix::to_time(self.times.1));
        let end = Suffix::to_time(self.segments.last_time(segment));
        let rows = self.core.of_group((segment, key), &times, end, self.reverse)?;
        Ok(rows.map(|rows| Scan::of(Rc::clone(&self.core), rows)))
    }

    fn open(&self, segment: i64) -> Scan {
        let prefix = segment.to_be_bytes();
        let single = self.keys.single().is_some();
        let mut lo = [&prefix[..], self.keys.lo.as_deref().unwrap_or_default()].concat();
        if single {
            lo.extend_from_slice(&self.times.0.to_be_bytes());
        }
        let hi = match &self.keys.hi {
            Some(hi) => {
                let mut end = prefix.to_vec();
                let last_time = if single {
                    self.times.1.to_be_bytes()
                } else {
                    i64::MAX.to_be_bytes()
                };
                // A shorter key followed by a large time may sort behind a longer key: Kafka Streams' bound, which
                // drops the bytes of the key that are smaller than the first byte of the time.
                let kept = if single {
                    hi.len()
                } else {
                    hi.iter().take_while(|byte| **byte >= last_time[0]).count()
                };
                end.extend_from_slice(hi.get(..kept).unwrap_or_default());
                end.extend_from_slice(&last_time);
                end.resize(end.len() + self.suffix_bytes.saturating_sub(8).max(8), u8::MAX);
                if single {
                    Bound::Included(end.into())
                } else {
                    open_end(&prefix, hi, end)
                }
            }
            None => Bound::Excluded((segment + 1).to_be_bytes()[..].into()),
        };
        Scan::new(Rc::clone(&self.core), Bound::Included(lo.into()), hi, self.reverse)
    }
}

/// The larger of Kafka Streams' bound and "the key with any suffix".
fn open_end(prefix: &[u8], hi: &[u8], end: Vec<u8>) -> Bound<Rc<[u8]>> {
    let mut plain = [prefix, hi].concat();
    plain.resize(plain.len() + 16, u8::MAX);
    Bound::Included(plain.max(end).into())
}

impl Iterator for SegmentScans {
    /// The key without segment and suffix, the suffix, the row.
    type Item = Result<(Rc<[u8]>, [i64; 2], Found)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(scan) = &mut self.current else {
                let id = if self.reverse {
                    self.ids.pop_back()
                } else {
                    self.ids.pop_front()
                }?;
                match self.known(id) {
                    Ok(rows) => self.current = Some(rows.unwrap_or_else(|| self.open(id))),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let found = match scan.next() {
                None => {
                    self.current = None;
                    continue;
                }
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(found)) => found,
            };
            let Some((key, times)) = split_row_key(&found.key, self.suffix_bytes) else {
                continue;
            };
            if self.keys.contain(key) {
                if times[0] < self.readable_from && !self.core.is_in_cache(&found.key) {
                    continue;
                }
                let key = self.keys.single().map_or_else(|| key.into(), Rc::clone);
                return Some(Ok((key, times, found)));
            }
        }
    }
}

/// The key of the record and both times of a row.
pub(crate) fn split_row_key(row_key: &[u8], suffix_bytes: usize) -> Option<(&[u8], [i64; 2])> {
    let row = row_key.get(PREFIX_BYTES..)?;
    let (key, suffix) = row.split_at_checked(row.len().checked_sub(suffix_bytes)?)?;
    Some((key, Suffix::of(suffix).times(suffix_bytes)))
}

/// Windows of a range read.
pub struct WindowRows {
    scans: SegmentScans,
    from: i64,
    to: i64,
    sorted: Option<std::vec::IntoIter<Result<WindowRow>>>,
}

impl WindowRows {
    /// All rows, by start and then key.
    fn by_start(mut self, reverse: bool) -> Self {
        let mut rows: Vec<Result<WindowRow>> = std::iter::from_fn(|| self.advance()).collect();
        rows.sort_by(|a, b| match (a, b) {
            (Ok(a), Ok(b)) if reverse => (b.start, &b.key).cmp(&(a.start, &a.key)),
            (Ok(a), Ok(b)) => (a.start, &a.key).cmp(&(b.start, &b.key)),
            _ => std::cmp::Ordering::Equal,
        });
        self.sorted = Some(rows.into_iter());
        self
    }

    fn advance(&mut self) -> Option<Result<WindowRow>> {
        loop {
            let (key, [start, _], found) = match self.scans.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            if (self.from..=self.to).contains(&start) {
                let Found { value, timestamp, .. } = found;
                let row = self.scans.core.value_and_headers(value);
                return Some(row.map(|(value, headers)| WindowRow {
                    key,
                    start,
                    value,
                    timestamp,
                    headers,
                }));
            }
        }
    }
}

impl Iterator for WindowRows {
    type Item = Result<WindowRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(sorted) = &mut self.sorted {
            return sorted.next();
        }
        self.advance()
    }
}
