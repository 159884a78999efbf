//! How an operator looks a row of a table up, also when the table has no store of its own.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::{KeyValueStore, SessionStore, SuppressBuffer, WindowStore};

use crate::{
    engine::{NodeScope, ProcessError, ProcessErrorKind, TaskContext},
    serde::{SharedSerde, write},
    window::Windowed,
};

use super::faults;

/// A row of a table, with its timestamp.
pub(crate) type RowOf<V> = Option<(V, i64)>;

/// Reads the current value of a key.
pub(crate) trait ValueGetter<K, V> {
    /// `key_bytes`: the serialized key, if the caller has it.
    fn get(&self, cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V>, Box<ProcessError>>;
}

pub(crate) type GetterFactory<K, V> =
    Arc<dyn Fn(&NodeScope<'_>) -> Result<Rc<dyn ValueGetter<K, V>>, Box<ProcessError>> + Send + Sync>;

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
    scope
        .context()
        .state()
        .key_value(store)
        .ok_or_else(|| no_store(scope, store))
}
/// A window store of the task.
pub(crate) fn window(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<WindowStore>, Box<ProcessError>> {
    scope
        .context()
        .state()
        .window(store)
        .ok_or_else(|| no_store(scope, store))
}
/// A session store of the task.
pub(crate) fn session(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<SessionStore>, Box<ProcessError>> {
    scope
        .context()
        .state()
        .session(store)
        .ok_or_else(|| no_store(scope, store))
}
/// The buffer of a suppressed table of the task.
pub(crate) fn suppress(scope: &NodeScope<'_>, store: &Arc<str>) -> Result<Rc<SuppressBuffer>, Box<ProcessError>> {
    scope
        .context()
        .state()
        .suppress(store)
        .ok_or_else(|| no_store(scope, store))
}
fn no_store(scope: &NodeScope<'_>, store: &Arc<str>) -> Box<ProcessError> {
    ProcessError::new(
        ProcessErrorKind::StoreNotConnected,
        scope.name(),
        format!("the task has no such store {store}"),
    )
}

#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    value: Vec<u8>,
}

struct StoreGetter<K, V> {
    node: Arc<str>,
    store: Rc<KeyValueStore>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    buffers: RefCell<Buffers>,
}
impl<K, V> ValueGetter<K, V> for StoreGetter<K, V> {
    fn get(&self, _cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V>, Box<ProcessError>> {
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
        match self
            .store
            .get(bytes, value_buffer)
            .map_err(|e| faults::store(&self.node, e))?
        {
            None => Ok(None),
            Some(timestamp) => {
                let value = self
                    .value
                    .deserialize(value_buffer)
                    .map_err(|e| faults::read(&self.node, e))?;
                Ok(Some((value, timestamp)))
            }
        }
    }
}

/// Reads the rows of a key-value store.
pub(crate) fn store_view<K: 'static, V: 'static>(
    store: Arc<str>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
) -> View<K, V> {
    let name = store.clone();
    View {
        factory: Arc::new(move |scope| {
            Ok(Rc::new(StoreGetter {
                node: scope.name().clone(),
                store: key_value(scope, &name)?,
                key: key.clone(),
                value: value.clone(),
                buffers: RefCell::default(),
            }))
        }),
        stores: vec![store],
    }
}

struct WindowGetter<K, V> {
    node: Arc<str>,
    store: Rc<WindowStore>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    buffers: RefCell<Buffers>,
}
impl<K, V> ValueGetter<Windowed<K>, V> for WindowGetter<K, V> {
    fn get(
        &self,
        _cx: &TaskContext,
        key: &Windowed<K>,
        _key_bytes: Option<&[u8]>,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers {
            key: key_buffer,
            value: value_buffer,
        } = &mut *buffers;
        write(&*self.key, &key.key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
        match self
            .store
            .get(key_buffer, key.window.start, value_buffer)
            .map_err(|e| faults::store(&self.node, e))?
        {
            None => Ok(None),
            Some(timestamp) => {
                let value = self
                    .value
                    .deserialize(value_buffer)
                    .map_err(|e| faults::read(&self.node, e))?;
                Ok(Some((value, timestamp)))
            }
        }
    }
}

/// Reads the rows of a window store; `key` is the serde of the key inside the window.
pub(crate) fn window_view<K: 'static, V: 'static>(
    store: Arc<str>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
) -> View<Windowed<K>, V> {
    let name = store.clone();
    View {
        factory: Arc::new(move |scope| {
            Ok(Rc::new(WindowGetter {
                node: scope.name().clone(),
                store: window(scope, &name)?,
                key: key.clone(),
                value: value.clone(),
                buffers: RefCell::default(),
            }))
        }),
        stores: vec![store],
    }
}

struct SessionGetter<K, V> {
    node: Arc<str>,
    store: Rc<SessionStore>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    buffers: RefCell<Buffers>,
}
impl<K, V> ValueGetter<Windowed<K>, V> for SessionGetter<K, V> {
    fn get(
        &self,
        _cx: &TaskContext,
        key: &Windowed<K>,
        _key_bytes: Option<&[u8]>,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers {
            key: key_buffer,
            value: value_buffer,
        } = &mut *buffers;
        write(&*self.key, &key.key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
        let found = self
            .store
            .get(key_buffer, key.window.start, key.window.end, value_buffer);
        if !found.map_err(|e| faults::store(&self.node, e))? {
            return Ok(None);
        }
        let value = self
            .value
            .deserialize(value_buffer)
            .map_err(|e| faults::read(&self.node, e))?;
        Ok(Some((value, key.window.end)))
    }
}

/// Reads the rows of a session store; `key` is the serde of the key inside the window.
pub(crate) fn session_view<K: 'static, V: 'static>(
    store: Arc<str>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
) -> View<Windowed<K>, V> {
    let name = store.clone();
    View {
        factory: Arc::new(move |scope| {
            Ok(Rc::new(SessionGetter {
                node: scope.name().clone(),
                store: session(scope, &name)?,
                key: key.clone(),
                value: value.clone(),
                buffers: RefCell::default(),
            }))
        }),
        stores: vec![store],
    }
}
