//! One store's rows: the overlay of what was written since the last commit, over what the database holds.
//!
//! After a commit the rows stay in the overlay as clean ones, within a budget, so that a hot key costs a hash look-up
//! and not a database read. A clean row is what the database has, so scans merge the database with the dirty rows
//! only; these are put in order by the first scan after a commit.
mod by_time;
mod groups;
mod lingering;
mod overlay;
mod waiting;

use std::collections::BTreeMap;
use std::rc::Rc;

use self::by_time::ByTime;
use self::groups::Groups;
pub(crate) use self::groups::{LendRow, Times};
use self::lingering::Lingering;
pub(crate) use self::overlay::commit_bytes;
use self::overlay::{Change, Overlay, Slot, row_bytes};
pub(crate) use self::waiting::Waiting;
use self::waiting::WaitingList;
use crate::database::{BatchWriter, Database, KeyRange};
use crate::packed::{Key, Value};
use crate::pages::{Base, Sources, page};
use crate::{Result, UpdateContext};

/// A row that a scan has found.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) key: Rc<[u8]>,
    pub(crate) value: Rc<[u8]>,
    pub(crate) timestamp: i64,
}

impl Found {
    /// A row without a timestamp.
    pub(crate) fn untimed(key: &[u8], value: &[u8]) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            timestamp: -1,
        }
    }
}

/// Dirty rows in the order of their keys, with their positions.
type Ordered = BTreeMap<Key, usize>;

pub(crate) struct Table {
    family: usize,
    /// Rows begin with the 8 bytes of their timestamp.
    timestamped: bool,
    overlay: Overlay,
    /// Positions of the dirty rows.
    dirty: Vec<usize>,
    /// From the first scan since the last commit on.
    ordered: Option<Ordered>,
    waiting: WaitingList,
    lingering: Lingering,
    groups: Groups,
    by_time: ByTime,
    dirty_bytes: usize,
    bytes: usize,
    clean_budget_bytes: usize,
}

impl Table {
    /// `suffix_bytes`: what row keys have behind the key of a record, of which ranges are read; 0: nothing.
    pub(crate) fn new(family: usize, timestamped: bool, suffix_bytes: usize, clean_budget_bytes: usize) -> Self {
        Self {
            family,
            timestamped,
            overlay: Overlay::default(),
            dirty: Vec::new(),
            ordered: None,
            waiting: WaitingList::default(),
            lingering: Lingering::default(),
            groups: Groups::new(suffix_bytes),
            by_time: ByTime::default(),
            dirty_bytes: 0,
            bytes: 0,
            clean_budget_bytes,
        }
    }

    /// That a key has no row is worth knowing, but not that a session or window has gone.
    fn forgets_what_has_gone(&self) -> bool {
        self.groups.suffix_bytes() > 0
    }

