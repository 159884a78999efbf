//! What is in one partition? Batches and control records in offset order, and how far each isolation level may see.
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    super::{Isolation, RecordBatch, Result},
    batch::{Batch, FetchedBatch},
    errors::Code,
    sequence::{ProducerState, Stamp, Verdict},
};

/// What an entry of the log is, and whether a read_committed reader gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Plain or committed records.
    Stable,
    /// Of an open transaction; the last stable offset keeps read_committed readers below it.
    Open,
    /// Of an aborted transaction. Kafka lists these beside a fetch; here each entry carries the verdict.
    Aborted,
    /// A commit or abort marker: takes an offset, is never delivered.
    Marker,
}

pub(super) struct Entry {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) kind: Kind,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) batch: Arc<Batch>,
    /// When compaction first saw it: tombstones and markers go `delete.retention.ms` later.
    pub(super) cleaned_at_ms: Option<i64>,
}

/// One partition's log.
#[derive(Default)]
pub(super) struct PartitionLog {
    pub(super) entries: VecDeque<Entry>,
    start_offset: i64,
    end_offset: i64,
    /// First offset of each open transaction, by producer id.
    open: BTreeMap<i64, i64>,
    producers: BTreeMap<i64, ProducerState>,
    size_bytes: usize,
}

/// Answer to a fetch: records (maybe none) and the position after them.
pub(super) struct Read {
    pub(super) records: FetchedBatch,
    pub(super) position: i64,
    /// `position` is the end this reader may see.
    pub(super) at_end: bool,
}

impl PartitionLog {
    pub(super) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The end a reader may see: high watermark, or last stable offset.
    pub(super) fn end_offset(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end_offset,
            Isolation::ReadCommitted => self.open.values().min().copied().unwrap_or(self.end_offset),
        }
    }

    /// Offset of the first record that is not older. As in Kafka, records of open and aborted transactions count.
    pub(super) fn first_since(&self, since_ms: i64) -> Option<i64> {
        let records = self.entries.iter().filter(|entry| entry.kind != Kind::Marker);
        let offsets = records.flat_map(|entry| {
            let times = entry.batch.times();
            times.map(|(delta, time)| (entry.base_offset + delta, time))
        });
        let mut alive = offsets.filter(|(offset, _)| *offset >= self.start_offset);
        alive.find(|(_, time)| *time >= since_ms).map(|(offset, _)| offset)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Appends a batch and gives its first offset; a repeated batch is not appended again but answered alike.
    pub(super) fn append(&mut self, stamp: Option<Stamp>, transactional: bool, batch: Arc<Batch>) -> Result<i64> {
        let count = batch.len() as i64;
        let base_offset = self.end_offset;
        if let Some(stamp) = stamp {
            let producer = self.producers.entry(stamp.producer_id).or_default();
            match producer.check(stamp, count, transactional) {
                Verdict::Next => producer.appended(stamp, count, base_offset),
                Verdict::Duplicate(offset) => return Ok(offset),
                Verdict::OldEpoch => {
                    return Err(Code::InvalidProducerEpoch.error(format!(
                        "producer {} writes with epoch {}, a newer epoch exists",
                        stamp.producer_id, stamp.epoch
                    )));
                }
                Verdict::OutOfOrder => {
                    return Err(Code::OutOfOrderSequence.error(format!(
                        "producer {} sent sequence {} out of order",
                        stamp.producer_id, stamp.sequence
                    )));
                }
            }
        }
        let producer_id = stamp.map_or(-1, |s| s.producer_id);
        if transactional {
            self.open.entry(producer_id).or_insert(base_offset);
        }
        self.size_bytes += batch.size_bytes();
        self.push(Entry {
            base_offset,
            last_offset: base_offset + count - 1,
            kind: if transactional { Kind::Open } else { Kind::Stable },
            producer_id,
            epoch: stamp.map_or(-1, |s| s.epoch),
            batch,
            cleaned_at_ms: None,
        });
        Ok(base_offset)
    }

    /// Ends a producer's transaction here. The marker is written even when the producer wrote nothing to the
    /// partition: Kafka marks every partition that was added to the transaction.
    pub(super) fn write_marker(&mut self, producer_id: i64, epoch: i16, commit: bool) {
        if let Some(first) = self.open.remove(&producer_id) {
            let verdict = if commit { Kind::Stable } else { Kind::Aborted };
            let from = self.entries.partition_point(|e| e.last_offset < first);
            for entry in self.entries.range_mut(from..) {
                if entry.producer_id == producer_id && entry.kind == Kind::Open {
                    entry.kind = verdict;
                }
            }
        }
        self.producers.entry(producer_id).or_default().marker(epoch);
        let offset = self.end_offset;
        self.push(Entry {
            base_offset: offset,
            last_offset: offset,
            kind: Kind::Marker,
            producer_id,
            epoch,
            batch: Arc::default(),
            cleaned_at_ms: None,
        });
    }

    fn push(&mut self, entry: Entry) {
        self.end_offset = entry.last_offset + 1;
        self.entries.push_back(entry);
    }

    /// Up to `max_records` from `position` on that the isolation level may see.
    pub(super) fn read(&self, position: i64, max_records: usize, isolation: Isolation) -> Result<Read> {
        if position < self.start_offset || position > self.end_offset {
            return Err(Code::OffsetOutOfRange.error(format!(
                "offset {position} is outside of {}..{}",
                self.start_offset, self.end_offset
            )));
        }
        let end = self.end_offset(isolation);
        let mut records = FetchedBatch::default();
        let mut next = position;
        let mut room = max_records;
        let from = self.entries.partition_point(|e| e.last_offset < position);
        for entry in self.entries.range(from..) {
            if entry.base_offset >= end || room == 0 {
                break;
            }
            let hidden =
                entry.kind == Kind::Marker || (entry.kind == Kind::Aborted && isolation == Isolation::ReadCommitted);
            if hidden {
                next = entry.last_offset + 1;
                continue;
            }
            if let Some(after) = records.take(&entry.batch, entry.base_offset, next, room) {
                room = max_records - records.len();
                next = after;
            }
            // A batch taken to its end is left behind whole: compaction may have removed its last records.
            if room > 0 {
                next = entry.last_offset + 1;
            }
        }
        if room > 0 {
            // Nothing more is to be seen below the end, even where compaction left a gap before it.
            next = next.max(end);
        }
        Ok(Read {
            at_end: next >= end,
            records,
            position: next,
        })
    }

    /// Moves the start; what lies below is gone. Only whole batches are freed, the rest is hidden by the start offset.
    pub(super) fn delete_below(&mut self, offset: i64) -> Result<()> {
        let offset = if offset == -1 { self.end_offset } else { offset };
        if offset < 0 || offset > self.end_offset {
            return Err(Code::OffsetOutOfRange.error(format!(
                "cannot delete below {offset}: the log ends at {}",
                self.end_offset
            )));
        }
        self.start_offset = self.start_offset.max(offset);
        while let Some(front) = self.entries.front() {
            if front.last_offset >= self.start_offset {
                break;
            }
            self.size_bytes = self.size_bytes.saturating_sub(front.batch.size_bytes());
            self.entries.pop_front();
        }
        Ok(())
    }

    /// After entries were exchanged by compaction.
    pub(super) fn recount(&mut self) {
        self.size_bytes = self.entries.iter().map(|e| e.batch.size_bytes()).sum();
    }
}
