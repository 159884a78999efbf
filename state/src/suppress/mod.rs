//! The buffer of a suppressed table: the newest update of each key, in the order in which they are to leave.
//!
//! Two rows for each key: `0 ++ key` tells the time under which the update waits, `1 ++ time(8) ++ key` holds it in the
//! format of the changelog. A key keeps the place of its first update. How many rows there are, and how big they are,
//! is counted once after opening and then kept up to date.
mod restore;
pub(crate) mod value;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::ops::Bound;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHasher};

pub(crate) use restore::restore;
pub(crate) use value::{BufferValue, Values, encode};

use crate::core::Core;
use crate::key_value::Scan;
use crate::keys::sortable;
use crate::packed::Key;
use crate::table::Found;
use crate::{Headers, RecordContext, Result, SourceRecord, StateError, StoreIndex, UpdateContext};

const INDEX: u8 = 0;
const ROW: u8 = 1;
const ROW_PREFIX_BYTES: usize = 9;
/// Header of a changelog record that tells its format.
const FORMAT: (&str, &[u8]) = ("v", &[3]);

/// What waits in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTotals {
    /// Number of keys.
    pub records: u64,
    /// Their size, as Kafka Streams estimates it.
    pub bytes: u64,
}

/// An update that leaves the buffer.
pub struct Evicted<'a> {
    /// Key bytes.
    pub key: &'a [u8],
    /// The value after the newest update; `None`: deleted.
    pub new: Option<&'a [u8]>,
    /// The value before the newest update.
    pub old: Option<&'a [u8]>,
    /// The record of the newest update.
    pub context: &'a RecordContext,
}

#[derive(Clone, Copy)]
struct Counted {
    totals: BufferTotals,
    /// No row has an earlier time; `i64::MAX`: there is none.
    earliest: i64,
    /// Which life of the overlay was counted.
    life: u64,
}

#[derive(Default)]
struct Buffers {
    index: Vec<u8>,
    row: Vec<u8>,
    time: Vec<u8>,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Keys that the changelog does not know the newest state of.
#[derive(Default)]
struct Unlogged {
    keys: HashSet<Key, BuildHasherDefault<FxHasher>>,
    /// The last one, which often changes again, or is logged before another one changes; only if `has_last`.
    last: Vec<u8>,
    has_last: bool,
    /// Its row if it was put last, and nothing was put or removed since.
    row: Option<Vec<u8>>,
}

impl Unlogged {
    fn add(&mut self, key: &[u8], row: Option<&[u8]>) {
        match (row, &mut self.row) {
            (Some(row), Some(known)) => {
                known.clear();
                known.extend_from_slice(row);
            }
            (row, known) => *known = row.map(Into::into),
        }
        if self.has_last && self.last == key {
            return;
        }
        if self.has_last && !self.keys.contains(&*self.last) {
            self.keys.insert(self.last.as_slice().into());
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.has_last = true;
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.has_last = false;
    }
}

/// Updates that wait for more updates of their key.
pub struct SuppressBuffer {
    core: Rc<Core>,
    counted: Cell<Option<Counted>>,
    /// No row's key is below. Rows of one time may be many: those that have left are not passed over again.
    from: RefCell<Vec<u8>>,
    unlogged: RefCell<Unlogged>,
    /// Records of updates that wait, by key, where somebody wants their bytes: neither rows nor changelog have them.
    sources: RefCell<FxHashMap<Key, Rc<SourceRecord>>>,
    buffers: RefCell<Buffers>,
    format: Headers,
}

impl SuppressBuffer {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        let format = Headers::new();
        format.add(FORMAT.0, Some(FORMAT.1));
        Self {
            core,
            counted: Cell::new(None),
            from: RefCell::default(),
            unlogged: RefCell::default(),
            sources: RefCell::default(),
            buffers: RefCell::default(),
            format,
        }
    }

    /// Index among the stores of the task.
    pub fn index(&self) -> StoreIndex {
        self.core.index
    }

    /// Name of the store.
    pub fn name(&self) -> &str {
        &self.core.spec.name
    }

    /// How much waits.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn totals(&self) -> Result<BufferTotals> {
        Ok(self.counted()?.totals)
    }

