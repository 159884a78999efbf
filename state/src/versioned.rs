//! The history of each key.
//!
//! Row `0 ++ key` holds all versions of a key, newest first: `{valid from(8) ++ length(4, -1: deleted) ++ value}`. Row
//! `1 ++ segment(8) ++ key` is a note that something of the key can go when that segment has expired, so that versions
//! and deletions of keys that are never touched again do not stay for ever. The format is our own; the changelog is that
//! of Kafka Streams (one record per put, with the time it is valid from).
use std::ops::Bound;
use std::rc::Rc;

use crate::core::Core;
use crate::{RecordContext, Result, StateError, StoreIndex, StoreKind};

/// Put was refused: older than the history retention.
pub(crate) const NOT_PUT: i64 = i64::MIN;
/// The version put is the newest one.
pub(crate) const VALID_TO_UNDEFINED: i64 = -1;

const HISTORY: u8 = 0;
const NOTE: u8 = 1;
/// A put works off so many notes, so that no single one stands still for all keys of a segment.
const NOTES_PER_PUT: usize = 16;

/// The row of a key's history.
pub(crate) fn history_key(key: &[u8]) -> Vec<u8> {
    [&[HISTORY], key].concat()
}

/// The row that reminds of a key when a segment has expired.
pub(crate) fn note_key(segment: i64, key: &[u8]) -> Vec<u8> {
    [&[NOTE], &segment.to_be_bytes()[..], key].concat()
}

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

    fn segment(self, time: i64) -> i64 {
        time.max(0) / self.segment_ms
    }

    fn first_alive(self, observed: i64) -> i64 {
        self.segment(self.oldest(observed))
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

/// One version in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    from: i64,
    value: Option<Rc<[u8]>>,
}

/// The versions of a key, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions(Vec<Version>);

impl Versions {
    pub(crate) fn decode(mut row: &[u8]) -> Option<Self> {
        let mut versions = Vec::new();
        while !row.is_empty() {
            let (from, rest) = row.split_first_chunk::<8>()?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let from = i64::from_be_bytes(*from);
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                versions.push(Version { from, value: None });
                row = rest;
                continue;
            };
            let (value, rest) = rest.split_at_checked(length)?;
            versions.push(Version {
                from,
                value: Some(value.into()),
            });
            row = rest;
        }
        Some(Self(versions))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::new();
        for version in &self.0 {
            row.extend_from_slice(&version.from.to_be_bytes());
            let length = version
                .value
                .as_ref()
                .map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX));
            row.extend_from_slice(&length.to_be_bytes());
            row.extend_from_slice(version.value.as_deref().unwrap_or_default());
        }
        row
    }

    /// Adds a version, or replaces the one of the same time; gives the end of its validity.
    fn put(&mut self, from: i64, value: Option<&[u8]>) -> i64 {
        let version = Version {
            from,
            value: value.map(Into::into),
        };
        let at = self.0.partition_point(|other| other.from > from);
        match self.0.get_mut(at) {
            Some(same) if same.from == from => *same = version,
            _ => self.0.insert(at, version),
        }
        at.checked_sub(1)
            .and_then(|newer| self.0.get(newer))
            .map_or(VALID_TO_UNDEFINED, |newer| newer.from)
    }

    /// Adds a version and forgets expired ones; gives the end of its validity, and the segment to be noted for the key.
    pub(crate) fn record(
        &mut self,
        from: i64,
        value: Option<&[u8]>,
        observed: i64,
        retention: Retention,
    ) -> (i64, Option<i64>) {
        let noted = self.due(retention);
        let valid_to = self.put(from, value);
        self.trim(observed, retention);
        (valid_to, self.due(retention).filter(|due| noted != Some(*due)))
    }

    /// The segment with which everything but a newest value goes.
    fn due(&self, retention: Retention) -> Option<i64> {
        let newest = self.0.first()?;
        (self.0.len() > 1 || newest.value.is_none()).then(|| retention.segment(newest.from))
    }

    /// Forgets versions that ended, and a deletion that was made, before the first living segment.
    fn trim(&mut self, observed: i64, retention: Retention) {
        let first_alive = retention.first_alive(observed);
        let ended_at = |index: usize, versions: &[Version]| {
            index
                .checked_sub(1)
                .and_then(|newer| versions.get(newer))
                .map_or(i64::MAX, |newer| newer.from)
        };
        let keep = (0..self.0.len()).take_while(|i| retention.segment(ended_at(*i, &self.0)) >= first_alive);
        let keep = keep.count();
        self.0.truncate(keep);
        if let [Version { from, value: None }] = self.0[..]
            && retention.segment(from) < first_alive
        {
            self.0.clear();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn rows(&self) -> impl DoubleEndedIterator<Item = VersionedRow> + '_ {
        self.0.iter().enumerate().filter_map(|(index, version)| {
            let valid_to = index
                .checked_sub(1)
                .and_then(|newer| self.0.get(newer))
                .map(|newer| newer.from);
            let value = Rc::clone(version.value.as_ref()?);
            Some(VersionedRow {
                value,
                valid_from: version.from,
                valid_to,
            })
        })
    }
}

