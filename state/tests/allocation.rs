//! A put allocates the row it keeps, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::rc::Rc;

use millstream_state::{ChangeLogger, Headers, Result, StateEngine, StoreIndex, StoreKind, StoreSpec, TaskState};
use support::{context, key_value, spec, windows};

/// Takes everything and keeps nothing.
struct Nobody;
impl ChangeLogger for Nobody {
    fn log(&self, _: StoreIndex, _: &[u8], _: Option<&[u8]>, _: Option<i64>, _: Option<&Headers>) -> Result<()> {
        Ok(())
    }
}

fn open(spec: StoreSpec) -> TaskState {
    let database = StateEngine::in_memory().open_task("0_0", &[spec]).unwrap();
    TaskState::new(database, Rc::new(Nobody), 0)
}

/// Allocations of a thousand calls.
fn allocations(mut one: impl FnMut(i64)) -> u64 {
    allocation_counter::measure(|| (0..1_000).for_each(&mut one)).count_total
}

/// Key, value, and what the growing maps and lists take.
const NEW_ROW: u64 = 2;
const GROWTH: u64 = 60;

#[test]
fn an_update_of_a_row_that_is_there_allocates_nothing() {
    let context = context(5);
    let state = open(key_value());
    let store = state.key_value("kv").unwrap();
    let put = |n: i64| store.put(b"key", Some(&n.to_be_bytes()), n, &context).unwrap();
    put(0);
    assert_eq!(allocations(put), 0, "key-value");

    for duplicates in [false, true] {
        let state = open(windows(duplicates));
        let store = state.window("windows").unwrap();
        let put = |n: i64| assert!(store.put(b"key", Some(&n.to_be_bytes()), 5, n, &context).unwrap());
        put(0);
        let expected = if duplicates { NEW_ROW * 1_000 + GROWTH } else { 0 };
        let allocated = allocations(put);
        assert!(allocated <= expected, "window, duplicates {duplicates}: {allocated}");
        let mut value = Vec::with_capacity(16);
        let get = |_| assert!(store.get(b"key", 5, &mut value).unwrap().is_some());
        if !duplicates {
            assert_eq!(allocations(get), 0, "window get");
        }
    }

    let kind = StoreKind::Session {
        retention_ms: 1_000,
        segment_interval_ms: 500,
    };
    let state = open(spec("sessions", kind));
    let store = state.session("sessions").unwrap();
    let put = |n: i64| assert!(store.put(b"key", 1, 5, Some(&n.to_be_bytes()), &context).unwrap());
    put(0);
    assert_eq!(allocations(put), 0, "session");
}

#[test]
fn a_new_window_allocates_its_row() {
    let context = context(5);
    let state = open(windows(false));
    let store = state.window("windows").unwrap();
    let put = |n: i64| assert!(store.put(&n.to_be_bytes(), Some(b"v"), 5, 5, &context).unwrap());
    let allocated = allocations(put);
    assert!(
        allocated <= NEW_ROW * 1_000 + GROWTH,
        "{allocated} allocations of 1000 puts"
    );
}
