//! A table from a topic or a stream: `StreamsBuilder::table` and `to_table`.
//!
//! A record without a key is dropped and counted; one without a value deletes the row. Updates that are older than the
//! row are applied all the same, as in Kafka Streams, and logged.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use crate::{
    engine::{
        Change, NodeFactory, ProcessError, ProcessResult, Receiver, Record, SourceFactory, TableChildren, TaskContext,
        port,
    },
    operators::{RepartitionParts, repartition},
    options::{Materialized, Planned},
    serde::{OptionSerde, SharedSerde},
    stream::{Consumed, ExtractInput, KStream, StreamsBuilder, TimestampExtractor, factory, source_factory},
    table::{
        KTable, faults,
        output::{Forwarder, OpenRows, Rows, RowsPlan, Scratch, ScratchCell},
        store::Placed,
        view::SourceView,
    },
    topology::{Builder, GraphNode, SourceTopics, TopologyWriter},
};

/// Looks into a key or value that may be null.
type Present<T, U> = Arc<dyn for<'a> Fn(&'a T) -> Option<&'a U> + Send + Sync>;

/// How the records of a stream become rows.
struct Input<KI, VI, K, V> {
    key: Present<KI, K>,
    value: Present<VI, V>,
}
impl<KI, VI, K, V> Clone for Input<KI, VI, K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

struct TableSource<KI, VI, K, V> {
    input: Input<KI, VI, K, V>,
    stored: Option<OpenRows<K, V>>,
    children: TableChildren<K, V>,
    scratch: ScratchCell,
    /// The last old value, so that the next one finds memory.
    old: Cell<Option<V>>,
}

fn table_source<KI: 'static, VI: 'static, K: 'static, V: 'static>(
    input: Input<KI, VI, K, V>,
    plan: Option<RowsPlan<K, V>>,
    send_old: bool,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        let (stored, children) = match &plan {
            Some(plan) => (Some(plan.open(scope, send_old)?), TableChildren::None),
            None => (None, scope.table_children()?),
        };
        Ok(port(TableSource {
            input: input.clone(),
            stored,
            children,
            scratch: RefCell::default(),
            old: Cell::default(),
        }))
    })
}

impl<KI, VI, K: 'static, V: 'static> Receiver<KI, VI> for TableSource<KI, VI, K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, KI, VI>) -> ProcessResult {
        let Some(key) = (self.input.key)(record.key) else {
            cx.count_dropped();
            return Ok(());
        };
        let change = Change {
            key,
            new: (self.input.value)(record.value),
            old: None,
            is_latest: true,
            timestamp: record.timestamp,
            headers: record.headers,
            key_bytes: record.key_bytes,
        };
        let Some((rows, output)) = &self.stored else {
            return self.children.forward(cx, change);
        };
        let (mut scratch, mut old) = (self.scratch.take(), self.old.take());
        let result = match put(cx, rows, output, &change, &mut scratch, &mut old) {
            Err(error) => faults::handle(cx, error, record.timestamp, record.headers),
            Ok(written) if rows.store.is_cached() || written.placed == Placed::Refused => Ok(()),
            Ok(Written { key_bytes, old, placed }) => {
                let change = change.with_values(change.new, old);
                output.children.forward(
                    cx,
                    Change {
                        key_bytes: Some(key_bytes),
                        is_latest: placed == Placed::Newest,
                        ..change
                    },
                )
            }
        };
        self.scratch.replace(scratch);
        self.old.set(old);
        result
    }
}

/// A row that was written, and the old value if somebody wants it.
struct Written<'a, V> {
    key_bytes: &'a [u8],
    old: Option<&'a V>,
    placed: Placed,
}

