//! What all kinds of stores share: rows, record cache, changelog.
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::database::{BatchWriter, KeyRange, Mark};
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

/// Takes updates that leave the record cache.
pub(crate) type FlushTo<'a> = &'a mut dyn FnMut(CachedUpdate<'_>) -> Result<()>;

struct Pending {
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
    cached: bool,
    cache_bytes: usize,
    logger: Rc<dyn ChangeLogger>,
    pending: RefCell<FxHashMap<Box<[u8]>, Pending>>,
    pending_bytes: Cell<usize>,
    turns: Cell<u64>,
    /// How often the overlay was dropped: what a store derives from its rows is then out of date.
    life: Cell<u64>,
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
        let observed = database
            .mark(index)
            .map_or(-1, |mark| if mark == Mark::default() { -1 } else { mark.observed });
        Self {
            table: RefCell::new(Table::new(
                index.0 as usize,
                spec.kind.is_timestamped(),
                clean_budget_bytes,
            )),
            cached: spec.caching && cache_bytes > 0,
            cache_bytes,
            observed: Cell::new(observed),
            expired_below: RefCell::default(),
            expiry_pending: Cell::new(false),
            pending: RefCell::default(),
            pending_bytes: Cell::new(0),
            turns: Cell::new(0),
            life: Cell::new(0),
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

    /// Writes to the changelog; the broker assigns the time.
    pub(crate) fn log_untimed(&self, key: &[u8], value: Option<&[u8]>, headers: Option<&Headers>) -> Result<()> {
        if !self.spec.logging {
            return Ok(());
        }
        self.logger.log(self.index, key, value, None, headers)
    }

    pub(crate) fn life(&self) -> u64 {
        self.life.get()
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
        if let Some(entry) = pending.get_mut(row_key) {
            entry.turn = turn;
            entry.context.clone_from(context);
        } else {
            let mut old = Vec::new();
            let old = self.get(row_key, &mut old)?.map(|timestamp| (old, timestamp));
            let bytes = 2 * row_key.len() + old.as_ref().map_or(0, |(old, _)| old.len()) + size_of::<Pending>();
            self.pending_bytes
                .set(self.pending_bytes.get() + bytes + value.map_or(0, <[u8]>::len));
            pending.insert(
                row_key.into(),
                Pending {
                    turn,
                    old,
                    context: context.clone(),
                },
            );
        }
        self.table.borrow_mut().put(row_key, value, timestamp);
        Ok(())
    }

    /// Logs and hands out the cached updates. `logged`: the part of a row key that the changelog sees.
    ///
    /// Nothing is borrowed while `f` runs: operators behind it may read and write this very store.
    pub(crate) fn flush(&self, f: FlushTo<'_>, logged: fn(&[u8]) -> &[u8]) -> Result<()> {
        if self.pending.borrow().is_empty() {
            return Ok(());
        }
        let mut updates: Vec<_> = self.pending.take().into_iter().collect();
        self.pending_bytes.set(0);
        updates.sort_unstable_by_key(|(_, pending)| pending.turn);
        let mut value = Vec::new();
        for (row_key, pending) in updates {
            let new = self
                .get(&row_key, &mut value)?
                .map(|timestamp| (value.as_slice(), timestamp));
            if new.is_none() && pending.old.is_none() {
                continue;
            }
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
    }

    pub(crate) fn discard(&self) {
        self.life.set(self.life.get() + 1);
        self.pending.borrow_mut().clear();
        self.pending_bytes.set(0);
        self.expired_below.take();
        self.expiry_pending.set(false);
        self.table.borrow_mut().forget();
        let mark = self.database.mark(self.index).unwrap_or_default();
        self.observed
            .set(if mark == Mark::default() { -1 } else { mark.observed });
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.table.borrow().dirty_bytes() + self.pending_bytes.get()
    }
}
