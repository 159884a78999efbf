//! What to add to the builder: kind, name, types and options of a store.
use std::{marker::PhantomData, sync::Arc, time::Duration};

use millstream_state::{LoggedHeaders, StoreBackend, StoreKind, StoreSpec};

use crate::{
    serde::{Serde, SharedSerde},
    topology::{Builder, StoreBuilder},
};

use super::StoreSerdes;

/// A store for processors. Kafka Streams: `Stores`, `StoreBuilder`.
///
/// Defaults as in Kafka Streams: persistent, no cache, with a changelog.
///
/// ```
/// use millstream_dsl::prelude::*;
/// let builder = StreamsBuilder::new();
/// let counts = Store::<String, i64>::key_value("counts")
///     .with(StringSerde, I64Serde)
///     .in_memory()
///     .caching(true)
///     .topic_config("segment.bytes", "1000000");
/// assert_eq!(&**counts.name(), "counts");
/// let process = Processing::new()
///     .with_store(counts)
///     .with_store(Store::<String, String>::timestamped_key_value("last"))
///     .with_store(Store::<String, i64>::lru("recent", 100))
///     .with_store(Store::<String, i64>::window("sums", hours(1), minutes(1), false).segments(minutes(10)))
///     .with_store(Store::<String, i64>::session("visits", hours(1)).logging(false))
///     .with_store(Store::<String, i64>::versioned("prices", days(1)));
/// struct Nothing;
/// impl FixedKeyProcessor<String, i64, i64> for Nothing {
///     fn process(
///         &mut self,
///         _: &FixedKeyContext<'_, '_, String, i64>,
///         _: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         Ok(())
///     }
/// }
/// builder.stream::<String, i64>("in").process_values_with(|| Nothing, process);
/// let topology = builder.build()?;
/// let stores = &topology.subtopologies()[0].stores;
/// let changelogs: Vec<_> = stores.iter().filter(|s| s.changelog.is_some()).map(|s| &*s.spec.name).collect();
/// assert_eq!(changelogs.len(), 5);
/// assert!(!changelogs.contains(&"visits"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Stores")]
pub struct Store<K, V> {
    pub(crate) spec: StoreSpec,
    topic_config: Vec<(String, String)>,
    key: Option<SharedSerde<K>>,
    value: Option<SharedSerde<V>>,
    types: PhantomData<fn(K, V)>,
}

/// Length of the segments of a versioned store, as Kafka Streams chooses it.
pub(crate) fn default_segment_ms(history_retention_ms: i64) -> i64 {
    match history_retention_ms {
        ..=60_000 => (history_retention_ms / 3).max(2_000),
        60_001..=300_000 => (history_retention_ms / 5).max(20_000),
        300_001..=3_600_000 => (history_retention_ms / 12).max(60_000),
        _ => (history_retention_ms / 24).max(300_000),
    }
}

