//! The committed state of one task: opened, restored and closed away from the stream thread.
use std::cell::RefCell;

use crate::appended::{self, unpacked};
use crate::database::memory::MemoryDatabase;
use crate::database::{BatchWriter, Database, MakeReader, Mark};
use crate::engine::TaskLock;
use crate::lru::Recency;
use crate::row_headers::keep_headers;
use crate::segments::Segments;
use crate::table::Table;
use crate::versioned::{Retention, Rows};
use crate::{ChangelogRecord, Headers, Result, StateError, StoreBackend, StoreIndex, StoreKind, StoreSpec};
use crate::{record_buffer, suppress};

/// The committed state of one task: `Send`, so that it can be restored away from the stream thread.
pub struct TaskDatabase {
    specs: Vec<StoreSpec>,
    persistent: Box<dyn Database>,
    memory: Box<dyn Database>,
    /// Per store; only LRU stores use theirs.
    recency: Vec<Recency>,
    poisoned: bool,
    /// Of whoever writes it.
    _lock: Option<TaskLock>,
}

impl TaskDatabase {
    pub(crate) fn new(specs: &[StoreSpec], persistent: Box<dyn Database>, lock: TaskLock) -> Self {
        let memory = Box::new(MemoryDatabase::of(specs));
        Self::of_both(specs, persistent, memory, Some(lock))
    }

    /// `lock`: none for somebody who only reads.
    pub(crate) fn of_both(
        specs: &[StoreSpec],
        persistent: Box<dyn Database>,
        memory: Box<dyn Database>,
        lock: Option<TaskLock>,
    ) -> Self {
        Self {
            memory,
            recency: specs.iter().map(|_| Recency::default()).collect(),
            specs: specs.to_vec(),
            persistent,
            poisoned: false,
            _lock: lock,
        }
    }

    /// The stores it was opened with.
    pub fn specs(&self) -> &[StoreSpec] {
        &self.specs
    }

    fn is_in_memory(&self, store: StoreIndex) -> bool {
        self.specs
            .get(store.0 as usize)
            .is_some_and(|spec| spec.backend == StoreBackend::InMemory || matches!(spec.kind, StoreKind::Lru { .. }))
    }

    pub(crate) fn of(&self, store: StoreIndex) -> &dyn Database {
        if self.is_in_memory(store) {
            &*self.memory
        } else {
            &*self.persistent
        }
    }

    fn of_mut(&mut self, store: StoreIndex) -> &mut dyn Database {
        if self.is_in_memory(store) {
            &mut *self.memory
        } else {
            &mut *self.persistent
        }
    }

    /// Changelog offset (next to read) the store's data stands for; `None`: nothing known, restore from the beginning.
    pub fn offset(&self, store: StoreIndex) -> Option<i64> {
        self.of(store).mark(store.0 as usize).offset
    }

    /// All committed rows of a store as bytes, in key order, however they lie there: to compare two databases.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[expect(clippy::type_complexity, reason = "pairs of bytes")]
    pub fn rows(&self, store: StoreIndex) -> Result<Vec<(Box<[u8]>, Box<[u8]>)>> {
        let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let rows = self.of(store).page(store.0 as usize, everything, false, usize::MAX)?;
        match self.specs.get(store.0 as usize) {
            Some(spec) => unpacked(spec, rows),
            None => Ok(rows),
        }
    }

    /// Whether the rows of a store keep the headers of changelog records.
    pub fn keeps_headers(&self, store: StoreIndex) -> bool {
        self.specs.get(store.0 as usize).is_some_and(StoreSpec::keeps_headers)
    }

