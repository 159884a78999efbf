//! Window stores for processors.
use std::marker::PhantomData;

use millstream_state::{Headers, WindowRow};

use super::{
    Handle, StoreAccess, StoreFailure, TimedRow, ValueAndTimestamp, ValueTimestampHeaders,
    access::{Keeps, Typed},
};

type Raw = millstream_state::WindowStore;

/// Key and time to value. Kafka Streams: `WindowStore`.
///
/// ```
/// # use millstream_dsl::{prelude::*, testing::with_store};
/// # let store = Store::<String, i64>::window("sums", minutes(1), millis(10), false);
/// # with_store(store, |sums: &WindowStore<String, i64>| {
/// let [a, b] = ["a", "b"].map(str::to_owned);
/// assert!(sums.put(&a, Some(&1), 10)?);
/// sums.put(&a, Some(&2), 20)?;
/// sums.put(&b, Some(&3), 20)?;
/// assert_eq!(sums.get(&a, 10)?, Some(1));
/// assert_eq!(sums.fetch(&a, 0, 100, false)?.collect::<Result<Vec<_>, _>>()?, [(10, 1), (20, 2)]);
/// assert_eq!(sums.fetch(&a, 0, 100, true)?.collect::<Result<Vec<_>, _>>()?, [(20, 2), (10, 1)]);
/// let of_both = sums.fetch_range((None, None), 20, 20, false)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(of_both, [(a.clone(), 20, 2), (b, 20, 3)]);
/// assert_eq!(sums.all(false).count(), 3);
/// sums.put(&a, None, 10)?;
/// assert_eq!(sums.get(&a, 10)?, None);
/// sums.put(&a, Some(&9), 200_000)?;
/// assert!(!sums.put(&a, Some(&1), 10)?, "behind the retention");
/// # Ok(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WindowStore<K, V>(Windows<K, V>);

/// Key and time to value and timestamp. Kafka Streams: `TimestampedWindowStore`.
///
/// ```
/// use std::time::Duration;
/// use millstream_dsl::{prelude::*, testing::Runner};
/// /// Adds up a key's numbers in windows of ten seconds, and says when the last one came.
/// #[derive(Default)]
/// struct Sums(Option<TimestampedWindowStore<String, i64>>);
/// impl FixedKeyProcessor<String, i64, String> for Sums {
///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, String>) -> Result<(), BoxError> {
///         self.0 = Some(ctx.store("sums")?);
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, String>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         let store = self.0.as_ref().ok_or("no store")?;
///         let (key, time) = (record.key(), record.timestamp());
///         let start = time - time % 10_000;
///         let known = store.get(key, start)?.map_or(0, |sum| sum.value);
///         store.put(key, &(known + record.value()), start, time)?;
///         let sums = store.fetch(key, 0, time, false)?.collect::<Result<Vec<_>, _>>()?;
///         let text = sums.iter().map(|(start, sum)| format!("{start}: {} at {}", sum.value, sum.timestamp));
///         ctx.forward(record.with_value(&text.collect::<Vec<_>>().join(", ")))?;
///         Ok(())
///     }
/// }
/// let builder = StreamsBuilder::new();
/// let sums = Store::<String, i64>::timestamped_window("sums", Duration::from_secs(60), Duration::from_secs(10), false);
/// builder
///     .stream::<String, i64>("in")
///     .process_values_with(Sums::default, Processing::new().with_store(sums))
///     .to("out");
/// let runner = Runner::new(&builder.build()?)?;
/// for (n, time) in [(3i64, 1_000), (4, 2_000), (5, 12_000)] {
///     runner.pipe_at("in", "a".to_owned(), n, time)?;
/// }
/// let out: Vec<String> = runner.read::<String, String>("out").into_iter().map(|(_, text)| text).collect();
/// assert_eq!(out, ["0: 3 at 1000", "0: 7 at 2000", "0: 7 at 2000, 10000: 5 at 12000"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TimestampedWindowStore<K, V, R = ValueAndTimestamp<V>>(Windows<K, V>, PhantomData<fn() -> R>);

