//! Where a task's output goes.
use millstream_state::Headers;

/// A topic a task writes to, resolved once: index into `Subtopology::sinks` order of the `TaskGraph`, or a dynamic name.
#[derive(Clone, Copy, Debug)]
pub enum SinkTopic<'a> {
    /// Known when the topology was built.
    Static(SinkIndex),
    /// Chosen per record.
    Dynamic(&'a str),
}
/// Index into `TaskGraph::sinks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SinkIndex(pub u32);

/// An outgoing record. `partition` None: the collector applies the default partitioner (murmur2 of the key bytes; sticky for null keys).
pub struct OutgoingRecord<'a> {
    /// Where to.
    pub topic: SinkTopic<'a>,
    /// Chosen by a custom partitioner.
    pub partition: Option<i32>,
    /// Bytes to hash instead of the key (windowed keys are partitioned by the plain key).
    pub partition_key: Option<&'a [u8]>,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers.
    pub headers: &'a Headers,
}

/// Where a task's output goes: the runtime's producer, or the test driver. Changelog writes come through `millstream_state::ChangeLogger`.
pub trait Collector {
    /// Takes one record.
    fn send(&self, record: OutgoingRecord<'_>) -> Result<(), CollectorError>;
    /// Partitions of a topic, for custom partitioners.
    fn partition_count(&self, topic: SinkTopic<'_>) -> Result<i32, CollectorError>;
}

/// Why a record could not be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CollectorError(pub Box<dyn std::error::Error + Send + Sync>);
