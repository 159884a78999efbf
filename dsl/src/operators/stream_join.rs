//! Records of two streams with the same key that are close in time: `join_stream`, `left_join_stream`, `outer_join_stream`.
//!
//! A record without a value is dropped and counted; so is one without a key, except where its side has a result
//! without a partner. A result has the higher timestamp of its two records. A record without a partner has its result
//! when its window, with the grace, has closed.
use std::{collections::BTreeSet, sync::Arc};

use millstream_state::{LoggedHeaders, StoreBackend, StoreKind, StoreSpec};

use crate::{
    engine::{BoxError, port},
    options::StreamJoined,
    serde::SharedSerde,
    store::StoreSerdes,
    stream::{KStream, factory},
    topology::{GraphNode, Role, StoreBuilder, TopologyWriter},
    window::JoinWindows,
};

use super::{
    merge::PassThrough,
    stream_join_outer::JoinSide,
    stream_join_side::{Joiner, SidePlan, remember_factory, side_factory},
    stream_self_join::{SelfJoinPlan, self_join_factory},
    suffixed,
};

/// Which records have a result without a partner.
#[derive(Clone, Copy)]
struct Kind {
    left_outer: bool,
    right_outer: bool,
}

/// Names of operators and stores, in the order in which Kafka Streams takes them from the counter.
struct Names {
    this_windowed: Arc<str>,
    other_windowed: Arc<str>,
    this_join: Arc<str>,
    other_join: Arc<str>,
    merge: Arc<str>,
    this_store: Arc<str>,
    other_store: Arc<str>,
    waiting_store: Option<Arc<str>>,
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Records of both streams with the same key, as close in time as `windows` says.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// builder
    ///     .stream::<String, String>("views")
    ///     .join_stream(&clicks, |view, click| format!("{view}>{click}"), JoinWindows::of(seconds(10)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("views", "k".to_owned(), "v".to_owned(), 1_000)?;
    /// runner.pipe_at("clicks", "k".to_owned(), "c".to_owned(), 9_000)?;
    /// runner.pipe_at("clicks", "k".to_owned(), "late".to_owned(), 11_001)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("k".to_owned(), "v>c".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join_stream<VO: 'static, VR: 'static>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&V, &VO) -> VR + Send + Sync + 'static,
        windows: JoinWindows,
    ) -> KStream<K, VR> {
        self.try_join_stream_with(
            other,
            move |_, l, r| Ok::<_, BoxError>(joiner(l, r)),
            windows,
            StreamJoined::new(),
        )
    }
    /// [`join_stream`](Self::join_stream) with options, by a function that sees the key and can fail.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let other = builder.stream::<String, i64>("other");
    /// let divide = |_: &String, a: &i64, b: &i64| a.checked_div(*b).ok_or("division by zero");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .try_join_stream_with(
    ///         &other,
    ///         divide,
    ///         JoinWindows::of(seconds(1)),
    ///         StreamJoined::named("ratio"),
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 6i64, 0)?;
    /// runner.pipe_at("other", "a".to_owned(), 2i64, 5)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_join_stream_with<VO: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&K, &V, &VO) -> Result<VR, E> + Send + Sync + 'static,
        windows: JoinWindows,
        joined: impl Into<StreamJoined<K, V, VO>>,
    ) -> KStream<K, VR> {
        let joiner: Joiner<K, V, VO, VR> = Arc::new(move |key, left, right| match (left, right) {
            (Some(left), Some(right)) => joiner(key, left, right).map_err(Into::into),
            _ => Err("an inner join has no result without a partner".into()),
        });
        self.add_stream_join(
            other,
            joiner,
            windows,
            joined.into(),
            Kind {
                left_outer: false,
                right_outer: false,
            },
        )
    }
    /// [`join_stream`](Self::join_stream), where a record of this stream without a partner has a result too.
    ///
    /// ```
    /// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// builder
    ///     .stream::<String, String>("views")
    ///     .left_join_stream(&clicks, |view, click| format!("{view}>{click:?}"), JoinWindows::of(seconds(10)))
    ///     .to("out");
    /// let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let views = driver.input::<String, String>("views", StringSerde, StringSerde)?;
    /// let clicks = driver.input::<String, String>("clicks", StringSerde, StringSerde)?;
    /// let out = driver.output::<String, String>("out", StringSerde, StringSerde)?;
    /// views.at_ms(1_000).pipe("a", "v")?;
    /// clicks.at_ms(2_000).pipe("b", "c")?;
    /// views.at_ms(60_000).pipe("c", "w")?; // the windows of the others close
    /// assert_eq!(out.read_values()?, ["v>None"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn left_join_stream<VO: 'static, VR: 'static>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> VR + Send + Sync + 'static,
        windows: JoinWindows,
    ) -> KStream<K, VR> {
        let joiner = move |_: &K, l: &V, r: Option<&VO>| Ok::<_, BoxError>(joiner(l, r));
        self.try_left_join_stream_with(other, joiner, windows, StreamJoined::new())
    }
    /// [`left_join_stream`](Self::left_join_stream) with options, by a function that sees the key and can fail.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let other = builder.stream::<String, i64>("other");
    /// let divide =
    ///     |_: &String, a: &i64, b: Option<&i64>| a.checked_div(*b.unwrap_or(&1)).ok_or("division by zero");
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .try_left_join_stream_with(
    ///         &other,
    ///         divide,
    ///         JoinWindows::of(seconds(1)),
    ///         StreamJoined::named("ratio"),
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 6i64, 0)?;
    /// runner.pipe_at("other", "a".to_owned(), 2i64, 5)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_left_join_stream_with<VO: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&K, &V, Option<&VO>) -> Result<VR, E> + Send + Sync + 'static,
        windows: JoinWindows,
        joined: impl Into<StreamJoined<K, V, VO>>,
    ) -> KStream<K, VR> {
        let joiner: Joiner<K, V, VO, VR> = Arc::new(move |key, left, right| match left {
            Some(left) => joiner(key, left, right).map_err(Into::into),
            None => Err("a left join has no result without a left record".into()),
        });
        self.add_stream_join(
            other,
            joiner,
            windows,
            joined.into(),
            Kind {
                left_outer: true,
                right_outer: false,
            },
        )
    }
    /// [`join_stream`](Self::join_stream), where a record of either stream without a partner has a result too.
    ///
    /// ```
    /// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// builder
    ///     .stream::<String, String>("views")
    ///     .outer_join_stream(&clicks, |view, click| format!("{view:?}>{click:?}"), JoinWindows::of(seconds(10)))
    ///     .to("out");
    /// let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let views = driver.input::<String, String>("views", StringSerde, StringSerde)?;
    /// let clicks = driver.input::<String, String>("clicks", StringSerde, StringSerde)?;
    /// let out = driver.output::<String, String>("out", StringSerde, StringSerde)?;
    /// views.at_ms(1_000).pipe("a", "v")?;
    /// clicks.at_ms(2_000).pipe("b", "c")?;
    /// views.at_ms(60_000).pipe("c", "w")?; // the windows of the others close
    /// assert_eq!(out.read_values()?, ["Some(\"v\")>None", "None>Some(\"c\")"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn outer_join_stream<VO: 'static, VR: 'static>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> VR + Send + Sync + 'static,
        windows: JoinWindows,
    ) -> KStream<K, VR> {
        let joiner = move |_: &K, l: Option<&V>, r: Option<&VO>| Ok::<_, BoxError>(joiner(l, r));
        self.try_outer_join_stream_with(other, joiner, windows, StreamJoined::new())
    }
    /// [`outer_join_stream`](Self::outer_join_stream) with options, by a function that sees the key and can fail.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let other = builder.stream::<String, i64>("other");
    /// let sum = |_: &String, a: Option<&i64>, b: Option<&i64>| {
    ///     a.unwrap_or(&0).checked_add(*b.unwrap_or(&0)).ok_or("too much")
    /// };
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .try_outer_join_stream_with(
    ///         &other,
    ///         sum,
    ///         JoinWindows::of(millis(10)),
    ///         StreamJoined::named("sum"),
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("other", "a".to_owned(), 2i64, 5)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_outer_join_stream_with<VO: 'static, VR: 'static, E: Into<BoxError>>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&K, Option<&V>, Option<&VO>) -> Result<VR, E> + Send + Sync + 'static,
        windows: JoinWindows,
        joined: impl Into<StreamJoined<K, V, VO>>,
    ) -> KStream<K, VR> {
        let joiner: Joiner<K, V, VO, VR> = Arc::new(move |k, l, r| joiner(k, l, r).map_err(Into::into));
        self.add_stream_join(
            other,
            joiner,
            windows,
            joined.into(),
            Kind {
                left_outer: true,
                right_outer: true,
            },
        )
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one node after the other, in the order of Kafka Streams' names"
    )]
    fn add_stream_join<VO: 'static, VR: 'static>(
        &self,
        other: &KStream<K, VO>,
        joiner: Joiner<K, V, VO, VR>,
        windows: JoinWindows,
        joined: StreamJoined<K, V, VO>,
        kind: Kind,
    ) -> KStream<K, VR> {
        let topic = |suffix: &str| -> Option<Arc<str>> { joined.name.name().map(|n| format!("{n}{suffix}").into()) };
        let (key, value) = (joined.key.clone(), joined.value.clone());
        let this = self.partitioned_for_join(topic("-left").as_ref(), key, value);
        let (key, value) = (joined.key.clone(), joined.other_value.clone());
        let other = other.partitioned_for_join(topic("-right").as_ref(), key, value);
        let mut names = self.join_names(&joined, kind);
        if windows.at_once {
            names.waiting_store = None;
        }
        let mut builder = self.builder.borrow_mut();
        if let Some(problem) = windows.problem() {
            builder.argument(&names.merge, problem);
        }
        let key = builder.resolve_serde(&names.merge, joined.key.as_ref(), this.key_serde.as_ref());
        let value = builder.resolve_serde(&names.merge, joined.value.as_ref(), this.value_serde.as_ref());
        let other_value = builder.resolve_serde(&names.merge, joined.other_value.as_ref(), other.value_serde.as_ref());
        let sources: BTreeSet<_> = this.sources.union(&other.sources).cloned().collect();
        let stream = KStream {
            builder: self.builder.clone(),
            node: this.node,
            name: names.merge.clone(),
            key_serde: key.clone(),
            value_serde: None,
            sources: Arc::new(sources.clone()),
            repartition_required: false,
        };
        let (Some(key), Some(value), Some(other_value)) = (key, value, other_value) else {
            return stream;
        };
        // Bytes of a record's key are those of its own stream's serde.
        let reuse = |own: &Option<SharedSerde<K>>| joined.key.is_none() && own.is_some();
        let (reuse_this, reuse_other) = (reuse(&this.key_serde), reuse(&other.key_serde));
        let remember = remember_factory(key.clone(), reuse_this, value.clone(), names.this_store.clone());
        builder.add(
            &[this.node],
            GraphNode::new(names.this_windowed.clone(), processor(remember)),
        );
        let remember = remember_factory(key.clone(), reuse_other, other_value.clone(), names.other_store.clone());
        let other_windowed = builder.add(
            &[other.node],
            GraphNode::new(names.other_windowed.clone(), processor(remember)),
        );
        let stores = Stores::new(&joined, &names, windows, (&key, &value, &other_value));
        let self_join = self_join_factory(SelfJoinPlan {
            windows,
            key: key.clone(),
            reuse_key_bytes: reuse_this,
            value: value.clone(),
            other_value: other_value.clone(),
            store: names.this_store.clone(),
            joiner: joiner.clone(),
        });
        let mirrored = joiner.clone();
        let mirrored: Joiner<K, VO, V, VR> = Arc::new(move |key, own, other| mirrored(key, other, own));
        let this_side = side_factory(SidePlan {
            side: JoinSide::Left,
            outer: kind.left_outer,
            windows,
            key: key.clone(),
            reuse_key_bytes: reuse_this,
            value: value.clone(),
            other_value: other_value.clone(),
            other_store: names.other_store.clone(),
            waiting_store: names.waiting_store.clone(),
            join: names.merge.clone(),
            joiner,
        });
        let other_side = side_factory(SidePlan {
            side: JoinSide::Right,
            outer: kind.right_outer,
            windows: windows.reversed(),
            key,
            reuse_key_bytes: reuse_other,
            value: other_value,
            other_value: value,
            other_store: names.this_store.clone(),
            waiting_store: names.waiting_store.clone(),
            join: names.merge.clone(),
            joiner: mirrored,
        });
        let merge = factory(|scope| {
            Ok(port(PassThrough::<K, VR> {
                children: scope.children()?,
            }))
        });
        let copartitioned: Vec<_> = sources.into_iter().collect();
        let name = names.merge.clone();
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.copartition(&copartitioned);
            if writer.self_joins.contains(name) {
                let windowed = std::slice::from_ref(&names.this_windowed);
                writer.add_processor(name, windowed, self_join.clone());
                writer.add_store(stores.this.clone(), &[names.this_windowed.clone(), name.clone()]);
                return;
            }
            let (this, that) = (&names.this_join, &names.other_join);
            writer.add_processor(this, std::slice::from_ref(&names.this_windowed), this_side.clone());
            writer.add_processor(that, std::slice::from_ref(&names.other_windowed), other_side.clone());
            writer.add_processor(name, &[this.clone(), that.clone()], merge.clone());
            writer.add_store(stores.this.clone(), &[names.this_windowed.clone(), that.clone()]);
            writer.add_store(stores.other.clone(), &[names.other_windowed.clone(), this.clone()]);
            if let Some(waiting) = &stores.waiting {
                writer.add_store(waiting.clone(), &[this.clone(), that.clone()]);
            }
        };
        let mut node = GraphNode::new(name, write);
        node.joins_null_keys = kind.left_outer || kind.right_outer;
        node.role = Role::StreamJoin { other_windowed };
        let node = builder.add(&[this.node, other.node], node);
        KStream { node, ..stream }
    }

    fn join_names<VO>(&self, joined: &StreamJoined<K, V, VO>, kind: Kind) -> Names {
        let mut builder = self.builder.borrow_mut();
        let given = joined.name.name();
        let this_suffix = if kind.right_outer {
            "-outer-this-join"
        } else {
            "-this-join"
        };
        let other_suffix = if kind.left_outer {
            "-outer-other-join"
        } else {
            "-other-join"
        };
        let this_windowed = suffixed(&mut builder, given, "-this-windowed", "KSTREAM-WINDOWED-");
        let other_windowed = suffixed(&mut builder, given, "-other-windowed", "KSTREAM-WINDOWED-");
        let this_prefix = if kind.right_outer {
            "KSTREAM-OUTERTHIS-"
        } else {
            "KSTREAM-JOINTHIS-"
        };
        let other_prefix = if kind.left_outer {
            "KSTREAM-OUTEROTHER-"
        } else {
            "KSTREAM-JOINOTHER-"
        };
        let this_generated = builder.new_processor_name(this_prefix);
        let other_generated = builder.new_processor_name(other_prefix);
        let operator = |suffix: &str, generated: &Arc<str>| -> Arc<str> {
            given.map_or_else(|| generated.clone(), |given| format!("{given}{suffix}").into())
        };
        let store = |suffix: &str, generated: &str| -> Arc<str> {
            let base = joined
                .store_name
                .as_ref()
                .map_or_else(|| generated.to_owned(), |n| format!("{n}{suffix}"));
            format!("{base}-store").into()
        };
        let shared = if kind.right_outer {
            "-outer-shared-join"
        } else {
            "-left-shared-join"
        };
        let number = this_generated.strip_prefix(this_prefix).unwrap_or_default();
        Names {
            this_join: operator(this_suffix, &this_generated),
            other_join: operator(other_suffix, &other_generated),
            merge: suffixed(&mut builder, given, "-merge", "KSTREAM-MERGE-"),
            this_store: store(this_suffix, &this_generated),
            other_store: store(other_suffix, &other_generated),
            waiting_store: kind
                .left_outer
                .then(|| store(shared, &format!("KSTREAM-OUTERSHARED-{number}"))),
            this_windowed,
            other_windowed,
        }
    }
}

