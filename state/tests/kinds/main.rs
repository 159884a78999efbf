//! Every kind of store against a plain model: whatever is put, flushed, committed, dropped, opened anew or expired, both
//! answer alike, and the changelog makes the same store again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod history;
mod one_key;
mod plain;
mod recency;
#[path = "../support/mod.rs"]
mod support;
mod timed;

use std::rc::Rc;

use millstream_state::{StateEngine, StoreIndex, StoreSpec, TaskDatabase, TaskState};
use proptest::prelude::*;
use support::{Changelog, Logged};

const STORE: StoreIndex = StoreIndex(0);

#[derive(Clone, Debug)]
enum Step {
    /// `ahead`: of the newest time so far.
    Put {
        key: u8,
        value: Option<u16>,
        ahead: i16,
    },
    /// Reads of one key about one time, and over all keys.
    Read {
        key: u8,
        back: i16,
        reverse: bool,
    },
    Flush,
    Commit,
    Discard,
    Reopen,
    /// A store made of the changelog answers alike.
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![1 => Just(None), 4 => any::<u16>().prop_map(Some)];
    prop_oneof![
        10 => (0..12_u8, value, -160..60_i16).prop_map(|(key, value, ahead)| Step::Put { key, value, ahead }),
        5 => (0..12_u8, -10..200_i16, any::<bool>()).prop_map(|(key, back, reverse)| Step::Read { key, back, reverse }),
        1 => Just(Step::Flush),
        2 => Just(Step::Commit),
        1 => Just(Step::Discard),
        1 => Just(Step::Reopen),
        1 => Just(Step::Restore),
    ]
}

/// Keys of one and two bytes, so that some are prefixes of others.
fn key(k: u8) -> Vec<u8> {
    if k < 3 { vec![k] } else { vec![k % 3, k] }
}

/// A kind of store and its model.
trait Kind: Copy {
    type Model: Clone + Default;
    fn spec(&self) -> StoreSpec;
    /// Puts into both.
    fn put(&self, state: &TaskState, model: &mut Self::Model, key: &[u8], value: Option<&[u8]>, time: i64);
    /// Compares what both answer. Reading may leave traces in the model.
    fn read(&self, state: &TaskState, model: &mut Self::Model, key: &[u8], time: i64, reverse: bool);
    /// What a store made of these records knows.
    fn restored(&self, model: &Self::Model, _records: &[Logged]) -> Self::Model {
        model.clone()
    }
    /// What was not committed is gone, and so is the record cache.
    fn forget(&self, _model: &mut Self::Model) {}
    /// Flushes the record cache.
    fn flush(&self, _state: &TaskState, _model: &mut Self::Model) {}
}

struct Pair<K: Kind> {
    kind: K,
    engine: StateEngine,
    /// The files are closed and opened again; otherwise only the live state is made anew.
    on_disk: bool,
    changelog: Rc<Changelog>,
    committed_records: usize,
    state: Option<TaskState>,
    live: K::Model,
    committed: K::Model,
    now: i64,
}

impl<K: Kind> Pair<K> {
    fn new(kind: K, engine: StateEngine, on_disk: bool) -> Self {
        let database = engine.open_task("0_0", &[kind.spec()]).unwrap();
        let mut pair = Self {
            kind,
            engine,
            on_disk,
            changelog: Changelog::new(),
            committed_records: 0,
            state: None,
            live: K::Model::default(),
            committed: K::Model::default(),
            now: 0,
        };
        pair.state = Some(pair.live_on(database));
        pair
    }

    fn live_on(&self, database: TaskDatabase) -> TaskState {
        TaskState::new(database, Rc::clone(&self.changelog) as Rc<_>, 1 << 20)
    }

    fn apply(&mut self, step: &Step) {
        let state = self.state.clone().unwrap();
        match *step {
            Step::Put { key: k, value, ahead } => {
                let time = (self.now + i64::from(ahead)).max(0);
                self.now = self.now.max(time);
                let value = value.map(|value| value.to_be_bytes().to_vec());
                self.kind.put(&state, &mut self.live, &key(k), value.as_deref(), time);
            }
            Step::Read { key: k, back, reverse } => {
                self.kind
                    .read(&state, &mut self.live, &key(k), self.now - i64::from(back), reverse);
            }
            Step::Flush => self.kind.flush(&state, &mut self.live),
            Step::Commit => self.commit(&state),
            Step::Discard => {
                state.discard();
                self.lose();
            }
            Step::Reopen => {
                self.state = None;
                let database = state.into_database().unwrap();
                let database = if self.on_disk {
                    drop(database);
                    self.engine.open_task("0_0", &[self.kind.spec()]).unwrap()
                } else {
                    database
                };
                self.lose();
                let offset = (self.committed_records > 0).then_some(self.committed_records as i64);
                assert_eq!(database.offset(STORE), offset);
                self.state = Some(self.live_on(database));
            }
            Step::Restore => self.restore(&state),
        }
    }

