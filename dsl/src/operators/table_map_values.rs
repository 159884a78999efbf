//! Another value for each row: `map_values` of a table.
use std::{rc::Rc, sync::Arc};

use millstream_state::Headers;

use crate::{
    engine::{BoxError, Change, NodeScope, ProcessError, ProcessResult, TableReceiver, TaskContext, table_port},
    operators::Processing,
    options::Materialized,
    stream::factory,
    table::{
        KTable, faults,
        getter::{RowOf, ValueGetter, View},
        output::{OldValue, Output},
        view::{Derive, DerivedView},
    },
    topology::{GraphNode, TopologyWriter},
};

type Mapper<K, V, V2> = Arc<dyn Fn(&K, &V) -> Result<Option<V2>, BoxError> + Send + Sync>;

/// Makes another value of each row of a table.
pub(super) trait MapRow<K, V, V2> {
    /// `origin`: time and headers of the row or its update.
    fn map(
        &self,
        cx: &TaskContext,
        key: &K,
        value: Option<&V>,
        origin: (i64, &Headers),
    ) -> Result<Option<V2>, Box<ProcessError>>;
    /// The same for somebody who reads the table; a row that is not there has no time.
    fn read(
        &self,
        cx: &TaskContext,
        key: &K,
        value: Option<&V>,
        timestamp: i64,
    ) -> Result<Option<V2>, Box<ProcessError>> {
        self.map(cx, key, value, (timestamp, cx.no_headers()))
    }
}
/// One for each operator that maps, and for each that reads a table without a store.
pub(super) type MakeMapRow<K, V, V2> =
    Arc<dyn Fn(&mut NodeScope<'_>) -> Result<Rc<dyn MapRow<K, V, V2>>, Box<ProcessError>> + Send + Sync>;

/// By a function of the user, which never sees a deletion.
struct ByFunction<K, V, V2> {
    node: Arc<str>,
    f: Mapper<K, V, V2>,
}
impl<K, V, V2> MapRow<K, V, V2> for ByFunction<K, V, V2> {
    fn map(
        &self,
        cx: &TaskContext,
        key: &K,
        value: Option<&V>,
        _origin: (i64, &Headers),
    ) -> Result<Option<V2>, Box<ProcessError>> {
        value.map_or(Ok(None), |value| cx.try_call(&self.node, || (self.f)(key, value)))
    }
}

struct TableMapValues<K, V, V2> {
    mapping: Rc<dyn MapRow<K, V, V2>>,
    output: Output<K, V2>,
    /// The old value comes with the update, not from a store of this operator.
    old_from_update: bool,
}
impl<K: 'static, V: 'static, V2: 'static> TableMapValues<K, V, V2> {
    fn values(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
    ) -> Result<(Option<V2>, Option<V2>), Box<ProcessError>> {
        let origin = (change.timestamp, change.headers);
        let new = self.mapping.map(cx, change.key, change.new, origin)?;
        let old = if self.output.send_old && self.old_from_update {
            self.mapping.map(cx, change.key, change.old, origin)?
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
    parent: Rc<dyn ValueGetter<K, V>>,
    mapping: Rc<dyn MapRow<K, V, V2>>,
}
impl<K, V, V2> MapGetter<K, V, V2> {
    fn map(&self, cx: &TaskContext, key: &K, row: RowOf<V>) -> Result<RowOf<V2>, Box<ProcessError>> {
        let (value, timestamp) = row.map_or((None, NO_TIME), |(value, timestamp)| (Some(value), timestamp));
        let mapped = self.mapping.read(cx, key, value.as_ref(), timestamp)?;
        Ok(mapped.map(|mapped| (mapped, timestamp)))
    }
}
/// Of a row that is not there.
const NO_TIME: i64 = -1;

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

/// Mapped rows, read through the table in front. `used`: stores that the mapping itself reads.
fn mapped<K: 'static, V: 'static, V2: 'static>(make: MakeMapRow<K, V, V2>, used: Vec<Arc<str>>) -> Derive<K, V, V2> {
    Box::new(move |View { factory, stores }| {
        let make = make.clone();
        View {
            factory: Arc::new(move |scope| {
                Ok(Rc::new(MapGetter {
                    parent: factory(scope)?,
                    mapping: make(scope)?,
                }))
            }),
            stores: stores.into_iter().chain(used.iter().cloned()).collect(),
        }
    })
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
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").map_values_with_key(|key, n| format!("{key}{n}")).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "a2".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_values_with_key<V2: 'static>(&self, f: impl Fn(&K, &V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        self.add_map_values(
            Arc::new(move |k: &K, v: &V| Ok(Some(f(k, v)))),
            &Materialized::new(),
            false,
        )
    }
    /// [`map_values`](Self::map_values) where None deletes the row.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").map_values_opt(|_, n| n.checked_sub(5).filter(|n| *n > 0)).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(7i64))?;
    /// runner.pipe("in", "a".to_owned(), Some(3i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(2)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_values_opt<V2: 'static>(
        &self,
        f: impl Fn(&K, &V) -> Option<V2> + Send + Sync + 'static,
    ) -> KTable<K, V2> {
        self.add_map_values(Arc::new(move |k: &K, v: &V| Ok(f(k, v))), &Materialized::new(), false)
    }
    /// [`map_values_opt`](Self::map_values_opt) with options; the result is stored only if it is named.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table.map_values_opt_with(|_, n| (*n > 0).then_some(n * 2), "doubled").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(-2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(2)), ("b".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_values_opt_with<V2: 'static>(
        &self,
        f: impl Fn(&K, &V) -> Option<V2> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V2>>,
    ) -> KTable<K, V2> {
        self.add_map_values(Arc::new(move |k: &K, v: &V| Ok(f(k, v))), &materialized.into(), true)
    }
    /// [`map_values_opt`](Self::map_values_opt) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// table.try_map_values_with(|_, text| text.parse::<i64>().map(Some), None).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some("1".to_owned()))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        if with_options && materialized.stored && materialized.name.is_none() {
            self.builder.borrow_mut().new_store_name(PREFIX);
        }
        let make: MakeMapRow<K, V, V2> = Arc::new(move |scope| {
            Ok(Rc::new(ByFunction {
                node: scope.name().clone(),
                f: mapper.clone(),
            }))
        });
        self.add_mapping(PREFIX, make, materialized, Processing::new())
    }

    /// An operator that maps rows. `processing`: the stores that the mapping itself uses.
    pub(super) fn add_mapping<V2: 'static>(
        &self,
        prefix: &str,
        make: MakeMapRow<K, V, V2>,
        materialized: &Materialized<K, V2>,
        processing: Processing,
    ) -> KTable<K, V2> {
        let mut builder = self.builder.borrow_mut();
        let operator = materialized.operator.name().or_else(|| processing.name.name());
        let name = builder.name_burning(operator, prefix);
        let (used, added) = processing.resolve(&mut builder);
        let planned = materialized.planned(&mut builder, self.key_serde.as_ref(), None);
        let derive = mapped(make.clone(), used.clone());
        let view = Rc::new(DerivedView::new(self, planned.as_ref(), derive));
        let key_serde = materialized.key.clone().or_else(|| self.key_serde.clone());
        let value_serde = materialized
            .value
            .clone()
            .or_else(|| planned.as_ref().map(|p| p.plan.value.clone()));
        let state = view.clone();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let (plan, send_old) = (planned.as_ref().map(|p| p.plan.clone()), state.sends_old());
            let (old_from_update, make) = (plan.is_none(), make.clone());
            let factory = factory(move |scope| {
                let mapping = make(scope)?;
                let output = Output::open(scope, plan.as_ref(), send_old)?;
                Ok(table_port(TableMapValues {
                    mapping,
                    output,
                    old_from_update,
                }))
            });
            writer.add_processor(name, parents, factory);
            for store in &added {
                writer.add_store(store.clone(), &[]);
            }
            for store in &used {
                writer.connect(name, store);
            }
            if let Some(planned) = &planned {
                writer.add_store(planned.store.clone(), std::slice::from_ref(name));
            }
        };
        let node = builder.add(&[self.node], GraphNode::new(name.clone(), write));
        self.derived((node, name), (key_serde, value_serde), materialized, view)
    }
}
