//! One partition a task reads: what has been fetched, what has been processed, and its time.

use std::{collections::VecDeque, time::Duration};

use super::CommittedMetadata;
use crate::{
    cluster::{RecordBatch, TopicPartition},
    dsl::engine::{OffsetReset, RawRecord, SourceIndex},
};

struct Batch {
    records: Box<dyn RecordBatch>,
    next: usize,
}

/// The brokers know no such partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    pub(crate) since: Duration,
    /// When to ask for it again; None: it has been asked for, and there is no answer yet.
    pub(crate) ask_at: Option<Duration>,
}

/// A partition of a source topic.
pub(super) struct Input {
    pub(super) partition: TopicPartition,
    pub(super) source: SourceIndex,
    pub(super) reset: OffsetReset,
    /// Where a reset by duration leads to.
    pub(super) since: Option<i64>,
    batches: VecDeque<Batch>,
    buffered: usize,
    /// Timestamp of the head record, once it has been looked at.
    pub(super) head_timestamp: Option<i64>,
    /// Highest timestamp processed, -1 if none.
    pub(super) partition_time: i64,
    /// Next offset to process; None: not known before the first record.
    pub(super) position: Option<i64>,
    pub(super) committed: Option<(i64, String)>,
    /// What a commit under way says, to become `committed`.
    pub(super) attempted: Option<(i64, String)>,
    /// The consumer has seen the end, and nothing has come since.
    end: Option<i64>,
    /// Until when an empty partition without lag is waited for.
    pub(super) idle_until: Option<Duration>,
    pub(super) absence: Option<Absence>,
}

impl Input {
    pub(super) fn new(
        partition: TopicPartition,
        source: SourceIndex,
        committed: Option<(i64, String)>,
        (reset, since): (OffsetReset, Option<i64>),
    ) -> Self {
        let metadata = committed
            .as_ref()
            .map(|(_, m)| CommittedMetadata::decode(m))
            .unwrap_or_default();
        Self {
            partition,
            source,
            reset,
            since,
            batches: VecDeque::new(),
            buffered: 0,
            head_timestamp: None,
            partition_time: metadata.partition_time,
            position: committed.as_ref().map(|(offset, _)| *offset),
            committed,
            attempted: None,
            end: None,
            idle_until: None,
            absence: None,
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Whether the broker is known to have no more than what is buffered here.
    pub(super) fn lag_is_zero(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn add(&mut self, records: Box<dyn RecordBatch>) {
        self.absence = None;
        let count = records.len();
        if count > 0 {
            self.end = None;
            self.buffered += count;
            self.batches.push_back(Batch { records, next: 0 });
        }
    }

    pub(super) fn reached_end(&mut self, position: i64) {
        self.absence = None;
        self.end = Some(position);
        self.settle_at_end();
    }

    /// Behind the last record there may be control records; at rest the position is the end.
    fn settle_at_end(&mut self) {
        if let (0, Some(end)) = (self.buffered, self.end) {
            self.position = Some(self.position.map_or(end, |p| p.max(end)));
        }
    }

    pub(super) fn head(&self) -> Option<RawRecord<'_>> {
        self.batches.front().map(|b| b.records.get(b.next))
    }

    /// The head has been processed.
    pub(super) fn advance(&mut self, offset: i64, timestamp: i64) {
        self.position = Some(offset + 1);
        self.partition_time = self.partition_time.max(timestamp);
        self.head_timestamp = None;
        self.buffered = self.buffered.saturating_sub(1);
        if let Some(batch) = self.batches.front_mut() {
            batch.next += 1;
            if batch.next >= batch.records.len() {
                self.batches.pop_front();
                self.settle_at_end();
            }
        }
    }

    /// Forgets what was fetched: the partition is read again from somewhere else.
    pub(super) fn clear_buffer(&mut self) {
        self.batches.clear();
        self.buffered = 0;
        self.head_timestamp = None;
        self.end = None;
    }
}
