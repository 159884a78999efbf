//! A store restored from the changelog equals the store that wrote it; caches log what they hand out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::rc::Rc;

use millstream_state::{StateEngine, StoreIndex, StoreKind, StoreSpec, TaskState};
use support::{Changelog, context, key_value, spec, windows};

const STORE: StoreIndex = StoreIndex(0);

fn open(spec: StoreSpec, changelog: &Rc<Changelog>, cache_bytes: usize) -> TaskState {
    let database = StateEngine::in_memory().open_task("0_0", &[spec]).unwrap();
    TaskState::new(database, Rc::clone(changelog) as Rc<_>, cache_bytes)
}

fn restored(spec: StoreSpec, changelog: &Changelog) -> TaskState {
    let mut database = StateEngine::in_memory().open_task("0_0", &[spec]).unwrap();
    changelog.with_records(|records| database.restore(STORE, records, 77).unwrap());
    assert_eq!(database.offset(STORE), Some(77));
    TaskState::new(database, Changelog::new(), 0)
}

#[test]
fn key_value_rows_come_back_with_their_times() {
    let changelog = Changelog::new();
    let state = open(key_value(), &changelog, 0);
    let store = state.key_value("kv").unwrap();
    store.put(b"a", Some(b"1"), 10, &context(10)).unwrap();
    store.put(b"b", Some(b"2"), 11, &context(11)).unwrap();
    store.put(b"a", None, 12, &context(12)).unwrap();
    let rows = |state: &TaskState| -> Vec<_> {
        state
            .key_value("kv")
            .unwrap()
            .range(None, None, false)
            .map(Result::unwrap)
            .collect()
    };
    assert_eq!(rows(&restored(key_value(), &changelog)), rows(&state));
    assert_eq!(rows(&state).len(), 1);
}

#[test]
fn windows_come_back_and_expired_ones_cannot_be_read() {
    let changelog = Changelog::new();
    let state = open(windows(false), &changelog, 0);
    let store = state.window("windows").unwrap();
    for start in [0, 10, 150] {
        assert!(store.put(b"k", Some(&[1]), start, start, &context(start)).unwrap());
    }
    // The segment of 0 has left, the one of 60 lives: 60 is written but cannot be read any more at 170.
    assert!(
        !store.put(b"k", Some(&[1]), 0, 0, &context(0)).unwrap(),
        "a window in a segment that has left"
    );
    assert!(store.put(b"k", Some(&[1]), 170, 170, &context(170)).unwrap());
    let starts = |state: &TaskState, reverse| -> Vec<i64> {
        let store = state.window("windows").unwrap();
        store
            .fetch(b"k", 0, i64::MAX, reverse)
            .map(|row| row.unwrap().start)
            .collect()
    };
    assert_eq!(starts(&state, false), [150, 170]);
    assert_eq!(starts(&state, true), [170, 150]);
    assert_eq!(starts(&restored(windows(false), &changelog), false), [150, 170]);
}

#[test]
fn keys_that_are_prefixes_of_others_do_not_mix() {
    let state = open(windows(false), &Changelog::new(), 0);
    let store = state.window("windows").unwrap();
    for key in [&b"a"[..], b"aa", b"a\0\0\0\0\0\0\0\x05\0\0\0\0"] {
        store.put(key, Some(key), 5, 5, &context(5)).unwrap();
    }
    let fetched: Vec<_> = store
        .fetch(b"a", 0, 100, false)
        .map(|row| row.unwrap().value.to_vec())
        .collect();
    assert_eq!(fetched, [b"a".to_vec()]);
    let range: Vec<_> = store
        .fetch_range(Some(b"a"), Some(b"aa"), 0, 100, false)
        .map(|row| row.unwrap().key.to_vec())
        .collect();
    assert_eq!(range.len(), 3);
    assert_eq!(store.fetch_range(Some(b"aa"), None, 0, 100, false).count(), 1);
}

#[test]
fn duplicates_are_numbered_and_a_null_is_only_logged() {
    let changelog = Changelog::new();
    let state = open(windows(true), &changelog, 0);
    let store = state.window("windows").unwrap();
    store.put(b"k", Some(b"1"), 5, 5, &context(5)).unwrap();
    store.put(b"k", None, 5, 5, &context(5)).unwrap();
    store.put(b"k", Some(b"2"), 5, 5, &context(5)).unwrap();
    let values: Vec<_> = store
        .fetch(b"k", 5, 5, false)
        .map(|row| row.unwrap().value.to_vec())
        .collect();
    assert_eq!(values, [b"1".to_vec(), b"2".to_vec()]);
    let sequences: Vec<u8> = changelog
        .records
        .borrow()
        .iter()
        .map(|(key, ..)| *key.last().unwrap())
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
}

