//! One store's rows: the overlay of what was written since the last commit, over what the database holds.
//!
//! After a commit the rows stay in the overlay as clean ones, within a budget, so that a hot key costs a hash look-up
//! and not a database read. Dirty rows are also kept in order from the first scan on; clean ones need not be, as the
//! database has them.
use std::collections::BTreeSet;
use std::ops::Bound;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::Result;
use crate::database::{BatchWriter, Database, KeyRange, RawRow, is_sound};

/// What an overlay row costs beside the bytes of key and value: slot, hash map share, list of dirty keys.
const ROW_OVERHEAD_BYTES: usize = 144;

/// A sweep goes below the budget by this part of it, so that not every commit has to sweep.
const SWEEP_PART: usize = 4;

#[derive(Debug)]
struct Slot {
    /// The same allocation as in the map.
    key: Rc<[u8]>,
    /// None: deleted, or known not to exist.
    value: Option<Vec<u8>>,
    timestamp: i64,
    dirty: bool,
    /// Used since the last sweep of clean rows.
    used: bool,
}

/// A row that a scan has found.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) key: Rc<[u8]>,
    pub(crate) value: Rc<[u8]>,
    pub(crate) timestamp: i64,
}

pub(crate) struct Table {
    family: usize,
    /// Rows begin with the 8 bytes of their timestamp.
    timestamped: bool,
    overlay: FxHashMap<Rc<[u8]>, Slot>,
    /// The dirty keys in order, once there was a scan.
    ordered: Option<BTreeSet<Rc<[u8]>>>,
    dirty: Vec<Rc<[u8]>>,
    dirty_bytes: usize,
    bytes: usize,
    clean_budget_bytes: usize,
}

impl Table {
    pub(crate) fn new(family: usize, timestamped: bool, clean_budget_bytes: usize) -> Self {
        Self {
            family,
            timestamped,
            overlay: FxHashMap::default(),
            ordered: None,
            dirty: Vec::new(),
            dirty_bytes: 0,
            bytes: 0,
            clean_budget_bytes,
        }
    }

