//! Options of sources, sinks and operators: plain builders.
use std::sync::Arc;

use crate::{
    engine::{OffsetReset, SourceFactory},
    serde::{DefaultSerde, SharedSerde, serde_options},
    topology::{Builder, SourceTopics},
};

use super::{Partitioner, TimestampExtractor, source_factory};

/// The name of an operator; without one a name is generated as Kafka Streams does.
#[derive(Clone, Debug, Default)]
pub struct Named(Option<Arc<str>>);
impl Named {
    /// This name.
    #[doc(alias = "as")]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Some(name.into()))
    }
    /// A generated name.
    pub fn generated() -> Self {
        Self(None)
    }
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }
}
impl<S: Into<Arc<str>>> From<S> for Named {
    fn from(name: S) -> Self {
        Self::new(name)
    }
}

/// How to read a topic. Made from a topic name where both types have a default serde.
pub struct Consumed<K, V> {
    pub(crate) topics: SourceTopics,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    pub(crate) extractor: TimestampExtractor<K, V>,
    pub(crate) reset: Option<OffsetReset>,
    pub(crate) name: Named,
}
impl<K: 'static, V: 'static> Consumed<K, V> {
    fn of(topics: SourceTopics) -> Self {
        Self {
            topics,
            key: None,
            value: None,
            extractor: TimestampExtractor::default(),
            reset: None,
            name: Named::default(),
        }
    }
    /// One topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::of(SourceTopics::Names(vec![name.into()]))
    }
    /// Several topics as one stream.
    pub fn topics<S: Into<Arc<str>>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::of(SourceTopics::Names(names.into_iter().map(Into::into).collect()))
    }
    /// Every topic whose whole name matches a regular expression. Needs the classic group protocol.
    pub fn pattern(pattern: impl Into<Arc<str>>) -> Self {
        Self::of(SourceTopics::Pattern(pattern.into()))
    }
    /// Where the timestamp comes from. Default: the record's own, negative ones are an error.
    #[must_use]
    pub fn timestamps(mut self, extractor: TimestampExtractor<K, V>) -> Self {
        self.extractor = extractor;
        self
    }
    /// Where to start without a committed offset. Default: earliest.
    #[must_use]
    pub fn offset_reset(mut self, reset: OffsetReset) -> Self {
        self.reset = Some(reset);
        self
    }
    /// Name of the source.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into();
        self
    }
}
impl<K: 'static, V: 'static> Consumed<K, V> {
    /// The source of exactly one topic; anything else is a violation.
    pub(crate) fn single(&self, name: &Arc<str>, builder: &mut Builder) -> Option<(Arc<str>, Arc<dyn SourceFactory>)> {
        let topic = match &self.topics {
            SourceTopics::Names(names) if names.len() == 1 => names.first().cloned(),
            _ => None,
        };
        if topic.is_none() {
            builder.violation(name, "it reads exactly one topic, by name");
        }
        let source = self.source(name, builder)?;
        Some((topic?, source))
    }
    /// The source with the serdes found for its types.
    pub(crate) fn source(&self, name: &Arc<str>, builder: &mut Builder) -> Option<Arc<dyn SourceFactory>> {
        let key = builder.resolve_serde(name, self.key.as_ref(), None);
        let value = builder.resolve_serde(name, self.value.as_ref(), None);
        Some(source_factory(key?, value?, self.extractor.clone()))
    }
}
impl<K: DefaultSerde, V: DefaultSerde> From<&str> for Consumed<K, V> {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

/// How to write a topic. Made from a topic name where the serdes are known.
pub struct Produced<K, V> {
    pub(crate) topic: Arc<str>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    pub(crate) partitioner: Option<Arc<dyn Partitioner<K, V>>>,
    pub(crate) name: Named,
}
impl<K: 'static, V: 'static> Produced<K, V> {
    /// One topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self {
            topic: name.into(),
            key: None,
            value: None,
            partitioner: None,
            name: Named::default(),
        }
    }
    /// Options for a topic chosen per record; see [`KStream::to_dynamic`](super::KStream::to_dynamic).
    pub fn options() -> Self {
        Self::topic("")
    }
    /// Chooses partitions. Default: murmur2 of the key bytes.
    #[doc(alias = "StreamPartitioner")]
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<K, V> + 'static) -> Self {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }
    /// Name of the sink.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into();
        self
    }
}
impl<K: 'static, V: 'static> From<&str> for Produced<K, V> {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

/// How to repartition a stream.
pub struct Repartitioned<K, V> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Arc<dyn Partitioner<K, V>>>,
}
impl<K, V> Default for Repartitioned<K, V> {
    fn default() -> Self {
        Self {
            name: None,
            key: None,
            value: None,
            partitions: None,
            partitioner: None,
        }
    }
}
impl<K: 'static, V: 'static> Repartitioned<K, V> {
    /// A topic `<application>-<name>-repartition`.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
    /// Number of partitions, enforced. Default: as many as the sources have.
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }
    /// Chooses partitions.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<K, V> + 'static) -> Self {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }
}

serde_options!(Consumed);
serde_options!(Produced);
serde_options!(Repartitioned);