/// Key and time to value, timestamp and headers. Kafka Streams: `TimestampedWindowStoreWithHeaders`.
///
/// ```
/// use std::time::Duration;
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// /// Keeps the last value of each second, and says where that of the second before came from.
/// #[derive(Default)]
/// struct Before(Option<TimestampedWindowStoreWithHeaders<String, i64>>);
/// impl FixedKeyProcessor<String, i64, String> for Before {
///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, String>) -> Result<(), BoxError> {
///         self.0 = Some(ctx.store("seconds")?);
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, String>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         let store = self.0.as_ref().ok_or("no store")?;
///         let second = record.timestamp() / 1_000 * 1_000;
///         store.put(record.key(), record.value(), second, record.timestamp(), record.headers())?;
///         let from = match store.get(record.key(), second - 1_000)? {
///             Some(row) if row.headers.last("probe").is_some() => format!("{} of a probe", row.value),
///             Some(row) => format!("{} at {}", row.value, row.timestamp),
///             None => "nothing".to_owned(),
///         };
///         ctx.forward(record.with_value(&from))?;
///         Ok(())
///     }
/// }
/// let builder = StreamsBuilder::new();
/// let minute = Duration::from_secs(60);
/// let seconds = Store::<String, i64>::window_with_headers("seconds", minute, Duration::from_secs(1), false);
/// builder
///     .stream::<String, i64>("in")
///     .process_values_with(Before::default, Processing::new().with_store(seconds))
///     .to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(100).pipe("a", 3)?;
/// input.at_ms(1_200).header("probe", "7").pipe("a", 4)?;
/// input.at_ms(2_300).pipe("a", 5)?;
/// let out = driver.output("out", StringSerde, StringSerde)?;
/// assert_eq!(out.read_values()?, ["nothing", "3 at 100", "4 of a probe"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type TimestampedWindowStoreWithHeaders<K, V> = TimestampedWindowStore<K, V, ValueTimestampHeaders<V>>;

/// Reads and writes shared by all of them; `shape` makes of a row what its store gives out.
struct Windows<K, V>(Typed<K, V, Raw>);

impl<K: 'static, V: 'static> Windows<K, V> {
    fn open(access: &StoreAccess, keeps: Keeps) -> Result<Self, String> {
        access.check(keeps)?;
        access
            .typed(access.context.state().window(&access.name), "window")
            .map(Self)
    }
}

impl<K: 'static, V: 'static> Handle for WindowStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        Windows::open(access, Keeps::Value).map(Self)
    }
}
impl<K: 'static, V: 'static, R: TimedRow<V>> Handle for TimestampedWindowStore<K, V, R> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        Windows::open(access, Keeps::of::<V, R>()).map(|windows| Self(windows, PhantomData))
    }
}

impl<K, V> Windows<K, V> {
    fn put(
        &self,
        key: &K,
        value: Option<&V>,
        start: i64,
        timestamp: i64,
        headers: Option<&Headers>,
    ) -> Result<bool, StoreFailure> {
        let context = self.0.context();
        let taken = self.0.with_row(key, value, headers, |key, value| {
            self.0.raw.put(key, value, start, timestamp, &context)
        })?;
        Ok(self.0.count_late(taken))
    }
    fn delete(&self, key: &K, start: i64) -> Result<bool, StoreFailure> {
        self.put(key, None, start, self.0.time(), None)
    }
    fn get<T>(&self, key: &K, start: i64, shape: fn(V, i64, Headers) -> T) -> Result<Option<T>, StoreFailure> {
        let found = self
            .0
            .read(key, |key, out| self.0.raw.get_with_headers(key, start, out))?;
        Ok(found.map(|(value, (timestamp, headers))| shape(value, timestamp, headers)))
    }
    fn value<T>(&self, row: WindowRow, shape: fn(V, i64, Headers) -> T) -> Result<T, StoreFailure> {
        Ok(shape(self.0.value(&row.value)?, row.timestamp, row.headers))
    }
    fn fetch<T>(
        &self,
        key: &K,
        (from, to): (i64, i64),
        reverse: bool,
        shape: fn(V, i64, Headers) -> T,
    ) -> Result<impl Iterator<Item = Result<(i64, T), StoreFailure>> + use<'_, K, V, T>, StoreFailure> {
        let rows = self
            .0
            .with_key(key, |key| Ok(self.0.raw.fetch(key, from, to, reverse)))?;
        Ok(rows.map(move |row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((row.start, self.value(row, shape)?))
        }))
    }
    fn fetch_range<T>(
        &self,
        keys: (Option<&K>, Option<&K>),
        (from, to): (i64, i64),
        reverse: bool,
        shape: fn(V, i64, Headers) -> T,
    ) -> Result<impl Iterator<Item = Result<(K, i64, T), StoreFailure>> + use<'_, K, V, T>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(keys.0)?, self.0.bytes(keys.1)?);
        let rows = self.0.raw.fetch_range(lo.as_deref(), hi.as_deref(), from, to, reverse);
        Ok(self.whole_rows(rows, shape))
    }
    fn whole_rows<T>(
        &self,
        rows: millstream_state::WindowRows,
        shape: fn(V, i64, Headers) -> T,
    ) -> impl Iterator<Item = Result<(K, i64, T), StoreFailure>> + use<'_, K, V, T> {
        rows.map(move |row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((self.0.key(&row.key)?, row.start, self.value(row, shape)?))
        })
    }
}

