//! A topology without Kafka: pipe records in, move the clock, read what comes out, look into the stores.
//!
//! One task runs all sub-topologies, every topic has one partition, and everything happens inside the call that
//! causes it: after `pipe` returns, all consequences of the record (also those that went through repartition topics)
//! are there to be read. Each record is followed by a commit, so record caches hold nothing back for longer than
//! one record.
use std::{rc::Rc, time::Duration};

use millstream_state::{Header, Headers, StoreKind, StoreSpec, TaskState};

mod builder;
mod capture;
mod core;
mod error;
mod feeds;
mod input;
mod log;
mod output;
mod queues;
mod stores;
pub use builder::DriverBuilder;
pub use capture::ProducedRef;
pub use error::{DriverError, Result};
pub use input::{InputRecord, TestInput};
pub use output::{OutputRecord, TestOutput};
pub use stores::{KeyValueView, SessionView, Version, VersionedView, WindowView};

use self::stores::Codec;
use self::{
    capture::Keep,
    core::{Core, Piped},
};
use crate::{engine::Topology, serde::IntoSerde};

/// A record the topology produced, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducedRecord {
    /// Full name of the topic, with the application id in front for internal topics.
    pub topic: Rc<str>,
    /// Serialized key.
    pub key: Option<Vec<u8>>,
    /// Serialized value.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the epoch; `None`: the broker would assign the time (changelogs of suppress buffers).
    pub timestamp: Option<i64>,
    /// In the order in which they were added.
    pub headers: Vec<Header>,
}

impl From<ProducedRef<'_>> for ProducedRecord {
    fn from(record: ProducedRef<'_>) -> Self {
        Self {
            topic: record.topic.into(),
            key: record.key.map(Into::into),
            value: record.value.map(Into::into),
            timestamp: record.timestamp,
            headers: record.headers.map(Headers::to_vec).unwrap_or_default(),
        }
    }
}

/// Runs a [`Topology`] in this thread, without Kafka.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let counts = builder.stream::<String, String>("words").group_by(|_, word: &String| word.clone()).count_with("counts");
/// counts.to_stream().to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let words = driver.input("words", StringSerde, StringSerde)?;
/// for (word, time) in [("a", 10), ("b", 20), ("a", 30)] {
///     words.at_ms(time).pipe("line", word)?;
/// }
/// let out = driver.output("out", StringSerde, I64Serde)?;
/// assert_eq!(out.read_key_values()?, [("a".into(), 1), ("b".into(), 1), ("a".into(), 2)]);
/// assert_eq!(driver.key_value_store("counts", StringSerde, I64Serde)?.get(&"a".into())?, Some(2));
/// assert_eq!(driver.stream_time_ms(), 30);
/// assert_eq!(driver.dropped_records(), 0);
/// assert!(driver.store_spec("counts")?.kind.is_timestamped());
///
/// // Bytes, of every topic: what another language would see.
/// let changelog = driver.produced_to("app-counts-changelog");
/// assert_eq!(changelog[2].value.as_deref(), Some(&2i64.to_be_bytes()[..]));
/// assert_eq!(driver.produced().len(), 9, "repartitioned, logged and written");
/// let mut topics = Vec::new();
/// driver.for_each_produced(|record| topics.push(record.topic.to_owned()));
/// assert_eq!(topics[0], "app-counts-repartition");
/// driver.clear_produced();
/// driver.on_output("out", |record| assert_eq!(record.key, Some(&b"b"[..])));
/// driver.pipe_bytes("words", Some(b"line"), Some(b"b"), 40, &Headers::new())?;
/// assert!(driver.produced_to("out").is_empty(), "handed over, not kept");
/// driver.discard_outputs();
/// driver.advance_wall_clock(seconds(5))?;
/// assert_eq!(driver.wall_clock_ms(), 5_000);
/// driver.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "TestDriver")]
pub struct TopologyTestDriver {
    core: Rc<Core>,
}

impl TopologyTestDriver {
    /// A driver with default settings; see [`TopologyTestDriver::builder`] for others.
    ///
    /// # Errors
    /// When a store cannot be opened or a processor refuses to start.
    pub fn new(topology: &Topology) -> Result<Self> {
        Self::builder(topology).build()
    }

