//! Key-value stores for processors.
use std::rc::Rc;

use super::{Handle, StoreAccess, StoreFailure, access::Typed};

type Raw = millstream_state::KeyValueStore;

/// Key to value. Kafka Streams: `KeyValueStore`.
pub struct KeyValueStore<K, V>(Typed<K, V, Raw>);

/// Key to value and timestamp. Kafka Streams: `TimestampedKeyValueStore`.
pub struct TimestampedKeyValueStore<K, V>(Typed<K, V, Raw>);

/// A value and when it was valid from. Kafka Streams: `ValueAndTimestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl<K: 'static, V: 'static> Handle for KeyValueStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        access
            .typed(access.context.state().key_value(&access.name), "key-value")
            .map(Self)
    }
}
impl<K: 'static, V: 'static> Handle for TimestampedKeyValueStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        use millstream_state::StoreKind::{KeyValue, Lru};
        if !matches!(
            access.kind,
            Some(KeyValue { timestamped: true } | Lru { timestamped: true, .. })
        ) {
            return Err("its rows have no timestamps".to_owned());
        }
        access
            .typed(access.context.state().key_value(&access.name), "key-value")
            .map(Self)
    }
}

/// Reads shared by both kinds.
fn rows<'a, K, V>(
    typed: &'a Typed<K, V, Raw>,
    rows: millstream_state::Rows,
) -> impl Iterator<Item = Result<(K, ValueAndTimestamp<V>), StoreFailure>> + use<'a, K, V> {
    rows.map(|row| {
        let row = row.map_err(|e| typed.failed(e))?;
        let value = ValueAndTimestamp {
            value: typed.value(&row.value)?,
            timestamp: row.timestamp,
        };
        Ok((typed.key(&row.key)?, value))
    })
}

impl<K, V> KeyValueStore<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Result<Option<V>, StoreFailure> {
        Ok(self
            .0
            .read(key, |key, out| self.0.raw.get(key, out))?
            .map(|(value, _)| value))
    }
    /// Sets the value of a key.
    pub fn put(&self, key: &K, value: &V) -> Result<(), StoreFailure> {
        self.write(key, Some(value))
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
        let old = self.get(key)?;
        self.write(key, None)?;
        Ok(old)
    }
    fn write(&self, key: &K, value: Option<&V>) -> Result<(), StoreFailure> {
        let context = self.0.context();
        self.0.with_key_and_value(key, value, |key, value| {
            self.0.raw.put(key, value, context.timestamp, &context)
        })
    }
    /// Rows with `lo <= key <= hi` (None = open) by the bytes of the key. The store may be written meanwhile.
    pub fn range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        self.scan(lo, hi, false)
    }
    /// [`range`](Self::range), last key first.
    pub fn reverse_range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        self.scan(lo, hi, true)
    }
    fn scan(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreFailure>>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(lo)?, self.0.bytes(hi)?);
        let raw: &Rc<Raw> = &self.0.raw;
        Ok(rows(&self.0, raw.range(lo.as_deref(), hi.as_deref(), reverse)).map(|r| r.map(|(k, v)| (k, v.value))))
    }
    /// All rows by the bytes of the key.
    pub fn all(&self) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        rows(&self.0, self.0.raw.range(None, None, false)).map(|r| r.map(|(k, v)| (k, v.value)))
    }
    /// All rows, last key first.
    #[doc(alias = "reverseAll")]
    pub fn reverse_all(&self) -> impl Iterator<Item = Result<(K, V), StoreFailure>> {
        rows(&self.0, self.0.raw.range(None, None, true)).map(|r| r.map(|(k, v)| (k, v.value)))
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
        rows(&self.0, self.0.raw.prefix(prefix)).map(|r| r.map(|(k, v)| (k, v.value)))
    }
    /// About how many rows there are.
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.raw.approximate_count().map_err(|e| self.0.failed(e))
    }
}

impl<K, V> TimestampedKeyValueStore<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, StoreFailure> {
        let found = self.0.read(key, |key, out| self.0.raw.get(key, out))?;
        Ok(found.map(|(value, timestamp)| ValueAndTimestamp { value, timestamp }))
    }
    /// Sets value and timestamp of a key.
    pub fn put(&self, key: &K, value: &V, timestamp: i64) -> Result<(), StoreFailure> {
        self.0.check_time(timestamp)?;
        let context = self.0.context();
        self.0.with_key_and_value(key, Some(value), |key, value| {
            self.0.raw.put(key, value, timestamp, &context)
        })
    }
    /// Sets value and timestamp unless there is a value, which is returned then.
    pub fn put_if_absent(
        &self,
        key: &K,
        value: &V,
        timestamp: i64,
    ) -> Result<Option<ValueAndTimestamp<V>>, StoreFailure> {
        let old = self.get(key)?;
        if old.is_none() {
            self.put(key, value, timestamp)?;
        }
        Ok(old)
    }
    /// About how many rows there are.
    #[doc(alias = "approximateNumEntries")]
    pub fn approximate_count(&self) -> Result<u64, StoreFailure> {
        self.0.raw.approximate_count().map_err(|e| self.0.failed(e))
    }
    /// Removes a key and gives its value.
    pub fn delete(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, StoreFailure> {
        let old = self.get(key)?;
        let context = self.0.context();
        self.0
            .with_key(key, |key| self.0.raw.put(key, None, context.timestamp, &context))?;
        Ok(old)
    }
    /// Rows with `lo <= key <= hi` (None = open) by the bytes of the key, or last key first.
    pub fn range(
        &self,
        lo: Option<&K>,
        hi: Option<&K>,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, ValueAndTimestamp<V>), StoreFailure>>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(lo)?, self.0.bytes(hi)?);
        let raw: &Rc<Raw> = &self.0.raw;
        Ok(rows(&self.0, raw.range(lo.as_deref(), hi.as_deref(), reverse)))
    }
    /// All rows by the bytes of the key.
    pub fn all(&self) -> impl Iterator<Item = Result<(K, ValueAndTimestamp<V>), StoreFailure>> {
        rows(&self.0, self.0.raw.range(None, None, false))
    }
    /// Rows whose key bytes begin with `prefix`.
    pub fn prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(K, ValueAndTimestamp<V>), StoreFailure>> {
        rows(&self.0, self.0.raw.prefix(prefix))
    }
}
