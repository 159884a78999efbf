//! CONTRACT: what operators, the runtime and the test driver share.
#![allow(dead_code, unused_variables, clippy::todo, missing_docs, reason = "contract")]
use std::{any::Any, rc::Rc, sync::Arc};

use millstream_state::{Headers, StoreSpec, TaskState};

/// A record on its way between operators: everything by reference, `Copy`.
pub struct Record<'a, K: ?Sized, V: ?Sized> {
    pub key: &'a K,
    pub value: &'a V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub headers: &'a Headers,
    /// The serialized key, as long as nobody has changed the key.
    pub key_bytes: Option<&'a [u8]>,
}

/// An update of a table on its way.
pub struct Change<'a, K: ?Sized, V: ?Sized> {
    pub key: &'a K,
    pub new: Option<&'a V>,
    /// Only filled in when somebody downstream asked for old values.
    pub old: Option<&'a V>,
    /// False for an out-of-order update of a versioned table.
    pub is_latest: bool,
    pub timestamp: i64,
    pub headers: &'a Headers,
    pub key_bytes: Option<&'a [u8]>,
}

/// A typed edge of the graph of a task. Erased once, when the task is built; a hop is one virtual call.
pub trait Receiver<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult;
}
pub trait TableReceiver<K, V> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult;
}
/// What `NodeFactory::instantiate` gives: an edge, boxed as `Any` (an `Rc<dyn Receiver<K, V>>` or `Rc<dyn TableReceiver<K, V>>`).
pub type AnyPort = Box<dyn Any>;

pub type ProcessResult = Result<(), Box<ProcessError>>;

/// What stopped a record, with the operator it happened in.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?} in {node}: {message}")]
pub struct ProcessError {
    pub kind: ProcessErrorKind,
    pub node: Arc<str>,
    pub message: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessErrorKind {
    Deserialization,
    Serialization,
    UserFunction,
    Panic,
    InvalidTimestamp,
    Store,
    BufferFull,
    UnknownChild,
    StoreNotConnected,
    Production,
    Other,
}

/// A raw record of a source topic, lent by the cluster.
#[derive(Clone, Copy)]
pub struct RawRecord<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub timestamp: i64,
    pub offset: i64,
    pub headers: RawHeaders<'a>,
}
/// Headers as the cluster lends them: decoded only when somebody looks.
#[derive(Clone, Copy)]
pub enum RawHeaders<'a> {
    None,
    Lazy(&'a dyn HeaderSource),
}
pub trait HeaderSource {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn read_into(&self, headers: &Headers);
}

/// A topic a task writes to, resolved once: index into `Subtopology::sinks` order of the `TaskGraph`, or a dynamic name.
#[derive(Clone, Copy, Debug)]
pub enum SinkTopic<'a> {
    Static(SinkIndex),
    Dynamic(&'a str),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SinkIndex(pub u32);

/// An outgoing record. `partition` None: the collector applies the default partitioner (murmur2 of the key bytes; sticky for null keys).
pub struct OutgoingRecord<'a> {
    pub topic: SinkTopic<'a>,
    pub partition: Option<i32>,
    pub partition_key: Option<&'a [u8]>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub timestamp: i64,
    pub headers: &'a Headers,
}

/// Where a task's output goes: the runtime's producer, or the test driver. Changelog writes come through `millstream_state::ChangeLogger`.
pub trait Collector {
    fn send(&self, record: OutgoingRecord<'_>) -> Result<(), CollectorError>;
    /// Partitions of a topic, for custom partitioners.
    fn partition_count(&self, topic: SinkTopic<'_>) -> Result<i32, CollectorError>;
}
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CollectorError(pub Box<dyn std::error::Error + Send + Sync>);

/// What the runtime hands to a task when it is built.
pub struct TaskEnvironment {
    pub application_id: Arc<str>,
    /// `<subtopology>_<partition>`
    pub task_id: Arc<str>,
    pub partition: i32,
    pub collector: Rc<dyn Collector>,
    /// Opened with exactly the store specs of `Subtopology::stores`, in that order.
    pub state: TaskState,
    /// Global tables' state, shared by the tasks of the thread.
    pub handlers: Arc<Handlers>,
    /// Clock at build, milliseconds since the epoch.
    pub wall_clock_ms: i64,
}

/// Error handlers; see the handlers module for the traits. `Default` = fail, as in Kafka Streams.
#[derive(Default)]
pub struct Handlers {
    // deserialization, processing, production handlers and the dead-letter topic
}

/// State of the task that operators see while a record is processed.
pub struct TaskContext {/* record metadata, stream time, wall clock, collector, handlers, counters: Cells */}

/// The immutable result of `StreamsBuilder::build`: `Send + Sync`, cheap to clone.
#[derive(Clone)]
pub struct Topology {
    inner: Arc<()>,
}
const _: () = {
    const fn f<T: Send + Sync>() {}
    f::<Topology>();
};

/// One connected part of the topology; one task per partition.
pub struct Subtopology {
    pub id: u32,
    /// Source topics in sorted order; repartition topics are `<application>-<name>-repartition`, see `resolve`.
    pub sources: Vec<TopicRef>,
    pub sinks: Vec<TopicRef>,
    /// Stores of its tasks, in opening order, with the changelog of each (None: logging off, or the source topic serves as changelog).
    pub stores: Vec<StoreDefinition>,
    /// Groups of indices into `sources` that must have equal partition counts.
    pub copartition_groups: Vec<Vec<usize>>,
}
pub struct StoreDefinition {
    pub spec: StoreSpec,
    pub changelog: Option<InternalTopic>,
    pub source_changelog: Option<Arc<str>>,
}
/// A topic by name, or an internal one whose name gets the application id in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    External(Arc<str>),
    Internal(InternalTopic),
}
/// `name` without the application id: `<name>-repartition` or `<name>-changelog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    pub name: Arc<str>,
    pub partitions: Option<i32>,
    pub config: Vec<(String, String)>,
}
impl InternalTopic {
    pub fn full_name(&self, application_id: &str) -> String {
        format!("{application_id}-{}", self.name)
    }
}
impl TopicRef {
    pub fn full_name(&self, application_id: &str) -> String {
        match self {
            Self::External(n) => n.to_string(),
            Self::Internal(t) => t.full_name(application_id),
        }
    }
}

