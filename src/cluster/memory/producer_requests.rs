//! The requests a producer sends, each as it is applied to the cluster.
use std::sync::Arc;

use super::{
    super::{GroupIdentity, OffsetToCommit, Result, TopicPartition},
    batch::Batch,
    broker::Broker,
    dispatch::{Request, RequestKind},
    errors::Code,
    sequence::Stamp,
    transactions::ProducerIdentity,
};

#[derive(Clone)]
pub(super) struct InitProducer {
    pub(super) transactional_id: Option<Arc<str>>,
    pub(super) timeout_ms: i64,
}

impl Request for InitProducer {
    type Answer = ProducerIdentity;
    const KIND: RequestKind = RequestKind::InitProducerId;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<ProducerIdentity> {
        broker.init_producer(self.transactional_id.as_deref(), self.timeout_ms)
    }

    fn describe(&self) -> String {
        self.transactional_id.as_deref().unwrap_or("idempotent").to_owned()
    }
}

pub(super) struct PartitionCount<'a> {
    pub(super) topic: &'a str,
}

impl Request for PartitionCount<'_> {
    type Answer = usize;
    const KIND: RequestKind = RequestKind::Admin;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<usize> {
        match broker.topics.get(self.topic) {
            Some(topic) => Ok(topic.partitions.len()),
            None => Err(Code::UnknownTopicOrPartition.error(format!("topic {} does not exist", self.topic))),
        }
    }
}

#[derive(Clone)]
pub(super) struct AddPartition {
    pub(super) transactional_id: Arc<str>,
    pub(super) producer: ProducerIdentity,
    pub(super) partition: TopicPartition,
}

impl Request for AddPartition {
    type Answer = ();
    const KIND: RequestKind = RequestKind::AddPartition;

    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<()> {
        broker.add_partition(&self.transactional_id, self.producer, &self.partition, now_ms)
    }

    fn describe(&self) -> String {
        let TopicPartition { topic, partition } = &self.partition;
        format!(
            "{} epoch {}: {topic}-{partition}",
            self.transactional_id, self.producer.epoch
        )
    }
}

#[derive(Clone)]
pub(super) struct Produce {
    pub(super) partition: TopicPartition,
    pub(super) transactional: bool,
    pub(super) stamp: Stamp,
    pub(super) batch: Arc<Batch>,
}

impl Request for Produce {
    type Answer = i64;
    const KIND: RequestKind = RequestKind::Produce;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<i64> {
        let (log, config) = broker.topics.log_mut(&self.partition)?;
        if config.compact && self.batch.has_null_key() {
            return Err(Code::InvalidRecord.on(
                &self.partition,
                format!("a record without key in the compacted topic {}", self.partition.topic),
            ));
        }
        let base_offset = log
            .append(Some(self.stamp), self.transactional, self.batch)
            .map_err(|mut error| {
                error.partition = Some(self.partition.clone());
                error
            })?;
        broker.grown(&self.partition, !self.transactional);
        Ok(base_offset)
    }

    fn describe(&self) -> String {
        let TopicPartition { topic, partition } = &self.partition;
        let Stamp {
            producer_id,
            epoch,
            sequence,
        } = self.stamp;
        let records = self.batch.len();
        format!("{topic}-{partition}: {records} from {sequence} by {producer_id} epoch {epoch}")
    }
}

#[derive(Clone)]
pub(super) struct AddOffsets {
    pub(super) transactional_id: Arc<str>,
    pub(super) producer: ProducerIdentity,
    pub(super) group: GroupIdentity,
    pub(super) offsets: Arc<[OffsetToCommit]>,
}

impl Request for AddOffsets {
    type Answer = ();
    const KIND: RequestKind = RequestKind::AddOffsets;

    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<()> {
        broker.add_offsets(
            &self.transactional_id,
            self.producer,
            &self.group,
            &self.offsets,
            now_ms,
        )
    }

    fn describe(&self) -> String {
        let offsets: Vec<String> = self
            .offsets
            .iter()
            .map(|o| format!("{}-{}@{}", o.partition.topic, o.partition.partition, o.offset))
            .collect();
        let (epoch, member) = (self.producer.epoch, self.group.member_epoch);
        format!(
            "{} epoch {epoch}, member epoch {member}: {}",
            self.transactional_id,
            offsets.join(" ")
        )
    }
}

#[derive(Clone)]
pub(super) struct EndTransaction {
    pub(super) transactional_id: Arc<str>,
    pub(super) producer: ProducerIdentity,
    pub(super) commit: bool,
}

impl Request for EndTransaction {
    type Answer = ();
    const KIND: RequestKind = RequestKind::EndTransaction;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<()> {
        broker.end_transaction(&self.transactional_id, self.producer, self.commit)
    }

    fn describe(&self) -> String {
        let how = if self.commit { "commit" } else { "abort" };
        format!("{how} {} epoch {}", self.transactional_id, self.producer.epoch)
    }
}
