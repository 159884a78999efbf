//! What a Kafka cluster is to us: a few traits. Implementations: `rdkafka` (+ `wire`), `memory`.
//!
//! Everything here is polled, nothing blocks unless it says so, nothing assumes client threads: an
//! implementation that has threads of its own (librdkafka) wakes us through the `Waker`.
#![allow(missing_docs, reason = "contract, documented as the implementations land")]
pub mod memory;
pub mod rdkafka;
pub mod wire;

use std::{sync::Arc, time::Duration};

use millstream_dsl::engine::RawRecord;
pub use millstream_state::Headers;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// Wakes the thread that waits for a consumer, a group answer or a command.
pub trait Waker: Send + Sync {
    fn wake(&self);
}

/// What kind of failure, i.e. what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Try again later; nothing is lost.
    Retry,
    /// The transaction must be aborted; the producer may live on (policy: it does not).
    AbortTransaction,
    /// Somebody else owns the tasks (fenced epoch, unknown member): drop them and rejoin.
    Migrated,
    /// Local state does not fit the log (offset out of range, topic re-created): wipe and restore the task.
    Corrupted,
    /// Outcome unknown (time-out while committing): re-initialise, read committed offsets, decide.
    Unknown,
    /// Nothing will help without a person.
    Fatal,
}
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ClusterError {
    pub class: ErrorClass,
    /// Kafka's error code, or librdkafka's negative one.
    pub code: i32,
    pub message: String,
    pub partition: Option<TopicPartition>,
}

impl ClusterError {
    /// The brokers know no such topic or partition: UNKNOWN_TOPIC_OR_PARTITION, and librdkafka's two names for it.
    pub fn is_unknown_topic(&self) -> bool {
        matches!(self.code, 3 | -188 | -190)
    }
}

pub type Result<T> = std::result::Result<T, ClusterError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    pub client_id: String,
    pub isolation: Isolation,
}
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    pub client_id: String,
    pub transactional_id: Option<String>,
    pub transaction_timeout: Duration,
}

/// A cluster: makes clients. Cloned handles go to every thread.
pub trait Cluster: Send + Sync {
    fn consumer(&self, config: &ConsumerConfig, waker: Arc<dyn Waker>) -> Result<Box<dyn Consumer>>;
    /// Transactional producers still need `init_transactions`.
    fn producer(&self, config: &ProducerConfig, waker: Arc<dyn Waker>) -> Result<Box<dyn Producer>>;
    fn group(&self, client_id: &str, group_id: &str, waker: Arc<dyn Waker>) -> Result<Box<dyn GroupClient>>;
    fn admin(&self, client_id: &str) -> Result<Box<dyn Admin>>;
}

/// An owned batch of fetched records of one partition, in offset order; lends them. Drop frees it.
pub trait RecordBatch {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn get(&self, index: usize) -> RawRecord<'_>;
}
pub enum Fetched {
    Records(Box<dyn RecordBatch>),
    /// Position has reached the end the consumer may see (LSO or high watermark), `position` = next offset. Nothing that has
    /// arrived is left: whoever hears this may sleep until woken.
    End {
        position: i64,
    },
    /// Nothing yet.
    Nothing,
}
/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOffset {
    At(i64),
    Earliest,
    Latest,
}

/// Reads assigned partitions; never a member of a group. Owned by one thread.
pub trait Consumer: Send {
    /// `At` an offset that does not exist: `fetch` gives `Corrupted`; the reset policy is the caller's.
    fn assign(&mut self, partition: &TopicPartition, start: StartOffset) -> Result<()>;
    /// After it nothing more of the partition is delivered. Unknown partition: no error.
    fn unassign(&mut self, partition: &TopicPartition);
    /// Moves the position of an assigned partition; what was prefetched is forgotten.
    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()>;
    /// What has arrived for one partition; never blocks. A partition is held back by not calling this.
    fn fetch(&mut self, partition: &TopicPartition, max_records: usize) -> Result<Fetched>;
    /// Errors that belong to no partition (all brokers down ...), and housekeeping. Call once per loop.
    fn serve(&mut self) -> Result<()>;
}

/// A topic of one producer, resolved once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicHandle(pub u32);
pub struct ProducerRecord<'a> {
    pub topic: TopicHandle,
    pub partition: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// None: the time of sending.
    pub timestamp: Option<i64>,
    pub headers: Option<&'a millstream_state::Headers>,
}
pub enum Sent {
    Queued,
    /** Buffers are full: `serve` and try again. */
    Full,
}

/// Offsets that become part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    pub partition: TopicPartition,
    pub offset: i64,
    pub metadata: String,
}
/// Identity under which offsets are committed. Taken when the commit is built, never cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupIdentity {
    pub group_id: String,
    pub member_id: String,
    pub member_epoch: i32,
}

/// State of a step that may take time.
pub enum Step<T> {
    Done(T),
    Pending,
}

