//! Which record is next? The queues of the source topics, and the heap that orders them by the time of their heads.
//!
//! Kafka Streams keeps non-empty queues in a `java.util.PriorityQueue`; which of two queues with equal head times
//! comes first depends on how that heap sifts, and outputs depend on it. So this heap sifts the same way.
use std::collections::VecDeque;

use millstream_state::Headers;

use crate::engine::SourceIndex;

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

/// A binary heap of sources by head time that orders equal times as Java's `PriorityQueue` does.
#[derive(Debug, Default)]
pub(super) struct HeadHeap {
    entries: Vec<(i64, SourceIndex)>,
}

impl HeadHeap {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Rises while strictly smaller than the parent.
    pub(super) fn push(&mut self, head_time: i64, source: SourceIndex) {
        self.entries.push((head_time, source));
        let mut at = self.entries.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.entries[at].0 >= self.entries[parent].0 {
                break;
            }
            self.entries.swap(at, parent);
            at = parent;
        }
    }

    /// The last entry goes to the root and sinks below the smaller child (the left one of equal ones).
    pub(super) fn pop(&mut self) -> Option<SourceIndex> {
        if self.entries.is_empty() {
            return None;
        }
        let top = self.entries.swap_remove(0);
        let len = self.entries.len();
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= len {
                break;
            }
            let child = if right < len && self.entries[right].0 < self.entries[left].0 {
                right
            } else {
                left
            };
            if self.entries[child].0 >= self.entries[at].0 {
                break;
            }
            self.entries.swap(at, child);
            at = child;
        }
        Some(top.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(times: &[i64]) -> Vec<u32> {
        let mut heap = HeadHeap::default();
        for (i, time) in times.iter().enumerate() {
            heap.push(*time, SourceIndex(i as u32));
        }
        std::iter::from_fn(|| heap.pop()).map(|s| s.0).collect()
    }

    #[test]
    fn smallest_head_time_comes_first() {
        assert_eq!(drain(&[5, 1, 4, 2, 3]), [1, 3, 4, 2, 0]);
    }

    #[test]
    fn equal_times_come_in_the_order_of_a_java_priority_queue() {
        // After the root leaves, the last entry is moved up and stays, because nothing is strictly smaller.
        assert_eq!(drain(&[7, 7, 7]), [0, 2, 1]);
        assert_eq!(drain(&[7, 7, 7, 7]), [0, 3, 2, 1]);
    }
}
