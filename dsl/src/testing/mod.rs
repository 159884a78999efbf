//! A tiny runner for examples of this crate: one task, everything in memory. Users have `TopologyTestDriver`.
mod lend;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    error::Error,
    rc::Rc,
    sync::Arc,
};

use millstream_state::{ChangeLogger, Headers, StateEngine, StoreIndex, TaskState};

use crate::{
    engine::{
        Collector, CollectorError, Handlers, OutgoingRecord, ProcessError, ProcessErrorKind, RawHeaders, RawRecord,
        SinkTopic, SourceIndex, TaskEnvironment, TaskGraph, TopicRef,
    },
    serde::{DefaultSerde, read, write},
    topology::Topology,
};

pub use lend::{with_context, with_store, with_transformer, with_values};

type Bytes = Option<Vec<u8>>;
/// A record that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Full name of the topic.
    pub topic: String,
    /// Key bytes.
    pub key: Bytes,
    /// Value bytes.
    pub value: Bytes,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Chosen by a custom partitioner.
    pub partition: Option<i32>,
    /// Header names and values.
    pub headers: Vec<(String, Bytes)>,
}

struct Capture {
    sinks: RefCell<Vec<String>>,
    written: RefCell<Vec<Written>>,
}
impl Collector for Capture {
    fn send(&self, record: OutgoingRecord<'_>) -> Result<(), CollectorError> {
        let topic = match record.topic {
            SinkTopic::Dynamic(name) => name.to_owned(),
            SinkTopic::Static(index) => self.sinks.borrow().get(index.0 as usize).cloned().unwrap_or_default(),
        };
        let mut headers = Vec::new();
        record
            .headers
            .for_each(|name, value| headers.push((name.to_owned(), value.map(<[u8]>::to_vec))));
        self.written.borrow_mut().push(Written {
            topic,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
            partition: record.partition,
            headers,
        });
        Ok(())
    }
    fn partition_count(&self, _: SinkTopic<'_>) -> Result<i32, CollectorError> {
        Ok(4)
    }
}

struct NoLog;
impl ChangeLogger for NoLog {
    fn log(
        &self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: Option<i64>,
        _: Option<&Headers>,
    ) -> millstream_state::Result<()> {
        Ok(())
    }
}

/// Runs a topology with one partition everywhere; repartition topics loop back at once.
pub struct Runner {
    graph: TaskGraph,
    capture: Rc<Capture>,
    sources: HashMap<String, SourceIndex>,
    loops: Vec<String>,
    offsets: RefCell<HashMap<String, i64>>,
    looped: Cell<usize>,
}

