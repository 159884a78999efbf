//! Through a topic, so that records of one key meet in one task: `repartition`.
use std::{collections::BTreeSet, sync::Arc};

use crate::{
    engine::{Children, ProcessResult, Receiver, Record, TaskContext, port},
    serde::SharedSerde,
    stream::{
        KStream, Partitioner, Repartitioned, SinkOptions, TimestampExtractor, factory, sink_factory, source_factory,
    },
    topology::{GraphNode, InternalTopic, SinkTarget, SourceTopics, TopologyWriter},
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
pub struct RepartitionParts<K, V> {
    /// Name of the topic, without the application id and `-repartition`.
    pub name: Arc<str>,
    /// Serde of the key.
    pub key: Option<SharedSerde<K>>,
    /// Serde of the value.
    pub value: Option<SharedSerde<V>>,
    /// Enforced number of partitions.
    pub partitions: Option<i32>,
    /// Chooses partitions.
    pub partitioner: Option<Arc<dyn Partitioner<K, V>>>,
    /// Whether records without a key are dropped (all but left and outer joins).
    pub drop_null_keys: bool,
}

/// Adds sink, topic and source behind a stream. Burns three indices, as Kafka Streams does: sink, filter, source.
pub fn repartition<K: 'static, V: 'static>(stream: &KStream<K, V>, parts: RepartitionParts<K, V>) -> KStream<K, V> {
    let mut builder = stream.builder.borrow_mut();
    let topic_name: Arc<str> = if parts.name.ends_with("-repartition") {
        parts.name.clone()
    } else {
        format!("{}-repartition", parts.name).into()
    };
    let (sink, filter, source) = (
        builder.new_processor_name("KSTREAM-SINK-"),
        builder.new_processor_name("KSTREAM-FILTER-"),
        builder.new_processor_name("KSTREAM-SOURCE-"),
    );
    let (sink, filter, source) = if is_generated(&parts.name) {
        (sink, filter, source)
    } else {
        (
            format!("{topic_name}-sink").into(),
            format!("{topic_name}-filter").into(),
            Arc::<str>::from(format!("{topic_name}-source")),
        )
    };
    let reuse_key_bytes = parts.key.is_none() && stream.key_serde.is_some();
    let key = builder.resolve_serde(&source, parts.key.as_ref(), stream.key_serde.as_ref());
    let value = builder.resolve_serde(&source, parts.value.as_ref(), stream.value_serde.as_ref());
    let topic = InternalTopic::repartition(&topic_name, parts.partitions);
    let (key_serde, value_serde) = (key.clone(), value.clone());
    let drop_null_keys = parts.drop_null_keys;
    let partitioner = parts.partitioner;
    let write = move |source: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
        let (Some(key), Some(value)) = (&key, &value) else {
            return;
        };
        let filter_key = key.clone();
        let filter_factory = factory(move |scope| {
            Ok(port(KeyFilter::<K, V> {
                key: filter_key.clone(),
                drop_null_keys,
                children: scope.children()?,
            }))
        });
        writer.add_processor(&filter, parents, filter_factory);
        let options = SinkOptions {
            key: key.clone(),
            value: value.clone(),
            reuse_key_bytes,
            topic: topic.name.clone(),
            topic_fn: None,
            partitioner: partitioner.clone(),
        };
        let sink_factory = sink_factory(options);
        writer.add_sink(
            &sink,
            SinkTarget::Internal(topic.clone()),
            std::slice::from_ref(&filter),
            sink_factory,
        );
        let source_factory = source_factory(key.clone(), value.clone(), TimestampExtractor::Record);
        writer.add_source(source, SourceTopics::Internal(topic.clone()), None, source_factory);
    };
    let node = builder.add(&[stream.node], GraphNode::new(source.clone(), write));
    KStream {
        builder: stream.builder.clone(),
        node,
        name: source.clone(),
        key_serde,
        value_serde,
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
                .violation(&name, "a topic has at least one partition");
        }
        repartition(
            self,
            RepartitionParts {
                name,
                key: repartitioned.key,
                value: repartitioned.value,
                partitions: repartitioned.partitions,
                partitioner: repartitioned.partitioner,
                drop_null_keys: true,
            },
        )
    }
}
