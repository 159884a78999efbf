//! The writing client: records gathered per partition, sent as one shared batch; transactions around them.
use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{
        ClusterError, GroupIdentity, OffsetToCommit, Producer, ProducerConfig, ProducerRecord, Result, Sent, Step,
        TopicHandle,
    },
    batch::Batch,
    dispatch::{MemoryCluster, partition},
    errors::Code,
    producer_requests::{AddOffsets, AddPartition, EndTransaction, InitProducer, PartitionCount, Produce},
    sequence::{Stamp, advance},
    transactions::ProducerIdentity,
};

/// A partition's records go out when they reach this size, or at the next `serve` or flush.
const BATCH_BYTES: usize = 256 << 10;
/// Largest record, as `max.request.size` of Kafka's producers.
const MAX_RECORD_BYTES: usize = 1 << 20;

pub(super) struct MemoryProducer {
    cluster: MemoryCluster,
    transactional_id: Option<String>,
    timeout_ms: i64,
    identity: Option<ProducerIdentity>,
    topics: Vec<Topic>,
    in_transaction: bool,
    /// Partitions that are part of the open transaction.
    added: BTreeSet<(u32, i32)>,
    offsets_added: bool,
    /// The error that finished this producer.
    failed: Option<ClusterError>,
}

struct Topic {
    name: Arc<str>,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Partition {
    batch: Batch,
    sequence: i32,
    acknowledged: Option<i64>,
}

impl MemoryProducer {
    pub(super) fn new(cluster: MemoryCluster, config: &ProducerConfig) -> Result<Self> {
        let mut producer = MemoryProducer {
            cluster,
            transactional_id: config.transactional_id.clone(),
            timeout_ms: i64::try_from(config.transaction_timeout.as_millis()).unwrap_or(i64::MAX),
            identity: None,
            topics: Vec::new(),
            in_transaction: false,
            added: BTreeSet::new(),
            offsets_added: false,
            failed: None,
        };
        if producer.transactional_id.is_none() {
            producer.initialise()?;
        }
        Ok(producer)
    }

    fn initialise(&mut self) -> Result<()> {
        let identity = self.cluster.dispatch(InitProducer {
            transactional_id: self.transactional_id.as_deref(),
            timeout_ms: self.timeout_ms,
        })?;
        self.identity = Some(identity);
        for partition in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            *partition = Partition::default();
        }
        Ok(())
    }

    /// The id and epoch to write under, or why this producer may not.
    fn usable(&self) -> Result<ProducerIdentity> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.identity
            .ok_or_else(|| Code::InvalidTxnState.error("init_transactions has not been called"))
    }

    fn open_transaction(&self) -> Result<(String, ProducerIdentity)> {
        let identity = self.usable()?;
        match &self.transactional_id {
            Some(id) if self.in_transaction => Ok((id.clone(), identity)),
            Some(id) => Err(Code::InvalidTxnState.error(format!("{id}: no transaction has been begun"))),
            None => Err(Code::InvalidTxnState.error("this producer has no transactional id")),
        }
    }

    /// Everything but `Retry` finishes the producer.
    fn remember<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && error.class != super::super::ErrorClass::Retry
        {
            self.failed = Some(error.clone());
        }
        outcome
    }

    fn flush_all(&mut self) -> Result<()> {
        self.usable()?;
        for topic in 0..self.topics.len() {
            for partition in 0..self.topics[topic].partitions.len() {
                if self.topics[topic].partitions[partition].batch.len() > 0 {
                    let outcome = self.flush(topic, partition);
                    self.remember(outcome)?;
                }
            }
        }
        Ok(())
    }

    /// Sends what one partition has gathered. In a transaction the partition is added to it first.
    fn flush(&mut self, topic_at: usize, partition_at: usize) -> Result<()> {
        let identity = self.usable()?;
        let topic = &mut self.topics[topic_at];
        let slot = &mut topic.partitions[partition_at];
        let target = partition(&topic.name, partition_at as i32);
        let transactional_id = self.transactional_id.as_deref();
        if let Some(transactional_id) = transactional_id
            && self.added.insert((topic_at as u32, partition_at as i32))
        {
            self.cluster.dispatch(AddPartition {
                transactional_id,
                producer: identity,
                partition: &target,
            })?;
        }
        let (bytes, records) = slot.batch.capacity();
        // The next batch is likely to be as large as this one.
        let batch = Arc::new(std::mem::replace(&mut slot.batch, Batch::with_capacity(bytes, records)));
        let count = batch.len() as i64;
        let base_offset = self.cluster.dispatch(Produce {
            partition: &target,
            transactional: transactional_id.is_some(),
            stamp: Stamp {
                producer_id: identity.id,
                epoch: identity.epoch,
                sequence: slot.sequence,
            },
            batch,
        })?;
        slot.sequence = advance(slot.sequence, count);
        slot.acknowledged = Some(base_offset + count - 1);
        Ok(())
    }

    /// Ends the transaction at the coordinator, unless nothing was ever added to it: then he knows of none.
    fn end_transaction(&mut self, id: &str, producer: ProducerIdentity, commit: bool) -> Result<()> {
        let known = !self.added.is_empty() || self.offsets_added;
        self.added.clear();
        self.offsets_added = false;
        self.in_transaction = false;
        if !known {
            return Ok(());
        }
        self.cluster.dispatch(EndTransaction {
            transactional_id: id,
            producer,
            commit,
        })
    }

    fn commit(&mut self, offsets: &[OffsetToCommit], group: &GroupIdentity) -> Result<()> {
        let (id, producer) = self.open_transaction()?;
        self.flush_all()?;
        if !offsets.is_empty() {
            self.offsets_added = true;
            self.cluster.dispatch(AddOffsets {
                transactional_id: &id,
                producer,
                group,
                offsets,
            })?;
        }
        self.end_transaction(&id, producer, true)
    }

    fn slot(&mut self, record: &ProducerRecord<'_>) -> Result<(usize, usize)> {
        let topic = record.topic.0 as usize;
        let count = self.topics.get(topic).map_or(0, |t| t.partitions.len());
        match usize::try_from(record.partition) {
            Ok(partition) if partition < count => Ok((topic, partition)),
            _ => Err(Code::UnknownTopicOrPartition.error(format!(
                "topic {} has no partition {}",
                self.topics.get(topic).map_or("?", |t| &t.name),
                record.partition
            ))),
        }
    }
}

