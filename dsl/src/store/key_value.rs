//! Key-value stores for processors.
use std::{marker::PhantomData, rc::Rc};

use millstream_state::Headers;

use super::{
    Handle, StoreAccess, StoreFailure, TimedRow, ValueAndTimestamp, ValueTimestampHeaders,
    access::{Keeps, Typed},
};

type Raw = millstream_state::KeyValueStore;

/// Key to value. Kafka Streams: `KeyValueStore`. A processor takes it in `init`: `ctx.store("counts")?`.
///
/// ```
/// # use millstream_dsl::{prelude::*, testing::with_store};
/// # with_store(Store::<String, i64>::key_value("counts"), |counts: &KeyValueStore<String, i64>| {
/// let [a, b, c] = ["a", "ab", "c"].map(str::to_owned);
/// counts.put(&a, &1)?;
/// counts.put_all([(&b, &2), (&c, &3)])?;
/// assert_eq!(counts.put_if_absent(&a, &9)?, Some(1));
/// assert_eq!(counts.get(&a)?, Some(1));
/// let keys = |rows: Vec<(String, i64)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
/// assert_eq!(keys(counts.all().collect::<Result<_, _>>()?), ["a", "ab", "c"]);
/// assert_eq!(keys(counts.reverse_all().collect::<Result<_, _>>()?), ["c", "ab", "a"]);
/// assert_eq!(keys(counts.range(Some(&b), None)?.collect::<Result<_, _>>()?), ["ab", "c"]);
/// assert_eq!(keys(counts.reverse_range(None, Some(&b))?.collect::<Result<_, _>>()?), ["ab", "a"]);
/// assert_eq!(keys(counts.prefix(b"a").collect::<Result<_, _>>()?), ["a", "ab"]);
/// assert_eq!(counts.delete(&a)?, Some(1));
/// assert_eq!(counts.get(&a)?, None);
/// # counts.approximate_count()?;
/// # Ok(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyValueStore<K, V>(Rows<K, V>);

/// Key to value and timestamp. Kafka Streams: `TimestampedKeyValueStore`.
///
/// ```
/// # use millstream_dsl::{prelude::*, testing::with_store};
/// # let store = Store::<String, i64>::timestamped_key_value("last");
/// # with_store(store, |last: &TimestampedKeyValueStore<String, i64>| {
/// let [a, ab] = ["a", "ab"].map(str::to_owned);
/// last.put(&a, &1, 1_000)?;
/// let row = ValueAndTimestamp { value: 1, timestamp: 1_000 };
/// assert_eq!(last.get(&a)?, Some(row));
/// assert_eq!(last.put_if_absent(&a, &2, 2_000)?, Some(row));
/// assert_eq!(last.put_if_absent(&ab, &2, 2_000)?, None);
/// let backwards = last.range(None, None, true)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(backwards[1], (a.clone(), row));
/// assert_eq!(last.all().count(), 2);
/// assert_eq!(last.prefix(b"ab").count(), 1);
/// assert_eq!(last.delete(&a)?, Some(row));
/// assert_eq!(last.get(&a)?, None);
/// # last.approximate_count()?;
/// # Ok(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// With another type of rows it is [`TimestampedKeyValueStoreWithHeaders`].
pub struct TimestampedKeyValueStore<K, V, R = ValueAndTimestamp<V>>(Rows<K, V>, PhantomData<fn() -> R>);

