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
    /// All windows as (key, start, value).
    pub fn all(&self, reverse: bool) -> impl Iterator<Item = Result<(K, i64, V), StoreFailure>> {
        self.0.raw.all(reverse).map(|row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((self.0.key(&row.key)?, row.start, self.0.value(&row.value)?))
        })
    }
}
