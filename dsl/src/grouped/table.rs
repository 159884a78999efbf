//! A table under other keys: `group_by` of a table, and the aggregations behind it.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use crate::{
    engine::BoxError,
    operators::{
        suffixed,
        table_aggregate::{Step, TableFold, table_aggregate},
        table_group_by::{Selector, table_group_by},
    },
    options::{Grouped, Materialized},
    serde::{GroupedChange, GroupedChangeSerde, I64Serde, SharedSerde},
    stream::{SinkOptions, TimestampExtractor, sink_factory, source_factory},
    table::{KTable, view::StoredView},
    topology::{BuilderRef, GraphId, GraphNode, InternalTopic, SinkTarget, SourceTopics, TopologyWriter, UpgradeFrom},
};

const AGGREGATE: &str = "KTABLE-AGGREGATE-";
const REDUCE: &str = "KTABLE-REDUCE-";

/// The node of a repartition topic, and the name of its source.
type Repartitioned = (GraphId, Arc<str>);

/// A table under other keys. Kafka Streams: `KGroupedTable`.
pub struct KGroupedTable<K, V> {
    builder: BuilderRef,
    node: GraphId,
    grouped: Grouped<K, V>,
    /// The repartition topic that all aggregations of a named grouping share.
    repartitioned: Rc<RefCell<Option<Repartitioned>>>,
}
impl<K, V> Clone for KGroupedTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            builder: self.builder.clone(),
            node: self.node,
            grouped: self.grouped.clone(),
            repartitioned: self.repartitioned.clone(),
        }
    }
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Puts each row under the key and value that `selector` makes of it, through a repartition topic.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// // user -> city, to city -> number of users
    /// builder
    ///     .table::<String, String>("cities")
    ///     .group_by(|user, city| (city.clone(), user.clone()))
    ///     .count()
    ///     .to_stream()
    ///     .to("inhabitants");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("cities", "ann".to_owned(), Some("Rome".to_owned()))?;
    /// runner.pipe("cities", "ann".to_owned(), Some("Oslo".to_owned()))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("inhabitants"),
    ///     [("Rome".to_owned(), Some(1)), ("Rome".to_owned(), Some(0)), ("Oslo".to_owned(), Some(1))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "groupBy")]
    #[must_use]
    pub fn group_by<K2: 'static, V2: 'static>(
        &self,
        selector: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KGroupedTable<K2, V2> {
        self.group_by_with(selector, Grouped::new())
    }
    /// [`group_by`](Self::group_by) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table
    ///     .group_by_with(|_, n| ("all".to_owned(), *n), Grouped::named("all"))
    ///     .count()
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("all".to_owned(), Some(1)), ("all".to_owned(), Some(2))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn group_by_with<K2: 'static, V2: 'static>(
        &self,
        selector: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
        grouped: impl Into<Grouped<K2, V2>>,
    ) -> KGroupedTable<K2, V2> {
        self.try_group_by_with(move |k, v| Ok::<_, BoxError>(selector(k, v)), grouped)
    }
    /// [`group_by`](Self::group_by) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// let by_number = |k: &String, text: &String| text.parse::<i64>().map(|n| (n, k.clone()));
    /// table.try_group_by_with(by_number, Grouped::named("numbers")).count().to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some("7".to_owned()))?;
    /// assert_eq!(runner.read::<i64, Option<i64>>("out"), [(7, Some(1))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_group_by_with<K2: 'static, V2: 'static, E: Into<BoxError>>(
        &self,
        selector: impl Fn(&K, &V) -> Result<(K2, V2), E> + Send + Sync + 'static,
        grouped: impl Into<Grouped<K2, V2>>,
    ) -> KGroupedTable<K2, V2> {
        let mut grouped = grouped.into();
        let selector: Selector<K, V, K2, V2> = Arc::new(move |k: &K, v: &V| selector(k, v).map_err(Into::into));
        let name = self.next_name(&grouped.name, "KTABLE-SELECT-");
        self.view.enable_old_values(true);
        let mut builder = self.builder.borrow_mut();
        grouped.key = builder.resolve_serde(&name, grouped.key.as_ref(), None);
        grouped.value = builder.resolve_serde(&name, grouped.value.as_ref(), None);
        let serdes = grouped.key.clone().zip(grouped.value.clone());
        let versioned = self.view.is_versioned();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some((key, value)) = serdes.clone() else { return };
            let combined = writer
                .config
                .upgrade_from
                .is_none_or(UpgradeFrom::knows_combined_changes);
            let factory = table_group_by(selector.clone(), key, value, combined, versioned);
            writer.add_processor(name, parents, factory);
        };
        let node = builder.add(&[self.node], GraphNode::new(name, write));
        KGroupedTable {
            builder: self.builder.clone(),
            node,
            grouped,
            repartitioned: Rc::default(),
        }
    }
}

