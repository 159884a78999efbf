//! How does a client reach the cluster? Every request of every client passes [`MemoryCluster::dispatch`].
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    super::{
        Admin, Cluster, Consumer, ConsumerConfig, ErrorClass, GroupClient, OffsetToCommit, Producer, ProducerConfig,
        Result, TopicInfo, TopicPartition, Waker,
    },
    admin::MemoryAdmin,
    broker::Broker,
    clock::{Clock, SystemClock},
    config::MemoryClusterConfig,
    consumer::MemoryConsumer,
    errors::Code,
    group_client::MemoryGroupClient,
    producer::MemoryProducer,
    transport::{Fate, Network, Trouble},
};

/// A cluster in this process. Clones are handles to the same cluster.
#[derive(Clone)]
pub struct MemoryCluster {
    shared: Arc<Shared>,
    /// None: requests arrive, and are answered, at once.
    network: Option<Arc<dyn Network>>,
}

struct Shared {
    broker: Mutex<Broker>,
    clock: Arc<dyn Clock>,
}

/// What a request is about, for whoever decides over its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// Topics: create, delete, describe, offsets, records deleted.
    Admin,
    /// Records read; also the registration for wake-ups.
    Fetch,
    /// Records written.
    Produce,
    /// Producer id and epoch asked for.
    InitProducerId,
    /// A partition added to a transaction.
    AddPartition,
    /// Offsets added to a transaction.
    AddOffsets,
    /// A transaction committed or aborted.
    EndTransaction,
    /// Heartbeat of a streams group.
    Heartbeat,
    /// Offsets committed outside of a transaction.
    CommitOffsets,
    /// Committed offsets read.
    FetchOffsets,
    /// What a group believes of one of its members.
    DescribeMember,
}

/// One request: applied to the cluster at one moment, as a broker does.
pub(super) trait Request {
    type Answer;
    const KIND: RequestKind;
    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<Self::Answer>;
    /// What it asks for, without payload, for traces.
    fn describe(&self) -> String {
        String::new()
    }
}

impl MemoryCluster {
    /// A cluster with default settings that lives in real time.
    #[must_use]
    pub fn new() -> Self {
        Self::with(MemoryClusterConfig::default(), Arc::new(SystemClock::new()))
    }

    /// A cluster with the given settings and source of time.
    #[must_use]
    pub fn with(config: MemoryClusterConfig, clock: Arc<dyn Clock>) -> Self {
        let broker = Mutex::new(Broker::new(config, clock.now_ms()));
        MemoryCluster {
            shared: Arc::new(Shared { broker, clock }),
            network: None,
        }
    }

    /// The same cluster, reached through a network.
    pub(crate) fn through(&self, network: Arc<dyn Network>) -> Self {
        MemoryCluster {
            shared: self.shared.clone(),
            network: Some(network),
        }
    }

    pub(super) fn network(&self) -> Option<&dyn Network> {
        self.network.as_deref()
    }

    /// The way of a client that waits for the answer. Requests that may be under way for a while are made with
    /// [`Link::call`](super::transport::Link::call).
    pub(super) fn dispatch<R: Request>(&self, request: R) -> Result<R::Answer> {
        match self.network.as_ref().map_or(Fate::Answered, |n| n.fate(R::KIND)) {
            Fate::Answered => self.apply(request),
            Fate::RequestLost => Err(Trouble::TimedOut.error(ErrorClass::Retry)),
            Fate::AnswerLost => self.apply(request).and(Err(Trouble::TimedOut.error(ErrorClass::Retry))),
        }
    }

    /// A request arrives: the one way into the cluster. What is due by now happens first; wake-ups are given after the
    /// lock is free, so that a waker may call the cluster.
    pub(super) fn apply<R: Request>(&self, request: R) -> Result<R::Answer> {
        let now_ms = self.shared.clock.now_ms();
        self.with_broker(|broker| {
            *broker.requests.entry(R::KIND).or_default() += 1;
            broker.run_timers(now_ms);
            request.apply(broker, now_ms)
        })
    }

