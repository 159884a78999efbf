//! Updates of a table that wait for more: `suppress`.
//!
//! An update waits in a buffer until its time has come, by the time of the records this operator has seen; more updates of
//! its key take its place without a new wait. What leaves has the time, the headers and the origin of its last update.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use millstream_state::{BufferTotals, Evicted, LoggedHeaders, StoreBackend, StoreKind, StoreSpec, SuppressBuffer};

use crate::{
    engine::{
        Change, ProcessError, ProcessErrorKind, ProcessResult, TableChildren, TableReceiver, TaskContext, table_port,
    },
    options::{Bounds, Suppressed, Until, WhenFull},
    serde::{SharedSerde, write},
    stream::factory,
    table::{
        KTable,
        faults::{self, Failed, Stop},
        getter::{self, RowOf, ValueGetter, View},
        view::TableView,
    },
    topology::{Builder, GraphNode, StoreBuilder, TopologyWriter},
};

const PREFIX: &str = "KTABLE-SUPPRESS-";

/// When updates are due, with the wait in milliseconds.
struct Rule<K> {
    until: Until<K>,
    wait_ms: i64,
    bounds: Bounds,
}
impl<K> Clone for Rule<K> {
    fn clone(&self) -> Self {
        Self {
            until: self.until,
            wait_ms: self.wait_ms,
            bounds: self.bounds.clone(),
        }
    }
}
impl<K> Rule<K> {
    fn is_over(&self, totals: BufferTotals) -> bool {
        totals.records > self.bounds.max_records || totals.bytes > self.bounds.max_bytes
    }
}

struct Serdes<K, V> {
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    reuse_key_bytes: bool,
}
impl<K, V> Clone for Serdes<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            reuse_key_bytes: self.reuse_key_bytes,
        }
    }
}

#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    new: Vec<u8>,
    old: Vec<u8>,
}

struct Suppress<K, V> {
    node: Arc<str>,
    rule: Rule<K>,
    serdes: Serdes<K, V>,
    buffer: Rc<SuppressBuffer>,
    children: TableChildren<K, V>,
    observed_time: Cell<i64>,
    buffers: RefCell<Buffers>,
}

impl<K: 'static, V: 'static> TableReceiver<K, V> for Suppress<K, V> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        self.observed_time.set(self.observed_time.get().max(change.timestamp));
        let mut buffers = self.buffers.take();
        let kept = self.keep(cx, &change, &mut buffers);
        self.buffers.replace(buffers);
        kept.map_err(Stop::Here)
            .and_then(|()| self.release(cx))
            .or_else(|stop| stop.handle(cx, change.timestamp, change.headers))
    }
}

