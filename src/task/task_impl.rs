//! The task: inputs, the graph of operators, and what a commit of it consists of.

use std::{sync::Arc, time::Duration};

use super::{
    CommittedMetadata,
    heads::Heads,
    input::{Absence, Input},
    logged::{LoggedStore, is_mark},
    readiness::{Readiness, readiness},
};
use crate::{
    cluster::{OffsetToCommit, RecordBatch, StartOffset, TaskId, TopicPartition},
    dsl::engine::{OffsetReset, ProcessError, ProcessErrorKind, SourceIndex, TaskGraph},
    error::{Error, ErrorKind, Result},
    failpoint::fail_point,
    mutants::{Mutant, planted},
    state::{StoreIndex, TaskDatabase},
};

/// A partition to read, with what is committed for it.
#[derive(Clone, Debug)]
pub(crate) struct CommittedInput {
    pub(crate) partition: TopicPartition,
    pub(crate) source: SourceIndex,
    pub(crate) committed: Option<(i64, String)>,
    pub(crate) reset: OffsetReset,
    /// Where a reset by duration leads to; None: to the end.
    pub(crate) since: Option<i64>,
}

/// What a task is made of.
pub(crate) struct TaskParts {
    pub(crate) id: TaskId,
    pub(crate) graph: TaskGraph,
    pub(crate) inputs: Vec<CommittedInput>,
    /// Stores whose changelog is a source topic, with the topic.
    pub(crate) source_changelogs: Vec<(StoreIndex, Arc<str>)>,
    pub(crate) logged: Vec<LoggedStore>,
    pub(crate) max_task_idle: Option<Duration>,
}

/// Name of a task, `<subtopology>_<partition>`.
pub(crate) fn task_name(id: TaskId) -> String {
    format!("{}_{}", id.subtopology, id.partition)
}

/// A running task, on its stream thread.
pub(crate) struct Task {
    id: TaskId,
    name: Arc<str>,
    graph: TaskGraph,
    inputs: Vec<Input>,
    heads: Heads,
    source_changelogs: Vec<(StoreIndex, Arc<str>)>,
    logged: Vec<LoggedStore>,
    max_task_idle: Option<Duration>,
    /// Something happened since the last commit.
    dirty: bool,
    /// Distinguishes commits in which no offset moves.
    attempts: i64,
    dropped_seen: u64,
}

/// Name under which a commit without progress is numbered, among the processors' values of the metadata.
const ATTEMPT: &str = "millstream-commit";

