//! Of which keys are all windows or sessions in memory? A read of them then needs no scan of the database.
//!
//! A row key ends with the times of its window or session; what is before them (segment and key) is the group. A group is
//! learned by the first read and kept up to date by every write. It is known from some time on: what is older may have left
//! memory. All its rows are in the overlay, so a row that leaves takes the times up to its own with it. From the first read of
//! any group on, groups that were not read yet list their dirty rows, so that learning one needs no order of all dirty rows.
use std::ops::Bound;

use smallvec::{SmallVec, smallvec};

use super::overlay::Slot;
use super::{Found, Table};
use crate::Result;
use crate::database::Database;
use crate::keyed::Keyed;
use crate::keys::{Suffix, place, split};
use crate::packed::Key;

/// Times of one group, both ends inclusive.
pub(crate) type Times = (Suffix, Suffix);

/// Takes both times of a row, value and timestamp; false: no more of them.
pub(crate) type LendRow<'a> = &'a mut dyn FnMut([i64; 2], &[u8], i64) -> bool;

/// Groups with more rows than that in the database are scanned each time.
const MAX_ROWS: usize = 1_024;
/// What a group takes beside its rows.
const GROUP_BYTES: usize = size_of::<(Key, Group)>() + 12;

/// A row of a group.
#[derive(Clone, Copy)]
struct Member {
    suffix: Suffix,
    /// Where it was in the overlay when it was looked for last.
    position: u32,
}

/// Where no row is.
const NOWHERE: u32 = u32::MAX;

impl Member {
    fn new(suffix: Suffix, position: usize) -> Self {
        let position = u32::try_from(position).unwrap_or(NOWHERE);
        Self { suffix, position }
    }

    fn suffix(&self) -> &Suffix {
        &self.suffix
    }
}

/// What is known of a row before it is looked for.
pub(super) struct Seen {
    /// Where it was.
    pub(super) position: u32,
    /// The database has no such row, if it is not in the overlay either.
    pub(super) is_lacking: bool,
}

struct Group {
    /// All rows from here on are known.
    from: Suffix,
    /// In order; those before `from` are dirty rows and leftovers. Few in most groups.
    rows: SmallVec<[Member; 2]>,
    /// Read since the last sweep.
    used: bool,
}

/// The groups of a table.
#[derive(Default)]
pub(super) struct Groups {
    /// Bytes of a row key behind its group; 0: there are no groups.
    suffix_bytes: usize,
    known: Keyed<Group>,
    rows: usize,
    /// Whether each row that the database does not have is in its group. Where nobody reads groups it would cost for
    /// nothing.
    complete: bool,
    /// The database has no rows of groups from here on; `None`: it may have any.
    new_from: Option<[u8; 8]>,
}

impl Groups {
    pub(super) fn new(suffix_bytes: usize) -> Self {
        Self {
            suffix_bytes,
            ..Self::default()
        }
    }

    /// The database has no rows of groups that begin with `prefix`, or behind it.
    pub(super) fn set_new_from(&mut self, prefix: Option<[u8; 8]>) {
        self.new_from = prefix;
    }

    fn is_new(&self, group: &[u8]) -> bool {
        self.new_from.is_some_and(|from| *group >= from[..])
    }

    /// Bytes of a row key behind its group; 0: rows are neither windows nor sessions.
    pub(super) fn suffix_bytes(&self) -> usize {
        self.suffix_bytes
    }

    /// What is known of a row.
    pub(super) fn seen(&self, key: &[u8]) -> Seen {
        let known = || {
            let (group, suffix) = split(key, self.suffix_bytes)?;
            Some((self.known.get(group)?, suffix))
        };
        let Some((group, suffix)) = (!self.known.is_empty()).then(known).flatten() else {
            return Seen {
                position: NOWHERE,
                is_lacking: false,
            };
        };
        let member = place(&group.rows, &suffix, Member::suffix).ok();
        let member = member.and_then(|at| group.rows.get(at));
        Seen {
            position: member.map_or(NOWHERE, |member| member.position),
            is_lacking: group.from <= suffix,
        }
    }

