//! How long updates of a table are held back, and what happens when too many are.
use std::{marker::PhantomData, sync::Arc, time::Duration};

use crate::{
    stream::Named,
    window::{Windowed, whole_millis},
};

/// A full buffer ends the task, or it is never full: nothing leaves before its time.
#[derive(Clone, Copy, Debug)]
pub struct Strict(());
/// A full buffer lets its oldest update go before its time.
#[derive(Clone, Copy, Debug)]
pub struct Eager(());

/// What a full buffer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Emit,
    ShutDown,
}

/// How much a suppressed table may hold back, and its changelog. Kafka Streams: `Suppressed.BufferConfig`.
///
/// Sizes are those of Kafka Streams' estimate: bytes of key, values and where the record came from.
///
/// ```
/// use millstream_dsl::options::BufferConfig;
/// let everything = BufferConfig::unbounded();
/// let early = BufferConfig::max_records(10_000).with_max_bytes(64 << 20);
/// let strict = BufferConfig::max_bytes(64 << 20).shut_down_when_full();
/// # let _ = (everything, early, strict);
/// ```
#[derive(Clone, Debug)]
pub struct BufferConfig<F> {
    pub(crate) bounds: Bounds,
    full: PhantomData<fn() -> F>,
}

/// The same, whatever its type says.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_records: u64,
    pub(crate) max_bytes: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) logging: bool,
    pub(crate) topic_config: Vec<(String, String)>,
}