impl Topology {
    pub fn subtopologies(&self) -> &[Subtopology] {
        todo!()
    }
    /// The text of Java's `Topology.describe()`.
    pub fn describe(&self) -> String {
        todo!()
    }
    /// Global stores: (store, topic), restored by every instance before it runs.
    pub fn global_stores(&self) -> &[StoreDefinition] {
        todo!()
    }
    /// A hash of structure and names, kept beside the state.
    pub fn fingerprint(&self) -> u64 {
        todo!()
    }
    /// Builds the operators of one task.
    pub fn build_task(&self, subtopology: u32, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
        todo!()
    }
    /// One graph with the nodes of all subtopologies (test driver): sources, sinks and stores are concatenated in subtopology order.
    pub fn build_all(&self, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
        todo!()
    }
}

/// Index into the sources of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceIndex(pub u32);

/// The operators of one task. Not `Send`: it lives and dies on its stream thread.
pub struct TaskGraph {}
impl TaskGraph {
    pub fn sources(&self) -> &[TopicRef] {
        todo!()
    }
    pub fn sinks(&self) -> &[TopicRef] {
        todo!()
    }
    /// Timestamp of a raw record by the source's extractor. Negative: the record is to be skipped (`process` counts it as dropped).
    /// `partition_time`: highest timestamp seen on the partition, -1 if none.
    pub fn extract_timestamp(
        &self,
        source: SourceIndex,
        record: &RawRecord<'_>,
        partition_time: i64,
    ) -> Result<i64, Box<ProcessError>> {
        todo!()
    }
    /// One record through the graph, depth first. Handlers have been applied: an error means stop.
    /// `timestamp` is what `extract_timestamp` gave.
    pub fn process(&self, source: SourceIndex, record: RawRecord<'_>, timestamp: i64) -> ProcessResult {
        todo!()
    }
    /// Stream time of the task (-1 before the first record); `process` advances it.
    pub fn stream_time(&self) -> i64 {
        todo!()
    }
    /// After a restart: stream time from the partition times in the committed metadata.
    pub fn set_stream_time(&self, timestamp: i64) {
        todo!()
    }
    /// Runs due stream-time punctuations; true if any ran.
    pub fn punctuate_stream_time(&self) -> Result<bool, Box<ProcessError>> {
        todo!()
    }
    /// Sets the clock operators see and runs due wall-clock punctuations.
    pub fn advance_wall_clock(&self, now_ms: i64) -> Result<bool, Box<ProcessError>> {
        todo!()
    }
    /// When the next wall-clock punctuation is due.
    pub fn next_wall_clock_punctuation(&self) -> Option<i64> {
        todo!()
    }
    /// Forwards and logs everything the record caches hold, in topology order. Part of every commit.
    pub fn flush_caches(&self) -> ProcessResult {
        todo!()
    }
    /// Whether somebody called `commit()`; resets it.
    pub fn take_commit_request(&self) -> bool {
        todo!()
    }
    /// Names and values that must survive in the committed metadata (last emit time of emit-on-close operators).
    pub fn processor_metadata(&self) -> Vec<(String, i64)> {
        todo!()
    }
    pub fn restore_processor_metadata(&self, metadata: &[(String, i64)]) {
        todo!()
    }
    pub fn dropped_records(&self) -> u64 {
        todo!()
    }
    pub fn state(&self) -> &TaskState {
        todo!()
    }
    /// Calls `close` of user processors.
    pub fn close(&self) -> ProcessResult {
        todo!()
    }
}
