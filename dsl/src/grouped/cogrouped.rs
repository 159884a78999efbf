//! Several grouped streams that build one result per key: `cogroup`.
use std::{cell::Cell, collections::BTreeSet, rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, Change, NodeFactory, ProcessResult, TableChildren, TableReceiver, TaskContext, table_port},
    operators::{stream_aggregate::stream_aggregate, window_results::Emission},
    options::Materialized,
    serde::SharedSerde,
    stream::factory,
    table::{
        KTable,
        output::{RowsPlan, WindowPlan},
        view::StoredView,
    },
    topology::{BuilderRef, GraphId, GraphNode, TopologyWriter},
    window::{EmitStrategy, Windowed},
};

use super::{
    cut::{Cut, WindowedTable},
    fold::Fold,
    stream::{KGroupedStream, MadeOperator, operator_node},
};

const AGGREGATE: &str = "COGROUPKSTREAM-AGGREGATE-";
const MERGE: &str = "COGROUPKSTREAM-MERGE-";

type Aggregator<K, V, A> = Arc<dyn Fn(&K, &V, A) -> Result<Option<A>, BoxError> + Send + Sync>;
type Initializer<A> = Arc<dyn Fn() -> A + Send + Sync>;

/// One of the streams; what its values are, only it knows.
trait Member<K, A> {
    /// What tells whether two members are one grouped stream.
    fn identity(&self) -> *const ();
    fn sources(&self) -> Arc<BTreeSet<Arc<str>>>;
    /// The stream with all records of a key in one partition.
    fn partitioned(&self, store: &Arc<str>) -> (GraphId, Arc<BTreeSet<Arc<str>>>);
    fn operator(&self, initial: &Initializer<A>, plan: RowsPlan<K, A>, send_old: bool) -> Arc<dyn NodeFactory>;
    fn windowed(
        &self,
        initial: &Initializer<A>,
        cut: &Cut<K, A>,
        plan: WindowPlan<K, A>,
        emission: Emission,
    ) -> Arc<dyn NodeFactory>;
}

struct Typed<K, V, A> {
    grouped: KGroupedStream<K, V>,
    f: Aggregator<K, V, A>,
    /// Asked for while the builder is free: operators are made when it is not.
    null_check: Option<SharedSerde<V>>,
}
impl<K: 'static, V: 'static, A: 'static> Typed<K, V, A> {
    fn fold(&self, initial: &Initializer<A>) -> Fold<K, V, A> {
        let (f, initial) = (self.f.clone(), initial.clone());
        Fold::aggregate(move || initial(), move |key, value, result| f(key, value, result))
    }
}
impl<K: 'static, V: 'static, A: 'static> Member<K, A> for Typed<K, V, A> {
    fn identity(&self) -> *const () {
        self.grouped.identity()
    }
    fn sources(&self) -> Arc<BTreeSet<Arc<str>>> {
        self.grouped.sources()
    }
    fn partitioned(&self, store: &Arc<str>) -> (GraphId, Arc<BTreeSet<Arc<str>>>) {
        let stream = self.grouped.partitioned(store);
        (stream.node, stream.sources)
    }
    fn operator(&self, initial: &Initializer<A>, plan: RowsPlan<K, A>, send_old: bool) -> Arc<dyn NodeFactory> {
        stream_aggregate(self.fold(initial), self.null_check.clone(), plan, send_old)
    }
    fn windowed(
        &self,
        initial: &Initializer<A>,
        cut: &Cut<K, A>,
        plan: WindowPlan<K, A>,
        emission: Emission,
    ) -> Arc<dyn NodeFactory> {
        cut.operator(self.null_check.clone(), self.fold(initial), plan, emission)
    }
}

