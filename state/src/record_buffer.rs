//! Which records of a stream still wait for a table with history to catch up?
//!
//! Every record waits, none replaces another. A row is what the changelog has: `0 ++ time(8) ++ key ++ number(4)` to the
//! record in the format of buffered updates. The order of rows is that of leaving.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Bound;
use std::rc::Rc;

use crate::core::Core;
use crate::suppress::{BufferValue, Values, encode};
use crate::table::Found;
use crate::{RecordContext, Result, StateError, StoreIndex, UpdateContext};

/// Kafka Streams puts it in front of rows that are ordered by time.
const PREFIX: u8 = 0;
const TIME_ENDS: usize = 9;
const NUMBER_BYTES: usize = 4;

/// A record that has waited long enough.
pub struct Waited<'a> {
    /// Key bytes.
    pub key: &'a [u8],
    /// Value bytes.
    pub value: &'a [u8],
    /// Where and when it came from.
    pub context: &'a RecordContext,
}

/// No row has an earlier time; `i64::MAX`: there is none.
#[derive(Clone, Copy)]
struct Earliest {
    time: i64,
    /// Which life of the overlay was looked at.
    life: u64,
}

/// Records in the order of their time.
pub struct RecordBuffer {
    core: Rc<Core>,
    earliest: Cell<Option<Earliest>>,
    /// Row key and row, reused.
    buffers: RefCell<(Vec<u8>, Vec<u8>)>,
}

impl RecordBuffer {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        Self {
            core,
            earliest: Cell::new(None),
            buffers: RefCell::default(),
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

    /// Takes a record, unless it is more than `grace_ms` older than the newest one that was taken: false.
    ///
    /// # Errors
    /// When the changelog cannot be written.
    pub fn put(&self, key: &[u8], value: &[u8], context: &dyn UpdateContext, grace_ms: i64) -> Result<bool> {
        let time = context.timestamp();
        if self.core.observed().saturating_sub(grace_ms) > time {
            return Ok(false);
        }
        let earliest = self.earliest()?;
        self.core.observe(time);
        let number = self.core.row_sequence.get().wrapping_add(1) & i32::MAX;
        self.core.row_sequence.set(number);
        let mut buffers = self.buffers.borrow_mut();
        let (row_key, row) = &mut *buffers;
        row_start(time, row_key);
        row_key.extend_from_slice(key);
        row_key.extend_from_slice(&number.to_be_bytes());
        row.clear();
        let values = Values {
            new: Some(value),
            ..Values::default()
        };
        encode(&context.to_record_context(), values, 0, row);
        self.core.log_untimed(row_key, Some(row), None)?;
        self.core.put(row_key, Some(row), -1);
        self.set_earliest(earliest.min(time));
        Ok(true)
    }

    /// Lends to `f`, and removes, the records that are at least `grace_ms` older than the newest one, earliest first.
    /// Nothing is borrowed while `f` runs, and the record is still in the buffer.
    ///
    /// # Errors
    /// Of the database, or of `f`; the record then stays.
    pub fn release<E: From<StateError>>(
        &self,
        grace_ms: i64,
        mut f: impl FnMut(Waited<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let until = self.core.observed().saturating_sub(grace_ms);
        let mut page: VecDeque<Found> = VecDeque::new();
        // One to leave and one to see what comes next: the usual case.
        let mut page_rows = 2;
        loop {
            let earliest = self.earliest()?;
            if earliest > until {
                return Ok(());
            }
            if page.is_empty() {
                page.extend(self.page(earliest, page_rows)?);
                page_rows = (page_rows * 4).min(512);
            }
            let Some(first) = page.front() else {
                self.set_earliest(i64::MAX);
                return Ok(());
            };
            let (time, key) = self.split(&first.key)?;
            if time > earliest {
                // The earliest time known was that of a row which is gone.
                self.set_earliest(time);
                continue;
            }
            let row = BufferValue::parse(&first.value).ok_or_else(|| self.core.malformed())?;
            let value = row.values.new.ok_or_else(|| self.core.malformed())?;
            f(Waited {
                key,
                value,
                context: &row.origin.context(),
            })?;
            self.core.put(&first.key, None, -1);
            self.core.log_untimed(&first.key, None, None)?;
            page.pop_front();
        }
    }

    fn page(&self, from: i64, rows: usize) -> Result<Vec<Found>> {
        let mut lo = Vec::new();
        row_start(from, &mut lo);
        let hi = [PREFIX + 1];
        self.core
            .page((Bound::Included(&lo), Bound::Excluded(&hi[..])), false, rows)
    }

    /// Time and key of a row.
    fn split<'a>(&self, row_key: &'a [u8]) -> Result<(i64, &'a [u8])> {
        let time = time_of(row_key);
        let key = row_key.get(TIME_ENDS..row_key.len().saturating_sub(NUMBER_BYTES));
        time.zip(key).ok_or_else(|| self.core.malformed())
    }

    /// Looked up anew when the overlay was dropped meanwhile.
    fn earliest(&self) -> Result<i64> {
        let life = self.core.life();
        if let Some(earliest) = self.earliest.get()
            && earliest.life == life
        {
            return Ok(earliest.time);
        }
        let time = match self.page(0, 1)?.first() {
            Some(first) => self.split(&first.key)?.0,
            None => i64::MAX,
        };
        self.set_earliest(time);
        Ok(time)
    }
    fn set_earliest(&self, time: i64) {
        let life = self.core.life();
        self.earliest.set(Some(Earliest { time, life }));
    }
}

/// The time in a row's key.
pub(crate) fn time_of(row_key: &[u8]) -> Option<i64> {
    let time = row_key.get(1..)?.first_chunk::<8>()?;
    Some(i64::from_be_bytes(*time))
}
fn row_start(time: i64, out: &mut Vec<u8>) {
    out.clear();
    out.push(PREFIX);
    out.extend_from_slice(&time.to_be_bytes());
}
