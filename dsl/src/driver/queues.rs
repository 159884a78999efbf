//! The queues of the source topics. Those that are not empty stand in a heap, by the time of their heads.
use std::collections::VecDeque;
use std::rc::Rc;

use millstream_state::Headers;

use super::feeds::Feed;
use crate::engine::{SourceIndex, TaskGraph};
use crate::topology::java_hash::java_partition_order;

/// A record that waits in a queue, with its bytes.
#[derive(Debug, Default)]
pub(super) struct QueuedRecord {
    /// Of a source that reads topics by a pattern.
    pub(super) topic: Option<Rc<str>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    /// As piped or produced; the extractor decides about the time that counts when the record becomes the head.
    pub(super) timestamp: i64,
    pub(super) offset: i64,
    pub(super) headers: Headers,
}

impl QueuedRecord {
    /// In the memory of a record that is done with.
    pub(super) fn set(&mut self, feed: &Feed, record: (Option<&[u8]>, Option<&[u8]>, i64), headers: Headers) {
        let (key, value, timestamp) = record;
        self.topic.clone_from(&feed.topic);
        copy(key, &mut self.key);
        copy(value, &mut self.value);
        (self.timestamp, self.offset, self.headers) = (timestamp, 0, headers);
    }
}

fn copy(from: Option<&[u8]>, to: &mut Option<Vec<u8>>) {
    match (from, to) {
        (Some(from), Some(to)) => {
            to.clear();
            to.extend_from_slice(from);
        }
        (from, to) => *to = from.map(Into::into),
    }
}

/// One source topic.
#[derive(Debug)]
pub(super) struct SourceQueue {
    pub(super) next_offset: i64,
    /// Highest time of a record taken off, -1 before the first.
    pub(super) partition_time: i64,
    /// When waiting for records of this empty topic ends.
    pub(super) idle_deadline_ms: Option<i64>,
    /// The head with the time its extractor gave.
    pub(super) head: Option<(QueuedRecord, i64)>,
    pub(super) waiting: VecDeque<QueuedRecord>,
}

impl Default for SourceQueue {
    fn default() -> Self {
        Self {
            next_offset: 0,
            partition_time: -1,
            idle_deadline_ms: None,
            head: None,
            waiting: VecDeque::new(),
        }
    }
}

impl SourceQueue {
    pub(super) fn take_offset(&mut self) -> i64 {
        let offset = self.next_offset;
        self.next_offset += 1;
        offset
    }
}

/// In which order empty topics are waited for: Kafka Streams keeps the queues of a task in a hash map.
pub(super) fn order_of_waiting(graph: &TaskGraph, application_id: &str) -> Vec<SourceIndex> {
    let (sources, topics): (Vec<_>, Vec<_>) = (0..)
        .map(SourceIndex)
        .zip(graph.sources())
        .filter(|(source, _)| !graph.is_global(*source))
        .map(|(source, topic)| (source, topic.full_name(application_id)))
        .unzip();
    let order = java_partition_order(&topics);
    order.into_iter().map(|i| sources[i]).collect()
}