/// Writes the row; gives the key's bytes and the old value if somebody wants it.
fn put<'a, K: 'static, V: 'static>(
    cx: &TaskContext,
    rows: &Rows<K, V>,
    output: &Forwarder<K, V>,
    change: &Change<'a, K, V>,
    scratch: &'a mut Scratch,
    last_old: &'a mut Option<V>,
) -> Result<Written<'a, V>, Box<ProcessError>> {
    let Scratch {
        key: key_buffer,
        value: value_buffer,
    } = scratch;
    let key = rows.key_bytes(change.key, change.key_bytes, key_buffer)?;
    let mut had_old = false;
    if output.send_old
        && !rows.store.is_cached()
        && let Some(timestamp) = rows.get(key, value_buffer)?
    {
        if change.timestamp < timestamp {
            tracing::debug!(
                store = rows.store.name(),
                timestamp,
                late = change.timestamp,
                "update older than its row"
            );
        }
        rows.decode_into(value_buffer, last_old)?;
        had_old = true;
    }
    let placed = rows.put(
        cx,
        key,
        change.new,
        change.timestamp,
        (change.timestamp, change.headers),
        value_buffer,
    )?;
    Ok(Written {
        key_bytes: key,
        old: last_old.as_ref().filter(|_| had_old),
        placed,
    })
}

/// The operator that makes rows of a topic's records.
pub(super) fn topic_rows<K: 'static, V: 'static>(plan: Option<RowsPlan<K, V>>, send_old: bool) -> Arc<dyn NodeFactory> {
    let input: Input<Option<K>, Option<V>, K, V> = Input {
        key: Arc::new(|key| key.as_ref()),
        value: Arc::new(|value| value.as_ref()),
    };
    table_source(input, plan, send_old)
}

/// The operator that makes rows of results, which may be none.
pub(super) fn result_rows<K: 'static, V: 'static>(
    plan: Option<RowsPlan<K, V>>,
    send_old: bool,
) -> Arc<dyn NodeFactory> {
    let input: Input<K, Option<V>, K, V> = Input {
        key: Arc::new(|key| Some(key)),
        value: Arc::new(|value| value.as_ref()),
    };
    table_source(input, plan, send_old)
}

/// A table of a topic in the making, global or not: names in the order of Kafka Streams, serdes, store and source.
pub(super) struct TopicTable<K, V> {
    pub(super) store: Arc<str>,
    pub(super) source: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) key: Option<SharedSerde<K>>,
    pub(super) value: Option<SharedSerde<V>>,
    pub(super) planned: Option<Planned<RowsPlan<K, V>>>,
    pub(super) make_source: Option<Arc<dyn SourceFactory>>,
}
impl<K: 'static, V: 'static> TopicTable<K, V> {
    pub(super) fn new(builder: &mut Builder, consumed: &Consumed<K, V>, materialized: &Materialized<K, V>) -> Self {
        let prefix = match &consumed.topics {
            SourceTopics::Names(names) => names.first().map(|topic| format!("{topic}-")).unwrap_or_default(),
            _ => SOURCE.to_owned(),
        };
        let store = materialized.store_name(builder, &prefix);
        let source = suffixed(builder, consumed.name.name(), "-source", "KSTREAM-SOURCE-");
        let name = builder.name_burning(consumed.name.name(), SOURCE);
        let key = builder.resolve_serde(&name, consumed.key.as_ref(), None);
        let value = builder.resolve_serde(&name, consumed.value.as_ref(), None);
        let planned = materialized.plan(builder, &store, key.as_ref(), value.as_ref());
        let make_source = key.clone().zip(value.clone()).map(|(key, value)| {
            let extractor = nullable_extractor(consumed.extractor.clone(), &key, &value);
            source_factory::<Option<K>, Option<V>>(
                Arc::new(OptionSerde::new(key)),
                Arc::new(OptionSerde::new(value)),
                extractor,
            )
        });
        Self {
            store,
            source,
            name,
            key,
            value,
            planned,
            make_source,
        }
    }
}

const SOURCE: &str = "KTABLE-SOURCE-";
const TO_TABLE: &str = "KSTREAM-TOTABLE-";

