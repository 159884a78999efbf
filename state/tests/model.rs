//! A key-value store against a map: whatever is written, committed, dropped or opened anew, both hold the same.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use millstream_state::{StateEngine, StoreIndex, TaskState};
use proptest::prelude::*;
use support::{Changelog, context, key_value};

const STORE: StoreIndex = StoreIndex(0);

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<u16>),
    Get(u8),
    Range(Option<u8>, Option<u8>, bool),
    Prefix(u8),
    Commit,
    Discard,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u8>(), any::<Option<u16>>()).prop_map(|(k, v)| Step::Put(k % 40, v)),
        3 => any::<u8>().prop_map(|k| Step::Get(k % 40)),
        2 => any::<(Option<u8>, Option<u8>, bool)>()
            .prop_map(|(lo, hi, reverse)| Step::Range(lo.map(|k| k % 40), hi.map(|k| k % 40), reverse)),
        1 => any::<u8>().prop_map(|k| Step::Prefix(k % 4)),
        1 => Just(Step::Commit),
        1 => Just(Step::Discard),
        1 => Just(Step::Reopen),
    ]
}

/// Keys of one and two bytes, so that some are prefixes of others.
fn key(k: u8) -> Vec<u8> {
    if k < 4 { vec![k] } else { vec![k % 4, k] }
}

type Rows = BTreeMap<Vec<u8>, (Vec<u8>, i64)>;

struct Pair {
    engine: StateEngine,
    state: Option<TaskState>,
    live: Rows,
    committed: Rows,
    clock: i64,
    offset: i64,
}

impl Pair {
    fn new(engine: StateEngine) -> Self {
        let mut pair = Self {
            engine,
            state: None,
            live: Rows::new(),
            committed: Rows::new(),
            clock: 0,
            offset: 0,
        };
        pair.open();
        pair
    }

    fn open(&mut self) {
        let database = self.engine.open_task("0_0", &[key_value()]).unwrap();
        assert_eq!(
            database.offset(STORE),
            (self.offset > 0).then_some(self.offset),
            "offset of the committed data"
        );
        self.state = Some(TaskState::new(database, Changelog::new(), 0));
    }

    fn state(&self) -> &TaskState {
        self.state.as_ref().unwrap()
    }

    fn apply(&mut self, step: &Step) {
        let store = self.state().key_value("kv").unwrap();
        match step {
            Step::Put(k, v) => {
                self.clock += 1;
                let value = v.map(|v| v.to_be_bytes().to_vec());
                store
                    .put(&key(*k), value.as_deref(), self.clock, &context(self.clock))
                    .unwrap();
                match value {
                    Some(value) => drop(self.live.insert(key(*k), (value, self.clock))),
                    None => drop(self.live.remove(&key(*k))),
                }
            }
            Step::Get(k) => {
                let mut value = Vec::new();
                let timestamp = store.get(&key(*k), &mut value).unwrap();
                let expected = self.live.get(&key(*k));
                assert_eq!(timestamp.map(|t| (value, t)).as_ref(), expected);
            }
            Step::Range(lo, hi, reverse) => {
                let (lo, hi) = (lo.map(key), hi.map(key));
                let found: Vec<_> = store
                    .range(lo.as_deref(), hi.as_deref(), *reverse)
                    .map(|row| {
                        row.map(|row| (row.key.to_vec(), (row.value.to_vec(), row.timestamp)))
                            .unwrap()
                    })
                    .collect();
                let inside = |k: &Vec<u8>| lo.as_ref().is_none_or(|lo| lo <= k) && hi.as_ref().is_none_or(|hi| k <= hi);
                let mut expected: Vec<_> = self.live.clone().into_iter().filter(|(k, _)| inside(k)).collect();
                if *reverse {
                    expected.reverse();
                }
                assert_eq!(found, expected);
            }
            Step::Prefix(k) => {
                let found: Vec<_> = store.prefix(&[*k]).map(|row| row.unwrap().key.to_vec()).collect();
                let expected: Vec<_> = self.live.keys().filter(|key| key.starts_with(&[*k])).cloned().collect();
                assert_eq!(found, expected);
            }
            Step::Commit => {
                self.offset += 1;
                self.state().commit(&[(STORE, self.offset)]).unwrap();
                assert_eq!(self.state().uncommitted_bytes(), 0);
                self.committed = self.live.clone();
            }
            Step::Discard => {
                self.state().discard();
                self.live = self.committed.clone();
            }
            Step::Reopen => {
                drop(store);
                drop(self.state.take());
                self.live = self.committed.clone();
                self.open();
            }
        }
    }
}

fn check(engine: StateEngine, steps: &[Step]) {
    let mut pair = Pair::new(engine);
    steps.iter().for_each(|step| pair.apply(step));
    pair.apply(&Step::Range(None, None, false));
}

fn on_disk(dir: &Path) -> StateEngine {
    StateEngine::rocksdb(dir, "app", 8 << 20).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn rocksdb_holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..120)) {
        let dir = tempfile::tempdir().unwrap();
        check(on_disk(dir.path()), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn memory_holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..120)) {
        // Memory does not survive being closed.
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Reopen)).collect();
        check(StateEngine::in_memory(), &steps);
    }
}
