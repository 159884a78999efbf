//! Rows of stores in which no row replaces another: the records that wait for those of another stream.
//!
//! Nobody looks for one such row: it is read with the others of its key and leaves with its segment. So rows need no place
//! of their own in a hash table: those of a key lie side by side in each segment (`group.rs`), and one look-up finds
//! where a record belongs, or what it meets. As in a [`Table`](crate::table::Table), rows stay after a commit, within
//! a budget, so that they need not be read again; and of segments that have begun since the store was opened it is known
//! which keys the database has (`stored.rs`).
//!
//! The database has them in chunks (`chunk.rs`, `committed.rs`).
mod chunk;
mod committed;
mod group;
mod segment;
mod stored;

use std::collections::BTreeMap;
use std::ops::Bound;

use self::chunk::Chunk;
use self::committed::Committed;
use self::group::{At, Row, SUFFIX_BYTES};
use self::segment::{Known, Segment};
use crate::database::{BatchWriter, Database, KeyRange, RawRow};
use crate::keys::{Suffix, split};
use crate::packed::{Key, Value};
use crate::pages::{Sources, page};
use crate::segments::PREFIX_BYTES;
use crate::table::{Found, LendRow, Times, commit_bytes};
use crate::{Result, StoreKind, StoreSpec};

/// The rows of a store that only ever adds some.
pub(crate) struct Appended {
    committed: Committed,
    segments: BTreeMap<i64, Segment>,
    /// The dirty rows, from the first scan since the last commit on.
    ordered: Option<BTreeMap<Key, Value>>,
    /// The database has no rows of segments from here on; `None`: it may have any.
    new_from: Option<i64>,
    dirty_bytes: usize,
    bytes: usize,
    clean_budget_bytes: usize,
}

/// Segment and key of a group.
fn parts(group: &[u8]) -> Option<(i64, &[u8])> {
    let (segment, key) = group.split_first_chunk::<PREFIX_BYTES>()?;
    Some((i64::from_be_bytes(*segment), key))
}

fn row_key(group: &[u8], at: At) -> Vec<u8> {
    [group, &at.suffix()].concat()
}

impl Appended {
    /// `None`: such a store is another one.
    pub(crate) fn new(spec: &StoreSpec, family: usize, clean_budget_bytes: usize) -> Option<Self> {
        Some(Self {
            committed: Committed::of(spec, family)?,
            segments: BTreeMap::new(),
            ordered: None,
            new_from: None,
            dirty_bytes: 0,
            bytes: 0,
            clean_budget_bytes,
        })
    }

    /// The database has no rows of segments from this one on.
    pub(crate) fn set_new_from(&mut self, segment: i64) {
        self.new_from = Some(segment);
    }