/// The history of each key. Kafka Streams: `VersionedKeyValueStore`.
pub struct VersionedStore {
    core: Rc<Core>,
    retention: Retention,
}

impl VersionedStore {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        let retention = Retention::of(&core.spec.kind);
        Self { core, retention }
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
    pub fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, context: &RecordContext) -> Result<i64> {
        self.core.check_writable()?;
        let observed = self.core.observe(timestamp);
        let valid_to = if timestamp < self.retention.oldest(observed) {
            NOT_PUT
        } else {
            let row_key = history_key(key);
            let mut versions = self.read(&row_key)?;
            let (valid_to, note) = versions.record(timestamp, value, observed, self.retention);
            self.write(&row_key, &versions);
            if let Some(segment) = note {
                self.core.table.borrow_mut().put(&note_key(segment, key), Some(&[]), -1);
            }
            valid_to
        };
        self.core.log(key, value, timestamp, &context.headers)?;
        self.reclaim(observed)?;
        Ok(valid_to)
    }

    /// Works off some notes of expired segments. `Core::expired_below` says up to where that was done; a discard
    /// forgets it together with the deletions.
    fn reclaim(&self, observed: i64) -> Result<()> {
        let first_alive = self.retention.first_alive(observed);
        let end = note_key(first_alive, &[]);
        let done = self.core.expired_below.borrow().clone();
        if first_alive == 0 || done.as_ref().is_some_and(|done| *done >= end) {
            return Ok(());
        }
        let from = done.unwrap_or_else(|| vec![NOTE]);
        let range = (Bound::Excluded(&from[..]), Bound::Excluded(&end[..]));
        let notes = self.core.page(range, false, NOTES_PER_PUT)?;
        for note in &notes {
            let row_key = history_key(note.key.get(note_key(0, &[]).len()..).unwrap_or_default());
            let mut versions = self.read(&row_key)?;
            versions.trim(observed, self.retention);
            self.write(&row_key, &versions);
            self.core.table.borrow_mut().put(&note.key, None, -1);
        }
        let last = notes.last().filter(|_| notes.len() == NOTES_PER_PUT);
        let done = last.map_or(end, |note| note.key.to_vec());
        self.core.expired_below.replace(Some(done));
        Ok(())
    }

    fn write(&self, row_key: &[u8], versions: &Versions) {
        let row = (!versions.is_empty()).then(|| versions.encode());
        self.core.table.borrow_mut().put(row_key, row.as_deref(), -1);
    }

    /// The newest version, if it is not a deletion.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<VersionedRow>> {
        Ok(self.versions(key)?.rows().find(|row| row.valid_to.is_none()))
    }

    /// The version that was valid at a time, if it is still kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_as_of(&self, key: &[u8], timestamp: i64) -> Result<Option<VersionedRow>> {
        let too_old = timestamp < self.retention.oldest(self.core.observed());
        let versions = self.versions(key)?;
        let mut rows = versions.rows();
        // Only the newest version may answer for a time that is older than the history.
        Ok(rows.find(|row| row.valid_from <= timestamp && row.valid_to.is_none_or(|to| timestamp < to && !too_old)))
    }

    /// Versions that were valid at some time of `from..=to`. For a `to` that is older than the history, only the newest
    /// version is asked, which never expires.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn history(&self, key: &[u8], from: i64, to: i64, ascending: bool) -> Result<Vec<VersionedRow>> {
        let versions = self.versions(key)?;
        let too_old = to < self.retention.oldest(self.core.observed());
        let overlaps =
            |row: &VersionedRow| row.valid_from <= to && row.valid_to.is_none_or(|end| end > from && !too_old);
        let mut rows: Vec<VersionedRow> = versions.rows().filter(overlaps).collect();
        if ascending {
            rows.reverse();
        }
        Ok(rows)
    }

    /// What is still kept of a key's history, whether or not the rest has been reclaimed.
    fn versions(&self, key: &[u8]) -> Result<Versions> {
        let mut versions = self.read(&history_key(key))?;
        versions.trim(self.core.observed(), self.retention);
        Ok(versions)
    }

    fn read(&self, row_key: &[u8]) -> Result<Versions> {
        let mut row = Vec::new();
        if self.core.get(row_key, &mut row)?.is_none() {
            return Ok(Versions::default());
        }
        Versions::decode(&row).ok_or_else(|| StateError::MalformedRow {
            store: self.core.spec.name.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