/// Key to value, timestamp and headers. Kafka Streams: `TimestampedKeyValueStoreWithHeaders`.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// /// Says which request a key's value came with before.
/// #[derive(Default)]
/// struct Before(Option<TimestampedKeyValueStoreWithHeaders<String, i64>>);
/// impl FixedKeyProcessor<String, i64, String> for Before {
///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, String>) -> Result<(), BoxError> {
///         self.0 = Some(ctx.store("last")?);
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, String>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         let store = self.0.as_ref().ok_or("no store")?;
///         let before = match store.get(record.key())? {
///             Some(row) => {
///                 let request = row.headers.last("request").and_then(|header| header.value);
///                 let request = String::from_utf8(request.unwrap_or_default().to_vec())?;
///                 format!("{} at {} of {request}", row.value, row.timestamp)
///             }
///             None => "nothing".to_owned(),
///         };
///         store.put(record.key(), record.value(), record.timestamp(), record.headers())?;
///         ctx.forward(record.with_value(&before))?;
///         Ok(())
///     }
/// }
/// let builder = StreamsBuilder::new();
/// let last = Processing::new().with_store(Store::<String, i64>::key_value_with_headers("last"));
/// builder
///     .stream::<String, i64>("in")
///     .process_values_with(Before::default, last)
///     .to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(1_000).header("request", "r1").pipe("a", 3)?;
/// input.at_ms(2_000).header("request", "r2").pipe("a", 4)?;
/// let out = driver.output("out", StringSerde, StringSerde)?;
/// assert_eq!(out.read_values()?, ["nothing", "3 at 1000 of r1"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type TimestampedKeyValueStoreWithHeaders<K, V> = TimestampedKeyValueStore<K, V, ValueTimestampHeaders<V>>;

/// Reads and writes shared by all of them; `shape` makes of a row what its store gives out.
struct Rows<K, V>(Typed<K, V, Raw>);

impl<K: 'static, V: 'static> Rows<K, V> {
    fn open(access: &StoreAccess, keeps: Keeps) -> Result<Self, String> {
        access.check(keeps)?;
        access
            .typed(access.context.state().key_value(&access.name), "key-value")
            .map(Self)
    }
}

impl<K: 'static, V: 'static> Handle for KeyValueStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        Rows::open(access, Keeps::Value).map(Self)
    }
}
impl<K: 'static, V: 'static, R: TimedRow<V>> Handle for TimestampedKeyValueStore<K, V, R> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        Rows::open(access, Keeps::of::<V, R>()).map(|rows| Self(rows, PhantomData))
    }
}

impl<K, V> Rows<K, V> {
    fn get<T>(&self, key: &K, shape: fn(V, i64, Headers) -> T) -> Result<Option<T>, StoreFailure> {
        let found = self.0.read(key, |key, out| self.0.raw.get_with_headers(key, out))?;
        Ok(found.map(|(value, (timestamp, headers))| shape(value, timestamp, headers)))
    }
    fn put(&self, key: &K, value: &V, timestamp: i64, headers: Option<&Headers>) -> Result<(), StoreFailure> {
        let context = self.0.context();
        self.0.with_row(key, Some(value), headers, |key, value| {
            self.0.raw.put(key, value, timestamp, &context)
        })
    }
    fn put_timed(&self, key: &K, value: &V, timestamp: i64, headers: Option<&Headers>) -> Result<(), StoreFailure> {
        self.0.check_time(timestamp)?;
        self.put(key, value, timestamp, headers)
    }
    fn delete<T>(&self, key: &K, shape: fn(V, i64, Headers) -> T) -> Result<Option<T>, StoreFailure> {
        let old = self.get(key, shape)?;
        let context = self.0.context();
        self.0
            .with_key(key, |key| self.0.raw.put(key, None, context.timestamp, &context))?;
        Ok(old)
    }
    fn typed<T>(
        &self,
        rows: millstream_state::Rows,
        shape: fn(V, i64, Headers) -> T,
    ) -> impl Iterator<Item = Result<(K, T), StoreFailure>> + use<'_, K, V, T> {
        rows.map(move |row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            let value = shape(self.0.value(&row.value)?, row.timestamp, row.headers);
            Ok((self.0.key(&row.key)?, value))
        })
    }
    fn range<T>(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
        reverse: bool,
        shape: fn(V, i64, Headers) -> T,
    ) -> Result<impl Iterator<Item = Result<(K, T), StoreFailure>> + use<'_, K, V, T>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(lo)?, self.0.bytes(hi)?);
        let raw: &Rc<Raw> = &self.0.raw;
        Ok(self.typed(raw.range(lo.as_deref(), hi.as_deref(), reverse), shape))
    }
    fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.raw.approximate_count().map_err(|e| self.0.failed(e))
    }
}

fn only_value<V>(value: V, _: i64, _: Headers) -> V {
    value
}

