//! Which row of an LRU store was used least recently?
use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;

/// Who was used when.
#[derive(Default)]
pub(crate) struct Recency {
    clock: u64,
    turn_of: FxHashMap<Rc<[u8]>, u64>,
    by_turn: BTreeMap<u64, Rc<[u8]>>,
}

impl Recency {
    pub(crate) fn touch(&mut self, key: &[u8]) {
        self.clock += 1;
        let key = self.forget(key).unwrap_or_else(|| key.into());
        self.turn_of.insert(Rc::clone(&key), self.clock);
        self.by_turn.insert(self.clock, key);
    }

    pub(crate) fn forget(&mut self, key: &[u8]) -> Option<Rc<[u8]>> {
        let turn = self.turn_of.remove(key)?;
        self.by_turn.remove(&turn)
    }

    /// The row that has to go, if there are more than `max`.
    pub(crate) fn eldest_beyond(&self, max: usize) -> Option<Rc<[u8]>> {
        if self.by_turn.len() > max {
            self.by_turn.values().next().cloned()
        } else {
            None
        }
    }
}