#[test]
fn sessions_come_back_in_order_of_key_end_and_start() {
    let kind = StoreKind::Session {
        retention_ms: 1_000,
        segment_interval_ms: 500,
    };
    let sessions = || spec("sessions", kind.clone());
    let changelog = Changelog::new();
    let state = open(sessions(), &changelog, 0);
    let store = state.session("sessions").unwrap();
    for (key, start, end) in [(b"b", 1, 2), (b"a", 10, 20), (b"a", 0, 5), (b"a", 30, 40)] {
        store.put(key, start, end, Some(b"x"), &context(end)).unwrap();
    }
    store.put(b"a", 30, 40, None, &context(41)).unwrap();
    let found = |state: &TaskState| -> Vec<(i64, i64)> {
        let store = state.session("sessions").unwrap();
        store
            .find(Some(b"a"), Some(b"a"), 0, i64::MAX, false)
            .map(|row| row.unwrap())
            .map(|r| (r.start, r.end))
            .collect()
    };
    assert_eq!(found(&state), [(0, 5), (10, 20)]);
    assert_eq!(found(&restored(sessions(), &changelog)), [(0, 5), (10, 20)]);
    let mut value = Vec::new();
    assert!(store.get(b"a", 0, 5, &mut value).unwrap() && value == b"x");
}

#[test]
fn versions_answer_for_their_time_and_come_back() {
    let kind = StoreKind::Versioned {
        history_retention_ms: 100,
        segment_interval_ms: 50,
    };
    let versioned = || spec("versions", kind.clone());
    let changelog = Changelog::new();
    let state = open(versioned(), &changelog, 0);
    let store = state.versioned("versions").unwrap();
    assert_eq!(store.put(b"k", Some(b"1"), 10, &context(10)).unwrap(), -1, "the newest");
    assert_eq!(store.put(b"k", Some(b"3"), 30, &context(30)).unwrap(), -1);
    assert_eq!(
        store.put(b"k", Some(b"2"), 20, &context(30)).unwrap(),
        30,
        "out of order, valid until 30"
    );
    assert_eq!(store.put(b"x", Some(b"9"), 200, &context(200)).unwrap(), -1);
    assert_eq!(
        store.put(b"k", Some(b"0"), 50, &context(200)).unwrap(),
        i64::MIN,
        "older than the history"
    );
    for state in [&state, &restored(versioned(), &changelog)] {
        let store = state.versioned("versions").unwrap();
        assert_eq!(store.get(b"k").unwrap().unwrap().value[..], b"3"[..]);
        assert_eq!(store.get_as_of(b"k", 25).unwrap(), None, "the history has gone");
        assert_eq!(store.get_as_of(b"x", 300).unwrap().unwrap().valid_from, 200);
    }
}

#[test]
fn a_cache_hands_out_the_last_update_of_each_key_with_the_value_before_the_first() {
    let changelog = Changelog::new();
    let mut cached = key_value();
    cached.caching = true;
    let state = open(cached, &changelog, 1 << 20);
    let store = state.key_value("kv").unwrap();
    let put = |key: &[u8], value: Option<&[u8]>, time| store.put(key, value, time, &context(time)).unwrap();
    let flushed = || {
        let mut updates = Vec::new();
        store
            .flush_cache(&mut |update| {
                let owned = |side: Option<(&[u8], i64)>| side.map(|(value, time)| (value.to_vec(), time));
                updates.push((
                    update.key.to_vec(),
                    owned(update.new),
                    owned(update.old),
                    update.context.timestamp,
                ));
                Ok(())
            })
            .unwrap();
        updates
    };
    put(b"a", Some(b"1"), 1);
    put(b"b", Some(b"1"), 2);
    put(b"a", Some(b"2"), 3);
    put(b"c", Some(b"1"), 4);
    put(b"c", None, 5);
    assert!(
        changelog.records.borrow().is_empty(),
        "nothing is logged before the flush"
    );
    let one = |value: &[u8], time| Some((value.to_vec(), time));
    let expected = [
        (b"b".to_vec(), one(b"1", 2), None, 2),
        (b"a".to_vec(), one(b"2", 3), None, 3),
    ];
    assert_eq!(flushed(), expected, "a key that came and went is not mentioned");
    assert_eq!(changelog.records.borrow().len(), 2);
    put(b"a", None, 6);
    assert_eq!(flushed(), [(b"a".to_vec(), None, one(b"2", 3), 6)]);
    assert_eq!(changelog.records.borrow().last().unwrap(), &(b"a".to_vec(), None, 6));
    assert!(flushed().is_empty());
}

#[test]
fn an_unlogged_store_whose_windows_start_at_zero_is_found_again() {
    let mut unlogged = windows(false);
    unlogged.logging = false;
    let state = open(unlogged, &Changelog::new(), 0);
    let store = state.window("windows").unwrap();
    store.put(b"k", Some(b"v"), 0, 0, &context(0)).unwrap();
    state.commit(&[]).unwrap();
    let state = TaskState::new(state.into_database().unwrap(), Changelog::new(), 0);
    let store = state.window("windows").unwrap();
    assert_eq!(store.fetch(b"k", 0, 100, false).count(), 1);
}

#[test]
fn a_value_that_grows_in_the_cache_fills_it() {
    let mut cached = key_value();
    cached.caching = true;
    let state = open(cached, &Changelog::new(), 4_096);
    let store = state.key_value("kv").unwrap();
    store.put(b"k", Some(b"small"), 1, &context(1)).unwrap();
    assert!(!state.cache_is_full());
    store.put(b"k", Some(&[0; 8_192]), 2, &context(2)).unwrap();
    assert!(state.cache_is_full());
    store.put(b"k", Some(b"small"), 3, &context(3)).unwrap();
    assert!(!state.cache_is_full());
    store.put(b"k", Some(&[0; 8_192]), 4, &context(4)).unwrap();
    store.flush_cache(&mut |_| Ok(())).unwrap();
    assert!(!state.cache_is_full());
}
