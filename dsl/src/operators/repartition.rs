//! Through a topic, so that records of one key meet in one task: `repartition`.
use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use crate::{
    engine::{Children, ProcessResult, Receiver, Record, TaskContext, port},
    serde::SharedSerde,
    stream::{
        KStream, Partitioner, Repartitioned, SinkOptions, TimestampExtractor, factory, sink_factory, source_factory,
        source_factory_without_key_bytes,
    },
    topology::{
        Builder, GraphNode, InternalTopic, MergeRepartition, RepartitionRole, Role, SinkTarget, SourceTopics,
        TopologyWriter,
    },
};

/// Drops records without a key: they have no partition to belong to. Not counted, as in Kafka Streams.
struct KeyFilter<K, V> {
    key: SharedSerde<K>,
    drop_null_keys: bool,
    children: Children<K, V>,
}
impl<K, V> Receiver<K, V> for KeyFilter<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        if self.drop_null_keys && self.key.is_null(record.key) {
            return Ok(());
        }
        self.children.forward(cx, record)
    }
}

/// What a repartition topic is made of.
pub(crate) struct RepartitionParts<K, V> {
    /// Name of the topic, without the application id and `-repartition`.
    pub(crate) name: Arc<str>,
    /// Serde of the key.
    pub(crate) key: Option<SharedSerde<K>>,
    /// Serde of the value.
    pub(crate) value: Option<SharedSerde<V>>,
    /// Enforced number of partitions.
    pub(crate) partitions: Option<i32>,
    /// Chooses partitions.
    pub(crate) partitioner: Option<Arc<dyn Partitioner<K, V>>>,
    /// Whether an operator needs the topic, and can share it with others: not what `repartition` was called for.
    pub(crate) shareable: bool,
}

/// Names of the nodes around a repartition topic.
struct Names {
    topic: Arc<str>,
    sink: Arc<str>,
    filter: Arc<str>,
    source: Arc<str>,
}
impl Names {
    /// Burns three indices, as Kafka Streams does: sink, filter, source.
    fn new(builder: &mut Builder, name: &str) -> Self {
        let topic = repartition_topic(name);
        let (sink, filter, source) = (
            builder.new_processor_name("KSTREAM-SINK-"),
            builder.new_processor_name("KSTREAM-FILTER-"),
            builder.new_processor_name("KSTREAM-SOURCE-"),
        );
        if is_generated(name) {
            return Self {
                topic,
                sink,
                filter,
                source,
            };
        }
        Self {
            sink: format!("{topic}-sink").into(),
            filter: format!("{topic}-filter").into(),
            source: format!("{topic}-source").into(),
            topic,
        }
    }
}

/// The name of a topic, after an operator or as it was given.
pub(crate) fn repartition_topic(name: &str) -> Arc<str> {
    if name.ends_with("-repartition") {
        name.into()
    } else {
        format!("{name}-repartition").into()
    }
}

/// Uses up the names of a topic that is shared and not made; gives that of its source.
pub(crate) fn burn_names(builder: &mut Builder, name: &str) -> Arc<str> {
    Names::new(builder, name).source
}

/// A repartition topic that can become one with others.
struct Shared<K, V> {
    topic: Arc<str>,
    shareable: bool,
    /// Serdes that were given or came with the stream.
    key: Option<SharedSerde<K>>,
    value: Option<SharedSerde<V>>,
}
impl<K: 'static, V: 'static> MergeRepartition for Shared<K, V> {
    fn can_be_merged(&self) -> bool {
        self.shareable
    }
    fn merged(&self, all: &[RepartitionRole], builder: &mut Builder) -> Option<GraphNode> {
        let (mut key, mut value, mut same_keys) = (None, None, true);
        for other in all {
            let other: &dyn std::any::Any = &**other;
            let other = other.downcast_ref::<Self>()?;
            same_keys &= match (&self.key, &other.key) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            };
            key = key.or_else(|| other.key.clone());
            value = value.or_else(|| other.value.clone());
        }
        let names = Names::new(builder, &self.topic);
        let key = builder.resolve_serde(&names.source, key.as_ref(), None)?;
        let value = builder.resolve_serde(&names.source, value.as_ref(), None)?;
        let topic = InternalTopic::repartition(&names.topic, None);
        let source = names.source.clone();
        let plan = Plan {
            key,
            value,
            reuse_key_bytes: false,
            // Operators behind it may each have another serde for the same key.
            lend_key_bytes: same_keys,
            partitioner: None,
        };
        let role = Self {
            topic: self.topic.clone(),
            shareable: false,
            key: None,
            value: None,
        };
        let mut node = GraphNode::new(source, write_topic(names, topic, Some(plan)));
        node.role = Role::Repartition(Rc::new(role));
        Some(node)
    }
}

