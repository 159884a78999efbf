//! The loop of the driver: queue, choose, process, punctuate, commit, loop back; one task with all sub-topologies.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use millstream_state::{Headers, STATE_MEMORY_BYTES, StateEngine, StoreSpec, TaskOptions, TaskState, row_cache_bytes};

use super::{
    capture::Capture,
    error::{DriverError, Result},
    feeds::{Feed, Feeds},
    queues::{QueuedRecord, SourceQueue, order_of_waiting},
};
use crate::engine::{
    Handlers, HeaderSource, RawHeaders, RawRecord, SourceIndex, StoreDefinition, TaskEnvironment, TaskGraph, Topology,
    heap::TimeHeap,
};

/// Records after which the overlay is handed to the stores below it. Reads see the overlay, so this shows nowhere;
/// doing it for each record would only cost time.
const RECORDS_PER_STATE_COMMIT: u32 = 1 << 16;

/// The time of a head that has already been skipped, and only holds its place.
const SKIPPED: i64 = -1;

/// The one task of the driver.
const TASK_ID: &str = "0_0";

/// What the builder has gathered.
pub(super) struct Settings {
    pub(super) application_id: String,
    pub(super) cache_bytes: usize,
    pub(super) wall_clock_ms: i64,
    pub(super) max_task_idle_ms: i64,
    pub(super) emit_interval_ms: i64,
    pub(super) handlers: Arc<Handlers>,
    pub(super) state: StateEngine,
}

struct Inputs {
    sources: Vec<SourceQueue>,
    /// The sources with queues, in the order in which they are waited for.
    waited_for: Vec<SourceIndex>,
    heap: TimeHeap<SourceIndex>,
}

/// Everything behind the handles of a driver.
pub(super) struct Core {
    pub(super) graph: TaskGraph,
    pub(super) capture: Rc<Capture>,
    inputs: RefCell<Inputs>,
    feeds: Rc<Feeds>,
    stores: Vec<StoreSpec>,
    /// Some sink chooses its topic, or failed records go to one: any topic may get records.
    open_outputs: bool,
    wall_clock_ms: Cell<i64>,
    max_task_idle_ms: i64,
    records_since_commit: Cell<u32>,
    busy: Cell<bool>,
}

/// A record as it is piped, borrowed from the caller.
#[derive(Clone, Copy)]
pub(super) struct Piped<'a> {
    /// Of a source that reads topics by a pattern.
    pub(super) topic: Option<&'a str>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) timestamp: i64,
    pub(super) headers: &'a Headers,
}

impl<'a> Piped<'a> {
    fn of(record: &'a QueuedRecord) -> Self {
        Self {
            topic: record.topic.as_deref(),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            headers: &record.headers,
        }
    }
}

struct LentHeaders<'a>(&'a Headers);

impl HeaderSource for LentHeaders<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read_into(&self, headers: &Headers) {
        self.0.for_each(|name, value| headers.add(name, value));
    }
}

/// Marks the driver as busy, also when a step fails.
struct Busy<'a>(&'a Cell<bool>);

