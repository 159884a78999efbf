//! Rows in memory: where is the row of this key? One look-up answers it for a read and the write behind it.
//!
//! Rows are found by position: a hash table of positions, rows side by side, short keys and values inside them. Whoever
//! asks for the key that was asked for last is answered by a comparison. Positions hold until `retain` or `clear`; the
//! place of a row that is taken out goes to the next one that comes, so that sessions, which move with each record, stay
//! where the processor's cache has them.
use std::cell::Cell;

use hashbrown::HashTable;

use super::Found;
use crate::keys::{hash_of, sort_by_keys};
use crate::packed::{Key, Value};

/// What a row costs beside bytes that do not fit into it: the slot, and its share of the hash map and of the lists.
const ROW_BYTES: usize = size_of::<Row>() + 24;

const NOT_WAITING: u32 = u32::MAX;

/// Whether a row is to be written by the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// No: it is what the database has.
    None,
    /// Not any more, but its position is still in the list of dirty rows.
    Undone,
    /// Yes.
    Dirty,
    /// Yes, and then it need not be in memory any more.
    Leaving,
}

/// A row.
#[derive(Debug)]
pub(super) struct Slot {
    /// None: deleted, or known not to exist.
    pub(super) value: Option<Value>,
    pub(super) timestamp: i64,
    pub(super) change: Change,
    /// The database has no row of this key: one that goes before it was written need not be deleted there.
    pub(super) unstored: bool,
    /// Used since the last sweep of clean rows.
    pub(super) used: bool,
    /// Used through the record cache: Kafka Streams' cache would still hold it.
    pub(super) cached: bool,
    /// Position among the updates that wait in the record cache; `NOT_WAITING`: none. A row is as small as it can be.
    waits_at: u32,
}

impl Slot {
    pub(super) fn clean(value: Option<Value>, timestamp: i64) -> Self {
        Self {
            value,
            timestamp,
            change: Change::None,
            unstored: false,
            used: false,
            cached: false,
            waits_at: NOT_WAITING,
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        matches!(self.change, Change::Dirty | Change::Leaving)
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

/// Bytes of memory that a row takes.
pub(super) fn row_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    let value = value.map_or(0, <[u8]>::len);
    ROW_BYTES + Key::beside(key.len()) + Value::beside(value)
}

/// Bytes that committing a row takes on top: once in the batch, once in the memtable, with what either adds.
pub(crate) fn commit_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    2 * (key.len() + value.map_or(0, <[u8]>::len)) + 72
}

#[derive(Debug)]
struct Row {
    key: Key,
    /// None: the place is free.
    slot: Option<Slot>,
}

/// A place without a row.
#[derive(Debug)]
struct Free {
    position: u32,
    /// Its position is still in the list of dirty rows.
    listed: bool,
}

#[derive(Default)]
pub(super) struct Overlay {
    positions: HashTable<u32>,
    rows: Vec<Row>,
    free: Vec<Free>,
    /// Where the last look-up ended.
    last: Cell<usize>,
}

fn key_at(rows: &[Row], position: u32) -> &[u8] {
    rows.get(position as usize).map_or(&[], |row| &row.key)
}

impl Overlay {
    pub(super) fn position(&self, key: &[u8]) -> Option<usize> {
        self.look_up(key).ok()
    }

    /// The position of the row, or the hash that its key is to be inserted with.
    pub(super) fn look_up(&self, key: &[u8]) -> Result<usize, u64> {
        let last = self.last.get();
        if let Some(row) = self.rows.get(last)
            && row.slot.is_some()
            && *row.key == *key
        {
            return Ok(last);
        }
        let is_it = |position: &u32| key_at(&self.rows, *position) == key;
        let hash = hash_of(key);
        let found = *self.positions.find(hash, is_it).ok_or(hash)? as usize;
        self.last.set(found);
        Ok(found)
    }

    /// The same for whoever knows where the row was before rows went the last time.
    pub(super) fn look_near(&self, guess: u32, key: &[u8]) -> Result<usize, u64> {
        let guess = guess as usize;
        match self.rows.get(guess) {
            Some(row) if row.slot.is_some() && *row.key == *key => {
                self.last.set(guess);
                Ok(guess)
            }
            _ => self.look_up(key),
        }
    }

    /// Adds a row; its key must not be there, and has this hash.
    pub(super) fn insert(&mut self, (key, hash): (&[u8], u64), mut slot: Slot) -> usize {
        let free = self.free.pop();
        if free.as_ref().is_some_and(|free| free.listed) {
            slot.change = Change::Undone;
        }
        let next = || u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let position = free.map_or_else(next, |free| free.position);
        let row = Row {
            key: key.into(),
            slot: Some(slot),
        };
        match self.rows.get_mut(position as usize) {
            Some(place) => *place = row,
            None => self.rows.push(row),
        }
        let rows = &self.rows;
        self.positions
            .insert_unique(hash, position, |position| hash_of(key_at(rows, *position)));
        self.last.set(position as usize);
        position as usize
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, position: usize) {
        let Some(row) = self.rows.get_mut(position) else {
            return;
        };
        let Some(slot) = row.slot.take() else { return };
        let hash = hash_of(&row.key);
        if let Ok(entry) = self.positions.find_entry(hash, |found| *found as usize == position) {
            let listed = slot.change != Change::None;
            let (position, _) = entry.remove();
            self.free.push(Free { position, listed });
        }
    }