    fn with_broker<T>(&self, work: impl FnOnce(&mut Broker) -> T) -> T {
        let (answer, to_wake) = {
            // A panic under the lock can only come from a violated invariant of ours; the state stays readable.
            let lock: std::result::Result<_, PoisonError<_>> = self.shared.broker.lock();
            let mut broker: MutexGuard<'_, Broker> = lock.unwrap_or_else(PoisonError::into_inner);
            let answer = work(&mut broker);
            (answer, std::mem::take(&mut broker.to_wake))
        };
        for waker in to_wake {
            waker.wake();
        }
        answer
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// A number no other client of this cluster has.
    pub(super) fn client_number(&self) -> u64 {
        self.with_broker(Broker::next_client_id)
    }

    /// How many requests of a kind have been made since the cluster began: what an application costs a broker.
    #[must_use]
    pub fn requests(&self, kind: RequestKind) -> u64 {
        self.with_broker(|broker| broker.requests.get(&kind).copied().unwrap_or(0))
    }

    /// Does what has fallen due. Every request does so too; a test or simulator that only moves the clock calls this.
    pub fn run_timers(&self) {
        let now_ms = self.now_ms();
        self.with_broker(|broker| broker.run_timers(now_ms));
    }

    /// When something falls due next, in the clock's milliseconds.
    #[must_use]
    pub fn next_timer_ms(&self) -> i64 {
        self.with_broker(|broker| broker.next_timer_ms())
    }

    /// Applies retention and compaction to every partition now, instead of at the next check interval.
    pub fn clean_logs(&self) {
        let now_ms = self.now_ms();
        self.with_broker(|broker| broker.clean_logs(now_ms));
    }

    /// Creates one topic; what `Admin::create_topics` does, without a client.
    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
        let info = TopicInfo {
            name: name.to_owned(),
            partitions,
            replication_factor: -1,
            configs: configs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        self.with_broker(|broker| broker.topics.create(&info, broker.config.default_partitions))
    }

    /// Adds partitions to a topic until it has `count`.
    pub fn add_partitions(&self, topic: &str, count: i32) -> Result<()> {
        self.with_broker(|broker| broker.topics.grow(topic, count))
    }

    /// Settings a topic was created with, by name; `None` if there is no such topic.
    #[must_use]
    pub fn topic_configs(&self, topic: &str) -> Option<Vec<(String, String)>> {
        self.with_broker(|broker| {
            let topic = broker.topics.get(topic)?;
            Some(topic.config.raw.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
        })
    }

    /// Names of all topics, in order.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.with_broker(|broker| broker.topics.iter_mut().map(|(name, _)| name.to_string()).collect())
    }

    /// Transactional ids with an open transaction, in order.
    #[must_use]
    pub fn open_transactions(&self) -> Vec<String> {
        self.with_broker(|broker| broker.transactions.open_ids())
    }

    /// Transactional ids that have ever been used, in order.
    pub(crate) fn transactional_ids(&self) -> Vec<String> {
        self.with_broker(|broker| broker.transactions.ids())
    }

    /// Last offset, producer id and epoch of each batch of a partition, in order.
    pub(crate) fn writers(&self, partition: &TopicPartition) -> Result<Vec<(i64, i64, i16)>> {
        self.with_broker(|broker| {
            let entries = broker.topics.log(partition)?.entries.iter();
            Ok(entries.map(|e| (e.last_offset, e.producer_id, e.epoch)).collect())
        })
    }

    /// Sessions of group members, and transactions, that have timed out so far.
    #[must_use]
    pub fn timed_out(&self) -> (u64, u64) {
        self.with_broker(|broker| (broker.groups.sessions_expired(), broker.transactions.timed_out))
    }

    /// What the group has committed, in partition order; open transactions do not count.
    #[must_use]
    pub fn committed_offsets(&self, group: &str) -> Vec<OffsetToCommit> {
        self.with_broker(|broker| broker.groups.committed(group))
    }

    /// Forgets a group with its offsets and topology; refused while it has members.
    pub fn delete_group(&self, group: &str) -> Result<()> {
        self.with_broker(|broker| broker.groups.delete(group))
    }
}

impl Default for MemoryCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster for MemoryCluster {
    fn consumer(&self, config: &ConsumerConfig, waker: Arc<dyn Waker>) -> Result<Box<dyn Consumer>> {
        Ok(Box::new(MemoryConsumer::new(self.clone(), config.isolation, waker)))
    }

    fn producer(&self, config: &ProducerConfig, waker: Arc<dyn Waker>) -> Result<Box<dyn Producer>> {
        Ok(Box::new(MemoryProducer::new(self.clone(), config, waker)))
    }

    fn group(&self, _client_id: &str, group_id: &str, waker: Arc<dyn Waker>) -> Result<Box<dyn GroupClient>> {
        if group_id.is_empty() {
            return Err(Code::InvalidRequest.error("the group id is empty"));
        }
        Ok(Box::new(MemoryGroupClient::new(self.clone(), group_id, waker)))
    }

    fn admin(&self, _client_id: &str) -> Result<Box<dyn Admin>> {
        Ok(Box::new(MemoryAdmin::new(self.clone())))
    }
}

/// Partition lists are asked for by name; this is the shape most requests take.
pub(super) fn partition(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: Arc::clone(topic),
        partition,
    }
}
