//! LRU stores against a list in order of use.
use millstream_state::{StoreKind, StoreSpec, TaskState};

use super::Kind;
use crate::support::{context, spec};

const MAX: usize = 4;

#[derive(Clone, Copy)]
pub(crate) struct Lru {
    pub(crate) timestamped: bool,
}

/// Key and value, the eldest first.
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

impl Kind for Lru {
    type Model = Rows;

    fn spec(&self) -> StoreSpec {
        let kind = StoreKind::Lru {
            timestamped: self.timestamped,
            max_entries: MAX,
        };
        spec("lru", kind)
    }

    fn put(&self, state: &TaskState, model: &mut Rows, key: &[u8], value: Option<&[u8]>, time: i64) {
        let store = state.key_value("lru").unwrap();
        store.put(key, value, time, &context(time)).unwrap();
        model.retain(|(other, _)| other != key);
        model.extend(value.map(|value| (key.to_vec(), value.to_vec())));
        if model.len() > MAX {
            model.remove(0);
        }
    }

    fn read(&self, state: &TaskState, model: &mut Rows, _: &[u8], _: i64, reverse: bool) {
        // Reading counts as use, and a changelog does not tell of it: only scans are compared.
        let store = state.key_value("lru").unwrap();
        let rows = store.range(None, None, reverse).map(|row| row.unwrap());
        let mut rows: Rows = rows.map(|row| (row.key.to_vec(), row.value.to_vec())).collect();
        rows.sort();
        let mut expected = model.clone();
        expected.sort();
        assert_eq!(rows, expected);
    }
}