impl Runner {
    /// With the default handlers and no cache.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map_values(|n| n * 2).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 21i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 42)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(topology: &Topology) -> Result<Self, Box<dyn Error>> {
        Self::with(topology, Handlers::default(), 0)
    }
    /// With these handlers and a record cache.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// let handlers = Handlers { deserialization: std::sync::Arc::new(LogAndContinue), ..Handlers::default() };
    /// let runner = Runner::with(&builder.build()?, handlers, 0)?;
    /// assert!(runner.pipe("in", "a".to_owned(), "no number".to_owned()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with(topology: &Topology, handlers: Handlers, cache_bytes: usize) -> Result<Self, Box<dyn Error>> {
        let stores = topology
            .subtopologies()
            .iter()
            .flat_map(|s| &s.stores)
            .chain(topology.global_stores());
        let specs: Vec<_> = stores.map(|s| s.spec.clone()).collect();
        let database = StateEngine::in_memory().open_task("0_0", &specs)?;
        let capture = Rc::new(Capture {
            sinks: RefCell::default(),
            written: RefCell::default(),
        });
        let environment = TaskEnvironment {
            application_id: "app".into(),
            task_id: "0_0".into(),
            partition: 0,
            collector: capture.clone(),
            state: TaskState::new(database, Rc::new(NoLog), cache_bytes),
            handlers: Arc::new(handlers),
            wall_clock_ms: 0,
        };
        let graph = topology.build_all(environment)?;
        let full = |topic: &TopicRef| topic.full_name("app");
        *capture.sinks.borrow_mut() = graph.sinks().iter().map(full).collect();
        let sources = graph
            .sources()
            .iter()
            .enumerate()
            .map(|(i, t)| (full(t), SourceIndex(i as u32)))
            .collect();
        let loops = graph
            .sources()
            .iter()
            .filter(|t| matches!(t, TopicRef::Internal(_)))
            .map(full)
            .collect();
        Ok(Self {
            graph,
            capture,
            sources,
            loops,
            offsets: RefCell::default(),
            looped: Cell::new(0),
        })
    }
    /// The graph, for everything else.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 1_000)?;
    /// assert_eq!(runner.graph().stream_time(), 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn graph(&self) -> &TaskGraph {
        &self.graph
    }
    /// One record at time 0.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.written()[0].timestamp, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipe<K: DefaultSerde, V: DefaultSerde>(
        &self,
        topic: &str,
        key: K,
        value: V,
    ) -> Result<(), Box<ProcessError>> {
        self.pipe_at(topic, key, value, 0)
    }
    /// One record, at a time in milliseconds since the epoch.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 1_000)?;
    /// assert_eq!(runner.written()[0].timestamp, 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipe_at<K: DefaultSerde, V: DefaultSerde>(
        &self,
        topic: &str,
        key: K,
        value: V,
        timestamp: i64,
    ) -> Result<(), Box<ProcessError>> {
        let (mut k, mut v) = (Vec::new(), Vec::new());
        let bad = |e| ProcessError::caused(ProcessErrorKind::Serialization, &"input".into(), e);
        let key = write(&*K::default_serde(), &key, &mut k)
            .map_err(bad)?
            .then_some(k.as_slice());
        let value = write(&*V::default_serde(), &value, &mut v)
            .map_err(bad)?
            .then_some(v.as_slice());
        self.pipe_bytes(topic, key, value, timestamp)
    }
    /// One record as bytes.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe_bytes("in", Some(b"a"), Some(&7i64.to_be_bytes()), 0)?;
    /// assert!(runner.pipe_bytes("in", Some(b"a"), Some(b"no number"), 0).is_err());
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipe_bytes(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<(), Box<ProcessError>> {
        self.one(topic, key, value, timestamp)?;
        loop {
            let next = self.capture.written.borrow().get(self.looped.get()).cloned();
            let Some(record) = next else { return Ok(()) };
            self.looped.set(self.looped.get() + 1);
            if self.loops.contains(&record.topic) {
                self.one(
                    &record.topic,
                    record.key.as_deref(),
                    record.value.as_deref(),
                    record.timestamp,
                )?;
            }
        }
    }
    fn one(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<(), Box<ProcessError>> {
        let source = self.sources.get(topic).copied().ok_or_else(|| {
            ProcessError::new(
                ProcessErrorKind::Other,
                &"input".into(),
                format!("nobody reads {topic}"),
            )
        })?;
        let offset = {
            let mut offsets = self.offsets.borrow_mut();
            let next = offsets.entry(topic.to_owned()).or_default();
            *next += 1;
            *next - 1
        };
        let record = RawRecord {
            topic: None,
            key,
            value,
            timestamp,
            offset,
            headers: RawHeaders::None,
        };
        let timestamp = self.graph.extract_timestamp(source, &record, -1)?;
        self.graph.process(source, record, timestamp)?;
        self.graph.punctuate_stream_time()?;
        self.graph.flush_caches()
    }
    /// Everything written, internal topics too.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").repartition_with(Repartitioned::named("spread")).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// let topics: Vec<String> = runner.written().into_iter().map(|record| record.topic).collect();
    /// assert_eq!(topics, ["app-spread-repartition", "out"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn written(&self) -> Vec<Written> {
        self.capture.written.borrow().clone()
    }
    /// Keys and values written to a topic so far; records that cannot be read are left out.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// assert_eq!(runner.read::<String, i64>("elsewhere"), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read<K: DefaultSerde, V: DefaultSerde>(&self, topic: &str) -> Vec<(K, V)> {
        let written = self.capture.written.borrow();
        let decode = |w: &Written| {
            let key = read(&*K::default_serde(), w.key.as_deref()).ok()?;
            Some((key, read(&*V::default_serde(), w.value.as_deref()).ok()?))
        };
        written.iter().filter(|w| w.topic == topic).filter_map(decode).collect()
    }
}
