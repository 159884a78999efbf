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
    /// What has arrived and was not asked for yet.
    later: VecDeque<Piece>,
    /// The end behind all that has arrived, until it is told. librdkafka tells of each end once.
    end: Option<i64>,
}

enum Piece {
    Records(Vec<Message>),
    Failed(RawError),
}

impl Assigned {
    /// What has arrived, cut at its errors. `spare` is empty before and after. An end with records behind it is none any
    /// more: while nobody asks, every fetch that catches up brings one.
    fn refill(&mut self, max: usize, spare: &mut Vec<Message>) -> std::result::Result<(), RawError> {
        self.queue.take(max, spare)?;
        if !spare.is_empty() && spare.iter().all(|message| message.code() == 0) {
            self.end = None;
            self.later.push_back(Piece::Records(std::mem::take(spare)));
        }
        for message in spare.drain(..) {
            match message.code() {
                0 => {
                    self.end = None;
                    match self.later.back_mut() {
                        Some(Piece::Records(records)) => records.push(message),
                        _ => self.later.push_back(Piece::Records(vec![message])),
                    }
                }
                PARTITION_EOF => self.end = Some(message.offset()),
                _ => self.later.push_back(Piece::Failed(message.error())),
            }
        }
        Ok(())
    }
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
            end: None,
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
        let failed = |error| cluster_error(Call::Fetch, error, "reading a partition", Some(partition.clone()));
        loop {
            if assigned.later.is_empty() {
                assigned.refill(max_records, &mut self.spare).map_err(failed)?;
            }
            match assigned.later.pop_front() {
                None => {
                    let end = assigned.end.take();
                    return Ok(end.map_or(Fetched::Nothing, |position| Fetched::End { position }));
                }
                Some(Piece::Records(records)) => {
                    return Ok(Fetched::Records(Box::new(assigned.queue.batch(records))));
                }
                Some(Piece::Failed(error)) => {
                    let error = failed(error);
                    if error.class != ErrorClass::Retry {
                        return Err(error);
                    }
                    // librdkafka tries again by itself; the caller would do nothing else.
                    tracing::warn!(%error, topic = %partition.topic, partition = partition.partition);
                }
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
