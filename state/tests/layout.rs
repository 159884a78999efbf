//! A changed topology does not read rows of another shape.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use millstream_state::{StateEngine, StateError, StoreIndex, StoreKind, StoreSpec, TaskState};
use support::{Changelog, context, spec};

const STORE: StoreIndex = StoreIndex(0);

fn key_value(timestamped: bool, logging: bool) -> StoreSpec {
    StoreSpec {
        logging,
        ..spec("store", StoreKind::KeyValue { timestamped })
    }
}

fn window(segment_interval_ms: i64) -> StoreSpec {
    let kind = StoreKind::Window {
        timestamped: true,
        window_size_ms: 10,
        retention_ms: 1_000,
        segment_interval_ms,
        retain_duplicates: false,
    };
    spec("store", kind)
}

/// A row and an offset in a store of that kind.
fn fill(engine: &StateEngine, spec: StoreSpec) {
    let state = TaskState::new(engine.open_task("0_0", &[spec]).unwrap(), Changelog::new(), 0);
    if let Some(store) = state.key_value("store") {
        store.put(b"k", Some(b"v"), 1, &context(1)).unwrap();
    }
    if let Some(store) = state.window("store") {
        store.put(b"k", Some(b"v"), 1, 1, &context(1)).unwrap();
    }
    state.commit(&[(STORE, 5)]).unwrap();
}

#[test]
fn a_store_of_another_kind_is_refused_and_says_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap();
    fill(&engine, key_value(true, true));
    let Err(error) = engine.open_task("0_0", &[window(500)]) else {
        panic!("the rows are no windows")
    };
    assert!(
        matches!(&error, StateError::Incompatible { .. }) && !error.is_damage(),
        "{error}"
    );
    let text = error.to_string();
    for part in ["store", "key-value", "window", "new name"] {
        assert!(text.contains(part), "{text}");
    }
    // The old topology still works: nothing was touched.
    assert_eq!(
        engine.open_task("0_0", &[key_value(true, true)]).unwrap().offset(STORE),
        Some(5)
    );
}

#[test]
fn rows_that_are_laid_out_anew_are_restored() {
    for (before, after) in [
        (key_value(false, true), key_value(true, true)),
        (window(500), window(300)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let engine = StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap();
        fill(&engine, before);
        let database = engine.open_task("0_0", std::slice::from_ref(&after)).unwrap();
        assert_eq!(database.offset(STORE), None, "the changelog is read from its beginning");
        drop(database);
        fill(&engine, after.clone());
        assert_eq!(engine.open_task("0_0", &[after]).unwrap().offset(STORE), Some(5));
    }
}

#[test]
fn without_a_changelog_rows_are_not_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let engine = StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap();
    fill(&engine, key_value(false, false));
    let opened = engine.open_task("0_0", &[key_value(true, false)]);
    assert!(matches!(opened, Err(StateError::Incompatible { .. })));
}