    /// Copies the value into `out` (cleared first) and gives the timestamp, -1 in plain stores.
    pub(crate) fn get(&mut self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<Option<i64>> {
        let hash = match self.overlay.look_up(key) {
            Ok(position) => return Ok(self.copy(position, out).or_else(|| self.copy_lingering(key, out))),
            Err(hash) => hash,
        };
        if let Some(time) = self.copy_lingering(key, out) {
            return Ok(Some(time));
        }
        let found = self.read(database, key, out)?;
        if self.bytes < self.clean_budget_bytes {
            self.insert_clean((key, hash), found.map(|time| (out.as_slice(), time)), found.is_none());
        }
        Ok(found)
    }

    fn copy(&mut self, position: usize, out: &mut Vec<u8>) -> Option<i64> {
        out.clear();
        let (_, slot) = self.overlay.slot_mut(position)?;
        slot.used = true;
        let value = slot.value.as_ref()?;
        out.extend_from_slice(value);
        Some(slot.timestamp)
    }

    fn copy_lingering(&self, key: &[u8], out: &mut Vec<u8>) -> Option<i64> {
        if self.lingering.is_empty() {
            return None;
        }
        out.clear();
        out.extend_from_slice(self.lingering.get(key)?);
        Some(self.split_timestamp(out))
    }

    /// `unstored`: the database is known to have no such row.
    fn insert_clean(&mut self, (key, hash): (&[u8], u64), found: Option<(&[u8], i64)>, unstored: bool) -> usize {
        let value = found.map(|(value, _)| value);
        self.bytes += row_bytes(key, value);
        let mut slot = Slot::clean(value.map(Value::from), found.map_or(-1, |(_, time)| time));
        slot.unstored = unstored;
        self.overlay.insert((key, hash), slot)
    }

    fn read(&self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<Option<i64>> {
        if !database.get(self.family, key, out)? {
            return Ok(None);
        }
        Ok(Some(self.split_timestamp(out)))
    }

    /// Takes the timestamp off a row as the database has it.
    fn split_timestamp(&self, row: &mut Vec<u8>) -> i64 {
        if !self.timestamped {
            return -1;
        }
        let timestamp = row.first_chunk::<8>().map_or(-1, |time| i64::from_be_bytes(*time));
        row.drain(..row.len().min(8));
        timestamp
    }

    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) {
        let seen = self.groups.seen(key);
        let position = match self.overlay.look_near(seen.position, key) {
            Ok(position) => position,
            // What the row was does not matter: it is written at once.
            Err(hash) => self.insert_clean((key, hash), None, seen.is_lacking),
        };
        self.write_row(position, value, timestamp);
        if value.is_none() {
            self.undo(position);
        }
    }

    /// As `put`, for a row that nobody is going to ask for soon: it leaves memory with the commit.
    pub(crate) fn put_away(&mut self, key: &[u8], value: &[u8]) {
        self.put(key, Some(value), -1);
        let position = self.overlay.position(key);
        if let Some((_, slot)) = position.and_then(|position| self.overlay.slot_mut(position))
            && slot.is_dirty()
        {
            slot.change = Change::Leaving;
        }
    }

    /// A row was deleted. If the database never had it, there is nothing to delete: a session that grows with each record
    /// would leave all its former ends behind.
    fn undo(&mut self, position: usize) {
        let forgets = self.forgets_what_has_gone();
        let Some((key, slot)) = self.overlay.slot_mut(position) else {
            return;
        };
        if !slot.unstored || !slot.is_dirty() || slot.waits_at().is_some() {
            return;
        }
        slot.change = Change::Undone;
        self.dirty_bytes -= row_bytes(key, None) + commit_bytes(key, None);
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(key);
        }
        if forgets && !slot.cached {
            self.bytes = self.bytes.saturating_sub(row_bytes(key, None));
            self.overlay.remove(position);
        }
    }

    /// As `put`, and the update waits in the record cache with the value the row had before.
    pub(crate) fn put_waiting(
        &mut self,
        database: &dyn Database,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: i64,
        context: &dyn UpdateContext,
    ) -> Result<()> {
        self.lingering.remove(key);
        let position = match self.overlay.look_up(key) {
            Ok(position) => position,
            Err(hash) => {
                let mut out = Vec::new();
                let found = self.read(database, key, &mut out)?;
                self.insert_clean((key, hash), found.map(|time| (out.as_slice(), time)), found.is_none())
            }
        };
        let Some((_, slot)) = self.overlay.slot_mut(position) else {
            return Ok(());
        };
        let new = value.map_or(0, <[u8]>::len);
        if let Some(waits_at) = slot.waits_at() {
            self.waiting.grow(new, slot.value().map_or(0, <[u8]>::len));
            self.waiting.renew(waits_at, context);
        } else {
            let old = slot.value.clone().map(|value| (value, slot.timestamp));
            let old_bytes = old.as_ref().map_or(0, |(value, _)| value.len());
            self.waiting
                .grow(2 * key.len() + old_bytes + new + size_of::<Waiting>(), 0);
            slot.wait_at(Some(self.waiting.add(position, old, context)));
        }
        slot.cached = true;
        self.write_row(position, value, timestamp);
        Ok(())
    }

    fn write_row(&mut self, position: usize, value: Option<&[u8]>, timestamp: i64) {
        let Some((key, slot)) = self.overlay.slot_mut(position) else {
            return;
        };
        let replaced = row_bytes(key, slot.value());
        let written = row_bytes(key, value);
        self.bytes = (self.bytes + written).saturating_sub(replaced);
        self.dirty_bytes += written + commit_bytes(key, value);
        if slot.is_dirty() {
            self.dirty_bytes -= replaced + commit_bytes(key, slot.value());
        } else {
            if slot.change == Change::None {
                self.dirty.push(position);
            }
            slot.change = Change::Dirty;
            if let Some(ordered) = &mut self.ordered {
                ordered.insert(key.into(), position);
            }
        }
        if slot.value.is_some() != value.is_some() {
            self.groups.changed(key, value.map(|_| position));
            self.by_time.changed(key, self.groups.suffix_bytes(), value.is_some());
        }
        slot.used = true;
        slot.timestamp = timestamp;
        slot.set(value);
    }

    /// Positions of the updates that wait, in the order of the last update of each row.
    pub(crate) fn waiting_order(&self) -> Vec<u32> {
        self.waiting.order()
    }

    /// This update waits no longer.
    pub(crate) fn take_waiting(&mut self, position: u32) -> Option<Waiting> {
        let update = self.waiting.take(position)?;
        if let Some((_, slot)) = self.overlay.slot_mut(update.row) {
            slot.wait_at(None);
        }
        Some(update)
    }

