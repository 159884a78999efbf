//! How the history of a key lies in rows, and what a put does to them.
//!
//! - `0 ++ segment(8) ++ length of the key(4) ++ key ++ valid to(8)` is a version that has been superseded, filed in the
//!   segment of the end of its validity, so that a segment goes at once;
//! - `1 ++ key` is the newest version, or the deletion;
//! - `2 ++ segment(8) ++ key` is a note that the key was deleted in that segment: the deletion can go with it.
//!
//! The first two have `valid from(8) ++ 1 ++ value` or, deleted, `valid from(8) ++ 0`. A put in the order of time writes two
//! rows whatever the length of the history. The format is our own; the changelog is that of Kafka Streams.
use std::ops::Bound;
use std::rc::Rc;

use smallvec::SmallVec;

use super::{Retention, VALID_TO_UNDEFINED, VersionedRow};
use crate::database::Database;
use crate::keys::{sortable, sorted_time};
use crate::packed::Key;
use crate::table::Table;
use crate::{Result, StateError};

const SUPERSEDED: u8 = 0;
const NEWEST: u8 = 1;
const NOTE: u8 = 2;
/// Rows that are read at once.
const PAGE_ROWS: usize = 256;

/// Rows below this key are of older segments.
pub(super) fn segment_start(segment: i64) -> [u8; 9] {
    let mut start = [SUPERSEDED; 9];
    start[1..].copy_from_slice(&segment.to_be_bytes());
    start
}

pub(super) fn newest_key(key: &[u8]) -> Key {
    Key::of_both(&[NEWEST], key)
}

/// The row that reminds of a deleted key when a segment has expired.
pub(super) fn note_key(segment: i64, key: &[u8]) -> Vec<u8> {
    [&[NOTE], &segment.to_be_bytes()[..], key].concat()
}

/// The key in a note.
pub(super) fn noted(note: &[u8]) -> &[u8] {
    note.get(9..).unwrap_or_default()
}

fn superseded_key(segment: i64, key: &[u8], valid_to: i64) -> SmallVec<[u8; 64]> {
    // No key is longer than a message may be.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut row_key = SmallVec::from_slice(&segment_start(segment));
    row_key.extend_from_slice(&length);
    row_key.extend_from_slice(key);
    row_key.extend_from_slice(&sortable(valid_to));
    row_key
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version<'a> {
    pub(crate) from: i64,
    /// `None`: deleted.
    pub(crate) value: Option<&'a [u8]>,
}

impl<'a> Version<'a> {
    pub(crate) fn decode(row: &'a [u8]) -> Option<Self> {
        let (from, rest) = row.split_first_chunk::<8>()?;
        let (present, value) = rest.split_first()?;
        Some(Self {
            from: i64::from_be_bytes(*from),
            value: (*present == 1).then_some(value),
        })
    }

    pub(crate) fn encode(self, row: &mut Vec<u8>) {
        row.clear();
        row.extend_from_slice(&self.from.to_be_bytes());
        row.push(u8::from(self.value.is_some()));
        row.extend_from_slice(self.value.unwrap_or_default());
    }
}

/// A version that has been superseded.
pub(super) struct Superseded {
    to: i64,
    row: Rc<[u8]>,
}

/// The rows of a store.
pub(crate) struct Rows<'a> {
    pub(crate) store: &'a str,
    pub(crate) database: &'a dyn Database,
    pub(crate) table: &'a mut Table,
    pub(crate) retention: Retention,
}

