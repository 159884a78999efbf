//! Key-value stores against a map.
use std::collections::BTreeMap;

use millstream_state::{StoreKind, StoreSpec, TaskState};

use super::Kind;
use crate::support::{context, spec};

#[derive(Clone, Copy)]
pub(crate) struct KeyValue {
    pub(crate) timestamped: bool,
    pub(crate) caching: bool,
}

type Rows = BTreeMap<Vec<u8>, (Vec<u8>, i64)>;

#[derive(Clone, Default)]
pub(crate) struct Model {
    rows: Rows,
    /// What the operators behind the cache have been told.
    told: Rows,
}

impl Kind for KeyValue {
    type Model = Model;

    fn spec(&self) -> StoreSpec {
        let kind = StoreKind::KeyValue {
            timestamped: self.timestamped,
        };
        StoreSpec {
            caching: self.caching,
            ..spec("kv", kind)
        }
    }

    fn put(&self, state: &TaskState, model: &mut Model, key: &[u8], value: Option<&[u8]>, time: i64) {
        let store = state.key_value("kv").unwrap();
        store.put(key, value, time, &context(time)).unwrap();
        let time = if self.timestamped { time } else { -1 };
        match value {
            Some(value) => drop(model.rows.insert(key.to_vec(), (value.to_vec(), time))),
            None => drop(model.rows.remove(key)),
        }
    }

    fn read(&self, state: &TaskState, model: &mut Model, key: &[u8], time: i64, reverse: bool) {
        let store = state.key_value("kv").unwrap();
        let mut value = Vec::new();
        let found = store.get(key, &mut value).unwrap().map(|time| (value, time));
        assert_eq!(found.as_ref(), model.rows.get(key));
        // From the key on, up to some other.
        let hi = [(time % 4) as u8];
        let rows = store.range(Some(key), Some(&hi), reverse);
        let rows: Vec<_> = rows
            .map(|row| row.unwrap())
            .map(|row| (row.key.to_vec(), (row.value.to_vec(), row.timestamp)))
            .collect();
        let inside = |other: &&Vec<u8>| other.as_slice() >= key && other.as_slice() <= &hi[..];
        let mut expected: Vec<_> = model.rows.keys().filter(inside).cloned().collect();
        if reverse {
            expected.reverse();
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|key| (key.clone(), model.rows[&key].clone()))
            .collect();
        assert_eq!(rows, expected);
        let prefixed: Vec<_> = store.prefix(&key[..1]).map(|row| row.unwrap().key.to_vec()).collect();
        let expected: Vec<_> = model.rows.keys().filter(|other| other[0] == key[0]).cloned().collect();
        assert_eq!(prefixed, expected);
    }

    fn flush(&self, state: &TaskState, model: &mut Model) {
        let store = state.key_value("kv").unwrap();
        let owned = |side: Option<(&[u8], i64)>| side.map(|(value, time)| (value.to_vec(), time));
        store
            .flush_cache(&mut |update| {
                assert_eq!(owned(update.old).as_ref(), model.told.get(update.key), "the old value");
                assert_eq!(owned(update.new).as_ref(), model.rows.get(update.key), "the new value");
                match owned(update.new) {
                    Some(row) => drop(model.told.insert(update.key.to_vec(), row)),
                    None => drop(model.told.remove(update.key)),
                }
                Ok(())
            })
            .unwrap();
        if self.caching {
            assert_eq!(model.told, model.rows, "everything was handed out");
        }
    }
}
