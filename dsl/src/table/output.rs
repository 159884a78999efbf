//! Where the updates of a table go: into its store if it has one, and on to whoever listens, now or at the commit.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::{CachedUpdate, RowOrder, SessionStore, StateError, WindowStore};

use crate::{
    engine::{Change, NodeScope, ProcessError, ProcessResult, TableChildren, TaskContext},
    operators::window_results::Emission,
    serde::{Serde, SerdeError, SessionWindowedSerde, SharedSerde, read_into, write},
    window::{EmitStrategy, Window, Windowed},
};

use super::{
    faults::{self, Stop},
    getter,
    store::{Placed, TableStore},
};

/// A key as it comes out of a cache, with the bytes that a sink may reuse.
type DecodeKey<K> = Box<dyn for<'a> Fn(&'a [u8]) -> Result<(K, Option<&'a [u8]>), SerdeError>>;

/// The operators behind a table, and how cached rows become updates.
pub(crate) struct Forwarder<K, V> {
    pub(crate) node: Arc<str>,
    pub(crate) children: TableChildren<K, V>,
    pub(crate) send_old: bool,
    value: SharedSerde<V>,
    decode_key: DecodeKey<K>,
    /// Rows with headers of a session have none, and so have updates that leave their cache.
    without_headers: bool,
    /// Sessions: the time of an update is the end of its window.
    time_of: Option<fn(&K) -> i64>,
}

impl<K, V> Forwarder<K, V> {
    /// One update that leaves the cache of the store, in the context it was made in.
    fn cached(&self, cx: &TaskContext, update: &CachedUpdate<'_>) -> ProcessResult {
        if !update.kept {
            cx.count_dropped();
        }
        if update.new.is_none() && update.old.is_none() {
            return Ok(());
        }
        let (key, key_bytes) = (self.decode_key)(update.key).map_err(|e| faults::read(&self.node, e))?;
        let decode = |row: Option<(&[u8], i64)>| {
            row.map(|(bytes, _)| self.value.deserialize(bytes))
                .transpose()
                .map_err(|e| faults::read(&self.node, e))
        };
        let new = decode(update.new)?;
        let old = if self.send_old { decode(update.old)? } else { None };
        let timestamp = match self.time_of {
            Some(time_of) => time_of(&key),
            None => update.new.map_or(update.context.timestamp, |(_, timestamp)| timestamp),
        };
        cx.with_context(update.context, || {
            self.children.forward(
                cx,
                Change {
                    key: &key,
                    new: new.as_ref(),
                    old: old.as_ref(),
                    is_latest: true,
                    timestamp,
                    headers: if self.without_headers {
                        cx.no_headers()
                    } else {
                        &update.context.headers
                    },
                    key_bytes,
                },
            )
        })
    }

    /// Empties a cache. The store's error type cannot carry ours, hence the slot beside it.
    fn flush(
        &self,
        cx: &TaskContext,
        run: impl FnOnce(&mut dyn FnMut(CachedUpdate<'_>) -> Result<(), StateError>) -> Result<(), StateError>,
    ) -> ProcessResult {
        let mut failed: Option<Box<ProcessError>> = None;
        let result = run(&mut |update| {
            self.cached(cx, &update).map_err(|error| {
                let text = error.to_string();
                failed = Some(error);
                StateError::Changelog(text)
            })
        });
        match (failed, result) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(faults::store(&self.node, error)),
            (None, Ok(())) => Ok(()),
        }
    }
}

/// A key-value store of a table inside a task.
pub(crate) struct Rows<K, V> {
    pub(crate) node: Arc<str>,
    pub(crate) store: TableStore,
    pub(crate) key: SharedSerde<K>,
    pub(crate) value: SharedSerde<V>,
    /// Whether `key_bytes` of records are bytes of `key`.
    pub(crate) reuse_key_bytes: bool,
}

/// Store and forwarder of a table.
pub(crate) type OpenRows<K, V> = (Rows<K, V>, Rc<Forwarder<K, V>>);

/// What a table operator needs to know of its store when it is made.
pub(crate) struct RowsPlan<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) key: SharedSerde<K>,
    pub(crate) value: SharedSerde<V>,
    pub(crate) reuse_key_bytes: bool,
    /// Whether the store keeps history.
    pub(crate) versioned: bool,
}
impl<K, V> Clone for RowsPlan<K, V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            reuse_key_bytes: self.reuse_key_bytes,
            versioned: self.versioned,
        }
    }
}