impl Task {
    pub(crate) fn new(parts: TaskParts) -> Self {
        let inputs: Vec<Input> = parts
            .inputs
            .into_iter()
            .map(|i| Input::new(i.partition, i.source, i.committed, (i.reset, i.since)))
            .collect();
        let mut remembered: Vec<(String, i64)> = Vec::new();
        let mut stream_time = -1;
        for input in &inputs {
            stream_time = stream_time.max(input.partition_time);
            let metadata = input
                .committed
                .as_ref()
                .map(|(_, m)| CommittedMetadata::decode(m))
                .unwrap_or_default();
            for (name, value) in metadata.processors {
                match remembered.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, known)) => *known = (*known).max(value),
                    None => remembered.push((name, value)),
                }
            }
        }
        let attempts = remembered.iter().find(|(n, _)| n == ATTEMPT).map_or(0, |(_, v)| *v);
        remembered.retain(|(n, _)| n != ATTEMPT && !is_mark(n));
        parts.graph.set_stream_time(stream_time);
        parts.graph.restore_processor_metadata(&remembered);
        Self {
            id: parts.id,
            name: task_name(parts.id).into(),
            graph: parts.graph,
            inputs,
            heads: Heads::default(),
            source_changelogs: parts.source_changelogs,
            logged: parts.logged,
            max_task_idle: parts.max_task_idle,
            dirty: false,
            attempts,
            dropped_seen: 0,
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn graph(&self) -> &TaskGraph {
        &self.graph
    }

    /// Number of partitions it reads.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The partition, if it has room for more records.
    pub(crate) fn wanting(&self, input: usize, limit: usize) -> Option<&TopicPartition> {
        self.inputs
            .get(input)
            .filter(|i| i.buffered() < limit)
            .map(|i| &i.partition)
    }

    /// Records operators dropped since the last call.
    pub(crate) fn newly_dropped(&mut self) -> u64 {
        let dropped = self.graph.dropped_records();
        dropped - std::mem::replace(&mut self.dropped_seen, dropped)
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.inputs.iter().map(|i| &i.partition)
    }

    /// Where a partition is to be read from.
    pub(crate) fn start_offset(&self, input: usize) -> Result<StartOffset> {
        let Some(input) = self.inputs.get(input) else {
            return Ok(StartOffset::Earliest);
        };
        match (input.position, input.reset) {
            (Some(position), _) => Ok(StartOffset::At(position)),
            (None, OffsetReset::Earliest) => Ok(StartOffset::Earliest),
            (None, OffsetReset::Latest) => Ok(StartOffset::Latest),
            (None, OffsetReset::ByDuration(_)) => Ok(input.since.map_or(StartOffset::Latest, StartOffset::At)),
            (None, OffsetReset::None) => Err(Error::new(
                ErrorKind::Configuration,
                "there is no usable committed offset, and the source's reset policy is to stop then",
            )
            .task(self.name.clone())
            .at(input.partition.topic.clone(), input.partition.partition)),
        }
    }

    /// One of the partitions.
    pub(crate) fn partition(&self, input: usize) -> Option<&TopicPartition> {
        self.inputs.get(input).map(|i| &i.partition)
    }

    pub(crate) fn add_records(&mut self, input: usize, records: Box<dyn RecordBatch>) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.add(records);
        }
    }

    pub(crate) fn reached_end(&mut self, input: usize, position: i64) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.reached_end(position);
        }
    }

    /// The committed offset does not exist any more: the reset policy decides where to go on.
    pub(crate) fn forget_position(&mut self, input: usize) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.clear_buffer();
            if input.position.take().is_none() && matches!(input.reset, OffsetReset::ByDuration(_)) {
                // What the duration led to is gone itself: whatever is left is younger.
                input.reset = OffsetReset::Earliest;
            }
        }
    }

    /// Whether the brokers know no such partition.
    pub(crate) fn absence(&self, input: usize) -> Option<Absence> {
        self.inputs.get(input).and_then(|i| i.absence)
    }

    /// The brokers know no such partition. What was fetched of it will be read again. Returns since when it is missing.
    pub(crate) fn is_absent(&mut self, input: usize, now: Duration, ask_at: Duration) -> Duration {
        let Some(input) = self.inputs.get_mut(input) else {
            return now;
        };
        input.clear_buffer();
        let since = input.absence.map_or(now, |known| known.since);
        input.absence = Some(Absence {
            since,
            ask_at: Some(ask_at),
        });
        since
    }

    /// It is asked for again.
    pub(crate) fn asked_again(&mut self, input: usize) {
        if let Some(Absence { ask_at, .. }) = self.inputs.get_mut(input).and_then(|i| i.absence.as_mut()) {
            *ask_at = None;
        }
    }

    /// Processes up to `max` records. Returns how many, and when the task wants to be asked again although nothing arrives.
    pub(crate) fn process(&mut self, max: usize, now: Duration) -> Result<(usize, Option<Duration>)> {
        match self.inputs.len() {
            0 => Ok((0, None)),
            1 => self.process_single(max).map(|n| (n, None)),
            _ => self.process_by_time(max, now),
        }
    }

    /// The common case without any choice: straight through the batch.
    fn process_single(&mut self, max: usize) -> Result<usize> {
        let mut done = 0;
        while done < max {
            if !step(&mut self.inputs, 0, &self.graph, &self.name)? {
                break;
            }
            done += 1;
        }
        self.dirty |= done > 0;
        Ok(done)
    }

    fn process_by_time(&mut self, max: usize, now: Duration) -> Result<(usize, Option<Duration>)> {
        let mut done = 0;
        match readiness(&mut self.inputs, self.max_task_idle, now) {
            Readiness::NotReady => return Ok((0, None)),
            Readiness::At(at) => return Ok((0, Some(at))),
            Readiness::Ready => {}
        }
        self.heads.clear();
        for n in 0..self.inputs.len() {
            self.offer(n)?;
        }
        while done < max {
            let Some(n) = self.heads.pop() else { break };
            self.dirty = true;
            done += usize::from(step(&mut self.inputs, n, &self.graph, &self.name)?);
            self.offer(n)?;
            // An input ran dry: whether the others may go on without it is asked anew.
            if self.inputs.get(n).is_some_and(|i| i.buffered() == 0)
                && readiness(&mut self.inputs, self.max_task_idle, now) != Readiness::Ready
            {
                break;
            }
        }
        Ok((done, None))
    }

    /// Puts the head of an input among the candidates.
    fn offer(&mut self, n: usize) -> Result<()> {
        if let Some(input) = self.inputs.get_mut(n)
            && let Some(timestamp) = head_timestamp(input, &self.graph, &self.name)?
        {
            self.heads.push(timestamp, n);
        }
        Ok(())
    }

    /// Sets the clock and runs punctuations that are due.
    pub(crate) fn punctuate(&mut self, wall_ms: i64) -> Result<()> {
        let ran = self.graph.advance_wall_clock(wall_ms).map_err(|e| self.failure(*e))?;
        self.dirty |= ran;
        Ok(())
    }

    fn failure(&self, error: ProcessError) -> Error {
        process_error(error).task(self.name.clone())
    }

    /// A record cache over its budget is emptied before its time.
    pub(crate) fn relieve_caches(&mut self) -> Result<()> {
        if self.dirty && self.graph.state().cache_is_full() {
            self.graph.flush_caches().map_err(|e| self.failure(*e))?;
        }
        Ok(())
    }

    /// First part of a commit: everything the caches hold is forwarded and sent.
    pub(crate) fn flush_caches(&mut self) -> Result<()> {
        if self.dirty {
            self.graph.flush_caches().map_err(|e| self.failure(*e))?;
            fail_point!("commit.caches_flushed");
        }
        Ok(())
    }

    /// Whether a commit would change anything.
    pub(crate) fn needs_commit(&self) -> bool {
        self.dirty
            || self
                .inputs
                .iter()
                .any(|i| i.position.is_some() && i.position != i.committed.as_ref().map(|c| c.0))
    }

    /// Offsets that differ from what is committed. `numbered`: if something happened but no offset moved, one offset gets a
    /// number, so that the outcome of the commit can be recognised.
    pub(crate) fn offsets_to_commit(&mut self, numbered: bool) -> Vec<OffsetToCommit> {
        let mut processors = self.graph.processor_metadata();
        processors.extend(self.logged.iter().filter_map(LoggedStore::mark));
        processors.sort();
        let mut offsets = Vec::new();
        let mut moved = false;
        for input in &mut self.inputs {
            let Some(offset) = input.position else { continue };
            let metadata = CommittedMetadata {
                partition_time: input.partition_time,
                processors: processors.clone(),
            };
            let wanted = (offset, metadata.encode());
            if input.committed.as_ref() != Some(&wanted) {
                moved = true;
                input.attempted = Some(wanted);
            }
        }
        if numbered && self.dirty && !moved {
            self.attempts += 1;
            processors.push((ATTEMPT.into(), self.attempts));
            processors.sort();
            if let Some(input) = self.inputs.iter_mut().find(|i| i.position.is_some())
                && let Some(offset) = input.position
            {
                let metadata = CommittedMetadata {
                    partition_time: input.partition_time,
                    processors,
                };
                input.attempted = Some((offset, metadata.encode()));
            }
        }
        for input in &self.inputs {
            if let Some((offset, metadata)) = &input.attempted {
                let by = i64::from(planted(Mutant::OffsetTooHigh)) - i64::from(planted(Mutant::OffsetTooLow));
                offsets.push(OffsetToCommit {
                    partition: input.partition.clone(),
                    offset: *offset + by,
                    metadata: metadata.clone(),
                });
            }
        }
        offsets
    }

    /// Kafka has said yes: the overlay becomes part of the database, together with the changelog positions it stands for.
    pub(crate) fn committed(&mut self, mut positions: Vec<(StoreIndex, i64)>) -> Result<()> {
        self.advance_changelogs(&positions)?;
        for input in &mut self.inputs {
            if let Some(attempted) = input.attempted.take() {
                input.committed = Some(attempted);
            }
        }
        for (store, topic) in &self.source_changelogs {
            let position = self
                .inputs
                .iter()
                .find(|i| i.partition.topic == *topic)
                .and_then(|i| i.committed.as_ref());
            if let Some((offset, _)) = position {
                positions.push((*store, *offset));
            }
        }
        if planted(Mutant::MarkTooHigh) {
            positions.iter_mut().for_each(|(_, position)| *position += 3);
        }
        if self.dirty || !positions.is_empty() {
            self.write_state(&positions)?;
        }
        self.dirty = false;
        fail_point!("commit.applied");
        Ok(())
    }

    /// What was fetched counts as processed: a mistake that can be planted.
    pub(crate) fn drop_what_was_fetched(&mut self) {
        for input in &mut self.inputs {
            while let Some(offset) = input.head().map(|record| record.offset) {
                input.advance(offset, input.partition_time);
            }
        }
    }

    /// A mistake to be planted: rows without the offsets they stand for.
    pub(crate) fn write_state_early(&mut self) -> Result<()> {
        self.write_state(&[])
    }

    fn write_state(&self, positions: &[(StoreIndex, i64)]) -> Result<()> {
        self.graph.state().commit(positions).map_err(|e| {
            Error::new(ErrorKind::State, "the state cannot be written")
                .task(self.name.clone())
                .caused_by(e)
        })
    }

    /// None of them may have gone back.
    fn advance_changelogs(&mut self, positions: &[(StoreIndex, i64)]) -> Result<()> {
        for (store, position) in positions {
            if let Some(logged) = self.logged.iter_mut().find(|l| l.store == *store) {
                let advanced = logged.advance(*position, self.id.partition);
                advanced.map_err(|e| e.task(self.name.clone()))?;
            }
        }
        Ok(())
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.graph.state().uncommitted_bytes()
    }

    pub(crate) fn next_punctuation(&self) -> Option<i64> {
        self.graph.next_wall_clock_punctuation()
    }

    /// Takes the task apart: uncommitted writes are dropped, the database is what remains.
    /// `clean`: user processors get their `close` called, and an error of it counts.
    pub(crate) fn close(self, clean: bool) -> (Option<TaskDatabase>, Result<()>) {
        let closed = self.graph.close();
        let result = match closed {
            Err(e) if clean => Err(process_error(*e).task(self.name.clone())),
            _ => Ok(()),
        };
        let state = self.graph.state().clone();
        state.discard();
        // Store handles live in the operators, and the database comes back only when nobody holds one.
        drop(self.graph);
        (state.into_database(), result)
    }
}