impl<K, V> KeyValueStore<K, V> {
    /// The value of a key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// store.put(&"a".to_owned(), &7)?;
    /// assert_eq!(store.get(&"a".to_owned())?, Some(7));
    /// assert_eq!(store.get(&"b".to_owned())?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &K) -> Result<Option<V>, StoreFailure> {
        self.0.get(key, only_value)
    }
    /// Sets the value of a key. The update goes to the changelog with the time of the record that is processed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// let a = "a".to_owned();
    /// let known = store.get(&a)?.unwrap_or(0);
    /// store.put(&a, &(known + 1))?;
    /// assert_eq!(store.get(&a)?, Some(1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&self, key: &K, value: &V) -> Result<(), StoreFailure> {
        self.0.put(key, value, self.0.0.time(), None)
    }
    /// Sets the value unless there is one, which is returned then.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// let a = "a".to_owned();
    /// assert_eq!(store.put_if_absent(&a, &1)?, None);
    /// assert_eq!(store.put_if_absent(&a, &2)?, Some(1), "the first one stays");
    /// assert_eq!(store.get(&a)?, Some(1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "putIfAbsent")]
    pub fn put_if_absent(&self, key: &K, value: &V) -> Result<Option<V>, StoreFailure> {
        let old = self.get(key)?;
        if old.is_none() {
            self.put(key, value)?;
        }
        Ok(old)
    }
    /// Removes a key and gives its value.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// let a = "a".to_owned();
    /// store.put(&a, &7)?;
    /// assert_eq!(store.delete(&a)?, Some(7));
    /// assert_eq!(store.get(&a)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete(&self, key: &K) -> Result<Option<V>, StoreFailure> {
        self.0.delete(key, only_value)
    }
    /// Rows with `lo <= key <= hi` (None = open) by the bytes of the key. The store may be written meanwhile.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// let [a, b, c] = ["a", "b", "c"].map(str::to_owned);
    /// store.put_all([(&a, &1), (&b, &2), (&c, &3)])?;
    /// for row in store.range(Some(&b), None)? {
    ///     let (key, _) = row?;
    ///     store.delete(&key)?;
    /// }
    /// assert_eq!(store.all().collect::<Result<Vec<_>, _>>()?, [(a, 1)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        self.0.range(lo, hi, false, only_value)
    }
    /// [`range`](Self::range), last key first: the newest where keys are times.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<i64, String>::key_value("events"), |store: &KeyValueStore<i64, String>| {
    /// for (time, event) in [(1_000, "on"), (2_000, "off"), (3_000, "on")] {
    ///     store.put(&time, &event.to_owned())?;
    /// }
    /// let last = store.reverse_range(None, Some(&2_500))?.next().ok_or("no event")??;
    /// assert_eq!(last, (2_000, "off".to_owned()));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reverseRange")]
    pub fn reverse_range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        self.0.range(lo, hi, true, only_value)
    }
    /// All rows by the bytes of the key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// for (key, n) in [("b", 2), ("a", 1)] {
    ///     store.put(&key.to_owned(), &n)?;
    /// }
    /// let rows = store.all().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(rows, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        self.0.typed(self.0.0.raw.range(None, None, false), only_value)
    }
    /// All rows, last key first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// for (key, n) in [("a", 1), ("b", 2)] {
    ///     store.put(&key.to_owned(), &n)?;
    /// }
    /// let rows = store.reverse_all().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(rows, [("b".to_owned(), 2), ("a".to_owned(), 1)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reverseAll")]
    pub fn reverse_all(&self) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        self.0.typed(self.0.0.raw.range(None, None, true), only_value)
    }
    /// Sets several values, one after the other: at an error, those before it are set.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// let [a, b] = ["a", "b"].map(str::to_owned);
    /// store.put_all([(&a, &1), (&b, &2)])?;
    /// assert_eq!((store.get(&a)?, store.get(&b)?), (Some(1), Some(2)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "putAll")]
    pub fn put_all<'e>(&self, entries: impl IntoIterator<Item = (&'e K, &'e V)>) -> Result<(), StoreFailure>
    where
        K: 'e,
        V: 'e,
    {
        entries.into_iter().try_for_each(|(key, value)| self.put(key, value))
    }
    /// Rows whose key bytes begin with `prefix`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::key_value("counts"), |store: &KeyValueStore<String, i64>| {
    /// for (path, hits) in [("/shop/tea", 1), ("/shop/cups", 2), ("/about", 3)] {
    ///     store.put(&path.to_owned(), &hits)?;
    /// }
    /// let of_the_shop = store.prefix(b"/shop/").map(|row| row.map(|(_, hits)| hits)).sum::<Result<i64, _>>()?;
    /// assert_eq!(of_the_shop, 3);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "prefixScan")]
    pub fn prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        self.0.typed(self.0.0.raw.prefix(prefix), only_value)
    }
    /// About how many rows there are: an estimate on disk, and what has not been committed is not counted.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # struct Known;
    /// # impl FixedKeyProcessor<String, i64, i64> for Known {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let store: KeyValueStore<String, i64> = ctx.store("known")?;
    /// // In `process`, where each record is followed by a commit:
    /// let known = store.approximate_count()?;
    /// store.put(record.key(), record.value())?;
    /// ctx.forward(record.with_value(&i64::try_from(known)?))?;
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let builder = StreamsBuilder::new();
    /// # let processing = Processing::new().with_store(Store::<String, i64>::key_value("known"));
    /// # builder.stream::<String, i64>("in").process_values_with(|| Known, processing).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for key in ["a", "b", "a", "c"] {
    ///     input.pipe(key, 1)?;
    /// #   driver.state()?; // or else the driver puts it off
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [0, 1, 2, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.approximate_count()
    }
}

