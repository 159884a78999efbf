//! Which windows or sessions, of whatever key, have a time in a range? Rows lie by their keys, so whoever emits windows when
//! they close would read whole segments each time for the few that have closed since.
//!
//! The index knows the rows of a segment from the first read of that segment on: that read scans it, every write keeps it up
//! to date. It looks ahead only: what is before the last range that was asked for is forgotten, so that it holds the
//! windows that are still open.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use smallvec::SmallVec;

use super::{Found, Table};
use crate::Result;
use crate::database::Database;
use crate::packed::Key;

const SEGMENT_BYTES: usize = 8;
const TIME_BYTES: usize = 8;
/// What a row takes in a tree.
const ROW_BYTES: usize = size_of::<Key>() * 3 / 2;
/// Rows that are read at once.
const PAGE_ROWS: usize = 1_024;

#[derive(Default)]
struct Segment {
    /// All rows from this time on are known.
    from: i64,
    /// Time, key, and what is behind the time in the row's key.
    rows: BTreeSet<Key>,
}

/// Rows by their times, of the segments that were asked for.
#[derive(Default)]
pub(super) struct ByTime {
    segments: BTreeMap<i64, Segment>,
}

/// Segment and entry of a row.
fn entry(key: &[u8], suffix_bytes: usize) -> Option<(i64, SmallVec<[u8; 64]>)> {
    let (segment, rest) = key.split_first_chunk::<SEGMENT_BYTES>()?;
    let (record_key, suffix) = rest.split_at_checked(rest.len().checked_sub(suffix_bytes)?)?;
    let (time, behind) = suffix.split_at_checked(TIME_BYTES)?;
    let mut entry = SmallVec::from_slice(time);
    entry.extend_from_slice(record_key);
    entry.extend_from_slice(behind);
    Some((i64::from_be_bytes(*segment), entry))
}

impl ByTime {
    /// A row has come into being or has gone.
    pub(super) fn changed(&mut self, key: &[u8], suffix_bytes: usize, present: bool) {
        if self.segments.is_empty() {
            return;
        }
        let Some((segment, entry)) = entry(key, suffix_bytes) else {
            return;
        };
        let Some(segment) = self.segments.get_mut(&segment) else {
            return;
        };
        if !present {
            segment.rows.remove(&*entry);
        } else if *entry >= segment.from.to_be_bytes()[..] {
            segment.rows.insert((&*entry).into());
        }
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments
            .values()
            .map(|segment| segment.rows.len() * ROW_BYTES)
            .sum()
    }
}

impl Table {
    /// Adds the rows of a segment whose time is in a range, in order of time. Nobody is going to ask for earlier ones.
    pub(crate) fn rows_by_time(
        &mut self,
        database: &dyn Database,
        segment: i64,
        (from, to): (i64, i64),
        found: &mut Vec<Found>,
    ) -> Result<()> {
        self.know_segment(database, segment, from)?;
        // Segments before it have been emitted.
        self.by_time.segments = self.by_time.segments.split_off(&segment);
        let behind = SEGMENT_BYTES + TIME_BYTES;
        let tail = self.groups.suffix_bytes().saturating_sub(TIME_BYTES);
        let Some(known) = self.by_time.segments.get_mut(&segment) else {
            return Ok(());
        };
        known.rows = known.rows.split_off(&from.to_be_bytes()[..]);
        known.from = from;
        let end = to.saturating_add(1).to_be_bytes();
        let range = (Bound::Unbounded, Bound::Excluded(&end[..]));
        let keys: Vec<Vec<u8>> = known
            .rows
            .range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>(range)
            .filter_map(|entry| {
                let (time, rest) = entry.split_at_checked(TIME_BYTES)?;
                let (record_key, last) = rest.split_at_checked(rest.len().checked_sub(tail)?)?;
                let mut key = Vec::with_capacity(behind + rest.len());
                key.extend_from_slice(&segment.to_be_bytes());
                [record_key, time, last]
                    .iter()
                    .for_each(|part| key.extend_from_slice(part));
                Some(key)
            })
            .collect();
        let mut value = Vec::new();
        for key in keys {
            found.extend(match self.overlay.position(&key) {
                Some(position) => self.overlay.found(position),
                None => self.read(database, &key, &mut value)?.map(|timestamp| Found {
                    key: key.as_slice().into(),
                    value: value.as_slice().into(),
                    timestamp,
                }),
            });
        }
        Ok(())
    }

    /// Reads the keys of a segment unless they are known.
    fn know_segment(&mut self, database: &dyn Database, segment: i64, from: i64) -> Result<()> {
        if self
            .by_time
            .segments
            .get(&segment)
            .is_some_and(|known| known.from <= from)
        {
            return Ok(());
        }
        let suffix_bytes = self.groups.suffix_bytes();
        let empty = Segment {
            from,
            rows: BTreeSet::new(),
        };
        let mut index = ByTime {
            segments: BTreeMap::from([(segment, empty)]),
        };
        let end = segment.saturating_add(1).to_be_bytes();
        let mut last = Bound::Included(segment.to_be_bytes().to_vec());
        loop {
            let lo = last.as_ref().map(Vec::as_slice);
            let page = self.page(database, (lo, Bound::Excluded(&end[..])), false, PAGE_ROWS)?;
            page.iter().for_each(|row| index.changed(&row.key, suffix_bytes, true));
            match page.last() {
                Some(row) => last = Bound::Excluded(row.key.to_vec()),
                None => break,
            }
        }
        self.by_time.segments.append(&mut index.segments);
        Ok(())
    }
}