    /// A row has come into being at this position of the overlay, or has gone.
    pub(super) fn changed(&mut self, key: &[u8], position: Option<usize>) {
        if !self.complete {
            return;
        }
        let Some((group, suffix)) = split(key, self.suffix_bytes) else {
            return;
        };
        let found = self.known.look_up(group);
        let Some(known) = found.ok().and_then(|position| self.known.at_mut(position)) else {
            if let (Err(hash), Some(position)) = (found, position) {
                let from = if self.is_new(group) {
                    Suffix::FIRST
                } else {
                    Suffix::LAST
                };
                let rows = smallvec![Member::new(suffix, position)];
                let used = false;
                self.known.insert((group, hash), Group { from, rows, used });
                self.rows += 1;
            }
            return;
        };
        match (place(&known.rows, &suffix, Member::suffix), position) {
            (Err(at), Some(position)) => {
                known.rows.insert(at, Member::new(suffix, position));
                self.rows += 1;
            }
            (Ok(at), None) => {
                known.rows.remove(at);
                self.rows = self.rows.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// A row leaves memory.
    pub(super) fn left(&mut self, key: &[u8]) {
        if self.known.is_empty() {
            return;
        }
        let Some((group, suffix)) = split(key, self.suffix_bytes) else {
            return;
        };
        if let Some(group) = self.known.get_mut(group).filter(|group| group.from <= suffix) {
            group.from = suffix.next();
        }
    }

    /// Rows have left, and the database has all: groups that were not read since the last time go too, and those below
    /// `expired`.
    pub(super) fn sweep(&mut self, expired: &[u8]) {
        let mut rows = 0;
        self.known.retain(|key, group| {
            let keep = std::mem::take(&mut group.used) && key >= expired;
            if keep {
                let old = group.rows.partition_point(|row| row.suffix < group.from);
                group.rows.drain(..old);
                rows += group.rows.len();
            }
            keep
        });
        self.rows = rows;
    }

    pub(super) fn clear(&mut self) {
        let new_from = self.new_from;
        *self = Self::new(self.suffix_bytes);
        self.new_from = new_from;
    }

    pub(super) fn bytes(&self) -> usize {
        self.known.len() * GROUP_BYTES + self.rows * size_of::<Member>()
    }

    /// Rows of these times, if the group is known.
    fn find(&mut self, group: &[u8], (lo, hi): &Times) -> Option<SmallVec<[Member; 4]>> {
        let group = self.known.get_mut(group).filter(|group| group.from <= *lo)?;
        group.used = true;
        // Most reads are for the newest rows.
        let newest = group.rows.len().saturating_sub(8);
        let first = match group.rows.get(newest) {
            Some(row) if row.suffix < *lo => newest + group.rows.get(newest..)?.partition_point(|row| row.suffix < *lo),
            _ => group.rows.partition_point(|row| row.suffix < *lo),
        };
        let rows = group.rows.get(first..)?.iter().take_while(|row| row.suffix <= *hi);
        Some(rows.copied().collect())
    }
}

impl Table {
    /// The rows of a group (what row keys begin with) at these times; nothing may be put behind `end`. `None`: there are
    /// too many to be kept in memory, they have to be scanned.
    pub(crate) fn of_group(
        &mut self,
        database: &dyn Database,
        group: &[u8],
        times: &Times,
        end: Suffix,
        reverse: bool,
    ) -> Result<Option<Vec<Found>>> {
        let mut found = Vec::new();
        let mut add = |key: &[u8], _: Suffix, slot: &Slot| {
            let value = slot.value().unwrap_or_default().into();
            let (key, timestamp) = (key.into(), slot.timestamp);
            found.push(Found { key, value, timestamp });
            true
        };
        let all = self.visit_group(database, (group, end), times, reverse, &mut add)?;
        Ok(all.then_some(found))
    }

    /// Lends the times, the values and the timestamps of the same rows to `f`, as long as it returns true. False: they have to
    /// be scanned, and `f` may have heard of some of them.
    pub(crate) fn lend_group(
        &mut self,
        database: &dyn Database,
        (group, end): (&[u8], Suffix),
        times: &Times,
        reverse: bool,
        f: LendRow<'_>,
    ) -> Result<bool> {
        let suffix_bytes = self.groups.suffix_bytes;
        self.visit_group(database, (group, end), times, reverse, &mut |_, suffix, slot| {
            f(
                suffix.times(suffix_bytes),
                slot.value().unwrap_or_default(),
                slot.timestamp,
            )
        })
    }

    fn visit_group(
        &mut self,
        database: &dyn Database,
        (group, end): (&[u8], Suffix),
        times: &Times,
        reverse: bool,
        f: &mut dyn FnMut(&[u8], Suffix, &Slot) -> bool,
    ) -> Result<bool> {
        // What lingers is not in the overlay.
        if self.groups.suffix_bytes == 0 || !self.lingering.is_empty() {
            return Ok(false);
        }
        let known = match self.groups.find(group, times) {
            Some(rows) => rows,
            None if !self.learn(database, group, (times.0, end))? => return Ok(false),
            None => self.groups.find(group, times).unwrap_or_default(),
        };
        let mut key: SmallVec<[u8; 64]> = SmallVec::from_slice(group);
        let mut moved = false;
        let mut visit = |Member { suffix, position }: &Member| {
            key.truncate(group.len());
            key.extend_from_slice(suffix.bytes().get(..self.groups.suffix_bytes).unwrap_or_default());
            let found = self.overlay.look_near(*position, &key).ok()?;
            moved |= found != *position as usize;
            let (key, slot) = self.overlay.slot_mut(found)?;
            slot.used = true;
            slot.value.as_ref()?;
            Some(f(key, *suffix, slot))
        };
        for n in 0..known.len() {
            let n = if reverse { known.len() - 1 - n } else { n };
            match known.get(n).and_then(&mut visit) {
                None => return Ok(false),
                Some(false) => break,
                Some(true) => {}
            }
        }
        if moved {
            self.find_members(group);
        }
        Ok(true)
    }

    /// Rows have moved since they were looked for.
    fn find_members(&mut self, group: &[u8]) {
        let suffix_bytes = self.groups.suffix_bytes;
        let Some(known) = self.groups.known.get_mut(group) else {
            return;
        };
        for member in &mut known.rows {
            let key = row_key(group, suffix_bytes, member.suffix);
            let found = self.overlay.look_near(member.position, &key).ok();
            *member = Member::new(member.suffix, found.unwrap_or(usize::MAX));
        }
    }

    /// Reads a group into the overlay. False: it has too many rows.
    fn learn(&mut self, database: &dyn Database, group: &[u8], (from, end): Times) -> Result<bool> {
        let suffix_bytes = self.groups.suffix_bytes;
        let row_key = |suffix| row_key(group, suffix_bytes, suffix);
        let (lo, hi) = (row_key(from), row_key(end));
        if lo > hi {
            return Ok(true);
        }
        self.list_dirty_rows();
        let range = (Bound::Included(&lo[..]), Bound::Included(&hi[..]));
        let page = if self.groups.is_new(group) {
            Vec::new()
        } else {
            database.page_of_group(self.family, (group, suffix_bytes), range, MAX_ROWS)?
        };
        if page.len() >= MAX_ROWS {
            return Ok(false);
        }
        let known = self.groups.known.get_mut(group);
        let mut rows = known.map(|known| std::mem::take(&mut known.rows)).unwrap_or_default();
        self.groups.rows = self.groups.rows.saturating_sub(rows.len());
        // What has left memory comes from the database.
        rows.retain(|row| {
            row.suffix < from || self.slot(&row_key(row.suffix)).is_some_and(|slot| slot.value.is_some())
        });
        // Rows of longer keys may lie between.
        for (key, row) in page.iter().filter(|(key, _)| key.len() == lo.len()) {
            let Some((_, suffix)) = split(key, suffix_bytes) else {
                continue;
            };
            let position = match self.overlay.look_up(key) {
                Ok(position) if self.overlay.slot(position).is_none_or(|(_, slot)| slot.value.is_none()) => continue,
                Ok(position) => position,
                Err(hash) => {
                    let (value, timestamp) = self.parts(row);
                    self.insert_clean((key, hash), Some((value, timestamp)), false)
                }
            };
            if let Err(at) = place(&rows, &suffix, Member::suffix) {
                rows.insert(at, Member::new(suffix, position));
            }
        }
        self.groups.rows += rows.len();
        let learned = Group { from, rows, used: true };
        self.groups.known.put(group, learned);
        Ok(true)
    }

    /// From the first read of a group on, groups list the rows that the database does not have.
    fn list_dirty_rows(&mut self) {
        if self.groups.complete {
            return;
        }
        self.groups.complete = true;
        for position in &self.dirty {
            if let Some((key, slot)) = self.overlay.slot(*position)
                && slot.is_dirty()
                && slot.value.is_some()
            {
                self.groups.changed(key, Some(*position));
            }
        }
    }
}

fn row_key(group: &[u8], suffix_bytes: usize, suffix: Suffix) -> Vec<u8> {
    [group, suffix.bytes().get(..suffix_bytes).unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: u64) -> Vec<u8> {
        [&b"group"[..], &time.to_be_bytes(), &[0; 4]].concat()
    }

    fn suffix(time: u64) -> Suffix {
        Suffix::from_time(time.cast_signed())
    }

    fn times(groups: &mut Groups, from: u64, to: u64) -> Option<Vec<u64>> {
        let found = groups.find(b"group", &(suffix(from), suffix(to)))?;
        Some(found.iter().map(|row| row.suffix.time()).collect())
    }

    #[test]
    fn a_group_is_known_from_behind_the_last_row_that_left() {
        let mut groups = Groups::new(12);
        groups.changed(&row(1), Some(1));
        assert_eq!(groups.bytes(), 0, "nobody reads groups");
        groups.complete = true;
        groups.changed(&row(2), Some(2));
        assert_eq!(times(&mut groups, 0, 9), None, "nobody has read it");
        let (from, used) = (suffix(0), true);
        let rows = SmallVec::new();
        groups.known.put(b"group", Group { from, rows, used });
        groups.rows = 0;
        for time in [3, 1, 5, 4, 4] {
            groups.changed(&row(time), Some(7));
        }
        groups.changed(&row(4), None);
        assert_eq!(times(&mut groups, 2, 5), Some(vec![3, 5]));
        groups.left(&row(3));
        groups.sweep(b"");
        assert_eq!(
            (times(&mut groups, 3, 9), times(&mut groups, 4, 9)),
            (None, Some(vec![5]))
        );
        groups.changed(&row(2), Some(2));
        assert_eq!(groups.rows, 2, "a dirty row is listed whatever is known");
        groups.sweep(b"");
        groups.sweep(b"");
        assert_eq!(times(&mut groups, 4, 9), None, "nobody has read it for a while");
        assert_eq!(groups.bytes(), 0);
    }
}