impl<'a> Busy<'a> {
    fn enter(flag: &'a Cell<bool>) -> Result<Self> {
        if flag.replace(true) {
            Err(DriverError::Busy)
        } else {
            Ok(Self(flag))
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Core {
    pub(super) fn start(topology: &Topology, settings: Settings) -> Result<Self> {
        let id = settings.application_id.as_str();
        let parts = topology.subtopologies();
        let stores: Vec<&StoreDefinition> = parts
            .iter()
            .flat_map(|s| &s.stores)
            .chain(topology.global_stores())
            .collect();
        let specs: Vec<StoreSpec> = stores.iter().map(|s| s.spec.clone()).collect();
        let changelogs: Vec<Option<String>> = stores
            .iter()
            .map(|s| s.changelog.as_ref().map(|topic| topic.full_name(id)))
            .collect();
        let sinks: Vec<String> = parts
            .iter()
            .flat_map(|s| &s.sinks)
            .map(|topic| topic.full_name(id))
            .collect();

        let dead_letters = settings.handlers.dead_letter_topic.is_some();
        let capture = Rc::new(Capture::new(&sinks, &changelogs));
        let database = settings.state.open_task(TASK_ID, &specs)?;
        // As an instance with one task and the default `state_memory_bytes`.
        let options = TaskOptions {
            cache_bytes: settings.cache_bytes,
            row_cache_bytes: row_cache_bytes(STATE_MEMORY_BYTES),
            globals: None,
        };
        let state = TaskState::with(database, capture.clone(), options);
        let graph = topology.build_all(TaskEnvironment {
            application_id: id.into(),
            task_id: TASK_ID.into(),
            partition: 0,
            collector: capture.clone(),
            state,
            handlers: settings.handlers,
            wall_clock_ms: settings.wall_clock_ms,
        })?;
        graph.set_emit_interval_ms(settings.emit_interval_ms);
        let feeds = Rc::new(Feeds::new(graph.sources(), id)?);
        capture.connect(feeds.clone());
        capture.complete();
        Ok(Self {
            capture,
            inputs: RefCell::new(Inputs {
                sources: std::iter::repeat_with(SourceQueue::default)
                    .take(graph.sources().len())
                    .collect(),
                waited_for: order_of_waiting(&graph, id),
                heap: TimeHeap::default(),
            }),
            graph,
            open_outputs: topology.has_dynamic_sinks() || dead_letters,
            stores: stores.into_iter().map(|s| s.spec.clone()).collect(),
            feeds,
            wall_clock_ms: Cell::new(settings.wall_clock_ms),
            max_task_idle_ms: settings.max_task_idle_ms,
            records_since_commit: Cell::new(0),
            busy: Cell::new(false),
        })
    }

    pub(super) fn feed(&self, topic: &str) -> Result<Feed> {
        self.feeds.of(topic).ok_or_else(|| {
            let mut known = self.feeds.names();
            known.sort_unstable();
            DriverError::UnknownInputTopic {
                topic: topic.to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// The topic in the capture.
    pub(super) fn output(&self, topic: &str) -> Result<usize> {
        if self.open_outputs || self.capture.knows(topic) {
            return Ok(self.capture.topic_index(topic));
        }
        let mut known = self.capture.topic_names();
        known.sort_unstable();
        Err(DriverError::UnknownOutputTopic {
            topic: topic.to_owned(),
            known: known.join(", "),
        })
    }

    /// What the topology says about a store.
    pub(super) fn store(&self, name: &str) -> Result<&StoreSpec> {
        self.stores.iter().find(|s| &*s.name == name).ok_or_else(|| {
            let mut known: Vec<&str> = self.stores.iter().map(|s| &*s.name).collect();
            known.sort_unstable();
            DriverError::UnknownStore {
                store: name.to_owned(),
                known: known.join(", "),
            }
        })
    }

    pub(super) fn wall_clock_ms(&self) -> i64 {
        self.wall_clock_ms.get()
    }

    /// The stores, with everything written to them committed.
    pub(super) fn state(&self) -> Result<&TaskState> {
        if self.records_since_commit.replace(0) > 0 {
            self.graph.state().commit(&[])?;
        }
        Ok(self.graph.state())
    }

    /// One input record, and everything that follows from it.
    pub(super) fn pipe(&self, feed: &Feed, record: Piped<'_>) -> Result<()> {
        let _busy = Busy::enter(&self.busy)?;
        let result = self.pipe_inner(feed, record);
        if result.is_err() {
            self.capture.abandon();
        }
        result
    }

    /// With all queues empty and nothing to wait for, a record would be queued only to be taken off again.
    fn needs_no_queue(&self) -> bool {
        self.max_task_idle_ms <= 0 && self.inputs.borrow().heap.is_empty()
    }

    fn pipe_inner(&self, feed: &Feed, record: Piped<'_>) -> Result<()> {
        let source = feed.source;
        if self.graph.is_global(source) || self.needs_no_queue() {
            self.process_at_once(source, record)?;
        } else {
            let mut queued = QueuedRecord::default();
            let content = (record.key, record.value, record.timestamp);
            queued.set(feed, content, record.headers.clone());
            self.enqueue(source, queued)?;
        }
        self.complete_work()
    }

    fn process_at_once(&self, source: SourceIndex, record: Piped<'_>) -> Result<()> {
        let lent = LentHeaders(record.headers);
        let mut raw = RawRecord {
            topic: record.topic,
            key: record.key,
            value: record.value,
            timestamp: record.timestamp,
            offset: 0,
            headers: if record.headers.is_empty() {
                RawHeaders::None
            } else {
                RawHeaders::Lazy(&lent)
            },
        };
        let partition_time = {
            let mut inputs = self.inputs.borrow_mut();
            let queue = &mut inputs.sources[source.0 as usize];
            raw.offset = queue.take_offset();
            queue.partition_time
        };
        let timestamp = self.graph.extract_timestamp(source, &raw, partition_time)?;
        if timestamp > partition_time {
            self.inputs.borrow_mut().sources[source.0 as usize].partition_time = timestamp;
        }
        self.graph.process(source, raw, timestamp)?;
        self.after_step()
    }

    /// Moves the wall clock on.
    pub(super) fn advance_wall_clock(&self, by_ms: i64) -> Result<()> {
        let _busy = Busy::enter(&self.busy)?;
        let now = self.wall_clock_ms.get().saturating_add(by_ms);
        self.wall_clock_ms.set(now);
        let result = self.graph.advance_wall_clock(now).map_err(DriverError::from);
        let result = result.and_then(|_| self.commit()).and_then(|()| self.complete_work());
        if result.is_err() {
            self.capture.abandon();
        }
        result
    }

    fn enqueue(&self, source: SourceIndex, mut record: QueuedRecord) -> Result<()> {
        // Global tables have no queue: their updates are there before whatever comes next.
        if self.graph.is_global(source) {
            return self.process_at_once(source, Piped::of(&record));
        }
        {
            let mut inputs = self.inputs.borrow_mut();
            let queue = &mut inputs.sources[source.0 as usize];
            record.offset = queue.take_offset();
            queue.waiting.push_back(record);
            if queue.head.is_some() {
                return Ok(());
            }
        }
        self.update_head(source)
    }

    /// The first waiting record with a valid time becomes the head; others are skipped here, when they get to the
    /// front, not when their turn comes. If there are only such, the last one is the head, without a time: as in Kafka
    /// Streams the topic then has data, and nobody looks at what comes behind before it has had its turn.
    fn update_head(&self, source: SourceIndex) -> Result<()> {
        let mut skipped = None;
        loop {
            let (record, partition_time) = {
                let mut inputs = self.inputs.borrow_mut();
                let queue = &mut inputs.sources[source.0 as usize];
                match (queue.waiting.pop_front(), skipped.take()) {
                    (Some(record), _) => (record, queue.partition_time),
                    (None, None) => return Ok(()),
                    (None, Some(record)) => {
                        queue.head = Some((record, SKIPPED));
                        inputs.heap.push(SKIPPED, source);
                        return Ok(());
                    }
                }
            };
            let timestamp = with_raw(&record, |raw| {
                self.graph.extract_timestamp(source, &raw, partition_time)
            })?;
            // Only where topics are waited for it can be seen when a record that cannot be read is skipped.
            let can_read = self.max_task_idle_ms <= 0 || with_raw(&record, |raw| self.graph.can_read(source, &raw))?;
            if timestamp < 0 || !can_read {
                with_raw(&record, |raw| self.graph.process(source, raw, timestamp))?;
                skipped = Some(record);
                continue;
            }
            let mut inputs = self.inputs.borrow_mut();
            inputs.sources[source.0 as usize].head = Some((record, timestamp));
            inputs.heap.push(timestamp, source);
            return Ok(());
        }
    }

    /// Processes while a record may be processed.
    fn complete_work(&self) -> Result<()> {
        self.loop_back()?;
        while self.ready() {
            let Some((source, record, timestamp)) = self.take_next() else {
                break;
            };
            self.update_head(source)?;
            if timestamp != SKIPPED {
                with_raw(&record, |raw| self.graph.process(source, raw, timestamp))?;
            }
            self.after_step()?;
            self.loop_back()?;
        }
        Ok(())
    }

    fn take_next(&self) -> Option<(SourceIndex, QueuedRecord, i64)> {
        let mut inputs = self.inputs.borrow_mut();
        let (_, source) = inputs.heap.pop()?;
        let queue = &mut inputs.sources[source.0 as usize];
        let (record, timestamp) = queue.head.take()?;
        queue.partition_time = queue.partition_time.max(timestamp);
        Some((source, record, timestamp))
    }

    /// Whether the head with the smallest time may be processed, or a topic without data has to be waited for.
    fn ready(&self) -> bool {
        let inputs = &mut *self.inputs.borrow_mut();
        if inputs.heap.is_empty() {
            return false;
        }
        if self.max_task_idle_ms <= 0 {
            return true;
        }
        let now = self.wall_clock_ms.get();
        // One after the other: the time of a topic begins when that of those before it is over.
        for source in &inputs.waited_for {
            let queue = &mut inputs.sources[source.0 as usize];
            if queue.head.is_some() {
                queue.idle_deadline_ms = None;
                continue;
            }
            let until = now.saturating_add(self.max_task_idle_ms);
            if now < *queue.idle_deadline_ms.get_or_insert(until) {
                return false;
            }
        }
        true
    }

    /// After a record: punctuation in stream time, then a commit.
    fn after_step(&self) -> Result<()> {
        self.graph.punctuate_stream_time()?;
        self.commit()
    }

    fn commit(&self) -> Result<()> {
        self.graph.flush_caches()?;
        self.graph.take_commit_request();
        self.capture.complete();
        let records = self.records_since_commit.get() + 1;
        if records >= RECORDS_PER_STATE_COMMIT {
            self.graph.state().commit(&[])?;
            self.records_since_commit.set(0);
        } else {
            self.records_since_commit.set(records);
        }
        Ok(())
    }

    /// What was produced for topics that are read as well goes to their queues, in the order of production.
    fn loop_back(&self) -> Result<()> {
        while self.needs_no_queue()
            && let Some((feed, record)) = self.capture.only_looped()
        {
            self.process_at_once(feed, Piped::of(&record))?;
            self.capture.done(record);
        }
        while let Some((feed, record)) = self.capture.next_looped() {
            self.enqueue(feed, *record)?;
        }
        Ok(())
    }

    pub(super) fn close(&self) -> Result<()> {
        let _busy = Busy::enter(&self.busy)?;
        self.graph.close()?;
        self.capture.complete();
        Ok(())
    }
}

fn with_raw<T>(record: &QueuedRecord, f: impl FnOnce(RawRecord<'_>) -> T) -> T {
    let lent = LentHeaders(&record.headers);
    f(RawRecord {
        topic: record.topic.as_deref(),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        timestamp: record.timestamp,
        offset: record.offset,
        headers: if record.headers.is_empty() {
            RawHeaders::None
        } else {
            RawHeaders::Lazy(&lent)
        },
    })
}
