//! Typed views of the stores of a driver.
use std::rc::Rc;

use millstream_state::{
    KeyValueStore, RecordContext, SessionStore, VersionedRow, VersionedStore, WindowStore, keep_headers,
};

use super::error::{DriverError, Result};
use crate::{
    serde::{self, SerdeError, SharedSerde},
    window::{Window, Windowed},
};

/// Serdes of a view.
pub(super) struct Codec<K, V> {
    pub(super) store: String,
    pub(super) key: SharedSerde<K>,
    pub(super) value: SharedSerde<V>,
}

impl<K, V> Codec<K, V> {
    fn key_bytes(&self, key: &K) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        serde::write(&*self.key, key, &mut out).map_err(|e| self.unwritten("key", e))?;
        Ok(out)
    }

    fn value_bytes(&self, value: &V) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let some = serde::write(&*self.value, value, &mut out).map_err(|e| self.unwritten("value", e))?;
        Ok(some.then_some(out))
    }

    fn key(&self, bytes: &[u8]) -> Result<K> {
        self.key.deserialize(bytes).map_err(|e| self.unread("key", e))
    }

    fn value(&self, bytes: &[u8]) -> Result<V> {
        self.value.deserialize(bytes).map_err(|e| self.unread("value", e))
    }

    fn unwritten(&self, part: &'static str, e: SerdeError) -> DriverError {
        DriverError::Serialize {
            name: self.store.clone(),
            part,
            source: e.into(),
        }
    }

    fn unread(&self, part: &'static str, e: SerdeError) -> DriverError {
        DriverError::Deserialize {
            name: self.store.clone(),
            part,
            source: e.into(),
        }
    }
}

/// A key-value store of the topology.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// builder.table_with::<String, i64>("in", Materialized::named("rows"));
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// driver.input("in", StringSerde, I64Serde)?.at_ms(10).pipe("a", 1)?;
/// let rows = driver.key_value_store("rows", StringSerde, I64Serde)?;
/// rows.put(&"b".into(), &2, 20)?;
/// assert_eq!(rows.get(&"a".into())?, Some(1));
/// assert_eq!(rows.get_with_timestamp(&"b".into())?, Some((2, 20)));
/// assert_eq!(rows.all()?, [("a".into(), 1), ("b".into(), 2)]);
/// assert_eq!(rows.range(&"b".into(), &"z".into())?, [("b".into(), 2)]);
/// # rows.approximate_count()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyValueView<K, V> {
    pub(super) codec: Codec<K, V>,
    pub(super) store: Rc<KeyValueStore>,
}

impl<K, V> KeyValueView<K, V> {
    /// The value of a key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// let rows = driver.key_value_store("rows", StringSerde, I64Serde)?;
    /// assert_eq!(rows.get(&"a".into())?, Some(1));
    /// assert_eq!(rows.get(&"b".into())?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store fails or holds something else than the serdes expect; so with all reads.
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        Ok(self.get_with_timestamp(key)?.map(|(value, _)| value))
    }

    /// The value of a key with its time (milliseconds since the epoch; -1 in a store without times).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(1_000).pipe("a", 1)?;
    /// let rows = driver.key_value_store("rows", StringSerde, I64Serde)?;
    /// assert_eq!(rows.get_with_timestamp(&"a".into())?, Some((1, 1_000)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_with_timestamp(&self, key: &K) -> Result<Option<(V, i64)>> {
        let mut bytes = Vec::new();
        let found = self.store.get(&self.codec.key_bytes(key)?, &mut bytes)?;
        found
            .map(|timestamp| Ok((self.codec.value(&bytes)?, timestamp)))
            .transpose()
    }

    /// Every row in the order of the key bytes.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (key, n) in [("b", 1), ("a", 2), ("b", 3)] {
    ///     input.pipe(key, n)?;
    /// }
    /// let rows = driver.key_value_store("rows", StringSerde, I64Serde)?;
    /// assert_eq!(rows.all()?, [("a".to_owned(), 2), ("b".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn all(&self) -> Result<Vec<(K, V)>> {
        self.rows(None, None)
    }

    /// Rows from `lo` to `hi`, both inclusive, in the order of the key bytes.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for key in ["a", "b", "c", "d"] {
    ///     input.pipe(key, 1)?;
    /// }
    /// let rows = driver.key_value_store("rows", StringSerde, I64Serde)?;
    /// assert_eq!(rows.range(&"b".into(), &"c".into())?, [("b".to_owned(), 1), ("c".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn range(&self, lo: &K, hi: &K) -> Result<Vec<(K, V)>> {
        self.rows(Some(self.codec.key_bytes(lo)?), Some(self.codec.key_bytes(hi)?))
    }

    fn rows(&self, lo: Option<Vec<u8>>, hi: Option<Vec<u8>>) -> Result<Vec<(K, V)>> {
        let rows = self.store.range(lo.as_deref(), hi.as_deref(), false);
        rows.map(|row| {
            let row = row?;
            Ok((self.codec.key(&row.key)?, self.codec.value(&row.value)?))
        })
        .collect()
    }

    /// Writes a row, for example to start a test with; a null value deletes. Its time is in milliseconds since the
    /// epoch.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let known = builder.stream::<String, i64>("in-orders").group_by_key().count_with("orders");
    /// known.to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let orders = driver.key_value_store("orders", StringSerde, I64Serde)?;
    /// orders.put(&"a".into(), &41, 1_000)?; // what would have taken 41 records
    /// driver.input("in-orders", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [42]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store or the serdes refuse.
    pub fn put(&self, key: &K, value: &V, timestamp_ms: i64) -> Result<()> {
        let context = RecordContext {
            topic: "".into(),
            partition: -1,
            offset: -1,
            timestamp: timestamp_ms,
            headers: millstream_state::Headers::new(),
            source: None,
        };
        let (key, mut value) = (self.codec.key_bytes(key)?, self.codec.value_bytes(value)?);
        if let Some(value) = value.as_mut().filter(|_| self.store.keeps_headers()) {
            keep_headers(&context.headers, value);
        }
        Ok(self.store.put(&key, value.as_deref(), timestamp_ms, &context)?)
    }

    /// Number of rows; may be off for stores on disk.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (key, n) in [("a", 1), ("b", 2), ("a", 3)] {
    ///     input.pipe(key, n)?;
    /// }
    /// assert_eq!(driver.key_value_store("rows", StringSerde, I64Serde)?.approximate_count()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store fails.
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64> {
        Ok(self.store.approximate_count()?)
    }
}