    /// Copies the value into `out` (cleared first) and gives the timestamp, -1 in plain stores.
    pub(crate) fn get(&mut self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<Option<i64>> {
        if let Some(slot) = self.overlay.get_mut(key) {
            out.clear();
            slot.used = true;
            return Ok(slot.value.as_ref().map(|value| {
                out.extend_from_slice(value);
                slot.timestamp
            }));
        }
        let found = self.read(database, key, out)?;
        if self.bytes < self.clean_budget_bytes {
            let key: Rc<[u8]> = key.into();
            let slot = Slot {
                key: Rc::clone(&key),
                value: found.map(|_| out.clone()),
                timestamp: found.unwrap_or(-1),
                dirty: false,
                used: false,
            };
            self.bytes += size(&key, slot.value.as_deref());
            self.overlay.insert(key, slot);
        }
        Ok(found)
    }

    fn read(&self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<Option<i64>> {
        if !database.get(self.family, key, out)? {
            return Ok(None);
        }
        if !self.timestamped {
            return Ok(Some(-1));
        }
        let timestamp = out.first_chunk::<8>().map_or(-1, |time| i64::from_be_bytes(*time));
        out.drain(..out.len().min(8));
        Ok(Some(timestamp))
    }

    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) {
        let added = size(key, value);
        self.bytes += added;
        self.dirty_bytes += added;
        let Some(slot) = self.overlay.get_mut(key) else {
            let key: Rc<[u8]> = key.into();
            self.dirty.push(Rc::clone(&key));
            if let Some(ordered) = &mut self.ordered {
                ordered.insert(Rc::clone(&key));
            }
            let slot = Slot {
                key: Rc::clone(&key),
                value: value.map(<[u8]>::to_vec),
                timestamp,
                dirty: true,
                used: true,
            };
            self.overlay.insert(key, slot);
            return;
        };
        let replaced = size(key, slot.value.as_deref());
        self.bytes -= replaced;
        if slot.dirty {
            self.dirty_bytes -= replaced;
        } else {
            slot.dirty = true;
            self.dirty.push(Rc::clone(&slot.key));
            if let Some(ordered) = &mut self.ordered {
                ordered.insert(Rc::clone(&slot.key));
            }
        }
        slot.used = true;
        slot.timestamp = timestamp;
        match (&mut slot.value, value) {
            (Some(old), Some(new)) => {
                old.clear();
                old.extend_from_slice(new);
            }
            (old, new) => *old = new.map(<[u8]>::to_vec),
        }
    }

    /// At most `max_rows` rows of a range, in order or in reverse; empty only at the end of the range.
    pub(crate) fn page(
        &mut self,
        database: &dyn Database,
        range: KeyRange<'_>,
        reverse: bool,
        max_rows: usize,
    ) -> Result<Vec<Found>> {
        if !is_sound(range) {
            return Ok(Vec::new());
        }
        if self.ordered.is_none() {
            self.ordered = Some(self.dirty.iter().cloned().collect());
        }
        let mut lo: Bound<Box<[u8]>> = range.0.map(Into::into);
        let mut hi: Bound<Box<[u8]>> = range.1.map(Into::into);
        loop {
            let current = (lo.as_ref().map(|k| &**k), hi.as_ref().map(|k| &**k));
            if !is_sound(current) {
                return Ok(Vec::new());
            }
            let base = database.page(self.family, current, reverse, max_rows)?;
            let last = (base.len() == max_rows)
                .then(|| base.last().map(|(key, _)| key.clone()))
                .flatten();
            let rows = self.merge(base, current, last.as_deref(), reverse, max_rows);
            match last {
                // Everything on the page was deleted by the overlay: go on behind it.
                Some(last) if rows.is_empty() && reverse => hi = Bound::Excluded(last),
                Some(last) if rows.is_empty() => lo = Bound::Excluded(last),
                _ => return Ok(rows),
            }
        }
    }

    /// Rows of the database and of the overlay up to the key `last`, if there may be more behind it. What is beyond
    /// `max_rows` is left to the next page.
    fn merge(
        &self,
        base: Vec<RawRow>,
        range: KeyRange<'_>,
        last: Option<&[u8]>,
        reverse: bool,
        max_rows: usize,
    ) -> Vec<Found> {
        let mut rows = Vec::with_capacity(base.len());
        let range = match (last, reverse) {
            (None, _) => range,
            (Some(last), false) => (range.0, Bound::Included(last)),
            (Some(last), true) => (Bound::Included(last), range.1),
        };
        let empty = BTreeSet::new();
        let ordered = self.ordered.as_ref().unwrap_or(&empty);
        let mut keys = ordered.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>(range);
        let mut next_key = || if reverse { keys.next_back() } else { keys.next() };
        let mut key = next_key();
        let mut base = base.into_iter().peekable();
        while rows.len() < max_rows {
            let take_overlay = match (base.peek(), key) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some((b, _)), Some(k)) if **b == **k => {
                    base.next();
                    true
                }
                (Some((b, _)), Some(k)) => (**k < **b) != reverse,
            };
            if take_overlay {
                if let Some(found) = key.and_then(|key| self.overlaid(key)) {
                    rows.push(found);
                }
                key = next_key();
            } else if let Some((key, row)) = base.next() {
                rows.push(self.decode(&key, &row));
            }
        }
        rows
    }

    fn overlaid(&self, key: &Rc<[u8]>) -> Option<Found> {
        let slot = self.overlay.get(key)?;
        let value = slot.value.as_deref()?;
        Some(Found {
            key: Rc::clone(key),
            value: value.into(),
            timestamp: slot.timestamp,
        })
    }

    fn decode(&self, key: &[u8], row: &[u8]) -> Found {
        match row.split_first_chunk::<8>() {
            Some((time, value)) if self.timestamped => Found {
                key: key.into(),
                value: value.into(),
                timestamp: i64::from_be_bytes(*time),
            },
            _ => Found {
                key: key.into(),
                value: row.into(),
                timestamp: -1,
            },
        }
    }

    /// Writes the dirty rows in key order. They stay dirty until `committed`.
    pub(crate) fn write(&mut self, batch: &mut dyn BatchWriter) {
        self.dirty.sort_unstable();
        for key in &self.dirty {
            let Some(slot) = self.overlay.get(key) else { continue };
            match &slot.value {
                Some(value) if self.timestamped => batch.put(self.family, key, &slot.timestamp.to_be_bytes(), value),
                Some(value) => batch.put(self.family, key, &[], value),
                None => batch.delete(self.family, key),
            }
        }
    }

    /// The database has taken the dirty rows.
    pub(crate) fn committed(&mut self) {
        if let Some(ordered) = &mut self.ordered {
            ordered.clear();
        }
        for key in self.dirty.drain(..) {
            if let Some(slot) = self.overlay.get_mut(&key) {
                slot.dirty = false;
            }
        }
        self.dirty_bytes = 0;
        if self.bytes > self.clean_budget_bytes {
            self.sweep();
        }
    }

    /// Second chance: rows that were not used since the last sweep go first. Where all were used, some have to go
    /// nevertheless; which ones is left to the order of the map.
    fn sweep(&mut self) {
        let target = self.clean_budget_bytes - self.clean_budget_bytes / SWEEP_PART;
        let mut bytes = 0;
        self.overlay.retain(|key, slot| {
            let row = size(key, slot.value.as_deref());
            let keep = std::mem::take(&mut slot.used) && bytes + row <= target;
            bytes += if keep { row } else { 0 };
            keep
        });
        self.bytes = bytes;
    }

    /// Nothing was written since the last commit, and nothing is known about it.
    pub(crate) fn forget(&mut self) {
        self.overlay = FxHashMap::default();
        self.dirty.clear();
        self.dirty_bytes = 0;
        self.bytes = 0;
        if let Some(ordered) = &mut self.ordered {
            ordered.clear();
        }
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

fn size(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len() + value.map_or(0, <[u8]>::len) + ROW_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
