//! Which rows that have left their store are still seen? Those that the record cache holds, as in Kafka Streams: its cache
//! knows nothing of retention, nor of what an LRU store forgets, so a row that was used through it is found until the
//! cache has no room for it.
//!
//! The overlay holds such rows while they live; here they are when their segment has expired, or they were least recently
//! used.
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::database::{KeyRange, RawRow, add_newer};

use super::overlay::row_bytes;

/// Rows that have gone, as the database would have them.
#[derive(Default)]
pub(super) struct Lingering {
    rows: BTreeMap<Box<[u8]>, Box<[u8]>>,
    bytes: usize,
    /// No row has a higher segment: those that are alive, which almost every look-up is for, are not looked up.
    last_segment: [u8; 8],
}

impl Lingering {
    /// Keeps a row; those with the lowest keys, the oldest where keys begin with a segment, leave if there are more than
    /// `budget_bytes`.
    pub(super) fn add(&mut self, key: &[u8], row: Box<[u8]>, budget_bytes: usize) {
        self.remove(key);
        if let Some(segment) = key.first_chunk::<8>() {
            self.last_segment = self.last_segment.max(*segment);
        }
        self.bytes += row_bytes(key, Some(&row));
        self.rows.insert(key.into(), row);
        while self.bytes > budget_bytes {
            let Some((key, row)) = self.rows.pop_first() else { break };
            self.bytes -= row_bytes(&key, Some(&row));
        }
    }

    fn may_have(&self, key: &[u8]) -> bool {
        !self.rows.is_empty()
            && key
                .first_chunk::<8>()
                .is_none_or(|segment| *segment <= self.last_segment)
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if !self.may_have(key) {
            return;
        }
        if let Some(row) = self.rows.remove(key) {
            self.bytes -= row_bytes(key, Some(&row));
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        if !self.may_have(key) {
            return None;
        }
        self.rows.get(key).map(AsRef::as_ref)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds what is here to a page of the database; the range is sound. Until a commit the database still has rows of
    /// segments that have gone.
    pub(super) fn join(&self, page: &mut Vec<RawRow>, range: KeyRange<'_>, reverse: bool, max_rows: usize) {
        if self.is_empty() {
            return;
        }
        let rows = self.rows.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>(range);
        let owned = |(key, row): (&_, &_)| (Box::clone(key), Box::clone(row));
        if reverse {
            add_newer(page, rows.rev().map(owned), reverse, max_rows);
        } else {
            add_newer(page, rows.map(owned), reverse, max_rows);
        }
    }

    /// The first eight bytes of the keys, each once, in order.
    pub(super) fn prefixes(&self) -> Vec<[u8; 8]> {
        let mut prefixes = Vec::new();
        let mut next = self.rows.first_key_value();
        while let Some((key, _)) = next {
            let Some(prefix) = key.first_chunk::<8>() else { break };
            prefixes.push(*prefix);
            let behind = u64::from_be_bytes(*prefix).saturating_add(1).to_be_bytes();
            next = self
                .rows
                .range::<[u8], _>((Bound::Included(&behind[..]), Bound::Unbounded))
                .next();
        }
        prefixes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_rows_make_room() {
        let mut lingering = Lingering::default();
        let cost = row_bytes(b"segment1a", Some(b"1"));
        for key in [b"segment2b", b"segment1a", b"segment2c"] {
            lingering.add(key, Box::new(*b"1"), 2 * cost);
        }
        assert_eq!(
            (lingering.get(b"segment1a"), lingering.prefixes()),
            (None, vec![*b"segment2"])
        );
        lingering.remove(b"segment2b");
        lingering.remove(b"segment2c");
        assert_eq!((lingering.is_empty(), lingering.bytes), (true, 0));
    }
}
