//! Another value for each row: `map_values` of a table.
use std::{cell::Cell, rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, Change, ProcessError, ProcessResult, TableReceiver, TaskContext, table_port},
    options::Materialized,
    serde::SharedSerde,
    stream::factory,
    table::{
        KTable, faults,
        getter::{RowOf, ValueGetter, View, store_view},
        output::{OldValue, Output},
        view::TableView,
    },
    topology::{GraphNode, TopologyWriter},
};

type Mapper<K, V, V2> = Arc<dyn Fn(&K, &V) -> Result<Option<V2>, BoxError> + Send + Sync>;

struct TableMapValues<K, V, V2> {
    node: Arc<str>,
    mapper: Mapper<K, V, V2>,
    output: Output<K, V2>,
    /// The old value comes with the update, not from a store of this operator.
    old_from_update: bool,
}
impl<K: 'static, V: 'static, V2: 'static> TableMapValues<K, V, V2> {
    fn map(&self, cx: &TaskContext, key: &K, value: Option<&V>) -> Result<Option<V2>, Box<ProcessError>> {
        value.map_or(Ok(None), |value| cx.try_call(&self.node, || (self.mapper)(key, value)))
    }
    fn values(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
    ) -> Result<(Option<V2>, Option<V2>), Box<ProcessError>> {
        let new = self.map(cx, change.key, change.new)?;
        let old = if self.output.send_old && self.old_from_update {
            self.map(cx, change.key, change.old)?
        } else {
            None
        };
        Ok((new, old))
    }
}
impl<K: 'static, V: 'static, V2: 'static> TableReceiver<K, V> for TableMapValues<K, V, V2> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        let (timestamp, headers) = (change.timestamp, change.headers);
        match self.values(cx, &change) {
            Err(error) => faults::handle(cx, error, timestamp, headers),
            Ok((new, old)) => self
                .output
                .emit(cx, change.with_values(new.as_ref(), old.as_ref()), OldValue::Stored)
                .or_else(|failed| failed.handle(cx, timestamp, headers)),
        }
    }
}

