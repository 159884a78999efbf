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

pub(super) struct InitProducer<'a> {
    pub(super) transactional_id: Option<&'a str>,
    pub(super) timeout_ms: i64,
}

impl Request for InitProducer<'_> {
    type Answer = ProducerIdentity;
    const KIND: RequestKind = RequestKind::InitProducerId;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<ProducerIdentity> {
        broker.init_producer(self.transactional_id, self.timeout_ms)
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

pub(super) struct AddPartition<'a> {
    pub(super) transactional_id: &'a str,
    pub(super) producer: ProducerIdentity,
    pub(super) partition: &'a TopicPartition,
}

impl Request for AddPartition<'_> {
    type Answer = ();
    const KIND: RequestKind = RequestKind::AddPartition;

    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<()> {
        broker.add_partition(self.transactional_id, self.producer, self.partition, now_ms)
    }
}

pub(super) struct Produce<'a> {
    pub(super) partition: &'a TopicPartition,
    pub(super) transactional: bool,
    pub(super) stamp: Stamp,
    pub(super) batch: Arc<Batch>,
}

impl Request for Produce<'_> {
    type Answer = i64;
    const KIND: RequestKind = RequestKind::Produce;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<i64> {
        let (log, config) = broker.topics.log_mut(self.partition)?;
        if config.compact && self.batch.has_null_key() {
            return Err(Code::InvalidRecord.on(
                self.partition,
                format!("a record without key in the compacted topic {}", self.partition.topic),
            ));
        }
        let base_offset = log
            .append(Some(self.stamp), self.transactional, self.batch)
            .map_err(|mut error| {
                error.partition = Some(self.partition.clone());
                error
            })?;
        broker.grown(self.partition, !self.transactional);
        Ok(base_offset)
    }
}

pub(super) struct AddOffsets<'a> {
    pub(super) transactional_id: &'a str,
    pub(super) producer: ProducerIdentity,
    pub(super) group: &'a GroupIdentity,
    pub(super) offsets: &'a [OffsetToCommit],
}

impl Request for AddOffsets<'_> {
    type Answer = ();
    const KIND: RequestKind = RequestKind::AddOffsets;

    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<()> {
        broker.add_offsets(self.transactional_id, self.producer, self.group, self.offsets, now_ms)
    }
}

pub(super) struct EndTransaction<'a> {
    pub(super) transactional_id: &'a str,
    pub(super) producer: ProducerIdentity,
    pub(super) commit: bool,
}

impl Request for EndTransaction<'_> {
    type Answer = ();
    const KIND: RequestKind = RequestKind::EndTransaction;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<()> {
        broker.end_transaction(self.transactional_id, self.producer, self.commit)
    }
}
