//! Rows of stores through which time passes: keys begin with a time, and most rows go before a commit has written them. So are
//! records that wait for a partner, or for a table to catch up.
//!
//! Rows lie in the order of their keys, which is that of leaving, and of a row that the database never had nothing
//! remains when it goes. As in a [`Table`](crate::table::Table), rows stay after a commit, within a budget: the latest
//! ones, so that the database is asked only for those before them (`stored.rs`).
mod place;
mod rows;
mod stored;

use std::ops::Bound;

use self::place::Place;
use self::rows::{At, Rows};
use self::stored::Stored;
use crate::database::{BatchWriter, Database, KeyRange};
use crate::packed::{Key, Value};
use crate::pages::{Base, Sources, page};
use crate::row_list::RowList;
use crate::table::{Found, commit_bytes};
use crate::{Result, StoreKind};

struct Row {
    /// None: deleted, and the database has to hear of it.
    value: Option<Value>,
    /// The next commit has to write it.
    dirty: bool,
    /// The database may have a row of this key.
    stored: bool,
}

/// What a row takes, with as much room for others as it may have beside it.
const ROW_BYTES: usize = size_of::<(Place, Option<Row>)>() * 3 / 2;

fn row_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    ROW_BYTES + Key::beside(key.len()) + Value::beside(value.map_or(0, <[u8]>::len))
}

fn dirty_row_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    row_bytes(key, value) + commit_bytes(key, value)
}

/// The rows of a store that come and go with time.
pub(crate) struct Passing {
    family: usize,
    rows: Rows,
    stored: Stored,
    dirty: usize,
    dirty_bytes: usize,
    bytes: usize,
    clean_budget_bytes: usize,
}

impl Passing {
    /// Whether such a store is one.
    pub(crate) fn suits(kind: &StoreKind) -> bool {
        matches!(kind, StoreKind::Raw | StoreKind::RecordBuffer)
    }

    pub(crate) fn new(family: usize, clean_budget_bytes: usize) -> Self {
        Self {
            family,
            rows: Rows::default(),
            stored: Stored::default(),
            dirty: 0,
            dirty_bytes: 0,
            bytes: 0,
            clean_budget_bytes,
        }
    }