/// Several grouped streams of one key type, each with what it does to the result. Kafka Streams: `CogroupedKStream`.
pub struct CogroupedKStream<K, A> {
    builder: BuilderRef,
    members: Vec<Rc<dyn Member<K, A>>>,
}
impl<K, A> Clone for CogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        Self {
            builder: self.builder.clone(),
            members: self.members.clone(),
        }
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    /// Starts a result that several streams build: `f` takes key, value and the result so far.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let words = builder.stream::<String, String>("words").group_by_key();
    /// clicks
    ///     .cogroup(|_, n, sum: i64| sum + n)
    ///     .cogroup(&words, |_, word, sum| sum + word.len() as i64)
    ///     .aggregate(|| 0)
    ///     .to_stream()
    ///     .to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// runner.pipe("words", "a".to_owned(), "xy".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("sums"), [("a".to_owned(), 5), ("a".to_owned(), 7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cogroup<A: 'static>(&self, f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static) -> CogroupedKStream<K, A> {
        self.try_cogroup(move |key, value, result| Ok::<_, BoxError>(Some(f(key, value, result))))
    }
    /// [`cogroup`](Self::cogroup) by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let add = |_: &String, n: &i64, sum: i64| sum.checked_add(*n).map(Some).ok_or("too much");
    /// clicks.try_cogroup(add).aggregate(|| 0).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(5))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_cogroup<A: 'static, E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
    ) -> CogroupedKStream<K, A> {
        let none = CogroupedKStream {
            builder: self.builder().clone(),
            members: Vec::new(),
        };
        none.try_cogroup(self, f)
    }
}

