//! The global stores, the operators that fill them, and how far their topics have been read.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{super::updater::soft, Clients, passes};
use crate::{
    cluster::{ErrorClass, Fetched, Isolation, RecordBatch, StartOffset, TopicPartition},
    dsl::engine::{Collector, CollectorError, OutgoingRecord, SinkTopic, SourceIndex, TaskEnvironment, TaskGraph},
    error::{Error, ErrorKind, Result},
    runtime::{assembly::Blueprint, clock::Now, metrics::add},
    state::{GlobalReader, GlobalState, StateError, StoreIndex, StoreSpec},
    task::at_record,
};

const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// What errors name as their task; also the directory.
const TASK: &str = "global";

/// A partition of a global topic.
struct Input {
    source: SourceIndex,
    store: StoreIndex,
    partition: TopicPartition,
    /// Filled once the position is here.
    target: i64,
    /// Next to read; what is committed stands for all before it.
    position: i64,
    partition_time: i64,
}

pub(super) struct Filler {
    // Operators hold handles of the stores: they go first.
    graph: TaskGraph,
    state: GlobalState,
    inputs: Vec<Input>,
    task: Arc<str>,
    records: u64,
    dropped: u64,
}

/// A global topic, the store it fills, and what the broker says of its partitions.
struct Topic {
    name: Arc<str>,
    store: StoreIndex,
    bounds: Vec<Bounds>,
}

#[derive(Clone, Copy)]
struct Bounds {
    first: i64,
    /// High watermark.
    end: i64,
    /// Where our consumer can get now: a reader of committed records does not wait for the end of transactions that are open.
    target: i64,
}

impl Filler {
    /// Asks the brokers what there is, opens the stores and begins to read where they stand.
    pub(super) fn open(b: &Blueprint, clients: &mut Clients, now: Now) -> Result<Self> {
        let topics = topics(b, clients)?;
        let specs: Vec<StoreSpec> = b.topology.global_stores().iter().map(|s| s.spec.clone()).collect();
        let state = GlobalState::open(&b.engine, &specs).map_err(|e| unusable(e, "opened"))?;
        let graph = b
            .topology
            .build_global(TaskEnvironment {
                application_id: b.config.application_id.as_str().into(),
                task_id: TASK.into(),
                partition: -1,
                collector: Rc::new(NoOutput),
                state: state.state().clone(),
                handlers: b.config.handlers.clone(),
                wall_clock_ms: now.wall_ms,
            })
            .map_err(|e| {
                Error::new(ErrorKind::Topology, e.message.clone())
                    .operator(e.node.clone())
                    .task(TASK)
                    .caused_by(*e)
            })?;
        let mut inputs = Vec::new();
        for topic in &topics {
            let of_topic = |t: &crate::dsl::engine::TopicRef| t.full_name(&b.config.application_id) == *topic.name;
            let source = graph.sources().iter().position(of_topic).unwrap_or_default();
            let stored = positions(&state, topic).map_err(|e| unusable(e, "read"))?;
            let bounds = topic.bounds.iter().zip(stored).zip(0..);
            for ((bounds, stored), partition) in bounds {
                let partition = TopicPartition {
                    topic: topic.name.clone(),
                    partition,
                };
                clients
                    .consumer
                    .assign(&partition, stored.map_or(StartOffset::Earliest, StartOffset::At))?;
                inputs.push(Input {
                    source: SourceIndex(source as u32),
                    store: topic.store,
                    partition,
                    target: bounds.target,
                    position: stored.unwrap_or(bounds.first),
                    partition_time: -1,
                });
            }
        }
        Ok(Self {
            graph,
            state,
            inputs,
            task: TASK.into(),
            records: 0,
            dropped: 0,
        })
    }