impl StreamsBuilder {
    /// A table of the latest value of each key of a topic: `builder.table("topic")`, or with options `Consumed::topic(..)`.
    ///
    /// It is stored only if an operator needs that (a join, a grouping) or if it is named.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let profiles = builder.table::<String, String>("profiles");
    /// builder
    ///     .stream::<String, i64>("visits")
    ///     .left_join(&profiles, |n, name| format!("{}:{n}", name.map_or("?", String::as_str)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("visits", "k".to_owned(), 1i64)?;
    /// runner.pipe("profiles", "k".to_owned(), Some("Ada".to_owned()))?;
    /// runner.pipe("visits", "k".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("k".to_owned(), "?:1".to_owned()), ("k".to_owned(), "Ada:2".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn table<K: 'static, V: 'static>(&self, consumed: impl Into<Consumed<K, V>>) -> KTable<K, V> {
        self.table_with(consumed, Materialized::new())
    }
    /// [`table`](Self::table) with options of its store.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table_with::<String, i64>("in", "latest");
    /// assert_eq!(table.queryable_store_name(), Some("latest"));
    /// table.to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn table_with<K: 'static, V: 'static>(
        &self,
        consumed: impl Into<Consumed<K, V>>,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V> {
        let (consumed, materialized) = (consumed.into(), materialized.into());
        let mut builder = self.inner.borrow_mut();
        let TopicTable {
            store,
            source,
            name,
            key,
            value,
            planned,
            make_source,
        } = TopicTable::new(&mut builder, &consumed, &materialized);
        let view = Rc::new(SourceView {
            store,
            serdes: planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone())),
            materialized: Cell::new(materialized.name.is_some()),
            versioned: materialized.is_versioned(),
            send_old: Cell::new(false),
        });
        let (topics, reset, source_name, state) = (consumed.topics, consumed.reset, source.clone(), view.clone());
        if !matches!(&topics, SourceTopics::Names(names) if names.len() == 1) {
            builder.violation(&name, "a table is read from one topic");
        }
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            let (Some(planned), Some(make_source)) = (&planned, &make_source) else {
                return;
            };
            writer.add_source(&source_name, topics.clone(), reset, make_source.clone());
            let stored = state.materialized.get();
            let plan = stored.then(|| planned.plan.clone());
            writer.add_processor(
                name,
                std::slice::from_ref(&source_name),
                topic_rows(plan, state.send_old.get()),
            );
            if stored {
                let mut store = planned.store.clone();
                let reuse = writer.config.optimizations.reuse_table_source_topics;
                if let (true, SourceTopics::Names(names)) = (reuse, &topics) {
                    store.source_changelog = names.first().cloned();
                }
                writer.add_store(store, std::slice::from_ref(name));
            }
        };
        let node = builder.add(&[Builder::ROOT], GraphNode::new(name.clone(), write));
        KTable {
            builder: self.inner.clone(),
            node,
            name,
            key_serde: key,
            value_serde: value,
            sources: Arc::new(BTreeSet::from([source])),
            queryable: materialized.name.clone(),
            view,
        }
    }
}

/// A name with a suffix, or a generated one; an index is burned in any case.
pub(crate) fn suffixed(builder: &mut Builder, given: Option<&Arc<str>>, suffix: &str, prefix: &str) -> Arc<str> {
    let given = given.map(|name| -> Arc<str> { format!("{name}{suffix}").into() });
    builder.name_burning(given.as_ref(), prefix)
}

