//! How an operator looks a row of a table up, also when the table has no store of its own.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::{KeyValueStore, RecordBuffer, SessionStore, StateError, SuppressBuffer, TaskState, WindowStore};

use crate::{
    engine::{NodeScope, ProcessError, ProcessErrorKind, TaskContext},
    serde::{Serde, SharedSerde, write},
    window::{Window, Windowed},
};

use super::{faults, store::TableStore};

/// A row of a table, with its timestamp.
pub(crate) type RowOf<V> = Option<(V, i64)>;

/// Reads the current value of a key.
pub(crate) trait ValueGetter<K, V> {
    /// `key_bytes`: the serialized key, if the caller has it.
    fn get(&self, cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V>, Box<ProcessError>>;
    /// Reads the value of a key that was valid at a time; tables without history know only the current one.
    fn get_as_of(
        &self,
        cx: &TaskContext,
        key: &K,
        key_bytes: Option<&[u8]>,
        _timestamp: i64,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        self.get(cx, key, key_bytes)
    }
}

pub(crate) type GetterFactory<K, V> =
    Arc<dyn Fn(&mut NodeScope<'_>) -> Result<Rc<dyn ValueGetter<K, V>>, Box<ProcessError>> + Send + Sync>;

/// What it takes to read a table: a getter, and the stores the reading operator must be connected to.
pub(crate) struct View<K, V> {
    pub(crate) factory: GetterFactory<K, V>,
    pub(crate) stores: Vec<Arc<str>>,
}
impl<K, V> Clone for View<K, V> {
    fn clone(&self) -> Self {
        Self {
            factory: self.factory.clone(),
            stores: self.stores.clone(),
        }
    }
}

/// A store of the task as a table reads it.
pub(crate) fn key_value(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<KeyValueStore>, Box<ProcessError>> {
    of_task(scope, store, TaskState::key_value)
}
/// The store of a table.
pub(crate) fn table_store(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<TableStore, Box<ProcessError>> {
    match scope.context().state().versioned(store) {
        Some(store) => Ok(TableStore::Versioned(store)),
        None => key_value(scope, store).map(TableStore::Plain),
    }
}
/// A window store of the task.
pub(crate) fn window(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<WindowStore>, Box<ProcessError>> {
    of_task(scope, store, TaskState::window)
}
/// A session store of the task.
pub(crate) fn session(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<SessionStore>, Box<ProcessError>> {
    of_task(scope, store, TaskState::session)
}
/// The buffer of a suppressed table of the task.
pub(crate) fn suppress(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<SuppressBuffer>, Box<ProcessError>> {
    of_task(scope, store, TaskState::suppress)
}
/// The records of a stream that wait for a table.
pub(crate) fn record_buffer(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<RecordBuffer>, Box<ProcessError>> {
    of_task(scope, store, TaskState::record_buffer)
}
fn of_task<S>(
    scope: &NodeScope<'_>,
    store: &Arc<str>,
    find: impl FnOnce(&TaskState, &str) -> Option<S>,
) -> Result<S, Box<ProcessError>> {
    find(scope.context().state(), store).ok_or_else(|| {
        ProcessError::new(
            ProcessErrorKind::StoreNotConnected,
            scope.name(),
            format!("the task has no such store {store}"),
        )
    })
}

#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Reads a store; `K` is what its serde makes key bytes of.
struct Getter<S, K, V> {
    node: Arc<str>,
    store: S,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    buffers: RefCell<Buffers>,
}
impl<S, K, V> Getter<S, K, V> {
    fn read(
        &self,
        key: &K,
        key_bytes: Option<&[u8]>,
        find: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<Option<i64>, StateError>,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers {
            key: key_buffer,
            value: value_buffer,
        } = &mut *buffers;
        let bytes = match key_bytes {
            Some(bytes) => bytes,
            None => {
                write(&*self.key, key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
                key_buffer
            }
        };
        let found = find(bytes, value_buffer).map_err(|e| faults::store(&self.node, e))?;
        decode(&self.node, &*self.value, found, value_buffer)
    }
}
impl<K, V> ValueGetter<K, V> for Getter<TableStore, K, V> {
    fn get(&self, _cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V>, Box<ProcessError>> {
        self.read(key, key_bytes, |key, buffer| self.store.get(key, buffer))
    }
    fn get_as_of(
        &self,
        _cx: &TaskContext,
        key: &K,
        key_bytes: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        self.read(key, key_bytes, |key, buffer| {
            self.store.get_as_of(key, timestamp, buffer)
        })
    }
}

/// The row that was found, if one was, with its timestamp.
fn decode<V>(
    node: &Arc<str>,
    serde: &dyn Serde<V>,
    found: Option<i64>,
    bytes: &[u8],
) -> Result<RowOf<V>, Box<ProcessError>> {
    found
        .map(|timestamp| Ok((serde.deserialize(bytes).map_err(|e| faults::read(node, e))?, timestamp)))
        .transpose()
}

type FindStore<S> = fn(&NodeScope<'_>, &Arc<str>) -> Result<S, Box<ProcessError>>;

fn view_of<S: 'static, Row, K: 'static, V: 'static>(
    find: FindStore<S>,
    store: Arc<str>,
    (key, value): (SharedSerde<K>, SharedSerde<V>),
) -> View<Row, V>
where
    Getter<S, K, V>: ValueGetter<Row, V>,
{
    let name = store.clone();
    View {
        factory: Arc::new(move |scope| {
            Ok(Rc::new(Getter {
                node: scope.name().clone(),
                store: find(scope, &name)?,
                key: key.clone(),
                value: value.clone(),
                buffers: RefCell::default(),
            }))
        }),
        stores: vec![store],
    }
}
/// Reads the rows of a key-value store.
pub(crate) fn store_view<K: 'static, V: 'static>(
    store: Arc<str>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
) -> View<K, V> {
    view_of(table_store, store, (key, value))
}

/// Rows with windows: the timestamp of the one that was read into the buffer, if there is one.
trait WindowedRows {
    fn read(&self, key: &[u8], window: Window, buffer: &mut Vec<u8>) -> Result<Option<i64>, StateError>;
}
impl WindowedRows for WindowStore {
    fn read(&self, key: &[u8], window: Window, buffer: &mut Vec<u8>) -> Result<Option<i64>, StateError> {
        self.get(key, window.start, buffer)
    }
}
impl WindowedRows for SessionStore {
    fn read(&self, key: &[u8], window: Window, buffer: &mut Vec<u8>) -> Result<Option<i64>, StateError> {
        let found = self.get(key, window.start, window.end, buffer)?;
        Ok(found.then_some(window.end))
    }
}

impl<S: WindowedRows, K, V> ValueGetter<Windowed<K>, V> for Getter<Rc<S>, K, V> {
    fn get(
        &self,
        _cx: &TaskContext,
        key: &Windowed<K>,
        _key_bytes: Option<&[u8]>,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        // Key bytes of the caller are those of the key with its window.
        self.read(&key.key, None, |bytes, buffer| {
            self.store.read(bytes, key.window, buffer)
        })
    }
}

/// Reads the rows of a window store; the serdes are those of the key inside the window, and of the value.
pub(crate) fn window_view<K: 'static, V: 'static>(
    store: Arc<str>,
    serdes: (SharedSerde<K>, SharedSerde<V>),
) -> View<Windowed<K>, V> {
    view_of(window, store, serdes)
}
/// The same of a session store.
pub(crate) fn session_view<K: 'static, V: 'static>(
    store: Arc<str>,
    serdes: (SharedSerde<K>, SharedSerde<V>),
) -> View<Windowed<K>, V> {
    view_of(session, store, serdes)
}
