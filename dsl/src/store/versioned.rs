//! Versioned stores for processors.
use super::{Handle, StoreAccess, StoreFailure, access::Typed};

/// Key and time to the value valid then. Kafka Streams: `VersionedKeyValueStore`.
///
/// ```
/// # use millstream_dsl::{prelude::*, store::VersionedRecord, testing::with_store};
/// # let store = Store::<String, i64>::versioned("prices", hours(1));
/// # with_store(store, |prices: &VersionedKeyValueStore<String, i64>| {
/// let a = "a".to_owned();
/// prices.put(&a, Some(&10), 1_000)?;
/// prices.put(&a, Some(&30), 3_000)?;
/// assert_eq!(prices.put(&a, Some(&20), 2_000)?, 3_000, "until when it is valid");
/// let row = |value, valid_from, valid_to| Some(VersionedRecord { value, valid_from, valid_to });
/// assert_eq!(prices.get(&a)?, row(30, 3_000, None));
/// assert_eq!(prices.get_as_of(&a, 2_500)?, row(20, 2_000, Some(3_000)));
/// assert_eq!(prices.get_as_of(&a, 500)?, None);
/// assert_eq!(prices.delete(&a, 4_000)?, row(30, 3_000, None));
/// assert_eq!(prices.get(&a)?, None);
/// # Ok(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VersionedKeyValueStore<K, V>(Typed<K, V, millstream_state::VersionedStore>);

/// A value with its time of validity. Kafka Streams: `VersionedRecord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionedRecord<V> {
    /// The value.
    pub value: V,
    /// Milliseconds since the epoch, inclusive.
    pub valid_from: i64,
    /// Milliseconds since the epoch, exclusive; None: still valid.
    pub valid_to: Option<i64>,
}

impl<K: 'static, V: 'static> Handle for VersionedKeyValueStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        access
            .typed(access.context.state().versioned(&access.name), "versioned")
            .map(Self)
    }
}

impl<K, V> VersionedKeyValueStore<K, V> {
    /// Sets (or with None ends) the value from `timestamp` on. Gives the end of validity: -1 undefined, `i64::MIN` not put.
    pub fn put(&self, key: &K, value: Option<&V>, timestamp: i64) -> Result<i64, StoreFailure> {
        let context = self.0.context();
        let end = self
            .0
            .with_key_and_value(key, value, |key, value| self.0.raw.put(key, value, timestamp, &context))?;
        self.0.count_late(end != i64::MIN);
        Ok(end)
    }
    /// Ends the value at `timestamp` and gives what was valid then. None also where the time is behind the history: then
    /// nothing is changed.
    pub fn delete(&self, key: &K, timestamp: i64) -> Result<Option<VersionedRecord<V>>, StoreFailure> {
        let old = self.get_as_of(key, timestamp)?;
        let end = self.put(key, None, timestamp)?;
        Ok(old.filter(|_| end != i64::MIN))
    }
    /// The newest value.
    pub fn get(&self, key: &K) -> Result<Option<VersionedRecord<V>>, StoreFailure> {
        let row = self.0.with_key(key, |key| self.0.raw.get(key))?;
        row.map(|row| self.record(&row)).transpose()
    }
    /// The value valid at `timestamp`.
    pub fn get_as_of(&self, key: &K, timestamp: i64) -> Result<Option<VersionedRecord<V>>, StoreFailure> {
        let row = self.0.with_key(key, |key| self.0.raw.get_as_of(key, timestamp))?;
        row.map(|row| self.record(&row)).transpose()
    }
    fn record(&self, row: &millstream_state::VersionedRow) -> Result<VersionedRecord<V>, StoreFailure> {
        Ok(VersionedRecord {
            value: self.0.value(&row.value)?,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
        })
    }
}