impl<K: 'static, V: 'static> RowsPlan<K, V> {
    /// Opens the store and arranges for its cache to be forwarded at commits.
    pub(crate) fn open(&self, scope: &mut NodeScope<'_>, send_old: bool) -> Result<OpenRows<K, V>, Box<ProcessError>> {
        let store = getter::table_store(scope, &self.store)?;
        let key = self.key.clone();
        let forwarder = Rc::new(Forwarder {
            node: scope.name().clone(),
            children: scope.table_children()?,
            send_old,
            value: self.value.clone(),
            decode_key: Box::new(move |bytes| Ok((key.deserialize(bytes)?, Some(bytes)))),
            without_headers: false,
            time_of: None,
        });
        if store.is_cached() {
            let (forwarder, store) = (forwarder.clone(), store.clone());
            scope.on_flush(move |cx| forwarder.flush(cx, |f| store.flush_cache(f)));
        }
        let rows = Rows {
            node: scope.name().clone(),
            store,
            key: self.key.clone(),
            value: self.value.clone(),
            reuse_key_bytes: self.reuse_key_bytes,
        };
        Ok((rows, forwarder))
    }
}

impl<K, V> Rows<K, V> {
    /// The bytes of a key: those of the record if they fit, else written into `buffer`.
    #[inline]
    pub(crate) fn key_bytes<'a>(
        &self,
        key: &K,
        bytes: Option<&'a [u8]>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Box<ProcessError>> {
        match bytes {
            Some(bytes) if self.reuse_key_bytes => Ok(bytes),
            _ => {
                write(&*self.key, key, buffer).map_err(|e| faults::write("key", &self.node, e))?;
                Ok(buffer)
            }
        }
    }
    /// Reads a row's bytes into `buffer`; its timestamp.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<Option<i64>, Box<ProcessError>> {
        self.store.get(key, buffer).map_err(|e| faults::store(&self.node, e))
    }
    #[inline]
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<V, Box<ProcessError>> {
        self.value.deserialize(bytes).map_err(|e| faults::read(&self.node, e))
    }
    /// [`decode`](Self::decode), in the place of a value that is not needed any more.
    #[inline]
    pub(crate) fn decode_into(&self, bytes: &[u8], value: &mut Option<V>) -> Result<(), Box<ProcessError>> {
        read_into(&*self.value, Some(bytes), value).map_err(|e| faults::read(&self.node, e))
    }
    /// Writes a row, or deletes it. One that is too old for its history is counted as dropped: it must not be forwarded.
    #[inline]
    pub(crate) fn put(
        &self,
        cx: &TaskContext,
        key: &[u8],
        value: Option<&V>,
        timestamp: i64,
        origin: (i64, &millstream_state::Headers),
        buffer: &mut Vec<u8>,
    ) -> Result<Placed, Box<ProcessError>> {
        let bytes = match value {
            None => None,
            Some(value) => {
                let some = write(&*self.value, value, buffer).map_err(|e| faults::write("value", &self.node, e))?;
                some.then_some(buffer.as_slice())
            }
        };
        let context = cx.update_context(origin.0, origin.1);
        let placed = self
            .store
            .put(key, bytes, timestamp, &context)
            .map_err(|e| faults::store(&self.node, e))?;
        if placed == Placed::Refused {
            cx.count_dropped();
        }
        Ok(placed)
    }
}

