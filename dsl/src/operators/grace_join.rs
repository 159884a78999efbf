//! Which records of a stream wait before they are joined with a table? Those of a join with grace: rows that come late
//! are still found, because the table keeps its history.
//!
//! A record waits in a buffer until the stream is further by the grace. One that is late by more is joined at once.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::{LoggedHeaders, RecordBuffer, StoreBackend, StoreKind, StoreSpec, Waited};

use crate::{
    engine::{NodeScope, ProcessError, ProcessErrorKind, ProcessResult, Receiver, Record, TaskContext},
    serde::{SharedSerde, write},
    table::{
        faults::{self, Failed, Stop},
        getter,
    },
    topology::{Builder, StoreBuilder, TopologyWriter},
};

use super::stream_table_join::{RowJoin, SameKey};

/// Grace and buffer of a join while a topology is made.
pub(super) struct Grace {
    store: Arc<str>,
    grace_ms: i64,
}
impl Grace {
    pub(super) fn new(builder: &mut Builder, join: &Arc<str>, grace_ms: i64, versioned: bool) -> Self {
        if !versioned {
            builder.argument(join, "a join with grace needs a table with history: make it versioned");
        }
        Self {
            store: format!("{join}-Buffer").into(),
            grace_ms,
        }
    }
    pub(super) fn with_serdes<K, V>(
        self,
        (key, value): (SharedSerde<K>, SharedSerde<V>),
        reuse_key_bytes: bool,
    ) -> Waiting<K, V> {
        let Self { store, grace_ms } = self;
        Waiting {
            store,
            grace_ms,
            key,
            value,
            reuse_key_bytes,
        }
    }
}

/// The buffer with what it takes to write a record down.
pub(super) struct Waiting<K, V> {
    store: Arc<str>,
    grace_ms: i64,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    reuse_key_bytes: bool,
}
impl<K, V> Clone for Waiting<K, V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            grace_ms: self.grace_ms,
            key: self.key.clone(),
            value: self.value.clone(),
            reuse_key_bytes: self.reuse_key_bytes,
        }
    }
}
impl<K: 'static, V: 'static> Waiting<K, V> {
    /// Adds the buffer, and checks that the rows a record waits for are kept as long. `tables`: stores that are read.
    pub(super) fn write(&self, join: &Arc<str>, tables: &[Arc<str>], writer: &mut TopologyWriter) {
        let spec = StoreSpec {
            name: self.store.clone(),
            kind: StoreKind::RecordBuffer,
            backend: StoreBackend::Persistent,
            caching: false,
            logging: true,
            logged_headers: LoggedHeaders::Never,
        };
        writer.add_store(StoreBuilder::new(spec), std::slice::from_ref(join));
        for table in tables {
            let kind = writer.stores.iter().find(|s| s.spec.name == *table);
            match kind.map(|store| &store.spec.kind) {
                Some(StoreKind::Versioned {
                    history_retention_ms, ..
                }) if self.grace_ms <= *history_retention_ms => {}
                Some(StoreKind::Versioned { .. }) => writer.argument(
                    join,
                    format!("the history of {table} must be kept for at least as long as the grace of the join"),
                ),
                _ => writer.argument(
                    join,
                    format!("a join with grace needs history, which {table} has not: make it versioned"),
                ),
            }
        }
    }
    pub(super) fn open<VT, VR>(
        &self,
        scope: &NodeScope<'_>,
        join: RowJoin<K, V, VT, VR, SameKey<K, VT>>,
    ) -> Result<GraceJoin<K, V, VT, VR>, Box<ProcessError>> {
        Ok(GraceJoin {
            join,
            buffer: getter::record_buffer(scope, &self.store)?,
            waiting: self.clone(),
            buffers: RefCell::default(),
        })
    }
}

/// A join whose records wait.
pub(super) struct GraceJoin<K, V, VT, VR> {
    join: RowJoin<K, V, VT, VR, SameKey<K, VT>>,
    waiting: Waiting<K, V>,
    buffer: Rc<RecordBuffer>,
    buffers: RefCell<(Vec<u8>, Vec<u8>)>,
}

impl<K, V, VT, VR> Receiver<K, V> for GraceJoin<K, V, VT, VR> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        self.take(cx, &record)
            .or_else(|stop| stop.handle(cx, record.timestamp, record.headers))
    }
}

impl<K, V, VT, VR> GraceJoin<K, V, VT, VR> {
    fn take(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<(), Stop> {
        let null_key = self.waiting.key.is_null(record.key);
        if self.waiting.value.is_null(record.value) || (null_key && !self.join.left) {
            cx.count_dropped();
            return Ok(());
        }
        if null_key {
            // As in Kafka Streams, whose buffer refuses such a record.
            let message = "a record without a key cannot wait for a table";
            let error = ProcessError::new(ProcessErrorKind::NullKey, &self.join.node, message);
            return Err(Stop::Here(error));
        }
        if !self.keep(cx, record)? {
            return self.join.answer(cx, record);
        }
        self.buffer
            .release(self.waiting.grace_ms, |row| self.emit(cx, &row).map_err(Failed::Stop))
            .map_err(|failed| failed.in_node(&self.join.node))
    }
    fn keep(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<bool, Box<ProcessError>> {
        let Waiting {
            key: key_serde,
            value: value_serde,
            reuse_key_bytes,
            grace_ms,
            ..
        } = &self.waiting;
        let mut buffers = self.buffers.borrow_mut();
        let (key_buffer, value_buffer) = &mut *buffers;
        let key = match record.key_bytes {
            Some(bytes) if *reuse_key_bytes => bytes,
            _ => {
                write(&**key_serde, record.key, key_buffer).map_err(|e| faults::write("key", &self.join.node, e))?;
                key_buffer.as_slice()
            }
        };
        write(&**value_serde, record.value, value_buffer).map_err(|e| faults::write("value", &self.join.node, e))?;
        let context = cx.update_context(record.timestamp, record.headers);
        self.buffer
            .put(key, value_buffer, &context, *grace_ms)
            .map_err(|e| faults::store(&self.join.node, e))
    }
    fn emit(&self, cx: &TaskContext, row: &Waited<'_>) -> Result<(), Stop> {
        let read = |error| Stop::Here(faults::read(&self.join.node, error));
        let key = self.waiting.key.deserialize(row.key).map_err(read)?;
        let value = self.waiting.value.deserialize(row.value).map_err(read)?;
        let record = Record {
            key: &key,
            value: &value,
            timestamp: row.context.timestamp,
            headers: &row.context.headers,
            key_bytes: Some(row.key),
            is_copy: true,
        };
        cx.with_context(row.context, || self.join.answer(cx, &record))
    }
}
