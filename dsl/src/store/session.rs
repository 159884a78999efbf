//! Session stores for processors.
use crate::window::Window;

use super::{Handle, StoreAccess, StoreFailure, access::Typed};

/// Key and session to aggregate. Kafka Streams: `SessionStore`.
pub struct SessionStore<K, V>(Typed<K, V, millstream_state::SessionStore>);

impl<K: 'static, V: 'static> Handle for SessionStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        access
            .typed(access.context.state().session(&access.name), "session")
            .map(Self)
    }
}

impl<K, V> SessionStore<K, V> {
    /// Sets (or with None removes) the aggregate of a session. False: the session has expired.
    pub fn put(&self, key: &K, session: Window, value: Option<&V>) -> Result<bool, StoreFailure> {
        self.0.check_time(session.start)?;
        let context = self.0.context();
        let taken = self.0.with_key_and_value(key, value, |key, value| {
            self.0.raw.put(key, session.start, session.end, value, &context)
        })?;
        Ok(self.0.count_late(taken))
    }
    /// Removes a session.
    pub fn remove(&self, key: &K, session: Window) -> Result<bool, StoreFailure> {
        self.put(key, session, None)
    }
    /// The aggregate of exactly this session.
    pub fn get(&self, key: &K, session: Window) -> Result<Option<V>, StoreFailure> {
        let found = self.0.read(key, |key, out| {
            Ok(self.0.raw.get(key, session.start, session.end, out)?.then_some(()))
        })?;
        Ok(found.map(|(value, ())| value))
    }
    /// Sessions of a key that end at or after `earliest_end` and start at or before `latest_start`.
    #[doc(alias = "findSessions")]
    pub fn find(
        &self,
        key: &K,
        earliest_end: i64,
        latest_start: i64,
    ) -> Result<impl Iterator<Item = Result<(Window, V), StoreFailure>>, StoreFailure> {
        let rows = self.0.with_key(key, |key| {
            Ok(self.0.raw.find(Some(key), Some(key), earliest_end, latest_start, false))
        })?;
        Ok(rows.map(|row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((
                Window {
                    start: row.start,
                    end: row.end,
                },
                self.0.value(&row.value)?,
            ))
        }))
    }
    /// Sessions of the keys `lo <= key <= hi` (None = open, by the bytes of the key) that end at or after `earliest_end` and
    /// start at or before `latest_start`.
    #[doc(alias = "backwardFindSessions")]
    pub fn find_range(
        &self,
        keys: (Option<&K>, Option<&K>),
        earliest_end: i64,
        latest_start: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, Window, V), StoreFailure>>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(keys.0)?, self.0.bytes(keys.1)?);
        let rows = self
            .0
            .raw
            .find(lo.as_deref(), hi.as_deref(), earliest_end, latest_start, reverse);
        Ok(rows.map(|row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            let window = Window {
                start: row.start,
                end: row.end,
            };
            Ok((self.0.key(&row.key)?, window, self.0.value(&row.value)?))
        }))
    }
    /// All sessions of a key.
    pub fn fetch(&self, key: &K) -> Result<impl Iterator<Item = Result<(Window, V), StoreFailure>>, StoreFailure> {
        self.find(key, 0, i64::MAX)
    }
}
