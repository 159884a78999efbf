//! How a table of windowed results is stored, made and read, whatever the windows are.
use std::{cell::Cell, rc::Rc, sync::Arc};

use crate::{
    engine::NodeFactory,
    operators::{
        session_aggregate::{Merge, session_aggregate},
        sliding_aggregate::sliding_aggregate,
        window_aggregate::window_aggregate,
        window_results::Emission,
    },
    options::{Extent, Materialized, Planned},
    serde::{SessionWindowedSerde, SharedSerde, TimeWindowedSerde},
    table::{KTable, output::WindowPlan, view::WindowStoredView},
    topology::{Builder, BuilderRef, GraphId},
    window::{EmitStrategy, SessionWindows, SharedWindows, SlidingWindows, Windowed},
};

use super::{fold::Fold, stream::MadeOperator};

/// Windows of time.
#[derive(Clone)]
pub(crate) enum TimeCut {
    Aligned(SharedWindows),
    Sliding(SlidingWindows),
}

/// Windows of any kind; results of sessions can be joined.
pub(crate) enum Cut<K, A> {
    Time(TimeCut),
    Session(SessionWindows, Merge<K, A>),
}
impl<K, A> Clone for Cut<K, A> {
    fn clone(&self) -> Self {
        match self {
            Self::Time(cut) => Self::Time(cut.clone()),
            Self::Session(windows, merge) => Self::Session(*windows, merge.clone()),
        }
    }
}

impl TimeCut {
    fn extent(&self) -> Extent {
        match self {
            Self::Aligned(windows) => Extent {
                size_ms: windows.size_ms(),
                grace_ms: windows.grace_ms(),
                least_ms: windows.size_ms().saturating_add(windows.grace_ms()),
                sessions: false,
                cached_on_close: true,
            },
            // The window of a record before this one may be looked at, which starts twice the difference ago.
            Self::Sliding(windows) => Extent {
                size_ms: windows.difference_ms,
                grace_ms: windows.grace_ms,
                least_ms: windows.difference_ms.saturating_mul(2).saturating_add(windows.grace_ms),
                sessions: false,
                cached_on_close: false,
            },
        }
    }
    /// Whether a window ever ends.
    fn closes(&self) -> bool {
        match self {
            Self::Aligned(windows) => windows.closes(),
            Self::Sliding(_) => true,
        }
    }
    /// The first rule the definition breaks by itself.
    fn problem(&self, strategy: EmitStrategy) -> Option<String> {
        let Self::Aligned(windows) = self else { return None };
        let never = strategy == EmitStrategy::OnWindowClose && !windows.closes();
        windows
            .problem()
            .or_else(|| never.then(|| "a window that never closes cannot be emitted when it closes".to_owned()))
    }
}

impl<K: 'static, A: 'static> Cut<K, A> {
    fn extent(&self) -> Extent {
        match self {
            Self::Time(cut) => cut.extent(),
            Self::Session(windows, _) => Extent {
                size_ms: windows.gap_ms,
                grace_ms: windows.grace_ms,
                least_ms: windows.gap_ms.saturating_add(windows.grace_ms),
                sessions: true,
                cached_on_close: false,
            },
        }
    }
    /// The first rule the definition breaks.
    fn problem(&self, strategy: EmitStrategy) -> Option<String> {
        let (own, closes) = match self {
            Self::Time(cut) => (cut.problem(strategy), cut.closes()),
            Self::Session(..) => (None, true),
        };
        let Extent {
            size_ms,
            grace_ms,
            least_ms,
            ..
        } = self.extent();
        own.or_else(|| {
            (closes && least_ms == i64::MAX)
                .then(|| format!("windows of {size_ms} ms with a grace of {grace_ms} ms are longer than time"))
        })
    }
    /// How long after the end of its window a result may change.
    fn grace_ms(&self) -> i64 {
        match self {
            Self::Time(cut) => cut.extent().grace_ms,
            Self::Session(windows, _) => windows.gap_ms.saturating_add(windows.grace_ms),
        }
    }
    /// The operator of one stream. `value`: what knows which values are null.
    pub(super) fn operator<V: 'static>(
        &self,
        value: Option<SharedSerde<V>>,
        fold: Fold<K, V, A>,
        plan: WindowPlan<K, A>,
        emission: Emission,
    ) -> Arc<dyn NodeFactory> {
        match self {
            Self::Time(TimeCut::Aligned(windows)) => window_aggregate(windows.clone(), fold, plan, emission),
            Self::Time(TimeCut::Sliding(windows)) => sliding_aggregate(*windows, value, fold, plan, emission),
            Self::Session(windows, merge) => session_aggregate(*windows, fold, merge.clone(), plan, emission),
        }
    }
}