fn processor(
    factory: Arc<dyn crate::engine::NodeFactory>,
) -> impl Fn(&Arc<str>, &[Arc<str>], &mut TopologyWriter) + 'static {
    move |name, parents, writer| writer.add_processor(name, parents, factory.clone())
}

/// The stores of a join. They are never cached: a join looks at every record.
struct Stores {
    this: StoreBuilder,
    other: StoreBuilder,
    waiting: Option<StoreBuilder>,
}
impl Stores {
    fn new<K: 'static, V: 'static, VO: 'static>(
        joined: &StreamJoined<K, V, VO>,
        names: &Names,
        windows: JoinWindows,
        serdes: (&SharedSerde<K>, &SharedSerde<V>, &SharedSerde<VO>),
    ) -> Self {
        let retention_ms = windows.retention_ms();
        let kind = StoreKind::Window {
            timestamped: false,
            window_size_ms: windows.size_ms(),
            retention_ms,
            segment_interval_ms: (retention_ms / 2).max(60_000),
            retain_duplicates: true,
        };
        let make = |name: &Arc<str>, kind: &StoreKind, headers: LoggedHeaders| {
            let (name, kind) = (name.clone(), kind.clone());
            let mut store = StoreBuilder::new(StoreSpec {
                name,
                kind,
                // The writer puts in the application's default.
                backend: joined.backend.unwrap_or(StoreBackend::Persistent),
                caching: false,
                logging: joined.logging,
                logged_headers: headers,
            });
            store.default_backend = joined.backend.is_none();
            for (key, value) in &joined.topic_config {
                store = store.topic_config(key.clone(), value.clone());
            }
            store
        };
        let (key, value, other_value) = serdes;
        Self {
            this: make(&names.this_store, &kind, LoggedHeaders::Always).with_serdes(StoreSerdes {
                key: key.clone(),
                value: value.clone(),
            }),
            other: make(&names.other_store, &kind, LoggedHeaders::Always).with_serdes(StoreSerdes {
                key: key.clone(),
                value: other_value.clone(),
            }),
            waiting: names
                .waiting_store
                .as_ref()
                .map(|name| make(name, &StoreKind::Raw, LoggedHeaders::Never)),
        }
    }
}
