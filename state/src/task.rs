//! The live state of one task, on its stream thread.
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::core::Core;
use crate::segments::Segments;
use crate::task_database::SharedDatabase;
use crate::{
    ChangeLogger, KeyValueStore, RecordBuffer, Result, SessionStore, StoreIndex, StoreKind, SuppressBuffer,
    TaskDatabase, VersionedStore, WindowStore,
};

/// Committed rows of one store that stay in memory even when the record cache is switched off.
const MIN_CLEAN_BYTES: usize = 2 << 20;

/// The part of the memory of the persistent stores that is for committed rows as the stream threads hold them; the
/// rest is for the database.
pub fn row_cache_bytes(state_memory_bytes: usize) -> usize {
    state_memory_bytes / 4
}

enum Handle {
    KeyValue(Rc<KeyValueStore>),
    Window(Rc<WindowStore>),
    Session(Rc<SessionStore>),
    Versioned(Rc<VersionedStore>),
    Suppress(Rc<SuppressBuffer>),
    Records(Rc<RecordBuffer>),
}

struct Inner {
    database: Rc<SharedDatabase>,
    cores: Vec<Rc<Core>>,
    handles: HashMap<Arc<str>, Handle>,
}

/// The live state of one task: database and overlay. Clones share it.
#[derive(Clone)]
pub struct TaskState {
    inner: Rc<Inner>,
}

impl TaskState {
    /// `cache_bytes`: the record cache of this task; 0 switches caching off for every store.
    pub fn new(database: TaskDatabase, logger: Rc<dyn ChangeLogger>, cache_bytes: usize) -> Self {
        Self::with_row_cache(database, logger, cache_bytes, 0)
    }

    /// As [`new`](Self::new); `row_cache_bytes`: memory for committed rows of this task, so that they need not be read
    /// from the database again. See [`row_cache_bytes`].
    pub fn with_row_cache(
        database: TaskDatabase,
        logger: Rc<dyn ChangeLogger>,
        cache_bytes: usize,
        row_cache_bytes: usize,
    ) -> Self {
        let specs = database.specs().to_vec();
        let database = Rc::new(SharedDatabase::new(database));
        let share = cache_bytes / specs.len().max(1);
        let clean_share = row_cache_bytes / specs.len().max(1);
        let mut cores = Vec::with_capacity(specs.len());
        let mut handles = HashMap::new();
        for (index, spec) in (0..).zip(specs) {
            let name = Arc::clone(&spec.name);
            let segments = Segments::of(&spec.kind);
            let kind = spec.kind.clone();
            let clean = share.max(clean_share).max(MIN_CLEAN_BYTES);
            let core = Core::new(
                spec,
                StoreIndex(index),
                Rc::clone(&database),
                Rc::clone(&logger),
                share,
                clean,
            );
            let core = Rc::new(core);
            cores.push(Rc::clone(&core));
            let handle = match (kind, segments) {
                (StoreKind::Window { .. }, Some(segments)) => Handle::Window(Rc::new(WindowStore::new(core, segments))),
                (StoreKind::Session { .. }, Some(segments)) => {
                    Handle::Session(Rc::new(SessionStore::new(core, segments)))
                }
                (StoreKind::Versioned { .. }, _) => Handle::Versioned(Rc::new(VersionedStore::new(core))),
                (StoreKind::Suppress, _) => Handle::Suppress(Rc::new(SuppressBuffer::new(core))),
                (StoreKind::RecordBuffer, _) => Handle::Records(Rc::new(RecordBuffer::new(core))),
                _ => Handle::KeyValue(Rc::new(KeyValueStore::new(core))),
            };
            handles.insert(name, handle);
        }
        Self {
            inner: Rc::new(Inner {
                database,
                cores,
                handles,
            }),
        }
    }

