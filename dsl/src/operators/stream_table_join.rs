//! Each record of a stream with the row of its key: `join` and `left_join` of a stream with a table.
//!
//! Only the stream triggers results, with the record's timestamp. A record without a value is dropped and counted; so
//! is one without a key, except that a left join gives it a result without a row.
use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, Children, ProcessError, ProcessResult, Receiver, Record, TaskContext, port},
    operators::{RepartitionParts, burn_names, repartition, repartition_topic},
    options::Joined,
    serde::SharedSerde,
    stream::{KStream, factory},
    table::{KTable, faults::Stop, getter::ValueGetter},
    topology::{GraphNode, JoinTopic, TopologyWriter},
};

use super::grace_join::Grace;

pub(super) type Joiner<K, V, VT, VR> = Arc<dyn Fn(&K, &V, Option<&VT>) -> Result<VR, BoxError> + Send + Sync>;

/// What a record's key finds in the table.
pub(super) enum Found<VT> {
    /// The record has no key to look up.
    NoKey,
    /// The row, if there is one.
    Row(Option<VT>),
}

/// Where the row for a record comes from.
pub(super) trait Lookup<K, V, VT> {
    fn find(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<Found<VT>, Box<ProcessError>>;
}

/// Rows by the record's own key.
pub(super) struct SameKey<K, VT> {
    key: Option<SharedSerde<K>>,
    table: Rc<dyn ValueGetter<K, VT>>,
}
impl<K, V, VT> Lookup<K, V, VT> for SameKey<K, VT> {
    fn find(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<Found<VT>, Box<ProcessError>> {
        if self.key.as_ref().is_some_and(|serde| serde.is_null(record.key)) {
            return Ok(Found::NoKey);
        }
        let row = self
            .table
            .get_as_of(cx, record.key, record.key_bytes, record.timestamp)?;
        Ok(Found::Row(row.map(|(value, _)| value)))
    }
}

/// A join of a stream with rows, whatever they are looked up by.
pub(super) struct RowJoin<K, V, VT, VR, L> {
    pub(super) node: Arc<str>,
    pub(super) left: bool,
    pub(super) value: Option<SharedSerde<V>>,
    pub(super) lookup: L,
    pub(super) joiner: Joiner<K, V, VT, VR>,
    pub(super) children: Children<K, VR>,
}

impl<K, V, VT, VR, L: Lookup<K, V, VT>> RowJoin<K, V, VT, VR, L> {
    fn join(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<Option<VR>, Box<ProcessError>> {
        let row = match self.lookup.find(cx, record)? {
            Found::NoKey if self.left => None,
            Found::NoKey => {
                cx.count_dropped();
                return Ok(None);
            }
            Found::Row(None) if !self.left => return Ok(None),
            Found::Row(row) => row,
        };
        cx.try_call(&self.node, || (self.joiner)(record.key, record.value, row.as_ref()))
            .map(Some)
    }
    /// Joins a record that has a value, and hands the result on.
    pub(super) fn answer(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<(), Stop> {
        match self.join(cx, record)? {
            Some(result) => self
                .children
                .forward(cx, record.with_value(&result))
                .map_err(Stop::Behind),
            None => Ok(()),
        }
    }
}

impl<K, V, VT, VR, L: Lookup<K, V, VT>> Receiver<K, V> for RowJoin<K, V, VT, VR, L> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        if self.value.as_ref().is_some_and(|serde| serde.is_null(record.value)) {
            cx.count_dropped();
            return Ok(());
        }
        self.answer(cx, &record)
            .or_else(|stop| stop.handle(cx, record.timestamp, record.headers))
    }
}

/// A joiner that needs a row.
pub(super) fn inner_joiner<K: 'static, V: 'static, VT: 'static, VR: 'static, E: Into<BoxError>>(
    joiner: impl Fn(&K, &V, &VT) -> Result<VR, E> + Send + Sync + 'static,
) -> Joiner<K, V, VT, VR> {
    Arc::new(move |k, v, row| match row {
        Some(row) => joiner(k, v, row).map_err(Into::into),
        None => Err("an inner join has no result without a row".into()),
    })
}

/// The other side of a join of a stream: a table. Streams are joined within a window, see
/// [`KStream::join_stream`](KStream::join_stream).
impl<K: 'static, V: 'static> KStream<K, V> {
    /// Records with the row of their key; a record without one has no result.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// builder.stream::<String, i64>("in").join(&names, |n, name| format!("{name}:{n}")).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "k".to_owned(), 1i64)?;
    /// runner.pipe("names", "k".to_owned(), Some("Ada".to_owned()))?;
    /// runner.pipe("in", "k".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("k".to_owned(), "Ada:2".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join<VT: 'static, VR: 'static>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&V, &VT) -> VR + Send + Sync + 'static,
    ) -> KStream<K, VR> {
        self.join_with(table, move |_, v, vt| joiner(v, vt), Joined::new())
    }
    /// [`join`](Self::join) with options, by a function that also sees the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .join_with(
    ///         &names,
    ///         |k, n, name| format!("{k}:{name}:{n}"),
    ///         Joined::named("named"),
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("names", "a".to_owned(), Some("Ada".to_owned()))?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("a".to_owned(), "a:Ada:1".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join_with<VT: 'static, VR: 'static>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, &VT) -> VR + Send + Sync + 'static,
        joined: impl Into<Joined<K, V>>,
    ) -> KStream<K, VR> {
        self.try_join_with(table, move |k, v, vt| Ok::<_, BoxError>(joiner(k, v, vt)), joined)
    }
    /// [`join_with`](Self::join_with) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// let add = |_: &String, n: &i64, text: &String| text.parse::<i64>().map(|other| n + other);
    /// builder.stream::<String, i64>("in").try_join_with(&names, add, Joined::new()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("names", "a".to_owned(), Some("5".to_owned()))?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 6)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_join_with<VT: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, &VT) -> Result<VR, E> + Send + Sync + 'static,
        joined: impl Into<Joined<K, V>>,
    ) -> KStream<K, VR> {
        self.add_table_join(table, inner_joiner(joiner), joined.into(), false)
    }
    /// Records with the row of their key, or None where there is none.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .left_join(&names, |n, name| format!("{}:{n}", name.map_or("?", String::as_str)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "k".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("k".to_owned(), "?:1".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "leftJoin")]
    #[must_use]
    pub fn left_join<VT: 'static, VR: 'static>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&V, Option<&VT>) -> VR + Send + Sync + 'static,
    ) -> KStream<K, VR> {
        self.left_join_with(table, move |_, v, vt| joiner(v, vt), Joined::new())
    }
    /// [`left_join`](Self::left_join) with options, by a function that also sees the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .left_join_with(
    ///         &names,
    ///         |k, n, name| format!("{k} {n} {}", name.is_some()),
    ///         Joined::named("named"),
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("names", "a".to_owned(), Some("Ada".to_owned()))?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [
    ///         ("a".to_owned(), "a 1 true".to_owned()),
    ///         ("b".to_owned(), "b 2 false".to_owned())
    ///     ]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn left_join_with<VT: 'static, VR: 'static>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, Option<&VT>) -> VR + Send + Sync + 'static,
        joined: impl Into<Joined<K, V>>,
    ) -> KStream<K, VR> {
        self.try_left_join_with(table, move |k, v, vt| Ok::<_, BoxError>(joiner(k, v, vt)), joined)
    }
    /// [`left_join_with`](Self::left_join_with) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// let add = |_: &String, n: &i64, text: Option<&String>| {
    ///     text.map_or(Ok(0), |t| t.parse::<i64>()).map(|other| n + other)
    /// };
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .try_left_join_with(&names, add, Joined::new())
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("names", "a".to_owned(), Some("5".to_owned()))?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a".to_owned(), 6), ("b".to_owned(), 2)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_left_join_with<VT: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, Option<&VT>) -> Result<VR, E> + Send + Sync + 'static,
        joined: impl Into<Joined<K, V>>,
    ) -> KStream<K, VR> {
        let joiner: Joiner<K, V, VT, VR> = Arc::new(move |k, v, row| joiner(k, v, row).map_err(Into::into));
        self.add_table_join(table, joiner, joined.into(), true)
    }

    fn add_table_join<VT: 'static, VR: 'static>(
        &self,
        table: &KTable<K, VT>,
        joiner: Joiner<K, V, VT, VR>,
        joined: Joined<K, V>,
        left: bool,
    ) -> KStream<K, VR> {
        let stream = self.partitioned_for_join(joined.name.name(), joined.key.clone(), joined.value.clone());
        let name = stream.next_name(&joined.name, if left { "KSTREAM-LEFTJOIN-" } else { "KSTREAM-JOIN-" });
        let view = table.view.view();
        let mut builder = stream.builder.borrow_mut();
        let grace = joined
            .grace_ms
            .map(|grace_ms| Grace::new(&mut builder, &name, grace_ms, table.view.is_versioned()));
        let key = joined
            .key
            .clone()
            .or_else(|| stream.key_serde.clone())
            .or_else(|| table.key_serde.clone());
        let value = joined.value.clone().or_else(|| stream.value_serde.clone());
        let value = value.or_else(|| builder.default_serde::<V>());
        // A record that waits is written down.
        let waiting = grace.and_then(|grace| {
            let key = builder.resolve_serde(&name, key.as_ref(), None);
            let value = builder.resolve_serde(&name, value.as_ref(), None);
            let reuse_key_bytes = joined.key.is_none() && stream.key_serde.is_some();
            Some(grace.with_serdes(key.zip(value)?, reuse_key_bytes))
        });
        let key_serde = joined.key.or_else(|| stream.key_serde.clone());
        let sources: BTreeSet<_> = stream.sources.union(&table.sources).cloned().collect();
        let copartitioned: Vec<_> = sources.iter().cloned().collect();
        let in_buffer = waiting.clone();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some(view) = view.clone() else { return };
            let (joiner, key, value, get) = (joiner.clone(), key.clone(), value.clone(), view.factory);
            let waiting = waiting.clone();
            let factory = factory(move |scope| {
                let join = RowJoin {
                    node: scope.name().clone(),
                    left,
                    value: value.clone(),
                    lookup: SameKey {
                        key: key.clone(),
                        table: get(scope)?,
                    },
                    joiner: joiner.clone(),
                    children: scope.children()?,
                };
                match &waiting {
                    Some(waiting) => Ok(port(waiting.open(scope, join)?)),
                    None => Ok(port(join)),
                }
            });
            writer.add_processor(name, parents, factory);
            if let Some(waiting) = &in_buffer {
                waiting.write(name, &view.stores, writer);
            }
            for store in &view.stores {
                writer.connect(name, store);
            }
            writer.copartition(&copartitioned);
        };
        let mut node = GraphNode::new(name.clone(), write);
        node.joins_null_keys = left;
        let node = builder.add(&[stream.node], node);
        KStream {
            builder: stream.builder.clone(),
            node,
            name,
            key_serde,
            value_serde: None,
            sources: Arc::new(sources),
            repartition_required: false,
        }
    }

    /// This stream, through a repartition topic if its key may have changed.
    pub(crate) fn partitioned_for_join(
        &self,
        name: Option<&Arc<str>>,
        key: Option<SharedSerde<K>>,
        value: Option<SharedSerde<V>>,
    ) -> Self {
        if !self.repartition_required {
            return self.clone();
        }
        // Joins without a name share the topic that was made last for a join of this stream.
        if name.is_none() {
            let topic = repartition_topic(&self.name);
            self.builder.borrow_mut().generated_names.push(topic);
            let shared = self.builder.borrow().join_topic::<K, V>(self.node);
            if let Some(shared) = shared {
                // The names that another topic would have got are used up all the same. Kafka Streams goes on with that
                // source; unless it has the name of the one that is there, it asks for no equal partition counts with it.
                let mut builder = self.builder.borrow_mut();
                let source = burn_names(&mut builder, &self.name);
                if source != shared.source {
                    builder.stand_ins.insert(source.clone(), vec![shared.source.clone()]);
                }
                return Self {
                    builder: self.builder.clone(),
                    node: shared.node,
                    name: shared.source,
                    key_serde: shared.key,
                    value_serde: shared.value,
                    sources: Arc::new(BTreeSet::from([source])),
                    repartition_required: false,
                };
            }
        }
        let parts = RepartitionParts {
            name: name.unwrap_or(&self.name).clone(),
            key,
            value,
            partitions: None,
            partitioner: None,
            shareable: true,
        };
        let made = repartition(self, parts);
        let topic = JoinTopic {
            node: made.node,
            source: made.name.clone(),
            key: made.key_serde.clone(),
            value: made.value_serde.clone(),
        };
        self.builder.borrow_mut().keep_join_topic(self.node, topic);
        made
    }
}