impl<K, V> TimestampedKeyValueStore<K, V> {
    /// Sets value and timestamp (milliseconds since the epoch) of a key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// let a = "a".to_owned();
    /// store.put(&a, &7, 1_000)?;
    /// assert_eq!(store.get(&a)?, Some(ValueAndTimestamp { value: 7, timestamp: 1_000 }));
    /// assert!(store.put(&a, &8, -1).is_err());
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the timestamp is negative, or the store or a serde refuses.
    pub fn put(&self, key: &K, value: &V, timestamp: i64) -> Result<(), StoreFailure> {
        self.0.put_timed(key, value, timestamp, None)
    }
    /// Sets value and timestamp unless there is a value, which is returned then.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("first");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// let a = "a".to_owned();
    /// assert_eq!(store.put_if_absent(&a, &7, 1_000)?, None);
    /// let first = Some(ValueAndTimestamp { value: 7, timestamp: 1_000 });
    /// assert_eq!(store.put_if_absent(&a, &8, 2_000)?, first);
    /// assert_eq!(store.get(&a)?, first);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "putIfAbsent")]
    pub fn put_if_absent(
        &self,
        key: &K,
        value: &V,
        timestamp: i64,
    ) -> Result<Option<ValueAndTimestamp<V>>, StoreFailure> {
        self.unless_present(key, || self.put(key, value, timestamp))
    }
}

impl<K, V> TimestampedKeyValueStoreWithHeaders<K, V> {
    /// Sets value, timestamp (milliseconds since the epoch) and headers of a key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::key_value_with_headers("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStoreWithHeaders<String, i64>| {
    /// let headers = Headers::new();
    /// headers.add("request", Some(b"r1"));
    /// store.put(&"a".to_owned(), &7, 1_000, &headers)?;
    /// let row = store.get(&"a".to_owned())?.ok_or("not found")?;
    /// assert_eq!((row.value, row.timestamp, row.headers.last("request").is_some()), (7, 1_000, true));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the timestamp is negative, or the store or a serde refuses.
    pub fn put(&self, key: &K, value: &V, timestamp: i64, headers: &Headers) -> Result<(), StoreFailure> {
        self.0.put_timed(key, value, timestamp, Some(headers))
    }
    /// Sets value, timestamp and headers unless there is a value, which is returned then.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::key_value_with_headers("first");
    /// # with_store(kind, |store: &TimestampedKeyValueStoreWithHeaders<String, i64>| {
    /// let (a, none) = ("a".to_owned(), Headers::new());
    /// assert_eq!(store.put_if_absent(&a, &7, 1_000, &none)?, None);
    /// assert_eq!(store.put_if_absent(&a, &8, 2_000, &none)?.map(|row| row.value), Some(7));
    /// assert_eq!(store.get(&a)?.map(|row| row.timestamp), Some(1_000));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "putIfAbsent")]
    pub fn put_if_absent(
        &self,
        key: &K,
        value: &V,
        timestamp: i64,
        headers: &Headers,
    ) -> Result<Option<ValueTimestampHeaders<V>>, StoreFailure> {
        self.unless_present(key, || self.put(key, value, timestamp, headers))
    }
}