    fn is_new(&self, segment: i64) -> bool {
        self.new_from.is_some_and(|from| segment >= from)
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        let Some((group, suffix)) = split(key, SUFFIX_BYTES) else {
            return;
        };
        let Some((id, record_key)) = parts(group) else { return };
        let is_new = self.is_new(id);
        let segment = self.segments.entry(id).or_insert_with(|| Segment::new(is_new));
        let added = segment.put(record_key, suffix.into(), value);
        self.bytes += added;
        self.dirty_bytes += added + commit_bytes(key, Some(value));
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(key.into(), value.into());
        }
    }

    /// Copies the value into `out` (cleared first); false: there is no such row.
    pub(crate) fn get(&self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let known = || {
            let (group, suffix) = split(key, SUFFIX_BYTES)?;
            let (id, record_key) = parts(group)?;
            self.segments.get(&id)?.group(record_key)?.get(suffix.into())
        };
        if let Some(value) = known() {
            out.clear();
            out.extend_from_slice(value);
            return Ok(true);
        }
        let range = (Bound::Included(key), Bound::Included(key));
        let found = self.committed.page(database, range, false, 1)?;
        let row = found.rows.first();
        if let Some((_, value)) = row {
            out.clear();
            out.extend_from_slice(value);
        }
        Ok(row.is_some())
    }

    /// The rows of a key in a segment at these times; nothing is behind `end`. `None`: there are too many to be kept in
    /// memory, they have to be scanned.
    pub(crate) fn of_group(
        &mut self,
        database: &dyn Database,
        (segment, key): (i64, &[u8]),
        end: Suffix,
        times: &Times,
        reverse: bool,
    ) -> Result<Option<Vec<Found>>> {
        let mut found = Vec::new();
        let add = &mut |row: &Row| {
            let row_key = [&segment.to_be_bytes()[..], key, &row.at.suffix()].concat();
            found.push(Found::untimed(&row_key, &row.value));
            true
        };
        let all = self.visit(database, (segment, key), end, times, reverse, add)?;
        Ok(all.then_some(found))
    }

    /// Lends the times and the values of the same rows to `f`, as long as it returns true. False: they have to be
    /// scanned.
    pub(crate) fn lend_group(
        &mut self,
        database: &dyn Database,
        group: (i64, &[u8]),
        end: Suffix,
        times: &Times,
        reverse: bool,
        f: LendRow<'_>,
    ) -> Result<bool> {
        self.visit(database, group, end, times, reverse, &mut |row| {
            f(row.at.times(), &row.value, -1)
        })
    }

    fn visit(
        &mut self,
        database: &dyn Database,
        (id, key): (i64, &[u8]),
        end: Suffix,
        (lo, hi): &Times,
        reverse: bool,
        f: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<bool> {
        let (lo, hi) = (At::from(*lo), At::from(*hi));
        let is_new = self.is_new(id);
        for may_learn in [true, false] {
            let known = match self.segments.get(&id) {
                Some(segment) => segment.known(key, lo),
                None if is_new => Known::Nothing,
                None => Known::TooLittle,
            };
            match known {
                Known::Nothing => return Ok(true),
                Known::Group(group) => {
                    let rows = group.rows(lo, hi);
                    if reverse {
                        let _ = rows.iter().rev().all(f);
                    } else {
                        let _ = rows.iter().all(f);
                    }
                    return Ok(true);
                }
                Known::TooLittle => {
                    if !may_learn || !self.learn(database, (id, key), lo, end.into())? {
                        break;
                    }
                }
            }
        }
        Ok(false)
    }

    /// Reads the rows of a group from a time on. False: there are too many.
    fn learn(&mut self, database: &dyn Database, (id, key): (i64, &[u8]), from: At, end: At) -> Result<bool> {
        let group = &[&id.to_be_bytes()[..], key].concat()[..];
        let segment = self.segments.entry(id).or_insert_with(|| Segment::new(false));
        let known_from = segment.group(key).map_or(At::NOWHERE, |group| group.from);
        let Some(rows) = self.committed.group(database, group, (from, end.min(known_from)))? else {
            return Ok(false);
        };
        self.bytes += segment.learn(key, from, rows);
        Ok(true)
    }

    /// About `max_rows` rows of a range, in order or in reverse; empty only at the end of the range.
    pub(crate) fn page(
        &mut self,
        database: &dyn Database,
        range: KeyRange<'_>,
        reverse: bool,
        max_rows: usize,
    ) -> Result<Vec<Found>> {
        let committed = &self.committed;
        let ordered = (self.ordered).get_or_insert_with(|| dirty_rows(&mut self.segments));
        let sources = Sources {
            database: |range: KeyRange<'_>| committed.page(database, range, reverse, max_rows),
            newer: |range: KeyRange<'_>| {
                let mut rows = ordered.range::<[u8], KeyRange<'_>>(range);
                std::iter::from_fn(move || {
                    let (key, value) = if reverse { rows.next_back()? } else { rows.next()? };
                    Some((&**key, (key, value)))
                })
            },
            found: |(key, value): (&Key, &Value)| Some(Found::untimed(key, value)),
            decode: Found::untimed,
        };
        page(range, reverse, max_rows, &sources)
    }

    /// Writes the dirty rows without those below `expired`, in key order if that helps the database. They stay dirty until
    /// `committed`.
    pub(crate) fn write(&mut self, batch: &mut dyn BatchWriter, expired: Option<&[u8]>) {
        let in_order = batch.wants_order();
        let first = first_kept(expired);
        let (family, chunks) = (self.committed.family(), self.committed.chunks());
        let mut chunk = Chunk::default();
        let put = &mut |key: &[u8], value: &[u8]| batch.put(family, key, &[], value);
        for (id, segment) in self.segments.range_mut(first..) {
            segment.each_dirty_group(*id, in_order, &mut |key, group| {
                chunks.pack(&mut chunk, key, group.dirty_rows(), put)
            });
        }
    }

    /// The database has taken the dirty rows; those below `expired` have gone.
    pub(crate) fn committed(&mut self, expired: Option<&[u8]>) {
        let first = first_kept(expired);
        if self.segments.first_key_value().is_some_and(|(id, _)| *id < first) {
            self.segments = self.segments.split_off(&first);
            self.count_bytes();
        }
        self.bytes += self.segments.values_mut().map(Segment::settle).sum::<usize>();
        self.ordered = None;
        self.dirty_bytes = 0;
        if self.bytes > self.clean_budget_bytes {
            self.sweep();
        }
    }

    /// There are too many rows: the earliest go.
    fn sweep(&mut self) {
        self.count_bytes();
        // A quarter is left free, so that the next commit need not sweep again.
        let budget = self.clean_budget_bytes / 4 * 3;
        for segment in self.segments.values_mut() {
            while self.bytes > budget {
                let before = segment.bytes();
                let more = segment.forget_half();
                self.bytes = (self.bytes + segment.bytes()).saturating_sub(before);
                if !more {
                    break;
                }
            }
        }
    }

    fn count_bytes(&mut self) {
        self.bytes = self.segments.values().map(Segment::bytes).sum();
    }

    /// Nothing was written since the last commit, and nothing is known about it.
    pub(crate) fn forget(&mut self) {
        self.segments.clear();
        self.ordered = None;
        self.dirty_bytes = 0;
        self.bytes = 0;
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.segments.values().any(Segment::is_dirty)
    }

    /// How many bytes of committed rows may stay.
    pub(crate) fn set_clean_budget(&mut self, bytes: usize) {
        self.clean_budget_bytes = bytes;
    }

    /// What the rows take that were written since the last commit, and what committing them will.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

