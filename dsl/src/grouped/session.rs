//! A grouped stream in sessions, and its aggregations.
use std::{cell::Cell, rc::Rc, sync::Arc};

use crate::{
    engine::BoxError,
    operators::{
        session_aggregate::{SessionFold, session_aggregate},
        window_aggregate::Emission,
    },
    options::Materialized,
    serde::{I64Serde, SessionWindowedSerde, SharedSerde},
    table::{KTable, view::SessionStoredView},
    window::{EmitStrategy, SessionWindows, Windowed},
};

use super::{
    fold::Fold,
    stream::{AGGREGATE, KGroupedStream, REDUCE},
};

/// A grouped stream in sessions. Kafka Streams: `SessionWindowedKStream`.
pub struct SessionWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    windows: SessionWindows,
    strategy: EmitStrategy,
}
impl<K, V> Clone for SessionWindowedKStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            grouped: self.grouped.clone(),
            windows: self.windows,
            strategy: self.strategy,
        }
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    /// Aggregates per key and session of activity.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .session_windowed_by(SessionWindows::of(seconds(10)))
    ///     .count()
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}-{}", w.window.start, w.window.end), n.unwrap_or(0)))
    ///     .to("visits");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 9_000)?;
    /// let visits = [("0-0".to_owned(), 1), ("0-0".to_owned(), 0), ("0-9000".to_owned(), 2)];
    /// assert_eq!(runner.read::<String, i64>("visits"), visits);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "windowedBy")]
    #[must_use]
    pub fn session_windowed_by(&self, windows: SessionWindows) -> SessionWindowedKStream<K, V> {
        SessionWindowedKStream {
            grouped: self.clone(),
            windows,
            strategy: EmitStrategy::default(),
        }
    }
}

impl<K: 'static, V: 'static> SessionWindowedKStream<K, V> {
    /// When results are forwarded. Default: at every update.
    #[doc(alias = "emitStrategy")]
    #[must_use]
    pub fn emit(mut self, strategy: EmitStrategy) -> Self {
        self.strategy = strategy;
        self
    }
    /// How many records each session has.
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
        let fold = SessionFold {
            initial: Some(Arc::new(|| 0)),
            merge: Arc::new(|_, one: Option<i64>, two| Ok(Some(one.unwrap_or(0).wrapping_add(two)))),
            fold: Fold::count(),
        };
        self.add(fold, materialized, AGGREGATE, Some(&long))
    }
    /// Combines the values of each session; the first value stands for itself.
    #[must_use]
    pub fn reduce(&self, f: impl Fn(V, &V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
        self.try_reduce_with(
            move |old, value| Ok::<_, BoxError>(Some(f(old, value))),
            Materialized::new(),
        )
    }
    /// [`reduce`](Self::reduce) with options, by a function that can fail, or delete the row with None.
    #[must_use]
    pub fn try_reduce_with<E: Into<BoxError>>(
        &self,
        f: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V> {
        let f = Arc::new(f);
        let merge = f.clone();
        let fold = SessionFold {
            initial: None,
            merge: Arc::new(move |_: &K, one: Option<V>, two: V| match one {
                None => Ok(Some(two)),
                Some(one) => merge(one, &two).map_err(Into::into),
            }),
            fold: Fold::reduce(move |old, value: &V| f(old, value)),
        };
        let value = self.grouped.value_serde();
        self.add(fold, materialized.into(), REDUCE, value.as_ref())
    }
    /// Builds a result per session; `merge` joins the results of two sessions that a record has connected.
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.try_aggregate_with(
            initial,
            move |k, v, a| Ok::<_, BoxError>(Some(f(k, v, a))),
            move |k, one, two| Ok::<_, BoxError>(Some(merge(k, one, two))),
            Materialized::new(),
        )
    }
    /// [`aggregate`](Self::aggregate) with options, by functions that can fail, or delete the row with None.
    #[must_use]
    pub fn try_aggregate_with<A: 'static, E: Into<BoxError>>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A> {
        let initial = Arc::new(initial);
        let start = initial.clone();
        let fold = SessionFold {
            initial: Some(initial),
            merge: Arc::new(move |key: &K, one: Option<A>, two: A| match one {
                None => Ok(Some(two)),
                Some(one) => merge(key, one, two).map_err(Into::into),
            }),
            fold: Fold::aggregate(move || start(), f),
        };
        self.add(fold, materialized.into(), AGGREGATE, None)
    }

    fn add<A: 'static>(
        &self,
        fold: SessionFold<K, V, A>,
        materialized: Materialized<K, A>,
        prefix: &str,
        inherited_value: Option<&SharedSerde<A>>,
    ) -> KTable<Windowed<K>, A> {
        let key = self.grouped.key_serde();
        let on_close = self.strategy == EmitStrategy::OnWindowClose;
        let (store, name, planned) = {
            let mut builder = self.grouped.builder().borrow_mut();
            let store = materialized.store_name(&mut builder, prefix);
            let name = builder.name_burning(materialized.operator.name(), prefix);
            let inherited = (key.as_ref(), inherited_value);
            let windows = (self.windows.gap_ms, self.windows.grace_ms);
            let planned = materialized.plan_session(&mut builder, &store, inherited, windows, on_close);
            (store, name, planned)
        };
        let send_old = Rc::new(Cell::new(false));
        let serdes = planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone()));
        let view = SessionStoredView {
            store: store.clone(),
            serdes: serdes.clone(),
            send_old: send_old.clone(),
        };
        let (windows, strategy) = (self.windows, self.strategy);
        let make = planned.map(|planned| {
            let store = planned.store.clone();
            let make = move || {
                let emission = Emission {
                    strategy,
                    send_old: send_old.get(),
                };
                session_aggregate(windows, fold.clone(), planned.plan.clone(), emission)
            };
            (store, make)
        });
        let closes_after_ms = self.windows.gap_ms.saturating_add(self.windows.grace_ms);
        let (parent, node) = self.grouped.attach(&store, &name, make, Some(closes_after_ms));
        KTable {
            builder: self.grouped.builder().clone(),
            node,
            name,
            key_serde: serdes
                .as_ref()
                .map(|(key, _)| -> SharedSerde<Windowed<K>> { Arc::new(SessionWindowedSerde::new(key.clone())) }),
            value_serde: serdes.map(|(_, value)| value),
            sources: parent.sources.clone(),
            queryable: materialized.name.clone(),
            view: Rc::new(view),
        }
    }
}