impl<K, V> WindowStore<K, V> {
    /// Sets (or with None deletes) the value of a key in the window that begins at `start`, milliseconds since the
    /// epoch. False: the window has expired, and nothing is changed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &WindowStore<String, i64>| {
    /// let a = "a".to_owned();
    /// assert!(store.put(&a, Some(&7), 10_000)?);
    /// assert_eq!(store.get(&a, 10_000)?, Some(7));
    /// store.put(&a, Some(&1), 200_000)?;
    /// assert!(!store.put(&a, Some(&8), 10_000)?, "more than the retention behind");
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&self, key: &K, value: Option<&V>, start: i64) -> Result<bool, StoreFailure> {
        self.0.put(key, value, start, self.0.0.time(), None)
    }
    /// The value of a key in the window that begins at `start`. Of duplicates, as in Kafka Streams, only what was put last into
    /// a store on disk is found: [`fetch`](Self::fetch) them.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &WindowStore<String, i64>| {
    /// let (a, time) = ("a".to_owned(), 12_345);
    /// let start = time - time % 10_000;
    /// store.put(&a, Some(&(store.get(&a, start)?.unwrap_or(0) + 7)), start)?;
    /// assert_eq!(store.get(&a, 10_000)?, Some(7));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &K, start: i64) -> Result<Option<V>, StoreFailure> {
        self.0.get(key, start, |value, _, _| value)
    }
    /// Windows of a key with `from <= start <= to`, as (start, value), or the last one first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &WindowStore<String, i64>| {
    /// let a = "a".to_owned();
    /// for (start, sum) in [(0, 1), (10_000, 2), (20_000, 3)] {
    ///     store.put(&a, Some(&sum), start)?;
    /// }
    /// assert_eq!(store.fetch(&a, 5_000, 20_000, false)?.collect::<Result<Vec<_>, _>>()?, [(10_000, 2), (20_000, 3)]);
    /// let newest = store.fetch(&a, 0, 20_000, true)?.next().transpose()?;
    /// assert_eq!(newest, Some((20_000, 3)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "backwardFetch")]
    pub fn fetch(
        &self,
        key: &K,
        from: i64,
        to: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(i64, V), StoreFailure>>, StoreFailure> {
        self.0.fetch(key, (from, to), reverse, |value, _, _| value)
    }
    /// Windows of the keys `lo <= key <= hi` (None = open, by the bytes of the key) with `from <= start <= to`, as
    /// (key, start, value). On disk they come by key and then start, in memory the other way round, as in Kafka
    /// Streams.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &WindowStore<String, i64>| {
    /// let [a, b, c] = ["a", "b", "c"].map(str::to_owned);
    /// for key in [&a, &b, &c] {
    ///     store.put(key, Some(&7), 10_000)?;
    /// }
    /// let some = store.fetch_range((Some(&a), Some(&b)), 10_000, 10_000, false)?.collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(some, [(a.clone(), 10_000, 7), (b.clone(), 10_000, 7)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "fetchAll")]
    #[doc(alias = "backwardFetch")]
    pub fn fetch_range(
        &self,
        keys: (Option<&K>, Option<&K>),
        from: i64,
        to: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, i64, V), StoreFailure>>, StoreFailure> {
        self.0.fetch_range(keys, (from, to), reverse, |value, _, _| value)
    }
    /// All windows as (key, start, value), or the last one first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &WindowStore<String, i64>| {
    /// let [a, b] = ["a", "b"].map(str::to_owned);
    /// store.put(&a, Some(&1), 10_000)?;
    /// store.put(&b, Some(&2), 20_000)?;
    /// let total = store.all(false).map(|row| row.map(|(_, _, sum)| sum)).sum::<Result<i64, _>>()?;
    /// assert_eq!(total, 3);
    /// let last = store.all(true).next().transpose()?;
    /// assert_eq!(last, Some((b, 20_000, 2)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "backwardAll")]
    pub fn all(&self, reverse: bool) -> impl Iterator<Item = Result<(K, i64, V), StoreFailure>> {
        self.0.whole_rows(self.0.0.raw.all(reverse), |value, _, _| value)
    }
}

impl<K, V> TimestampedWindowStore<K, V> {
    /// Sets value and timestamp of a key in the window that begins at `start`, both in milliseconds since the epoch.
    /// False: the window has expired, and nothing is changed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// let a = "a".to_owned();
    /// assert!(store.put(&a, &7, 10_000, 12_345)?);
    /// assert_eq!(store.get(&a, 10_000)?, Some(ValueAndTimestamp { value: 7, timestamp: 12_345 }));
    /// store.put(&a, &1, 200_000, 200_000)?;
    /// assert!(!store.put(&a, &8, 10_000, 12_345)?, "more than the retention behind");
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the timestamp is negative, or the store or a serde refuses.
    pub fn put(&self, key: &K, value: &V, start: i64, timestamp: i64) -> Result<bool, StoreFailure> {
        self.0.0.check_time(timestamp)?;
        self.0.put(key, Some(value), start, timestamp, None)
    }
}

