//! Window and session stores against a map with an observed time.
use std::collections::{BTreeMap, BTreeSet};

use millstream_state::{CachedUpdate, StoreKind, StoreSpec, TaskState};

use super::Kind;
use crate::support::{Logged, context, spec, windows};

const RETENTION_MS: i64 = 100;
const SEGMENT_MS: i64 = 50;

/// Key, time, start.
type Row = (Vec<u8>, i64, i64);

#[derive(Clone)]
pub(crate) struct Model {
    /// By key and time; more than one value only with duplicates.
    rows: BTreeMap<Row, Vec<Vec<u8>>>,
    observed: i64,
    /// How many times as long segments are.
    scale: i64,
    /// What the record cache has, also of what it has handed on.
    cache: BTreeMap<Row, Option<Vec<u8>>>,
    /// What it has not handed on, in the order of the last updates.
    waiting: Vec<Row>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            observed: -1,
            scale: 1,
            cache: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }
}

impl Model {
    /// Whether the segment of that time is still there.
    fn observe(&mut self, time: i64) -> bool {
        self.observed = self.observed.max(time);
        let (retention, segment) = (RETENTION_MS * self.scale, SEGMENT_MS * self.scale);
        time / segment >= (self.observed - retention).max(0) / segment
    }

    fn readable_from(&self) -> i64 {
        (self.observed - RETENTION_MS * self.scale + 1).max(0)
    }

    /// The time a store has seen is that of its changelog, and a cache does not log what came and went.
    fn restored(&self, records: &[Logged], behind: usize) -> Self {
        let time = |key: &[u8]| *key[..key.len() - behind].last_chunk::<8>().unwrap();
        let times = records.iter().map(|(key, ..)| i64::from_be_bytes(time(key)));
        Self {
            rows: self.rows.clone(),
            observed: times.max().unwrap_or(-1),
            scale: self.scale,
            ..Self::default()
        }
    }

    /// The store hears of it only when the cache is flushed.
    fn put_cached(&mut self, row: Row, value: Option<&[u8]>) {
        self.waiting.retain(|other| *other != row);
        self.waiting.push(row.clone());
        self.cache.insert(row, value.map(<[u8]>::to_vec));
    }

    /// Hands on what has come; gives how many rows had expired.
    fn flush(&mut self) -> u64 {
        let mut expired = 0;
        for row in std::mem::take(&mut self.waiting) {
            let value = self.cache[&row].clone();
            let shown = self.rows.contains_key(&row) && row.1 >= self.readable_from();
            if value.is_some() || shown {
                if self.observe(row.1) {
                    self.put(row.clone(), value.as_deref(), false);
                } else {
                    expired += 1;
                }
            }
            if value.is_none() {
                self.cache.remove(&row);
            }
        }
        expired
    }

    fn forget_cache(&mut self) {
        self.cache.clear();
        self.waiting.clear();
    }

    fn put(&mut self, row: Row, value: Option<&[u8]>, duplicates: bool) {
        match value {
            Some(value) if duplicates => self.rows.entry(row).or_default().push(value.to_vec()),
            Some(value) => drop(self.rows.insert(row, vec![value.to_vec()])),
            None if duplicates => {}
            None => drop(self.rows.remove(&row)),
        }
    }

    /// Values of a row: those of the cache, or those of the store that have not expired.
    fn values(&self, row: &Row) -> Vec<Vec<u8>> {
        match self.cache.get(row) {
            Some(cached) => cached.iter().cloned().collect(),
            None if row.1 < self.readable_from() => Vec::new(),
            None => self.rows.get(row).cloned().unwrap_or_default(),
        }
    }

    /// Rows of a key (or all) in order of time, with from <= time.
    fn find(&self, key: Option<&[u8]>, from: i64) -> Vec<(Vec<u8>, i64, i64, Vec<u8>)> {
        let all: BTreeSet<&Row> = self.rows.keys().chain(self.cache.keys()).collect();
        let rows = all
            .into_iter()
            .filter(|(other, time, _)| key.is_none_or(|key| key == other.as_slice()) && *time >= from.max(0));
        rows.flat_map(|row| {
            let (key, time, start) = row.clone();
            let values = self.values(row).into_iter();
            values.map(move |value| (key.clone(), time, start, value))
        })
        .collect()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) duplicates: bool,
    pub(crate) caching: bool,
    pub(crate) scale: i64,
}

impl Kind for Windows {
    type Model = Model;

    fn spec(&self) -> StoreSpec {
        let mut spec = StoreSpec {
            caching: self.caching,
            ..windows(self.duplicates)
        };
        if let StoreKind::Window {
            retention_ms,
            segment_interval_ms,
            ..
        } = &mut spec.kind
        {
            *retention_ms *= self.scale;
            *segment_interval_ms *= self.scale;
        }
        spec
    }

