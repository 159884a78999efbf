//! Rows of two tables with the same key: `join`, `left_join` and `outer_join` of tables.
//!
//! An update of either side triggers a result, whose timestamp is the higher one of the two rows. Where a result may
//! disappear because a side does, the old values of that side are asked for.
use std::{cell::Cell, collections::BTreeSet, rc::Rc, sync::Arc};

use crate::{
    engine::{
        BoxError, Change, NodeFactory, ProcessError, ProcessResult, TableChildren, TableReceiver, TaskContext,
        table_port,
    },
    options::Materialized,
    serde::SharedSerde,
    stream::factory,
    table::{
        KTable, faults,
        getter::{GetterFactory, RowOf, ValueGetter, View, store_view},
        output::{OldValue, Output},
        view::TableView,
    },
    topology::{GraphNode, TopologyWriter},
};

use super::suffixed;

/// Joins the row of the side it belongs to with the row of the other side; at least one is there.
type Joiner<V, VO, VR> = Arc<dyn Fn(Option<&V>, Option<&VO>) -> Result<Option<VR>, BoxError> + Send + Sync>;

/// What a side of a join does when the other has no row, or when it has none itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// A result needs both rows.
    Inner,
    /// A result needs this side's row: the left side of a left join.
    Left,
    /// A result needs the other side's row: the right side of a left join.
    Right,
    /// A result needs one of the rows.
    Outer,
}
impl Side {
    /// Whether there is a result for these rows.
    fn has_result(self, own: bool, other: bool) -> bool {
        match self {
            Self::Inner => own && other,
            Self::Left => own,
            Self::Right => other,
            Self::Outer => own || other,
        }
    }
}

struct TableJoin<K, V, VO, VR> {
    node: Arc<str>,
    side: Side,
    versioned: bool,
    send_old: bool,
    other: Rc<dyn ValueGetter<K, VO>>,
    joiner: Joiner<V, VO, VR>,
    children: TableChildren<K, VR>,
}

impl<K, V, VO, VR> TableJoin<K, V, VO, VR> {
    fn value(&self, cx: &TaskContext, own: Option<&V>, other: Option<&VO>) -> Result<Option<VR>, Box<ProcessError>> {
        if !self.side.has_result(own.is_some(), other.is_some()) {
            return Ok(None);
        }
        cx.try_call(&self.node, || (self.joiner)(own, other))
    }
    /// The new and the old result with their timestamp; None: nothing to tell.
    #[expect(clippy::type_complexity, reason = "new, old, timestamp")]
    fn results(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
    ) -> Result<Option<(Option<VR>, Option<VR>, i64)>, Box<ProcessError>> {
        let other = self.other.get(cx, change.key, change.key_bytes)?;
        if other.is_none() {
            let nothing = change.new.is_none() && change.old.is_none();
            if nothing || matches!(self.side, Side::Inner | Side::Right) {
                return Ok(None);
            }
        }
        let timestamp = other
            .as_ref()
            .map_or(change.timestamp, |(_, other)| change.timestamp.max(*other));
        let other = other.as_ref().map(|(value, _)| value);
        let new = self.value(cx, change.new, other)?;
        let old = if self.send_old {
            self.value(cx, change.old, other)?
        } else {
            None
        };
        Ok(Some((new, old, timestamp)))
    }
}

impl<K, V, VO, VR> TableReceiver<K, V> for TableJoin<K, V, VO, VR> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        if self.versioned && !change.is_latest {
            // History: the newest row has been told already.
            cx.count_dropped();
            return Ok(());
        }
        match self.results(cx, &change) {
            Err(error) => faults::handle(cx, error, change.timestamp, change.headers),
            Ok(None) => Ok(()),
            Ok(Some((new, old, timestamp))) => {
                let change = change.with_values(new.as_ref(), old.as_ref()).with_timestamp(timestamp);
                self.children.forward(cx, change)
            }
        }
    }
}

/// Both sides come together here, and the result may be stored.
struct JoinMerge<K, VR> {
    output: Output<K, VR>,
}
impl<K: 'static, VR: 'static> TableReceiver<K, VR> for JoinMerge<K, VR> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, VR>) -> ProcessResult {
        let emitted = self.output.emit(cx, change, OldValue::Given);
        emitted.or_else(|failed| failed.handle(cx, change.timestamp, change.headers))
    }
}