/// The dirty rows in the order of their keys.
fn dirty_rows(segments: &mut BTreeMap<i64, Segment>) -> BTreeMap<Key, Value> {
    let mut rows = BTreeMap::new();
    for (id, segment) in segments {
        segment.each_dirty_group(*id, false, &mut |key, group| {
            let dirty = group.dirty_rows();
            rows.extend(dirty.map(|row| (Key::from(&row_key(key, row.at)[..]), row.value.clone())));
        });
    }
    rows
}

/// Whether stores of a kind are such.
pub(crate) fn suits(kind: &StoreKind) -> bool {
    matches!(
        kind,
        StoreKind::Window {
            retain_duplicates: true,
            timestamped: false,
            ..
        }
    )
}

/// Whether a key of the changelog is one that a row of such a store can have.
pub(crate) fn is_row(key: &[u8]) -> bool {
    split(key, SUFFIX_BYTES).is_some_and(|(_, end)| !chunk::is_chunk(end.into()))
}

/// All rows that rows of the database stand for, in the order of their keys.
///
/// # Errors
/// When one is malformed.
pub(crate) fn unpacked(spec: &StoreSpec, rows: Vec<RawRow>) -> Result<Vec<RawRow>> {
    let Some(committed) = Committed::of(spec, 0) else {
        return Ok(rows);
    };
    let mut unpacked = Vec::with_capacity(rows.len());
    for row in rows {
        committed.unpack_into(row, &mut unpacked)?;
    }
    unpacked.sort_unstable();
    Ok(unpacked)
}

/// The first segment that is not below `expired`.
fn first_kept(expired: Option<&[u8]>) -> i64 {
    expired.and_then(parts).map_or(i64::MIN, |(segment, _)| segment)
}

#[cfg(test)]
mod tests;
