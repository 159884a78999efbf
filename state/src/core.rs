//! What all kinds of stores share: rows, record cache, changelog.
use std::cell::{Cell, RefCell};
use std::ops::Bound;
use std::rc::Rc;

use crate::database::{BatchWriter, Database, KeyRange, Mark};
use crate::global::Watch;
use crate::keys::Suffix;
use crate::lru::Recency;
use crate::row_headers::{split_headers, take_headers};
use crate::row_list::RowList;
use crate::segments::{CachedSegments, Segments, suffix_bytes};
use crate::special::Special;
use crate::table::{Found, LendRow, Table, Times};
use crate::task_database::SharedDatabase;
use crate::{
    ChangeLogger, Headers, LoggedHeaders, RecordContext, Result, StateError, StoreIndex, StoreSpec, UpdateContext,
};

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
    /// False: the row had expired when it left the cache and is gone. It is logged and forwarded all the same, as in
    /// Kafka Streams, and counts as a dropped record.
    pub kept: bool,
}

/// What is beneath the record cache: how a kind of store takes rows that leave it.
pub(crate) trait Beneath {
    /// The part of a row key that the changelog sees.
    fn logged<'k>(&self, row_key: &'k [u8]) -> &'k [u8] {
        row_key
    }
    /// Whether a row would be found.
    fn shows(&self, _row_key: &[u8]) -> bool {
        true
    }
    /// Is told of a row before it is logged, and whether it has a value. False: it has expired.
    fn take(&self, row_key: &[u8], present: bool, context: &RecordContext) -> Result<bool>;
}

