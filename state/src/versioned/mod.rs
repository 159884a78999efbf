//! The history of each key: which value did it have when?
mod rows;

use std::cell::{Cell, RefCell};
use std::ops::Bound;
use std::rc::Rc;

use crate::core::Core;
use crate::{Result, StoreIndex, StoreKind, UpdateContext};

pub(crate) use self::rows::Rows;
#[cfg(test)]
pub(crate) use self::rows::Version;
use self::rows::{newest_key, note_key, noted, segment_start};

/// Put was refused: older than the history retention.
pub(crate) const NOT_PUT: i64 = i64::MIN;
/// The version put is the newest one.
pub(crate) const VALID_TO_UNDEFINED: i64 = -1;

/// A put works off so many notes, so that no single one stands still for all keys of a segment.
const NOTES_PER_PUT: usize = 16;

/// How long versions are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) history_ms: i64,
    segment_ms: i64,
}

impl Retention {
    pub(crate) fn of(kind: &StoreKind) -> Self {
        match *kind {
            StoreKind::Versioned {
                history_retention_ms,
                segment_interval_ms,
            } => Self {
                history_ms: history_retention_ms,
                segment_ms: segment_interval_ms.max(1),
            },
            _ => Self {
                history_ms: 0,
                segment_ms: 1,
            },
        }
    }

    pub(crate) fn segment(self, time: i64) -> i64 {
        time.max(0) / self.segment_ms
    }

    fn first_alive(self, observed: i64) -> i64 {
        self.segment(self.oldest(observed))
    }

    /// Superseded versions below this row have expired.
    pub(crate) fn expired_below(self, observed: i64) -> [u8; 9] {
        segment_start(self.first_alive(observed))
    }

    /// The oldest time that is still answered for.
    pub(crate) fn oldest(self, observed: i64) -> i64 {
        observed.saturating_sub(self.history_ms)
    }
}

/// A version of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedRow {
    /// Value bytes.
    pub value: Rc<[u8]>,
    /// First moment at which it was valid.
    pub valid_from: i64,
    /// First moment at which it was not any more; `None`: it is the newest.
    pub valid_to: Option<i64>,
}

/// The history of each key. Kafka Streams: `VersionedKeyValueStore`.
pub struct VersionedStore {
    core: Rc<Core>,
    retention: Retention,
    reclaimed: RefCell<Reclaimed>,
    /// Where rows are composed.
    row: Cell<Vec<u8>>,
}

/// Up to which row notes have been worked off. A discard brings back what was deleted.
#[derive(Default)]
struct Reclaimed {
    until: Vec<u8>,
    /// All notes of segments before this one.
    before: i64,
    life: u64,
}

