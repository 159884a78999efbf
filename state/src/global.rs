//! What does every instance hold whole? The stores of global tables: one thread fills them from their topics, the tasks of all
//! stream threads read them.
//!
//! The rows lie in one database, and with them, in the same batch, how far each partition of their topics has been read. A
//! commit of the writer shows its rows to all readers at once and then raises the version of each store it changed. Readers
//! keep rows they have read until they see another version, so that neither side ever waits for the other: with rows on
//! disk there is no lock at all, with rows in memory one for as long as a batch takes to be put in.
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::core::Core;
use crate::database::MakeReader;
use crate::task_database::SharedDatabase;
use crate::{
    ChangeLogger, Headers, KeyValueStore, LoggedHeaders, RecordContext, Result, StateEngine, StateError, StoreBackend,
    StoreIndex, StoreKind, StoreSpec, TaskDatabase, TaskState,
};

/// Name of the directory; that of Kafka Streams.
const NAME: &str = "global";
/// Stores of positions: of topics whose rows are on disk, and in memory. No store of a user has a blank in its name.
const POSITIONS: [(&str, StoreBackend); 2] = [
    ("positions on disk", StoreBackend::Persistent),
    ("positions in memory", StoreBackend::InMemory),
];

/// What readers of one store hear from its writer.
struct Published {
    version: AtomicU64,
    /// Highest time put so far.
    observed: AtomicI64,
}

struct Shared {
    stores: Vec<Published>,
    /// A reader has met rows that cannot be read.
    damaged: AtomicBool,
}

/// What a reader has heard so far.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    store: usize,
    /// No version: the first look is always news.
    seen: std::cell::Cell<u64>,
}

const NOTHING_SEEN: u64 = u64::MAX;

impl Watch {
    /// The store has been written since the last call: its highest time.
    pub(crate) fn news(&self) -> Option<i64> {
        let published = self.shared.stores.get(self.store)?;
        // Acquire: who sees the version sees the rows and the time that were written before it. A row that is read
        // between the writing and the raising of the version is newer than its version, and forgotten with it.
        let version = published.version.load(Ordering::Acquire);
        (self.seen.replace(version) != version).then(|| published.observed.load(Ordering::Relaxed))
    }

    /// An error that no task can get over by being opened anew.
    pub(crate) fn failed(&self, store: &str, error: StateError) -> StateError {
        if error.is_damage() {
            self.shared.damaged.store(true, Ordering::Relaxed);
        }
        StateError::Global {
            store: store.to_owned(),
            source: Box::new(error),
        }
    }
}

/// Lets the tasks of other threads read the committed rows of the global stores.
#[derive(Clone)]
pub struct GlobalReader {
    specs: Arc<[StoreSpec]>,
    rows: [MakeReader; 2],
    shared: Arc<Shared>,
}

impl GlobalReader {
    pub(crate) fn len(&self) -> usize {
        self.shared.stores.len()
    }

    /// The database and the stores of one task. Nothing is ever logged.
    pub(crate) fn open(
        &self,
        logger: &Rc<dyn ChangeLogger>,
        clean_budget_bytes: usize,
    ) -> (Rc<SharedDatabase>, Vec<Core>) {
        let [persistent, memory] = &self.rows;
        let database = TaskDatabase::of_both(&self.specs, persistent(), memory(), None);
        let database = Rc::new(SharedDatabase::new(database));
        let stores = (0..).zip(self.specs.iter().take(self.len()));
        let cores = stores.map(|(index, spec)| {
            let (database, logger) = (Rc::clone(&database), Rc::clone(logger));
            let core = Core::new(spec.clone(), StoreIndex(index), database, logger, 0, clean_budget_bytes);
            core.watching(Watch {
                shared: Arc::clone(&self.shared),
                store: index as usize,
                seen: std::cell::Cell::new(NOTHING_SEEN),
            })
        });
        let cores = cores.collect();
        (database, cores)
    }
}

/// The writer's side of the global stores.
pub struct GlobalState {
    engine: StateEngine,
    state: TaskState,
    specs: Arc<[StoreSpec]>,
    positions: [Rc<KeyValueStore>; 2],
    shared: Arc<Shared>,
}

