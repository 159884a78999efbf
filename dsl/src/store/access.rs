//! How a processor reaches a store: raw state, serdes, and the context that updates are logged with.
use std::{any::Any, cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::{Headers, RecordContext, StateError, keep_headers};

use super::TimedRow;
use crate::{
    engine::{ProcessErrorKind, TaskContext},
    serde::{SerdeError, SharedSerde, read, write},
};

/// A typed handle of a store. Kinds of stores of one's own are handles over one of ours: rows, changelog, commits and
/// aborts are taken care of there. Kafka Streams: a `StateStore` of one's own.
///
/// ```
/// use millstream_dsl::{prelude::*, store::{Handle, StoreAccess}, testing::Runner};
/// /// Keeps the highest number of each key.
/// struct Highest(KeyValueStore<String, i64>);
/// impl Handle for Highest {
///     fn open(access: &StoreAccess) -> Result<Self, String> {
///         KeyValueStore::open(access).map(Self)
///     }
/// }
/// impl Highest {
///     fn offer(&self, key: &String, n: i64) -> Result<bool, BoxError> {
///         let higher = self.0.get(key)?.is_none_or(|known| n > known);
///         if higher {
///             self.0.put(key, &n)?;
///         }
///         Ok(higher)
///     }
/// }
/// #[derive(Default)]
/// struct Records(Option<Highest>);
/// impl FixedKeyProcessor<String, i64, i64> for Records {
///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>) -> Result<(), BoxError> {
///         self.0 = Some(ctx.store("highest")?);
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, i64>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         if self.0.as_ref().ok_or("no store")?.offer(record.key(), *record.value())? {
///             ctx.forward(record)?;
///         }
///         Ok(())
///     }
/// }
/// let builder = StreamsBuilder::new();
/// let highest = Processing::new().with_store(Store::<String, i64>::key_value("highest"));
/// builder.stream::<String, i64>("in").process_values_with(Records::default, highest).to("out");
/// let runner = Runner::new(&builder.build()?)?;
/// for n in [3i64, 2, 5] {
///     runner.pipe("in", "a".to_owned(), n)?;
/// }
/// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 3), ("a".to_owned(), 5)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "StateStore")]
pub trait Handle: Sized {
    /// Opens the store; an error says what does not fit. See [`Handle`] for a kind of store of one's own.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, store::{Handle, StoreAccess}, testing::with_context};
    /// /// Only ever grows.
    /// struct Counter(KeyValueStore<String, i64>);
    /// impl Handle for Counter {
    ///     fn open(access: &StoreAccess) -> Result<Self, String> {
    ///         KeyValueStore::open(access).map(Self)
    ///     }
    /// }
    /// # let runner = with_context(|ctx, record| {
    /// let counter: Counter = ctx.store("counts")?; // in `init` of a processor
    /// # let n = counter.0.get(record.key)?.unwrap_or(0) + 1;
    /// # counter.0.put(record.key, &n)?;
    /// # ctx.forward(record.with_value(&n))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn open(access: &StoreAccess) -> Result<Self, String>;
}

/// Serdes of a store, as the topology keeps them.
pub struct StoreSerdes<K, V> {
    /// Serde of the key.
    pub key: SharedSerde<K>,
    /// Serde of the value.
    pub value: SharedSerde<V>,
}
impl<K, V> Clone for StoreSerdes<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

/// A store a processor is connected to.
#[derive(Clone)]
pub struct StoreAccess {
    pub(crate) name: Arc<str>,
    pub(crate) timestamped: bool,
    pub(crate) keeps_headers: bool,
    pub(crate) serdes: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) context: Rc<TaskContext>,
}

/// What iterators of stores give.
pub(crate) type Row<T> = Result<T, StoreFailure>;

/// What a handle expects rows to keep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// A value; times are not looked at.
    Value,
    /// A value and its timestamp.
    Timestamp,
    /// Headers, too.
    Headers,
}

