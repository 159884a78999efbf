//! The history of each key.
//!
//! A row holds all versions of a key, newest first: `{valid from(8) ++ length(4, -1: deleted) ++ value}`. The format is
//! our own; the changelog is that of Kafka Streams (one record per put, with the time it is valid from).
use std::rc::Rc;

use crate::core::Core;
use crate::{RecordContext, Result, StateError, StoreIndex, StoreKind};

/// Put was refused: older than the history retention.
pub(crate) const NOT_PUT: i64 = i64::MIN;
/// The version put is the newest one.
pub(crate) const VALID_TO_UNDEFINED: i64 = -1;

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
    pub(crate) fn put(&mut self, from: i64, value: Option<&[u8]>) -> i64 {
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

    /// Forgets versions that ended before the first living segment.
    pub(crate) fn trim(&mut self, observed: i64, history_ms: i64, segment_ms: i64) {
        let first_alive = observed.saturating_sub(history_ms).max(0) / segment_ms.max(1);
        let ended_at = |index: usize, versions: &[Version]| {
            index
                .checked_sub(1)
                .and_then(|newer| versions.get(newer))
                .map_or(i64::MAX, |newer| newer.from)
        };
        let keep = (0..self.0.len()).take_while(|i| ended_at(*i, &self.0).max(0) / segment_ms.max(1) >= first_alive);
        let keep = keep.count();
        self.0.truncate(keep);
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
    history_ms: i64,
    segment_ms: i64,
}

impl VersionedStore {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        let (history_ms, segment_ms) = retention(&core.spec.kind);
        Self {
            core,
            history_ms,
            segment_ms,
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
    pub fn put(&self, key: &[u8], value: Option<&[u8]>, timestamp: i64, context: &RecordContext) -> Result<i64> {
        let observed = self.core.observe(timestamp);
        let valid_to = if timestamp < observed.saturating_sub(self.history_ms) {
            NOT_PUT
        } else {
            let mut versions = self.versions(key)?;
            let valid_to = versions.put(timestamp, value);
            versions.trim(observed, self.history_ms, self.segment_ms);
            self.core.table.borrow_mut().put(key, Some(&versions.encode()), -1);
            valid_to
        };
        self.core.log(key, value, timestamp, &context.headers)?;
        Ok(valid_to)
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
        let too_old = timestamp < self.core.observed.get().saturating_sub(self.history_ms);
        let versions = self.versions(key)?;
        let mut rows = versions.rows();
        // Only the newest version may answer for a time that is older than the history.
        Ok(rows.find(|row| row.valid_from <= timestamp && row.valid_to.is_none_or(|to| timestamp < to && !too_old)))
    }

    /// Versions that were valid at some time of `from..=to`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn history(&self, key: &[u8], from: i64, to: i64, ascending: bool) -> Result<Vec<VersionedRow>> {
        let versions = self.versions(key)?;
        let overlaps = |row: &VersionedRow| row.valid_from <= to && row.valid_to.is_none_or(|end| end > from);
        let mut rows: Vec<VersionedRow> = versions.rows().filter(overlaps).collect();
        if ascending {
            rows.reverse();
        }
        Ok(rows)
    }

    fn versions(&self, key: &[u8]) -> Result<Versions> {
        let mut row = Vec::new();
        if self.core.get(key, &mut row)?.is_none() {
            return Ok(Versions::default());
        }
        Versions::decode(&row).ok_or_else(|| StateError::MalformedRow {
            store: self.core.spec.name.to_string(),
        })
    }
}

/// History retention and segment interval of a versioned store.
pub(crate) fn retention(kind: &StoreKind) -> (i64, i64) {
    match *kind {
        StoreKind::Versioned {
            history_retention_ms,
            segment_interval_ms,
        } => (history_retention_ms, segment_interval_ms),
        _ => (0, 1),
    }
}
