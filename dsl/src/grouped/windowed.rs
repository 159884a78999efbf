//! A grouped stream in windows of time, and its aggregations.
use std::sync::Arc;

use crate::{
    engine::BoxError,
    options::Materialized,
    serde::{I64Serde, SharedSerde},
    table::KTable,
    window::{EmitStrategy, Windowed},
};

use super::{
    cut::{Cut, TimeCut},
    fold::Fold,
    stream::{AGGREGATE, KGroupedStream, REDUCE},
};

/// A grouped stream in windows of time. Kafka Streams: `TimeWindowedKStream`.
pub struct TimeWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    cut: TimeCut,
    strategy: EmitStrategy,
}
impl<K, V> Clone for TimeWindowedKStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            grouped: self.grouped.clone(),
            cut: self.cut.clone(),
            strategy: self.strategy,
        }
    }
}

impl<K: 'static, V: 'static> TimeWindowedKStream<K, V> {
    pub(super) fn new(grouped: KGroupedStream<K, V>, cut: TimeCut) -> Self {
        Self {
            grouped,
            cut,
            strategy: EmitStrategy::default(),
        }
    }

    /// When results are forwarded. Default: at every update.
    ///
    /// ```
    /// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .emit(EmitStrategy::OnWindowClose)
    ///     .count()
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let topology = builder.build()?;
    /// // At most once a second by default, as in Kafka Streams.
    /// let driver = TopologyTestDriver::builder(&topology).emit_interval(millis(0)).build()?;
    /// let input = driver.input::<String, i64>("in", StringSerde, I64Serde)?;
    /// for (n, time) in [(1i64, 1), (1, 9), (1, 10)] {
    ///     input.at_ms(time).pipe("a", n)?;
    /// }
    /// let output = driver.output::<String, i64>("out", StringSerde, I64Serde)?;
    /// assert_eq!(output.read_key_values()?, [("a@0".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "emitStrategy")]
    #[must_use]
    pub fn emit(mut self, strategy: EmitStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many records each key has in each window.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .count()
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for (n, time) in [(1i64, 1), (1, 9), (1, 10)] {
    ///     runner.pipe_at("in", "a".to_owned(), n, time)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("out"), [("a@0".to_owned(), 1), ("a@0".to_owned(), 2), ("a@10".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.counted(Materialized::new())
    }
    /// [`count`](Self::count) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .count_with("counts")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 2i64, 5000)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a@0".to_owned(), 1), ("a@0".to_owned(), 2)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count_with(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<Windowed<K>, i64> {
        let materialized = materialized.into();
        if materialized.name.is_none() && matches!(self.cut, TimeCut::Aligned(_)) {
            // Kafka Streams wastes an index here (but not with sliding windows), and later names depend on it.
            self.grouped.builder().borrow_mut().new_store_name(AGGREGATE);
        }
        self.counted(materialized)
    }
    fn counted(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        let long: SharedSerde<i64> = Arc::new(I64Serde);
        self.add(Fold::count(), materialized, AGGREGATE, Some(&long))
    }

    /// Combines the values of each key and window; the first value stands for itself.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .reduce(|sum, n| sum + n)
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for (n, time) in [(1i64, 1), (2, 9), (3, 10)] {
    ///     runner.pipe_at("in", "a".to_owned(), n, time)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("out"), [("a@0".to_owned(), 1), ("a@0".to_owned(), 3), ("a@10".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduce(&self, f: impl Fn(V, &V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
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
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .reduce_with(|sum, n| sum + n, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 2i64, 5000)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a@0".to_owned(), 1), ("a@0".to_owned(), 3)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reduce_with(
        &self,
        f: impl Fn(V, &V) -> V + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V> {
        self.try_reduce_with(move |old, value| Ok::<_, BoxError>(Some(f(old, value))), materialized)
    }
    /// [`reduce`](Self::reduce) by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let add = |sum: i64, n: &i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .try_reduce_with(add, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 2i64, 5000)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a@0".to_owned(), 1), ("a@0".to_owned(), 3)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_reduce_with<E: Into<BoxError>>(
        &self,
        f: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V> {
        let value = self.grouped.value_serde();
        self.add(Fold::reduce(f), materialized.into(), REDUCE, value.as_ref())
    }

    /// Builds a result per key and window; see [`KGroupedStream::aggregate`].
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .aggregate(|| 100, |_, n, sum| sum + n)
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for (n, time) in [(1i64, 1), (2, 9), (3, 10)] {
    ///     runner.pipe_at("in", "a".to_owned(), n, time)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("out"), [("a@0".to_owned(), 101), ("a@0".to_owned(), 103), ("a@10".to_owned(), 103)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
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
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .aggregate_with(|| 0, |_, n, sum| sum + n, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 2i64, 5000)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a@0".to_owned(), 1), ("a@0".to_owned(), 3)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_with<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A> {
        self.try_aggregate_with(
            initial,
            move |k, v, a| Ok::<_, BoxError>(Some(f(k, v, a))),
            materialized,
        )
    }
    /// [`aggregate`](Self::aggregate) by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let add = |_: &String, n: &i64, sum: i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .try_aggregate_with(|| 0, add, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 2i64, 5000)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a@0".to_owned(), 1), ("a@0".to_owned(), 3)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_aggregate_with<A: 'static, E: Into<BoxError>>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A> {
        self.add(Fold::aggregate(initial, f), materialized.into(), AGGREGATE, None)
    }

    fn add<A: 'static>(
        &self,
        fold: Fold<K, V, A>,
        materialized: Materialized<K, A>,
        prefix: &str,
        value: Option<&SharedSerde<A>>,
    ) -> KTable<Windowed<K>, A> {
        let cut = (Cut::Time(self.cut.clone()), self.strategy);
        self.grouped.aggregate_in(cut, fold, &materialized, prefix, value)
    }
}

impl<K: 'static, V: 'static> TimeWindowedKStream<K, Option<V>> {
    /// [`reduce`](Self::reduce) of a stream that may hold no values, such as that of a table: a first record without a value
    /// leaves the window without a row.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let updates = builder.table::<String, i64>("in").to_stream();
    /// updates
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .reduce_opt(|sum, n| n.map(|n| sum + n))
    ///     .to_stream()
    ///     .map(|w, n| (w.window.start, *n))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for (n, time) in [(Some(1i64), 1), (Some(2), 2), (None, 3)] {
    ///     runner.pipe_at("in", "a".to_owned(), n, time)?;
    /// }
    /// let last = runner.read::<i64, Option<i64>>("out").pop();
    /// assert_eq!(last, Some((0, None)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reduce")]
    #[must_use]
    pub fn reduce_opt(&self, f: impl Fn(V, Option<&V>) -> Option<V> + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
        self.try_reduce_opt_with(move |old, value| Ok::<_, BoxError>(f(old, value)), Materialized::new())
    }
    /// [`reduce_opt`](Self::reduce_opt) with options, by a function that can fail.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let add = |sum: i64, n: Option<&i64>| sum.checked_add(*n.unwrap_or(&0)).map(Some).ok_or("too much");
    /// builder
    ///     .stream::<String, Option<i64>>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .try_reduce_opt_with(add, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), Some(1i64), 0)?;
    /// runner.pipe_at("in", "a".to_owned(), Some(2i64), 5000)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a@0".to_owned(), 1), ("a@0".to_owned(), 3)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_reduce_opt_with<E: Into<BoxError>>(
        &self,
        f: impl Fn(V, Option<&V>) -> Result<Option<V>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V> {
        self.add(Fold::reduce_opt(f), materialized.into(), REDUCE, None)
    }
}