/// Writes; with a transactional id, in transactions. Owned by one thread.
///
/// After an error whose class is not `Retry` the producer is finished: drop it and make a new one with the same id.
pub trait Producer: Send {
    fn topic(&mut self, name: &str) -> Result<TopicHandle>;
    /// Partition count of a topic; missing topic: `Fatal` naming it. May block on metadata for a bounded time, cached afterwards.
    fn partition_count(&mut self, topic: TopicHandle) -> Result<i32>;
    fn send(&mut self, record: &ProducerRecord<'_>) -> Result<Sent>;
    /// Serves delivery reports; an undeliverable record is reported here (or by `poll_flush`), once.
    fn serve(&mut self) -> Result<()>;
    /// Fences older incarnations and settles their transactions. Polled until done.
    fn poll_init_transactions(&mut self) -> Result<Step<()>>;
    fn begin_transaction(&mut self) -> Result<()>;
    /// Everything sent has been acknowledged.
    fn poll_flush(&mut self) -> Result<Step<()>>;
    /// Polled until done: flush, add offsets, commit. The arguments of the first call count.
    fn poll_commit(&mut self, offsets: &[OffsetToCommit], group: &GroupIdentity) -> Result<Step<()>>;
    /// Asked after a commit has succeeded. False: a copy of some request of the transaction may still be under way, and could
    /// take effect in the next one; the producer must not begin another.
    fn is_settled(&self) -> bool {
        true
    }
    fn poll_abort(&mut self) -> Result<Step<()>>;
    /// Highest acknowledged offset of each partition written since the last call, for changelog positions.
    fn take_acknowledged(&mut self, f: &mut dyn FnMut(TopicHandle, i32, i64));
}

// ---- group membership (KIP-1071), offsets

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    pub subtopology: u32,
    pub partition: i32,
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyDescription {
    pub subtopologies: Vec<SubtopologyDescription>,
}
/// Lists are sorted by name; copartition groups index into `source_topics` / `repartition_source_topics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubtopologyDescription {
    pub id: String,
    pub source_topics: Vec<String>,
    pub state_changelog_topics: Vec<TopicInfo>,
    pub repartition_sink_topics: Vec<String>,
    pub repartition_source_topics: Vec<TopicInfo>,
    pub copartition_groups: Vec<CopartitionGroup>,
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: i32,
    pub replication_factor: i16,
    pub configs: Vec<(String, String)>,
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopartitionGroup {
    pub source_topics: Vec<i16>,
    pub repartition_source_topics: Vec<i16>,
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskLists {
    pub active: Vec<TaskId>,
    pub standby: Vec<TaskId>,
    pub warmup: Vec<TaskId>,
}

/// Fields as in StreamsGroupHeartbeat; `None` = unchanged.
#[derive(Clone, Debug, Default)]
pub struct HeartbeatRequest {
    pub member_id: String,
    pub member_epoch: i32,
    pub endpoint_epoch: i32,
    pub rebalance_timeout_ms: i32,
    pub topology: Option<Arc<TopologyDescription>>,
    pub owned: Option<TaskLists>,
    pub process_id: Option<String>,
    pub user_endpoint: Option<(String, u16)>,
    pub client_tags: Option<Vec<(String, String)>>,
    pub shutdown_application: bool,
}
#[derive(Clone, Debug, Default)]
pub struct HeartbeatResponse {
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    /// (status code, detail)
    pub status: Vec<(i8, String)>,
    pub assigned: Option<TaskLists>,
    pub endpoint_epoch: i32,
}
#[derive(Clone, Debug)]
pub enum GroupRequest {
    Heartbeat(HeartbeatRequest),
    /// Outside of transactions.
    CommitOffsets {
        identity: GroupIdentity,
        offsets: Vec<OffsetToCommit>,
    },
    /// `identity` None: unfenced. `require_stable`: `Retry` while a transaction holds an offset of these partitions.
    FetchOffsets {
        identity: Option<GroupIdentity>,
        partitions: Vec<TopicPartition>,
        require_stable: bool,
    },
    /// What the group believes of one of its members. Changes nothing. Kafka: StreamsGroupDescribe.
    DescribeMember {
        member_id: String,
    },
}
#[derive(Clone, Debug)]
pub enum GroupResponse {
    Heartbeat(HeartbeatResponse),
    CommitOffsets,
    /// Offset and metadata of each partition that has one.
    FetchOffsets(Vec<OffsetToCommit>),
    /// None: not a member.
    Member(Option<MemberDescription>),
}
/// A member as its group sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    pub member_epoch: i32,
    /// What it was given or may keep; tasks it is still to give back are not in it.
    pub assigned: TaskLists,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// The group coordinator. Requests are answered later, each once; a lost connection or a time-out is an answer too (`Retry`).
/// Finding the coordinator, reconnecting and version negotiation happen inside.
/// A broker without streams groups: `Fatal` that says which version is needed.
pub trait GroupClient: Send {
    fn send(&mut self, request: GroupRequest) -> RequestId;
    fn poll(&mut self) -> Option<(RequestId, Result<GroupResponse>)>;
}

/// Topics. Blocking for at most `timeout`: called at start and from the control plane, never between records.
pub trait Admin: Send {
    /// Partition counts of the topics that exist.
    fn partition_counts(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<(String, i32)>>;
    fn create_topics(&mut self, topics: &[TopicInfo], timeout: Duration) -> Result<()>;
    fn delete_topics(&mut self, topics: &[String], timeout: Duration) -> Result<()>;
    /// First offset and end (LSO under ReadCommitted, else high watermark).
    fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<Vec<(i64, i64)>>;
    /// Offset of the first record of each partition whose timestamp is at or behind `since_ms` (milliseconds since the
    /// epoch); None: there is none.
    fn offsets_since(
        &mut self,
        partitions: &[TopicPartition],
        since_ms: i64,
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>>;
    /// Deletes records below the offsets (repartition purge).
    fn delete_records(&mut self, below: &[(TopicPartition, i64)], timeout: Duration) -> Result<()>;
}