/// Buffers that are lent to one record at a time; whatever runs inside the record finds empty ones.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}
pub(crate) type ScratchCell = RefCell<Scratch>;

/// The updates of a table that has a store only if somebody wants to look into it.
pub(crate) struct Output<K, V> {
    rows: Option<Rows<K, V>>,
    forwarder: Option<Rc<Forwarder<K, V>>>,
    children: TableChildren<K, V>,
    pub(crate) send_old: bool,
    scratch: ScratchCell,
}

/// Where the old value of an update comes from when the table has a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldValue {
    /// From the store, and an update from nothing to nothing is not worth telling (`filter`).
    StoredSkippingNothing,
    /// From the store.
    Stored,
    /// As the update says.
    Given,
}

impl<K: 'static, V: 'static> Output<K, V> {
    pub(crate) fn open(
        scope: &mut NodeScope<'_>,
        plan: Option<&RowsPlan<K, V>>,
        send_old: bool,
    ) -> Result<Self, Box<ProcessError>> {
        let (rows, forwarder, children) = match plan {
            None => (None, None, scope.table_children()?),
            Some(plan) => {
                let (rows, forwarder) = plan.open(scope, send_old)?;
                (Some(rows), Some(forwarder), TableChildren::None)
            }
        };
        Ok(Self {
            rows,
            forwarder,
            children,
            send_old,
            scratch: RefCell::default(),
        })
    }

    /// Stores and forwards one update. Errors have not been handled yet, except those of operators behind.
    pub(crate) fn emit(&self, cx: &TaskContext, change: Change<'_, K, V>, old: OldValue) -> Result<(), Stop> {
        let (Some(rows), Some(forwarder)) = (&self.rows, &self.forwarder) else {
            let old_value = if self.send_old { change.old } else { None };
            if self.send_old && old == OldValue::StoredSkippingNothing && change.new.is_none() && old_value.is_none() {
                return Ok(());
            }
            return self
                .children
                .forward(cx, change.with_values(change.new, old_value))
                .map_err(Stop::Behind);
        };
        let mut scratch = self.scratch.take();
        let Scratch {
            key: key_buffer,
            value: value_buffer,
        } = &mut scratch;
        let key = rows
            .key_bytes(change.key, change.key_bytes, key_buffer)
            .map_err(Stop::Here)?;
        let mut stored = None;
        if self.send_old && old != OldValue::Given && rows.get(key, value_buffer).map_err(Stop::Here)?.is_some() {
            stored = Some(rows.decode(value_buffer).map_err(Stop::Here)?);
        }
        if self.send_old && old == OldValue::StoredSkippingNothing && stored.is_none() && change.new.is_none() {
            return Ok(());
        }
        let origin = (change.timestamp, change.headers);
        let placed = rows
            .put(cx, key, change.new, change.timestamp, origin, value_buffer)
            .map_err(Stop::Here)?;
        if rows.store.is_cached() || placed == Placed::Refused {
            self.scratch.replace(scratch);
            return Ok(());
        }
        let old_value = match old {
            _ if !self.send_old => None,
            OldValue::Given => change.old,
            OldValue::Stored | OldValue::StoredSkippingNothing => stored.as_ref(),
        };
        let forwarded = Change {
            key_bytes: Some(key),
            is_latest: placed == Placed::Newest,
            ..change.with_values(change.new, old_value)
        };
        let result = forwarder.children.forward(cx, forwarded);
        self.scratch.replace(scratch);
        result.map_err(Stop::Behind)
    }
}

/// What a windowed aggregation needs to know of its store when it is made.
pub(crate) struct WindowPlan<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) key: SharedSerde<K>,
    pub(crate) value: SharedSerde<V>,
    pub(crate) reuse_key_bytes: bool,
    /// Length of the windows, to know the end of a row read from the store.
    pub(crate) size_ms: i64,
    /// How readers see the rows where windows are emitted when they close.
    pub(crate) order_on_close: RowOrder,
}
impl<K, V> Clone for WindowPlan<K, V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            reuse_key_bytes: self.reuse_key_bytes,
            size_ms: self.size_ms,
            order_on_close: self.order_on_close,
        }
    }
}

