//! A stream whose records of one key are together: `group_by_key`, `group_by`, and the aggregations behind them.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use crate::{
    engine::{BoxError, NodeFactory},
    operators::{RepartitionParts, burn_names, repartition, stream_aggregate::stream_aggregate},
    options::{Grouped, Materialized},
    serde::{I64Serde, SharedSerde},
    stream::KStream,
    table::{KTable, view::StoredView},
    topology::{GraphId, GraphNode, StoreBuilder, TopologyWriter},
    window::{EmitStrategy, Windowed},
};

use super::{
    cut::{Cut, WindowedTable},
    fold::Fold,
};

/// A stream grouped by its key. Kafka Streams: `KGroupedStream`.
pub struct KGroupedStream<K, V> {
    /// With the serdes of the grouping.
    stream: KStream<K, V>,
    grouped: Grouped<K, V>,
    /// The repartition topic that all aggregations of a named grouping share.
    repartitioned: Rc<RefCell<Option<KStream<K, V>>>>,
}
impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            stream: self.stream.clone(),
            grouped: self.grouped.clone(),
            repartitioned: self.repartitioned.clone(),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Groups the records by their key, through a repartition topic if the key may have changed.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().reduce(|a, b| a + b).to_stream().to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("sums"), [("a".to_owned(), 1), ("a".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "groupByKey")]
    #[must_use]
    pub fn group_by_key(&self) -> KGroupedStream<K, V> {
        self.group_by_key_with(Grouped::new())
    }
    /// [`group_by_key`](Self::group_by_key) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key_with(Grouped::named("groups")).count().to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), Some(2))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn group_by_key_with(&self, grouped: impl Into<Grouped<K, V>>) -> KGroupedStream<K, V> {
        let grouped = grouped.into();
        KGroupedStream {
            stream: self.clone(),
            grouped,
            repartitioned: Rc::default(),
        }
    }
    /// Groups the records by a key made from key and value, through a repartition topic.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").group_by(|_, word| word.clone()).count().to_stream().to("counts");
    /// assert_eq!(builder.build()?.subtopologies().len(), 2);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[doc(alias = "groupBy")]
    #[must_use]
    pub fn group_by<K2: 'static>(&self, key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KGroupedStream<K2, V> {
        self.group_by_with(key, Grouped::new())
    }
    /// [`group_by`](Self::group_by) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_with(|_, n| n % 2, Grouped::named("parity"))
    ///     .count()
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<i64, Option<i64>>("out"),
    ///     [(1, Some(1)), (0, Some(1))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn group_by_with<K2: 'static>(
        &self,
        key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        grouped: impl Into<Grouped<K2, V>>,
    ) -> KGroupedStream<K2, V> {
        let grouped = grouped.into();
        self.select_key_with(key, grouped.name.clone())
            .group_by_key_with(grouped)
    }
    /// [`group_by`](Self::group_by) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_group_by_with(|_, text| text.parse::<i64>(), Grouped::named("numbers"))
    ///     .count()
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "7".to_owned())?;
    /// assert_eq!(runner.read::<i64, Option<i64>>("out"), [(7, Some(1))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_group_by_with<K2: 'static, E: Into<BoxError>>(
        &self,
        key: impl Fn(&K, &V) -> Result<K2, E> + Send + Sync + 'static,
        grouped: impl Into<Grouped<K2, V>>,
    ) -> KGroupedStream<K2, V> {
        let grouped = grouped.into();
        self.try_select_key_with(key, grouped.name.clone())
            .group_by_key_with(grouped)
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    /// How many records each key has.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").group_by_key().count().to_stream().to("counts");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x".to_owned())?;
    /// runner.pipe("in", "a".to_owned(), "y".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("counts"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> KTable<K, i64> {
        self.counted(Materialized::new())
    }
    /// [`count`](Self::count) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let counts = builder.stream::<String, i64>("in").group_by_key().count_with("counts");
    /// assert_eq!(counts.queryable_store_name(), Some("counts"));
    /// counts.to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), Some(2))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count_with(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<K, i64> {
        let materialized = materialized.into();
        if materialized.name.is_none() {
            // Kafka Streams wastes an index here, and later names depend on it.
            self.stream.builder.borrow_mut().new_store_name(AGGREGATE);
        }
        self.counted(materialized)
    }
    fn counted(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        let long: SharedSerde<i64> = Arc::new(I64Serde);
        self.add(Fold::count(), materialized, AGGREGATE, Some(&long))
    }

    /// Combines the values of each key; the first value stands for itself.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().reduce(|most, n| most.max(*n)).to_stream().to("most");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for n in [3i64, 7, 5] {
    ///     runner.pipe("in", "a".to_owned(), n)?;
    /// }
    /// let most: Vec<_> = runner.read::<String, i64>("most").into_iter().map(|(_, n)| n).collect();
    /// assert_eq!(most, [3, 7, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduce(&self, f: impl Fn(V, &V) -> V + Send + Sync + 'static) -> KTable<K, V> {
        self.reduce_with(f, Materialized::new())
    }
    /// [`reduce`](Self::reduce) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .reduce_with(|sum, n| sum + n, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduce_with(
        &self,
        f: impl Fn(V, &V) -> V + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V> {
        self.try_reduce_with(move |old, value| Ok::<_, BoxError>(Some(f(old, value))), materialized)
    }
    /// [`reduce`](Self::reduce) by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let add = |sum: i64, n: &i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// builder.stream::<String, i64>("in").group_by_key().try_reduce_with(add, "sums").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_reduce_with<E: Into<BoxError>>(
        &self,
        f: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V> {
        let value = self.value_serde();
        self.add(Fold::reduce(f), materialized.into(), REDUCE, value.as_ref())
    }

    /// Builds a result per key: `f` takes key, value and the result so far (at first that of `initial`).
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .group_by_key()
    ///     .aggregate(|| 0i64, |_, text, letters| letters + text.len() as i64)
    ///     .to_stream()
    ///     .to("letters");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "xy".to_owned())?;
    /// runner.pipe("in", "a".to_owned(), "z".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("letters"), [("a".to_owned(), 2), ("a".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.aggregate_with(initial, f, Materialized::new())
    }
    /// [`aggregate`](Self::aggregate) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .aggregate_with(|| 0, |_, n, sum| sum + n, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_with<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A> {
        self.aggregate_opt_with(initial, move |k, v, a| Some(f(k, v, a)), materialized)
    }
    /// [`aggregate`](Self::aggregate) where None deletes the row.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let open = builder
    ///     .stream::<String, i64>("orders")
    ///     .group_by_key()
    ///     .aggregate_opt(|| 0i64, |_, n, open| Some(open + n).filter(|open| *open > 0));
    /// open.to_stream().to("open");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("orders", "a".to_owned(), 2i64)?;
    /// runner.pipe("orders", "a".to_owned(), -2i64)?; // nothing is open: the row is deleted
    /// assert_eq!(runner.read::<String, Option<i64>>("open"), [("a".to_owned(), Some(2)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_opt<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Option<A> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.aggregate_opt_with(initial, f, Materialized::new())
    }
    /// [`aggregate_opt`](Self::aggregate_opt) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .aggregate_opt_with(|| 0, |_, n, sum| (*n > 0).then_some(sum + n), "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), -1i64)?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), None)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_opt_with<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Option<A> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A> {
        self.try_aggregate_with(initial, move |k, v, a| Ok::<_, BoxError>(f(k, v, a)), materialized)
    }
    /// [`aggregate_opt`](Self::aggregate_opt) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let add = |_: &String, n: &i64, sum: i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .try_aggregate_with(|| 0, add, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_aggregate_with<A: 'static, E: Into<BoxError>>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A> {
        self.add(Fold::aggregate(initial, f), materialized.into(), AGGREGATE, None)
    }

    fn add<A: 'static>(
        &self,
        fold: Fold<K, V, A>,
        materialized: Materialized<K, A>,
        prefix: &str,
        inherited_value: Option<&SharedSerde<A>>,
    ) -> KTable<K, A> {
        let key = self.key_serde();
        let (store, name, planned) = {
            let mut builder = self.stream.builder.borrow_mut();
            let store = materialized.store_name(&mut builder, prefix);
            let name = builder.name_burning(materialized.operator.name(), prefix);
            let planned = materialized.plan(&mut builder, &store, key.as_ref(), inherited_value);
            (store, name, planned)
        };
        let send_old = Rc::new(Cell::new(false));
        let view = StoredView {
            store: store.clone(),
            serdes: planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone())),
            send_old: send_old.clone(),
            versioned: planned.as_ref().is_some_and(|p| p.plan.versioned),
        };
        let key_serde = planned.as_ref().map(|p| p.plan.key.clone());
        let value_serde = planned.as_ref().map(|p| p.plan.value.clone());
        let null_check = self.null_check();
        let make = planned.map(|planned| -> MadeOperator {
            let store = planned.store.clone();
            let make = move || stream_aggregate(fold.clone(), null_check.clone(), planned.plan.clone(), send_old.get());
            (store, Box::new(make))
        });
        let parent = self.attach(&store, &name, make, None);
        KTable {
            builder: self.stream.builder.clone(),
            node: parent.1,
            name,
            key_serde,
            value_serde,
            sources: parent.0.sources.clone(),
            queryable: materialized.name.clone(),
            view: Rc::new(view),
        }
    }

    /// A table of windowed results.
    pub(super) fn aggregate_in<A: 'static>(
        &self,
        cut: (Cut<K, A>, EmitStrategy),
        fold: Fold<K, V, A>,
        materialized: &Materialized<K, A>,
        prefix: &str,
        inherited_value: Option<&SharedSerde<A>>,
    ) -> KTable<Windowed<K>, A> {
        let key = self.key_serde();
        let (table, name) = {
            let mut builder = self.stream.builder.borrow_mut();
            let inherited = (key.as_ref(), inherited_value);
            let table = WindowedTable::new(&mut builder, materialized, prefix, inherited, cut);
            (table, builder.name_burning(materialized.operator.name(), prefix))
        };
        let null_check = self.null_check();
        let made =
            table.operator(move |cut, plan, emission| cut.operator(null_check.clone(), fold.clone(), plan, emission));
        let (parent, node) = self.attach(&table.store, &name, made, Some(table.grace_ms()));
        table.table(&self.stream.builder, (node, name), parent.sources.clone())
    }

    /// Adds the node of an aggregation, behind a repartition topic where the key may have changed.
    fn attach(
        &self,
        store: &Arc<str>,
        name: &Arc<str>,
        made: Option<MadeOperator>,
        grace_ms: Option<i64>,
    ) -> (KStream<K, V>, GraphId) {
        let parent = self.partitioned(store);
        let mut node = operator_node(name.clone(), made);
        node.grace_ms = grace_ms;
        let node = self.stream.builder.borrow_mut().add(&[parent.node], node);
        (parent, node)
    }

    pub(super) fn identity(&self) -> *const () {
        Rc::as_ptr(&self.repartitioned).cast()
    }
    pub(super) fn sources(&self) -> Arc<BTreeSet<Arc<str>>> {
        self.stream.sources.clone()
    }

    /// The stream with all records of a key in one partition.
    pub(super) fn partitioned(&self, store: &Arc<str>) -> KStream<K, V> {
        if !self.stream.repartition_required {
            return self.stream.clone();
        }
        if let Some(name) = self.grouped.name.name() {
            if let Some(shared) = &*self.repartitioned.borrow() {
                // The topic exists; the names it would have got are used up all the same.
                burn_names(&mut self.stream.builder.borrow_mut(), name);
                return shared.clone();
            }
            let made = self.repartition(name.clone());
            *self.repartitioned.borrow_mut() = Some(made.clone());
            return made;
        }
        self.repartition(store.clone())
    }
    fn repartition(&self, name: Arc<str>) -> KStream<K, V> {
        repartition(
            &self.stream,
            RepartitionParts {
                name,
                key: self.grouped.key.clone(),
                value: self.grouped.value.clone(),
                partitions: None,
                partitioner: None,
                shareable: true,
            },
        )
    }

    pub(super) fn builder(&self) -> &crate::topology::BuilderRef {
        &self.stream.builder
    }
    /// The serde of the records' keys, if they come with one.
    pub(super) fn key_serde(&self) -> Option<SharedSerde<K>> {
        let given = self.grouped.key.clone().or_else(|| self.stream.key_serde.clone());
        if given.is_some() || !self.stream.repartition_required {
            return given;
        }
        self.stream.builder.borrow().default_serde::<K>()
    }
    pub(super) fn value_serde(&self) -> Option<SharedSerde<V>> {
        self.grouped.value.clone().or_else(|| self.stream.value_serde.clone())
    }
    /// What knows which values are null.
    pub(super) fn null_check(&self) -> Option<SharedSerde<V>> {
        self.value_serde()
            .or_else(|| self.stream.builder.borrow().default_serde::<V>())
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, Option<V>> {
    /// [`reduce`](Self::reduce) of a stream that may hold no values, such as that of a table: a record without a value
    /// changes nothing.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let updates = builder.table::<String, i64>("in").to_stream();
    /// updates
    ///     .group_by_key()
    ///     .reduce_opt(|sum, n| sum + n)
    ///     .to_stream()
    ///     .to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for n in [Some(1i64), None, Some(2)] {
    ///     runner.pipe("in", "a".to_owned(), n)?;
    /// }
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("sums"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reduce")]
    #[must_use]
    pub fn reduce_opt(&self, f: impl Fn(V, &V) -> V + Send + Sync + 'static) -> KTable<K, V> {
        self.try_reduce_opt_with(
            move |old, value| Ok::<_, BoxError>(Some(f(old, value))),
            Materialized::new(),
        )
    }
    /// [`reduce_opt`](Self::reduce_opt) with options, by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let add = |sum: i64, n: &i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// builder
    ///     .stream::<String, Option<i64>>("in")
    ///     .group_by_key()
    ///     .try_reduce_opt_with(add, "sums")
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_reduce_opt_with<E: Into<BoxError>>(
        &self,
        f: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<K, V> {
        // Records without a value do not come here.
        let fold = Fold::reduce_opt(move |old, value: Option<&V>| value.map_or(Ok(None), |value| f(old, value)));
        self.add(fold, materialized.into(), REDUCE, None)
    }
}

pub(super) const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
pub(super) const REDUCE: &str = "KSTREAM-REDUCE-";

/// A store, and how the operator that fills it is made when the topology is written.
pub(super) type MadeOperator = (StoreBuilder, Box<dyn Fn() -> Arc<dyn NodeFactory>>);

/// The node of an operator with its store. None: a serde is missing, which has been noted.
pub(super) fn operator_node(name: Arc<str>, made: Option<MadeOperator>) -> GraphNode {
    let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
        let Some((store, make)) = &made else { return };
        writer.add_processor(name, parents, make());
        writer.add_store(store.clone(), std::slice::from_ref(name));
    };
    GraphNode::new(name, write)
}