    fn slot(&self, key: &[u8]) -> Option<&Slot> {
        let position = self.overlay.position(key)?;
        self.overlay.slot(position).map(|(_, slot)| slot)
    }

    /// Whether Kafka Streams' record cache would hold the row: it does from its first use through the cache on.
    pub(crate) fn is_cached(&self, key: &[u8]) -> bool {
        self.slot(key).is_some_and(|slot| slot.cached) || self.lingering.get(key).is_some()
    }

    /// A row has left the record cache too late for its store: only the cache still has it.
    pub(crate) fn expire(&mut self, key: &[u8], budget_bytes: usize) {
        let row = self.slot(key).and_then(|slot| slot.row(self.timestamped));
        if let Some(row) = row {
            self.lingering.add(key, row, budget_bytes);
        }
        self.put(key, None, -1);
        // There is nothing to write, and nothing that hides what lingers.
        let Some((key, slot)) = self.overlay.position(key).and_then(|at| self.overlay.slot_mut(at)) else {
            return;
        };
        // It may have been undone already.
        if !slot.is_dirty() {
            return;
        }
        slot.change = Change::Undone;
        self.dirty_bytes -= row_bytes(key, None) + commit_bytes(key, None);
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(key);
        }
    }

    /// Segments that have gone and of which the record cache still has rows.
    pub(crate) fn lingering_segments(&self) -> Vec<i64> {
        self.lingering.prefixes().into_iter().map(i64::from_be_bytes).collect()
    }

    /// The store forgets the row, the record cache does not: an update that waits stays, and has no value before it; what
    /// the cache holds is still found.
    pub(crate) fn delete_beneath_cache(&mut self, key: &[u8], budget_bytes: usize) {
        let slot = self.slot(key);
        if let Some(waits_at) = slot.and_then(Slot::waits_at) {
            self.waiting.forget_old(waits_at);
            return;
        }
        let held = slot.filter(|slot| slot.cached);
        if let Some(row) = held.and_then(|slot| slot.row(self.timestamped)) {
            self.lingering.add(key, row, budget_bytes);
        }
        self.put(key, None, -1);
    }

    /// A row was read through the record cache, which holds it from now on. False: it did before.
    pub(crate) fn enter_cache(&mut self, key: &[u8]) -> bool {
        if self.is_cached(key) {
            return false;
        }
        if let Some((_, slot)) = self.overlay.position(key).and_then(|at| self.overlay.slot_mut(at)) {
            slot.cached = true;
        }
        true
    }

    pub(crate) fn waiting_is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting.bytes()
    }

    /// Copies key and value of an update's row as it is now; its timestamp.
    pub(crate) fn row_of(&mut self, update: &Waiting, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Option<i64> {
        key.clear();
        key.extend_from_slice(self.overlay.key(update.row));
        self.copy(update.row, value)
    }

    /// At most about `max_rows` rows of a range, in order or in reverse; empty only at the end of the range.
    pub(crate) fn page(
        &mut self,
        database: &dyn Database,
        range: KeyRange<'_>,
        reverse: bool,
        max_rows: usize,
    ) -> Result<Vec<Found>> {
        if self.ordered.is_none() {
            let row = |position: &usize| {
                let (key, slot) = self.overlay.slot(*position)?;
                slot.is_dirty().then(|| (key.into(), *position))
            };
            self.ordered = Some(self.dirty.iter().filter_map(row).collect());
        }
        let this = &*self;
        let empty = Ordered::new();
        let ordered = this.ordered.as_ref().unwrap_or(&empty);
        let sources = Sources {
            database: |range: KeyRange<'_>| {
                let mut rows = database.page(this.family, range, reverse, max_rows)?;
                this.lingering.join(&mut rows, range, reverse, max_rows);
                Ok(Base::of(rows, max_rows))
            },
            newer: |range: KeyRange<'_>| {
                let mut rows = ordered.range::<[u8], KeyRange<'_>>(range);
                std::iter::from_fn(move || {
                    let (key, position) = if reverse { rows.next_back()? } else { rows.next()? };
                    Some((&**key, *position))
                })
            },
            found: |position| this.overlay.found(position).or_else(|| this.found_lingering(position)),
            decode: |key: &[u8], row: &[u8]| this.decode(key, row),
        };
        page(range, reverse, max_rows, &sources)
    }

    /// A row that is deleted, but not in the record cache.
    fn found_lingering(&self, position: usize) -> Option<Found> {
        let key = self.overlay.key(position);
        Some(self.decode(key, self.lingering.get(key)?))
    }

    fn decode(&self, key: &[u8], row: &[u8]) -> Found {
        let (value, timestamp) = self.parts(row);
        Found {
            key: key.into(),
            value: value.into(),
            timestamp,
        }
    }

    /// Value and timestamp of a row as the database has it.
    fn parts<'r>(&self, row: &'r [u8]) -> (&'r [u8], i64) {
        match row.split_first_chunk::<8>() {
            Some((time, value)) if self.timestamped => (value, i64::from_be_bytes(*time)),
            _ => (row, -1),
        }
    }

    /// Writes the dirty rows without those below `expired`, in key order if that helps the database. They stay dirty until
    /// `committed`.
    pub(crate) fn write(&self, batch: &mut dyn BatchWriter, expired: Option<&[u8]>) {
        let overlay = &self.overlay;
        let end = expired.unwrap_or_default();
        let is_written = |position: &usize| {
            let row = overlay.slot(*position);
            row.is_some_and(|(key, slot)| slot.is_dirty() && key >= end)
        };
        let mut written: Vec<usize> = self.dirty.iter().copied().filter(is_written).collect();
        if batch.wants_order() {
            overlay.sort(&mut written);
        }
        for position in written {
            let Some((key, slot)) = overlay.slot(position) else {
                continue;
            };
            match slot.value() {
                Some(value) if self.timestamped => batch.put(self.family, key, &slot.timestamp.to_be_bytes(), value),
                Some(value) => batch.put(self.family, key, &[], value),
                None => batch.delete(self.family, key),
            }
        }
    }

    /// The database has taken the dirty rows; those below `expired` have gone.
    pub(crate) fn committed(&mut self, expired: Option<&[u8]>) {
        let forgets = self.forgets_what_has_gone();
        for position in self.dirty.drain(..) {
            let Some((key, slot)) = self.overlay.slot_mut(position) else {
                continue;
            };
            let gone = slot.value.is_none();
            let leaves = slot.change == Change::Leaving || gone && forgets && !slot.cached;
            if slot.is_dirty() {
                slot.unstored = gone;
            }
            slot.change = Change::None;
            if leaves && slot.waits_at().is_none() {
                self.bytes = self.bytes.saturating_sub(row_bytes(key, slot.value()));
                self.overlay.remove(position);
            }
        }
        self.overlay.listed_none();
        self.dirty_bytes = 0;
        self.ordered = None;
        let too_many = self.bytes + self.groups.bytes() > self.clean_budget_bytes;
        if self.by_time.bytes() > self.clean_budget_bytes {
            self.by_time.clear();
        }
        // Updates that wait know the positions of their rows, which must not move.
        if self.waiting.is_empty() && (expired.is_some() || too_many) {
            self.sweep(expired.unwrap_or_default());
        }
    }

    /// Second chance, when there are too many: rows that were not used since the last sweep go first, then the oldest.
    fn sweep(&mut self, expired: &[u8]) {
        let too_many = self.bytes + self.groups.bytes() > self.clean_budget_bytes;
        // A quarter is left free, so that the next commit need not sweep again.
        let budget = (self.clean_budget_bytes / 4 * 3).saturating_sub(self.groups.bytes());
        let mut excess = if too_many {
            self.overlay.used_bytes(expired).saturating_sub(budget)
        } else {
            0
        };
        let mut bytes = 0;
        let (lingering, groups, timestamped) = (&mut self.lingering, &mut self.groups, self.timestamped);
        self.overlay.retain(|key, slot| {
            if key < expired {
                if let Some(row) = slot.row(timestamped).filter(|_| slot.cached) {
                    lingering.add(key, row, self.clean_budget_bytes);
                }
                return false;
            }
            let cost = row_bytes(key, slot.value());
            let keep = !too_many || (std::mem::take(&mut slot.used) && excess == 0);
            if keep {
                bytes += cost;
            } else {
                excess = excess.saturating_sub(cost);
                groups.left(key);
            }
            keep
        });
        groups.sweep(expired);
        self.bytes = bytes;
    }

    /// Nothing was written since the last commit, and nothing is known about it.
    pub(crate) fn forget(&mut self) {
        self.overlay.clear();
        self.waiting.clear();
        self.lingering.clear();
        self.groups.clear();
        self.by_time.clear();
        self.dirty.clear();
        self.ordered = None;
        self.dirty_bytes = 0;
        self.bytes = 0;
    }

    /// The database has no rows whose keys begin with `prefix`, or with what is behind it; `None`: it may have any.
    pub(crate) fn set_new_from(&mut self, prefix: Option<[u8; 8]>) {
        self.groups.set_new_from(prefix);
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
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

#[cfg(test)]
mod tests;
