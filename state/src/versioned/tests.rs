//! What a history leaves behind, and what it answers for times that have gone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Bound;

use super::*;
use crate::{
    ChangeLogger, ChangelogRecord, Headers, RecordContext, StateEngine, StoreBackend, StoreSpec, TaskDatabase,
    TaskState,
};

struct Nobody;
impl ChangeLogger for Nobody {
    fn log(&self, _: StoreIndex, _: &[u8], _: Option<&[u8]>, _: Option<i64>, _: Option<&Headers>) -> Result<()> {
        Ok(())
    }
}

/// History of 100 ms in segments of 50.
fn database() -> TaskDatabase {
    let spec = StoreSpec {
        logged_headers: crate::LoggedHeaders::Never,
        name: "v".into(),
        kind: StoreKind::Versioned {
            history_retention_ms: 100,
            segment_interval_ms: 50,
        },
        backend: StoreBackend::InMemory,
        caching: false,
        logging: true,
    };
    StateEngine::in_memory().open_task("0_0", &[spec]).unwrap()
}

fn open(database: TaskDatabase) -> (TaskState, Rc<VersionedStore>) {
    let state = TaskState::new(database, Rc::new(Nobody), 0);
    let store = state.versioned("v").unwrap();
    (state, store)
}

fn put(store: &VersionedStore, key: &[u8], value: Option<&[u8]>, time: i64) {
    let context = RecordContext {
        topic: "in".into(),
        partition: 0,
        offset: 0,
        timestamp: time,
        headers: Headers::new(),
        source: None,
    };
    store.put(key, value, time, &context).unwrap();
}

/// All rows that a commit leaves, of whatever kind, and their bytes.
fn rows(store: &VersionedStore) -> (usize, usize) {
    let expired = store.core.expired_below.borrow().clone().unwrap_or_default();
    let kept = (Bound::Included(&expired[..]), Bound::Unbounded);
    let rows = store.core.page(kept, false, 10_000).unwrap();
    (rows.len(), rows.iter().map(|row| row.value.len()).sum())
}

#[test]
fn a_deleted_key_leaves_nothing_behind_when_its_history_has_gone() {
    let (state, store) = open(database());
    for n in 0..100_u8 {
        put(&store, &[n], Some(b"v"), 10);
        put(&store, &[n], None, 20);
    }
    state.commit(&[(StoreIndex(0), 1)]).unwrap();
    put(&store, b"x", Some(b"v"), 160);
    let before = rows(&store).0;
    assert!(before < 200, "{before}: it goes step by step");
    (161..180).for_each(|time| put(&store, b"x", Some(b"v"), time));
    state.commit(&[(StoreIndex(0), 2)]).unwrap();
    // The row of x, and one for each of its old versions.
    assert_eq!(rows(&store).0, 20);
}

#[test]
fn old_versions_of_a_key_that_is_not_touched_again_go_too() {
    let (_state, store) = open(database());
    (0..10).for_each(|time| put(&store, b"k", Some(&[b'v'; 100]), time));
    assert!(rows(&store).1 > 1_000);
    (300..302).for_each(|time| put(&store, b"x", Some(b"v"), time));
    assert!(rows(&store).1 < 200, "only the newest of k is left: {:?}", rows(&store));
    assert_eq!(store.get(b"k").unwrap().unwrap().valid_from, 9);
}

#[test]
fn a_discard_brings_back_what_was_to_go() {
    let (state, store) = open(database());
    put(&store, b"k", Some(b"v"), 10);
    put(&store, b"k", None, 20);
    state.commit(&[(StoreIndex(0), 1)]).unwrap();
    let before = rows(&store);
    for _ in 0..2 {
        put(&store, b"x", Some(b"v"), 300);
        assert_eq!(rows(&store).0, 1, "only x");
        state.discard();
        assert_eq!(rows(&store), before);
        assert_eq!(store.get_as_of(b"k", 15).unwrap().unwrap().value[..], b"v"[..]);
    }
}

#[test]
fn what_was_restored_leaves_as_well() {
    let mut database = database();
    let record = |value, timestamp| ChangelogRecord {
        key: b"k",
        value,
        timestamp,
        offset: timestamp,
        headers: None,
    };
    let records = [record(Some(&b"v"[..]), 10), record(None, 20)];
    database.restore(StoreIndex(0), &records, 21).unwrap();
    let (_state, store) = open(database);
    assert_eq!(store.get_as_of(b"k", 15).unwrap().unwrap().valid_to, Some(20));
    put(&store, b"x", Some(b"v"), 300);
    assert_eq!(rows(&store).0, 1);
}

#[test]
fn only_the_newest_version_answers_for_a_time_that_is_older_than_the_history() {
    let (_state, store) = open(database());
    put(&store, b"k", Some(b"1"), 10);
    put(&store, b"k", Some(b"2"), 20);
    put(&store, b"one", Some(b"1"), 10);
    // The segment of 20 is alive at 130, but 29 is older than the history.
    put(&store, b"x", Some(b"1"), 130);
    let history = |key: &[u8], from, to| -> Vec<i64> {
        let rows = store.history(key, from, to, true).unwrap();
        rows.iter().map(|row| row.valid_from).collect()
    };
    assert_eq!(history(b"k", 0, 30), [10, 20]);
    assert_eq!(history(b"k", 0, 29), [20], "only the newest is asked");
    assert_eq!(history(b"k", 0, 15), [0_i64; 0]);
    assert_eq!(history(b"one", 0, 15), [10]);
}