impl Rows<'_> {
    fn decode<'r>(&self, row: &'r [u8]) -> Result<Version<'r>> {
        Version::decode(row).ok_or_else(|| StateError::MalformedRow {
            store: self.store.to_owned(),
        })
    }

    /// Reads the row of the newest version, or of the deletion.
    pub(super) fn newest<'r>(&mut self, key: &[u8], row: &'r mut Vec<u8>) -> Result<Option<Version<'r>>> {
        if self.table.get(self.database, &newest_key(key), row)?.is_none() {
            return Ok(None);
        }
        self.decode(row).map(Some)
    }

    /// Adds a version that is not older than the history, or replaces the one of the same time; gives the end of its
    /// validity. `row` is a buffer.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>, from: i64, row: &mut Vec<u8>) -> Result<i64> {
        let place = newest_key(key);
        let found = self.table.get(self.database, &place, row)?;
        let newest = found.map(|_| self.decode(row)).transpose()?;
        let replaces_value = newest.is_some_and(|newest| newest.from == from && newest.value.is_some());
        let newest = newest.map(|newest| newest.from);
        if value.is_none() && replaces_value && self.take_back(key, from, row)? {
            return Ok(VALID_TO_UNDEFINED);
        }
        match newest {
            Some(newest) if from < newest => return self.put_before(key, Version { from, value }, newest),
            Some(newest) if from > newest => self.supersede(key, from, row),
            _ => {}
        }
        Version { from, value }.encode(row);
        self.table.put(&place, Some(row), -1);
        if value.is_none() {
            self.table
                .put(&note_key(self.retention.segment(from), key), Some(&[]), -1);
        }
        Ok(VALID_TO_UNDEFINED)
    }

    /// The newest version is deleted at the very time from which it was valid. Unless it has superseded a value nothing is left that tells
    /// of this time, in Kafka Streams neither: then what was before it is the newest again. False: it has.
    fn take_back(&mut self, key: &[u8], from: i64, row: &mut Vec<u8>) -> Result<bool> {
        let before = superseded_key(self.retention.segment(from), key, from);
        let found = self.table.get(self.database, &before, row)?.is_some();
        if found && self.decode(row)?.value.is_some() {
            return Ok(false);
        }
        self.table.put(&newest_key(key), found.then_some(&**row), -1);
        if found {
            self.table.put(&before, None, -1);
        }
        Ok(true)
    }

    fn supersede(&mut self, key: &[u8], to: i64, row: &[u8]) {
        let place = superseded_key(self.retention.segment(to), key, to);
        self.table.put_away(&place, row);
    }

    /// A version came late.
    fn put_before(&mut self, key: &[u8], version: Version<'_>, newest: i64) -> Result<i64> {
        let to = match self.first_behind(key, version.from, newest, 0)? {
            // It is before everything that is known.
            None => newest,
            Some(Superseded { to, row }) => {
                let next = self.decode(&row)?.from;
                if next < version.from {
                    self.supersede(key, version.from, &row);
                }
                if next > version.from { next } else { to }
            }
        };
        let mut row = Vec::new();
        version.encode(&mut row);
        self.supersede(key, to, &row);
        Ok(to)
    }

    /// The first version whose validity ends behind a time. `newest`: when the newest begins.
    fn first_behind(&mut self, key: &[u8], time: i64, newest: i64, first_alive: i64) -> Result<Option<Superseded>> {
        let from = time.saturating_add(1);
        for segment in self.retention.segment(from).max(first_alive)..=self.retention.segment(newest) {
            if let Some(found) = self.page(key, segment, from, 1)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Versions of a key in a segment whose validity ends at `from` or later, earliest first.
    fn page(&mut self, key: &[u8], segment: i64, from: i64, max_rows: usize) -> Result<Vec<Superseded>> {
        let (lo, hi) = (
            superseded_key(segment, key, from),
            superseded_key(segment, key, i64::MAX),
        );
        let range = (Bound::Included(&lo[..]), Bound::Included(&hi[..]));
        let found = self.table.page(self.database, range, false, max_rows)?;
        let superseded = found.into_iter().filter_map(|found| {
            let to = found.key.last_chunk::<8>()?;
            Some(Superseded {
                to: sorted_time(*to),
                row: found.value,
            })
        });
        Ok(superseded.collect())
    }

    /// The version that was valid at a time, which is not older than the history.
    pub(super) fn at(&mut self, key: &[u8], time: i64, newest: i64, first_alive: i64) -> Result<Option<VersionedRow>> {
        match self.first_behind(key, time, newest, first_alive)? {
            Some(found) if self.decode(&found.row)?.from <= time => self.row(&found),
            _ => Ok(None),
        }
    }

    /// Versions that were valid between two times, both inclusive, but for the newest; earliest first.
    pub(super) fn between(
        &mut self,
        key: &[u8],
        (from, to): (i64, i64),
        newest: i64,
        first_alive: i64,
    ) -> Result<Vec<VersionedRow>> {
        let mut rows = Vec::new();
        let first = from.saturating_add(1);
        for segment in self.retention.segment(first).max(first_alive)..=self.retention.segment(newest) {
            let mut next = first;
            loop {
                let page = self.page(key, segment, next, PAGE_ROWS)?;
                for found in &page {
                    if self.decode(&found.row)?.from > to {
                        return Ok(rows);
                    }
                    rows.extend(self.row(found)?);
                }
                match page.last() {
                    Some(last) if page.len() >= PAGE_ROWS => next = last.to.saturating_add(1),
                    _ => break,
                }
            }
        }
        Ok(rows)
    }

    fn row(&self, found: &Superseded) -> Result<Option<VersionedRow>> {
        let version = self.decode(&found.row)?;
        Ok(version.value.map(|value| VersionedRow {
            value: value.into(),
            valid_from: version.from,
            valid_to: Some(found.to),
        }))
    }
}
