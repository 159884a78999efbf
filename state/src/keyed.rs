//! Values by key, found by position: a hash table of positions, values side by side.
//!
//! Whoever asks for the key that was asked for last is answered by a comparison: a record reads a few rows of a group and then
//! writes some.
use std::cell::Cell;

use hashbrown::HashTable;

use crate::keys::hash_of;
use crate::packed::Key;

pub(crate) struct Keyed<T> {
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
    /// The position of a value, which holds until some go, or the hash that its key is to be inserted with.
    pub(crate) fn look_up(&self, key: &[u8]) -> Result<usize, u64> {
        let last = self.last.get();
        if self.values.get(last).is_some_and(|(known, _)| **known == *key) {
            return Ok(last);
        }
        let hash = hash_of(key);
        let is_it = |position: &u32| key_at(&self.values, *position) == key;
        let found = *self.positions.find(hash, is_it).ok_or(hash)? as usize;
        self.last.set(found);
        Ok(found)
    }

    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], &T)> {
        self.values.get(position).map(|(key, value)| (&**key, value))
    }

    pub(crate) fn at_mut(&mut self, position: usize) -> Option<&mut T> {
        self.values.get_mut(position).map(|(_, value)| value)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&T> {
        self.at(self.look_up(key).ok()?).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut T> {
        let position = self.look_up(key).ok()?;
        self.at_mut(position)
    }

    /// Keys and values by position.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.values.iter().map(|(key, value)| (&**key, value))
    }

    /// Adds a value, whose key must not be there and has this hash; its position.
    pub(crate) fn insert(&mut self, (key, hash): (&[u8], u64), value: T) -> usize {
        let position = self.values.len();
        self.values.push((key.into(), value));
        self.last.set(position);
        self.index(hash, position);
        position
    }

    /// Adds or replaces a value.
    pub(crate) fn put(&mut self, key: &[u8], value: T) {
        match self.get_mut(key) {
            Some(known) => *known = value,
            None => _ = self.insert((key, hash_of(key)), value),
        }
    }

    fn index(&mut self, hash: u64, position: usize) {
        let values = &self.values;
        let hash_at = |position: &u32| hash_of(key_at(values, *position));
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.positions.insert_unique(hash, position, hash_at);
    }

    /// Keeps the values that `keep` wants. There may be as many again as there were, so memory goes back only if that was few
    /// for it.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut T) -> bool) {
        let before = self.values.len();
        self.values.retain_mut(|(key, value)| keep(key, value));
        if self.values.len() == before {
            return;
        }
        if before < self.values.capacity() / 4 {
            self.values.shrink_to(before);
            self.positions = HashTable::new();
        }
        self.index_all();
    }

    fn index_all(&mut self) {
        self.positions.clear();
        for position in 0..self.values.len() {
            let hash = self.values.get(position).map_or(0, |(key, _)| hash_of(key));
            self.index(hash, position);
        }
    }

    /// There will not be many more: memory goes back.
    pub(crate) fn shrink(&mut self) {
        self.values.shrink_to(self.values.len() * 2);
        self.positions = HashTable::with_capacity(self.values.len());
        self.index_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
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
            values.put(key, value);
        }
        let found = [&b"c"[..], b"a", b"d"].map(|key| values.get(key));
        assert_eq!(found, [Some(&3), Some(&1), None]);
        // The last look-up ended at 0, where "b" is going to be.
        values.retain(|key, _| key != b"a");
        assert_eq!((values.get(b"a"), values.get(b"b"), values.len()), (None, Some(&2), 2));
        values.put(b"c", 4);
        assert_eq!((values.get(b"c"), values.is_empty()), (Some(&4), false));
    }

    #[test]
    fn a_value_is_found_by_position_after_memory_has_gone_back() {
        let mut values = Keyed::default();
        (0..1_000_u32).for_each(|n| values.put(&n.to_be_bytes(), n));
        values.retain(|_, value| *value % 100 == 7);
        values.shrink();
        assert!(values.values.capacity() < 100);
        let key = 207_u32.to_be_bytes();
        let position = values.look_up(&key).ok();
        let found = position.and_then(|position| values.at(position));
        assert_eq!(found, Some((&key[..], &207)));
        let all: Vec<u32> = values.iter().map(|(_, value)| *value).collect();
        assert_eq!(all, [7, 107, 207, 307, 407, 507, 607, 707, 807, 907]);
    }

    #[test]
    fn memory_goes_back_when_few_values_came_between_two_sweeps() {
        let mut values = Keyed::default();
        (0..1_000_u32).for_each(|n| values.put(&n.to_be_bytes(), ()));
        values.retain(|_, ()| false);
        values.put(b"a", ());
        values.retain(|_, ()| false);
        assert!(values.values.capacity() < 100 && values.positions.capacity() < 100);
    }
}