impl GlobalState {
    /// Opens the database of these stores. One that is damaged is emptied: its topics fill it again.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(engine: &StateEngine, stores: &[StoreSpec]) -> Result<Self> {
        let positions = POSITIONS.map(|(name, backend)| StoreSpec {
            name: name.into(),
            kind: StoreKind::Raw,
            backend,
            caching: false,
            logging: false,
            logged_headers: LoggedHeaders::Never,
        });
        let unlogged = stores.iter().map(|spec| StoreSpec {
            caching: false,
            logging: false,
            ..spec.clone()
        });
        let specs: Arc<[StoreSpec]> = unlogged.chain(positions).collect();
        let database = match engine.open_shared(NAME, &specs) {
            Err(damage) if damage.is_damage() => {
                tracing::warn!(error = %damage, "the global stores are filled again from their topics");
                engine.wipe_task(NAME)?;
                engine.open_shared(NAME, &specs)?
            }
            opened => opened?,
        };
        let state = TaskState::new(database, Rc::new(NoChangelog), 0);
        let store = |(name, _): (&str, _)| {
            let closed = || StateError::Database(format!("no store {name}"));
            state.key_value(name).ok_or_else(closed)
        };
        let [on_disk, in_memory] = POSITIONS;
        Ok(Self {
            engine: engine.clone(),
            positions: [store(on_disk)?, store(in_memory)?],
            state,
            specs,
            shared: Arc::new(Shared {
                stores: stores.iter().map(|_| Published::new()).collect(),
                damaged: AtomicBool::new(false),
            }),
        })
    }

    /// The stores, for the operators that fill them.
    pub fn state(&self) -> &TaskState {
        &self.state
    }

    fn positions(&self, store: StoreIndex) -> &Rc<KeyValueStore> {
        let [on_disk, in_memory] = &self.positions;
        let spec = self.specs.get(store.0 as usize);
        let volatile = |s: &StoreSpec| s.backend == StoreBackend::InMemory || matches!(s.kind, StoreKind::Lru { .. });
        if spec.is_some_and(volatile) { in_memory } else { on_disk }
    }

    /// The offset of the next record of a partition that the store's rows do not stand for yet. `None`: nothing is known.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn position(&self, store: StoreIndex, topic: &str, partition: i32) -> Result<Option<i64>> {
        let mut value = Vec::new();
        let found = self.positions(store).get(&position_key(topic, partition), &mut value)?;
        Ok(found.and(value.try_into().ok().map(i64::from_be_bytes)))
    }

    /// Becomes part of the next commit.
    ///
    /// # Errors
    /// None that is known.
    pub fn set_position(&self, store: StoreIndex, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let key = position_key(topic, partition);
        self.positions(store)
            .put(&key, Some(&offset.to_be_bytes()), -1, &no_record())
    }

    /// Empties a store and forgets all positions of its topic. Only before there are readers.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn reset(&self, store: StoreIndex, topic: &str) -> Result<()> {
        let positions = self.positions(store);
        let of_topic: Vec<_> = positions.prefix(&position_prefix(topic)).collect::<Result<_>>()?;
        for row in of_topic {
            positions.put(&row.key, None, -1, &no_record())?;
        }
        // First the positions, and to the disk: a crash in between leaves rows without positions, which are emptied
        // again, and never positions of rows that are gone.
        self.state.commit(&[])?;
        self.state.flush()?;
        self.state.wipe(store)
    }

    /// The rows and positions written since the last commit become one batch, which readers then see.
    ///
    /// # Errors
    /// When the database refuses. Nothing more is accepted then.
    pub fn commit(&self) -> Result<()> {
        let dirty = self.state.dirty();
        self.state.commit(&[])?;
        for (store, observed) in dirty {
            if let Some(published) = self.shared.stores.get(store.0 as usize) {
                published.observed.store(observed, Ordering::Relaxed);
                published.version.fetch_add(1, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Lets others read. From here on no store can be reset.
    ///
    /// # Errors
    /// When the state has been closed.
    pub fn reader(&self) -> Result<GlobalReader> {
        Ok(GlobalReader {
            specs: Arc::clone(&self.specs),
            rows: self.state.share()?,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Drops what was not committed and makes the rest durable; the operators must be gone. What turned out to be damaged
    /// is deleted, so that the next start fills it again.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn close(self, damaged: bool) -> Result<()> {
        let Self {
            engine, state, shared, ..
        } = self;
        let closed = state.into_database().map_or(Ok(()), TaskDatabase::close);
        if damaged || shared.damaged.load(Ordering::Relaxed) {
            return engine.wipe_task(NAME);
        }
        closed
    }
}

impl Published {
    fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            observed: AtomicI64::new(-1),
        }
    }
}

/// Topics have no byte 0 in their names.
fn position_prefix(topic: &str) -> Vec<u8> {
    [topic.as_bytes(), &[0]].concat()
}

fn position_key(topic: &str, partition: i32) -> Vec<u8> {
    [&position_prefix(topic)[..], &partition.to_be_bytes()].concat()
}

fn no_record() -> RecordContext {
    RecordContext {
        topic: "".into(),
        partition: -1,
        offset: -1,
        timestamp: -1,
        headers: Headers::new(),
        source: None,
    }
}

/// The topics of the stores are their changelogs.
struct NoChangelog;

impl ChangeLogger for NoChangelog {
    fn log(&self, _: StoreIndex, _: &[u8], _: Option<&[u8]>, _: Option<i64>, _: Option<&Headers>) -> Result<()> {
        Ok(())
    }
}
