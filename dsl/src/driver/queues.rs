//! The queues of the source topics. Those that are not empty stand in a heap, by the time of their heads.
use std::collections::VecDeque;

use millstream_state::Headers;

/// A record that waits in a queue, with its bytes.
#[derive(Debug)]
pub(super) struct QueuedRecord {
    pub(super) key: Option<Box<[u8]>>,
    pub(super) value: Option<Box<[u8]>>,
    /// As piped or produced; the extractor decides about the time that counts when the record becomes the head.
    pub(super) timestamp: i64,
    pub(super) offset: i64,
    pub(super) headers: Headers,
}

/// One source topic.
#[derive(Debug)]
pub(super) struct SourceQueue {
    /// Feeds a global table: never queued, never waited for.
    pub(super) global: bool,
    pub(super) next_offset: i64,
    /// Highest time of a record taken off, -1 before the first.
    pub(super) partition_time: i64,
    /// When waiting for records of this empty topic ends.
    pub(super) idle_deadline_ms: Option<i64>,
    /// The head with the time its extractor gave.
    pub(super) head: Option<(QueuedRecord, i64)>,
    pub(super) waiting: VecDeque<QueuedRecord>,
}

impl SourceQueue {
    pub(super) fn new(global: bool) -> Self {
        Self {
            global,
            next_offset: 0,
            partition_time: -1,
            idle_deadline_ms: None,
            head: None,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn take_offset(&mut self) -> i64 {
        let offset = self.next_offset;
        self.next_offset += 1;
        offset
    }
}