impl<K: 'static, A: 'static> CogroupedKStream<K, A> {
    /// Adds a stream; one that is added again gets the new function.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let words = builder.stream::<String, String>("words").group_by_key();
    /// let all = clicks.cogroup(|_, n, sum: i64| sum + n);
    /// all.cogroup(&words, |_, word, sum| sum + word.len() as i64).aggregate(|| 0).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// runner.pipe("words", "a".to_owned(), "xy".to_owned())?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(5)), ("a".to_owned(), Some(7))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cogroup<V: 'static>(
        &self,
        other: &KGroupedStream<K, V>,
        f: impl Fn(&K, &V, A) -> A + Send + Sync + 'static,
    ) -> Self {
        self.try_cogroup(other, move |key, value, result| {
            Ok::<_, BoxError>(Some(f(key, value, result)))
        })
    }
    /// [`cogroup`](Self::cogroup) by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let words = builder.stream::<String, String>("words").group_by_key();
    /// let all = clicks.cogroup(|_, n, sum: i64| sum + n);
    /// let add = |_: &String, word: &String, sum: i64| word.parse::<i64>().map(|n| Some(sum + n));
    /// all.try_cogroup(&words, add).aggregate(|| 0).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// runner.pipe("words", "a".to_owned(), "2".to_owned())?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(5)), ("a".to_owned(), Some(7))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_cogroup<V: 'static, E: Into<BoxError>>(
        &self,
        other: &KGroupedStream<K, V>,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
    ) -> Self {
        let member: Rc<dyn Member<K, A>> = Rc::new(Typed {
            grouped: other.clone(),
            null_check: other.null_check(),
            f: Arc::new(move |key: &K, value: &V, result| f(key, value, result).map_err(Into::into)),
        });
        let mut all = self.clone();
        match all
            .members
            .iter_mut()
            .find(|known| known.identity() == member.identity())
        {
            Some(known) => *known = member,
            None => all.members.push(member),
        }
        all
    }

    /// Builds the result; it starts with `initial`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// clicks.cogroup(|_, n, sum: i64| sum + n).aggregate(|| 0).to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(5))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate(&self, initial: impl Fn() -> A + Send + Sync + 'static) -> KTable<K, A> {
        self.aggregate_with(initial, Materialized::new())
    }
    /// [`aggregate`](Self::aggregate) with options. A name of the operator names those of each stream too.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let sums = clicks.cogroup(|_, n, sum: i64| sum + n).aggregate_with(|| 0, "sums");
    /// assert_eq!(sums.queryable_store_name(), Some("sums"));
    /// sums.to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(5))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_with(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A> {
        let (materialized, initial): (_, Initializer<A>) = (materialized.into(), Arc::new(initial));
        let (store, planned) = {
            let mut builder = self.builder.borrow_mut();
            let store = materialized.store_name(&mut builder, AGGREGATE);
            let planned = materialized.plan(&mut builder, &store, None, None);
            (store, planned)
        };
        let send_old = Rc::new(Cell::new(false));
        let serdes = planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone()));
        let view = StoredView {
            store: store.clone(),
            serdes: serdes.clone(),
            send_old: send_old.clone(),
            versioned: planned.as_ref().is_some_and(|p| p.plan.versioned),
        };
        let make = |member: &Rc<dyn Member<K, A>>| -> Option<MadeOperator> {
            let planned = planned.clone()?;
            let (member, initial, send_old) = (member.clone(), initial.clone(), send_old.clone());
            let store = planned.store.clone();
            let make = move || member.operator(&initial, planned.plan.clone(), send_old.get());
            Some((store, Box::new(make)))
        };
        let name = materialized.operator.name();
        let (node, name) = self.add(name, (&store, None), make, together::<K, A>());
        KTable {
            builder: self.builder.clone(),
            node,
            sources: Arc::new(BTreeSet::from([name.clone()])),
            name,
            key_serde: serdes.as_ref().map(|(key, _)| key.clone()),
            value_serde: serdes.map(|(_, value)| value),
            queryable: materialized.name.clone(),
            view: Rc::new(view),
        }
    }

    /// The same in windows.
    pub(super) fn aggregate_in(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        materialized: &Materialized<K, A>,
        cut: Cut<K, A>,
    ) -> KTable<Windowed<K>, A> {
        let initial: Initializer<A> = Arc::new(initial);
        let table = WindowedTable::new(
            &mut self.builder.borrow_mut(),
            materialized,
            AGGREGATE,
            (None, None),
            (cut, EmitStrategy::OnWindowUpdate),
        );
        let make = |member: &Rc<dyn Member<K, A>>| {
            let (member, initial) = (member.clone(), initial.clone());
            table.operator(move |cut, plan, emission| member.windowed(&initial, cut, plan, emission))
        };
        let place = (&table.store, Some(table.grace_ms()));
        let name = materialized.operator.name();
        let (node, name) = self.add(name, place, make, together::<Windowed<K>, A>());
        let sources = Arc::new(BTreeSet::from([name.clone()]));
        table.table(&self.builder, (node, name), sources)
    }

    /// Adds an operator behind each stream, and one that brings their updates together.
    fn add(
        &self,
        given: Option<&Arc<str>>,
        (store, grace_ms): (&Arc<str>, Option<i64>),
        make: impl Fn(&Rc<dyn Member<K, A>>) -> Option<MadeOperator>,
        together: Arc<dyn NodeFactory>,
    ) -> (GraphId, Arc<str>) {
        let parents: Vec<_> = self.members.iter().map(|member| member.partitioned(store)).collect();
        let mut builder = self.builder.borrow_mut();
        let mut nodes = Vec::new();
        for (index, (member, (parent, _))) in self.members.iter().zip(&parents).enumerate() {
            let name = given.map(|name| format!("{name}-cogroup-agg-{index}").into());
            let name = builder.name_burning(name.as_ref(), AGGREGATE);
            let mut node = operator_node(name, make(member));
            node.grace_ms = grace_ms;
            nodes.push(builder.add(&[*parent], node));
        }
        let name = given.map(|name| format!("{name}-cogroup-merge").into());
        let name = builder.name_burning(name.as_ref(), MERGE);
        let sources: Vec<_> = parents
            .iter()
            .flat_map(|(_, sources)| sources.iter().cloned())
            .collect();
        let mut asked = Vec::new();
        for member in &self.members {
            asked.extend(member.sources().iter().cloned());
        }
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.add_processor(name, parents, together.clone());
            writer.copartition_as(&sources, &asked);
        };
        (builder.add(&nodes, GraphNode::new(name.clone(), write)), name)
    }
}

/// Hands the updates of all streams on.
struct Together<K, A> {
    children: TableChildren<K, A>,
}
impl<K, A> TableReceiver<K, A> for Together<K, A> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, A>) -> ProcessResult {
        self.children.forward(cx, change)
    }
}
fn together<K: 'static, A: 'static>() -> Arc<dyn NodeFactory> {
    factory(|scope| {
        Ok(table_port(Together::<K, A> {
            children: scope.table_children()?,
        }))
    })
}