    /// Adds an update, or replaces the one that waits; that one's place and prior value are kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn put(
        &self,
        key: &[u8],
        time: i64,
        new: Option<&[u8]>,
        old: Option<&[u8]>,
        context: &dyn UpdateContext,
    ) -> Result<()> {
        self.put_one(key, (time, false), (new, old), context)
    }

    /// The same where all updates of a key have the same time: where it waits need not be looked up first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn put_at_time_of_key(
        &self,
        key: &[u8],
        time: i64,
        new: Option<&[u8]>,
        old: Option<&[u8]>,
        context: &dyn UpdateContext,
    ) -> Result<()> {
        self.put_one(key, (time, true), (new, old), context)
    }

    fn put_one(
        &self,
        key: &[u8],
        (time, is_of_key): (i64, bool),
        (new, old): (Option<&[u8]>, Option<&[u8]>),
        context: &dyn UpdateContext,
    ) -> Result<()> {
        let mut counted = self.counted()?;
        let mut buffers = self.buffers.take();
        let Buffers {
            index,
            row,
            time: place,
            before,
            after,
        } = &mut buffers;
        row_key(time, key, row);
        let mut time = time;
        let mut waiting = is_of_key && self.core.get(row, before)?.is_some();
        if !waiting {
            index_key(key, index);
        }
        if !waiting && self.core.get(index, place)?.is_some() {
            waiting = true;
            time = self.time(place)?;
            row_key(time, key, row);
            self.core.get(row, before)?;
        }
        let prior = if waiting {
            let value = self.parse(before)?;
            counted.totals.bytes = counted.totals.bytes.saturating_sub(value.size(key));
            value.values.prior
        } else {
            counted.totals.records += 1;
            old
        };
        after.clear();
        let values = Values { prior, old, new };
        let context = context.to_record_context();
        encode(&context, values, time, after);
        counted.totals.bytes += values.size_with(key, &context);
        counted.earliest = counted.earliest.min(time);
        {
            let mut table = self.core.table.borrow_mut();
            if !waiting {
                table.put(index, Some(&time.to_be_bytes()), -1);
                let mut from = self.from.borrow_mut();
                if *row < *from {
                    from.clone_from(row);
                }
            }
            table.put(row, Some(after), -1);
        }
        if let Some(source) = context.source {
            self.sources.borrow_mut().insert(key.into(), source);
        }
        self.note(key, Some(after));
        self.counted.set(Some(counted));
        self.buffers.replace(buffers);
        Ok(())
    }

    /// The value of a key before the updates that wait. `None`: nothing waits. `Some(false)`: there was none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn prior(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        let (mut place, mut found) = (Vec::new(), Vec::new());
        index_key(key, &mut place);
        if self.core.get(&place, &mut found)?.is_none() {
            return Ok(None);
        }
        row_key(self.time(&found)?, key, &mut place);
        self.core.get(&place, &mut found)?;
        out.clear();
        let value = self.parse(&found)?;
        Ok(Some(
            value.values.prior.map(|prior| out.extend_from_slice(prior)).is_some(),
        ))
    }

    /// Lends the updates to `f` and removes them, earliest time first, as long as `go_on` says so of the time of the
    /// next one and of what waits. Nothing is borrowed while `f` runs, and the update still waits: operators behind may
    /// look it up.
    ///
    /// # Errors
    /// Of the database, or of `f`; the update then stays.
    pub fn evict_while<E: From<StateError>>(
        &self,
        mut go_on: impl FnMut(i64, BufferTotals) -> bool,
        mut f: impl FnMut(Evicted<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut page = VecDeque::new();
        // One to leave and one to see what comes next: the usual case with a bounded buffer.
        let mut page_rows = 2;
        loop {
            let mut counted = self.counted()?;
            if !go_on(counted.earliest, counted.totals) {
                return Ok(());
            }
            if page.is_empty() {
                page.extend(self.page(page_rows)?);
                page_rows = (page_rows * 4).min(512);
            }
            let Some(first): Option<&Found> = page.front() else {
                counted.earliest = i64::MAX;
                self.counted.set(Some(counted));
                return Ok(());
            };
            let value = self.parse(&first.value)?;
            if value.time > counted.earliest {
                // The earliest time known was that of a row which is gone.
                counted.earliest = value.time;
                self.counted.set(Some(counted));
                continue;
            }
            let key = first.key.get(ROW_PREFIX_BYTES..).unwrap_or_default();
            let source = self.sources.borrow().get(key).cloned();
            f(Evicted {
                key,
                new: value.values.new,
                old: value.values.old,
                context: &RecordContext {
                    source,
                    ..value.origin.context()
                },
            })?;
            self.remove(key, &first.key, value.size(key))?;
            page.pop_front();
        }
    }

    /// Writes the newest state of each key that changed to the changelog. Part of every commit.
    ///
    /// # Errors
    /// Of the database or the changelog.
    pub fn log_changes(&self) -> Result<()> {
        self.counted()?;
        let mut unlogged = self.unlogged.take();
        let logged = self.log_all(&mut unlogged);
        unlogged.clear();
        self.unlogged.replace(unlogged);
        logged
    }

    fn log_all(&self, unlogged: &mut Unlogged) -> Result<()> {
        if !unlogged.has_last {
            return Ok(());
        }
        if unlogged.keys.is_empty()
            && let Some(row) = &unlogged.row
        {
            return self.core.log_untimed(&unlogged.last, Some(row), Some(&self.format));
        }
        unlogged.keys.insert(unlogged.last.as_slice().into());
        let mut keys: Vec<&Key> = unlogged.keys.iter().collect();
        keys.sort_unstable();
        let (mut place, mut found) = (Vec::new(), Vec::new());
        for key in keys {
            index_key(key, &mut place);
            if self.core.get(&place, &mut found)?.is_none() {
                self.core.log_untimed(key, None, None)?;
                continue;
            }
            row_key(self.time(&found)?, key, &mut place);
            self.core.get(&place, &mut found)?;
            self.core.log_untimed(key, Some(&found), Some(&self.format))?;
        }
        Ok(())
    }

    /// The next rows.
    fn page(&self, rows: usize) -> Result<Vec<Found>> {
        let from = self.from.borrow();
        let hi = [ROW + 1];
        self.core
            .page((Bound::Included(&from), Bound::Excluded(&hi[..])), false, rows)
    }

    fn remove(&self, key: &[u8], row: &[u8], bytes: u64) -> Result<()> {
        let mut counted = self.counted()?;
        counted.totals.records = counted.totals.records.saturating_sub(1);
        counted.totals.bytes = counted.totals.bytes.saturating_sub(bytes);
        let mut buffers = self.buffers.take();
        index_key(key, &mut buffers.index);
        {
            let mut table = self.core.table.borrow_mut();
            table.put(&buffers.index, None, -1);
            table.put(row, None, -1);
        }
        {
            // It was the first.
            let mut from = self.from.borrow_mut();
            row.clone_into(&mut from);
            from.push(0);
        }
        self.buffers.replace(buffers);
        self.sources.borrow_mut().remove(key);
        self.note(key, None);
        if counted.totals.records == 0 {
            counted.earliest = i64::MAX;
        }
        self.counted.set(Some(counted));
        Ok(())
    }

    /// The changelog has to hear of a key; `row`: what it is now, if it is known.
    fn note(&self, key: &[u8], row: Option<&[u8]>) {
        if self.core.spec.logging {
            self.unlogged.borrow_mut().add(key, row);
        }
    }

    /// The counts, made anew when the overlay was dropped meanwhile.
    fn counted(&self) -> Result<Counted> {
        let life = self.core.life();
        if let Some(counted) = self.counted.get()
            && counted.life == life
        {
            return Ok(counted);
        }
        self.unlogged.borrow_mut().clear();
        self.sources.borrow_mut().clear();
        let mut counted = Counted {
            totals: BufferTotals { records: 0, bytes: 0 },
            earliest: i64::MAX,
            life,
        };
        let (lo, hi): (Rc<[u8]>, Rc<[u8]>) = ([ROW].into(), [ROW + 1].into());
        for found in Scan::new(Rc::clone(&self.core), Bound::Included(lo), Bound::Excluded(hi), false) {
            let found = found?;
            let value = self.parse(&found.value)?;
            counted.totals.records += 1;
            counted.totals.bytes += value.size(found.key.get(ROW_PREFIX_BYTES..).unwrap_or_default());
            counted.earliest = counted.earliest.min(value.time);
        }
        row_key(counted.earliest, &[], &mut self.from.borrow_mut());
        self.counted.set(Some(counted));
        Ok(counted)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<BufferValue<'a>> {
        BufferValue::parse(bytes).ok_or_else(|| self.core.malformed())
    }
    fn time(&self, bytes: &[u8]) -> Result<i64> {
        time_of_index(bytes).ok_or_else(|| self.core.malformed())
    }
}

fn index_key(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(INDEX);
    out.extend_from_slice(key);
}
fn row_key(time: i64, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(ROW);
    out.extend_from_slice(&sortable(time));
    out.extend_from_slice(key);
}
fn time_of_index(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}
