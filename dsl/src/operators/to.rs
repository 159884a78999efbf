//! The end of a stream in a topic: `to`.
use std::sync::Arc;

use crate::{
    engine::BoxError,
    stream::{KStream, Outgoing, Produced, SinkOptions, TopicFn, sink_factory, topic_of_pair},
    topology::{GraphNode, SinkTarget, TopologyWriter},
};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Writes the records to a topic: `to("topic")`, or with options `Produced::topic(..)`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to(&self, produced: impl Into<Produced<K, V>>) {
        self.add_sink(produced.into(), None, "");
    }
    /// Writes each record to the topic that `topic` names; such topics are not created.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to_dynamic(|k, _| format!("out-{k}"));
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out-a"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "TopicNameExtractor")]
    pub fn to_dynamic(&self, topic: impl Fn(&K, &V) -> String + Send + Sync + 'static) {
        self.to_dynamic_with(topic, Produced::options());
    }
    /// [`to_dynamic`](Self::to_dynamic) with options; the topic of `produced` is what `describe()` shows as extractor.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .to_dynamic_with(|k, _| format!("of-{k}"), Produced::options().named("fan-out"));
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("of-a"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_dynamic_with(&self, topic: impl Fn(&K, &V) -> String + Send + Sync + 'static, produced: Produced<K, V>) {
        self.add_dynamic_sink(topic_of_pair(topic), produced);
    }
    /// [`to_dynamic_with`](Self::to_dynamic_with) by a function that sees the whole record and where it came from, and can
    /// fail. An error goes to the processing handler, as does a name that is empty (in Kafka Streams: null): where it
    /// goes on, the operator in front does so with its next record. Right behind a source it stops the task.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, stream::Outgoing, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").try_to_dynamic_with(
    ///     |record: &Outgoing<'_, String, i64>| {
    ///         let origin = record.origin().ok_or("made by a timer")?;
    ///         Ok::<_, BoxError>(format!("{}-of-{}", origin.topic, record.timestamp))
    ///     },
    ///     Produced::options(),
    /// );
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 7)?;
    /// assert_eq!(runner.read::<String, i64>("in-of-7"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "TopicNameExtractor")]
    pub fn try_to_dynamic_with<E: Into<BoxError>>(
        &self,
        topic: impl Fn(&Outgoing<'_, K, V>) -> Result<String, E> + Send + Sync + 'static,
        produced: Produced<K, V>,
    ) {
        let topic: TopicFn<K, V> = Arc::new(move |record: &Outgoing<'_, K, V>| topic(record).map_err(Into::into));
        self.add_dynamic_sink(topic, produced);
    }

    fn add_dynamic_sink(&self, topic: TopicFn<K, V>, produced: Produced<K, V>) {
        let shown = if produced.topic.is_empty() {
            "topic-fn".to_owned()
        } else {
            produced.topic.to_string()
        };
        self.add_sink(produced, Some(topic), &shown);
    }

    fn add_sink(&self, produced: Produced<K, V>, topic_fn: Option<TopicFn<K, V>>, shown: &str) {
        let name = self.next_name(&produced.name, "KSTREAM-SINK-");
        let mut builder = self.builder.borrow_mut();
        let reuse_key_bytes = produced.key.is_none() && self.key_serde.is_some();
        let key = builder.resolve_serde(&name, produced.key.as_ref(), self.key_serde.as_ref());
        let value = builder.resolve_serde(&name, produced.value.as_ref(), self.value_serde.as_ref());
        let (Some(key), Some(value)) = (key, value) else { return };
        let target = if topic_fn.is_some() {
            SinkTarget::Dynamic(shown.into())
        } else {
            SinkTarget::Topic(produced.topic.clone())
        };
        let options = SinkOptions {
            key,
            value,
            reuse_key_bytes,
            topic: produced.topic,
            topic_fn,
            partitioner: produced.partitioner,
        };
        let factory = sink_factory(options);
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.add_sink(name, target.clone(), parents, factory.clone());
        };
        builder.add(&[self.node], GraphNode::new(name, write));
    }
}