impl Keeps {
    pub(crate) fn of<V, R: TimedRow<V>>() -> Self {
        if R::HAS_HEADERS { Self::Headers } else { Self::Timestamp }
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFailure {
    /// Key or value could not be written.
    #[error("store {store}: {error}")]
    Serialize {
        /// The store.
        store: Arc<str>,
        /// Why.
        #[source]
        error: SerdeError,
    },
    /// A row could not be read as the declared types.
    #[error("store {store}: {error}")]
    Deserialize {
        /// The store.
        store: Arc<str>,
        /// Why.
        #[source]
        error: SerdeError,
    },
    /// Null has no row.
    #[error("store {store}: the key is null")]
    NullKey {
        /// The store.
        store: Arc<str>,
    },
    /// A time before the epoch.
    #[error("store {store}: {time} is before the epoch")]
    NegativeTime {
        /// The store.
        store: Arc<str>,
        /// Milliseconds since the epoch.
        time: i64,
    },
    /// The state itself failed; the task stops.
    #[error("store {store}: {error}")]
    State {
        /// The store.
        store: Arc<str>,
        /// Why.
        #[source]
        error: StateError,
    },
}
impl StoreFailure {
    pub(crate) fn kind(&self) -> ProcessErrorKind {
        match self {
            Self::Serialize { .. } => ProcessErrorKind::Serialization,
            Self::Deserialize { .. } => ProcessErrorKind::Deserialization,
            Self::NullKey { .. } => ProcessErrorKind::NullKey,
            Self::NegativeTime { .. } => ProcessErrorKind::InvalidArgument,
            Self::State { .. } => ProcessErrorKind::Store,
        }
    }
}

impl StoreAccess {
    /// Whether the rows keep what a handle expects; an error says what they do not.
    pub(crate) fn check(&self, keeps: Keeps) -> Result<(), String> {
        match keeps {
            Keeps::Headers if !self.keeps_headers => Err("its rows keep no headers".to_owned()),
            Keeps::Value | Keeps::Timestamp if self.keeps_headers => Err("its rows keep headers".to_owned()),
            Keeps::Timestamp if !self.timestamped => Err("its rows have no timestamps".to_owned()),
            _ => Ok(()),
        }
    }
    pub(crate) fn is_cached(&self) -> bool {
        let state = self.context.state();
        state.key_value(&self.name).is_some_and(|s| s.is_cached())
            || state.window(&self.name).is_some_and(|s| s.is_cached())
            || state.session(&self.name).is_some_and(|s| s.is_cached())
    }
    /// Logs what the record cache of the store holds; nobody listens to the updates of a processor's store.
    pub(crate) fn flush(&self) -> Result<(), StateError> {
        let state = self.context.state();
        if let Some(store) = state.key_value(&self.name).filter(|s| s.is_cached()) {
            store.log_cache()?;
        }
        let mut expired = 0;
        if let Some(store) = state.window(&self.name).filter(|s| s.is_cached()) {
            expired += store.log_cache()?;
        }
        if let Some(store) = state.session(&self.name).filter(|s| s.is_cached()) {
            expired += store.log_cache()?;
        }
        (0..expired).for_each(|_| self.context.count_dropped());
        Ok(())
    }
    pub(crate) fn typed<K: 'static, V: 'static, S>(
        &self,
        raw: Option<Rc<S>>,
        kind: &str,
    ) -> Result<Typed<K, V, S>, String> {
        let raw = raw.ok_or_else(|| format!("it is no {kind} store"))?;
        let serdes = self.serdes.as_ref().and_then(|s| s.downcast_ref::<StoreSerdes<K, V>>());
        let Some(serdes) = serdes else {
            return Err(format!("its types are not {}", std::any::type_name::<(K, V)>()));
        };
        Ok(Typed {
            name: self.name.clone(),
            raw,
            serdes: serdes.clone(),
            context: self.context.clone(),
            key_buffer: RefCell::default(),
            value_buffer: RefCell::default(),
        })
    }
}

/// Raw store, serdes and reused buffers: what all handles are made of.
pub(crate) struct Typed<K, V, S> {
    pub(crate) name: Arc<str>,
    pub(crate) raw: Rc<S>,
    serdes: StoreSerdes<K, V>,
    context: Rc<TaskContext>,
    key_buffer: RefCell<Vec<u8>>,
    value_buffer: RefCell<Vec<u8>>,
}
impl<K, V, S> Typed<K, V, S> {
    pub(crate) fn context(&self) -> RecordContext {
        self.context.current_context()
    }
    pub(crate) fn time(&self) -> i64 {
        self.context.current_time()
    }
    /// A write that came too late for the store is a dropped record, as in Kafka Streams.
    pub(crate) fn count_late(&self, taken: bool) -> bool {
        if !taken {
            self.context.count_dropped();
        }
        taken
    }
    /// Kafka Streams has no windows and no records before the epoch.
    pub(crate) fn check_time(&self, time: i64) -> Result<(), StoreFailure> {
        if time >= 0 {
            return Ok(());
        }
        let store = self.name.clone();
        Err(StoreFailure::NegativeTime { store, time })
    }
    pub(crate) fn failed(&self, error: StateError) -> StoreFailure {
        StoreFailure::State {
            store: self.name.clone(),
            error,
        }
    }
    pub(crate) fn with_key<T>(
        &self,
        key: &K,
        f: impl FnOnce(&[u8]) -> millstream_state::Result<T>,
    ) -> Result<T, StoreFailure> {
        let mut buffer = self.key_buffer.borrow_mut();
        let written = write(&*self.serdes.key, key, &mut buffer).map_err(|error| StoreFailure::Serialize {
            store: self.name.clone(),
            error,
        })?;
        if !written {
            return Err(StoreFailure::NullKey {
                store: self.name.clone(),
            });
        }
        f(&buffer).map_err(|e| self.failed(e))
    }
    pub(crate) fn with_key_and_value<T>(
        &self,
        key: &K,
        value: Option<&V>,
        f: impl FnOnce(&[u8], Option<&[u8]>) -> millstream_state::Result<T>,
    ) -> Result<T, StoreFailure> {
        self.with_row(key, value, None, f)
    }
    /// Lends key and value as bytes; the value behind the headers, in stores that keep them.
    pub(crate) fn with_row<T>(
        &self,
        key: &K,
        value: Option<&V>,
        headers: Option<&Headers>,
        f: impl FnOnce(&[u8], Option<&[u8]>) -> millstream_state::Result<T>,
    ) -> Result<T, StoreFailure> {
        let mut buffer = self.value_buffer.borrow_mut();
        let present = match value {
            None => false,
            Some(value) => write(&*self.serdes.value, value, &mut buffer).map_err(|error| StoreFailure::Serialize {
                store: self.name.clone(),
                error,
            })?,
        };
        if let Some(headers) = headers.filter(|_| present) {
            keep_headers(headers, &mut buffer);
        }
        self.with_key(key, |key| f(key, present.then_some(buffer.as_slice())))
    }
    pub(crate) fn key(&self, bytes: &[u8]) -> Result<K, StoreFailure> {
        read(&*self.serdes.key, Some(bytes)).map_err(|error| StoreFailure::Deserialize {
            store: self.name.clone(),
            error,
        })
    }
    pub(crate) fn value(&self, bytes: &[u8]) -> Result<V, StoreFailure> {
        read(&*self.serdes.value, Some(bytes)).map_err(|error| StoreFailure::Deserialize {
            store: self.name.clone(),
            error,
        })
    }
    pub(crate) fn bytes(&self, key: Option<&K>) -> Result<Option<Vec<u8>>, StoreFailure> {
        key.map(|key| self.with_key(key, |bytes| Ok(bytes.to_vec())))
            .transpose()
    }
    /// Reads a value through `get`, which fills the buffer.
    pub(crate) fn read<T>(
        &self,
        key: &K,
        get: impl FnOnce(&[u8], &mut Vec<u8>) -> millstream_state::Result<Option<T>>,
    ) -> Result<Option<(V, T)>, StoreFailure> {
        let mut buffer = self.value_buffer.borrow_mut();
        let found = self.with_key(key, |key| get(key, &mut buffer))?;
        found.map(|extra| Ok((self.value(&buffer)?, extra))).transpose()
    }
}
