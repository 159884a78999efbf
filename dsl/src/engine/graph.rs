//! The operators of one task, and the steps its owner drives it with.
use std::{cell::RefCell, rc::Rc};

use millstream_state::{Headers, TaskState};

use super::{
    ProcessError, ProcessErrorKind, ProcessResult, RawRecord, SourcePort, TaskContext, TopicRef, factory::Hooks,
};

/// Index into the sources of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceIndex(pub u32);

/// A source topic: its entry and its full name.
pub(crate) struct Entry {
    pub(crate) port: Rc<dyn SourcePort>,
    pub(crate) topic: Rc<str>,
    pub(crate) global: bool,
}

/// The operators of one task. Not `Send`: it lives and dies on its stream thread.
pub struct TaskGraph {
    pub(crate) context: Rc<TaskContext>,
    pub(crate) source_topics: Vec<TopicRef>,
    pub(crate) sink_topics: Vec<TopicRef>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) hooks: Hooks,
    pub(crate) headers: RefCell<Headers>,
}

impl TaskGraph {
    /// Source topics; a `SourceIndex` points into this list.
    pub fn sources(&self) -> &[TopicRef] {
        &self.source_topics
    }
    /// Sink topics; a `SinkIndex` points into this list.
    pub fn sinks(&self) -> &[TopicRef] {
        &self.sink_topics
    }
    /// Whether the source feeds a global table.
    pub fn is_global(&self, source: SourceIndex) -> bool {
        self.entries.get(source.0 as usize).is_some_and(|e| e.global)
    }
    #[inline]
    fn entry(&self, source: SourceIndex) -> Result<&Entry, Box<ProcessError>> {
        self.entries.get(source.0 as usize).ok_or_else(|| no_source(source))
    }
    /// Timestamp of a raw record by the source's extractor. Negative: the record is to be skipped (`process` counts it as dropped).
    /// `partition_time`: highest timestamp seen on the partition, -1 if none.
    pub fn extract_timestamp(
        &self,
        source: SourceIndex,
        record: &RawRecord<'_>,
        partition_time: i64,
    ) -> Result<i64, Box<ProcessError>> {
        self.entry(source)?
            .port
            .extract_timestamp(&self.context, record, partition_time)
    }
    /// Whether the bytes of a record can be decoded. `process` finds that out, too; this is for who has to know before the
    /// record's turn has come.
    pub(crate) fn can_read(&self, source: SourceIndex, record: &RawRecord<'_>) -> Result<bool, Box<ProcessError>> {
        Ok(self.entry(source)?.port.can_read(&self.context, record))
    }
    /// One record through the graph, depth first. Handlers have been applied: an error means stop.
    /// `timestamp` is what `extract_timestamp` gave.
    pub fn process(&self, source: SourceIndex, record: RawRecord<'_>, timestamp: i64) -> ProcessResult {
        let entry = self.entry(source)?;
        let by_pattern: Option<Rc<str>> = record.topic.map(Rc::from);
        let topic = by_pattern.as_ref().unwrap_or(&entry.topic);
        self.context.enter_record(topic, &record, entry.global);
        // A record inside a record does not happen (the owner queues what loops back), so the headers can be reused.
        let headers = self.headers.borrow();
        record.headers.read_into(&headers);
        entry.port.process(&self.context, &record, timestamp, &headers)
    }
    /// The partition of the records that follow, where they are of several (global stores).
    pub fn set_partition(&self, partition: i32) {
        self.context.set_task_partition(partition);
    }
    /// Stream time of the task (-1 before the first record); `process` advances it.
    pub fn stream_time(&self) -> i64 {
        self.context.stream_time()
    }
    /// After a restart: stream time from the partition times in the committed metadata.
    pub fn set_stream_time(&self, timestamp: i64) {
        self.context.advance_stream_time(timestamp);
    }
    /// Runs due stream-time punctuations; true if any ran.
    pub fn punctuate_stream_time(&self) -> Result<bool, Box<ProcessError>> {
        self.context.punctuate_stream_time()
    }
    /// Sets the clock operators see and runs due wall-clock punctuations.
    pub fn advance_wall_clock(&self, now_ms: i64) -> Result<bool, Box<ProcessError>> {
        self.context.set_wall_clock(now_ms);
        self.context.punctuate_wall_clock()
    }
    /// When the next wall-clock punctuation is due.
    pub fn next_wall_clock_punctuation(&self) -> Option<i64> {
        self.context.next_wall_clock_punctuation()
    }
    /// Forwards and logs everything the record caches hold, in topology order. Part of every commit.
    pub fn flush_caches(&self) -> ProcessResult {
        self.hooks.flush.iter().try_for_each(|f| f(&self.context))
    }
    /// Whether somebody called `commit()`; resets it.
    pub fn take_commit_request(&self) -> bool {
        self.context.take_commit_request()
    }
    /// Names and values that must survive in the committed metadata (last emit time of emit-on-close operators).
    pub fn processor_metadata(&self) -> Vec<(String, i64)> {
        self.hooks
            .metadata
            .iter()
            .map(|m| (m.name.clone(), (m.get)()))
            .collect()
    }
    /// Gives operators back what `processor_metadata` said before the restart.
    pub fn restore_processor_metadata(&self, metadata: &[(String, i64)]) {
        for hook in &self.hooks.metadata {
            if let Some((_, value)) = metadata.iter().find(|(name, _)| *name == hook.name) {
                (hook.set)(*value);
            }
        }
    }
    /// Records dropped so far.
    pub fn dropped_records(&self) -> u64 {
        self.context.dropped()
    }
    /// The stores of the task.
    pub fn state(&self) -> &TaskState {
        self.context.state()
    }
    /// Calls `close` of user processors. The first error is reported, the others are called all the same.
    pub fn close(&self) -> ProcessResult {
        let mut result = Ok(());
        for f in &self.hooks.close {
            let closed = f(&self.context);
            if result.is_ok() {
                result = closed;
            }
        }
        result
    }
}

#[cold]
fn no_source(source: SourceIndex) -> Box<ProcessError> {
    let message = format!("there is no source {}", source.0);
    ProcessError::new(ProcessErrorKind::Other, &"task".into(), message)
}
