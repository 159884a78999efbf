//! Values by key, found by position: a hash table of positions, values side by side.
//!
//! Who writes a few rows of one group one after the other is answered by a comparison with the group that was asked for last.
use std::cell::Cell;

use hashbrown::HashTable;

use crate::keys::hash_of;
use crate::packed::Key;

pub(super) struct Keyed<T> {
    positions: HashTable<u32>,
    values: Vec<(Key, T)>,
    /// Where the last look-up ended.
    last: Cell<usize>,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self {
            positions: HashTable::new(),
            values: Vec::new(),
            last: Cell::new(0),
        }
    }
}

fn key_at<T>(values: &[(Key, T)], position: u32) -> &[u8] {
    values.get(position as usize).map_or(&[], |(key, _)| key)
}

impl<T> Keyed<T> {
    fn position(&self, key: &[u8]) -> Option<usize> {
        let last = self.last.get();
        if self.values.get(last).is_some_and(|(known, _)| **known == *key) {
            return Some(last);
        }
        let is_it = |position: &u32| key_at(&self.values, *position) == key;
        let found = *self.positions.find(hash_of(key), is_it)? as usize;
        self.last.set(found);
        Some(found)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&T> {
        self.values.get(self.position(key)?).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut T> {
        let position = self.position(key)?;
        self.values.get_mut(position).map(|(_, value)| value)
    }

    /// Adds a value; its key must not be there.
    pub(super) fn insert(&mut self, key: &[u8], value: T) {
        let position = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push((key.into(), value));
        self.last.set(position as usize);
        self.index(position);
    }

    fn index(&mut self, position: u32) {
        let values = &self.values;
        let hash_at = |position: &u32| hash_of(key_at(values, *position));
        self.positions.insert_unique(hash_at(&position), position, hash_at);
    }

    /// Keeps the values that `keep` wants. Memory goes back if few were there for it.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut T) -> bool) {
        let before = self.values.len();
        self.values.retain_mut(|(key, value)| keep(key, value));
        if self.values.len() == before {
            return;
        }
        if before < self.values.capacity() / 4 {
            self.values.shrink_to(before);
            self.positions = HashTable::new();
        }
        self.positions.clear();
        (0..)
            .zip(0..self.values.len())
            .for_each(|(position, _)| self.index(position));
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_behind_the_last_one_and_after_others_have_gone() {
        let mut values = Keyed::default();
        for (key, value) in [(&b"a"[..], 1), (b"b", 2), (b"c", 3)] {
            values.insert(key, value);
        }
        assert_eq!(
            (values.get(b"c"), values.get(b"a"), values.get(b"d")),
            (Some(&3), Some(&1), None)
        );
        // The last look-up ended at 0, where "b" is going to be.
        values.retain(|key, _| key != b"a");
        assert_eq!((values.get(b"a"), values.get(b"b"), values.len()), (None, Some(&2), 2));
        values.get_mut(b"c").into_iter().for_each(|value| *value = 4);
        assert_eq!((values.get(b"c"), values.is_empty()), (Some(&4), false));
    }

    #[test]
    fn memory_goes_back_when_few_values_came_between_two_sweeps() {
        let mut values = Keyed::default();
        (0..1_000_u32).for_each(|n| values.insert(&n.to_be_bytes(), ()));
        values.retain(|_, ()| false);
        values.insert(b"a", ());
        values.retain(|_, ()| false);
        assert!(values.values.capacity() < 100 && values.positions.capacity() < 100);
    }
}
