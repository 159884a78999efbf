//! The store of a table: the newest row of each key, or its history.
use std::rc::Rc;

use millstream_state::{CachedUpdate, KeyValueStore, Result, UpdateContext, VersionedStore};

/// What became of an update that was written to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is the newest row of its key.
    Newest,
    /// It is history: there is a row from a later time.
    Older,
    /// It is older than the history that is kept.
    Refused,
}

/// A store as tables use it.
#[derive(Clone)]
pub(crate) enum TableStore {
    /// The newest row, in the order of arrival.
    Plain(Rc<KeyValueStore>),
    /// All rows within the history retention, in the order of time.
    Versioned(Rc<VersionedStore>),
}

/// What `put` gives for the newest version, and for one that is too old: the return codes of Kafka Streams.
const IS_NEWEST: i64 = -1;
const NOT_PUT: i64 = i64::MIN;

impl TableStore {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Plain(store) => store.name(),
            Self::Versioned(store) => store.name(),
        }
    }
    #[inline]
    pub(crate) fn is_cached(&self) -> bool {
        match self {
            Self::Plain(store) => store.is_cached(),
            Self::Versioned(_) => false,
        }
    }
    /// Reads the newest row into `buffer`; its timestamp.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<Option<i64>> {
        match self {
            Self::Plain(store) => store.get(key, buffer),
            Self::Versioned(store) => Ok(store.get(key)?.map(|row| copy(&row.value, row.valid_from, buffer))),
        }
    }
    /// Reads the row that was valid at a time; without history the newest one.
    #[inline]
    pub(crate) fn get_as_of(&self, key: &[u8], timestamp: i64, buffer: &mut Vec<u8>) -> Result<Option<i64>> {
        match self {
            Self::Plain(store) => store.get(key, buffer),
            Self::Versioned(store) => {
                let row = store.get_as_of(key, timestamp)?;
                Ok(row.map(|row| copy(&row.value, row.valid_from, buffer)))
            }
        }
    }
    #[inline]
    pub(crate) fn put(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: i64,
        context: &dyn UpdateContext,
    ) -> Result<Placed> {
        match self {
            Self::Plain(store) => store.put(key, value, timestamp, context).map(|()| Placed::Newest),
            Self::Versioned(store) => Ok(match store.put(key, value, timestamp, context)? {
                IS_NEWEST => Placed::Newest,
                NOT_PUT => Placed::Refused,
                _ => Placed::Older,
            }),
        }
    }
    pub(crate) fn flush_cache(&self, f: &mut dyn FnMut(CachedUpdate<'_>) -> Result<()>) -> Result<()> {
        match self {
            Self::Plain(store) => store.flush_cache(f),
            Self::Versioned(_) => Ok(()),
        }
    }
}

fn copy(value: &[u8], timestamp: i64, buffer: &mut Vec<u8>) -> i64 {
    buffer.clear();
    buffer.extend_from_slice(value);
    timestamp
}