/// A table of windowed results in the making.
pub(super) struct WindowedTable<K, A> {
    pub(super) store: Arc<str>,
    cut: Cut<K, A>,
    strategy: EmitStrategy,
    planned: Option<Planned<WindowPlan<K, A>>>,
    queryable: Option<Arc<str>>,
    send_old: Rc<Cell<bool>>,
}

impl<K: 'static, A: 'static> WindowedTable<K, A> {
    /// Names the store; that of an aggregation comes before that of its operators.
    pub(super) fn new(
        builder: &mut Builder,
        materialized: &Materialized<K, A>,
        prefix: &str,
        inherited: (Option<&SharedSerde<K>>, Option<&SharedSerde<A>>),
        (cut, strategy): (Cut<K, A>, EmitStrategy),
    ) -> Self {
        let store = materialized.store_name(builder, prefix);
        let on_close = strategy == EmitStrategy::OnWindowClose;
        let planned = materialized.plan_windowed(builder, &store, inherited, cut.extent(), on_close);
        if let Some(problem) = cut.problem(strategy) {
            builder.argument(&store, problem);
        }
        Self {
            store,
            cut,
            strategy,
            planned,
            queryable: materialized.name.clone(),
            send_old: Rc::default(),
        }
    }

    pub(super) fn grace_ms(&self) -> i64 {
        self.cut.grace_ms()
    }

    /// The store, and the operator of one stream. It is made when the topology is written, as somebody may still ask for
    /// old values. None: a serde is missing, which has been noted.
    pub(super) fn operator(
        &self,
        make: impl Fn(&Cut<K, A>, WindowPlan<K, A>, Emission) -> Arc<dyn NodeFactory> + 'static,
    ) -> Option<MadeOperator> {
        let planned = self.planned.clone()?;
        let store = planned.store.clone();
        let (cut, strategy, send_old) = (self.cut.clone(), self.strategy, self.send_old.clone());
        let make = move || {
            let emission = Emission {
                strategy,
                send_old: send_old.get(),
            };
            make(&cut, planned.plan.clone(), emission)
        };
        Some((store, Box::new(make)))
    }

    /// The table behind the operators.
    pub(super) fn table(
        self,
        builder: &BuilderRef,
        (node, name): (GraphId, Arc<str>),
        sources: Arc<std::collections::BTreeSet<Arc<str>>>,
    ) -> KTable<Windowed<K>, A> {
        let serdes = self.planned.map(|p| (p.plan.key, p.plan.value));
        let Extent { size_ms, sessions, .. } = self.cut.extent();
        let key_serde = serdes.as_ref().map(|(key, _)| -> SharedSerde<Windowed<K>> {
            if sessions {
                Arc::new(SessionWindowedSerde::new(key.clone()))
            } else {
                Arc::new(TimeWindowedSerde::new(key.clone(), size_ms))
            }
        });
        let view = WindowStoredView {
            store: self.store,
            serdes: serdes.clone(),
            sessions,
            send_old: self.send_old,
        };
        KTable {
            builder: builder.clone(),
            node,
            name,
            key_serde,
            value_serde: serdes.map(|(_, value)| value),
            sources,
            queryable: self.queryable,
            view: Rc::new(view),
        }
    }
}