/// Store and forwarder of a windowed table.
pub(crate) type OpenWindow<K, V> = (Rc<WindowStore>, Rc<Forwarder<Windowed<K>, V>>);

impl<K: 'static, V: 'static> WindowPlan<K, V> {
    /// Opens the store and arranges for its cache to be forwarded at commits.
    pub(crate) fn open(
        &self,
        scope: &mut NodeScope<'_>,
        emission: Emission,
    ) -> Result<OpenWindow<K, V>, Box<ProcessError>> {
        let Emission { strategy, send_old } = emission;
        let store = getter::window(scope, &self.store)?;
        if strategy == EmitStrategy::OnWindowClose {
            store.set_order(self.order_on_close);
        }
        let (key, size_ms) = (self.key.clone(), self.size_ms);
        let forwarder = Rc::new(Forwarder {
            node: scope.name().clone(),
            children: scope.table_children()?,
            send_old,
            value: self.value.clone(),
            decode_key: Box::new(move |bytes| Ok((windowed_key(&*key, bytes, size_ms)?, None))),
            without_headers: false,
            time_of: None,
        });
        if store.is_cached() {
            let (forwarder, store) = (forwarder.clone(), store.clone());
            scope.on_flush(move |cx| match strategy {
                EmitStrategy::OnWindowUpdate => forwarder.flush(cx, |f| store.flush_cache(f)),
                EmitStrategy::OnWindowClose => {
                    let expired = store.log_cache().map_err(|e| faults::store(&forwarder.node, e))?;
                    (0..expired).for_each(|_| cx.count_dropped());
                    Ok(())
                }
            });
        }
        Ok((store, forwarder))
    }
}

/// Store and forwarder of a table of sessions.
pub(crate) type OpenSession<K, V> = (Rc<SessionStore>, Rc<Forwarder<Windowed<K>, V>>);

impl<K: 'static, V: 'static> WindowPlan<K, V> {
    /// Opens the store of a table of sessions.
    pub(crate) fn open_session(
        &self,
        scope: &mut NodeScope<'_>,
        send_old: bool,
    ) -> Result<OpenSession<K, V>, Box<ProcessError>> {
        let store = getter::session(scope, &self.store)?;
        let key = SessionWindowedSerde::new(self.key.clone());
        let forwarder = Rc::new(Forwarder {
            node: scope.name().clone(),
            children: scope.table_children()?,
            send_old,
            value: self.value.clone(),
            decode_key: Box::new(move |bytes| Ok((key.deserialize(bytes)?, Some(bytes)))),
            without_headers: store.is_header_aware(),
            time_of: Some(|key| key.window.end),
        });
        if store.is_cached() {
            let (forwarder, store) = (forwarder.clone(), store.clone());
            scope.on_flush(move |cx| forwarder.flush(cx, |f| store.flush_cache(f)));
        }
        Ok((store, forwarder))
    }
}

/// `key ++ start(8) ++ seq(4)` as window stores have it.
fn windowed_key<K>(serde: &dyn crate::serde::Serde<K>, bytes: &[u8], size_ms: i64) -> Result<Windowed<K>, SerdeError> {
    let parts = bytes
        .split_last_chunk::<4>()
        .and_then(|(rest, _)| rest.split_last_chunk::<8>());
    let Some((key, start)) = parts else {
        return Err(SerdeError::new(format!(
            "{} bytes are too short for a row of a window store",
            bytes.len()
        )));
    };
    let start = i64::from_be_bytes(*start);
    Ok(Windowed {
        key: serde.deserialize(key)?,
        window: Window {
            start,
            end: start.saturating_add(size_ms),
        },
    })
}