struct Plan<K, V> {
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    reuse_key_bytes: bool,
    lend_key_bytes: bool,
    partitioner: Option<Arc<dyn Partitioner<K, V>>>,
}

/// Filter, sink and source.
fn write_topic<K: 'static, V: 'static>(
    names: Names,
    topic: InternalTopic,
    plan: Option<Plan<K, V>>,
) -> impl Fn(&Arc<str>, &[Arc<str>], &mut TopologyWriter) + 'static {
    move |source, parents, writer| {
        let Some(plan) = &plan else { return };
        let key = plan.key.clone();
        let drop_null_keys = !writer.kept_null_keys.contains(source);
        let filter = factory(move |scope| {
            Ok(port(KeyFilter::<K, V> {
                key: key.clone(),
                drop_null_keys,
                children: scope.children()?,
            }))
        });
        writer.add_processor(&names.filter, parents, filter);
        let sink = sink_factory(SinkOptions {
            key: plan.key.clone(),
            value: plan.value.clone(),
            reuse_key_bytes: plan.reuse_key_bytes,
            topic: topic.name.clone(),
            topic_fn: None,
            partitioner: plan.partitioner.clone(),
        });
        let target = SinkTarget::Internal(topic.clone());
        writer.add_sink(&names.sink, target, std::slice::from_ref(&names.filter), sink);
        let (key, value) = (plan.key.clone(), plan.value.clone());
        let factory = if plan.lend_key_bytes {
            source_factory(key, value, TimestampExtractor::Record)
        } else {
            source_factory_without_key_bytes(key, value)
        };
        writer.add_source(source, SourceTopics::Internal(topic.clone()), None, factory);
    }
}

/// Adds sink, topic and source behind a stream.
pub(crate) fn repartition<K: 'static, V: 'static>(
    stream: &KStream<K, V>,
    parts: RepartitionParts<K, V>,
) -> KStream<K, V> {
    let mut builder = stream.builder.borrow_mut();
    let names = Names::new(&mut builder, &parts.name);
    let source = names.source.clone();
    let key = builder.resolve_serde(&source, parts.key.as_ref(), stream.key_serde.as_ref());
    let value = builder.resolve_serde(&source, parts.value.as_ref(), stream.value_serde.as_ref());
    let topic = InternalTopic::repartition(&names.topic, parts.partitions);
    let role = Shared {
        topic: names.topic.clone(),
        shareable: parts.shareable,
        key: parts.key.clone().or_else(|| stream.key_serde.clone()),
        value: parts.value.or_else(|| stream.value_serde.clone()),
    };
    let plan = key.clone().zip(value.clone()).map(|(key, value)| Plan {
        key,
        value,
        reuse_key_bytes: parts.key.is_none() && stream.key_serde.is_some(),
        lend_key_bytes: true,
        partitioner: parts.partitioner,
    });
    let mut node = GraphNode::new(source.clone(), write_topic(names, topic, plan));
    node.role = Role::Repartition(Rc::new(role));
    let node = builder.add(&[stream.node], node);
    KStream {
        builder: stream.builder.clone(),
        node,
        name: source.clone(),
        key_serde: key,
        value_serde: value,
        sources: Arc::new(BTreeSet::from([source])),
        repartition_required: false,
    }
}

/// `KSTREAM.*-[0-9]{10}`: such names keep generated names of the nodes around the topic.
fn is_generated(name: &str) -> bool {
    let Some((head, digits)) = name.rsplit_once('-') else {
        return false;
    };
    head.starts_with("KSTREAM") && digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit())
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Sends the stream through a topic of its own and reads it again, so that it is partitioned by its key.
    /// Records without a key are dropped.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").repartition().to("out");
    /// assert_eq!(builder.build()?.subtopologies().len(), 2);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn repartition(&self) -> Self {
        self.repartition_with(Repartitioned::default())
    }
    /// [`repartition`](Self::repartition) with options.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, i64>("in");
    /// stream.repartition_with(Repartitioned::named("by-key").partitions(8)).to("out");
    /// let topology = builder.build()?;
    /// assert_eq!(topology.subtopologies()[1].sources[0].full_name("app"), "app-by-key-repartition");
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn repartition_with(&self, repartitioned: Repartitioned<K, V>) -> Self {
        let name = self
            .builder
            .borrow_mut()
            .name_or(repartitioned.name.as_ref(), "KSTREAM-REPARTITION-");
        if repartitioned.partitions.is_some_and(|p| p < 1) {
            self.builder
                .borrow_mut()
                .argument(&name, "a topic has at least one partition");
        }
        repartition(
            self,
            RepartitionParts {
                name,
                key: repartitioned.key,
                value: repartitioned.value,
                partitions: repartitioned.partitions,
                partitioner: repartitioned.partitioner,
                shareable: false,
            },
        )
    }
}
