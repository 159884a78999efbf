//! The sink of a stream: key and value to bytes, in reused buffers.
use std::{cell::RefCell, sync::Arc};

use millstream_state::Headers;

use crate::{
    engine::{
        BoxError, NodeFactory, OutgoingRecord, ProcessError, ProcessErrorKind, ProcessResult, Receiver, Record,
        SinkIndex, SinkTopic, TaskContext, port,
    },
    processor::RecordMetadata,
    serde::{SerdeError, SharedSerde, write},
};

use super::factory;

/// Chooses the partitions of a record. Kafka Streams: `StreamPartitioner`.
#[doc(alias = "StreamPartitioner")]
pub trait Partitioner<K, V>: Send + Sync {
    /// The partitions of a record for `topic`, which has `partition_count` of them. None: the default partitioner
    /// decides. An empty list drops the record, several multicast it. A partition that does not exist is an error of
    /// production.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// /// Corrections go to everybody, everything else where its key belongs.
    /// struct Corrections;
    /// impl Partitioner<String, i64> for Corrections {
    ///     fn partitions(&self, _: &str, _: &String, value: &i64, partition_count: i32) -> Option<Vec<i32>> {
    ///         (*value < 0).then(|| (0..partition_count).collect())
    ///     }
    /// }
    /// builder.stream("in").to(Produced::topic("out").partitioner(Corrections));
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// for n in [7i64, -7] {
    ///     runner.pipe("in", "a".to_owned(), n)?;
    /// }
    /// let partitions: Vec<_> = runner.written().iter().map(|record| record.partition).collect();
    /// assert_eq!(partitions, [None, Some(0), Some(1), Some(2), Some(3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn partitions(&self, topic: &str, key: &K, value: &V, partition_count: i32) -> Option<Vec<i32>>;
}
impl<K, V, F> Partitioner<K, V> for F
where
    F: Fn(&str, &K, &V, i32) -> Option<Vec<i32>> + Send + Sync,
{
    fn partitions(&self, topic: &str, key: &K, value: &V, partition_count: i32) -> Option<Vec<i32>> {
        self(topic, key, value, partition_count)
    }
}

/// A record on its way out, as the choice of its topic sees it. Kafka Streams: `RecordContext` of a
/// `TopicNameExtractor`.
#[doc(alias = "RecordContext")]
pub struct Outgoing<'a, K, V> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: &'a V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers of the record.
    pub headers: &'a Headers,
    cx: &'a TaskContext,
}
impl<K, V> Outgoing<'_, K, V> {
    /// Where the record came from; None inside a punctuation.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # use millstream_dsl::stream::Outgoing;
    /// builder.stream::<String, i64>(Consumed::topics(["uk", "fr"])).try_to_dynamic_with(
    ///     |record: &Outgoing<'_, String, i64>| {
    ///         let origin = record.origin().ok_or("made by a timer")?;
    ///         Ok::<_, BoxError>(format!("{}-copies", origin.topic))
    ///     },
    ///     Produced::options(),
    /// );
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("fr", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// assert_eq!(driver.produced_to("fr-copies").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn origin(&self) -> Option<RecordMetadata> {
        RecordMetadata::of(self.cx)
    }
}

pub(crate) type TopicFn<K, V> = Arc<dyn Fn(&Outgoing<'_, K, V>) -> Result<String, BoxError> + Send + Sync>;

/// A choice that looks at key and value only, and cannot fail.
pub(crate) fn topic_of_pair<K: 'static, V: 'static>(
    topic: impl Fn(&K, &V) -> String + Send + Sync + 'static,
) -> TopicFn<K, V> {
    Arc::new(move |record: &Outgoing<'_, K, V>| Ok(topic(record.key, record.value)))
}

/// How a sink writes.
pub(crate) struct SinkOptions<K, V> {
    /// Serde of the key.
    pub(crate) key: SharedSerde<K>,
    /// Serde of the value.
    pub(crate) value: SharedSerde<V>,
    /// Whether `Record::key_bytes` are bytes of this key serde.
    pub(crate) reuse_key_bytes: bool,
    /// The topic's name, for the partitioner.
    pub(crate) topic: Arc<str>,
    /// Chooses the topic of each record; None: the fixed topic.
    pub(crate) topic_fn: Option<TopicFn<K, V>>,
    /// Chooses partitions.
    pub(crate) partitioner: Option<Arc<dyn Partitioner<K, V>>>,
}
impl<K, V> Clone for SinkOptions<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            reuse_key_bytes: self.reuse_key_bytes,
            topic: self.topic.clone(),
            topic_fn: self.topic_fn.clone(),
            partitioner: self.partitioner.clone(),
        }
    }
}

struct Sink<K, V> {
    name: Arc<str>,
    index: Option<SinkIndex>,
    options: SinkOptions<K, V>,
    key_buffer: RefCell<Vec<u8>>,
    value_buffer: RefCell<Vec<u8>>,
}