/// A window store of the topology. The end of a window follows from its size and is not part of the rows.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let stream = builder.stream::<String, i64>("in").group_by_key();
/// stream.windowed_by(TimeWindows::of(millis(10)).grace(seconds(1))).count_with("counts");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for time in [3, 4, 12] {
///     input.at_ms(time).pipe("a", 1)?;
/// }
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.get(&"a".into(), 0)?, Some(2));
/// let second = Window { start: 10, end: 20 };
/// assert_eq!(counts.fetch(&"a".into(), 5, 15)?, [(second, 1)]);
/// assert_eq!(counts.all()?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WindowView<K, V> {
    pub(super) codec: Codec<K, V>,
    pub(super) store: Rc<WindowStore>,
    pub(super) window_size_ms: i64,
}

impl<K, V> WindowView<K, V> {
    /// The value of the window of a key that starts at `start_ms`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [11_000, 12_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 10_000)?, Some(2));
    /// assert_eq!(counts.get(&"a".into(), 11_000)?, None, "windows of ten seconds start at their multiples");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store fails or holds something else than the serdes expect; so with all reads.
    pub fn get(&self, key: &K, start_ms: i64) -> Result<Option<V>> {
        let mut bytes = Vec::new();
        let found = self.store.get(&self.codec.key_bytes(key)?, start_ms, &mut bytes)?;
        found.map(|_| self.codec.value(&bytes)).transpose()
    }

    /// Windows of a key that start from `from_ms` to `to_ms`, both inclusive.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// # let kept = Materialized::named("counts").retention(hours(1));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with(kept);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [1_000, 11_000, 21_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?.fetch(&"a".into(), 0, 10_000)?;
    /// assert_eq!(counts, [(Window { start: 0, end: 10_000 }, 1), (Window { start: 10_000, end: 20_000 }, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn fetch(&self, key: &K, from_ms: i64, to_ms: i64) -> Result<Vec<(Window, V)>> {
        let rows = self.store.fetch(&self.codec.key_bytes(key)?, from_ms, to_ms, false);
        rows.map(|row| {
            let row = row?;
            Ok((self.window(row.start), self.codec.value(&row.value)?))
        })
        .collect()
    }

    /// Every window of every key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for key in ["a", "b"] {
    ///     input.at_ms(1_000).pipe(key, 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?.all()?;
    /// assert_eq!(counts.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn all(&self) -> Result<Vec<(Windowed<K>, V)>> {
        let rows = self.store.all(false);
        rows.map(|row| {
            let row = row?;
            let key = Windowed {
                key: self.codec.key(&row.key)?,
                window: self.window(row.start),
            };
            Ok((key, self.codec.value(&row.value)?))
        })
        .collect()
    }

    fn window(&self, start: i64) -> Window {
        Window {
            start,
            end: start.saturating_add(self.window_size_ms),
        }
    }
}

/// A session store of the topology.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let stream = builder.stream::<String, i64>("in").group_by_key();
/// stream.windowed_by(SessionWindows::of(millis(10)).grace(seconds(1))).count_with("visits");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for time in [3, 9, 30] {
///     input.at_ms(time).pipe("a", 1)?;
/// }
/// let visits = driver.session_store("visits", StringSerde, I64Serde)?;
/// assert_eq!(visits.fetch(&"a".into())?, [(Window { start: 3, end: 9 }, 2), (Window { start: 30, end: 30 }, 1)]);
/// assert_eq!(visits.all()?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionView<K, V> {
    pub(super) codec: Codec<K, V>,
    pub(super) store: Rc<SessionStore>,
}

