//! Each record of a stream with a row of a global table, by any key: `join_global` and `left_join_global`.
//!
//! Only the stream triggers results, and the row is the newest one at that moment, whatever its timestamp. A record
//! without a value is dropped and counted; so is one without a look-up key, except that a left join gives it a result
//! without a row.
use std::{rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, ProcessError, Record, TaskContext, port},
    serde::SharedSerde,
    stream::{KStream, Named, factory},
    table::{GlobalKTable, getter::ValueGetter},
    topology::{GraphNode, TopologyWriter},
};

use super::stream_table_join::{Found, Joiner, Lookup, RowJoin, inner_joiner};

type Selector<K, V, KT> = Arc<dyn Fn(&K, &V) -> Result<Option<KT>, BoxError> + Send + Sync>;

/// Rows by a key that is chosen from the record.
struct SelectedKey<K, V, KT, VT> {
    node: Arc<str>,
    selector: Selector<K, V, KT>,
    key: Option<SharedSerde<KT>>,
    table: Rc<dyn ValueGetter<KT, VT>>,
}
impl<K, V, KT, VT> Lookup<K, V, VT> for SelectedKey<K, V, KT, VT> {
    fn find(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<Found<VT>, Box<ProcessError>> {
        let selected = cx.try_call(&self.node, || (self.selector)(record.key, record.value))?;
        let null = |key: &KT| self.key.as_ref().is_some_and(|serde| serde.is_null(key));
        match selected.filter(|key| !null(key)) {
            None => Ok(Found::NoKey),
            Some(key) => Ok(Found::Row(self.table.get(cx, &key, None)?.map(|(value, _)| value))),
        }
    }
}

/// Joins with a table that every instance holds whole.
impl<K: 'static, V: 'static> KStream<K, V> {
    /// Records with the row that `key` finds for them; a record without one has no result. `key` gives a key of the
    /// table, or an `Option` of one.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.global_table::<String, String>("names");
    /// builder
    ///     .stream::<i64, String>("orders")
    ///     .join_global(&names, |_, customer| customer.clone(), |_, name| format!("for {name}"))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("orders", 1i64, "c7".to_owned())?;
    /// runner.pipe("names", "c7".to_owned(), Some("Ada".to_owned()))?;
    /// runner.pipe("orders", 2i64, "c7".to_owned())?;
    /// assert_eq!(runner.read::<i64, String>("out"), [(2, "for Ada".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "join")]
    #[must_use]
    pub fn join_global<KT: 'static, VT: 'static, VR: 'static, S: Into<Option<KT>>>(
        &self,
        table: &GlobalKTable<KT, VT>,
        key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&V, &VT) -> VR + Send + Sync + 'static,
    ) -> KStream<K, VR> {
        self.join_global_with(table, key, move |_, v, vt| joiner(v, vt), Named::default())
    }
    /// [`join_global`](Self::join_global) with a name, by a function that also sees the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let rates = builder.global_table::<String, i64>("rates");
    /// builder
    ///     .stream::<String, i64>("amounts")
    ///     .join_global_with(
    ///         &rates,
    ///         |currency, _| currency.clone(),
    ///         |c, n, rate| format!("{c}:{}", n * rate),
    ///         "convert",
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("rates", "EUR".to_owned(), Some(3i64))?;
    /// runner.pipe("amounts", "EUR".to_owned(), 2i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("EUR".to_owned(), "EUR:6".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join_global_with<KT: 'static, VT: 'static, VR: 'static, S: Into<Option<KT>>>(
        &self,
        table: &GlobalKTable<KT, VT>,
        key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, &VT) -> VR + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, VR> {
        self.try_join_global_with(
            table,
            move |k, v| Ok::<_, BoxError>(key(k, v)),
            move |k, v, vt| Ok::<_, BoxError>(joiner(k, v, vt)),
            named,
        )
    }
    /// [`join_global_with`](Self::join_global_with) by functions that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.global_table::<i64, String>("table");
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_join_global_with(
    ///         &table,
    ///         |_, v| v.parse::<i64>(),
    ///         |_, _, row| Ok::<_, BoxError>(row.clone()),
    ///         "lookup",
    ///     )
    ///     .to("out");
    /// let handlers = Handlers {
    ///     processing: std::sync::Arc::new(LogAndContinue),
    ///     ..Handlers::default()
    /// };
    /// let runner = Runner::with(&builder.build()?, handlers, 0)?;
    /// runner.pipe("table", 7i64, Some("seven".to_owned()))?;
    /// runner.pipe("in", "a".to_owned(), "no number".to_owned())?;
    /// runner.pipe("in", "b".to_owned(), "7".to_owned())?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("b".to_owned(), "seven".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_join_global_with<KT, VT, VR, S, E, F>(
        &self,
        table: &GlobalKTable<KT, VT>,
        key: impl Fn(&K, &V) -> Result<S, E> + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, &VT) -> Result<VR, F> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, VR>
    where
        KT: 'static,
        VT: 'static,
        VR: 'static,
        S: Into<Option<KT>>,
        E: Into<BoxError>,
        F: Into<BoxError>,
    {
        self.add_global_join(table, selector(key), inner_joiner(joiner), &named.into(), false)
    }
    /// Records with the row that `key` finds for them, or None where there is none, or no key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.global_table::<i64, String>("names");
    /// builder
    ///     .stream::<String, String>("in")
    ///     .left_join_global(&names, |_, id| id.parse::<i64>().ok(), |id, name| format!("{id}={name:?}"))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("names", 7i64, Some("Ada".to_owned()))?;
    /// for id in ["7", "8", "nobody"] {
    ///     runner.pipe("in", "k".to_owned(), id.to_owned())?;
    /// }
    /// let results: Vec<String> = runner.read::<String, String>("out").into_iter().map(|(_, v)| v).collect();
    /// assert_eq!(results, ["7=Some(\"Ada\")", "8=None", "nobody=None"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "leftJoin")]
    #[must_use]
    pub fn left_join_global<KT: 'static, VT: 'static, VR: 'static, S: Into<Option<KT>>>(
        &self,
        table: &GlobalKTable<KT, VT>,
        key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VT>) -> VR + Send + Sync + 'static,
    ) -> KStream<K, VR> {
        self.left_join_global_with(table, key, move |_, v, vt| joiner(v, vt), Named::default())
    }
    /// [`left_join_global`](Self::left_join_global) with a name, by a function that also sees the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.global_table::<String, String>("names");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .left_join_global_with(
    ///         &names,
    ///         |k, _| k.clone(),
    ///         |k, n, name| format!("{k} {n} {}", name.is_some()),
    ///         "look",
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("a".to_owned(), "a 1 false".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn left_join_global_with<KT: 'static, VT: 'static, VR: 'static, S: Into<Option<KT>>>(
        &self,
        table: &GlobalKTable<KT, VT>,
        key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, Option<&VT>) -> VR + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, VR> {
        self.try_left_join_global_with(
            table,
            move |k, v| Ok::<_, BoxError>(key(k, v)),
            move |k, v, vt| Ok::<_, BoxError>(joiner(k, v, vt)),
            named,
        )
    }
    /// [`left_join_global_with`](Self::left_join_global_with) by functions that can fail; an error goes to the processing
    /// handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.global_table::<String, i64>("table");
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_left_join_global_with(
    ///         &table,
    ///         |k, _| Ok::<_, BoxError>(k.clone()),
    ///         |_, v, n| v.parse::<i64>().map(|v| v + n.unwrap_or(&0)),
    ///         Named::generated(),
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("table", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "a".to_owned(), "41".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 42)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_left_join_global_with<KT, VT, VR, S, E, F>(
        &self,
        table: &GlobalKTable<KT, VT>,
        key: impl Fn(&K, &V) -> Result<S, E> + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, Option<&VT>) -> Result<VR, F> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, VR>
    where
        KT: 'static,
        VT: 'static,
        VR: 'static,
        S: Into<Option<KT>>,
        E: Into<BoxError>,
        F: Into<BoxError>,
    {
        let joiner: Joiner<K, V, VT, VR> = Arc::new(move |k, v, row| joiner(k, v, row).map_err(Into::into));
        self.add_global_join(table, selector(key), joiner, &named.into(), true)
    }

    fn add_global_join<KT: 'static, VT: 'static, VR: 'static>(
        &self,
        table: &GlobalKTable<KT, VT>,
        selector: Selector<K, V, KT>,
        joiner: Joiner<K, V, VT, VR>,
        named: &Named,
        left: bool,
    ) -> KStream<K, VR> {
        // Kafka Streams gives both kinds this prefix.
        let name = self.next_name(named, "KSTREAM-LEFTJOIN-");
        let mut builder = self.builder.borrow_mut();
        let value = self.value_serde.clone().or_else(|| builder.default_serde::<V>());
        let (getter, key) = (table.getter.clone(), table.key_serde.clone());
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some(getter) = getter.clone() else { return };
            let (selector, key) = (selector.clone(), key.clone());
            let (joiner, value) = (joiner.clone(), value.clone());
            let factory = factory(move |scope| {
                let node = scope.name().clone();
                Ok(port(RowJoin {
                    node: node.clone(),
                    left,
                    value: value.clone(),
                    lookup: SelectedKey {
                        node,
                        selector: selector.clone(),
                        key: key.clone(),
                        table: getter(scope)?,
                    },
                    joiner: joiner.clone(),
                    children: scope.children()?,
                }))
            });
            writer.add_processor(name, parents, factory);
        };
        let mut node = GraphNode::new(name.clone(), write);
        node.joins_null_keys = left;
        let node = builder.add(&[self.node], node);
        KStream {
            builder: self.builder.clone(),
            node,
            name,
            key_serde: self.key_serde.clone(),
            value_serde: None,
            sources: self.sources.clone(),
            repartition_required: self.repartition_required,
        }
    }
}

fn selector<K: 'static, V: 'static, KT: 'static, S: Into<Option<KT>>, E: Into<BoxError>>(
    key: impl Fn(&K, &V) -> Result<S, E> + Send + Sync + 'static,
) -> Selector<K, V, KT> {
    Arc::new(move |k, v| key(k, v).map(Into::into).map_err(Into::into))
}