impl<K: 'static, V: 'static> KGroupedTable<K, V> {
    /// How many rows each group has.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, String>("homes").group_by(|who, city| (city.clone(), who.clone())).count().to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("homes", "ann".to_owned(), Some("Rome".to_owned()))?;
    /// runner.pipe("homes", "bob".to_owned(), Some("Rome".to_owned()))?;
    /// runner.pipe("homes", "ann".to_owned(), None::<String>)?;
    /// let counts: Vec<_> = runner.read::<String, Option<i64>>("out").into_iter().map(|(_, n)| n).collect();
    /// assert_eq!(counts, [Some(1), Some(2), Some(1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> KTable<K, i64> {
        self.count_with(Materialized::new())
    }
    /// [`count`](Self::count) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table
    ///     .group_by(|_, n| ("all".to_owned(), *n))
    ///     .count_with("counts")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("all".to_owned(), Some(1)), ("all".to_owned(), Some(2))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count_with(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<K, i64> {
        let step =
            |by: i64| -> Step<K, V, i64> { Arc::new(move |_, _, old| Ok(Some(old.unwrap_or(0).wrapping_add(by)))) };
        let long: SharedSerde<i64> = Arc::new(I64Serde);
        let fold = TableFold {
            add: step(1),
            subtract: step(-1),
            first: None,
        };
        self.add(fold, materialized.into(), AGGREGATE, AGGREGATE, Some(&long))
    }
    /// Combines the values of each group; the first value stands for itself.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let stock = builder.table::<String, i64>("shelves");
    /// stock.group_by(|_, n| ("all".to_owned(), *n)).reduce(|sum, n| sum + n, |sum, n| sum - n).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for (shelf, n) in [("a", 2i64), ("b", 3), ("a", 1)] {
    ///     runner.pipe("shelves", shelf.to_owned(), Some(n))?;
    /// }
    /// let sums: Vec<_> = runner.read::<String, Option<i64>>("out").into_iter().map(|(_, n)| n).collect();
    /// assert_eq!(sums.last(), Some(&Some(4)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduce(
        &self,
        adder: impl Fn(V, &V) -> V + Send + Sync + 'static,
        subtractor: impl Fn(V, &V) -> V + Send + Sync + 'static,
    ) -> KTable<K, V> {
        self.reduce_with(adder, subtractor, Materialized::new())
    }
    /// [`reduce`](Self::reduce) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table
    ///     .group_by(|_, n| ("all".to_owned(), *n))
    ///     .reduce_with(|sum, n| sum + n, |sum, n| sum - n, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("all".to_owned(), Some(1)), ("all".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduce_with(
        &self,
        adder: impl Fn(V, &V) -> V + Send + Sync + 'static,
        subtractor: impl Fn(V, &V) -> V + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V> {
        self.try_reduce_with(
            move |a, v| Ok::<_, BoxError>(Some(adder(a, v))),
            move |a, v| Ok::<_, BoxError>(Some(subtractor(a, v))),
            materialized,
        )
    }
    /// [`reduce`](Self::reduce) by functions that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// let plus = |sum: i64, n: &i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// let minus = |sum: i64, n: &i64| sum.checked_sub(*n).map(Some).ok_or("too little");
    /// table
    ///     .group_by(|_, n| ("all".to_owned(), *n))
    ///     .try_reduce_with(plus, minus, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("all".to_owned(), Some(1)), ("all".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_reduce_with<E: Into<BoxError>>(
        &self,
        adder: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static,
        subtractor: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V> {
        let missing = || -> BoxError { "a reduction has no first value".into() };
        let add: Step<K, V, V> = Arc::new(move |_, v, old| adder(old.ok_or_else(missing)?, v).map_err(Into::into));
        let subtract: Step<K, V, V> =
            Arc::new(move |_, v, old| subtractor(old.ok_or_else(missing)?, v).map_err(Into::into));
        let value = self.grouped.value.clone();
        let fold = TableFold {
            add,
            subtract,
            first: Some(|value| value),
        };
        // Kafka Streams names the store of a reduction like that of an aggregation.
        self.add(fold, materialized.into(), AGGREGATE, REDUCE, value.as_ref())
    }
    /// Builds a result per group: values are put in by `adder` and taken out by `subtractor`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let homes = builder.table::<String, String>("homes");
    /// homes
    ///     .group_by(|who, city| (city.clone(), who.clone()))
    ///     .aggregate(|| 0i64, |_, who, letters| letters + who.len() as i64, |_, who, letters| letters - who.len() as i64)
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("homes", "ann".to_owned(), Some("Rome".to_owned()))?;
    /// runner.pipe("homes", "ann".to_owned(), None::<String>)?;
    /// let letters: Vec<_> = runner.read::<String, Option<i64>>("out").into_iter().map(|(_, n)| n).collect();
    /// assert_eq!(letters, [Some(3), Some(0)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        adder: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
        subtractor: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.aggregate_with(initial, adder, subtractor, Materialized::new())
    }
    /// [`aggregate`](Self::aggregate) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table
    ///     .group_by(|_, n| ("all".to_owned(), *n))
    ///     .aggregate_with(|| 0, |_, n, sum| sum + n, |_, n, sum| sum - n, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("all".to_owned(), Some(1)), ("all".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_with<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        adder: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
        subtractor: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A> {
        self.try_aggregate_with(
            initial,
            move |k, v, a| Ok::<_, BoxError>(Some(adder(k, v, a))),
            move |k, v, a| Ok::<_, BoxError>(Some(subtractor(k, v, a))),
            materialized,
        )
    }
    /// [`aggregate`](Self::aggregate) by functions that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// let plus = |_: &String, n: &i64, sum: i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// let minus = |_: &String, n: &i64, sum: i64| sum.checked_sub(*n).map(Some).ok_or("too little");
    /// table
    ///     .group_by(|_, n| ("all".to_owned(), *n))
    ///     .try_aggregate_with(|| 0, plus, minus, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("all".to_owned(), Some(1)), ("all".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_aggregate_with<A: 'static, E: Into<BoxError>>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        adder: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        subtractor: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A> {
        let initial = Arc::new(initial);
        let start = initial.clone();
        let fold = TableFold {
            add: Arc::new(move |k: &K, v: &V, old: Option<A>| {
                adder(k, v, old.unwrap_or_else(|| initial())).map_err(Into::into)
            }),
            subtract: Arc::new(move |k: &K, v: &V, old: Option<A>| {
                subtractor(k, v, old.unwrap_or_else(|| start())).map_err(Into::into)
            }),
            first: None,
        };
        self.add(fold, materialized.into(), AGGREGATE, AGGREGATE, None)
    }

    fn add<A: 'static>(
        &self,
        fold: TableFold<K, V, A>,
        materialized: Materialized<K, A>,
        store_prefix: &str,
        prefix: &str,
        inherited_value: Option<&SharedSerde<A>>,
    ) -> KTable<K, A> {
        let mut builder = self.builder.borrow_mut();
        let store = materialized.store_name(&mut builder, store_prefix);
        let given = materialized.operator.name();
        let sink = suffixed(&mut builder, given, "-sink", "KSTREAM-SINK-");
        let source = suffixed(&mut builder, given, "-source", "KSTREAM-SOURCE-");
        let name = builder.name_burning(given, prefix);
        let planned = materialized.plan(&mut builder, &store, self.grouped.key.as_ref(), inherited_value);
        drop(builder);
        let (parent, source) = self.repartition(&store, sink, source);
        let send_old = Rc::new(Cell::new(false));
        let serdes = planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone()));
        let view = StoredView {
            store,
            serdes: serdes.clone(),
            send_old: send_old.clone(),
            versioned: planned.as_ref().is_some_and(|p| p.plan.versioned),
        };
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some(planned) = &planned else { return };
            writer.add_processor(
                name,
                parents,
                table_aggregate(fold.clone(), planned.plan.clone(), send_old.get()),
            );
            writer.add_store(planned.store.clone(), std::slice::from_ref(name));
        };
        let node = self
            .builder
            .borrow_mut()
            .add(&[parent], GraphNode::new(name.clone(), write));
        KTable {
            builder: self.builder.clone(),
            node,
            name,
            key_serde: serdes.as_ref().map(|(key, _)| key.clone()),
            value_serde: serdes.map(|(_, value)| value),
            sources: Arc::new(BTreeSet::from([source])),
            queryable: materialized.name.clone(),
            view: Rc::new(view),
        }
    }

    /// The repartition topic: its own, or the one that a named grouping shares.
    fn repartition(&self, store: &Arc<str>, sink: Arc<str>, source: Arc<str>) -> (GraphId, Arc<str>) {
        if let Some(name) = self.grouped.name.name() {
            if let Some(shared) = self.repartitioned.borrow().clone() {
                return shared;
            }
            let made = self.add_repartition(name, sink, source);
            *self.repartitioned.borrow_mut() = Some(made.clone());
            return made;
        }
        self.add_repartition(store, sink, source)
    }
    fn add_repartition(&self, topic: &str, sink: Arc<str>, source: Arc<str>) -> (GraphId, Arc<str>) {
        let topic = InternalTopic::repartition(&format!("{topic}-repartition"), None);
        let serdes = self.grouped.key.clone().zip(self.grouped.value.clone());
        let write = move |source: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some((key, value)) = serdes.clone() else { return };
            let value: SharedSerde<GroupedChange<V>> = Arc::new(GroupedChangeSerde::new(value));
            let options = SinkOptions {
                key: key.clone(),
                value: value.clone(),
                reuse_key_bytes: true,
                topic: topic.name.clone(),
                topic_fn: None,
                partitioner: None,
            };
            writer.add_sink(
                &sink,
                SinkTarget::Internal(topic.clone()),
                parents,
                sink_factory(options),
            );
            let read = source_factory(key, value, TimestampExtractor::Record);
            writer.add_source(source, SourceTopics::Internal(topic.clone()), None, read);
        };
        let node = self
            .builder
            .borrow_mut()
            .add(&[self.node], GraphNode::new(source.clone(), write));
        (node, source)
    }
}