impl<K, V, R: TimedRow<V>> TimestampedKeyValueStore<K, V, R> {
    fn unless_present(
        &self,
        key: &K,
        put: impl FnOnce() -> Result<(), StoreFailure>,
    ) -> Result<Option<R>, StoreFailure> {
        let old = self.get(key)?;
        if old.is_none() {
            put()?;
        }
        Ok(old)
    }
    /// The row of a key: value and timestamp, and headers where the store keeps them.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// store.put(&"a".to_owned(), &7, 1_000)?;
    /// let row = store.get(&"a".to_owned())?.ok_or("not found")?;
    /// assert_eq!((row.value, row.timestamp), (7, 1_000));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &K) -> Result<Option<R>, StoreFailure> {
        self.0.get(key, R::of_row)
    }
    /// About how many rows there are: an estimate on disk, and what has not been committed is not counted.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # struct Known;
    /// # impl FixedKeyProcessor<String, i64, i64> for Known {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let store: TimestampedKeyValueStore<String, i64> = ctx.store("known")?;
    /// // In `process`, where each record is followed by a commit:
    /// let known = store.approximate_count()?;
    /// store.put(record.key(), record.value(), record.timestamp())?;
    /// ctx.forward(record.with_value(&i64::try_from(known)?))?;
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let builder = StreamsBuilder::new();
    /// # let processing = Processing::new().with_store(Store::<String, i64>::timestamped_key_value("known"));
    /// # builder.stream::<String, i64>("in").process_values_with(|| Known, processing).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for key in ["a", "b", "a", "c"] {
    ///     input.pipe(key, 1)?;
    /// #   driver.state()?; // or else the driver puts it off
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [0, 1, 2, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.approximate_count()
    }
    /// Removes a key and gives its row.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// let a = "a".to_owned();
    /// store.put(&a, &7, 1_000)?;
    /// assert_eq!(store.delete(&a)?, Some(ValueAndTimestamp { value: 7, timestamp: 1_000 }));
    /// assert_eq!(store.get(&a)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete(&self, key: &K) -> Result<Option<R>, StoreFailure> {
        self.0.delete(key, R::of_row)
    }
    /// Rows with `lo <= key <= hi` (None = open) by the bytes of the key, or last key first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// for (key, time) in [("a", 1_000), ("b", 2_000), ("c", 3_000)] {
    ///     store.put(&key.to_owned(), &1, time)?;
    /// }
    /// let rows = store.range(Some(&"b".to_owned()), None, true)?.collect::<Result<Vec<_>, _>>()?;
    /// let times: Vec<i64> = rows.iter().map(|(_, row)| row.timestamp).collect();
    /// assert_eq!(times, [3_000, 2_000]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reverseRange")]
    pub fn range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, R), StoreFailure>>, StoreFailure> {
        self.0.range(lo, hi, reverse, R::of_row)
    }
    /// All rows by the bytes of the key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// for (key, time) in [("b", 2_000), ("a", 1_000)] {
    ///     store.put(&key.to_owned(), &1, time)?;
    /// }
    /// // What has not been heard of for a while, for example in a punctuation.
    /// for row in store.all() {
    ///     let (key, last) = row?;
    ///     if last.timestamp < 1_500 {
    ///         store.delete(&key)?;
    ///     }
    /// }
    /// assert_eq!(store.all().count(), 1);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self) -> impl Iterator<Item = Result<(K, R), StoreFailure>> {
        self.0.typed(self.0.0.raw.range(None, None, false), R::of_row)
    }
    /// Rows whose key bytes begin with `prefix`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::timestamped_key_value("last");
    /// # with_store(kind, |store: &TimestampedKeyValueStore<String, i64>| {
    /// for path in ["/shop/tea", "/shop/cups", "/about"] {
    ///     store.put(&path.to_owned(), &1, 1_000)?;
    /// }
    /// assert_eq!(store.prefix(b"/shop/").count(), 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "prefixScan")]
    pub fn prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(K, R), StoreFailure>> {
        self.0.typed(self.0.0.raw.prefix(prefix), R::of_row)
    }
}