    /// Records read so far.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn is_filled(&self) -> bool {
        self.inputs.iter().all(|i| i.position >= i.target)
    }

    pub(super) fn reader(&self) -> Result<GlobalReader> {
        self.state.reader().map_err(|e| unusable(e, "read"))
    }

    /// One batch of each partition, committed together. True if anything was read.
    pub(super) fn round(&mut self, clients: &mut Clients, now: Now, b: &Blueprint) -> Result<bool> {
        self.graph
            .advance_wall_clock(now.wall_ms)
            .map_err(|e| at_no_record(*e, &self.task))?;
        let mut moved = false;
        for index in 0..self.inputs.len() {
            moved |= self.read(index, clients, b.config.restore_batch_records)?;
        }
        if let Err(e) = clients.consumer.serve()
            && e.class == ErrorClass::Fatal
        {
            return Err(Error::from(e).task(self.task.clone()));
        }
        if moved {
            self.graph.flush_caches().map_err(|e| at_no_record(*e, &self.task))?;
            self.state.commit().map_err(|e| unusable(e, "written"))?;
        }
        let dropped = self.graph.dropped_records();
        add(
            &b.metrics.records_dropped,
            dropped - std::mem::replace(&mut self.dropped, dropped),
        );
        Ok(moved)
    }

    fn read(&mut self, index: usize, clients: &mut Clients, max_records: usize) -> Result<bool> {
        let Some(input) = self.inputs.get_mut(index) else {
            return Ok(false);
        };
        let before = input.position;
        match clients.consumer.fetch(&input.partition, max_records) {
            Ok(Fetched::Nothing) => return Ok(false),
            Ok(Fetched::Records(records)) => {
                self.records += records.len() as u64;
                process(&self.graph, input, records.as_ref(), &self.task)?;
            }
            // Behind the last record there may be control records.
            Ok(Fetched::End { position }) => input.position = input.position.max(position),
            Err(e) if passes(e.class) => return Ok(false),
            Err(e) if e.class == ErrorClass::Corrupted => {
                let message = format!(
                    "the next record of a global topic does not exist any more ({}); start the application again, its store \
                     is then filled anew",
                    e.message
                );
                let place = (input.partition.topic.clone(), input.partition.partition);
                return Err(Error::new(ErrorKind::Retry, message)
                    .task(self.task.clone())
                    .at(place.0, place.1)
                    .offset(before)
                    .caused_by(e));
            }
            Err(e) if e.is_unknown_topic() => {
                let place = (input.partition.topic.clone(), input.partition.partition);
                let missing = Error::new(ErrorKind::MissingSourceTopic, "a global topic is missing");
                return Err(missing.task(self.task.clone()).at(place.0, place.1).caused_by(e));
            }
            Err(e) => {
                let place = (input.partition.topic.clone(), input.partition.partition);
                return Err(Error::from(e).task(self.task.clone()).at(place.0, place.1));
            }
        }
        if input.position == before {
            return Ok(false);
        }
        let TopicPartition { topic, partition } = &input.partition;
        self.state
            .set_position(input.store, topic, *partition, input.position)
            .map_err(|e| unusable(e, "written"))?;
        Ok(true)
    }

    /// Nothing has arrived for this long.
    pub(super) fn stuck(&self, patience: Duration) -> Error {
        let waiting = self.inputs.iter().find(|i| i.position < i.target);
        let error = Error::new(
            ErrorKind::BrokerUnavailable,
            format!("nothing has been read of a global topic for {patience:?}, and its end is not reached"),
        );
        match waiting {
            Some(i) => error
                .task(self.task.clone())
                .at(i.partition.topic.clone(), i.partition.partition)
                .offset(i.position),
            None => error,
        }
    }

    /// `damaged`: nothing of it is to be used again.
    pub(super) fn close(self, damaged: bool) -> Result<()> {
        let Self { graph, state, .. } = self;
        if let Err(e) = graph.close() {
            tracing::warn!(error = %e, "a processor of a global store could not be closed");
        }
        drop(graph);
        state.close(damaged).map_err(|e| unusable(e, "closed"))
    }
}

/// The records through the operators. An error has passed the handlers.
fn process(graph: &TaskGraph, input: &mut Input, records: &dyn RecordBatch, task: &Arc<str>) -> Result<()> {
    graph.set_partition(input.partition.partition);
    for index in 0..records.len() {
        let record = records.get(index);
        let offset = record.offset;
        let processed = graph
            .extract_timestamp(input.source, &record, input.partition_time)
            .and_then(|timestamp| {
                graph.process(input.source, record, timestamp)?;
                Ok(timestamp)
            });
        match processed {
            Ok(timestamp) => {
                input.partition_time = input.partition_time.max(timestamp);
                input.position = offset + 1;
            }
            Err(e) => return Err(at_record(*e, &input.partition, offset, task)),
        }
    }
    Ok(())
}