impl BufferConfig<Strict> {
    /// As much as there is: rows live in the state of the task, not on the heap. The only buffer, beside those that
    /// [shut down](Self::shut_down_when_full), with which each window has one result.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// let counts = builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count();
    /// let last = Suppressed::until_window_closes(BufferConfig::unbounded());
    /// counts.suppress(last).to_stream().map(|key, n| (key.key.clone(), *n)).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [1_000, 2_000, 10_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [2], "and no 1 before");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unbounded() -> Self {
        Self::of(WhenFull::ShutDown)
    }
}
impl BufferConfig<Eager> {
    /// At most so many keys; what is more leaves early, the oldest first.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let two = Suppressed::until_time_limit(hours(1), BufferConfig::max_records(2));
    /// builder.table::<String, i64>("in").suppress(two).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (key, n) in [("a", 1), ("a", 2), ("b", 3), ("c", 4)] {
    ///     input.pipe(key, n)?;
    /// }
    /// let out = driver.output("out", StringSerde, OptionSerde::new(I64Serde))?;
    /// assert_eq!(out.read_values()?, [Some(2)], "for the third key the first one left");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "maxRecords")]
    pub fn max_records(records: u64) -> Self {
        Self::of(WhenFull::Emit).with_max_records(records)
    }
    /// At most so many bytes of keys, values and where the records came from; what is more leaves early, the oldest
    /// first.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let small = Suppressed::until_time_limit(hours(1), BufferConfig::max_bytes(60));
    /// builder.table::<String, i64>("in").suppress(small).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (key, n) in [("a", 1), ("a", 2), ("b", 3)] {
    ///     input.pipe(key, n)?;
    /// }
    /// let out = driver.output("out", StringSerde, OptionSerde::new(I64Serde))?;
    /// assert_eq!(out.read_values()?, [Some(2)], "two keys are more than 60 bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "maxBytes")]
    pub fn max_bytes(bytes: u64) -> Self {
        Self::of(WhenFull::Emit).with_max_bytes(bytes)
    }
}
impl<F> BufferConfig<F> {
    fn of(when_full: WhenFull) -> Self {
        Self {
            bounds: Bounds {
                max_records: u64::MAX,
                max_bytes: u64::MAX,
                when_full,
                logging: true,
                topic_config: Vec::new(),
            },
            full: PhantomData,
        }
    }
    fn when_full<F2>(mut self, when_full: WhenFull) -> BufferConfig<F2> {
        self.bounds.when_full = when_full;
        BufferConfig {
            bounds: self.bounds,
            full: PhantomData,
        }
    }
    /// At most so many keys. Default: any number.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// // Nothing leaves early, so the task stops when there is more than the machine was planned for.
    /// let planned = BufferConfig::unbounded().with_max_records(1);
    /// builder.table::<String, i64>("in").suppress(Suppressed::until_time_limit(hours(1), planned));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert!(input.pipe("b", 2).is_err_and(|e| e.to_string().contains("BufferFull")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withMaxRecords")]
    #[must_use]
    pub fn with_max_records(mut self, records: u64) -> Self {
        self.bounds.max_records = records;
        self
    }
    /// At most so many bytes. Default: any number.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let planned = BufferConfig::unbounded().with_max_bytes(60);
    /// builder.table::<String, i64>("in").suppress(Suppressed::until_time_limit(hours(1), planned));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert!(input.pipe("b", 2).is_err_and(|e| e.to_string().contains("BufferFull")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withMaxBytes")]
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.bounds.max_bytes = bytes;
        self
    }
    /// No bound after all: [`unbounded`](Self::unbounded) with the changelog settings kept.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let usual = BufferConfig::max_records(1).logging(false);
    /// let all = Suppressed::until_time_limit(seconds(10), usual.with_no_bound());
    /// builder.table::<String, i64>("in").suppress(all).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (key, time) in [("a", 0), ("b", 1_000)] {
    ///     input.at_ms(time).pipe(key, 1)?;
    /// }
    /// assert_eq!(driver.produced_to("out"), [], "both wait, though the usual buffer has room for one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withNoBound")]
    #[must_use]
    pub fn with_no_bound(self) -> BufferConfig<Strict> {
        self.with_max_records(u64::MAX)
            .with_max_bytes(u64::MAX)
            .when_full(WhenFull::ShutDown)
    }
    /// A full buffer is an error of the operator ([`BufferFull`](crate::engine::ProcessErrorKind::BufferFull)), which
    /// stops the task. No update leaves early, so that the buffer is also good for windows that must have one result.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let strict = BufferConfig::max_records(1).shut_down_when_full();
    /// builder.table::<String, i64>("in").suppress(Suppressed::until_time_limit(hours(1), strict));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert!(input.pipe("b", 2).is_err_and(|e| e.to_string().contains("BufferFull")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "shutDownWhenFull")]
    #[must_use]
    pub fn shut_down_when_full(self) -> BufferConfig<Strict> {
        self.when_full(WhenFull::ShutDown)
    }
    /// A full buffer lets its oldest update go before its time.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let strict = BufferConfig::unbounded().with_max_records(1);
    /// let eager = Suppressed::until_time_limit(hours(1), strict.emit_early_when_full());
    /// builder.table::<String, i64>("in").suppress(eager).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// input.pipe("b", 2)?;
    /// assert_eq!(driver.output("out", StringSerde, OptionSerde::new(I64Serde))?.read_values()?, [Some(1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "emitEarlyWhenFull")]
    #[must_use]
    pub fn emit_early_when_full(self) -> BufferConfig<Eager> {
        self.when_full(WhenFull::Emit)
    }
    /// Whether the buffer has a changelog. Without one, what waits is lost with the disk. Default: true.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let passing = BufferConfig::unbounded().logging(false);
    /// builder.table::<String, i64>("in").suppress(Suppressed::until_time_limit(seconds(1), passing).named("last"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(driver.produced_to("app-last-store-changelog"), []);
    /// assert!(!driver.store_spec("last-store")?.logging);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withLoggingEnabled")]
    #[doc(alias = "withLoggingDisabled")]
    #[must_use]
    pub fn logging(mut self, logging: bool) -> Self {
        self.bounds.logging = logging;
        self
    }
    /// A config of the changelog topic, which replaces the usual one of this name.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let buffer = BufferConfig::unbounded().topic_config("segment.bytes", "1000000");
    /// builder.table::<String, i64>("in").suppress(Suppressed::until_time_limit(seconds(1), buffer).named("last"));
    /// let topology = builder.build()?;
    /// let stores = &topology.subtopologies()[0].stores;
    /// let last = stores.iter().find(|store| &*store.spec.name == "last-store").ok_or("no buffer")?;
    /// let config = &last.changelog.as_ref().ok_or("no changelog")?.config;
    /// assert!(config.contains(&("segment.bytes".to_owned(), "1000000".to_owned())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withLoggingEnabled")]
    #[must_use]
    pub fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.bounds.topic_config.push((key.into(), value.into()));
        self
    }
}