/// Takes updates that leave the record cache.
pub(crate) type FlushTo<'a> = &'a mut dyn FnMut(CachedUpdate<'_>) -> Result<()>;

pub(crate) struct Core {
    pub(crate) spec: StoreSpec,
    pub(crate) index: StoreIndex,
    pub(crate) database: Rc<SharedDatabase>,
    pub(crate) table: RefCell<Table>,
    /// Has the rows instead of the table.
    special: Option<RefCell<Special>>,
    /// Highest time put so far; what is older than the retention is gone.
    observed: Cell<i64>,
    /// Rows below this key have expired.
    pub(crate) expired_below: RefCell<Option<Vec<u8>>>,
    /// `observed` at the last commit: what has expired since then is still where it was.
    pub(crate) committed_observed: Cell<i64>,
    /// They are to be deleted at the next commit; once is enough.
    pub(crate) expiry_pending: Cell<bool>,
    /// Where rows in the record cache are filed, in stores with segments.
    pub(crate) cached_segments: CachedSegments,
    /// Sequence numbers tell duplicates apart. Kafka Streams counts rows and changelog records separately, which
    /// shows in the changelog of a store that was given a null.
    pub(crate) row_sequence: Cell<i32>,
    pub(crate) log_sequence: Cell<i32>,
    /// Both, at the last commit.
    committed_sequences: Cell<(i32, i32)>,
    cached: bool,
    cache_bytes: Cell<usize>,
    logger: Rc<dyn ChangeLogger>,
    /// Where row keys are composed, so that a put allocates nothing but its row. Taken while it is in use.
    key_buffer: Cell<Vec<u8>>,
    /// How often the overlay was dropped: what a store derives from its rows is then out of date.
    life: Cell<u64>,
    /// Somebody else writes the rows (global stores): how to hear of it.
    watch: Option<Watch>,
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
        let special = Special::new(&spec, index.0 as usize, clean_budget_bytes);
        let cached = spec.caching && cache_bytes > 0 && special.as_ref().is_none_or(Special::may_be_cached);
        let table = Table::new(
            index.0 as usize,
            spec.kind.is_timestamped(),
            suffix_bytes(&spec.kind),
            clean_budget_bytes,
        );
        let core = Self {
            row_sequence: Cell::new(sequence),
            log_sequence: Cell::new(sequence),
            committed_sequences: Cell::new((sequence, sequence)),
            table: RefCell::new(table),
            special: special.filter(|_| !cached).map(RefCell::new),
            cached,
            cache_bytes: Cell::new(cache_bytes),
            observed: Cell::new(mark.observed),
            committed_observed: Cell::new(mark.observed),
            expired_below: RefCell::default(),
            expiry_pending: Cell::new(false),
            cached_segments: CachedSegments::default(),
            key_buffer: Cell::default(),
            life: Cell::new(0),
            watch: None,
            spec,
            index,
            database,
            logger,
        };
        core.tell_new_segments();
        core
    }

    /// The table need not ask the database for rows of segments that began after the last commit.
    fn tell_new_segments(&self) {
        let committed = self.committed_observed.get();
        // Without a time nothing is known, and what comes out of the record cache may be of any time.
        if committed < 0 || self.cached {
            return;
        }
        if let Some(segments) = Segments::of(&self.spec.kind) {
            let new_from = segments.id(committed).saturating_add(1);
            let mut special = self.special.as_ref().map(RefCell::borrow_mut);
            match special.as_mut().and_then(|rows| rows.appended()) {
                Some(appended) => appended.set_new_from(new_from),
                None => self.table.borrow_mut().set_new_from(Some(new_from.to_be_bytes())),
            }
        }
    }

    /// Reads rows that somebody else writes.
    pub(crate) fn watching(mut self, watch: Watch) -> Self {
        self.table.borrow_mut().set_new_from(None);
        self.special = None;
        self.watch = Some(watch);
        self
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.watch.is_some()
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.is_read_only() {
            let store = self.spec.name.to_string();
            return Err(StateError::ReadOnlyStore { store });
        }
        Ok(())
    }

    /// Highest time put so far.
    pub(crate) fn observed(&self) -> i64 {
        self.refresh();
        self.observed.get()
    }

    /// What was kept of rows that have been written since is forgotten.
    fn refresh(&self) {
        if let Some(observed) = self.watch.as_ref().and_then(Watch::news) {
            self.table.borrow_mut().forget();
            self.observed.set(observed);
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn Database, &mut Table) -> Result<T>) -> Result<T> {
        let Some(watch) = &self.watch else {
            return self
                .database
                .with(self.index, |database| read(database, &mut self.table.borrow_mut()));
        };
        self.refresh();
        let found = self
            .database
            .with(self.index, |database| read(database, &mut self.table.borrow_mut()));
        found.map_err(|error| watch.failed(&self.spec.name, error))
    }

    fn read_special<T>(
        &self,
        special: &RefCell<Special>,
        read: impl FnOnce(&dyn Database, &mut Special) -> Result<T>,
    ) -> Result<T> {
        self.database
            .with(self.index, |database| read(database, &mut special.borrow_mut()))
    }

    /// Writes a row that does not wait in the record cache.
    pub(crate) fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64) {
        match &self.special {
            Some(special) => special.borrow_mut().put(key, value),
            None => self.table.borrow_mut().put(key, value, timestamp),
        }
    }

    /// Whether rows have an order by time beside that by key.
    pub(crate) fn knows_times(&self) -> bool {
        self.special.is_none()
    }

    /// Whether a commit would change rows.
    pub(crate) fn is_dirty(&self) -> bool {
        match &self.special {
            Some(special) => special.borrow().is_dirty(),
            None => self.table.borrow().is_dirty(),
        }
    }

    pub(crate) fn is_cached(&self) -> bool {
        self.cached
    }

    pub(crate) fn cache_is_full(&self) -> bool {
        self.cached && self.table.borrow().waiting_bytes() > self.cache_bytes.get()
    }

    pub(crate) fn share_memory(&self, cache_bytes: usize, clean_budget_bytes: usize) {
        self.cache_bytes.set(cache_bytes);
        match &self.special {
            Some(special) => special.borrow_mut().set_clean_budget(clean_budget_bytes),
            None => self.table.borrow_mut().set_clean_budget(clean_budget_bytes),
        }
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

    /// Rows below this key have expired; the next commit deletes them.
    pub(crate) fn expire_below(&self, end: &[u8]) {
        let mut below = self.expired_below.borrow_mut();
        if below.as_deref().is_none_or(|known| known < end) {
            *below = Some(end.to_vec());
            self.expiry_pending.set(true);
        }
    }

    pub(crate) fn observe(&self, time: i64) -> i64 {
        let observed = self.observed.get().max(time);
        self.observed.set(observed);
        observed
    }

    pub(crate) fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<i64>> {
        if let Some(special) = &self.special {
            let found = self.read_special(special, |database, rows| rows.get(database, key, out))?;
            return Ok(found.then_some(-1));
        }
        self.read(|database, table| table.get(database, key, out))
    }

    pub(crate) fn page(&self, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<Found>> {
        if let Some(special) = &self.special {
            return self.read_special(special, |database, rows| rows.page(database, range, reverse, max_rows));
        }
        self.read(|database, table| table.page(database, range, reverse, max_rows))
    }

    /// Rows of one key in one segment; see [`Table::of_group`].
    pub(crate) fn of_group(
        &self,
        (segment, key): (i64, &[u8]),
        times: &Times,
        end: Suffix,
        reverse: bool,
    ) -> Result<Option<Vec<Found>>> {
        match &self.special {
            Some(special) => self.read_special(special, |database, rows| match rows.appended() {
                Some(rows) => rows.of_group(database, (segment, key), end, times, reverse),
                None => Ok(None),
            }),
            None => self.with_row_key(segment, key, &[], |group| {
                self.read(|database, table| table.of_group(database, group, times, end, reverse))
            }),
        }
    }

    /// Lends times, values and timestamps of the same rows to `f`; see [`Table::lend_group`].
    pub(crate) fn lend_group(
        &self,
        (segment, key): (i64, &[u8]),
        end: Suffix,
        times: &Times,
        reverse: bool,
        f: LendRow<'_>,
    ) -> Result<bool> {
        match &self.special {
            Some(special) => self.read_special(special, |database, rows| match rows.appended() {
                Some(rows) => rows.lend_group(database, (segment, key), end, times, reverse, f),
                None => Ok(false),
            }),
            None => self.with_row_key(segment, key, &[], |group| {
                self.read(|database, table| table.lend_group(database, (group, end), times, reverse, f))
            }),
        }
    }

    /// At most about `max_rows` rows from a key on, in order; none only at the end.
    pub(crate) fn list(&self, lo: &[u8], max_rows: usize, list: &mut RowList) -> Result<()> {
        if let Some(special) = &self.special {
            let in_place = self.read_special(special, |database, rows| match rows.passing() {
                Some(rows) => rows.list(database, lo, max_rows, list).map(|()| true),
                None => Ok(false),
            })?;
            if in_place {
                return Ok(());
            }
        }
        list.clear();
        let range = (Bound::Included(lo), Bound::Unbounded);
        let rows = self.page(range, false, max_rows)?;
        rows.iter().for_each(|row| list.push(&row.key, &row.value));
        Ok(())
    }

    pub(crate) fn log(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, headers: &Headers) -> Result<()> {
        if !self.spec.logging {
            return Ok(());
        }
        let wanted = match (self.spec.logged_headers, value) {
            (LoggedHeaders::Kept, Some(row)) => return self.log_kept(key, row, timestamp),
            (LoggedHeaders::Never, _) => false,
            (LoggedHeaders::OfDeletions | LoggedHeaders::Kept, _) => value.is_none(),
            (LoggedHeaders::Always, _) => true,
        };
        self.logger
            .log(self.index, key, value, Some(timestamp), wanted.then_some(headers))
    }

    /// The changelog has the headers of a row as those of the record.
    fn log_kept(&self, key: &[u8], row: &[u8], timestamp: i64) -> Result<()> {
        let (headers, value) = split_headers(row).ok_or_else(|| self.malformed())?;
        self.logger
            .log(self.index, key, Some(value), Some(timestamp), Some(&headers))
    }

    /// Reads a row and gives its timestamp and the headers it keeps; `out` is its value.
    pub(crate) fn get_with_headers(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<(i64, Headers)>> {
        let Some(timestamp) = self.get(key, out)? else {
            return Ok(None);
        };
        Ok(Some((timestamp, self.take_headers(out)?)))
    }

    /// The headers that a row keeps, which are taken out of it.
    pub(crate) fn take_headers(&self, row: &mut Vec<u8>) -> Result<Headers> {
        if !self.spec.keeps_headers() {
            return Ok(Headers::new());
        }
        take_headers(row).ok_or_else(|| self.malformed())
    }

    /// The value of a row that was found, and the headers it keeps.
    pub(crate) fn value_and_headers(&self, row: Rc<[u8]>) -> Result<(Rc<[u8]>, Headers)> {
        if !self.spec.keeps_headers() {
            return Ok((row, Headers::new()));
        }
        let (headers, value) = split_headers(&row).ok_or_else(|| self.malformed())?;
        Ok((value.into(), headers))
    }

    /// Writes to the changelog; the broker assigns the time.
    pub(crate) fn log_untimed(&self, key: &[u8], value: Option<&[u8]>, headers: Option<&Headers>) -> Result<()> {
        if !self.spec.logging {
            return Ok(());
        }
        self.logger.log(self.index, key, value, None, headers)
    }

    #[cold]
    pub(crate) fn malformed(&self) -> StateError {
        StateError::MalformedRow {
            store: self.spec.name.to_string(),
        }
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
        context: &dyn UpdateContext,
    ) -> Result<()> {
        self.database.with(self.index, |database| {
            self.table
                .borrow_mut()
                .put_waiting(database, row_key, value, timestamp, context)
        })
    }

    /// Logs and hands out the cached updates, except those that left nothing behind and have a listener. Gives the number
    /// of rows that had expired.
    ///
    /// Nothing is borrowed while `f` runs: operators behind it may read and write this very store.
    pub(crate) fn flush(&self, mut f: Option<FlushTo<'_>>, beneath: &dyn Beneath) -> Result<u64> {
        let mut expired = 0;
        let order = self.table.borrow().waiting_order();
        let (mut row_key, mut value) = (Vec::new(), Vec::new());
        for position in order {
            let Some(update) = self.table.borrow_mut().take_waiting(position) else {
                continue;
            };
            let timestamp = self.table.borrow_mut().row_of(&update, &mut row_key, &mut value);
            let new = timestamp.map(|timestamp| (value.as_slice(), timestamp));
            let old = update.old().filter(|_| beneath.shows(&row_key));
            if f.is_some() && new.is_none() && old.is_none() {
                continue;
            }
            let context = &update.context;
            let kept = beneath.take(&row_key, new.is_some(), context)?;
            if !kept {
                self.table.borrow_mut().expire(&row_key, self.cache_bytes.get());
                expired += 1;
            }
            let key = beneath.logged(&row_key);
            let logged_at = new
                .filter(|_| self.spec.kind.is_timestamped())
                .map_or(context.timestamp, |(_, time)| time);
            self.log(key, new.map(|(value, _)| value), logged_at, &context.headers)?;
            if let Some(f) = &mut f {
                f(CachedUpdate {
                    key,
                    new,
                    old,
                    context,
                    kept,
                })?;
            }
        }
        Ok(expired)
    }

    /// Whether the record cache has the row, so that it is seen even when it has expired.
    pub(crate) fn is_in_cache(&self, row_key: &[u8]) -> bool {
        self.cached && self.table.borrow().is_cached(row_key)
    }

    /// Whether anything waits in the record cache.
    pub(crate) fn has_pending(&self) -> bool {
        self.cached && !self.table.borrow().waiting_is_empty()
    }

    /// Deletes the row under the record cache; see [`Table::delete_beneath_cache`].
    pub(crate) fn delete_beneath_cache(&self, row_key: &[u8]) {
        let mut table = self.table.borrow_mut();
        table.delete_beneath_cache(row_key, self.cache_bytes.get());
    }

    /// Whether a read went past the record cache, which holds the row from now on.
    pub(crate) fn is_read_past_cache(&self, row_key: &[u8]) -> bool {
        !self.cached || self.table.borrow_mut().enter_cache(row_key)
    }

    /// Writes what a commit has to make final.
    pub(crate) fn write(&self, batch: &mut dyn BatchWriter, offset: Option<i64>) {
        let family = self.index.0 as usize;
        let expired = self.expired_below.borrow();
        let expired = expired.as_deref().filter(|_| self.expiry_pending.get());
        if let Some(end) = expired {
            batch.delete_below(family, end);
        }
        match &self.special {
            Some(special) => special.borrow_mut().write(batch, expired),
            None => self.table.borrow_mut().write(batch, expired),
        }
        batch.mark(
            family,
            Mark {
                offset,
                observed: self.observed.get(),
            },
        );
    }

    pub(crate) fn committed(&self) {
        let expired = self.expired_below.borrow();
        let newly_expired = expired.as_deref().filter(|_| self.expiry_pending.take());
        match &self.special {
            Some(special) => special.borrow_mut().committed(newly_expired),
            None => self.table.borrow_mut().committed(newly_expired),
        }
        self.committed_observed.set(self.observed.get());
        self.tell_new_segments();
        if !self.has_pending() {
            self.cached_segments.clear();
        }
        self.database.recency(self.index, Recency::committed);
        self.committed_sequences
            .set((self.row_sequence.get(), self.log_sequence.get()));
    }

    pub(crate) fn discard(&self) {
        self.life.set(self.life.get() + 1);
        self.expired_below.take();
        self.expiry_pending.set(false);
        self.cached_segments.clear();
        match &self.special {
            Some(special) => special.borrow_mut().forget(),
            None => self.table.borrow_mut().forget(),
        }
        self.database.recency(self.index, Recency::discard);
        let mark = self.database.mark(self.index).unwrap_or_default();
        self.observed.set(mark.observed);
        let (row, log) = self.committed_sequences.get();
        self.row_sequence.set(row);
        self.log_sequence.set(log);
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        if let Some(special) = &self.special {
            return special.borrow().dirty_bytes();
        }
        let table = self.table.borrow();
        table.dirty_bytes() + table.waiting_bytes()
    }
}

/// Where numbering duplicates goes on. Every number stands for a record of the changelog, so the next offset is beyond
/// all that were given; Kafka Streams begins at 0 after a restart, and a duplicate may then overwrite another.
fn first_sequence(mark: Mark) -> i32 {
    let offset = mark.offset.unwrap_or(0) & i64::from(i32::MAX);
    i32::try_from(offset).unwrap_or(0)
}