    /// A key-value store (plain, timestamped, LRU or raw).
    pub fn key_value(&self, name: &str) -> Option<Rc<KeyValueStore>> {
        match self.inner.handles.get(name) {
            Some(Handle::KeyValue(store)) => Some(Rc::clone(store)),
            _ => None,
        }
    }

    /// A window store.
    pub fn window(&self, name: &str) -> Option<Rc<WindowStore>> {
        match self.inner.handles.get(name) {
            Some(Handle::Window(store)) => Some(Rc::clone(store)),
            _ => None,
        }
    }

    /// A session store.
    pub fn session(&self, name: &str) -> Option<Rc<SessionStore>> {
        match self.inner.handles.get(name) {
            Some(Handle::Session(store)) => Some(Rc::clone(store)),
            _ => None,
        }
    }

    /// A versioned store.
    pub fn versioned(&self, name: &str) -> Option<Rc<VersionedStore>> {
        match self.inner.handles.get(name) {
            Some(Handle::Versioned(store)) => Some(Rc::clone(store)),
            _ => None,
        }
    }

    /// The buffer of a suppressed table.
    pub fn suppress(&self, name: &str) -> Option<Rc<SuppressBuffer>> {
        match self.inner.handles.get(name) {
            Some(Handle::Suppress(store)) => Some(Rc::clone(store)),
            _ => None,
        }
    }

    /// The records of a stream that wait for a table.
    pub fn record_buffer(&self, name: &str) -> Option<Rc<RecordBuffer>> {
        match self.inner.handles.get(name) {
            Some(Handle::Records(store)) => Some(Rc::clone(store)),
            _ => None,
        }
    }

    /// The overlay goes to the database together with the changelog offsets (next to write) it stands for.
    /// Caches must have been flushed.
    ///
    /// # Errors
    /// When the database refuses. The state is then poisoned: no further write is accepted.
    pub fn commit(&self, offsets: &[(StoreIndex, i64)]) -> Result<()> {
        let cores = &self.inner.cores;
        // What lives where, and the marks, are read before the database is borrowed for writing.
        let in_memory: Vec<bool> = self
            .inner
            .database
            .with_mut(|database| Ok(cores.iter().map(|core| database.lives_in_memory(core.index)).collect()))?;
        let marks: Vec<Option<i64>> = cores
            .iter()
            .map(|core| {
                let known = offsets
                    .iter()
                    .find(|(index, _)| *index == core.index)
                    .map(|(_, offset)| *offset);
                known.or_else(|| self.inner.database.mark(core.index).and_then(|mark| mark.offset))
            })
            .collect();
        self.inner.database.with_mut(|database| {
            database.apply(&mut |memory, batch| {
                for ((core, lives_in_memory), offset) in cores.iter().zip(&in_memory).zip(&marks) {
                    if *lives_in_memory == memory {
                        core.write(batch, *offset);
                    }
                }
                Ok(())
            })
        })?;
        cores.iter().for_each(|core| core.committed());
        Ok(())
    }

    /// Forgets everything since the last commit.
    pub fn discard(&self) {
        self.inner.cores.iter().for_each(|core| core.discard());
    }

    /// Bytes that wait for the next commit, with their overhead.
    pub fn uncommitted_bytes(&self) -> usize {
        self.inner.cores.iter().map(|core| core.uncommitted_bytes()).sum()
    }

    /// Whether a record cache is over its budget: flush the caches soon.
    pub fn cache_is_full(&self) -> bool {
        self.inner.cores.iter().any(|core| core.cache_is_full())
    }

    /// Makes everything committed durable.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn flush(&self) -> Result<()> {
        self.inner.database.with_mut(TaskDatabase::flush)
    }

    /// Takes the database back; uncommitted writes are dropped, and handles of stores that are still around fail with
    /// [`StateError::Closed`](crate::StateError::Closed).
    pub fn into_database(self) -> Option<TaskDatabase> {
        self.discard();
        self.inner.database.take()
    }
}
