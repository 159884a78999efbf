//! A grouped stream in tumbling, hopping or unlimited windows, and its aggregations.
use std::{cell::Cell, rc::Rc, sync::Arc};

use crate::{
    engine::BoxError,
    operators::window_aggregate::{Emission, window_aggregate},
    options::Materialized,
    serde::{I64Serde, SharedSerde, TimeWindowedSerde},
    table::{KTable, view::WindowStoredView},
    window::{EmitStrategy, Windowed, Windows},
};

use super::{
    fold::Fold,
    stream::{AGGREGATE, KGroupedStream, REDUCE},
};

/// A grouped stream in windows. Kafka Streams: `TimeWindowedKStream`.
pub struct TimeWindowedKStream<K, V, W> {
    grouped: KGroupedStream<K, V>,
    windows: W,
    strategy: EmitStrategy,
}
impl<K, V, W: Clone> Clone for TimeWindowedKStream<K, V, W> {
    fn clone(&self) -> Self {
        Self {
            grouped: self.grouped.clone(),
            windows: self.windows.clone(),
            strategy: self.strategy,
        }
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    /// Aggregates per key and window of time.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .count()
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("counts");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("counts"), [("a@0".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "windowedBy")]
    #[must_use]
    pub fn windowed_by<W: Windows>(&self, windows: W) -> TimeWindowedKStream<K, V, W> {
        TimeWindowedKStream {
            grouped: self.clone(),
            windows,
            strategy: EmitStrategy::default(),
        }
    }
}

impl<K: 'static, V: 'static, W: Windows> TimeWindowedKStream<K, V, W> {
    /// When results are forwarded. Default: at every update.
    #[doc(alias = "emitStrategy")]
    #[must_use]
    pub fn emit(mut self, strategy: EmitStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many records each key has in each window.
    #[must_use]
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.counted(Materialized::new())
    }
    /// [`count`](Self::count) with options.
    #[must_use]
    pub fn count_with(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<Windowed<K>, i64> {
        let materialized = materialized.into();
        if materialized.name.is_none() {
            // Kafka Streams wastes an index here, and later names depend on it.
            self.grouped.builder().borrow_mut().new_store_name(AGGREGATE);
        }
        self.counted(materialized)
    }
    fn counted(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        let long: SharedSerde<i64> = Arc::new(I64Serde);
        self.add(Fold::count(), materialized, AGGREGATE, Some(&long))
    }

    /// Combines the values of each key and window; the first value stands for itself.
    #[must_use]
    pub fn reduce(&self, f: impl Fn(V, &V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
        self.reduce_with(f, Materialized::new())
    }
    /// [`reduce`](Self::reduce) with options.
    #[must_use]
    pub fn reduce_with(
        &self,
        f: impl Fn(V, &V) -> V + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V> {
        self.try_reduce_with(move |old, value| Ok::<_, BoxError>(Some(f(old, value))), materialized)
    }
    /// [`reduce`](Self::reduce) by a function that can fail, or delete the row with None.
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
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.aggregate_with(initial, f, Materialized::new())
    }
    /// [`aggregate`](Self::aggregate) with options.
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
    #[must_use]
    pub fn try_aggregate_with<A: 'static, E: Into<BoxError>>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A> {
        self.add(Fold::aggregate(initial, f), materialized.into(), AGGREGATE, None)
    }

    fn check(&self, name: &Arc<str>) {
        let mut builder = self.grouped.builder().borrow_mut();
        if let Some(problem) = self.windows.problem() {
            builder.argument(name, problem);
        }
        if self.strategy == EmitStrategy::OnWindowClose && !self.windows.closes() {
            builder.argument(name, "a window that never closes cannot be emitted when it closes");
        }
    }

    fn add<A: 'static>(
        &self,
        fold: Fold<K, V, A>,
        materialized: Materialized<K, A>,
        prefix: &str,
        inherited_value: Option<&SharedSerde<A>>,
    ) -> KTable<Windowed<K>, A> {
        let (size_ms, key) = (self.windows.size_ms(), self.grouped.key_serde());
        let (store, name, planned) = {
            let mut builder = self.grouped.builder().borrow_mut();
            let store = materialized.store_name(&mut builder, prefix);
            let name = builder.name_burning(materialized.operator.name(), prefix);
            let planned = materialized.plan_window(
                &mut builder,
                &store,
                (key.as_ref(), inherited_value),
                (size_ms, self.windows.grace_ms()),
                self.strategy == EmitStrategy::OnWindowClose,
            );
            (store, name, planned)
        };
        self.check(&name);
        let send_old = Rc::new(Cell::new(false));
        let serdes = planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone()));
        let view = WindowStoredView {
            store: store.clone(),
            serdes: serdes.clone(),
            send_old: send_old.clone(),
        };
        let (windows, strategy) = (self.windows.clone(), self.strategy);
        let make = planned.map(|planned| {
            let store = planned.store.clone();
            let make = move || {
                let emission = Emission {
                    strategy,
                    send_old: send_old.get(),
                };
                window_aggregate(windows.clone(), fold.clone(), planned.plan.clone(), emission)
            };
            (store, make)
        });
        let (parent, node) = self.grouped.attach(&store, &name, make, Some(self.windows.grace_ms()));
        KTable {
            builder: self.grouped.builder().clone(),
            node,
            name,
            key_serde: serdes
                .as_ref()
                .map(|(key, _)| -> SharedSerde<Windowed<K>> { Arc::new(TimeWindowedSerde::new(key.clone(), size_ms)) }),
            value_serde: serdes.map(|(_, value)| value),
            sources: parent.sources.clone(),
            queryable: materialized.name.clone(),
            view: Rc::new(view),
        }
    }
}
