//! Reads what the database has: rows, and chunks of them (`chunk.rs`).
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::chunk::{self, Chunks};
use super::group::{At, SUFFIX_BYTES};
use super::row_key;
use crate::database::{Database, KeyRange, RawRow, is_sound};
use crate::packed::Value;
use crate::pages::Base;
use crate::{Result, StateError, StoreSpec};

/// Keys with more rows or chunks than that behind some time, in a segment of the database, are scanned each time.
const MAX_OF_GROUP: usize = 1_024;
/// That a page is read for, at the most.
const ROWS_FOR_EACH: usize = 8;

pub(super) struct Committed {
    family: usize,
    store: Arc<str>,
    chunks: Chunks,
}

impl Committed {
    pub(super) fn of(spec: &StoreSpec, family: usize) -> Option<Self> {
        Some(Self {
            family,
            store: spec.name.clone(),
            chunks: Chunks::of(spec)?,
        })
    }

    pub(super) fn family(&self) -> usize {
        self.family
    }

    pub(super) fn chunks(&self) -> Chunks {
        self.chunks
    }

    /// The rows of a group between two ends, in order, and perhaps some behind them. `None`: there are too many.
    pub(super) fn group(
        &self,
        database: &dyn Database,
        group: &[u8],
        (from, to): (At, At),
    ) -> Result<Option<Vec<(At, Value)>>> {
        let (lo, hi) = (row_key(group, from), row_key(group, self.chunks.reach_in_group(to)));
        let range = (Bound::Included(&lo[..]), Bound::Included(&hi[..]));
        let page = database.page_of_group(self.family, (group, SUFFIX_BYTES), range, MAX_OF_GROUP)?;
        if page.len() >= MAX_OF_GROUP {
            return Ok(None);
        }
        let mut rows = Vec::with_capacity(page.len());
        let add = &mut |at: At, value: &[u8]| {
            if at >= from {
                rows.push((at, value.into()));
            }
        };
        // Rows of longer keys may lie between.
        for (key, value) in page.iter().filter(|(key, _)| key.len() == lo.len()) {
            chunk::unpack(key, value, add).ok_or_else(|| self.malformed())?;
        }
        rows.sort_unstable_by_key(|(at, _)| *at);
        Ok(Some(rows))
    }

    /// Rows from one end of a range on, in order or in reverse.
    pub(super) fn page(
        &self,
        database: &dyn Database,
        range: KeyRange<'_>,
        reverse: bool,
        max_rows: usize,
    ) -> Result<Base> {
        let max_rows = max_rows.div_ceil(ROWS_FOR_EACH);
        let mut page = database.page(self.family, range, reverse, max_rows)?;
        let last = page.last().filter(|_| page.len() == max_rows);
        let passed = last.map(|(key, _)| key.clone());
        let read = match (passed.as_deref(), reverse) {
            (None, _) => range,
            (Some(last), false) => (range.0, Bound::Included(last)),
            (Some(last), true) => (Bound::Included(last), range.1),
        };
        page.extend(self.chunks_behind(database, read.1)?);
        let mut rows = Vec::with_capacity(page.len());
        for (key, value) in page {
            self.unpack_into((key, value), &mut rows)?;
        }
        rows.retain(|(key, _)| read.contains::<[u8]>(key));
        rows.sort_unstable_by(|(a, _), (b, _)| if reverse { b.cmp(a) } else { a.cmp(b) });
        Ok(Base { rows, passed })
    }

    /// The chunks behind the end of a range that may have rows of it.
    fn chunks_behind(&self, database: &dyn Database, end: Bound<&[u8]>) -> Result<Vec<RawRow>> {
        let (behind, end) = match end {
            Bound::Unbounded => return Ok(Vec::new()),
            Bound::Included(end) => (Bound::Excluded(end), end),
            Bound::Excluded(end) => (Bound::Included(end), end),
        };
        let reach = self.chunks.reach(end);
        let range = (behind, Bound::Included(&reach[..]));
        if !is_sound(range) {
            return Ok(Vec::new());
        }
        database.page(self.family, range, false, usize::MAX)
    }

    pub(super) fn unpack_into(&self, (key, value): RawRow, rows: &mut Vec<RawRow>) -> Result<()> {
        let Some((group, end)) = key.split_last_chunk::<SUFFIX_BYTES>() else {
            return Err(self.malformed());
        };
        if !chunk::is_chunk(At::of(end)) {
            rows.push((key, value));
            return Ok(());
        }
        let add = &mut |at: At, value: &[u8]| rows.push((row_key(group, at).into(), value.into()));
        chunk::unpack(&key, &value, add).ok_or_else(|| self.malformed())
    }

    fn malformed(&self) -> StateError {
        let store = self.store.to_string();
        StateError::MalformedRow { store }
    }
}
