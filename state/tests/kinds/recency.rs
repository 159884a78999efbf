//! LRU stores against a list in order of use, behind a map that is the record cache.
use std::collections::BTreeMap;

use millstream_state::{StoreKind, StoreSpec, TaskState};

use super::Kind;
use crate::support::{Logged, context, spec};

const MAX: usize = 4;

#[derive(Clone, Copy)]
pub(crate) struct Lru {
    pub(crate) timestamped: bool,
    pub(crate) caching: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Model {
    /// Key and value, the eldest first.
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whatever was written or read: there is room for all of it.
    cache: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Keys that wait in the cache, in the order of their last update.
    waiting: Vec<Vec<u8>>,
    /// There is no cache.
    bare: bool,
}

impl Model {
    fn put(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        self.rows.retain(|(other, _)| other != key);
        self.rows.extend(value.map(|value| (key.to_vec(), value)));
        if self.rows.len() > MAX {
            self.rows.remove(0);
        }
    }

    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let row = self.rows.iter().find(|(other, _)| other == key)?;
        Some(row.1.clone())
    }

    /// Reading is use, if the cache has nothing to say.
    fn get(&mut self, key: &[u8], caching: bool) -> Option<Vec<u8>> {
        if let Some(known) = self.cache.get(key) {
            return known.clone();
        }
        let found = self.value(key)?;
        self.put(key, Some(found.clone()));
        if caching {
            self.cache.insert(key.to_vec(), Some(found.clone()));
        }
        Some(found)
    }
}

impl Kind for Lru {
    type Model = Model;

    fn spec(&self) -> StoreSpec {
        let kind = StoreKind::Lru {
            timestamped: self.timestamped,
            max_entries: MAX,
        };
        StoreSpec {
            caching: self.caching,
            ..spec("lru", kind)
        }
    }

    fn put(&self, state: &TaskState, model: &mut Model, key: &[u8], value: Option<&[u8]>, time: i64) {
        let store = state.key_value("lru").unwrap();
        store.put(key, value, time, &context(time)).unwrap();
        let value = value.map(<[u8]>::to_vec);
        if self.caching {
            model.cache.insert(key.to_vec(), value);
            model.waiting.retain(|other| other != key);
            model.waiting.push(key.to_vec());
        } else {
            model.put(key, value);
        }
    }

    fn read(&self, state: &TaskState, model: &mut Model, key: &[u8], _: i64, reverse: bool) {
        let store = state.key_value("lru").unwrap();
        let mut value = Vec::new();
        let found = store.get(key, &mut value).unwrap().map(|_| value);
        assert_eq!(found, model.get(key, self.caching && !model.bare));
        let rows = store.range(None, None, reverse).map(|row| row.unwrap());
        let rows: Vec<_> = rows.map(|row| (row.key.to_vec(), row.value.to_vec())).collect();
        let mut expected: BTreeMap<_, _> = model.rows.iter().cloned().collect();
        for (key, value) in &model.cache {
            match value {
                Some(value) => drop(expected.insert(key.clone(), value.clone())),
                None => drop(expected.remove(key)),
            }
        }
        let mut expected: Vec<_> = expected.into_iter().collect();
        if reverse {
            expected.reverse();
        }
        assert_eq!(rows, expected);
    }

    /// Reads left no trace in the changelog, and those of a table have no tombstones of what was forgotten.
    fn restored(&self, _: &Model, records: &[Logged]) -> Model {
        let mut model = Model {
            bare: true,
            ..Model::default()
        };
        records.iter().for_each(|(key, value, _)| model.put(key, value.clone()));
        model
    }

    fn forget(&self, model: &mut Model) {
        model.cache.clear();
        model.waiting.clear();
    }

    fn flush(&self, state: &TaskState, model: &mut Model) {
        let mut expected = Vec::new();
        for key in std::mem::take(&mut model.waiting) {
            let new = model.cache.get(&key).cloned().flatten();
            let old = model.value(&key);
            if new.is_some() || old.is_some() {
                model.put(&key, new.clone());
                expected.push((key, new, old));
            }
        }
        model.cache.retain(|_, value| value.is_some());
        let mut told = Vec::new();
        let owned = |side: Option<(&[u8], i64)>| side.map(|(value, _)| value.to_vec());
        let store = state.key_value("lru").unwrap();
        store
            .flush_cache(&mut |update| {
                told.push((update.key.to_vec(), owned(update.new), owned(update.old)));
                Ok(())
            })
            .unwrap();
        assert_eq!(told, expected, "what was handed out");
    }
}