    /// A driver with settings of its own.
    pub fn builder(topology: &Topology) -> DriverBuilder<'_> {
        DriverBuilder::new(topology)
    }

    /// A typed handle that pipes records into a source topic.
    ///
    /// # Errors
    /// For a topic the topology does not read.
    #[doc(alias = "createInputTopic")]
    pub fn input<K, V>(
        &self,
        topic: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
    ) -> Result<TestInput<K, V>> {
        TestInput::new(self.core.clone(), topic, key.into_serde(), value.into_serde())
    }

    /// A typed handle that reads the records of a topic, each once.
    ///
    /// # Errors
    /// For a topic the topology cannot write to.
    #[doc(alias = "createOutputTopic")]
    pub fn output<K, V>(
        &self,
        topic: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
    ) -> Result<TestOutput<K, V>> {
        TestOutput::new(self.core.clone(), topic, key.into_serde(), value.into_serde())
    }

    /// A typed view of a key-value store.
    ///
    /// # Errors
    /// For an unknown store, and for one of another type; so with all views.
    pub fn key_value_store<K, V>(
        &self,
        name: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
    ) -> Result<KeyValueView<K, V>> {
        self.core.store(name)?;
        let store = self
            .state()?
            .key_value(name)
            .ok_or_else(|| wrong_type(name, "key-value"))?;
        Ok(KeyValueView {
            codec: codec(name, key, value),
            store,
        })
    }

    /// A typed view of a window store.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn window_store<K, V>(
        &self,
        name: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
    ) -> Result<WindowView<K, V>> {
        let StoreKind::Window { window_size_ms, .. } = self.core.store(name)?.kind else {
            return Err(wrong_type(name, "window"));
        };
        let store = self.state()?.window(name).ok_or_else(|| wrong_type(name, "window"))?;
        Ok(WindowView {
            codec: codec(name, key, value),
            store,
            window_size_ms,
        })
    }

    /// A typed view of a session store.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn session_store<K, V>(
        &self,
        name: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
    ) -> Result<SessionView<K, V>> {
        self.core.store(name)?;
        let store = self.state()?.session(name).ok_or_else(|| wrong_type(name, "session"))?;
        Ok(SessionView {
            codec: codec(name, key, value),
            store,
        })
    }

    /// A typed view of a versioned store.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn versioned_store<K, V>(
        &self,
        name: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
    ) -> Result<VersionedView<K, V>> {
        self.core.store(name)?;
        let store = self
            .state()?
            .versioned(name)
            .ok_or_else(|| wrong_type(name, "versioned"))?;
        Ok(VersionedView {
            codec: codec(name, key, value),
            store,
        })
    }

    /// What the topology says about a store.
    ///
    /// # Errors
    /// For an unknown store.
    pub fn store_spec(&self, name: &str) -> Result<&StoreSpec> {
        self.core.store(name)
    }

    /// Pipes serialized bytes into a topic of the topology (also an internal one).
    ///
    /// # Errors
    /// For a topic the topology does not read, and when the topology stops at the record. What the failed step had
    /// produced is then dropped, as in an aborted transaction.
    pub fn pipe_bytes(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
        headers: &Headers,
    ) -> Result<()> {
        let source = self.core.source(topic)?;
        self.core.pipe(
            source,
            Piped {
                key,
                value,
                timestamp: timestamp_ms,
                headers,
            },
        )
    }

    /// Moves the wall clock on: runs due wall-clock punctuations, commits, and processes what waited for the time.
    ///
    /// # Errors
    /// When a punctuation or a record fails.
    #[doc(alias = "advanceWallClockTime")]
    pub fn advance_wall_clock(&self, by: Duration) -> Result<()> {
        self.core
            .advance_wall_clock(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
    }

    /// What the wall clock of the driver shows, in milliseconds since the epoch.
    pub fn wall_clock_ms(&self) -> i64 {
        self.core.wall_clock_ms()
    }

    /// Every record kept so far in the order of production, whether or not an output handle has read it: of output,
    /// repartition and changelog topics.
    pub fn produced(&self) -> Vec<ProducedRecord> {
        let mut all = Vec::new();
        self.core.capture.for_each(|record| all.push(record.into()));
        all
    }

    /// Lends every kept record in the order of production to `f`; `f` must not use the driver.
    pub fn for_each_produced(&self, f: impl FnMut(ProducedRef<'_>)) {
        self.core.capture.for_each(f);
    }

    /// The kept records of one topic, in the order of production.
    pub fn produced_to(&self, topic: &str) -> Vec<ProducedRecord> {
        let mut all = Vec::new();
        self.core.capture.for_each(|record| {
            if record.topic == topic {
                all.push(record.into());
            }
        });
        all
    }

    /// Forgets all records produced so far, also for output handles.
    pub fn clear_produced(&self) {
        self.core.capture.clear();
    }

    /// From now on keeps no output, repartition or changelog record. For measurements and endless runs.
    pub fn discard_outputs(&self) {
        self.core.capture.keep_all(&Keep::Nothing);
    }

    /// From now on hands each record for `topic` to `f` as it is produced, and keeps none of them.
    pub fn on_output(&self, topic: &str, f: impl FnMut(ProducedRef<'_>) + 'static) {
        self.core
            .capture
            .keep(topic, Keep::Call(Rc::new(std::cell::RefCell::new(f))));
    }

    /// How many records operators have dropped: null keys, records after their window, and so on.
    #[doc(alias = "dropped-records-total")]
    pub fn dropped_records(&self) -> u64 {
        self.core.graph.dropped_records()
    }

    /// Stream time of the task in milliseconds, -1 before the first record.
    pub fn stream_time_ms(&self) -> i64 {
        self.core.graph.stream_time()
    }

    /// The stores as bytes; typed views: [`TopologyTestDriver::key_value_store`] and its siblings.
    ///
    /// # Errors
    /// When a store fails to take what was written to it.
    pub fn state(&self) -> Result<&TaskState> {
        self.core.state()
    }

    /// Closes the processors.
    ///
    /// # Errors
    /// When a processor fails to close.
    pub fn close(self) -> Result<()> {
        self.core.close()
    }
}

fn wrong_type(store: &str, wanted: &'static str) -> DriverError {
    DriverError::WrongStoreType {
        store: store.to_owned(),
        wanted,
    }
}

fn codec<K, V>(store: &str, key: impl IntoSerde<K>, value: impl IntoSerde<V>) -> Codec<K, V> {
    Codec {
        store: store.to_owned(),
        key: key.into_serde(),
        value: value.into_serde(),
    }
}
