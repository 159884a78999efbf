//! Which row of an LRU store was used least recently?
//!
//! The order belongs to the rows: it is kept beside them for as long as they live, is made by restoring them in the
//! order of the changelog, and goes back to where it was when a transaction is discarded.
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustc_hash::FxHashMap;

/// Who was used when.
#[derive(Default)]
pub(crate) struct Recency {
    clock: u64,
    turn_of: FxHashMap<Arc<[u8]>, u64>,
    by_turn: BTreeMap<u64, Arc<[u8]>>,
    /// The turns at the last commit of all keys that were used or forgotten since.
    before: FxHashMap<Arc<[u8]>, Option<u64>>,
}

impl Recency {
    pub(crate) fn touch(&mut self, key: &[u8]) {
        self.clock += 1;
        let clock = self.clock;
        let (key, turn) = self.take(key);
        self.turn_of.insert(Arc::clone(&key), clock);
        self.by_turn.insert(clock, Arc::clone(&key));
        self.before.entry(key).or_insert(turn);
    }

    pub(crate) fn forget(&mut self, key: &[u8]) {
        if let (key, Some(turn)) = self.take(key) {
            self.before.entry(key).or_insert(Some(turn));
        }
    }

    fn take(&mut self, key: &[u8]) -> (Arc<[u8]>, Option<u64>) {
        let turn = self.turn_of.remove(key);
        let known = turn.and_then(|turn| self.by_turn.remove(&turn));
        (known.unwrap_or_else(|| key.into()), turn)
    }

    /// Forgets the eldest if there are more than `max`: its row has to go.
    pub(crate) fn evict_beyond(&mut self, max: usize) -> Option<Arc<[u8]>> {
        if self.by_turn.len() <= max {
            return None;
        }
        let eldest = self.by_turn.values().next().cloned()?;
        self.forget(&eldest);
        Some(eldest)
    }

    pub(crate) fn committed(&mut self) {
        self.before.clear();
    }

    pub(crate) fn discard(&mut self) {
        for (key, turn) in std::mem::take(&mut self.before) {
            if let Entry::Occupied(now) = self.turn_of.entry(Arc::clone(&key)) {
                self.by_turn.remove(&now.remove());
            }
            if let Some(turn) = turn {
                self.turn_of.insert(Arc::clone(&key), turn);
                self.by_turn.insert(turn, key);
            }
        }
    }
}
