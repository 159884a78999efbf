//! The rows of one key in one segment, in the order of their times.
use smallvec::SmallVec;

use crate::keys::Suffix;
use crate::packed::{Key, Value};

/// Bytes of a row key behind its group: time and number.
pub(super) const SUFFIX_BYTES: usize = 12;

/// The end of a row key, as it is ordered there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    time: u64,
    number: u32,
}

impl At {
    pub(super) const FIRST: Self = Self { time: 0, number: 0 };
    /// Behind all rows.
    pub(super) const NOWHERE: Self = Self {
        time: u64::MAX,
        number: u32::MAX,
    };

    /// The first one behind all of a time.
    pub(super) fn behind(time: u64) -> Self {
        Self {
            time: time.saturating_add(1),
            number: 0,
        }
    }

    pub(super) fn new(time: u64, number: u32) -> Self {
        Self { time, number }
    }

    /// Behind all of a time.
    pub(super) fn last_of(time: u64) -> Self {
        Self::new(time, u32::MAX)
    }

    pub(super) fn time(self) -> u64 {
        self.time
    }

    pub(super) fn number(self) -> u32 {
        self.number
    }

    /// Of the end of a row key, or of a bound.
    pub(super) fn of(suffix: &[u8]) -> Self {
        Suffix::of(suffix).into()
    }

    pub(super) fn times(self) -> [i64; 2] {
        [self.time.cast_signed(), self.number.into()]
    }

    pub(super) fn suffix(self) -> [u8; SUFFIX_BYTES] {
        let mut suffix = [0; SUFFIX_BYTES];
        let (time, number) = suffix.split_at_mut(8);
        time.copy_from_slice(&self.time.to_be_bytes());
        number.copy_from_slice(&self.number.to_be_bytes());
        suffix
    }
}

impl From<Suffix> for At {
    fn from(suffix: Suffix) -> Self {
        Self {
            time: suffix.time(),
            number: u32::try_from(suffix.behind_time(SUFFIX_BYTES - 8)).unwrap_or(u32::MAX),
        }
    }
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) at: At,
    /// The next commit has to write it.
    dirty: bool,
    pub(super) value: Value,
}

impl Row {
    fn bytes(value: &[u8]) -> usize {
        size_of::<Self>() + Value::beside(value.len())
    }
}

#[derive(Debug)]
pub(super) struct Group {
    /// All rows from here on are here. Those before it are dirty, or happen to be here.
    pub(super) from: At,
    /// How many rows are dirty.
    dirty: u32,
    /// In order. One key has few records in a segment, or it has many.
    rows: SmallVec<[Row; 1]>,
}

impl Group {
    pub(super) fn new(from: At) -> Self {
        Self {
            from,
            dirty: 0,
            rows: SmallVec::new(),
        }
    }

    /// Takes a row that the database does not have yet; the bytes it takes. A number that comes again, as it may in a store
    /// without changelog after a restart, replaces a row.
    pub(super) fn put(&mut self, at: At, value: &[u8]) -> usize {
        match self.place(at) {
            Err(place) => {
                self.dirty += 1;
                self.insert(place, at, value.into(), true)
            }
            Ok(place) => {
                if let Some(row) = self.rows.get_mut(place) {
                    self.dirty += u32::from(!row.dirty);
                    row.dirty = true;
                    row.value.set(value);
                }
                0
            }
        }
    }

    /// Takes a row of the database, unless there is a newer one; the bytes it takes.
    pub(super) fn learn(&mut self, at: At, value: Value) -> usize {
        match self.place(at) {
            Err(place) => self.insert(place, at, value, false),
            Ok(_) => 0,
        }
    }

    fn insert(&mut self, place: usize, at: At, value: Value, dirty: bool) -> usize {
        let bytes = Row::bytes(&value);
        self.rows.insert(place, Row { at, dirty, value });
        bytes
    }

    /// Where a row is, or where it belongs. Most come in the order of time.
    fn place(&self, at: At) -> Result<usize, usize> {
        match self.rows.last() {
            Some(last) if last.at >= at => self.rows.binary_search_by(|row| row.at.cmp(&at)),
            _ => Err(self.rows.len()),
        }
    }

    pub(super) fn get(&self, at: At) -> Option<&[u8]> {
        self.rows.get(self.place(at).ok()?).map(|row| &*row.value)
    }

    /// Rows of these times, both included.
    pub(super) fn rows(&self, lo: At, hi: At) -> &[Row] {
        // Most reads are for the newest rows.
        let newest = self.rows.len().saturating_sub(8);
        let from = match self.rows.get(newest) {
            Some(row) if row.at < lo => newest,
            _ => 0,
        };
        let rows = |from: usize| self.rows.get(from..).unwrap_or_default();
        let first = from + rows(from).partition_point(|row| row.at < lo);
        let end = match self.rows.last() {
            Some(last) if last.at <= hi => self.rows.len(),
            _ => first + rows(first).partition_point(|row| row.at <= hi),
        };
        self.rows.get(first..end).unwrap_or_default()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty > 0
    }

    /// Where the dirty rows begin: they are mostly the last ones.
    fn first_dirty(&self) -> usize {
        let mut left = self.dirty;
        let is_first = |row: &Row| {
            left -= u32::from(row.dirty);
            left == 0
        };
        if self.dirty == 0 {
            return self.rows.len();
        }
        self.rows.iter().rposition(is_first).unwrap_or(0)
    }

    pub(super) fn dirty_rows(&self) -> impl Iterator<Item = &Row> {
        let rows = self.rows.get(self.first_dirty()..).unwrap_or_default();
        rows.iter().filter(|row| row.dirty)
    }

    /// The database has all rows.
    pub(super) fn settle(&mut self) {
        let first = self.first_dirty();
        let rows = self.rows.get_mut(first..).unwrap_or_default();
        rows.iter_mut().for_each(|row| row.dirty = false);
        self.dirty = 0;
    }

    pub(super) fn times(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().map(|row| row.at.time)
    }

    /// Forgets the rows before a time, none of which is dirty. False: none is left.
    pub(super) fn forget_before(&mut self, from: At) -> bool {
        let gone = self.rows.partition_point(|row| row.at < from);
        if gone > 0 {
            self.rows.drain(..gone);
            self.rows.shrink_to_fit();
        }
        self.from = self.from.max(from);
        !self.rows.is_empty()
    }

    /// Memory that it takes with its key.
    pub(super) fn bytes(&self, key: &[u8]) -> usize {
        let rows: usize = self.rows.iter().map(|row| Row::bytes(&row.value)).sum();
        Self::bytes_without_rows(key) + rows
    }

    /// With its place in the hash table.
    pub(super) fn bytes_without_rows(key: &[u8]) -> usize {
        size_of::<(Key, Self)>() + 12 + Key::beside(key.len())
    }
}
