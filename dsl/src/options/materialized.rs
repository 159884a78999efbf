//! How the rows of a table are stored.
use std::{sync::Arc, time::Duration};

use millstream_state::{LoggedHeaders, RowOrder, StoreBackend, StoreKind, StoreSpec};

use super::store_options::store_options;
use crate::{
    serde::{SharedSerde, serde_options},
    store::{StoreSerdes, check_segments, default_segment_ms},
    stream::Named,
    table::output::{RowsPlan, WindowPlan},
    topology::{Builder, StoreBuilder},
    window::whole_millis,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Name, serdes and kind of a table's store. Kafka Streams: `Materialized`.
///
/// Defaults as in Kafka Streams: persistent, cached, with a changelog.
///
/// ```
/// use millstream_dsl::options::Materialized;
/// let totals = Materialized::<String, i64>::named("totals").caching(false).topic_config("segment.bytes", "1048576");
/// # let _ = totals;
/// ```
pub struct Materialized<K, V> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) operator: Named,
    /// Whether an operator that can do without a store gets one.
    pub(crate) stored: bool,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    /// None: the default of the application.
    backend: Option<StoreBackend>,
    max_entries: Option<usize>,
    caching: bool,
    logging: bool,
    topic_config: Vec<(String, String)>,
    retention_ms: Option<i64>,
    /// History retention and length of segments, in milliseconds.
    history_ms: Option<(i64, i64)>,
}
impl<K, V> Default for Materialized<K, V> {
    fn default() -> Self {
        Self {
            name: None,
            operator: Named::default(),
            stored: true,
            key: None,
            value: None,
            backend: None,
            max_entries: None,
            caching: true,
            logging: true,
            topic_config: Vec::new(),
            retention_ms: None,
            history_ms: None,
        }
    }
}
impl<K: 'static, V: 'static> Materialized<K, V> {
    /// A store with a generated name: cannot be queried by name. For options that go without one.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let few = Materialized::<String, i64>::new().in_memory();
    /// let table = builder.stream::<String, i64>("in").group_by_key().count_with(few);
    /// assert_eq!(table.queryable_store_name(), None);
    /// assert_eq!(builder.build()?.subtopologies()[0].stores.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// A store that can be queried under this name, and whose changelog is called after it.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().count_with(Materialized::named("totals"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// assert_eq!(driver.key_value_store("totals", StringSerde, I64Serde)?.get(&"a".into())?, Some(1));
    /// assert_eq!(driver.produced_to("app-totals-changelog").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
    /// Name of the operator (not of its store). Kafka Streams: `Named` beside `Materialized`. Default: a generated one.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let totals = Materialized::named("totals").operator("count-orders");
    /// builder.stream::<String, i64>("in").group_by_key().count_with(totals);
    /// assert!(builder.build()?.describe().contains("Processor: count-orders (stores: [totals])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn operator(mut self, name: impl Into<Named>) -> Self {
        self.operator = name.into();
        self
    }
    /// No store where none is needed: the options give a name or serdes only, as `Named` does in Kafka Streams. Has a
    /// meaning for filters, mapped values and joins of tables; aggregations are always stored.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// let long = table.filter_with(
    ///     |_, text| text.len() > 3,
    ///     Materialized::named("only-a-name").operator("long-ones").not_stored(),
    /// );
    /// long.to_stream().to("out");
    /// assert_eq!(long.name(), "long-ones");
    /// assert!(builder.build()?.subtopologies()[0].stores.is_empty());
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn not_stored(mut self) -> Self {
        self.stored = false;
        self
    }
    /// At most this many rows in each task, in memory: the least recently used is deleted. As in Kafka Streams the record
    /// cache in front of it ([`caching`](Self::caching)) still finds such a row as long as it has room for it, and the
    /// changelog is not told.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().count_with(Materialized::named("recent").lru(2));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for key in ["a", "b", "c"] {
    ///     input.pipe(key, 1)?;
    /// }
    /// let recent = driver.key_value_store("recent", StringSerde, I64Serde)?;
    /// assert_eq!(recent.get(&"a".into())?, None);
    /// assert_eq!(recent.all()?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "lruMap")]
    #[must_use]
    pub fn lru(mut self, max_entries: usize) -> Self {
        self.max_entries = Some(max_entries);
        self.in_memory()
    }
    /// Whether updates wait in the record cache for the commit, and only the last one of a key is forwarded. Default:
    /// true.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let every_step = Materialized::named("counts").caching(false);
    /// builder.stream::<String, i64>("in").group_by_key().count_with(every_step).to_stream().to("out");
    /// assert!(!builder.build()?.subtopologies()[0].stores[0].spec.caching);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withCachingEnabled")]
    #[doc(alias = "withCachingDisabled")]
    #[must_use]
    pub fn caching(mut self, caching: bool) -> Self {
        self.caching = caching;
        self
    }
    /// Keeps the history of each key for this long behind the newest row of the table: joins of streams find the row
    /// that was valid at the time of their record, and updates that arrive out of order do not overwrite newer ones.
    /// The table must be named; it is never cached. Kafka Streams: `Stores.persistentVersionedKeyValueStore`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table_with("prices", Materialized::<String, i64>::named("prices").versioned(hours(1)));
    /// builder.stream::<String, i64>("orders").join(&prices, |n, price| n * price).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("prices", "tea".to_owned(), Some(3i64), 1_000)?;
    /// runner.pipe_at("prices", "tea".to_owned(), Some(5i64), 2_000)?;
    /// runner.pipe_at("orders", "tea".to_owned(), 10i64, 1_500)?; // late, and still at the price of its time
    /// runner.pipe_at("orders", "tea".to_owned(), 10i64, 2_000)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("tea".to_owned(), 30), ("tea".to_owned(), 50)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "persistentVersionedKeyValueStore")]
    #[must_use]
    pub fn versioned(mut self, history_retention: Duration) -> Self {
        let history_ms = whole_millis(history_retention);
        self.history_ms = Some((history_ms, default_segment_ms(history_ms)));
        self
    }
    /// Length of the segments in which a versioned table forgets, at least a millisecond: shorter ones cost files,
    /// longer ones keep rows longer. Default: a part of the history retention. Means nothing for other tables.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let prices = Materialized::<String, i64>::named("prices").versioned(hours(1)).segments(minutes(10));
    /// builder.table_with("in", prices);
    /// let spec = builder.build()?.subtopologies()[0].stores[0].spec.clone();
    /// assert!(matches!(spec.kind, millstream_state::StoreKind::Versioned { segment_interval_ms: 600_000, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn segments(mut self, interval: Duration) -> Self {
        if let Some((_, segment_ms)) = &mut self.history_ms {
            *segment_ms = whole_millis(interval);
        }
        self
    }
    /// How long a windowed table keeps its rows behind stream time, for queries: at least the size of the windows and
    /// their grace, which is the default. Less is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let kept = Materialized::named("counts").retention(hours(1));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(seconds(10))).count_with(kept);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [5_000, 1_800_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 0)?, Some(1), "half an hour old");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withRetention")]
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention_ms = Some(whole_millis(retention));
        self
    }
}
serde_options!(Materialized);
store_options!(
    Materialized<K, V>,
    r#"left.group_by_key().count_with(Materialized::named("counts")"#,
    ");"
);
impl<K: 'static, V: 'static> From<&str> for Materialized<K, V> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

