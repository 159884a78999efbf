//! Rows in memory: where is the row of this key? One look-up answers it for a read and the write behind it.
//!
//! Rows are found by position: a hash map of the keys, slots side by side, short keys and values inside them. Whoever
//! asks for the key that was asked for last is answered by a comparison. Positions hold until `retain` or `clear`.
use std::cell::Cell;
use std::hash::BuildHasherDefault;

use indexmap::IndexMap;
use rustc_hash::FxHasher;

use super::Found;
use crate::packed::{Key, Packed, Value};

/// What a row costs beside bytes that do not fit into it: the slot, and its share of the hash map and of the lists.
const ROW_BYTES: usize = size_of::<(usize, Key, Slot)>() + 24;

const NOT_WAITING: u32 = u32::MAX;

/// A row.
#[derive(Debug)]
pub(super) struct Slot {
    /// None: deleted, or known not to exist.
    pub(super) value: Option<Value>,
    pub(super) timestamp: i64,
    /// Not in the database yet.
    pub(super) dirty: bool,
    /// Used since the last sweep of clean rows.
    pub(super) used: bool,
    /// Written through the record cache: Kafka Streams' cache would still hold it.
    pub(super) cached: bool,
    /// Position among the updates that wait in the record cache; `NOT_WAITING`: none. A row is as small as it can be.
    waits_at: u32,
}

impl Slot {
    pub(super) fn clean(value: Option<Value>, timestamp: i64) -> Self {
        Self {
            value,
            timestamp,
            dirty: false,
            used: false,
            cached: false,
            waits_at: NOT_WAITING,
        }
    }

    pub(super) fn waits_at(&self) -> Option<u32> {
        (self.waits_at != NOT_WAITING).then_some(self.waits_at)
    }

    pub(super) fn wait_at(&mut self, position: Option<u32>) {
        self.waits_at = position.unwrap_or(NOT_WAITING);
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// As the database has it.
    pub(super) fn row(&self, timestamped: bool) -> Option<Box<[u8]>> {
        let value = self.value()?;
        Some(if timestamped {
            [&self.timestamp.to_be_bytes(), value].concat().into()
        } else {
            value.into()
        })
    }

    pub(super) fn set(&mut self, value: Option<&[u8]>) {
        match (&mut self.value, value) {
            (Some(old), Some(new)) => old.set(new),
            (old, new) => *old = new.map(Value::from),
        }
    }
}

fn beside<const N: usize>(length: usize) -> usize {
    if Packed::<N>::fits(length) { 0 } else { length }
}

/// Bytes of memory that a row takes.
pub(super) fn row_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    let value = value.map_or(0, <[u8]>::len);
    ROW_BYTES + beside::<38>(key.len()) + beside::<22>(value)
}

/// Bytes that committing a row takes on top: once in the batch, once in the memtable, with what either adds.
pub(super) fn commit_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    2 * (key.len() + value.map_or(0, <[u8]>::len)) + 72
}

#[derive(Default)]
pub(super) struct Overlay {
    rows: IndexMap<Key, Slot, BuildHasherDefault<FxHasher>>,
    /// Where the last look-up ended.
    last: Cell<usize>,
}

impl Overlay {
    pub(super) fn position(&self, key: &[u8]) -> Option<usize> {
        let last = self.last.get();
        if let Some((known, _)) = self.rows.get_index(last)
            && **known == *key
        {
            return Some(last);
        }
        let found = self.rows.get_index_of(key)?;
        self.last.set(found);
        Some(found)
    }

    /// Adds a row; its key must not be there.
    pub(super) fn insert(&mut self, key: &[u8], slot: Slot) -> usize {
        let (position, _) = self.rows.insert_full(key.into(), slot);
        self.last.set(position);
        position
    }

    pub(super) fn slot(&self, position: usize) -> Option<(&[u8], &Slot)> {
        self.rows.get_index(position).map(|(key, slot)| (&**key, slot))
    }

    pub(super) fn slot_mut(&mut self, position: usize) -> Option<(&[u8], &mut Slot)> {
        self.rows.get_index_mut(position).map(|(key, slot)| (&**key, slot))
    }

    /// As a scan gives it; `None`: it is deleted.
    pub(super) fn found(&self, position: usize) -> Option<Found> {
        let (key, slot) = self.slot(position)?;
        Some(Found {
            key: key.into(),
            value: slot.value()?.into(),
            timestamp: slot.timestamp,
        })
    }

    /// Puts positions in the order of their keys. Most comparisons are between numbers.
    pub(super) fn sort(&self, positions: &mut [usize]) {
        let Some(first) = positions.first().map(|position| self.key(*position)) else {
            return;
        };
        let common = |shared: usize, position: &usize| {
            let pairs = first.iter().zip(self.key(*position)).take(shared);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let shared = positions.iter().fold(first.len(), common);
        let start = |position: &usize| {
            let mut start = [0; 8];
            let key = self.key(*position).get(shared..).unwrap_or_default();
            start.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            (u64::from_be_bytes(start), *position)
        };
        let mut order: Vec<(u64, usize)> = positions.iter().map(start).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.key(a.1).cmp(self.key(b.1))));
        positions.iter_mut().zip(order).for_each(|(to, (_, from))| *to = from);
    }

    /// Bytes of the rows that were used since the last sweep and have not expired.
    pub(super) fn used_bytes(&self, expired: &[u8]) -> usize {
        let used = self.rows.iter().filter(|(key, slot)| slot.used && ***key >= *expired);
        used.map(|(key, slot)| row_bytes(key, slot.value())).sum()
    }

    pub(super) fn key(&self, position: usize) -> &[u8] {
        self.slot(position).map_or(&[], |(key, _)| key)
    }

    /// Keeps the rows that `keep` wants. Gives memory back when few are left.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut Slot) -> bool) {
        self.rows.retain(|key, slot| keep(key, slot));
        if self.rows.len() < self.rows.capacity() / 4 {
            self.rows.shrink_to_fit();
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows = IndexMap::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_behind_the_last_one_and_after_others_have_gone() {
        let mut overlay = Overlay::default();
        for key in [&b"a"[..], b"b", b"c"] {
            overlay.insert(key, Slot::clean(Some(Value::from(key)), 1));
        }
        assert_eq!(overlay.position(b"c"), Some(2));
        assert_eq!(overlay.position(b"a"), Some(0));
        overlay.retain(|key, _| key != b"a");
        // The last look-up ended at 0, where "b" is now.
        assert_eq!(overlay.position(b"a"), None);
        assert_eq!(overlay.position(b"b"), Some(0));
        assert_eq!(overlay.key(1), b"c");
        overlay.clear();
        assert_eq!(overlay.position(b"b"), None);
    }

    #[test]
    fn long_keys_and_values_cost_more_than_short_ones() {
        assert!(size_of::<(usize, Key, Slot)>() <= 88, "a row has grown");
        let short = row_bytes(b"key", Some(b"value"));
        assert_eq!(row_bytes(&[0; 38], Some(&[0; 22])), short);
        assert_eq!(row_bytes(&[0; 100], Some(&[0; 100])), short + 200);
    }
}