impl<K, V> TimestampedWindowStoreWithHeaders<K, V> {
    /// Sets value, timestamp and headers of a key in the window that begins at `start`, both times in milliseconds
    /// since the epoch. False: the window has expired, and nothing is changed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::window_with_headers("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStoreWithHeaders<String, i64>| {
    /// let headers = Headers::new();
    /// headers.add("request", Some(b"r1"));
    /// assert!(store.put(&"a".to_owned(), &7, 10_000, 12_345, &headers)?);
    /// let row = store.get(&"a".to_owned(), 10_000)?.ok_or("not found")?;
    /// assert_eq!((row.value, row.timestamp, row.headers.len()), (7, 12_345, 1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the timestamp is negative, or the store or a serde refuses.
    pub fn put(&self, key: &K, value: &V, start: i64, timestamp: i64, headers: &Headers) -> Result<bool, StoreFailure> {
        self.0.0.check_time(timestamp)?;
        self.0.put(key, Some(value), start, timestamp, Some(headers))
    }
}

impl<K, V, R: TimedRow<V>> TimestampedWindowStore<K, V, R> {
    /// Deletes a window. False: it has expired. Kafka Streams: `put` of null.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// let a = "a".to_owned();
    /// store.put(&a, &7, 10_000, 12_345)?;
    /// assert!(store.delete(&a, 10_000)?);
    /// assert_eq!(store.get(&a, 10_000)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete(&self, key: &K, start: i64) -> Result<bool, StoreFailure> {
        self.0.delete(key, start)
    }
    /// The row of a key in the window that begins at `start`: value and timestamp, and headers where the store keeps
    /// them.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// let a = "a".to_owned();
    /// store.put(&a, &7, 10_000, 12_345)?;
    /// assert_eq!(store.get(&a, 10_000)?.map(|row| (row.value, row.timestamp)), Some((7, 12_345)));
    /// assert_eq!(store.get(&a, 20_000)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &K, start: i64) -> Result<Option<R>, StoreFailure> {
        self.0.get(key, start, R::of_row)
    }
    /// Windows of a key with `from <= start <= to`, as (start, row), or the last one first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// let a = "a".to_owned();
    /// for (start, sum) in [(0, 1), (10_000, 2), (20_000, 3)] {
    ///     store.put(&a, &sum, start, start)?;
    /// }
    /// let sums = store.fetch(&a, 5_000, 20_000, false)?.map(|row| row.map(|(_, sum)| sum.value));
    /// assert_eq!(sums.collect::<Result<Vec<_>, _>>()?, [2, 3]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "backwardFetch")]
    pub fn fetch(
        &self,
        key: &K,
        from: i64,
        to: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(i64, R), StoreFailure>>, StoreFailure> {
        self.0.fetch(key, (from, to), reverse, R::of_row)
    }
    /// Windows of several keys as (key, start, row); see [`WindowStore::fetch_range`].
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// for key in ["a", "b", "c"] {
    ///     store.put(&key.to_owned(), &7, 10_000, 12_345)?;
    /// }
    /// let b = "b".to_owned();
    /// let from_b = store.fetch_range((Some(&b), None), 0, 10_000, false)?;
    /// let keys = from_b.map(|row| row.map(|(key, _, _)| key)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, ["b", "c"]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "fetchAll")]
    #[doc(alias = "backwardFetch")]
    pub fn fetch_range(
        &self,
        keys: (Option<&K>, Option<&K>),
        from: i64,
        to: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, i64, R), StoreFailure>>, StoreFailure> {
        self.0.fetch_range(keys, (from, to), reverse, R::of_row)
    }
    /// All windows as (key, start, row), or the last one first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_window("sums", minutes(1), seconds(10), false);
    /// # with_store(kind, |store: &TimestampedWindowStore<String, i64>| {
    /// store.put(&"a".to_owned(), &1, 10_000, 12_345)?;
    /// store.put(&"b".to_owned(), &2, 20_000, 22_222)?;
    /// let (key, start, row) = store.all(true).next().ok_or("empty")??;
    /// assert_eq!((key.as_str(), start, row.timestamp), ("b", 20_000, 22_222));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "backwardAll")]
    pub fn all(&self, reverse: bool) -> impl Iterator<Item = Result<(K, i64, R), StoreFailure>> {
        self.0.whole_rows(self.0.0.raw.all(reverse), R::of_row)
    }
}