/// Until when updates of a table are held back. Kafka Streams: `Suppressed`.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let buffer = BufferConfig::max_records(2).with_max_bytes(1 << 20).emit_early_when_full().logging(false);
/// let last = Suppressed::until_time_limit(seconds(1), buffer).named("last");
/// builder.table::<String, i64>("in").suppress(last).to_stream().to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for (key, n, time) in [("a", 1, 0), ("a", 2, 10), ("b", 3, 20), ("c", 4, 30), ("a", 5, 2_000)] {
///     input.at_ms(time).pipe(key, n)?;
/// }
/// let out = driver.output("out", StringSerde, OptionSerde::new(I64Serde))?.read_key_values()?;
/// let out: Vec<_> = out.iter().map(|(key, n)| (key.as_str(), n.unwrap_or(0))).collect();
/// assert_eq!(out, [("a", 2), ("b", 3), ("c", 4)], "a when c came, as there was no room; b and c in time");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Suppressed<K> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) bounds: Bounds,
    pub(crate) until: Until<K>,
}

/// When an update is due.
pub(crate) enum Until<K> {
    /// The end of its window has passed by the grace; the function tells the end.
    WindowCloses(fn(&K) -> i64),
    /// So many milliseconds after the first update that waits.
    TimeLimit(i64),
}
impl<K> Clone for Until<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Until<K> {}

impl<K> Suppressed<Windowed<K>> {
    /// One result for each window, the last one, when the window has closed: its end and its grace have passed in
    /// stream time. Only for tables with windowed keys, and only with a buffer that lets nothing go early.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let windows = TimeWindows::of(seconds(10)).grace(seconds(5));
    /// let counts = builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count();
    /// let last = Suppressed::until_window_closes(BufferConfig::unbounded());
    /// counts.suppress(last).to_stream().map(|key, n| (key.key.clone(), *n)).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [1_000, 2_000, 12_000, 3_000, 15_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [3], "with the late one, at 15 s");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "untilWindowCloses")]
    pub fn until_window_closes(buffer: BufferConfig<Strict>) -> Self {
        Self {
            name: None,
            bounds: buffer.bounds,
            until: Until::WindowCloses(|key| key.window.end),
        }
    }
}
impl<K> Suppressed<K> {
    /// The last update of each key within `wait` of its first one, in stream time: fewer updates, each a bit later.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let calmed = Suppressed::until_time_limit(seconds(10), BufferConfig::unbounded());
    /// builder.table::<String, i64>("in").suppress(calmed).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (n, time) in [(1, 0), (2, 4_000), (3, 8_000), (4, 10_000)] {
    ///     input.at_ms(time).pipe("a", n)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, OptionSerde::new(I64Serde))?.read_values()?, [Some(4)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "untilTimeLimit")]
    pub fn until_time_limit<F>(wait: Duration, buffer: BufferConfig<F>) -> Self {
        Self {
            name: None,
            bounds: buffer.bounds,
            until: Until::TimeLimit(whole_millis(wait)),
        }
    }
    /// Name of the operator; its store is `<name>-store`. Without one they have numbers, which change with the
    /// topology.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let last = Suppressed::until_time_limit(seconds(1), BufferConfig::unbounded()).named("last");
    /// builder.table::<String, i64>("in").suppress(last);
    /// assert!(builder.build()?.describe().contains("Processor: last (stores: [last-store])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    #[doc(alias = "withName")]
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into().name().cloned();
        self
    }
}