impl<K: 'static, V: 'static> Suppress<K, V> {
    fn keep(&self, cx: &TaskContext, change: &Change<'_, K, V>, buffers: &mut Buffers) -> ProcessResult {
        let key = match change.key_bytes {
            Some(bytes) if self.serdes.reuse_key_bytes => bytes,
            _ => {
                write(&*self.serdes.key, change.key, &mut buffers.key)
                    .map_err(|e| faults::write("key", &self.node, e))?;
                buffers.key.as_slice()
            }
        };
        let new = self.bytes(change.new, &mut buffers.new)?;
        let old = self.bytes(change.old, &mut buffers.old)?;
        let context = cx.update_context(change.timestamp, change.headers);
        let kept = match self.rule.until {
            Until::WindowCloses(end) => self.buffer.put_at_time_of_key(key, end(change.key), new, old, &context),
            Until::TimeLimit(_) => self.buffer.put(key, change.timestamp, new, old, &context),
        };
        kept.map_err(|e| faults::store(&self.node, e))
    }
    fn bytes<'a>(&self, value: Option<&V>, buffer: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, Box<ProcessError>> {
        let Some(value) = value else { return Ok(None) };
        let some = write(&*self.serdes.value, value, buffer).map_err(|e| faults::write("value", &self.node, e))?;
        Ok(some.then_some(buffer.as_slice()))
    }

    /// Forwards what is due, and what is too much.
    fn release(&self, cx: &TaskContext) -> Result<(), Stop> {
        let due = self.observed_time.get().saturating_sub(self.rule.wait_ms);
        self.evict(cx, |time, _| time <= due)?;
        let totals = self
            .buffer
            .totals()
            .map_err(|e| Stop::Here(faults::store(&self.node, e)))?;
        if !self.rule.is_over(totals) {
            return Ok(());
        }
        match self.rule.bounds.when_full {
            WhenFull::Emit => self.evict(cx, |_, totals| self.rule.is_over(totals)),
            WhenFull::ShutDown => Err(Stop::Here(self.full(totals))),
        }
    }
    #[cold]
    fn full(&self, totals: BufferTotals) -> Box<ProcessError> {
        let Bounds {
            max_records, max_bytes, ..
        } = self.rule.bounds;
        let limit = |limit: u64| match limit {
            u64::MAX => "unbounded".to_owned(),
            limit => format!("at most {limit}"),
        };
        ProcessError::new(
            ProcessErrorKind::BufferFull,
            &self.node,
            format!(
                "the buffer is full: {} records ({}), {} bytes ({})",
                totals.records,
                limit(max_records),
                totals.bytes,
                limit(max_bytes)
            ),
        )
    }
    fn evict(&self, cx: &TaskContext, go_on: impl Fn(i64, BufferTotals) -> bool) -> Result<(), Stop> {
        let result = self
            .buffer
            .evict_while(go_on, |row| self.emit(cx, &row).map_err(Failed::Stop));
        result.map_err(|failed| failed.in_node(&self.node))
    }
    fn emit(&self, cx: &TaskContext, row: &Evicted<'_>) -> Result<(), Stop> {
        if row.new.is_none() && matches!(self.rule.until, Until::WindowCloses(_)) {
            // Nobody has heard of this window: it need not be deleted.
            return Ok(());
        }
        let read = |error| Stop::Here(faults::read(&self.node, error));
        let key = self.serdes.key.deserialize(row.key).map_err(read)?;
        let value = |bytes: Option<&[u8]>| bytes.map(|bytes| self.serdes.value.deserialize(bytes)).transpose();
        let (new, old) = (value(row.new).map_err(read)?, value(row.old).map_err(read)?);
        let change = Change {
            key: &key,
            new: new.as_ref(),
            old: old.as_ref(),
            is_latest: true,
            timestamp: row.context.timestamp,
            headers: &row.context.headers,
            key_bytes: Some(row.key),
        };
        cx.with_context(row.context, || self.children.forward(cx, change))
            .map_err(Stop::Behind)
    }
}