    /// The list of dirty rows is empty.
    pub(super) fn listed_none(&mut self) {
        self.free.iter_mut().for_each(|free| free.listed = false);
    }

    pub(super) fn slot(&self, position: usize) -> Option<(&[u8], &Slot)> {
        let row = self.rows.get(position)?;
        Some((&row.key, row.slot.as_ref()?))
    }

    pub(super) fn slot_mut(&mut self, position: usize) -> Option<(&[u8], &mut Slot)> {
        let row = self.rows.get_mut(position)?;
        Some((&row.key, row.slot.as_mut()?))
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

    /// Puts positions in the order of their keys.
    pub(super) fn sort(&self, positions: &mut [usize]) {
        sort_by_keys(positions, |position| self.key(position));
    }

    /// Bytes of the rows that were used since the last sweep and have not expired.
    pub(super) fn used_bytes(&self, expired: &[u8]) -> usize {
        let used = |row: &Row| {
            let slot = row.slot.as_ref().filter(|slot| slot.used && *row.key >= *expired)?;
            Some(row_bytes(&row.key, slot.value()))
        };
        self.rows.iter().filter_map(used).sum()
    }

    pub(super) fn key(&self, position: usize) -> &[u8] {
        self.slot(position).map_or(&[], |(key, _)| key)
    }

    /// Keeps the rows that `keep` wants. There will be as many again as there were, so memory goes back only if that was
    /// few for it.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut Slot) -> bool) {
        let before = self.rows.len();
        self.rows
            .retain_mut(|Row { key, slot }| slot.as_mut().is_some_and(|slot| keep(key, slot)));
        if before < self.rows.capacity() / 4 {
            self.rows.shrink_to(before);
        }
        self.free = Vec::new();
        self.positions.clear();
        let rows = &self.rows;
        let hash_at = |position: &u32| hash_of(key_at(rows, *position));
        if before < self.positions.capacity() / 4 {
            self.positions.shrink_to(before, hash_at);
        }
        for (position, row) in (0..).zip(rows) {
            self.positions.insert_unique(hash_of(&row.key), position, hash_at);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Overlay {
        fn add(&mut self, key: &[u8], slot: Slot) -> usize {
            self.insert((key, hash_of(key)), slot)
        }
    }

    #[test]
    fn a_row_is_found_behind_the_last_one_and_after_others_have_gone() {
        let mut overlay = Overlay::default();
        for key in [&b"a"[..], b"b", b"c"] {
            overlay.add(key, Slot::clean(Some(Value::from(key)), 1));
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
    fn the_next_row_gets_the_place_of_one_that_was_taken_out() {
        let mut overlay = Overlay::default();
        for key in [&b"a"[..], b"b"] {
            overlay.add(key, Slot::clean(Some(Value::from(key)), 1));
        }
        overlay.remove(0);
        overlay.remove(0);
        assert_eq!((overlay.position(b"a"), overlay.position(b"b")), (None, Some(1)));
        assert!(overlay.slot(0).is_none() && overlay.slot_mut(0).is_none());
        let slot = || Slot::clean(None, -1);
        assert_eq!((overlay.add(b"c", slot()), overlay.add(b"d", slot())), (0, 2));
        assert_eq!((overlay.position(b"c"), overlay.key(0)), (Some(0), &b"c"[..]));
        overlay.remove(1);
        overlay.retain(|_, _| true);
        assert_eq!((overlay.position(b"c"), overlay.position(b"d")), (Some(0), Some(1)));
        assert_eq!(overlay.add(b"e", slot()), 2);
    }

    #[test]
    fn memory_goes_back_when_few_rows_came_between_two_sweeps() {
        let mut overlay = Overlay::default();
        for n in 0..1_000_u32 {
            overlay.add(&n.to_be_bytes(), Slot::clean(None, -1));
        }
        overlay.retain(|_, _| false);
        assert!(overlay.rows.capacity() >= 1_000 && overlay.positions.capacity() >= 1_000);
        overlay.add(b"a", Slot::clean(None, -1));
        overlay.retain(|_, _| true);
        assert!(overlay.rows.capacity() < 100 && overlay.positions.capacity() < 100);
        assert_eq!(overlay.position(b"a"), Some(0));
    }

    #[test]
    fn long_keys_and_values_cost_more_than_short_ones() {
        assert!(size_of::<Row>() <= 80, "a row has grown");
        let short = row_bytes(b"key", Some(b"value"));
        assert_eq!(row_bytes(&[0; 38], Some(&[0; 22])), short);
        assert_eq!(row_bytes(&[0; 100], Some(&[0; 100])), short + 200);
    }
}