/// Timestamp of the head record of an input; the extractor is asked once.
fn head_timestamp(input: &mut Input, graph: &TaskGraph, task: &Arc<str>) -> Result<Option<i64>> {
    if let Some(known) = input.head_timestamp {
        return Ok(Some(known));
    }
    let Some(record) = input.head() else {
        return Ok(None);
    };
    let timestamp = match graph.extract_timestamp(input.source, &record, input.partition_time) {
        Ok(timestamp) => timestamp,
        Err(e) => return Err(at_record(*e, &input.partition, record.offset, task)),
    };
    input.head_timestamp = Some(timestamp);
    Ok(Some(timestamp))
}

/// One record of one input through the graph; false when there is none.
#[inline]
fn step(inputs: &mut [Input], n: usize, graph: &TaskGraph, task: &Arc<str>) -> Result<bool> {
    let Some(input) = inputs.get_mut(n) else {
        return Ok(false);
    };
    let Some(record) = input.head() else {
        return Ok(false);
    };
    let offset = record.offset;
    let known = input.head_timestamp.map_or_else(
        || graph.extract_timestamp(input.source, &record, input.partition_time),
        Ok,
    );
    let processed = known.and_then(|timestamp| {
        graph.process(input.source, record, timestamp)?;
        Ok(timestamp)
    });
    match processed {
        Ok(timestamp) => input.advance(offset, timestamp),
        Err(e) => return Err(at_record(*e, &input.partition, offset, task)),
    }
    fail_point!("process.record");
    match graph.punctuate_stream_time() {
        Ok(_) => Ok(true),
        Err(e) => Err(process_error(*e).task(task.clone())),
    }
}

/// The error of a record, with its place.
#[cold]
pub(crate) fn at_record(error: ProcessError, partition: &TopicPartition, offset: i64, task: &Arc<str>) -> Error {
    process_error(error)
        .task(task.clone())
        .at(partition.topic.clone(), partition.partition)
        .offset(offset)
}

fn process_error(error: ProcessError) -> Error {
    let kind = match error.kind {
        ProcessErrorKind::Store => ErrorKind::State,
        ProcessErrorKind::Production => ErrorKind::Production,
        ProcessErrorKind::UnknownChild | ProcessErrorKind::StoreNotConnected => ErrorKind::Topology,
        _ => ErrorKind::Processing,
    };
    Error::new(kind, error.message.clone())
        .operator(error.node.clone())
        .caused_by(error)
}