    /// Applies changelog records and `next_offset` in one atomic batch.
    ///
    /// # Errors
    /// When the database refuses the batch, or a key is too short for its store.
    pub fn restore(&mut self, store: StoreIndex, records: &[ChangelogRecord<'_>], next_offset: i64) -> Result<()> {
        let family = store.0 as usize;
        let Some(spec) = self.specs.get(family).cloned() else {
            return Ok(());
        };
        let database = self.of_mut(store);
        let mut observed = database.mark(family).observed;
        if matches!(spec.kind, StoreKind::Versioned { .. }) {
            return restore_versions(database, family, &spec, records, next_offset);
        }
        if spec.kind == StoreKind::Suppress {
            return suppress::restore(database, family, &spec, records, next_offset);
        }
        if let StoreKind::Lru { max_entries, .. } = spec.kind {
            return self.restore_lru(family, &spec, max_entries, records, next_offset);
        }
        let segments = Segments::of(&spec.kind);
        let may_be_chunk = appended::suits(&spec.kind);
        database.apply(&mut |batch| {
            for record in records {
                match &segments {
                    Some(segments) => {
                        let time = segments.time_of(record.key).ok_or_else(|| malformed(&spec))?;
                        if may_be_chunk && !appended::is_row(record.key) {
                            return Err(malformed(&spec));
                        }
                        observed = observed.max(time);
                        write(batch, family, &spec, &segments.row_key(record.key, time), record);
                    }
                    None => {
                        if spec.kind == StoreKind::RecordBuffer {
                            let time = record_buffer::time_of(record.key).ok_or_else(|| malformed(&spec))?;
                            observed = observed.max(time);
                        }
                        write(batch, family, &spec, record.key, record);
                    }
                }
            }
            batch.mark(
                family,
                Mark {
                    offset: Some(next_offset),
                    observed,
                },
            );
            Ok(())
        })
    }

    /// The changelog tells who was written when. It may hold more rows than fit: tables log no tombstone for a row that
    /// was forgotten.
    fn restore_lru(
        &mut self,
        family: usize,
        spec: &StoreSpec,
        max_entries: usize,
        records: &[ChangelogRecord<'_>],
        next_offset: i64,
    ) -> Result<()> {
        let Some(recency) = self.recency.get_mut(family) else {
            return Ok(());
        };
        let observed = self.memory.mark(family).observed;
        self.memory.apply(&mut |batch| {
            for record in records {
                write(batch, family, spec, record.key, record);
                if record.value.is_none() {
                    recency.forget(record.key);
                    continue;
                }
                recency.touch(record.key);
                if let Some(eldest) = recency.evict_beyond(max_entries) {
                    batch.delete(family, &eldest);
                }
            }
            let offset = Some(next_offset);
            batch.mark(family, Mark { offset, observed });
            Ok(())
        })?;
        recency.committed();
        Ok(())
    }

    /// Who was used when, in an LRU store.
    pub(crate) fn recency(&mut self, store: StoreIndex) -> Option<&mut Recency> {
        self.recency.get_mut(store.0 as usize)
    }

    /// Empties one store and forgets its offset.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn wipe(&mut self, store: StoreIndex) -> Result<()> {
        if let Some(recency) = self.recency(store) {
            *recency = Recency::default();
        }
        self.of_mut(store).wipe(store.0 as usize)
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn flush(&mut self) -> Result<()> {
        self.persistent.flush()
    }

    /// Makes everything durable and gives the directory free.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn close(mut self) -> Result<()> {
        self.flush()
    }

    /// How others can read the rows on disk and those in memory.
    pub(crate) fn share(&self) -> Option<[MakeReader; 2]> {
        Some([self.persistent.share()?, self.memory.share()?])
    }

    /// One batch for the persistent stores; those in memory follow, as they cannot fail.
    pub(crate) fn apply(&mut self, fill: &mut dyn FnMut(bool, &mut dyn BatchWriter) -> Result<()>) -> Result<()> {
        if self.poisoned {
            return Err(StateError::Poisoned);
        }
        self.poisoned = true;
        self.persistent.apply(&mut |batch| fill(false, batch))?;
        self.memory.apply(&mut |batch| fill(true, batch))?;
        self.poisoned = false;
        Ok(())
    }

    pub(crate) fn lives_in_memory(&self, store: StoreIndex) -> bool {
        self.is_in_memory(store)
    }
}

/// Versions are replayed as puts, in the order of the changelog.
fn restore_versions(
    database: &mut dyn Database,
    family: usize,
    spec: &StoreSpec,
    records: &[ChangelogRecord<'_>],
    next_offset: i64,
) -> Result<()> {
    let retention = Retention::of(&spec.kind);
    let mut observed = database.mark(family).observed;
    let known = retention.expired_below(observed);
    let mut table = Table::new(family, false, 0, usize::MAX);
    let mut row = Vec::new();
    for record in records {
        observed = observed.max(record.timestamp);
        if record.timestamp < retention.oldest(observed) {
            continue;
        }
        let mut rows = Rows {
            store: &spec.name,
            database: &*database,
            table: &mut table,
            retention,
        };
        rows.put(record.key, record.value, record.timestamp, &mut row)?;
    }
    let end = retention.expired_below(observed);
    database.apply(&mut |batch| {
        if end > known {
            batch.delete_below(family, &end);
        }
        table.write(batch, Some(&end));
        batch.mark(
            family,
            Mark {
                offset: Some(next_offset),
                observed,
            },
        );
        Ok(())
    })
}

fn malformed(spec: &StoreSpec) -> StateError {
    StateError::MalformedRow {
        store: spec.name.to_string(),
    }
}

fn write(batch: &mut dyn BatchWriter, family: usize, spec: &StoreSpec, key: &[u8], record: &ChangelogRecord<'_>) {
    let kept = record.value.filter(|_| spec.keeps_headers()).map(|value| {
        let mut row = value.to_vec();
        keep_headers(record.headers.unwrap_or(&Headers::new()), &mut row);
        row
    });
    match kept.as_deref().or(record.value) {
        Some(value) if spec.kind.is_timestamped() => batch.put(family, key, &record.timestamp.to_be_bytes(), value),
        Some(value) => batch.put(family, key, &[], value),
        None => batch.delete(family, key),
    }
}

/// The database as the stores of a task share it; taken out when the task closes.
pub(crate) struct SharedDatabase {
    inner: RefCell<Option<TaskDatabase>>,
}

impl SharedDatabase {
    pub(crate) fn new(database: TaskDatabase) -> Self {
        Self {
            inner: RefCell::new(Some(database)),
        }
    }

    pub(crate) fn with<R>(&self, store: StoreIndex, f: impl FnOnce(&dyn Database) -> Result<R>) -> Result<R> {
        match &*self.inner.borrow() {
            Some(database) => f(database.of(store)),
            None => Err(StateError::Closed),
        }
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(&mut TaskDatabase) -> Result<R>) -> Result<R> {
        match &mut *self.inner.borrow_mut() {
            Some(database) => f(database),
            None => Err(StateError::Closed),
        }
    }

    /// The order of use of an LRU store; nothing to do once the task is closed.
    pub(crate) fn recency<R>(&self, store: StoreIndex, f: impl FnOnce(&mut Recency) -> R) -> Option<R> {
        self.inner.borrow_mut().as_mut()?.recency(store).map(f)
    }

    pub(crate) fn mark(&self, store: StoreIndex) -> Option<Mark> {
        self.inner
            .borrow()
            .as_ref()
            .map(|database| database.of(store).mark(store.0 as usize))
    }

    pub(crate) fn take(&self) -> Option<TaskDatabase> {
        self.inner.borrow_mut().take()
    }
}