impl<K, V> SessionView<K, V> {
    /// The sessions of a key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let visits = SessionWindows::of(minutes(30));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(visits).count_with("visits");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (user, time) in [("ann", 1_000), ("bob", 2_000), ("ann", 5_000)] {
    ///     input.at_ms(time).pipe(user, 1)?;
    /// }
    /// let visits = driver.session_store("visits", StringSerde, I64Serde)?;
    /// assert_eq!(visits.fetch(&"ann".into())?, [(Window { start: 1_000, end: 5_000 }, 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store fails or holds something else than the serdes expect; so with all reads.
    pub fn fetch(&self, key: &K) -> Result<Vec<(Window, V)>> {
        let key = self.codec.key_bytes(key)?;
        let rows = self.store.find(Some(&key), Some(&key), 0, i64::MAX, false);
        rows.map(|row| {
            let row = row?;
            Ok((
                Window {
                    start: row.start,
                    end: row.end,
                },
                self.codec.value(&row.value)?,
            ))
        })
        .collect()
    }

    /// Every session of every key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let visits = SessionWindows::of(minutes(30));
    /// # builder.stream::<String, i64>("in").group_by_key().windowed_by(visits).count_with("visits");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (user, time) in [("ann", 1_000), ("bob", 2_000), ("ann", 5_000)] {
    ///     input.at_ms(time).pipe(user, 1)?;
    /// }
    /// let visits = driver.session_store("visits", StringSerde, I64Serde)?.all()?;
    /// assert_eq!(visits.iter().map(|(user, _)| user.key.as_str()).collect::<Vec<_>>(), ["ann", "bob"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn all(&self) -> Result<Vec<(Windowed<K>, V)>> {
        let rows = self.store.find(None, None, 0, i64::MAX, false);
        rows.map(|row| {
            let row = row?;
            let window = Window {
                start: row.start,
                end: row.end,
            };
            Ok((
                Windowed {
                    key: self.codec.key(&row.key)?,
                    window,
                },
                self.codec.value(&row.value)?,
            ))
        })
        .collect()
    }
}

/// A value of a versioned store with the time it is valid: `[from, to)` in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<V> {
    /// The value.
    pub value: V,
    /// First millisecond.
    pub valid_from_ms: i64,
    /// First millisecond at which it is not valid any more; None: it is the latest.
    pub valid_to_ms: Option<i64>,
}

/// A versioned store of the topology.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// builder.table_with::<String, i64>("in", Materialized::named("prices").versioned(hours(1)));
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(10).pipe("a", 1)?;
/// input.at_ms(20).pipe("a", 2)?;
/// let prices = driver.versioned_store("prices", StringSerde, I64Serde)?;
/// assert_eq!(prices.get(&"a".into())?.map(|v| v.value), Some(2));
/// let then = prices.get_as_of(&"a".into(), 15)?.ok_or("nothing then")?;
/// assert_eq!((then.value, then.valid_from_ms, then.valid_to_ms), (1, 10, Some(20)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VersionedView<K, V> {
    pub(super) codec: Codec<K, V>,
    pub(super) store: Rc<VersionedStore>,
}

impl<K, V> VersionedView<K, V> {
    /// The latest value of a key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("prices").versioned(hours(1)));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (price, time) in [(3, 1_000), (2, 500)] {
    ///     input.at_ms(time).pipe("tea", price)?; // the second one is late
    /// }
    /// let price = driver.versioned_store("prices", StringSerde, I64Serde)?.get(&"tea".into())?.ok_or("none")?;
    /// assert_eq!((price.value, price.valid_from_ms, price.valid_to_ms), (3, 1_000, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the store fails or holds something else than the serdes expect; so with all reads.
    pub fn get(&self, key: &K) -> Result<Option<Version<V>>> {
        self.version(self.store.get(&self.codec.key_bytes(key)?)?)
    }

    /// The value of a key that was valid at a time, in milliseconds since the epoch.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("prices").versioned(hours(1)));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (price, time) in [(2, 500), (3, 1_000)] {
    ///     input.at_ms(time).pipe("tea", price)?;
    /// }
    /// let prices = driver.versioned_store("prices", StringSerde, I64Serde)?;
    /// let before = prices.get_as_of(&"tea".into(), 999)?.ok_or("none")?;
    /// assert_eq!((before.value, before.valid_to_ms), (2, Some(1_000)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_as_of(&self, key: &K, timestamp_ms: i64) -> Result<Option<Version<V>>> {
        self.version(self.store.get_as_of(&self.codec.key_bytes(key)?, timestamp_ms)?)
    }

    fn version(&self, row: Option<VersionedRow>) -> Result<Option<Version<V>>> {
        let Some(row) = row else { return Ok(None) };
        let value = self.codec.value(&row.value)?;
        Ok(Some(Version {
            value,
            valid_from_ms: row.valid_from,
            valid_to_ms: row.valid_to,
        }))
    }
}
