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
    /// Sets (or with None ends) the value from `timestamp` (milliseconds since the epoch) on. Gives the end of its
    /// validity: -1 undefined, `i64::MIN` not put, because the time is behind the history.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::versioned("prices", hours(1));
    /// # with_store(kind, |store: &VersionedKeyValueStore<String, i64>| {
    /// let tea = "tea".to_owned();
    /// assert_eq!(store.put(&tea, Some(&5), 2_000)?, -1);
    /// assert_eq!(store.put(&tea, Some(&3), 1_000)?, 2_000, "a late one is valid until the next one");
    /// store.put(&tea, None, 3_000)?;
    /// assert_eq!(store.get(&tea)?, None, "not sold any more");
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&self, key: &K, value: Option<&V>, timestamp: i64) -> Result<i64, StoreFailure> {
        let context = self.0.context();
        let end = self
            .0
            .with_key_and_value(key, value, |key, value| self.0.raw.put(key, value, timestamp, &context))?;
        self.0.count_late(end != i64::MIN);
        Ok(end)
    }
    /// Ends the value at `timestamp` and gives what was valid then. None also where the time is behind the history:
    /// then nothing is changed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::versioned("prices", hours(1));
    /// # with_store(kind, |store: &VersionedKeyValueStore<String, i64>| {
    /// let tea = "tea".to_owned();
    /// store.put(&tea, Some(&3), 1_000)?;
    /// assert_eq!(store.delete(&tea, 2_000)?.map(|price| price.value), Some(3));
    /// assert_eq!(store.get(&tea)?, None);
    /// assert_eq!(store.get_as_of(&tea, 1_500)?.map(|price| price.value), Some(3));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete(&self, key: &K, timestamp: i64) -> Result<Option<VersionedRecord<V>>, StoreFailure> {
        let old = self.get_as_of(key, timestamp)?;
        let end = self.put(key, None, timestamp)?;
        Ok(old.filter(|_| end != i64::MIN))
    }
    /// The newest value.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::versioned("prices", hours(1));
    /// # with_store(kind, |store: &VersionedKeyValueStore<String, i64>| {
    /// let tea = "tea".to_owned();
    /// store.put(&tea, Some(&5), 2_000)?;
    /// store.put(&tea, Some(&3), 1_000)?;
    /// assert_eq!(store.get(&tea)?.map(|price| (price.value, price.valid_from)), Some((5, 2_000)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &K) -> Result<Option<VersionedRecord<V>>, StoreFailure> {
        let row = self.0.with_key(key, |key| self.0.raw.get(key))?;
        row.map(|row| self.record(&row)).transpose()
    }
    /// The value valid at `timestamp`, milliseconds since the epoch. None also where the time is behind the history.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::versioned("prices", hours(1));
    /// # with_store(kind, |store: &VersionedKeyValueStore<String, i64>| {
    /// let tea = "tea".to_owned();
    /// store.put(&tea, Some(&3), 1_000)?;
    /// store.put(&tea, Some(&5), 2_000)?;
    /// let price = store.get_as_of(&tea, 1_999)?.ok_or("not sold then")?;
    /// assert_eq!((price.value, price.valid_to), (3, Some(2_000)));
    /// assert_eq!(store.get_as_of(&tea, 999)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