    fn put(&self, state: &TaskState, model: &mut Model, key: &[u8], value: Option<&[u8]>, time: i64) {
        model.scale = self.scale;
        let store = state.window("windows").unwrap();
        let put = store.put(key, value, time, time, &context(time)).unwrap();
        if self.duplicates && value.is_none() {
            // Not even the time passes.
            assert!(put);
            return;
        }
        if self.caching {
            assert!(put);
            model.put_cached((key.to_vec(), time, 0), value);
            return;
        }
        assert_eq!(put, model.observe(time));
        if put {
            model.put((key.to_vec(), time, 0), value, self.duplicates);
        }
    }

    fn read(&self, state: &TaskState, model: &mut Model, key: &[u8], time: i64, reverse: bool) {
        let store = state.window("windows").unwrap();
        let one = store.fetch(key, time, i64::MAX, reverse).map(|row| row.unwrap());
        let one: Vec<_> = one
            .map(|row| (row.key.to_vec(), row.start, 0, row.value.to_vec()))
            .collect();
        let mut expected = model.find(Some(key), time);
        if reverse {
            expected.reverse();
        }
        assert_eq!(one, expected);
        let mut all: Vec<_> = store
            .all(reverse)
            .map(|row| row.unwrap())
            .map(|row| (row.key.to_vec(), row.start, 0, row.value.to_vec()))
            .collect();
        all.sort();
        let mut expected = model.find(None, 0);
        expected.sort();
        assert_eq!(all, expected);
        if !self.duplicates {
            let mut value = Vec::new();
            let found = store.get(key, time, &mut value).unwrap().map(|_| vec![value]);
            assert_eq!(found.unwrap_or_default(), model.values(&(key.to_vec(), time, 0)));
        }
    }

    fn restored(&self, model: &Model, records: &[Logged]) -> Model {
        model.restored(records, 4)
    }

    fn forget(&self, model: &mut Model) {
        model.forget_cache();
    }

    fn flush(&self, state: &TaskState, model: &mut Model) {
        let mut expired = 0;
        let mut count = |update: CachedUpdate<'_>| {
            expired += u64::from(!update.kept);
            Ok(())
        };
        state.window("windows").unwrap().flush_cache(&mut count).unwrap();
        assert_eq!(expired, model.flush());
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Sessions {
    pub(crate) caching: bool,
}

impl Kind for Sessions {
    type Model = Model;

    fn spec(&self) -> StoreSpec {
        let kind = StoreKind::Session {
            retention_ms: RETENTION_MS,
            segment_interval_ms: SEGMENT_MS,
        };
        StoreSpec {
            caching: self.caching,
            ..spec("sessions", kind)
        }
    }

    fn put(&self, state: &TaskState, model: &mut Model, key: &[u8], value: Option<&[u8]>, time: i64) {
        // Sessions of up to nine milliseconds.
        let start = (time - time % 10).max(0);
        let store = state.session("sessions").unwrap();
        let put = store.put(key, start, time, value, &context(time)).unwrap();
        if self.caching {
            assert!(put);
            model.put_cached((key.to_vec(), time, start), value);
            return;
        }
        assert_eq!(put, model.observe(time));
        if put {
            model.put((key.to_vec(), time, start), value, false);
        }
    }

    fn read(&self, state: &TaskState, model: &mut Model, key: &[u8], time: i64, reverse: bool) {
        let store = state.session("sessions").unwrap();
        let latest_start = time + 50;
        let rows = store.find(Some(key), Some(key), time, latest_start, reverse);
        let rows: Vec<_> = rows
            .map(|row| row.unwrap())
            .map(|row| (row.key.to_vec(), row.end, row.start, row.value.to_vec()))
            .collect();
        let mut expected = model.find(Some(key), time);
        expected.retain(|(_, _, start, _)| *start <= latest_start);
        if reverse {
            expected.reverse();
        }
        assert_eq!(rows, expected);
        let start = (time - time % 10).max(0);
        let mut value = Vec::new();
        let found = store.get(key, start, time, &mut value).unwrap().then(|| vec![value]);
        assert_eq!(found.unwrap_or_default(), model.values(&(key.to_vec(), time, start)));
    }

    fn restored(&self, model: &Model, records: &[Logged]) -> Model {
        model.restored(records, 8)
    }

    fn forget(&self, model: &mut Model) {
        model.forget_cache();
    }

    fn flush(&self, state: &TaskState, model: &mut Model) {
        let mut expired = 0;
        let mut count = |update: CachedUpdate<'_>| {
            expired += u64::from(!update.kept);
            Ok(())
        };
        state.session("sessions").unwrap().flush_cache(&mut count).unwrap();
        assert_eq!(expired, model.flush());
    }
}
