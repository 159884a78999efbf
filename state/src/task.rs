//! The live state of one task, on its stream thread.
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::core::Core;
use crate::database::MakeReader;
use crate::global::GlobalReader;
use crate::segments::Segments;
use crate::task_database::SharedDatabase;
use crate::{
    ChangeLogger, KeyValueStore, RecordBuffer, Result, SessionStore, StateError, StoreIndex, StoreKind, SuppressBuffer,
    TaskDatabase, VersionedStore, WindowStore,
};

/// Committed rows of one store that stay in memory where nobody says how many.
const CLEAN_BYTES: usize = 2 << 20;
/// At least so many: the hot keys of a store.
const MIN_CLEAN_BYTES: usize = 64 << 10;

/// What the persistent stores of an instance have where nobody says how much.
pub const STATE_MEMORY_BYTES: usize = 64 << 20;

/// The part of the memory of the persistent stores that is for committed rows as the stream threads hold them; the
/// rest is for the database.
pub fn row_cache_bytes(state_memory_bytes: usize) -> usize {
    state_memory_bytes / 4
}

/// Bytes of committed rows that one of so many stores may keep.
fn clean_share(row_cache_bytes: usize, cache_share: usize, stores: usize) -> usize {
    (row_cache_bytes / stores.max(1)).max(cache_share).max(MIN_CLEAN_BYTES)
}

enum Handle {
    KeyValue(Rc<KeyValueStore>),
    Window(Rc<WindowStore>),
    Session(Rc<SessionStore>),
    Versioned(Rc<VersionedStore>),
    Suppress(Rc<SuppressBuffer>),
    Records(Rc<RecordBuffer>),
}

impl Handle {
    fn of(core: Rc<Core>) -> Self {
        match (&core.spec.kind, Segments::of(&core.spec.kind)) {
            (StoreKind::Window { .. }, Some(segments)) => Self::Window(Rc::new(WindowStore::new(core, segments))),
            (StoreKind::Session { .. }, Some(segments)) => Self::Session(Rc::new(SessionStore::new(core, segments))),
            (StoreKind::Versioned { .. }, _) => Self::Versioned(Rc::new(VersionedStore::new(core))),
            (StoreKind::Suppress, _) => Self::Suppress(Rc::new(SuppressBuffer::new(core))),
            (StoreKind::RecordBuffer, _) => Self::Records(Rc::new(RecordBuffer::new(core))),
            _ => Self::KeyValue(Rc::new(KeyValueStore::new(core))),
        }
    }
}

struct Inner {
    database: Rc<SharedDatabase>,
    cores: Vec<Rc<Core>>,
    handles: HashMap<Arc<str>, Handle>,
    /// The global stores, of which nothing is ever committed here.
    globals: Option<Rc<SharedDatabase>>,
    global_cores: Vec<Rc<Core>>,
}

/// How much memory the stores of a task may take, and what it sees of other stores.
#[derive(Clone, Copy, Default)]
pub struct TaskOptions<'a> {
    /// The record cache of this task; 0 switches caching off for every store.
    pub cache_bytes: usize,
    /// Memory for committed rows of this task, so that they need not be read from the database again. See
    /// [`row_cache_bytes`].
    pub row_cache_bytes: usize,
    /// Stores every instance holds whole: the task reads them under their names.
    pub globals: Option<&'a GlobalReader>,
}

/// The live state of one task: database and overlay. Clones share it.
#[derive(Clone)]
pub struct TaskState {
    inner: Rc<Inner>,
}

impl TaskState {
    /// `cache_bytes`: the record cache of this task; 0 switches caching off for every store.
    pub fn new(database: TaskDatabase, logger: Rc<dyn ChangeLogger>, cache_bytes: usize) -> Self {
        let stores = database.specs().len();
        let options = TaskOptions {
            cache_bytes,
            row_cache_bytes: CLEAN_BYTES * stores,
            globals: None,
        };
        Self::with(database, logger, options)
    }

    /// As [`new`](Self::new), with more to say.
    pub fn with(database: TaskDatabase, logger: Rc<dyn ChangeLogger>, options: TaskOptions<'_>) -> Self {
        let specs = database.specs().to_vec();
        let stores = (specs.len() + options.globals.map_or(0, GlobalReader::len)).max(1);
        let database = Rc::new(SharedDatabase::new(database));
        let share = options.cache_bytes / specs.len().max(1);
        let clean = clean_share(options.row_cache_bytes, share, stores);
        let mut cores = Vec::with_capacity(specs.len());
        let mut handles = HashMap::new();
        for (index, spec) in (0..).zip(specs) {
            let name = Arc::clone(&spec.name);
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
            handles.insert(name, Handle::of(core));
        }
        let mut global_cores = Vec::new();
        let globals = options.globals.map(|reader| {
            let (database, cores) = reader.open(&logger, clean);
            for core in cores {
                let core = Rc::new(core);
                handles.insert(Arc::clone(&core.spec.name), Handle::of(Rc::clone(&core)));
                global_cores.push(core);
            }
            database
        });
        Self {
            inner: Rc::new(Inner {
                database,
                cores,
                handles,
                globals,
                global_cores,
            }),
        }
    }

    /// The stores with rows that a commit would change, and their highest times.
    pub(crate) fn dirty(&self) -> Vec<(StoreIndex, i64)> {
        let dirty = self.inner.cores.iter().filter(|core| core.is_dirty());
        dirty.map(|core| (core.index, core.observed())).collect()
    }

    /// How others can read the committed rows.
    pub(crate) fn share(&self) -> Result<[MakeReader; 2]> {
        self.inner.database.with_mut(|database| {
            database
                .share()
                .ok_or_else(|| StateError::Database("its rows cannot be shared".into()))
        })
    }

    /// Empties a store and forgets its offset.
    pub(crate) fn wipe(&self, store: StoreIndex) -> Result<()> {
        self.inner.database.with_mut(|database| database.wipe(store))?;
        if let Some(core) = self.inner.cores.get(store.0 as usize) {
            core.discard();
        }
        Ok(())
    }

    /// Gives the record cache and the committed rows of this task other budgets: the tasks of a thread share what it
    /// has, and their number changes.
    pub fn share_memory(&self, cache_bytes: usize, row_cache_bytes: usize) {
        let own = self.inner.cores.len().max(1);
        let share = cache_bytes / own;
        let clean = clean_share(row_cache_bytes, share, own + self.inner.global_cores.len());
        for core in self.inner.cores.iter().chain(&self.inner.global_cores) {
            core.share_memory(share, clean);
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
        if let Some(globals) = &self.inner.globals {
            globals.take();
        }
        self.inner.database.take()
    }
}