    /// Writes a row, or deletes it.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        match self.rows.find(key) {
            Some(at) => self.replace(at, key, value),
            None => self.insert(key, value),
        }
    }

    fn insert(&mut self, key: &[u8], value: Option<&[u8]>) {
        let place = Place::of(key);
        let stored = !self.stored.lacks_from(&place);
        if value.is_none() && !stored {
            return;
        }
        let row = Row {
            value: value.map(Value::from),
            dirty: true,
            stored,
        };
        self.rows.insert(place, row);
        self.dirty += 1;
        self.bytes += row_bytes(key, value);
        self.dirty_bytes += dirty_row_bytes(key, value);
    }

    fn replace(&mut self, at: At, key: &[u8], value: Option<&[u8]>) {
        let Some(row) = self.rows.get_mut(at, key) else { return };
        let before = row.value.as_deref();
        self.bytes -= row_bytes(key, before);
        if row.dirty {
            self.dirty_bytes -= dirty_row_bytes(key, before);
            self.dirty -= 1;
        }
        if value.is_none() && !row.stored {
            self.rows.remove(at, key);
            return;
        }
        row.value = value.map(Value::from);
        row.dirty = true;
        self.dirty += 1;
        self.bytes += row_bytes(key, value);
        self.dirty_bytes += dirty_row_bytes(key, value);
    }

    /// Copies the value into `out` (cleared first); false: there is no such row.
    pub(crate) fn get(&mut self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.stored.learn(database, self.family)?;
        if let Some(row) = self.rows.find(key).and_then(|at| self.rows.get(at, key)) {
            out.clear();
            out.extend_from_slice(row.value.as_deref().unwrap_or_default());
            return Ok(row.value.is_some());
        }
        if self.stored.lacks_from(&Place::of(key)) {
            return Ok(false);
        }
        database.get(self.family, key, out)
    }

    /// Whether everything from a bound on is in memory.
    fn has_all_from(&self, lo: Bound<&[u8]>) -> bool {
        match lo {
            Bound::Included(lo) | Bound::Excluded(lo) => self.stored.lacks_from(&Place::of(lo)),
            Bound::Unbounded => matches!(self.stored, Stored::UpTo(None)),
        }
    }

    /// At most about `max_rows` rows of a range, in order or in reverse; empty only at the end of the range.
    pub(crate) fn page(
        &mut self,
        database: &dyn Database,
        range: KeyRange<'_>,
        reverse: bool,
        max_rows: usize,
    ) -> Result<Vec<Found>> {
        self.stored.learn(database, self.family)?;
        let this = &*self;
        let sources = Sources {
            database: |range: KeyRange<'_>| {
                let rows = if this.has_all_from(range.0) {
                    Vec::new()
                } else {
                    database.page(this.family, range, reverse, max_rows)?
                };
                Ok(Base::of(rows, max_rows))
            },
            newer: |range: KeyRange<'_>| {
                this.rows
                    .range(range, reverse)
                    .map(|(place, row)| (place.key(), (place, row)))
            },
            found: |(place, row): (&Place, &Row)| Some(Found::untimed(place.key(), row.value.as_deref()?)),
            decode: Found::untimed,
        };
        page(range, reverse, max_rows, &sources)
    }

    /// As `page`, in order, into a list (cleared first). Without an allocation for a row, if all of them are in memory.
    pub(crate) fn list(
        &mut self,
        database: &dyn Database,
        lo: &[u8],
        max_rows: usize,
        list: &mut RowList,
    ) -> Result<()> {
        list.clear();
        self.stored.learn(database, self.family)?;
        let range = (Bound::Included(lo), Bound::Unbounded);
        if self.has_all_from(range.0) {
            for (place, row) in self.rows.range(range, false) {
                if list.len() == max_rows {
                    break;
                }
                if let Some(value) = &row.value {
                    list.push(place.key(), value);
                }
            }
            return Ok(());
        }
        for row in self.page(database, range, false, max_rows)? {
            list.push(&row.key, &row.value);
        }
        Ok(())
    }

    /// Writes the dirty rows in key order. They stay dirty until `committed`.
    pub(crate) fn write(&self, batch: &mut dyn BatchWriter) {
        let all = (Bound::Unbounded, Bound::Unbounded);
        for (place, row) in self.rows.range(all, false).filter(|(_, row)| row.dirty) {
            match &row.value {
                Some(value) => batch.put(self.family, place.key(), &[], value),
                None => batch.delete(self.family, place.key()),
            }
        }
    }

    /// The database has taken the dirty rows.
    pub(crate) fn committed(&mut self) {
        if self.dirty > 0 {
            let bytes = &mut self.bytes;
            self.rows.retain(|place, row| {
                row.dirty = false;
                row.stored = true;
                if row.value.is_none() {
                    *bytes -= row_bytes(place.key(), None);
                }
                row.value.is_some()
            });
        }
        self.dirty = 0;
        self.dirty_bytes = 0;
        if self.bytes > self.clean_budget_bytes {
            self.sweep();
        }
    }

    /// There are too many rows: the earliest go. They will leave together, and are then read page by page.
    fn sweep(&mut self) {
        // A quarter is left free, so that the next commit need not sweep again.
        while self.bytes > self.clean_budget_bytes / 4 * 3 {
            let Some((place, row)) = self.rows.pop_first() else {
                break;
            };
            self.bytes -= row_bytes(place.key(), row.value.as_deref());
            self.stored.left(place);
        }
    }

    /// Nothing was written since the last commit, and nothing is known about it.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.family, self.clean_budget_bytes);
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty > 0
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