/// While updates of a key wait, the table still has the value from before them.
struct SuppressGetter<K, V> {
    node: Arc<str>,
    serdes: Serdes<K, V>,
    buffer: Rc<SuppressBuffer>,
    parent: Rc<dyn ValueGetter<K, V>>,
    buffers: RefCell<Buffers>,
}
impl<K, V> ValueGetter<K, V> for SuppressGetter<K, V> {
    fn get(&self, cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V>, Box<ProcessError>> {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers { key: written, old, .. } = &mut *buffers;
        write(&*self.serdes.key, key, written).map_err(|e| faults::write("key", &self.node, e))?;
        let prior = self.buffer.prior(written, old);
        match prior.map_err(|e| faults::store(&self.node, e))? {
            None => self.parent.get(cx, key, key_bytes),
            Some(false) => Ok(None),
            // Its time is not known: the update that brought it is gone.
            Some(true) => match self.serdes.value.deserialize(old) {
                Ok(value) => Ok(Some((value, -1))),
                Err(error) => Err(faults::read(&self.node, error)),
            },
        }
    }
}

struct SuppressView<K, V> {
    parent: KTable<K, V>,
    store: Arc<str>,
    serdes: Option<Serdes<K, V>>,
}
impl<K: 'static, V: 'static> TableView<K, V> for SuppressView<K, V> {
    fn enable_old_values(&self, force: bool) -> bool {
        self.parent.view.enable_old_values(force)
    }
    fn view(&self) -> Option<View<K, V>> {
        let View { factory, stores } = self.parent.view.view()?;
        let serdes = self.serdes.clone()?;
        let store = self.store.clone();
        let name = store.clone();
        Some(View {
            factory: Arc::new(move |scope| {
                Ok(Rc::new(SuppressGetter {
                    node: scope.name().clone(),
                    serdes: serdes.clone(),
                    buffer: getter::suppress(scope, &name)?,
                    parent: factory(scope)?,
                    buffers: RefCell::default(),
                }))
            }),
            stores: [store].into_iter().chain(stores).collect(),
        })
    }
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Holds updates back, so that only the last of several is forwarded.
    ///
    /// One result for each window, when it has closed:
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .count()
    ///     .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()))
    ///     .to_stream()
    ///     .map(|w, n| (w.key.clone(), n.unwrap_or(0)))
    ///     .to("finals");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for time in [1, 5, 12] {
    ///     runner.pipe_at("in", "a".to_owned(), 1i64, time)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("finals"), [("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A window that closes is known only for windowed keys:
    ///
    /// ```compile_fail,E0308
    /// use millstream_dsl::prelude::*;
    /// let table = StreamsBuilder::new().table::<String, i64>("in");
    /// table.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()));
    /// ```
    ///
    /// and a buffer that lets updates go early would show results that are not final:
    ///
    /// ```compile_fail,E0308
    /// use millstream_dsl::prelude::*;
    /// let stream = StreamsBuilder::new().stream::<String, i64>("in");
    /// let counts = stream.group_by_key().windowed_by(TimeWindows::of(millis(10))).count();
    /// counts.suppress(Suppressed::until_window_closes(BufferConfig::max_records(10)));
    /// ```
    #[must_use]
    pub fn suppress(&self, suppressed: Suppressed<K>) -> Self {
        let mut builder = self.builder.borrow_mut();
        let (name, store) = names(&mut builder, suppressed.name.as_ref());
        if self.view.is_versioned() {
            builder.violation(&name, "a table with history, here or further up, cannot be suppressed");
        }
        let wait_ms = match suppressed.until {
            Until::TimeLimit(wait_ms) => wait_ms,
            Until::WindowCloses(_) => builder.window_grace_ms(self.node).unwrap_or_else(|| {
                let message = "when a window closes is known only behind a windowed aggregation";
                builder.violation(&name, message);
                0
            }),
        };
        let key = builder.resolve_serde(&name, None, self.key_serde.as_ref());
        let value = builder.resolve_serde(&name, None, self.value_serde.as_ref());
        let serdes = key.zip(value).map(|(key, value)| Serdes {
            key,
            value,
            reuse_key_bytes: self.key_serde.is_some(),
        });
        // The value before the updates that wait is the old value of the first of them.
        self.view.enable_old_values(true);
        let rule = Rule {
            until: suppressed.until,
            wait_ms,
            bounds: suppressed.bounds,
        };
        let view = SuppressView {
            parent: self.clone(),
            store: store.clone(),
            serdes: serdes.clone(),
        };
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some(serdes) = serdes.clone() else { return };
            let (store, rule) = (store.clone(), rule.clone());
            let built = store_builder(&store, &rule.bounds);
            let factory = factory(move |scope| {
                let buffer = getter::suppress(scope, &store)?;
                let logged = buffer.clone();
                let node = scope.name().clone();
                scope.on_flush(move |_| logged.log_changes().map_err(|e| faults::store(&node, e)));
                Ok(table_port(Suppress {
                    node: scope.name().clone(),
                    rule: rule.clone(),
                    serdes: serdes.clone(),
                    buffer,
                    children: scope.table_children()?,
                    observed_time: Cell::new(-1),
                    buffers: RefCell::default(),
                }))
            });
            writer.add_processor(name, parents, factory);
            writer.add_store(built, std::slice::from_ref(name));
        };
        let node = builder.add(&[self.node], GraphNode::new(name.clone(), write));
        // Kafka Streams takes the table for its source, and so asks for no equal partition counts in joins behind it.
        if !self.sources.contains(&self.name) {
            let real = self.sources.iter().cloned().collect();
            builder.stand_ins.insert(self.name.clone(), real);
        }
        Self {
            builder: self.builder.clone(),
            node,
            name,
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            sources: Arc::new(BTreeSet::from([self.name.clone()])),
            queryable: None,
            view: Rc::new(view),
        }
    }
}

/// Names of operator and store. A given name burns no index, as in Kafka Streams.
fn names(builder: &mut Builder, given: Option<&Arc<str>>) -> (Arc<str>, Arc<str>) {
    match given {
        Some(name) => {
            builder.check_name(name);
            (name.clone(), format!("{name}-store").into())
        }
        None => (builder.new_processor_name(PREFIX), builder.new_store_name(PREFIX)),
    }
}

fn store_builder(name: &Arc<str>, bounds: &Bounds) -> StoreBuilder {
    let spec = StoreSpec {
        name: name.clone(),
        kind: StoreKind::Suppress,
        backend: StoreBackend::Persistent,
        caching: false,
        logging: bounds.logging,
        logged_headers: LoggedHeaders::Never,
    };
    let mut store = StoreBuilder::new(spec);
    for (key, value) in &bounds.topic_config {
        store = store.topic_config(key.clone(), value.clone());
    }
    store
}