/// How far windows reach, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Length of a window; the gap of sessions.
    pub(crate) size_ms: i64,
    pub(crate) grace_ms: i64,
    /// How long rows must be kept for the operator to work.
    pub(crate) least_ms: i64,
    pub(crate) sessions: bool,
    /// Whether results that leave when their window closes may wait in the record cache before: Kafka Streams switches it
    /// off for sliding windows and sessions only.
    pub(crate) cached_on_close: bool,
}

/// A store as the topology gets it, with what its operator needs.
pub(crate) struct Planned<P> {
    pub(crate) plan: P,
    pub(crate) store: StoreBuilder,
}
impl<P: Clone> Clone for Planned<P> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            store: self.store.clone(),
        }
    }
}

impl<K: 'static, V: 'static> Materialized<K, V> {
    /// The name of the store: the given one, or a generated one, which moves the counter and is refused where names must
    /// be explicit.
    pub(crate) fn store_name(&self, builder: &mut Builder, prefix: &str) -> Arc<str> {
        match &self.name {
            Some(name) => {
                builder.check_name(name);
                name.clone()
            }
            None => {
                let name = builder.new_store_name(prefix);
                builder.generated_names.push(name.clone());
                name
            }
        }
    }

    /// The store of an operator that has one only if it is asked for by name.
    pub(crate) fn planned(
        &self,
        builder: &mut Builder,
        inherited_key: Option<&SharedSerde<K>>,
        inherited_value: Option<&SharedSerde<V>>,
    ) -> Option<Planned<RowsPlan<K, V>>> {
        let store = self.name.as_ref().filter(|_| self.stored)?;
        self.plan(builder, store, inherited_key, inherited_value)
    }