impl VersionedStore {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        let retention = Retention::of(&core.spec.kind);
        Self {
            core,
            retention,
            reclaimed: RefCell::default(),
            row: Cell::default(),
        }
    }

    /// Index among the stores of the task.
    pub fn index(&self) -> StoreIndex {
        self.core.index
    }

    /// Name of the store.
    pub fn name(&self) -> &str {
        &self.core.spec.name
    }

    /// Adds a version. Gives the end of its validity, -1 if it is the newest, `i64::MIN` if it is too old to be kept:
    /// the return codes of Kafka Streams.
    ///
    /// # Errors
    /// Of the database or the changelog.
    pub fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, context: &dyn UpdateContext) -> Result<i64> {
        self.core.check_writable()?;
        let observed = self.core.observe(timestamp);
        let valid_to = if timestamp < self.retention.oldest(observed) {
            NOT_PUT
        } else {
            let mut row = self.row.take();
            let valid_to = self.with(|rows| rows.put(key, value, timestamp, &mut row));
            self.row.set(row);
            let valid_to = valid_to?;
            self.core.expire_below(&self.retention.expired_below(observed));
            valid_to
        };
        self.core.log(key, value, timestamp, context.headers())?;
        self.reclaim(observed)?;
        Ok(valid_to)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Rows<'_>) -> Result<T>) -> Result<T> {
        self.core.read(|database, table| {
            f(&mut Rows {
                store: &self.core.spec.name,
                database,
                table,
                retention: self.retention,
            })
        })
    }

    /// Works off some notes of expired segments, so that deleted keys that are never touched again do not stay for ever.
    fn reclaim(&self, observed: i64) -> Result<()> {
        let first_alive = self.retention.first_alive(observed);
        if first_alive == 0 {
            return Ok(());
        }
        let mut reclaimed = self.reclaimed.borrow_mut();
        if reclaimed.life != self.core.life() || reclaimed.until.is_empty() {
            reclaimed.life = self.core.life();
            reclaimed.until = note_key(0, &[]);
            reclaimed.before = 0;
        }
        if reclaimed.before >= first_alive {
            return Ok(());
        }
        let end = note_key(first_alive, &[]);
        let range = (Bound::Included(&reclaimed.until[..]), Bound::Excluded(&end[..]));
        let notes = self.core.page(range, false, NOTES_PER_PUT)?;
        let mut row = Vec::new();
        for note in &notes {
            let key = noted(&note.key);
            let newest = self.with(|rows| {
                let newest = rows.newest(key, &mut row)?;
                Ok(newest.map(|version| (version.from, version.value.is_none())))
            })?;
            let mut table = self.core.table.borrow_mut();
            if newest.is_some_and(|(from, deleted)| deleted && self.retention.segment(from) < first_alive) {
                table.put(&newest_key(key), None, -1);
            }
            table.put(&note.key, None, -1);
        }
        let last = notes.last().filter(|_| notes.len() >= NOTES_PER_PUT);
        if last.is_none() {
            reclaimed.before = first_alive;
        }
        // The smallest row behind the last note.
        reclaimed.until = last.map_or(end, |note| [&note.key[..], &[0]].concat());
        Ok(())
    }

    /// The newest version, if it is not a deletion.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<VersionedRow>> {
        Ok(self.newest(key)?.0)
    }

    /// The newest version, if it is not a deletion, and the time of either.
    fn newest(&self, key: &[u8]) -> Result<(Option<VersionedRow>, Option<i64>)> {
        let mut row = Vec::new();
        self.with(|rows| {
            let newest = rows.newest(key, &mut row)?;
            let value = newest.and_then(|version| {
                Some(VersionedRow {
                    value: version.value?.into(),
                    valid_from: version.from,
                    valid_to: None,
                })
            });
            Ok((value, newest.map(|version| version.from)))
        })
    }

    /// The version that was valid at a time, if it is still kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_as_of(&self, key: &[u8], timestamp: i64) -> Result<Option<VersionedRow>> {
        let (newest, since) = self.newest(key)?;
        let observed = self.core.observed();
        match since {
            None => Ok(None),
            Some(since) if since <= timestamp => Ok(newest),
            // Only the newest version may answer for a time that is older than the history.
            Some(_) if timestamp < self.retention.oldest(observed) => Ok(None),
            Some(since) => self.with(|rows| rows.at(key, timestamp, since, self.retention.first_alive(observed))),
        }
    }

    /// Versions that were valid at some time of `from..=to`. For a `to` that is older than the history, only the newest
    /// version is asked, which never expires.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn history(&self, key: &[u8], from: i64, to: i64, ascending: bool) -> Result<Vec<VersionedRow>> {
        let (newest, since) = self.newest(key)?;
        let observed = self.core.observed();
        let mut found = match since {
            Some(since) if to >= self.retention.oldest(observed) => {
                let first_alive = self.retention.first_alive(observed);
                self.with(|rows| rows.between(key, (from, to), since, first_alive))?
            }
            _ => Vec::new(),
        };
        found.extend(newest.filter(|row| row.valid_from <= to));
        if !ascending {
            found.reverse();
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