/// Rows are forgotten by segments, so these have a length.
pub(crate) fn check_segments(builder: &mut Builder, store: &Arc<str>, kind: &StoreKind) {
    if let StoreKind::Window {
        segment_interval_ms, ..
    }
    | StoreKind::Session {
        segment_interval_ms, ..
    }
    | StoreKind::Versioned {
        segment_interval_ms, ..
    } = kind
        && *segment_interval_ms < 1
    {
        builder.argument(store, "segments must have a length of at least one millisecond");
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<K: 'static, V: 'static> Store<K, V> {
    fn of(name: impl Into<Arc<str>>, kind: StoreKind) -> Self {
        let spec = StoreSpec {
            name: name.into(),
            kind,
            backend: StoreBackend::Persistent,
            caching: false,
            logging: true,
            logged_headers: LoggedHeaders::Never,
        };
        Self {
            spec,
            topic_config: Vec::new(),
            key: None,
            value: None,
            types: PhantomData,
        }
    }
    /// Key to value. Its handle is [`KeyValueStore`](super::KeyValueStore).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counts = Store::<String, i64>::key_value("counts");
    /// // `Count` gets it as a `KeyValueStore`.
    /// numbers.process_values_with(|| Count, Processing::new().with_store(counts)).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for n in [7, 8] {
    ///     input.pipe("a", n)?;
    /// }
    /// assert_eq!(driver.key_value_store("counts", StringSerde, I64Serde)?.get(&"a".into())?, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "persistentKeyValueStore")]
    #[doc(alias = "keyValueStoreBuilder")]
    pub fn key_value(name: impl Into<Arc<str>>) -> Self {
        Self::of(name, StoreKind::KeyValue { timestamped: false })
    }
    /// Key to value and timestamp. Its handle is [`TimestampedKeyValueStore`](super::TimestampedKeyValueStore).
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// let last = store; // of a processor that was given `Store::timestamped_key_value("last")`
    /// last.put(&"a".to_owned(), &7, 1_000)?;
    /// assert_eq!(last.get(&"a".to_owned())?.map(|row| row.timestamp), Some(1_000));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "timestampedKeyValueStoreBuilder")]
    pub fn timestamped_key_value(name: impl Into<Arc<str>>) -> Self {
        Self::of(name, StoreKind::KeyValue { timestamped: true })
    }
    /// Key to value in memory, at most `max_entries` of a task: the least recently used is deleted, from the changelog
    /// as well; with a record cache ([`caching`](Self::caching)) it is found as long as that has room for it. Its handle
    /// is [`KeyValueStore`](super::KeyValueStore).
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::lru("recent", 2), |store: &KeyValueStore<String, i64>| {
    /// let recent = store; // of a processor that was given `Store::lru("recent", 2)`
    /// for key in ["a", "b", "c"] {
    ///     recent.put(&key.to_owned(), &1)?;
    /// }
    /// assert_eq!((recent.get(&"a".to_owned())?, recent.get(&"b".to_owned())?), (None, Some(1)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "lruMap")]
    pub fn lru(name: impl Into<Arc<str>>, max_entries: usize) -> Self {
        Self::of(
            name,
            StoreKind::Lru {
                max_entries,
                timestamped: false,
            },
        )
        .in_memory()
    }
    /// Key and start of a window to value, for `retention` behind the newest window. `window_size` is what readers get
    /// as the length of a window. `duplicates`: several values of one key and time are all kept. Its handle is
    /// [`WindowStore`](super::WindowStore).
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window("events", minutes(1), seconds(1), true);
    /// # with_store(kind, |store: &WindowStore<String, i64>| {
    /// let events = store; // of a processor that was given `Store::window("events", minutes(1), seconds(1), true)`
    /// let a = "a".to_owned();
    /// events.put(&a, Some(&1), 5_000)?;
    /// events.put(&a, Some(&2), 5_000)?;
    /// assert_eq!(events.fetch(&a, 0, 9_000, false)?.collect::<Result<Vec<_>, _>>()?, [(5_000, 1), (5_000, 2)]);
    /// events.put(&a, Some(&3), 70_000)?;
    /// assert_eq!(events.fetch(&a, 0, 9_000, false)?.count(), 0, "a minute is over");
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "persistentWindowStore")]
    #[doc(alias = "windowStoreBuilder")]
    pub fn window(name: impl Into<Arc<str>>, retention: Duration, window_size: Duration, duplicates: bool) -> Self {
        let retention_ms = millis(retention);
        let segment_interval_ms = (retention_ms / 2).max(60_000);
        let window_size_ms = millis(window_size);
        Self::of(
            name,
            StoreKind::Window {
                timestamped: false,
                window_size_ms,
                retention_ms,
                segment_interval_ms,
                retain_duplicates: duplicates,
            },
        )
    }
    /// Key and start of a window to value and timestamp, else as [`window`](Self::window). See
    /// [`TimestampedWindowStore`] for a larger example.
    ///
    /// [`TimestampedWindowStore`]: super::TimestampedWindowStore
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// let sums = store; // of a processor that was given `Store::timestamped_window("sums", ..)`
    /// sums.put(&"a".to_owned(), &7, 10_000, 12_345)?;
    /// assert_eq!(sums.get(&"a".to_owned(), 10_000)?, Some(ValueAndTimestamp { value: 7, timestamp: 12_345 }));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "timestampedWindowStoreBuilder")]
    pub fn timestamped_window(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        duplicates: bool,
    ) -> Self {
        let mut store = Self::window(name, retention, window_size, duplicates);
        if let StoreKind::Window { timestamped, .. } = &mut store.spec.kind {
            *timestamped = true;
        }
        store
    }
    /// Key to value, timestamp and headers. See [`TimestampedKeyValueStoreWithHeaders`] for a larger example.
    ///
    /// [`TimestampedKeyValueStoreWithHeaders`]: super::TimestampedKeyValueStoreWithHeaders
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::key_value_with_headers("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStoreWithHeaders<String, i64>| {
    /// let last = store; // of a processor that was given `Store::key_value_with_headers("last")`
    /// let headers = Headers::new();
    /// headers.add("request", Some(b"r1"));
    /// last.put(&"a".to_owned(), &7, 1_000, &headers)?;
    /// let row = last.get(&"a".to_owned())?.ok_or("not found")?;
    /// assert_eq!(row.headers.last("request").and_then(|header| header.value).as_deref(), Some(&b"r1"[..]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "timestampedKeyValueStoreWithHeadersBuilder")]
    pub fn key_value_with_headers(name: impl Into<Arc<str>>) -> Self {
        Self::timestamped_key_value(name).keeping_headers()
    }
    /// Key and start of a window to value, timestamp and headers, else as [`window`](Self::window). Its handle is
    /// [`TimestampedWindowStoreWithHeaders`](super::TimestampedWindowStoreWithHeaders).
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window_with_headers("last", minutes(1), seconds(1), false);
    /// # with_store(kind, |store: &TimestampedWindowStoreWithHeaders<String, i64>| {
    /// let last = store; // of a processor that was given `Store::window_with_headers("last", ..)`
    /// let headers = Headers::new();
    /// headers.add("request", Some(b"r1"));
    /// last.put(&"a".to_owned(), &7, 1_000, 1_234, &headers)?;
    /// let row = last.get(&"a".to_owned(), 1_000)?.ok_or("not found")?;
    /// assert_eq!((row.timestamp, row.headers.len()), (1_234, 1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "timestampedWindowStoreWithHeadersBuilder")]
    pub fn window_with_headers(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        duplicates: bool,
    ) -> Self {
        Self::timestamped_window(name, retention, window_size, duplicates).keeping_headers()
    }
    /// Key and session to aggregate and headers, for `retention` behind the newest end. See [`SessionStoreWithHeaders`]
    /// for a larger example.
    ///
    /// [`SessionStoreWithHeaders`]: super::SessionStoreWithHeaders
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", hours(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// let visits = store; // of a processor that was given `Store::session_with_headers("visits", hours(1))`
    /// let headers = Headers::new();
    /// headers.add("browser", Some(b"lynx"));
    /// let visit = Window { start: 1_000, end: 5_000 };
    /// visits.put(&"ann".to_owned(), visit, &3, &headers)?;
    /// assert_eq!(visits.get(&"ann".to_owned(), visit)?.map(|row| row.headers.len()), Some(1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "sessionStoreWithHeadersBuilder")]
    pub fn session_with_headers(name: impl Into<Arc<str>>, retention: Duration) -> Self {
        Self::session(name, retention).keeping_headers()
    }
    /// The changelog has the headers of a row as those of its record, as in Kafka Streams.
    fn keeping_headers(mut self) -> Self {
        self.spec.logged_headers = LoggedHeaders::Kept;
        self
    }
    /// Key and session to aggregate, for `retention` behind the newest end. Its handle is
    /// [`SessionStore`](super::SessionStore).
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// let visits = store; // of a processor that was given `Store::session("visits", minutes(1))`
    /// let ann = "ann".to_owned();
    /// visits.put(&ann, Window { start: 1_000, end: 5_000 }, Some(&3))?;
    /// assert_eq!(visits.fetch(&ann)?.count(), 1);
    /// visits.put(&ann, Window { start: 90_000, end: 95_000 }, Some(&1))?;
    /// assert_eq!(visits.fetch(&ann)?.count(), 1, "the first one ended more than a minute before");
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "persistentSessionStore")]
    #[doc(alias = "sessionStoreBuilder")]
    pub fn session(name: impl Into<Arc<str>>, retention: Duration) -> Self {
        let retention_ms = millis(retention);
        Self::of(
            name,
            StoreKind::Session {
                retention_ms,
                segment_interval_ms: (retention_ms / 2).max(60_000),
            },
        )
    }
    /// Key and time to the value valid then, for `history` back from the newest. Its handle is
    /// [`VersionedKeyValueStore`](super::VersionedKeyValueStore).
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::versioned("prices", hours(1));
    /// # with_store(kind, |store: &VersionedKeyValueStore<String, i64>| {
    /// let prices = store; // of a processor that was given `Store::versioned("prices", hours(1))`
    /// let tea = "tea".to_owned();
    /// prices.put(&tea, Some(&3), 1_000)?;
    /// prices.put(&tea, Some(&5), 2_000)?;
    /// assert_eq!(prices.get_as_of(&tea, 1_500)?.map(|price| price.value), Some(3));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "persistentVersionedKeyValueStore")]
    #[doc(alias = "versionedKeyValueStoreBuilder")]
    pub fn versioned(name: impl Into<Arc<str>>, history: Duration) -> Self {
        let history_retention_ms = millis(history);
        Self::of(
            name,
            StoreKind::Versioned {
                history_retention_ms,
                segment_interval_ms: default_segment_ms(history_retention_ms),
            },
        )
    }
    /// Serdes of key and value. Default: those of the types, or of the application. A missing one is an error of the
    /// build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counts = Store::<String, i64>::key_value("counts").with(StringSerde, json());
    /// numbers.process_values_with(|| Count, Processing::new().with_store(counts));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// assert_eq!(driver.produced_to("app-counts-changelog")[0].value.as_deref(), Some(&b"1"[..]), "as text");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with(mut self, key: impl Serde<K> + 'static, value: impl Serde<V> + 'static) -> Self {
        self.key = Some(Arc::new(key));
        self.value = Some(Arc::new(value));
        self
    }
    /// In memory only; restored from the changelog when a task starts. Default: on disk.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counts = Store::<String, i64>::key_value("counts").in_memory();
    /// numbers.process_values_with(|| Count, Processing::new().with_store(counts));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// assert_eq!(driver.store_spec("counts")?.backend, millstream_state::StoreBackend::InMemory);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "inMemoryKeyValueStore")]
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.spec.backend = StoreBackend::InMemory;
        self
    }
    /// Whether updates wait in the record cache for the commit: fewer of them go to the changelog. Default: false. An
    /// error of the build for versioned stores; means nothing for window stores with duplicates.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let tens = |n: &i64| (0..*n).collect::<Vec<i64>>();
    /// # let numbers = builder.stream::<String, i64>("in").flat_map_values(tens);
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counts = Store::<String, i64>::key_value("counts").caching(true);
    /// numbers.process_values_with(|| Count, Processing::new().with_store(counts));
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).cache_bytes(1 << 20).build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 3)?; // counted three times before the commit
    /// assert_eq!(driver.produced_to("app-counts-changelog").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withCachingEnabled")]
    #[must_use]
    pub fn caching(mut self, caching: bool) -> Self {
        self.spec.caching = caching;
        self
    }
    /// Whether there is a changelog. Without one, the rows are lost with the disk, and when the task moves. Default:
    /// true.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counts = Store::<String, i64>::key_value("counts").logging(false);
    /// numbers.process_values_with(|| Count, Processing::new().with_store(counts));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// assert_eq!(driver.produced(), []);
    /// assert!(!driver.store_spec("counts")?.logging);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withLoggingDisabled")]
    #[must_use]
    pub fn logging(mut self, logging: bool) -> Self {
        self.spec.logging = logging;
        self
    }
    /// Length of a segment of a versioned, window or session store, at least a millisecond: rows on disk are forgotten by
    /// segments. Default: half the retention, at least a minute; for versioned stores a part of the history. Means
    /// nothing for other stores.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// # use millstream_state::StoreKind;
    /// let sums = Store::<String, i64>::window("sums", hours(24), minutes(1), false).segments(hours(1));
    /// builder.add_state_store(sums);
    /// # builder.add_state_store(Store::<String, i64>::key_value("counts"));
    /// numbers.process_values_with(|| Count, Processing::new().stores(["counts", "sums"]));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let kind = &driver.store_spec("sums")?.kind;
    /// assert!(matches!(kind, StoreKind::Window { segment_interval_ms: 3_600_000, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn segments(mut self, interval: Duration) -> Self {
        match &mut self.spec.kind {
            StoreKind::Window {
                segment_interval_ms, ..
            }
            | StoreKind::Session {
                segment_interval_ms, ..
            }
            | StoreKind::Versioned {
                segment_interval_ms, ..
            } => *segment_interval_ms = millis(interval),
            StoreKind::KeyValue { .. }
            | StoreKind::Lru { .. }
            | StoreKind::Raw
            | StoreKind::Suppress
            | StoreKind::RecordBuffer => {}
        }
        self
    }
    /// A config of the changelog topic, which replaces the usual one of this name.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counts = Store::<String, i64>::key_value("counts").topic_config("segment.bytes", "1000000");
    /// numbers.process_values_with(|| Count, Processing::new().with_store(counts));
    /// let changelog = builder.build()?.subtopologies()[0].stores[0].changelog.clone();
    /// let config = changelog.map(|topic| topic.config).unwrap_or_default();
    /// assert!(config.contains(&("segment.bytes".to_owned(), "1000000".to_owned())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withLoggingEnabled")]
    #[must_use]
    pub fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_config.push((key.into(), value.into()));
        self
    }
    /// Name of the store: what processors ask for, and what the changelog is called after.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let counts = Store::<String, i64>::key_value("counts");
    /// assert_eq!(&**counts.name(), "counts");
    /// ```
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }
    /// The store with the serdes found for its types.
    pub(crate) fn resolve(self, builder: &mut Builder) -> StoreBuilder {
        let name = self.spec.name.clone();
        let key = builder.resolve_serde(&name, self.key.as_ref(), None);
        let value = builder.resolve_serde(&name, self.value.as_ref(), None);
        let mut spec = self.spec;
        check_segments(builder, &name, &spec.kind);
        match spec.kind {
            StoreKind::Window {
                retain_duplicates,
                retention_ms,
                window_size_ms,
                ..
            } => {
                // A cache holds one value of a key and time: Kafka Streams has none there, whatever is asked for.
                spec.caching &= !retain_duplicates;
                if retention_ms < window_size_ms {
                    let problem =
                        format!("windows of {window_size_ms} ms do not fit into a retention of {retention_ms} ms");
                    builder.argument(&name, problem);
                }
            }
            StoreKind::Versioned { .. } if spec.caching => {
                builder.illegal_state(
                    &name,
                    "a versioned store has no record cache: leave out `caching(true)`",
                );
            }
            _ => {}
        }
        let mut store = StoreBuilder::new(spec);
        store.topic_config = self.topic_config;
        match key.zip(value) {
            Some((key, value)) => store.with_serdes(StoreSerdes { key, value }),
            None => store,
        }
    }
}
