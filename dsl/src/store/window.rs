//! Window stores for processors.
use super::{Handle, StoreAccess, StoreFailure, access::Typed};

/// Key and time to value. Kafka Streams: `WindowStore`.
pub struct WindowStore<K, V>(Typed<K, V, millstream_state::WindowStore>);

impl<K: 'static, V: 'static> Handle for WindowStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        access
            .typed(access.context.state().window(&access.name), "window")
            .map(Self)
    }
}

impl<K, V> WindowStore<K, V> {
    /// Sets (or with None deletes) the value of a key in the window that begins at `start`. False: the window has expired.
    pub fn put(&self, key: &K, value: Option<&V>, start: i64) -> Result<bool, StoreFailure> {
        let context = self.0.context();
        let timestamp = self.0.time();
        let taken = self.0.with_key_and_value(key, value, |key, value| {
            self.0.raw.put(key, value, start, timestamp, &context)
        })?;
        Ok(self.0.count_late(taken))
    }
    /// The value of a key in the window that begins at `start`.
    pub fn get(&self, key: &K, start: i64) -> Result<Option<V>, StoreFailure> {
        Ok(self
            .0
            .read(key, |key, out| self.0.raw.get(key, start, out))?
            .map(|(value, _)| value))
    }
    /// Windows of a key with `from <= start <= to`, as (start, value).
    pub fn fetch(
        &self,
        key: &K,
        from: i64,
        to: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(i64, V), StoreFailure>>, StoreFailure> {
        let rows = self
            .0
            .with_key(key, |key| Ok(self.0.raw.fetch(key, from, to, reverse)))?;
        Ok(rows.map(|row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((row.start, self.0.value(&row.value)?))
        }))
    }
    /// Windows of the keys `lo <= key <= hi` (None = open, by the bytes of the key) with `from <= start <= to`, as (key,
    /// start, value). On disk they come by key and then start, in memory the other way round, as in Kafka Streams.
    #[doc(alias = "fetchAll")]
    #[doc(alias = "backwardFetch")]
    pub fn fetch_range(
        &self,
        keys: (Option<&K>, Option<&K>),
        from: i64,
        to: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, i64, V), StoreFailure>>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(keys.0)?, self.0.bytes(keys.1)?);
        let rows = self.0.raw.fetch_range(lo.as_deref(), hi.as_deref(), from, to, reverse);
        Ok(self.whole_rows(rows))
    }
    /// All windows as (key, start, value).
    pub fn all(&self, reverse: bool) -> impl Iterator<Item = Result<(K, i64, V), StoreFailure>> {
        self.whole_rows(self.0.raw.all(reverse))
    }
    fn whole_rows(
        &self,
        rows: millstream_state::WindowRows,
    ) -> impl Iterator<Item = Result<(K, i64, V), StoreFailure>> {
        rows.map(|row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((self.0.key(&row.key)?, row.start, self.0.value(&row.value)?))
        })
    }
}
