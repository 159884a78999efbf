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
    /// Key to value.
    pub fn key_value(name: impl Into<Arc<str>>) -> Self {
        Self::of(name, StoreKind::KeyValue { timestamped: false })
    }
    /// Key to value and timestamp.
    pub fn timestamped_key_value(name: impl Into<Arc<str>>) -> Self {
        Self::of(name, StoreKind::KeyValue { timestamped: true })
    }
    /// Key to value in memory, at most `max_entries`: the least recently used is deleted.
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
    /// Key and time to value. `duplicates`: several values of one key and time are all kept.
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
    /// Key and time to value and timestamp, else as [`window`](Self::window). See [`TimestampedWindowStore`] for an example.
    ///
    /// [`TimestampedWindowStore`]: super::TimestampedWindowStore
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
    /// Key to value, timestamp and headers. See [`TimestampedKeyValueStoreWithHeaders`] for an example.
    ///
    /// [`TimestampedKeyValueStoreWithHeaders`]: super::TimestampedKeyValueStoreWithHeaders
    #[doc(alias = "timestampedKeyValueStoreWithHeadersBuilder")]
    pub fn key_value_with_headers(name: impl Into<Arc<str>>) -> Self {
        Self::timestamped_key_value(name).keeping_headers()
    }
    /// Key and time to value, timestamp and headers, else as [`window`](Self::window).
    #[doc(alias = "timestampedWindowStoreWithHeadersBuilder")]
    pub fn window_with_headers(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        duplicates: bool,
    ) -> Self {
        Self::timestamped_window(name, retention, window_size, duplicates).keeping_headers()
    }
    /// Key and session to aggregate and headers. See [`SessionStoreWithHeaders`] for an example.
    ///
    /// [`SessionStoreWithHeaders`]: super::SessionStoreWithHeaders
    #[doc(alias = "sessionStoreWithHeadersBuilder")]
    pub fn session_with_headers(name: impl Into<Arc<str>>, retention: Duration) -> Self {
        Self::session(name, retention).keeping_headers()
    }
    /// The changelog has the headers of a row as those of its record, as in Kafka Streams.
    fn keeping_headers(mut self) -> Self {
        self.spec.logged_headers = LoggedHeaders::Kept;
        self
    }
    /// Key and session to aggregate.
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
    /// Key and time to the value valid then, for `history` back from the newest.
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
    /// Serdes of key and value.
    #[must_use]
    pub fn with(mut self, key: impl Serde<K> + 'static, value: impl Serde<V> + 'static) -> Self {
        self.key = Some(Arc::new(key));
        self.value = Some(Arc::new(value));
        self
    }
    /// In memory only; restored from the changelog.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.spec.backend = StoreBackend::InMemory;
        self
    }
    /// Whether updates wait in the record cache for the commit. Default: false.
    #[must_use]
    pub fn caching(mut self, caching: bool) -> Self {
        self.spec.caching = caching;
        self
    }
    /// Whether there is a changelog. Default: true.
    #[must_use]
    pub fn logging(mut self, logging: bool) -> Self {
        self.spec.logging = logging;
        self
    }
    /// Length of a segment of a versioned, window or session store.
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
    /// A config of the changelog topic.
    #[must_use]
    pub fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_config.push((key.into(), value.into()));
        self
    }
    /// Name of the store.
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }
    /// The store with the serdes found for its types.
    pub fn resolve(self, builder: &mut Builder) -> StoreBuilder {
        let name = self.spec.name.clone();
        let key = builder.resolve_serde(&name, self.key.as_ref(), None);
        let value = builder.resolve_serde(&name, self.value.as_ref(), None);
        let mut spec = self.spec;
        if let StoreKind::Window {
            retain_duplicates: true,
            ..
        } = spec.kind
        {
            // A cache holds one value of a key and time: Kafka Streams has none there, whatever is asked for.
            spec.caching = false;
        }
        let mut store = StoreBuilder::new(spec);
        store.topic_config = self.topic_config;
        match key.zip(value) {
            Some((key, value)) => store.with_serdes(StoreSerdes { key, value }),
            None => store,
        }
    }
}