struct JoinGetter<K, V, VO, VR> {
    node: Arc<str>,
    left: Rc<dyn ValueGetter<K, V>>,
    right: Rc<dyn ValueGetter<K, VO>>,
    side: Side,
    joiner: Joiner<V, VO, VR>,
}
impl<K, V, VO, VR> ValueGetter<K, VR> for JoinGetter<K, V, VO, VR> {
    fn get(&self, cx: &TaskContext, key: &K, key_bytes: Option<&[u8]>) -> Result<RowOf<VR>, Box<ProcessError>> {
        let left = self.left.get(cx, key, key_bytes)?;
        if left.is_none() && self.side != Side::Outer {
            return Ok(None);
        }
        let right = self.right.get(cx, key, key_bytes)?;
        if !self.side.has_result(left.is_some(), right.is_some()) {
            return Ok(None);
        }
        let timestamp = [&left.as_ref().map(|l| l.1), &right.as_ref().map(|r| r.1)]
            .into_iter()
            .flatten()
            .max()
            .copied();
        let joined = cx.try_call(&self.node, || {
            (self.joiner)(left.as_ref().map(|(v, _)| v), right.as_ref().map(|(v, _)| v))
        })?;
        Ok(joined.zip(timestamp))
    }
}

struct JoinView<K, V, VO, VR> {
    left: KTable<K, V>,
    right: KTable<K, VO>,
    side: Side,
    joiner: Joiner<V, VO, VR>,
    stored: Option<(Arc<str>, SharedSerde<K>, SharedSerde<VR>)>,
    send_old: Cell<bool>,
    versioned: bool,
}
impl<K: 'static, V: 'static, VO: 'static, VR: 'static> TableView<K, VR> for JoinView<K, V, VO, VR> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.left.view.enable_old_values(true);
        self.right.view.enable_old_values(true);
        self.send_old.set(true);
        true
    }
    fn is_versioned(&self) -> bool {
        self.versioned
    }
    fn view(&self) -> Option<View<K, VR>> {
        if let Some((store, key, value)) = self.stored.clone() {
            return Some(store_view(store, key, value));
        }
        let (left, right) = (self.left.view.view()?, self.right.view.view()?);
        // In this order: where two names share a bucket of a Java set, `describe` shows it.
        let mut stores = left.stores.clone();
        stores.extend(right.stores.iter().filter(|s| !left.stores.contains(s)).cloned());
        let (side, joiner) = (self.side, self.joiner.clone());
        Some(View {
            factory: Arc::new(move |scope| {
                Ok(Rc::new(JoinGetter {
                    node: scope.name().clone(),
                    left: (left.factory)(scope)?,
                    right: (right.factory)(scope)?,
                    side,
                    joiner: joiner.clone(),
                }))
            }),
            stores,
        })
    }
}