/// Every partition of every global topic, with its bounds.
fn topics(b: &Blueprint, clients: &mut Clients) -> Result<Vec<Topic>> {
    let stores = b.topology.global_stores().iter().zip(0..);
    let named = stores.filter_map(|(store, index)| Some((store.source_changelog.clone()?, StoreIndex(index))));
    let named: Vec<(Arc<str>, StoreIndex)> = named.collect();
    let names: Vec<String> = named.iter().map(|(name, _)| name.to_string()).collect();
    let counts = clients.admin.partition_counts(&names, REQUEST_LIMIT).map_err(soft)?;
    let isolation = match b.config.exactly_once() {
        true => Isolation::ReadCommitted,
        false => Isolation::ReadUncommitted,
    };
    let mut topics = Vec::new();
    for (name, store) in named {
        let Some((_, count)) = counts.iter().find(|(n, _)| **n == *name) else {
            let message = format!("the global topic {name} does not exist");
            return Err(Error::new(ErrorKind::MissingSourceTopic, message));
        };
        let partitions: Vec<TopicPartition> = (0..*count)
            .map(|partition| TopicPartition {
                topic: name.clone(),
                partition,
            })
            .collect();
        let mut ends = |isolation| {
            clients
                .admin
                .offsets(&partitions, isolation, REQUEST_LIMIT)
                .map_err(soft)
        };
        let (all, ours) = (ends(Isolation::ReadUncommitted)?, ends(isolation)?);
        let bounds = all.into_iter().zip(ours);
        let bounds = bounds.map(|((first, end), (_, target))| Bounds { first, end, target });
        topics.push(Topic {
            name,
            store,
            bounds: bounds.collect(),
        });
    }
    Ok(topics)
}

/// Where the rows of a store stand, partition by partition. A store that does not fit its topic is emptied: what is missing has
/// been deleted, or another topic has taken the name.
fn positions(state: &GlobalState, topic: &Topic) -> std::result::Result<Vec<Option<i64>>, StateError> {
    let bounds = topic.bounds.iter().zip(0..);
    let stored = bounds.map(|(&bounds, partition)| Ok((bounds, state.position(topic.store, &topic.name, partition)?)));
    let stored: Vec<(Bounds, Option<i64>)> = stored.collect::<std::result::Result<_, StateError>>()?;
    let misfit = |(bounds, at): &(Bounds, Option<i64>)| at.is_some_and(|at| at < bounds.first || at > bounds.end);
    let misfits = stored.iter().any(misfit);
    if misfits {
        tracing::warn!(
            topic = &*topic.name,
            "the rows of a global store do not fit its topic; it is filled from the beginning"
        );
    }
    // Rows without any position are what a crash left of emptying; usually there are none.
    if misfits || stored.iter().all(|(_, at)| at.is_none()) {
        state.reset(topic.store, &topic.name)?;
        return Ok(stored.iter().map(|_| None).collect());
    }
    Ok(stored.into_iter().map(|(_, at)| at).collect())
}

fn unusable(error: StateError, what: &str) -> Error {
    Error::new(ErrorKind::State, format!("the global stores cannot be {what}: {error}"))
        .task(TASK)
        .caused_by(error)
}

fn at_no_record(error: crate::dsl::engine::ProcessError, task: &Arc<str>) -> Error {
    Error::new(ErrorKind::Processing, error.message.clone())
        .operator(error.node.clone())
        .task(task.clone())
        .caused_by(error)
}

/// What fills a global store writes nothing else.
struct NoOutput;

impl Collector for NoOutput {
    fn send(&self, _: OutgoingRecord<'_>) -> std::result::Result<(), CollectorError> {
        Err(no_output())
    }

    fn partition_count(&self, _: SinkTopic<'_>) -> std::result::Result<i32, CollectorError> {
        Err(no_output())
    }
}

fn no_output() -> CollectorError {
    CollectorError("the processor of a global store has no output".into())
}
