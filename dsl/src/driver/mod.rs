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
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map_values(|n| n * 2).to("out");
    /// let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("in", StringSerde, I64Serde)?.pipe("a", 21)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [42]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a store cannot be opened or a processor refuses to start.
    pub fn new(topology: &Topology) -> Result<Self> {
        Self::builder(topology).build()
    }

    /// A driver with settings of its own: application id, record cache, wall clock, handlers.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).initial_wall_clock_ms(1_000).build()?;
    /// assert_eq!(driver.wall_clock_ms(), 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(topology: &Topology) -> DriverBuilder<'_> {
        DriverBuilder::new(topology)
    }

    /// A typed handle that pipes records into a source topic.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(driver.produced_to("out").len(), 1);
    /// assert!(driver.input("typo", StringSerde, I64Serde).is_err(), "nobody reads it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let output = driver.output("out", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(output.read_key_values()?, [("a".to_owned(), 1)]);
    /// assert!(driver.output("typo", StringSerde, I64Serde).is_err(), "nobody writes it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// A typed view of a key-value store, for reading and writing from outside of the topology.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").group_by_key().count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// let counts = driver.key_value_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into())?, Some(1));
    /// assert!(driver.window_store("counts", StringSerde, I64Serde).is_err(), "it is of another type");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(12_000).pipe("a", 7)?;
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 10_000)?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let visits = SessionWindows::of(minutes(30));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(visits).count_with("visits");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(1_000).pipe("ann", 7)?;
    /// let visits = driver.session_store("visits", StringSerde, I64Serde)?;
    /// assert_eq!(visits.fetch(&"ann".into())?, [(Window { start: 1_000, end: 1_000 }, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("prices").versioned(hours(1)));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(1_000).pipe("tea", 3)?;
    /// let prices = driver.versioned_store("prices", StringSerde, I64Serde)?;
    /// assert_eq!(prices.get_as_of(&"tea".into(), 2_000)?.map(|price| price.value), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// What the topology says about a store: its kind, where it lives, whether it is cached and logged.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").group_by_key().count_with(Materialized::named("counts").logging(false));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let counts = driver.store_spec("counts")?;
    /// assert!(!counts.logging && counts.kind.is_timestamped());
    /// assert!(driver.store_spec("typo").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// For an unknown store.
    pub fn store_spec(&self, name: &str) -> Result<&StoreSpec> {
        self.core.store(name)
    }

    /// Pipes serialized bytes into a topic of the topology (also an internal one): what another program, or a broken
    /// one, may have written. The time is in milliseconds since the epoch.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # use millstream_dsl::driver::DriverError;
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let no_number = driver.pipe_bytes("in", Some(b"a"), Some(b"?"), 1_000, &Headers::new());
    /// assert!(no_number.is_err_and(|e| e.to_string().contains("Deserialization")));
    /// driver.pipe_bytes("in", Some(b"a"), Some(&[0, 0, 0, 0, 0, 0, 0, 7]), 1_000, &Headers::new())?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let feed = self.core.feed(topic)?;
        self.core.pipe(
            &feed,
            Piped {
                topic: feed.topic.as_deref(),
                key,
                value,
                timestamp: timestamp_ms,
                headers,
            },
        )
    }

    /// Moves the wall clock on: runs due wall-clock punctuations, commits, and processes what waited for the time.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Beats;
    /// # impl FixedKeyProcessor<String, i64, i64> for Beats {
    /// #     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>) -> Result<(), BoxError> {
    /// #         ctx.schedule(seconds(1), PunctuationType::WallClock)?;
    /// #         Ok(())
    /// #     }
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &FixedKeyContext<'_, '_, String, i64>,
    /// #         _: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    /// #     fn punctuate(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         run: Punctuation,
    /// #     ) -> Result<(), BoxError> {
    /// #         BEATS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    /// #         assert_eq!(run.timestamp % 1_000, 0);
    /// #         assert_eq!(ctx.wall_clock_ms(), run.timestamp);
    /// #         Ok(())
    /// #     }
    /// # }
    /// # static BEATS: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
    /// # let beats = || BEATS.load(std::sync::atomic::Ordering::Relaxed);
    /// # builder.stream::<String, i64>("in").process_values(|| Beats);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.advance_wall_clock(millis(999))?; // `Beats` is punctuated every second
    /// assert_eq!(beats(), 0);
    /// driver.advance_wall_clock(millis(1))?;
    /// assert_eq!((beats(), driver.wall_clock_ms()), (1, 1_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a punctuation or a record fails.
    #[doc(alias = "advanceWallClockTime")]
    pub fn advance_wall_clock(&self, by: Duration) -> Result<()> {
        self.core
            .advance_wall_clock(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
    }

    /// What the wall clock of the driver shows, in milliseconds since the epoch: 0 at first, or [as
    /// set](DriverBuilder::initial_wall_clock_ms). It moves only when it is told to.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.advance_wall_clock(minutes(1))?;
    /// assert_eq!(driver.wall_clock_ms(), 60_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wall_clock_ms(&self) -> i64 {
        self.core.wall_clock_ms()
    }

    /// Every record kept so far in the order of production, whether or not an output handle has read it: of output,
    /// repartition and changelog topics.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").group_by_key().count_with("counts").to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// let topics: Vec<String> = driver.produced().iter().map(|record| record.topic.to_string()).collect();
    /// assert_eq!(topics, ["app-counts-changelog", "out"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn produced(&self) -> Vec<ProducedRecord> {
        let mut all = Vec::new();
        self.core.capture.for_each(|record| all.push(record.into()));
        all
    }

    /// Lends every kept record in the order of production to `f`, without copying; `f` must not use the driver.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// input.pipe("a", 2)?;
    /// let mut bytes = 0;
    /// driver.for_each_produced(|record| bytes += record.value.map_or(0, <[u8]>::len));
    /// assert_eq!(bytes, 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each_produced(&self, f: impl FnMut(ProducedRef<'_>)) {
        self.core.capture.for_each(f);
    }

    /// The kept records of one topic, in the order of production.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").group_by_key().count_with("counts").to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// let logged = driver.produced_to("app-counts-changelog");
    /// assert_eq!(logged[0].value.as_deref(), Some(&1i64.to_be_bytes()[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn produced_to(&self, topic: &str) -> Vec<ProducedRecord> {
        let mut all = Vec::new();
        self.core.capture.for_each(|record| {
            if record.topic == topic {
                all.push(record.into());
            }
        });
        all
    }

    /// Forgets all records produced so far, also for output handles: the preparations of a test, for example.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// driver.clear_produced();
    /// input.pipe("a", 2)?;
    /// assert_eq!(out.read_values()?, [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_produced(&self) {
        self.core.capture.clear();
    }

    /// From now on keeps no output, repartition or changelog record. For measurements and endless runs, whose memory
    /// would grow.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").group_by_key().count_with("counts").to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// driver.discard_outputs();
    /// for _ in 0..100 {
    ///     input.pipe("a", 7)?;
    /// }
    /// assert_eq!(driver.produced(), []);
    /// assert_eq!(driver.key_value_store("counts", StringSerde, I64Serde)?.get(&"a".into())?, Some(100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discard_outputs(&self) {
        self.core.capture.keep_all(&Keep::Nothing);
    }

    /// From now on hands each record for `topic` to `f` as it is produced, and keeps none of them. `f` must not use the
    /// driver.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # use std::{cell::Cell, rc::Rc};
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let seen = Rc::new(Cell::new(0));
    /// let count = seen.clone();
    /// driver.on_output("out", move |_| count.set(count.get() + 1));
    /// input.pipe("a", 1)?;
    /// assert_eq!(seen.get(), 1);
    /// assert_eq!(driver.produced_to("out"), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_output(&self, topic: &str, f: impl FnMut(ProducedRef<'_>) + 'static) {
        self.core
            .capture
            .keep(topic, Keep::Call(Rc::new(std::cell::RefCell::new(f))));
    }

    /// How many records operators have dropped: null keys, records after their window, and so on.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count();
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(60_000).pipe("a", 1)?;
    /// assert_eq!(driver.dropped_records(), 0);
    /// input.at_ms(1_000).pipe("a", 1)?; // its window is closed
    /// assert_eq!(driver.dropped_records(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "dropped-records-total")]
    pub fn dropped_records(&self) -> u64 {
        self.core.graph.dropped_records()
    }

    /// Stream time of the task, the highest time of a record so far, in milliseconds since the epoch; -1 before the
    /// first record.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// assert_eq!(driver.stream_time_ms(), -1);
    /// input.at_ms(2_000).pipe("a", 1)?;
    /// input.at_ms(1_000).pipe("a", 2)?;
    /// assert_eq!(driver.stream_time_ms(), 2_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream_time_ms(&self) -> i64 {
        self.core.graph.stream_time()
    }

    /// The stores as bytes; typed views: [`TopologyTestDriver::key_value_store`] and its siblings.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").group_by_key().count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// let counts = driver.state()?.key_value("counts").ok_or("no such store")?;
    /// let mut value = Vec::new();
    /// counts.get(b"a", &mut value)?;
    /// assert_eq!(value, 1i64.to_be_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a store fails to take what was written to it.
    pub fn state(&self) -> Result<&TaskState> {
        self.core.state()
    }

    /// Closes the processors.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Connection(std::sync::mpsc::Sender<&'static str>);
    /// # impl FixedKeyProcessor<String, i64, i64> for Connection {
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &FixedKeyContext<'_, '_, String, i64>,
    /// #         _: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    /// #     fn close(&mut self) -> Result<(), BoxError> {
    /// #         Ok(self.0.send("closed")?)
    /// #     }
    /// # }
    /// let (sender, closed) = std::sync::mpsc::channel();
    /// // A processor whose `close` says so.
    /// builder.stream::<String, i64>("in").process_values(move || Connection(sender.clone()));
    /// let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// assert!(closed.try_recv().is_err());
    /// driver.close()?;
    /// assert_eq!(closed.try_recv()?, "closed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