    /// A key-value store with timestamps. None: a serde is missing, which the builder has noted.
    pub(crate) fn plan(
        &self,
        builder: &mut Builder,
        store: &Arc<str>,
        inherited_key: Option<&SharedSerde<K>>,
        inherited_value: Option<&SharedSerde<V>>,
    ) -> Option<Planned<RowsPlan<K, V>>> {
        let key = builder.resolve_serde(store, self.key.as_ref(), inherited_key);
        let value = builder.resolve_serde(store, self.value.as_ref(), inherited_value);
        let (key, value) = key.zip(value)?;
        if self.is_versioned() && self.name.is_none() {
            builder.argument(store, "a versioned table needs a name");
        }
        let kind = match (self.max_entries, self.history_ms) {
            (_, Some((history_retention_ms, segment_interval_ms))) => StoreKind::Versioned {
                history_retention_ms,
                segment_interval_ms,
            },
            (Some(max_entries), None) => StoreKind::Lru {
                max_entries,
                timestamped: true,
            },
            (None, None) => StoreKind::KeyValue { timestamped: true },
        };
        check_segments(builder, store, &kind);
        // An update that is history must be told apart from the newest one, so none waits for another.
        let caching = self.caching && !self.is_versioned();
        Some(Planned {
            store: self.builder(store, kind, key.clone(), value.clone(), caching),
            plan: RowsPlan {
                store: store.clone(),
                key,
                value,
                reuse_key_bytes: self.key.is_none() && inherited_key.is_some(),
                versioned: self.is_versioned(),
            },
        })
    }

    pub(crate) fn is_versioned(&self) -> bool {
        self.history_ms.is_some()
    }

    /// A store of windows with timestamps, or of sessions.
    pub(crate) fn plan_windowed(
        &self,
        builder: &mut Builder,
        store_name: &Arc<str>,
        inherited: (Option<&SharedSerde<K>>, Option<&SharedSerde<V>>),
        extent: Extent,
        on_close: bool,
    ) -> Option<Planned<WindowPlan<K, V>>> {
        let (inherited_key, inherited_value) = inherited;
        let key = builder.resolve_serde(store_name, self.key.as_ref(), inherited_key);
        let value = builder.resolve_serde(store_name, self.value.as_ref(), inherited_value);
        let (key, value) = key.zip(value)?;
        let retention_ms = self.retention_ms.unwrap_or(extent.least_ms);
        if retention_ms < extent.least_ms {
            let message = format!(
                "windows of {} ms with a grace of {} ms must be kept for at least {} ms, not {retention_ms} ms",
                extent.size_ms, extent.grace_ms, extent.least_ms
            );
            builder.argument(store_name, message);
        }
        let segment_interval_ms = (retention_ms / 2).max(60_000);
        let kept_ms = if on_close && !extent.sessions && self.is_persistent(builder) {
            // Kafka Streams' store for emission on close shows one millisecond more: else a tumbling window without
            // grace would have left the store when it is to be emitted.
            retention_ms.saturating_add(1)
        } else {
            retention_ms
        };
        let kind = if extent.sessions {
            StoreKind::Session {
                retention_ms: kept_ms,
                segment_interval_ms,
            }
        } else {
            StoreKind::Window {
                timestamped: true,
                window_size_ms: extent.size_ms,
                retention_ms: kept_ms,
                segment_interval_ms,
                retain_duplicates: false,
            }
        };
        let caching = self.caching && (!on_close || extent.cached_on_close);
        let mut store = self.builder(store_name, kind, key.clone(), value.clone(), caching);
        if kept_ms != retention_ms && !self.topic_config.iter().any(|(key, _)| key == "retention.ms") {
            store = store.topic_config("retention.ms", retention_ms.saturating_add(DAY_MS).to_string());
        }
        Some(Planned {
            store,
            plan: WindowPlan {
                store: store_name.clone(),
                key,
                value,
                reuse_key_bytes: self.key.is_none() && inherited_key.is_some(),
                size_ms: extent.size_ms,
                // Kafka Streams' stores of sliding windows have an index by key.
                order_on_close: if extent.cached_on_close {
                    RowOrder::ByStart
                } else {
                    RowOrder::ByStartOverAllKeys
                },
            },
        })
    }

    fn is_persistent(&self, builder: &Builder) -> bool {
        self.backend.unwrap_or(builder.config.default_backend) == StoreBackend::Persistent
    }

    fn builder(
        &self,
        name: &Arc<str>,
        kind: StoreKind,
        key: SharedSerde<K>,
        value: SharedSerde<V>,
        caching: bool,
    ) -> StoreBuilder {
        let spec = StoreSpec {
            name: name.clone(),
            kind,
            // The writer puts in the application's default.
            backend: self.backend.unwrap_or(StoreBackend::Persistent),
            caching,
            logging: self.logging,
            logged_headers: if self.max_entries.is_some() || self.is_versioned() {
                LoggedHeaders::Never
            } else {
                LoggedHeaders::OfDeletions
            },
        };
        let mut store = StoreBuilder::new(spec).with_serdes(StoreSerdes { key, value });
        store.default_backend = self.backend.is_none();
        for (key, value) in &self.topic_config {
            store = store.topic_config(key.clone(), value.clone());
        }
        store
    }
}