struct MapGetter<K, V, V2> {
    node: Arc<str>,
    parent: Rc<dyn ValueGetter<K, V>>,
    mapper: Mapper<K, V, V2>,
}
impl<K, V, V2> MapGetter<K, V, V2> {
    fn map(&self, cx: &TaskContext, key: &K, row: RowOf<V>) -> Result<RowOf<V2>, Box<ProcessError>> {
        let Some((value, timestamp)) = row else { return Ok(None) };
        let mapped = cx.try_call(&self.node, || (self.mapper)(key, &value))?;
        Ok(mapped.map(|mapped| (mapped, timestamp)))
    }
}
impl<K, V, V2> ValueGetter<K, V2> for MapGetter<K, V, V2> {
    fn get(&self, cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V2>, Box<ProcessError>> {
        let row = self.parent.get(cx, key, key_bytes)?;
        self.map(cx, key, row)
    }
    fn get_as_of(
        &self,
        cx: &TaskContext,
        key: &K,
        key_bytes: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<RowOf<V2>, Box<ProcessError>> {
        let row = self.parent.get_as_of(cx, key, key_bytes, timestamp)?;
        self.map(cx, key, row)
    }
}

struct MapView<K, V, V2> {
    parent: KTable<K, V>,
    mapper: Mapper<K, V, V2>,
    stored: Option<(Arc<str>, SharedSerde<K>, SharedSerde<V2>)>,
    stored_versioned: Option<bool>,
    send_old: Cell<bool>,
}
impl<K: 'static, V: 'static, V2: 'static> TableView<K, V2> for MapView<K, V, V2> {
    fn enable_old_values(&self, force: bool) -> bool {
        if self.stored.is_some() || self.parent.view.enable_old_values(force) {
            self.send_old.set(true);
        }
        self.send_old.get()
    }
    fn is_versioned(&self) -> bool {
        self.stored_versioned.unwrap_or_else(|| self.parent.view.is_versioned())
    }
    fn view(&self) -> Option<View<K, V2>> {
        if let Some((store, key, value)) = self.stored.clone() {
            return Some(store_view(store, key, value));
        }
        let View { factory, stores } = self.parent.view.view()?;
        let mapper = self.mapper.clone();
        Some(View {
            factory: Arc::new(move |scope| {
                Ok(Rc::new(MapGetter {
                    node: scope.name().clone(),
                    parent: factory(scope)?,
                    mapper: mapper.clone(),
                }))
            }),
            stores,
        })
    }
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Each row with another value. Without a store `f` may run more often than once per update.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").map_values(|n| n * 10).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(20))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "mapValues")]
    #[must_use]
    pub fn map_values<V2: 'static>(&self, f: impl Fn(&V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        self.add_map_values(
            Arc::new(move |_: &K, v: &V| Ok(Some(f(v)))),
            &Materialized::new(),
            false,
        )
    }
    /// [`map_values`](Self::map_values) where the function also sees the key.
    #[must_use]
    pub fn map_values_with_key<V2: 'static>(&self, f: impl Fn(&K, &V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        self.add_map_values(
            Arc::new(move |k: &K, v: &V| Ok(Some(f(k, v)))),
            &Materialized::new(),
            false,
        )
    }
    /// [`map_values`](Self::map_values) where None deletes the row.
    #[must_use]
    pub fn map_values_opt<V2: 'static>(
        &self,
        f: impl Fn(&K, &V) -> Option<V2> + Send + Sync + 'static,
    ) -> KTable<K, V2> {
        self.add_map_values(Arc::new(move |k: &K, v: &V| Ok(f(k, v))), &Materialized::new(), false)
    }
    /// [`map_values_opt`](Self::map_values_opt) with options; the result is stored only if it is named.
    #[must_use]
    pub fn map_values_opt_with<V2: 'static>(
        &self,
        f: impl Fn(&K, &V) -> Option<V2> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V2>>,
    ) -> KTable<K, V2> {
        self.add_map_values(Arc::new(move |k: &K, v: &V| Ok(f(k, v))), &materialized.into(), true)
    }
    /// [`map_values_opt`](Self::map_values_opt) by a function that can fail; an error goes to the processing handler.
    #[must_use]
    pub fn try_map_values_with<V2: 'static, E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<Option<V2>, E> + Send + Sync + 'static,
        materialized: Option<Materialized<K, V2>>,
    ) -> KTable<K, V2> {
        let given = materialized.is_some();
        let mapper: Mapper<K, V, V2> = Arc::new(move |k: &K, v: &V| f(k, v).map_err(Into::into));
        self.add_map_values(mapper, &materialized.unwrap_or_default(), given)
    }

    fn add_map_values<V2: 'static>(
        &self,
        mapper: Mapper<K, V, V2>,
        materialized: &Materialized<K, V2>,
        with_options: bool,
    ) -> KTable<K, V2> {
        const PREFIX: &str = "KTABLE-MAPVALUES-";
        let mut builder = self.builder.borrow_mut();
        if with_options && materialized.stored && materialized.name.is_none() {
            builder.new_store_name(PREFIX);
        }
        let name = builder.name_burning(materialized.operator.name(), PREFIX);
        let planned = materialized
            .name
            .as_ref()
            .filter(|_| materialized.stored)
            .and_then(|store| materialized.plan(&mut builder, store, self.key_serde.as_ref(), None));
        let view = Rc::new(MapView {
            parent: self.clone(),
            mapper: mapper.clone(),
            stored: planned
                .as_ref()
                .map(|p| (p.plan.store.clone(), p.plan.key.clone(), p.plan.value.clone())),
            stored_versioned: planned.as_ref().map(|p| p.plan.versioned),
            send_old: Cell::new(false),
        });
        let key_serde = materialized.key.clone().or_else(|| self.key_serde.clone());
        let value_serde = materialized
            .value
            .clone()
            .or_else(|| planned.as_ref().map(|p| p.plan.value.clone()));
        let state = view.clone();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let (plan, send_old) = (planned.as_ref().map(|p| p.plan.clone()), state.send_old.get());
            let (old_from_update, mapper) = (plan.is_none(), mapper.clone());
            let factory = factory(move |scope| {
                let output = Output::open(scope, plan.as_ref(), send_old)?;
                let (node, mapper) = (scope.name().clone(), mapper.clone());
                Ok(table_port(TableMapValues {
                    node,
                    mapper,
                    output,
                    old_from_update,
                }))
            });
            writer.add_processor(name, parents, factory);
            if let Some(planned) = &planned {
                writer.add_store(planned.store.clone(), std::slice::from_ref(name));
            }
        };
        let node = builder.add(&[self.node], GraphNode::new(name.clone(), write));
        KTable {
            builder: self.builder.clone(),
            node,
            name,
            key_serde,
            value_serde,
            sources: self.sources.clone(),
            queryable: materialized.name.clone(),
            view,
        }
    }
}
