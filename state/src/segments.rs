//! How do windows leave? In segments: a row key begins with the number of its segment, so that a segment goes at once.
//!
//! The rules are those of Kafka Streams: a put into a segment that is still alive is accepted, one into a segment that
//! has left is dropped; reads are clipped exactly at `observed time - retention + 1`.
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

use crate::core::{Beneath, Core, FlushTo};
use crate::keys::Suffix;
use crate::table::Found;
use crate::{RecordContext, Result, StoreBackend, StoreKind};

/// Which part of a changelog key is the time a row is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeAt {
    /// `key ++ start(8) ++ seq(4)`
    WindowStart,
    /// `key ++ end(8) ++ start(8)`
    SessionEnd,
}

/// Takes both times of a row, value and timestamp; false: no more of them.
pub(crate) type LendTimes<'a> = &'a mut dyn FnMut([i64; 2], &[u8], i64) -> bool;

/// The segments of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments {
    retention_ms: i64,
    interval_ms: i64,
    time_at: TimeAt,
}

pub(crate) const PREFIX_BYTES: usize = 8;

/// What row keys have behind the key of the record; 0 where there are no segments.
pub(crate) fn suffix_bytes(kind: &StoreKind) -> usize {
    match kind {
        StoreKind::Window { .. } => 12,
        StoreKind::Session { .. } => 16,
        _ => 0,
    }
}

impl Segments {
    pub(crate) fn of(kind: &StoreKind) -> Option<Self> {
        let (retention_ms, interval_ms, time_at) = match *kind {
            StoreKind::Window {
                retention_ms,
                segment_interval_ms,
                ..
            } => (retention_ms, segment_interval_ms, TimeAt::WindowStart),
            StoreKind::Session {
                retention_ms,
                segment_interval_ms,
            } => (retention_ms, segment_interval_ms, TimeAt::SessionEnd),
            _ => return None,
        };
        Some(Self {
            retention_ms,
            interval_ms: interval_ms.max(1),
            time_at,
        })
    }

    /// The time in a changelog key.
    pub(crate) fn time_of(&self, key: &[u8]) -> Option<i64> {
        let behind = match self.time_at {
            TimeAt::WindowStart => 4,
            TimeAt::SessionEnd => 8,
        };
        let time = key.get(..key.len().checked_sub(behind)?)?.last_chunk::<8>()?;
        Some(i64::from_be_bytes(*time))
    }

    pub(crate) fn id(&self, time: i64) -> i64 {
        time.max(0) / self.interval_ms
    }

    /// The last time that is filed in a segment.
    pub(crate) fn last_time(&self, id: i64) -> i64 {
        id.saturating_add(1).saturating_mul(self.interval_ms).saturating_sub(1)
    }

    /// `segment(8) ++ key`
    pub(crate) fn row_key(&self, key: &[u8], time: i64) -> Vec<u8> {
        [&self.id(time).to_be_bytes()[..], key].concat()
    }

    /// The first segment that is alive at an observed time.
    pub(crate) fn first_alive(&self, observed: i64) -> i64 {
        self.id(observed.saturating_sub(self.retention_ms))
    }

    /// The first time of the first segment that is alive.
    pub(crate) fn kept_from(&self, observed: i64) -> i64 {
        self.first_alive(observed).saturating_mul(self.interval_ms)
    }

    /// The first time that can still be read.
    pub(crate) fn readable_from(&self, observed: i64) -> i64 {
        observed.saturating_sub(self.retention_ms).saturating_add(1)
    }
}

impl Segments {
    /// Whether a read sees a row of this time: it has not expired, or is still in the record cache.
    pub(crate) fn shows(&self, core: &Core, time: i64, row_key: &[u8]) -> bool {
        time >= self.readable_from(core.observed()) || core.is_in_cache(row_key)
    }

    /// A row of this time comes into the store: time goes on, and segments leave. Gives its segment; None: the row has
    /// expired.
    pub(crate) fn take(&self, core: &Core, time: i64) -> Option<i64> {
        let observed = core.observe(time);
        let (segment, first) = (self.id(time), self.first_alive(observed));
        let alive = match core.spec.backend {
            // Kafka Streams' store in memory is exact, the one on disk goes by whole segments.
            StoreBackend::InMemory => time >= self.readable_from(observed),
            StoreBackend::Persistent => segment >= first,
        };
        if alive && first > 0 {
            core.expire_below(&first.to_be_bytes());
        }
        alive.then_some(segment)
    }

    /// Empties the record cache of a store. Time goes on in it only now.
    pub(crate) fn flush(&self, core: &Core, f: Option<FlushTo<'_>>) -> Result<u64> {
        core.flush(f, &InSegments { segments: self, core })
    }

