//! Where do committed rows live?
#[cfg(test)]
pub(crate) mod counting;
pub(crate) mod disk;
#[cfg(any(feature = "rocksdb", test))]
mod failure;
pub(crate) mod memory;
#[cfg(feature = "rocksdb")]
pub(crate) mod rocksdb;

use std::ops::Bound;
use std::sync::Arc;

use crate::Result;

/// A committed row as bytes.
pub(crate) type RawRow = (Box<[u8]>, Box<[u8]>);

/// A range of keys in unsigned byte order.
pub(crate) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What is known about the rows of a family: kept in the same batch as the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Changelog offset (next to read) the rows stand for.
    pub(crate) offset: Option<i64>,
    /// Highest time put into a windowed store; -1: nothing was put.
    pub(crate) observed: i64,
}

/// Of rows nothing is known about. Not the mark of an unlogged store whose windows all start at 0.
impl Default for Mark {
    fn default() -> Self {
        Self {
            offset: None,
            observed: -1,
        }
    }
}

/// Takes the content of one atomic batch.
pub(crate) trait BatchWriter {
    /// Writes the concatenation of `prefix` and `value`.
    fn put(&mut self, family: usize, key: &[u8], prefix: &[u8], value: &[u8]);
    fn delete(&mut self, family: usize, key: &[u8]);
    /// Deletes all keys below `end`.
    fn delete_below(&mut self, family: usize, end: &[u8]);
    fn mark(&mut self, family: usize, mark: Mark);
    /// Whether rows in the order of their keys are written faster.
    fn wants_order(&self) -> bool {
        false
    }
}

/// Gives somebody else the same rows to read. A reader knows no marks.
pub(crate) type MakeReader = Arc<dyn Fn() -> Box<dyn Database> + Send + Sync>;

/// The committed rows of one task: a family per store.
pub(crate) trait Database: Send {
    /// Copies a value into `out` (cleared first); false: no such row.
    fn get(&self, family: usize, key: &[u8], out: &mut Vec<u8>) -> Result<bool>;
    /// At most `max_rows` rows of a range, in order or in reverse.
    fn page(&self, family: usize, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<RawRow>>;
    /// The first rows of a range that begin with a group and are as long as it and so many bytes more; there may be others
    /// among them.
    fn page_of_group(
        &self,
        family: usize,
        _group: (&[u8], usize),
        range: KeyRange<'_>,
        max_rows: usize,
    ) -> Result<Vec<RawRow>> {
        self.page(family, range, false, max_rows)
    }
    fn approximate_count(&self, family: usize) -> Result<u64>;
    fn mark(&self, family: usize) -> Mark;
    /// Everything `fill` writes takes effect together, or nothing. A failure poisons the database.
    fn apply(&mut self, fill: &mut dyn FnMut(&mut dyn BatchWriter) -> Result<()>) -> Result<()>;
    /// Empties a family and forgets its mark.
    fn wipe(&mut self, family: usize) -> Result<()>;
    /// Makes everything durable.
    fn flush(&mut self) -> Result<()>;
    /// How others can read the rows while they are written; `None`: they cannot. Once there are readers, no family can be
    /// emptied.
    fn share(&self) -> Option<MakeReader> {
        None
    }
}

/// `BTreeMap::range` panics on bounds that exclude each other.
pub(crate) fn is_sound(range: KeyRange<'_>) -> bool {
    match range {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Included(a), Bound::Included(b)) => a <= b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a < b,
    }
}

/// Adds rows that are newer than those of a page of the database. Both are in order, or in reverse.
pub(crate) fn add_newer(page: &mut Vec<RawRow>, newer: impl Iterator<Item = RawRow>, reverse: bool, max_rows: usize) {
    let of_database = page.len();
    page.extend(newer.take(max_rows));
    if of_database == page.len() || of_database == 0 {
        return;
    }
    page.sort_by(|(a, _), (b, _)| if reverse { b.cmp(a) } else { a.cmp(b) });
    // Of two rows of a key the second is the newer one.
    page.dedup_by(|newer, older| {
        let same = newer.0 == older.0;
        if same {
            std::mem::swap(newer, older);
        }
        same
    });
    page.truncate(max_rows);
}