fn side_factory<K: 'static, V: 'static, VO: 'static, VR: 'static>(
    side: Side,
    versioned: bool,
    send_old: bool,
    other: GetterFactory<K, VO>,
    joiner: Joiner<V, VO, VR>,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        Ok(table_port(TableJoin {
            node: scope.name().clone(),
            side,
            versioned,
            send_old,
            other: other(scope)?,
            joiner: joiner.clone(),
            children: scope.table_children()?,
        }))
    })
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Rows that both tables have.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// let cities = builder.table::<String, String>("cities");
    /// names.join(&cities, |name, city| format!("{name} of {city}")).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("names", "k".to_owned(), Some("Ann".to_owned()))?;
    /// runner.pipe("cities", "k".to_owned(), Some("Rome".to_owned()))?;
    /// runner.pipe("names", "k".to_owned(), None::<String>)?;
    /// assert_eq!(
    ///     runner.read::<String, Option<String>>("out"),
    ///     [("k".to_owned(), Some("Ann of Rome".to_owned())), ("k".to_owned(), None)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, &VO) -> VR + Send + Sync + 'static,
    ) -> KTable<K, VR> {
        self.try_join_with(other, move |l, r| Ok::<_, BoxError>(Some(joiner(l, r))), None)
    }
    /// [`join`](Self::join) with options of the result's store.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let one = builder.table::<String, i64>("one");
    /// let two = builder.table::<String, i64>("two");
    /// one.join_with(&two, |a, b| a + b, "sums").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("two", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(3))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join_with<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, &VO) -> VR + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        self.try_join_with(
            other,
            move |l, r| Ok::<_, BoxError>(Some(joiner(l, r))),
            Some(materialized.into()),
        )
    }
    /// [`join`](Self::join) by a function that can fail, or say with None that there is no row.
    /// The result is stored only with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let sum = |a: &i64, b: &i64| a.checked_add(*b).map(Some).ok_or("too much");
    /// let one = builder.table::<String, i64>("one");
    /// let two = builder.table::<String, i64>("two");
    /// one.try_join_with(&two, sum, None).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("two", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(3))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_join_with<VO: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, &VO) -> Result<Option<VR>, E> + Send + Sync + 'static,
        materialized: Option<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        let joiner: Joiner<V, VO, VR> = Arc::new(move |left, right| match (left, right) {
            (Some(left), Some(right)) => joiner(left, right).map_err(Into::into),
            _ => Ok(None),
        });
        self.add_join(other, joiner, materialized, Side::Inner)
    }
    /// Rows of this table, with the other's row where there is one.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let (left, right) = (builder.table::<String, String>("left"), builder.table::<String, String>("right"));
    /// left.left_join(&right, |l, r| format!("{l}+{r:?}")).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("left", "a".to_owned(), Some("x".to_owned()))?;
    /// let joined: Vec<_> = runner.read::<String, String>("out").into_iter().map(|(_, v)| v).collect();
    /// assert_eq!(joined, ["x+None"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "leftJoin")]
    #[must_use]
    pub fn left_join<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> VR + Send + Sync + 'static,
    ) -> KTable<K, VR> {
        self.try_left_join_with(other, move |l, r| Ok::<_, BoxError>(Some(joiner(l, r))), None)
    }
    /// [`left_join`](Self::left_join) with options of the result's store.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let one = builder.table::<String, i64>("one");
    /// let two = builder.table::<String, i64>("two");
    /// one.left_join_with(&two, |a, b| a + b.unwrap_or(&0), "sums").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("two", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn left_join_with<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> VR + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        self.try_left_join_with(
            other,
            move |l, r| Ok::<_, BoxError>(Some(joiner(l, r))),
            Some(materialized.into()),
        )
    }
    /// [`left_join`](Self::left_join) by a function that can fail, or say with None that there is no row.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let sum = |a: &i64, b: Option<&i64>| a.checked_add(*b.unwrap_or(&0)).map(Some).ok_or("too much");
    /// let one = builder.table::<String, i64>("one");
    /// let two = builder.table::<String, i64>("two");
    /// one.try_left_join_with(&two, sum, None).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("two", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_left_join_with<VO: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> Result<Option<VR>, E> + Send + Sync + 'static,
        materialized: Option<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        let joiner: Joiner<V, VO, VR> =
            Arc::new(move |left, right| left.map_or(Ok(None), |left| joiner(left, right).map_err(Into::into)));
        self.add_join(other, joiner, materialized, Side::Left)
    }
    /// Rows that one of the tables has; at least one argument of `joiner` is there.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let (left, right) = (builder.table::<String, String>("left"), builder.table::<String, String>("right"));
    /// left.outer_join(&right, |l, r| format!("{l:?}+{r:?}")).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("right", "a".to_owned(), Some("x".to_owned()))?;
    /// let joined: Vec<_> = runner.read::<String, String>("out").into_iter().map(|(_, v)| v).collect();
    /// assert_eq!(joined, ["None+Some(\"x\")"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "outerJoin")]
    #[must_use]
    pub fn outer_join<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> VR + Send + Sync + 'static,
    ) -> KTable<K, VR> {
        self.try_outer_join_with(other, move |l, r| Ok::<_, BoxError>(Some(joiner(l, r))), None)
    }
    /// [`outer_join`](Self::outer_join) with options of the result's store.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let one = builder.table::<String, i64>("one");
    /// let two = builder.table::<String, i64>("two");
    /// one.outer_join_with(&two, |a, b| a.unwrap_or(&0) + b.unwrap_or(&0), "sums").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("two", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn outer_join_with<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> VR + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        self.try_outer_join_with(
            other,
            move |l, r| Ok::<_, BoxError>(Some(joiner(l, r))),
            Some(materialized.into()),
        )
    }
    /// [`outer_join`](Self::outer_join) by a function that can fail, or say with None that there is no row.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let sum = |a: Option<&i64>, b: Option<&i64>| {
    ///     a.unwrap_or(&0)
    ///         .checked_add(*b.unwrap_or(&0))
    ///         .map(Some)
    ///         .ok_or("too much")
    /// };
    /// let one = builder.table::<String, i64>("one");
    /// let two = builder.table::<String, i64>("two");
    /// one.try_outer_join_with(&two, sum, None).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("two", "a".to_owned(), Some(2i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<i64>>("out"),
    ///     [("a".to_owned(), Some(1)), ("a".to_owned(), Some(3))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_outer_join_with<VO: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> Result<Option<VR>, E> + Send + Sync + 'static,
        materialized: Option<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        let joiner: Joiner<V, VO, VR> = Arc::new(move |left, right| joiner(left, right).map_err(Into::into));
        self.add_join(other, joiner, materialized, Side::Outer)
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one node after the other, in the order of Kafka Streams' names"
    )]
    fn add_join<VO: 'static, VR: 'static>(
        &self,
        other: &KTable<K, VO>,
        joiner: Joiner<V, VO, VR>,
        materialized: Option<Materialized<K, VR>>,
        side: Side,
    ) -> KTable<K, VR> {
        const PREFIX: &str = "KTABLE-MERGE-";
        let mut builder = self.builder.borrow_mut();
        let wished = materialized.as_ref().filter(|m| m.stored);
        let store = wished.map(|m| match &m.name {
            Some(_) => m.store_name(&mut builder, PREFIX),
            // Kafka Streams lets this name pass also where names must be explicit.
            None => builder.new_store_name(PREFIX),
        });
        let given = materialized.as_ref().and_then(|m| m.operator.name().cloned());
        let name = builder.name_burning(given.as_ref(), PREFIX);
        if side != Side::Inner {
            self.view.enable_old_values(true);
        }
        if side == Side::Outer {
            other.view.enable_old_values(true);
        }
        let this_name = suffixed(&mut builder, given.as_ref(), "-join-this", "KTABLE-JOINTHIS-");
        let other_name = suffixed(&mut builder, given.as_ref(), "-join-other", "KTABLE-JOINOTHER-");
        let planned = wished
            .zip(store)
            .and_then(|(m, store)| m.plan(&mut builder, &store, self.key_serde.as_ref(), None));
        let versioned = (self.view.is_versioned(), other.view.is_versioned());
        let views = self.view.view().zip(other.view.view());
        let view = Rc::new(JoinView {
            left: self.clone(),
            right: other.clone(),
            side,
            joiner: joiner.clone(),
            stored: planned
                .as_ref()
                .map(|p| (p.plan.store.clone(), p.plan.key.clone(), p.plan.value.clone())),
            send_old: Cell::new(false),
            versioned: planned.as_ref().is_some_and(|p| p.plan.versioned),
        });
        let key_serde = planned
            .as_ref()
            .map(|p| p.plan.key.clone())
            .or_else(|| self.key_serde.clone());
        let value_serde = planned.as_ref().map(|p| p.plan.value.clone());
        let sources: BTreeSet<_> = self.sources.union(&other.sources).cloned().collect();
        let copartitioned: Vec<_> = sources.iter().cloned().collect();
        let (state, parents) = (view.clone(), [self.name.clone(), other.name.clone()]);
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some((left, right)) = views.clone() else { return };
            let send_old = state.send_old.get();
            let mirrored = joiner.clone();
            let mirrored: Joiner<VO, V, VR> = Arc::new(move |own, other| mirrored(other, own));
            let other_side = if side == Side::Left { Side::Right } else { side };
            let [this_parent, other_parent] = &parents;
            let this = side_factory(side, versioned.0, send_old, right.factory.clone(), joiner.clone());
            writer.add_processor(&this_name, std::slice::from_ref(this_parent), this);
            let that = side_factory(other_side, versioned.1, send_old, left.factory.clone(), mirrored);
            writer.add_processor(&other_name, std::slice::from_ref(other_parent), that);
            let plan = planned.as_ref().map(|p| p.plan.clone());
            let merge = factory(move |scope| {
                Ok(table_port(JoinMerge {
                    output: Output::open(scope, plan.as_ref(), send_old)?,
                }))
            });
            writer.add_processor(name, &[this_name.clone(), other_name.clone()], merge);
            for store in &right.stores {
                writer.connect(&this_name, store);
            }
            for store in &left.stores {
                writer.connect(&other_name, store);
            }
            if let Some(planned) = &planned {
                writer.add_store(planned.store.clone(), std::slice::from_ref(name));
            }
            writer.copartition(&copartitioned);
        };
        let node = builder.add(&[self.node, other.node], GraphNode::new(name.clone(), write));
        KTable {
            builder: self.builder.clone(),
            node,
            name,
            key_serde,
            value_serde,
            sources: Arc::new(sources),
            queryable: materialized.and_then(|m| m.name),
            view,
        }
    }
}