    fn commit(&mut self, state: &TaskState) {
        self.kind.flush(state, &mut self.live);
        let records = self.changelog.records.borrow().len();
        let offset = (records > 0).then_some((STORE, records as i64));
        state.commit(offset.as_slice()).unwrap();
        assert_eq!(state.uncommitted_bytes(), 0);
        self.committed = self.live.clone();
        self.committed_records = records;
    }

    /// What was not committed is gone, from the changelog as well.
    fn lose(&mut self) {
        self.live = self.committed.clone();
        self.kind.forget(&mut self.live);
        self.changelog.records.borrow_mut().truncate(self.committed_records);
    }

    fn restore(&mut self, state: &TaskState) {
        self.kind.flush(state, &mut self.live);
        let mut database = StateEngine::in_memory().open_task("0_0", &[self.kind.spec()]).unwrap();
        self.changelog.with_records(|records| {
            for part in records.chunks(7) {
                database.restore(STORE, part, part.last().unwrap().offset + 1).unwrap();
            }
        });
        let restored = TaskState::new(database, Changelog::new(), 0);
        let mut model = self.kind.restored(&self.live, &self.changelog.records.borrow());
        for k in 0..12 {
            for back in [0, 40, 110] {
                self.kind
                    .read(&restored, &mut model, &key(k), self.now - back, k % 2 == 0);
            }
        }
    }
}

fn check<K: Kind>(kind: K, engine: StateEngine, on_disk: bool, steps: &[Step]) {
    let mut pair = Pair::new(kind, engine, on_disk);
    let end = [Step::Commit, Step::Reopen, Step::Restore];
    steps.iter().chain(&end).for_each(|step| pair.apply(step));
}

fn in_memory<K: Kind>(kind: K, steps: &[Step]) {
    check(kind, StateEngine::in_memory(), false, steps);
}

#[cfg(feature = "rocksdb")]
fn on_disk<K: Kind>(kind: K, steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    check(
        kind,
        StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap(),
        true,
        steps,
    );
}

macro_rules! models {
    ($($name:ident: $kind:expr;)*) => {
        $(mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(300))]
                #[test]
                fn in_memory_answers_as_its_model(steps in prop::collection::vec(step(), 1..120)) {
                    in_memory($kind, &steps);
                }
            }

            #[cfg(feature = "rocksdb")]
            proptest! {
                #![proptest_config(ProptestConfig::with_cases(20))]
                #[test]
                fn on_disk_answers_as_its_model(steps in prop::collection::vec(step(), 1..120)) {
                    on_disk($kind, &steps);
                }
            }
        })*
    };
}

models! {
    plain_key_value: plain::KeyValue { timestamped: false, caching: false };
    timestamped_key_value: plain::KeyValue { timestamped: true, caching: false };
    cached_plain_key_value: plain::KeyValue { timestamped: false, caching: true };
    cached_timestamped_key_value: plain::KeyValue { timestamped: true, caching: true };
    windows: timed::Windows { duplicates: false, caching: false, scale: 1 };
    cached_windows: timed::Windows { duplicates: false, caching: true, scale: 1 };
    windows_with_duplicates: timed::Windows { duplicates: true, caching: false, scale: 1 };
    // Rows not far apart are in one row of the database.
    windows_with_duplicates_in_chunks: timed::Windows { duplicates: true, caching: false, scale: 64 };
    sessions: timed::Sessions { caching: false };
    cached_sessions: timed::Sessions { caching: true };
    versioned: history::Versioned;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    // An LRU store lives in memory only: a restart restores it.
    #[test]
    fn lru_answers_as_its_model(
        steps in prop::collection::vec(step(), 1..120),
        timestamped: bool,
        caching: bool,
    ) {
        in_memory(recency::Lru { timestamped, caching }, &steps);
    }
}