/// A sink with these options.
pub(crate) fn sink_factory<K: 'static, V: 'static>(options: SinkOptions<K, V>) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        Ok(port(Sink {
            name: scope.name().clone(),
            index: scope.sink(),
            options: options.clone(),
            key_buffer: RefCell::default(),
            value_buffer: RefCell::default(),
        }))
    })
}

impl<K: 'static, V: 'static> Receiver<K, V> for Sink<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let mut key_buffer = self.key_buffer.borrow_mut();
        let mut value_buffer = self.value_buffer.borrow_mut();
        let key = match record.key_bytes {
            Some(bytes) if self.options.reuse_key_bytes => Some(bytes),
            _ => match self.write(cx, &self.options.key, record.key, &mut key_buffer) {
                Ok(true) => Some(key_buffer.as_slice()),
                Ok(false) => None,
                Err(error) => return self.not_serialized(cx, "key", error, &record),
            },
        };
        let value = match self.write(cx, &self.options.value, record.value, &mut value_buffer) {
            Ok(true) => Some(value_buffer.as_slice()),
            Ok(false) => None,
            Err(error) => return self.not_serialized(cx, "value", error, &record),
        };
        match &self.options.topic_fn {
            None => {
                let Some(index) = self.index else {
                    return Err(ProcessError::new(
                        ProcessErrorKind::Other,
                        &self.name,
                        "the sink has no topic",
                    ));
                };
                self.send(cx, SinkTopic::Static(index), &self.options.topic, key, value, &record)
            }
            Some(f) => {
                let outgoing = Outgoing {
                    key: record.key,
                    value: record.value,
                    timestamp: record.timestamp,
                    headers: record.headers,
                    cx,
                };
                let topic = cx
                    .try_call(&self.name, || f(&outgoing))
                    .map_err(ProcessError::in_sink)?;
                if topic.is_empty() {
                    let what = "the topic that was chosen for the record has no name";
                    let error = ProcessError::new(ProcessErrorKind::InvalidArgument, &self.name, what);
                    return Err(error.in_sink());
                }
                self.send(cx, SinkTopic::Dynamic(&topic), &topic, key, value, &record)
            }
        }
    }
}

impl<K, V> Sink<K, V> {
    /// A serde is the user's code too: a panic in it is an error like any other.
    fn write<T>(
        &self,
        cx: &TaskContext,
        serde: &SharedSerde<T>,
        value: &T,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Box<ProcessError>> {
        cx.call(&self.name, || write(&**serde, value, buffer))?
            .map_err(|error| ProcessError::caused(ProcessErrorKind::Serialization, &self.name, error))
    }
    #[cold]
    fn not_serialized(
        &self,
        cx: &TaskContext,
        what: &str,
        mut error: Box<ProcessError>,
        record: &Record<'_, K, V>,
    ) -> ProcessResult {
        error.message = format!("{what} for topic {}: {}", self.options.topic, error.message);
        let cause = error.source.as_ref().and_then(|e| e.downcast_ref::<SerdeError>());
        if cause.is_some_and(SerdeError::is_wrong_type) {
            return Err(error.in_sink());
        }
        // A dead letter that cannot be sent is another error, which stops the task.
        cx.production_failed(error.in_sink(), record.timestamp, record.headers)
    }

    fn send(
        &self,
        cx: &TaskContext,
        topic: SinkTopic<'_>,
        name: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        record: &Record<'_, K, V>,
    ) -> ProcessResult {
        let chosen = match &self.options.partitioner {
            None => None,
            Some(partitioner) => {
                let count = cx
                    .collector()
                    .partition_count(topic)
                    .map_err(|e| self.not_produced(e))?;
                match cx.call(&self.name, || {
                    partitioner.partitions(name, record.key, record.value, count)
                }) {
                    Ok(chosen) => chosen,
                    Err(error) => return Err(error.in_sink()),
                }
            }
        };
        let one = |partition: Option<i32>| {
            cx.collector()
                .send(OutgoingRecord {
                    topic,
                    partition,
                    partition_key: key.and_then(|key| self.options.key.partition_bytes(key)),
                    key,
                    value,
                    timestamp: record.timestamp,
                    headers: record.headers,
                })
                .map_err(|e| self.not_produced(e))
        };
        match chosen {
            None => one(None),
            Some(partitions) if partitions.is_empty() => {
                cx.count_dropped();
                Ok(())
            }
            Some(partitions) => partitions.into_iter().try_for_each(|p| one(Some(p))),
        }
    }

    #[cold]
    fn not_produced(&self, error: crate::engine::CollectorError) -> Box<ProcessError> {
        ProcessError::caused(ProcessErrorKind::Production, &self.name, error.0)
    }
}
