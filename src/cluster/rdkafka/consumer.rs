//! Reads partitions through librdkafka: each has a queue of its own, so holding one back holds back no other.
use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use super::{
    errors::{Call, cluster_error},
    ffi::{ConsumerHandle, Message, PartitionList, PartitionQueue, RawError},
};
use crate::cluster::{Consumer, ErrorClass, Fetched, Result, StartOffset, TopicPartition, Waker};

const PARTITION_EOF: i32 = -191;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// One partition we read.
struct Assigned {
    queue: PartitionQueue,
    /// What came with records but has to be told after them.
    later: VecDeque<Piece>,
}

enum Piece {
    Records(Vec<Message>),
    End(i64),
    Failed(RawError),
}

/// A consumer of assigned partitions.
pub(super) struct RdConsumer {
    // Queues before the client they were made from.
    partitions: FxHashMap<TopicPartition, Assigned>,
    handle: ConsumerHandle,
    /// Room for the next batch, so that an idle poll allocates nothing.
    spare: Vec<Message>,
}

impl RdConsumer {
    pub(super) fn new(settings: &[(String, String)], waker: Arc<dyn Waker>) -> Result<Self> {
        let handle =
            ConsumerHandle::new(settings, waker).map_err(|e| cluster_error(Call::Setup, e, "consumer", None))?;
        Ok(Self {
            partitions: FxHashMap::default(),
            handle,
            spare: Vec::new(),
        })
    }

    fn start(&mut self, partition: &TopicPartition, offset: i64) -> std::result::Result<Assigned, RawError> {
        let queue = self.handle.split(&partition.topic, partition.partition)?;
        let list = PartitionList::new([(&*partition.topic, partition.partition, offset, "")])?;
        self.handle.assign(&list)?;
        Ok(Assigned {
            queue,
            later: VecDeque::new(),
        })
    }

    fn stop(&mut self, partition: &TopicPartition) {
        if self.partitions.remove(partition).is_none() {
            return;
        }
        let list = PartitionList::new([(&*partition.topic, partition.partition, LATEST, "")]);
        if let Err(error) = list.and_then(|list| self.handle.unassign(&list)) {
            tracing::warn!(topic = %partition.topic, partition = partition.partition, error = %error.message, "unassign");
        }
    }
}

impl Consumer for RdConsumer {
    fn assign(&mut self, partition: &TopicPartition, start: StartOffset) -> Result<()> {
        let offset = match start {
            StartOffset::At(offset) => offset,
            StartOffset::Earliest => EARLIEST,
            StartOffset::Latest => LATEST,
        };
        self.stop(partition);
        let assigned = self
            .start(partition, offset)
            .map_err(|error| cluster_error(Call::Setup, error, "assigning a partition", Some(partition.clone())))?;
        self.partitions.insert(partition.clone(), assigned);
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        self.stop(partition);
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        // Assigning anew forgets what was prefetched, by librdkafka's version numbers of the assignment.
        self.assign(partition, StartOffset::At(offset))
    }

    fn fetch(&mut self, partition: &TopicPartition, max_records: usize) -> Result<Fetched> {
        let Some(assigned) = self.partitions.get_mut(partition) else {
            return Ok(Fetched::Nothing);
        };
        if assigned.later.is_empty() {
            let taken = assigned.queue.take(max_records, &mut self.spare);
            taken.map_err(|error| cluster_error(Call::Fetch, error, "reading a partition", Some(partition.clone())))?;
            if self.spare.iter().all(|message| message.code() == 0) {
                if self.spare.is_empty() {
                    return Ok(Fetched::Nothing);
                }
                let records = std::mem::take(&mut self.spare);
                return Ok(Fetched::Records(Box::new(assigned.queue.batch(records))));
            }
            assigned.later = pieces(self.spare.drain(..));
        }
        match assigned.later.pop_front() {
            None => Ok(Fetched::Nothing),
            Some(Piece::Records(records)) => Ok(Fetched::Records(Box::new(assigned.queue.batch(records)))),
            Some(Piece::End(position)) => Ok(Fetched::End { position }),
            Some(Piece::Failed(error)) => {
                let error = cluster_error(Call::Fetch, error, "reading a partition", Some(partition.clone()));
                if error.class == ErrorClass::Retry {
                    // librdkafka tries again by itself; the caller would do nothing else.
                    tracing::warn!(%error, topic = %partition.topic, partition = partition.partition);
                    return Ok(Fetched::Nothing);
                }
                Err(error)
            }
        }
    }

    fn serve(&mut self) -> Result<()> {
        match self.handle.serve() {
            None => Ok(()),
            Some(error) => Err(cluster_error(Call::Client, error, "consumer", None)),
        }
    }
}

/// Cuts a batch at its events, keeping the order.
fn pieces(messages: impl Iterator<Item = Message>) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    for message in messages {
        match message.code() {
            0 => match pieces.back_mut() {
                Some(Piece::Records(records)) => records.push(message),
                _ => pieces.push_back(Piece::Records(vec![message])),
            },
            PARTITION_EOF => pieces.push_back(Piece::End(message.offset())),
            _ => pieces.push_back(Piece::Failed(message.error())),
        }
    }
    pieces
}
