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
    pub fn get(&self, key: &K) -> Result<Option<V>, StoreFailure> {
        self.0.get(key, only_value)
    }
    /// Sets the value of a key.
    pub fn put(&self, key: &K, value: &V) -> Result<(), StoreFailure> {
        self.0.put(key, value, self.0.0.time(), None)
    }
    /// Sets the value unless there is one, which is returned then.
    pub fn put_if_absent(&self, key: &K, value: &V) -> Result<Option<V>, StoreFailure> {
        let old = self.get(key)?;
        if old.is_none() {
            self.put(key, value)?;
        }
        Ok(old)
    }
    /// Removes a key and gives its value.
    pub fn delete(&self, key: &K) -> Result<Option<V>, StoreFailure> {
        self.0.delete(key, only_value)
    }
    /// Rows with `lo <= key <= hi` (None = open) by the bytes of the key. The store may be written meanwhile.
    pub fn range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        self.0.range(lo, hi, false, only_value)
    }
    /// [`range`](Self::range), last key first.
    pub fn reverse_range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        self.0.range(lo, hi, true, only_value)
    }
    /// All rows by the bytes of the key.
    pub fn all(&self) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        self.0.typed(self.0.0.raw.range(None, None, false), only_value)
    }
    /// All rows, last key first.
    #[doc(alias = "reverseAll")]
    pub fn reverse_all(&self) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        self.0.typed(self.0.0.raw.range(None, None, true), only_value)
    }
    /// Sets several values.
    #[doc(alias = "putAll")]
    pub fn put_all<'e>(&self, entries: impl IntoIterator<Item = (&'e K, &'e V)>) -> Result<(), StoreFailure>
    where
        K: 'e,
        V: 'e,
    {
        entries.into_iter().try_for_each(|(key, value)| self.put(key, value))
    }
    /// Rows whose key bytes begin with `prefix`.
    #[doc(alias = "prefixScan")]
    pub fn prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        self.0.typed(self.0.0.raw.prefix(prefix), only_value)
    }
    /// About how many rows there are.
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.approximate_count()
    }
}

impl<K, V> TimestampedKeyValueStore<K, V> {
    /// Sets value and timestamp of a key.
    pub fn put(&self, key: &K, value: &V, timestamp: i64) -> Result<(), StoreFailure> {
        self.0.put_timed(key, value, timestamp, None)
    }
    /// Sets value and timestamp unless there is a value, which is returned then.
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
    /// Sets value, timestamp and headers of a key.
    pub fn put(&self, key: &K, value: &V, timestamp: i64, headers: &Headers) -> Result<(), StoreFailure> {
        self.0.put_timed(key, value, timestamp, Some(headers))
    }
    /// Sets value, timestamp and headers unless there is a value, which is returned then.
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
    /// The row of a key.
    pub fn get(&self, key: &K) -> Result<Option<R>, StoreFailure> {
        self.0.get(key, R::of_row)
    }
    /// About how many rows there are.
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.approximate_count()
    }
    /// Removes a key and gives its row.
    pub fn delete(&self, key: &K) -> Result<Option<R>, StoreFailure> {
        self.0.delete(key, R::of_row)
    }
    /// Rows with `lo <= key <= hi` (None = open) by the bytes of the key, or last key first.
    pub fn range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, R), StoreFailure>>, StoreFailure> {
        self.0.range(lo, hi, reverse, R::of_row)
    }
    /// All rows by the bytes of the key.
    pub fn all(&self) -> impl Iterator<Item = Result<(K, R), StoreFailure>> {
        self.0.typed(self.0.0.raw.range(None, None, false), R::of_row)
    }
    /// Rows whose key bytes begin with `prefix`.
    pub fn prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(K, R), StoreFailure>> {
        self.0.typed(self.0.0.raw.prefix(prefix), R::of_row)
    }
}
