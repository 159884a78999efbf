//! Which rows a table shows: `filter` and `filter_not`.
//!
//! A row that no longer passes becomes a delete. With a stored parent the old values are known, and a delete of a row
//! that was never shown is not sent.
use std::{rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, Change, ProcessError, ProcessResult, TableReceiver, TaskContext, table_port},
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

type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> Result<bool, BoxError> + Send + Sync>;

struct TableFilter<K, V> {
    node: Arc<str>,
    predicate: Predicate<K, V>,
    output: Output<K, V>,
    /// The old value comes with the update, not from a store of this operator.
    old_from_update: bool,
    old: OldValue,
}
impl<K: 'static, V: 'static> TableFilter<K, V> {
    fn keep<'a>(&self, cx: &TaskContext, key: &K, value: Option<&'a V>) -> Result<Option<&'a V>, Box<ProcessError>> {
        match value {
            None => Ok(None),
            Some(value) => Ok(cx
                .try_call(&self.node, || (self.predicate)(key, value))?
                .then_some(value)),
        }
    }
    fn values<'a>(
        &self,
        cx: &TaskContext,
        change: &Change<'a, K, V>,
    ) -> Result<(Option<&'a V>, Option<&'a V>), Box<ProcessError>> {
        let new = self.keep(cx, change.key, change.new)?;
        let old = if self.output.send_old && self.old_from_update {
            self.keep(cx, change.key, change.old)?
        } else {
            None
        };
        Ok((new, old))
    }
}
impl<K: 'static, V: 'static> TableReceiver<K, V> for TableFilter<K, V> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        let (timestamp, headers) = (change.timestamp, change.headers);
        match self.values(cx, &change) {
            Err(error) => faults::handle(cx, error, timestamp, headers),
            Ok((new, old)) => self
                .output
                .emit(cx, change.with_values(new, old), self.old)
                .or_else(|failed| failed.handle(cx, timestamp, headers)),
        }
    }
}

struct FilterGetter<K, V> {
    node: Arc<str>,
    parent: Rc<dyn ValueGetter<K, V>>,
    predicate: Predicate<K, V>,
}
impl<K, V> FilterGetter<K, V> {
    fn keep(&self, cx: &TaskContext, key: &K, row: RowOf<V>) -> Result<RowOf<V>, Box<ProcessError>> {
        let Some((value, timestamp)) = row else { return Ok(None) };
        let keep = cx.try_call(&self.node, || (self.predicate)(key, &value))?;
        Ok(keep.then_some((value, timestamp)))
    }
}
impl<K, V> ValueGetter<K, V> for FilterGetter<K, V> {
    fn get(&self, cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<V>, Box<ProcessError>> {
        let row = self.parent.get(cx, key, key_bytes)?;
        self.keep(cx, key, row)
    }
    fn get_as_of(
        &self,
        cx: &TaskContext,
        key: &K,
        key_bytes: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<RowOf<V>, Box<ProcessError>> {
        let row = self.parent.get_as_of(cx, key, key_bytes, timestamp)?;
        self.keep(cx, key, row)
    }
}

/// Rows that pass, read through the table in front.
fn passing<K: 'static, V: 'static>(predicate: Predicate<K, V>) -> Derive<K, V, V> {
    Box::new(move |View { factory, stores }| {
        let predicate = predicate.clone();
        View {
            factory: Arc::new(move |scope| {
                Ok(Rc::new(FilterGetter {
                    node: scope.name().clone(),
                    parent: factory(scope)?,
                    predicate: predicate.clone(),
                }))
            }),
            stores,
        }
    })
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Rows for which `predicate` is true; a row that no longer passes is deleted.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").filter(|_, n| *n > 1).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(2i64))?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(2)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.add_filter(
            Arc::new(move |k: &K, v: &V| Ok(predicate(k, v))),
            &Materialized::new(),
            false,
        )
    }
    /// [`filter`](Self::filter) with options; the result is stored only if it is named.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table.filter_with(|_, n| *n > 0, "positive").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(-2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("b".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter_with(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> Self {
        self.add_filter(
            Arc::new(move |k: &K, v: &V| Ok(predicate(k, v))),
            &materialized.into(),
            true,
        )
    }
    /// Rows for which `predicate` is false.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").filter_not(|_, n| *n < 2).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(2i64))?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(2)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "filterNot")]
    #[must_use]
    pub fn filter_not(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filter(move |k, v| !predicate(k, v))
    }
    /// [`filter_not`](Self::filter_not) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// table.filter_not_with(|_, n| *n > 0, "not-positive").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "b".to_owned(), Some(-2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), None), ("b".to_owned(), Some(-2))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter_not_with(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, V>>,
    ) -> Self {
        self.filter_with(move |k, v| !predicate(k, v), materialized)
    }
    /// [`filter`](Self::filter) by a function that can fail; an error goes to the processing handler.
    /// Without options the counter of names moves as if there were none.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// let positive = |_: &String, text: &String| text.parse::<i64>().map(|n| n > 0);
    /// table.try_filter_with(positive, None).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some("1".to_owned()))?;
    /// assert_eq!(runner.read::<String, Option<String>>("out"), [("a".to_owned(), Some("1".to_owned()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_filter_with<E: Into<BoxError>>(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
        materialized: Option<Materialized<K, V>>,
    ) -> Self {
        let given = materialized.is_some();
        let predicate: Predicate<K, V> = Arc::new(move |k: &K, v: &V| predicate(k, v).map_err(Into::into));
        self.add_filter(predicate, &materialized.unwrap_or_default(), given)
    }

    fn add_filter(&self, predicate: Predicate<K, V>, materialized: &Materialized<K, V>, with_options: bool) -> Self {
        const PREFIX: &str = "KTABLE-FILTER-";
        let mut builder = self.builder.borrow_mut();
        if with_options && materialized.stored && materialized.name.is_none() {
            builder.new_store_name(PREFIX);
        }
        let name = builder.name_burning(materialized.operator.name(), PREFIX);
        let planned = materialized.planned(&mut builder, self.key_serde.as_ref(), self.value_serde.as_ref());
        let view = Rc::new(DerivedView::new(self, planned.as_ref(), passing(predicate.clone())));
        // With a stored parent this costs nothing and saves deletes of rows that were never shown.
        view.send_old_if_known();
        let key_serde = materialized.key.clone().or_else(|| self.key_serde.clone());
        let value_serde = materialized.value.clone().or_else(|| self.value_serde.clone());
        // History is told even where there is nothing: what comes behind may keep it.
        let old = if self.view.is_versioned() {
            OldValue::Stored
        } else {
            OldValue::StoredSkippingNothing
        };
        let state = view.clone();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let (plan, send_old) = (planned.as_ref().map(|p| p.plan.clone()), state.sends_old());
            let (old_from_update, predicate) = (plan.is_none(), predicate.clone());
            let factory = factory(move |scope| {
                let output = Output::open(scope, plan.as_ref(), send_old)?;
                let (node, predicate) = (scope.name().clone(), predicate.clone());
                Ok(table_port(TableFilter {
                    node,
                    predicate,
                    output,
                    old_from_update,
                    old,
                }))
            });
            writer.add_processor(name, parents, factory);
            if let Some(planned) = &planned {
                writer.add_store(planned.store.clone(), std::slice::from_ref(name));
            }
        };
        let node = builder.add(&[self.node], GraphNode::new(name.clone(), write));
        self.derived((node, name), (key_serde, value_serde), materialized, view)
    }
}