    /// Lends the rows of a key at these times to `f` as long as it returns true: both times, value, timestamp. False: they
    /// have to be scanned, and `f` may have heard of some of them.
    pub(crate) fn lend_rows(
        &self,
        core: &Core,
        key: &[u8],
        (from, to): (i64, i64),
        reverse: bool,
        f: LendTimes<'_>,
    ) -> Result<bool> {
        // Who takes them has no place for headers.
        if core.is_cached() || core.spec.keeps_headers() {
            return Ok(false);
        }
        let observed = core.observed();
        let (from, to) = (from.max(self.readable_from(observed)).max(0), to.min(observed));
        if from > to {
            return Ok(true);
        }
        let times = (Suffix::from_time(from), Suffix::to_time(to));
        let (first, last) = (self.id(from), self.id(to));
        let mut more = true;
        for segment in 0..=last - first {
            let segment = if reverse { last - segment } else { first + segment };
            let end = Suffix::to_time(self.last_time(segment));
            let lend = &mut |times: [i64; 2], value: &[u8], timestamp| {
                more = f(times, value, timestamp);
                more
            };
            let known = core.lend_group((segment, key), end, &times, reverse, lend)?;
            if !known || !more {
                return Ok(known);
            }
        }
        Ok(true)
    }

    /// Rows of all keys at these times that can be seen from some time on, in order of time. Whoever asks goes on with
    /// later times. None: the store has no index by time, or
    /// the record cache has rows of segments that have gone: they have to be scanned.
    pub(crate) fn by_time(&self, core: &Core, (from, to): (i64, i64), seen_from: i64) -> Result<Option<Vec<Found>>> {
        if !core.knows_times() || core.is_cached() && !core.table.borrow().lingering_segments().is_empty() {
            return Ok(None);
        }
        let mut found = Vec::new();
        for segment in self.seen(core, from, to, seen_from) {
            core.read(|database, table| table.rows_by_time(database, segment, (from, to), &mut found))?;
        }
        let (seen_to, cached) = (core.observed(), core.is_cached());
        found.retain(|row| {
            let time = self.time_of(row.key.get(PREFIX_BYTES..).unwrap_or_default());
            let alive = time.is_some_and(|time| (cached || time <= seen_to) && time >= seen_from);
            alive || core.is_in_cache(&row.key)
        });
        Ok(Some(found))
    }

    /// The segments in which a scan may see rows of these times, in order. They are few, however far apart times are.
    pub(crate) fn seen(&self, core: &Core, from: i64, to: i64, readable_from: i64) -> VecDeque<i64> {
        let range = |first: i64, observed: i64| {
            let (first, last) = (from.max(first), to.min(observed));
            (first <= last).then(|| self.id(first)..=self.id(last))
        };
        let observed = core.observed();
        if !core.is_cached() {
            return range(readable_from, observed).into_iter().flatten().collect();
        }
        let alive = range(self.kept_from(observed).min(readable_from), observed);
        let committed = core.committed_observed.get();
        let alive_before = range(self.kept_from(committed), committed);
        let mut ids: BTreeSet<i64> = alive.into_iter().chain(alive_before).flatten().collect();
        if from <= to {
            let wanted = self.id(from)..=self.id(to);
            let lingering = core.table.borrow().lingering_segments();
            let cached = core.cached_segments.ids.borrow();
            ids.extend(cached.iter().chain(&lingering).filter(|id| wanted.contains(id)));
        }
        ids.into_iter().collect()
    }
}

/// A store in segments, beneath its record cache.
struct InSegments<'a> {
    segments: &'a Segments,
    core: &'a Core,
}

impl InSegments<'_> {
    fn time(&self, row_key: &[u8]) -> i64 {
        self.segments.time_of(self.logged(row_key)).unwrap_or_default()
    }
}

impl Beneath for InSegments<'_> {
    fn logged<'k>(&self, row_key: &'k [u8]) -> &'k [u8] {
        row_key.get(PREFIX_BYTES..).unwrap_or_default()
    }
    fn shows(&self, row_key: &[u8]) -> bool {
        self.time(row_key) >= self.segments.readable_from(self.core.observed())
    }
    fn take(&self, row_key: &[u8], _present: bool, _context: &RecordContext) -> Result<bool> {
        Ok(self.segments.take(self.core, self.time(row_key)).is_some())
    }
}

/// Segments of the rows that came into the record cache since the last commit. They may be older than those that are alive.
#[derive(Default)]
pub(crate) struct CachedSegments {
    ids: RefCell<BTreeSet<i64>>,
    /// The one that was added last: most rows go where the row before them went.
    last: Cell<Option<i64>>,
}

impl CachedSegments {
    pub(crate) fn add(&self, id: i64) {
        if self.last.replace(Some(id)) != Some(id) {
            self.ids.borrow_mut().insert(id);
        }
    }

    pub(crate) fn clear(&self) {
        self.ids.borrow_mut().clear();
        self.last.set(None);
    }
}
