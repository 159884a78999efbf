//! What all kinds of stores share: rows, record cache, changelog.
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::database::{BatchWriter, KeyRange, Mark};
use crate::lru::Recency;
use crate::table::{Found, Table};
use crate::task_database::SharedDatabase;
use crate::{ChangeLogger, Headers, RecordContext, Result, StoreIndex, StoreSpec};

/// An update that leaves the record cache.
pub struct CachedUpdate<'a> {
    /// Key as in the changelog.
    pub key: &'a [u8],
    /// The newest value with its timestamp; `None`: deleted.
    pub new: Option<(&'a [u8], i64)>,
    /// The value before the first cached update, with its timestamp.
    pub old: Option<(&'a [u8], i64)>,
    /// The record of the newest update.
    pub context: &'a RecordContext,
}

/// Is told of a row key that leaves the record cache, and whether it has a value.
pub(crate) type Applied<'a> = &'a dyn Fn(&[u8], bool, &RecordContext) -> Result<()>;

/// Takes updates that leave the record cache.
pub(crate) type FlushTo<'a> = &'a mut dyn FnMut(CachedUpdate<'_>) -> Result<()>;

struct Pending {
    /// What the entry costs, the waiting value included.
    bytes: usize,
    value_bytes: usize,
    /// Grows with every update: the flush goes by the last update of each key.
    turn: u64,
    old: Option<(Vec<u8>, i64)>,
    context: RecordContext,
}

pub(crate) struct Core {
    pub(crate) spec: StoreSpec,
    pub(crate) index: StoreIndex,
    pub(crate) database: Rc<SharedDatabase>,
    pub(crate) table: RefCell<Table>,
    /// Highest time put so far; what is older than the retention is gone.
    pub(crate) observed: Cell<i64>,
    /// Rows below this key have expired.
    pub(crate) expired_below: RefCell<Option<Vec<u8>>>,
    /// They are to be deleted at the next commit; once is enough.
    pub(crate) expiry_pending: Cell<bool>,
    /// Sequence numbers tell duplicates apart. Kafka Streams counts rows and changelog records separately, which
    /// shows in the changelog of a store that was given a null.
    pub(crate) row_sequence: Cell<i32>,
    pub(crate) log_sequence: Cell<i32>,
    /// Both, at the last commit.
    committed_sequences: Cell<(i32, i32)>,
    cached: bool,
    cache_bytes: usize,
    logger: Rc<dyn ChangeLogger>,
    pending: RefCell<FxHashMap<Rc<[u8]>, Pending>>,
    pending_bytes: Cell<usize>,
    turns: Cell<u64>,
    /// Where row keys are composed, so that a put allocates nothing but its row. Taken while it is in use.
    key_buffer: Cell<Vec<u8>>,
}

impl Core {
    pub(crate) fn new(
        spec: StoreSpec,
        index: StoreIndex,
        database: Rc<SharedDatabase>,
        logger: Rc<dyn ChangeLogger>,
        cache_bytes: usize,
        clean_budget_bytes: usize,
    ) -> Self {
        let mark = database.mark(index).unwrap_or_default();
        let sequence = first_sequence(mark);
        Self {
            row_sequence: Cell::new(sequence),
            log_sequence: Cell::new(sequence),
            committed_sequences: Cell::new((sequence, sequence)),
            table: RefCell::new(Table::new(
                index.0 as usize,
                spec.kind.is_timestamped(),
                clean_budget_bytes,
            )),
            cached: spec.caching && cache_bytes > 0,
            cache_bytes,
            observed: Cell::new(mark.observed),
            expired_below: RefCell::default(),
            expiry_pending: Cell::new(false),
            pending: RefCell::default(),
            pending_bytes: Cell::new(0),
            turns: Cell::new(0),
            key_buffer: Cell::default(),
            spec,
            index,
            database,
            logger,
        }
    }

    pub(crate) fn is_cached(&self) -> bool {
        self.cached
    }

    pub(crate) fn cache_is_full(&self) -> bool {
        self.cached && self.pending_bytes.get() > self.cache_bytes
    }

    /// Lends the row key `segment(8) ++ key ++ suffix` to `f`.
    pub(crate) fn with_row_key<R>(
        &self,
        segment: i64,
        key: &[u8],
        suffix: &[&[u8]],
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let mut buffer = self.key_buffer.take();
        buffer.clear();
        buffer.extend_from_slice(&segment.to_be_bytes());
        buffer.extend_from_slice(key);
        suffix.iter().for_each(|part| buffer.extend_from_slice(part));
        let result = f(&mut buffer);
        self.key_buffer.set(buffer);
        result
    }

    pub(crate) fn observe(&self, time: i64) -> i64 {
        let observed = self.observed.get().max(time);
        self.observed.set(observed);
        observed
    }

    pub(crate) fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<i64>> {
        self.database
            .with(self.index, |database| self.table.borrow_mut().get(database, key, out))
    }

    pub(crate) fn page(&self, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<Found>> {
        self.database.with(self.index, |database| {
            self.table.borrow_mut().page(database, range, reverse, max_rows)
        })
    }

    pub(crate) fn log(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: i64,
        headers: Option<&Headers>,
    ) -> Result<()> {
        if !self.spec.logging {
            return Ok(());
        }
        self.logger.log(self.index, key, value, Some(timestamp), headers)
    }

    /// Writes a row that waits in the record cache.
    pub(crate) fn put_cached(
        &self,
        row_key: &[u8],
        value: Option<&[u8]>,
        timestamp: i64,
        context: &RecordContext,
    ) -> Result<()> {
        let turn = self.turns.get() + 1;
        self.turns.set(turn);
        let mut pending = self.pending.borrow_mut();
        let value_bytes = value.map_or(0, <[u8]>::len);
        if let Some(entry) = pending.get_mut(row_key) {
            entry.turn = turn;
            entry.context.clone_from(context);
            let bytes = entry.bytes - entry.value_bytes + value_bytes;
            self.pending_bytes.set(self.pending_bytes.get() - entry.bytes + bytes);
            entry.value_bytes = value_bytes;
            entry.bytes = bytes;
        } else {
            let mut old = Vec::new();
            let old = self.get(row_key, &mut old)?.map(|timestamp| (old, timestamp));
            let old_bytes = old.as_ref().map_or(0, |(old, _)| old.len());
            let bytes = row_key.len() + old_bytes + value_bytes + size_of::<Pending>();
            self.pending_bytes.set(self.pending_bytes.get() + bytes);
            pending.insert(
                row_key.into(),
                Pending {
                    bytes,
                    value_bytes,
                    turn,
                    old,
                    context: context.clone(),
                },
            );
        }
        self.table.borrow_mut().put(row_key, value, timestamp);
        Ok(())
    }

    /// Logs and hands out the cached updates. `logged`: the part of a row key that the changelog sees. `applied` is told
    /// of each row key, and whether it has a value, before it is logged.
    ///
    /// Nothing is borrowed while `f` runs: operators behind it may read and write this very store.
    pub(crate) fn flush(&self, f: FlushTo<'_>, logged: fn(&[u8]) -> &[u8], applied: Applied<'_>) -> Result<()> {
        let mut order: Vec<(u64, Rc<[u8]>)> = {
            let pending = self.pending.borrow();
            pending
                .iter()
                .map(|(key, entry)| (entry.turn, Rc::clone(key)))
                .collect()
        };
        order.sort_unstable_by_key(|(turn, _)| *turn);
        let mut value = Vec::new();
        for (_, row_key) in order {
            let Some(pending) = self.take_pending(&row_key) else {
                continue;
            };
            let new = self
                .get(&row_key, &mut value)?
                .map(|timestamp| (value.as_slice(), timestamp));
            if new.is_none() && pending.old.is_none() {
                continue;
            }
            applied(&row_key, new.is_some(), &pending.context)?;
            let key = logged(&row_key);
            let timestamp = new
                .filter(|_| self.spec.kind.is_timestamped())
                .map_or(pending.context.timestamp, |(_, time)| time);
            self.log(key, new.map(|(value, _)| value), timestamp, None)?;
            let old = pending
                .old
                .as_ref()
                .map(|(value, timestamp)| (value.as_slice(), *timestamp));
            f(CachedUpdate {
                key,
                new,
                old,
                context: &pending.context,
            })?;
        }
        Ok(())
    }

    fn take_pending(&self, row_key: &[u8]) -> Option<Pending> {
        let mut pending = self.pending.borrow_mut();
        let entry = pending.remove(row_key)?;
        self.pending_bytes.set(self.pending_bytes.get() - entry.bytes);
        Some(entry)
    }

    /// Whether an update of the row waits in the record cache.
    pub(crate) fn is_pending(&self, row_key: &[u8]) -> bool {
        self.cached && self.pending.borrow().contains_key(row_key)
    }

    /// Deletes the row under the record cache: an update that waits there stays, and has no value before it.
    pub(crate) fn delete_beneath_cache(&self, row_key: &[u8]) {
        match self.pending.borrow_mut().get_mut(row_key) {
            Some(waiting) => waiting.old = None,
            None => self.table.borrow_mut().put(row_key, None, -1),
        }
    }

    /// Writes what a commit has to make final.
    pub(crate) fn write(&self, batch: &mut dyn BatchWriter, offset: Option<i64>) {
        let family = self.index.0 as usize;
        if let (true, Some(end)) = (self.expiry_pending.get(), &*self.expired_below.borrow()) {
            batch.delete_below(family, end);
        }
        self.table.borrow_mut().write(batch);
        batch.mark(
            family,
            Mark {
                offset,
                observed: self.observed.get(),
            },
        );
    }

    pub(crate) fn committed(&self) {
        self.expiry_pending.set(false);
        self.table.borrow_mut().committed();
        self.database.recency(self.index, Recency::committed);
        self.committed_sequences
            .set((self.row_sequence.get(), self.log_sequence.get()));
    }

    pub(crate) fn discard(&self) {
        self.pending.borrow_mut().clear();
        self.pending_bytes.set(0);
        self.expired_below.take();
        self.expiry_pending.set(false);
        self.table.borrow_mut().forget();
        self.database.recency(self.index, Recency::discard);
        let mark = self.database.mark(self.index).unwrap_or_default();
        self.observed.set(mark.observed);
        let (row, log) = self.committed_sequences.get();
        self.row_sequence.set(row);
        self.log_sequence.set(log);
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.table.borrow().dirty_bytes() + self.pending_bytes.get()
    }
}

/// Where numbering duplicates goes on. Every number stands for a record of the changelog, so the next offset is beyond
/// all that were given; Kafka Streams begins at 0 after a restart, and a duplicate may then overwrite another.
fn first_sequence(mark: Mark) -> i32 {
    let offset = mark.offset.unwrap_or(0) & i64::from(i32::MAX);
    i32::try_from(offset).unwrap_or(0)
}