/// The extractor of a table sees rows, and nulls only where the type has null: else the record's own time counts.
fn nullable_extractor<K: 'static, V: 'static>(
    extractor: TimestampExtractor<K, V>,
    key: &SharedSerde<K>,
    value: &SharedSerde<V>,
) -> TimestampExtractor<Option<K>, Option<V>> {
    let (key_serde, value_serde) = (key.clone(), value.clone());
    match extractor {
        TimestampExtractor::Record => TimestampExtractor::Record,
        TimestampExtractor::LogAndSkip => TimestampExtractor::LogAndSkip,
        TimestampExtractor::PartitionTime => TimestampExtractor::PartitionTime,
        TimestampExtractor::WallClock => TimestampExtractor::WallClock,
        TimestampExtractor::Custom(f) => {
            TimestampExtractor::custom(move |input: ExtractInput<'_, Option<K>, Option<V>>| {
                let no_key = if input.key.is_none() { key_serde.null() } else { None };
                let no_value = if input.value.is_none() {
                    value_serde.null()
                } else {
                    None
                };
                match (
                    input.key.as_ref().or(no_key.as_ref()),
                    input.value.as_ref().or(no_value.as_ref()),
                ) {
                    (Some(key), Some(value)) => f(ExtractInput {
                        key,
                        value,
                        timestamp: input.timestamp,
                        partition_time: input.partition_time,
                    }),
                    _ => input.timestamp,
                }
            })
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// The latest value of each key as a table. A value that is null by its serde deletes the row; see
    /// [`to_table_opt`](KStream::to_table_opt) for streams of `Option`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.stream::<String, i64>("in").to_table_with("latest");
    /// assert_eq!(table.queryable_store_name(), Some("latest"));
    /// table.filter(|_, n| *n > 1).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(2))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "toTable")]
    #[must_use]
    pub fn to_table(&self) -> KTable<K, V> {
        self.to_table_with(Materialized::new())
    }
    /// [`to_table`](Self::to_table) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.stream::<String, i64>("in").to_table_with("latest");
    /// assert_eq!(table.queryable_store_name(), Some("latest"));
    /// table.to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_table_with(&self, materialized: impl Into<Materialized<K, V>>) -> KTable<K, V> {
        let materialized = materialized.into();
        let value = materialized.value.clone().or_else(|| self.value_serde.clone());
        let sent = materialized.value.clone();
        self.make_table(materialized, value.as_ref(), sent, |serde| {
            Arc::new(move |value: &V| -> Option<&V> { (!serde.is_null(value)).then_some(value) })
        })
    }

    fn make_table<U: 'static>(
        &self,
        materialized: Materialized<K, U>,
        inherited_value: Option<&SharedSerde<U>>,
        sent_value: Option<SharedSerde<V>>,
        present: impl FnOnce(SharedSerde<U>) -> Present<V, U>,
    ) -> KTable<K, U> {
        let name = self.next_name(&materialized.operator, TO_TABLE);
        let store = materialized.store_name(&mut self.builder.borrow_mut(), TO_TABLE);
        let parent = if self.repartition_required {
            let parts = RepartitionParts {
                name: name.clone(),
                key: materialized.key.clone(),
                value: sent_value,
                partitions: None,
                partitioner: None,
                shareable: true,
            };
            repartition(self, parts)
        } else {
            self.clone()
        };
        let mut builder = self.builder.borrow_mut();
        let planned = materialized.plan(&mut builder, &store, parent.key_serde.as_ref(), inherited_value);
        let view = Rc::new(SourceView {
            store,
            serdes: planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone())),
            materialized: Cell::new(materialized.name.is_some()),
            versioned: materialized.is_versioned(),
            send_old: Cell::new(false),
        });
        let key_serde = planned.as_ref().map(|p| p.plan.key.clone());
        let value_serde = planned.as_ref().map(|p| p.plan.value.clone());
        let ready = planned.map(|planned| {
            let key = planned.plan.key.clone();
            let key: Present<K, K> = Arc::new(move |k: &K| -> Option<&K> { (!key.is_null(k)).then_some(k) });
            let input = Input {
                key,
                value: present(planned.plan.value.clone()),
            };
            (planned, input)
        });
        let state = view.clone();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some((planned, input)) = &ready else { return };
            let stored = state.materialized.get();
            let plan = stored.then(|| planned.plan.clone());
            writer.add_processor(name, parents, table_source(input.clone(), plan, state.send_old.get()));
            if stored {
                writer.add_store(planned.store.clone(), std::slice::from_ref(name));
            }
        };
        let node = builder.add(&[parent.node], GraphNode::new(name.clone(), write));
        KTable {
            builder: self.builder.clone(),
            node,
            name,
            key_serde,
            value_serde,
            sources: parent.sources.clone(),
            queryable: materialized.name.clone(),
            view,
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, Option<V>> {
    /// The latest value of each key as a table; None deletes the row.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, Option<i64>>("in").to_table_opt().filter(|_, n| *n > 1).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(2i64))?;
    /// runner.pipe("in", "a".to_owned(), None::<i64>)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(2)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_table_opt(&self) -> KTable<K, V> {
        self.to_table_opt_with(Materialized::new())
    }
    /// [`to_table_opt`](Self::to_table_opt) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.stream::<String, Option<i64>>("in").to_table_opt_with("latest");
    /// table.to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "a".to_owned(), None::<i64>)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_table_opt_with(&self, materialized: impl Into<Materialized<K, V>>) -> KTable<K, V> {
        let materialized = materialized.into();
        let value = materialized.value.clone();
        let sent = value
            .clone()
            .map(|serde| -> SharedSerde<Option<V>> { Arc::new(OptionSerde::new(serde)) });
        self.make_table(materialized, value.as_ref(), sent, |_| {
            Arc::new(|value: &Option<V>| value.as_ref())
        })
    }
}
