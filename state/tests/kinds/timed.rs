//! Window and session stores against a map with an observed time.
use std::collections::BTreeMap;

use millstream_state::{StoreKind, StoreSpec, TaskState};

use super::Kind;
use crate::support::{Logged, context, spec, windows};

const RETENTION_MS: i64 = 100;
const SEGMENT_MS: i64 = 50;

#[derive(Clone)]
pub(crate) struct Model {
    /// By key and time; more than one value only with duplicates.
    rows: BTreeMap<(Vec<u8>, i64, i64), Vec<Vec<u8>>>,
    observed: i64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            observed: -1,
        }
    }
}

impl Model {
    /// Whether the segment of that time is still there.
    fn observe(&mut self, time: i64) -> bool {
        self.observed = self.observed.max(time);
        time / SEGMENT_MS >= (self.observed - RETENTION_MS).max(0) / SEGMENT_MS
    }

    fn readable_from(&self) -> i64 {
        (self.observed - RETENTION_MS + 1).max(0)
    }

    /// The time a store has seen is that of its changelog, and a cache does not log what came and went.
    fn restored(&self, records: &[Logged], behind: usize) -> Self {
        let time = |key: &[u8]| *key[..key.len() - behind].last_chunk::<8>().unwrap();
        let times = records.iter().map(|(key, ..)| i64::from_be_bytes(time(key)));
        Self {
            rows: self.rows.clone(),
            observed: times.max().unwrap_or(-1),
        }
    }

    fn put(&mut self, row: (Vec<u8>, i64, i64), value: Option<&[u8]>, duplicates: bool) {
        match value {
            Some(value) if duplicates => self.rows.entry(row).or_default().push(value.to_vec()),
            Some(value) => drop(self.rows.insert(row, vec![value.to_vec()])),
            None if duplicates => {}
            None => drop(self.rows.remove(&row)),
        }
    }

    /// Rows of a key (or all) in order of time, with from <= time.
    fn find(&self, key: Option<&[u8]>, from: i64) -> Vec<(Vec<u8>, i64, i64, Vec<u8>)> {
        let from = from.max(self.readable_from());
        let rows = self
            .rows
            .iter()
            .filter(|((other, time, _), _)| key.is_none_or(|key| key == other.as_slice()) && *time >= from);
        rows.flat_map(|((key, time, start), values)| {
            values
                .iter()
                .map(move |value| (key.clone(), *time, *start, value.clone()))
        })
        .collect()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) duplicates: bool,
    pub(crate) caching: bool,
}

impl Kind for Windows {
    type Model = Model;

    fn spec(&self) -> StoreSpec {
        StoreSpec {
            caching: self.caching,
            ..windows(self.duplicates)
        }
    }

    fn put(&self, state: &TaskState, model: &mut Model, key: &[u8], value: Option<&[u8]>, time: i64) {
        let store = state.window("windows").unwrap();
        let put = store.put(key, value, time, time, &context(time)).unwrap();
        if self.duplicates && value.is_none() {
            // Not even the time passes.
            assert!(put);
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
            let row = model.rows.get(&(key.to_vec(), time, 0));
            assert_eq!(found.as_ref(), row.filter(|_| time >= model.readable_from()));
        }
    }

    fn restored(&self, model: &Model, records: &[Logged]) -> Model {
        model.restored(records, 4)
    }

    fn flush(&self, state: &TaskState, _: &mut Model) {
        state.window("windows").unwrap().flush_cache(&mut |_| Ok(())).unwrap();
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
        let row = model.rows.get(&(key.to_vec(), time, start));
        assert_eq!(found.as_ref(), row.filter(|_| time >= model.readable_from()));
    }

    fn restored(&self, model: &Model, records: &[Logged]) -> Model {
        model.restored(records, 8)
    }

    fn flush(&self, state: &TaskState, _: &mut Model) {
        state.session("sessions").unwrap().flush_cache(&mut |_| Ok(())).unwrap();
    }
}