impl Producer for MemoryProducer {
    fn topic(&mut self, name: &str) -> Result<TopicHandle> {
        if let Some(at) = self.topics.iter().position(|t| &*t.name == name) {
            return Ok(TopicHandle(at as u32));
        }
        let count = self.cluster.dispatch(PartitionCount { topic: name })?;
        self.topics.push(Topic {
            name: name.into(),
            partitions: (0..count).map(|_| Partition::default()).collect(),
        });
        Ok(TopicHandle(self.topics.len() as u32 - 1))
    }

    fn partition_count(&mut self, topic: TopicHandle) -> Result<i32> {
        match self.topics.get(topic.0 as usize) {
            Some(topic) => Ok(topic.partitions.len() as i32),
            None => Err(Code::UnknownTopicOrPartition.error("a topic handle of another producer")),
        }
    }

    fn send(&mut self, record: &ProducerRecord<'_>) -> Result<Sent> {
        if self.failed.is_some() || self.transactional_id.is_some() && !self.in_transaction {
            self.usable()?;
            self.open_transaction()?;
        }
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if size > MAX_RECORD_BYTES {
            let error = Code::MessageTooLarge.error(format!("a record of {size} bytes, at most {MAX_RECORD_BYTES}"));
            return self.remember(Err(error));
        }
        let (topic, partition) = self.slot(record)?;
        let timestamp = record.timestamp.unwrap_or_else(|| self.cluster.now_ms());
        let batch = &mut self.topics[topic].partitions[partition].batch;
        batch.push(record, timestamp);
        if batch.size_bytes() >= BATCH_BYTES {
            let outcome = self.flush(topic, partition);
            self.remember(outcome)?;
        }
        Ok(Sent::Queued)
    }

    fn serve(&mut self) -> Result<()> {
        if self.identity.is_none() && self.failed.is_none() {
            return Ok(());
        }
        self.flush_all()
    }

    fn poll_init_transactions(&mut self) -> Result<Step<()>> {
        if self.transactional_id.is_none() {
            return Err(Code::InvalidTxnState.error("this producer has no transactional id"));
        }
        if self.identity.is_some() {
            return Err(Code::InvalidTxnState.error("init_transactions has been called before"));
        }
        let outcome = self.initialise();
        self.remember(outcome).map(Step::Done)
    }

    fn begin_transaction(&mut self) -> Result<()> {
        self.usable()?;
        if self.transactional_id.is_none() || self.in_transaction {
            return Err(
                Code::InvalidTxnState.error("a transaction cannot be begun here: no transactional id, or one is open")
            );
        }
        self.in_transaction = true;
        Ok(())
    }

    fn poll_flush(&mut self) -> Result<Step<()>> {
        self.flush_all().map(Step::Done)
    }

    fn poll_commit(&mut self, offsets: &[OffsetToCommit], group: &GroupIdentity) -> Result<Step<()>> {
        let outcome = self.commit(offsets, group);
        self.remember(outcome).map(Step::Done)
    }

    fn poll_abort(&mut self) -> Result<Step<()>> {
        // An abort is how a failed transaction is ended: an earlier error that asks for it does not stand in the way.
        if let Some(error) = &self.failed
            && error.class == super::super::ErrorClass::AbortTransaction
        {
            self.failed = None;
        }
        let (id, producer) = self.open_transaction()?;
        for slot in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            slot.batch = Batch::default();
        }
        let outcome = self.end_transaction(&id, producer, false);
        self.remember(outcome).map(Step::Done)
    }

    fn take_acknowledged(&mut self, f: &mut dyn FnMut(TopicHandle, i32, i64)) {
        for (topic_at, topic) in self.topics.iter_mut().enumerate() {
            for (partition_at, slot) in topic.partitions.iter_mut().enumerate() {
                if let Some(offset) = slot.acknowledged.take() {
                    f(TopicHandle(topic_at as u32), partition_at as i32, offset);
                }
            }
        }
    }
}
