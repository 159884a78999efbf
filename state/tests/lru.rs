//! A store that forgets the least recently used: what it forgets, when, and what it knows after a restart.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::rc::Rc;

use millstream_state::{KeyValueStore, StateEngine, StoreIndex, StoreKind, StoreSpec, TaskDatabase, TaskState};
use support::{Changelog, context, spec};

const STORE: StoreIndex = StoreIndex(0);

fn lru(timestamped: bool, caching: bool) -> StoreSpec {
    let kind = StoreKind::Lru {
        timestamped,
        max_entries: 2,
    };
    StoreSpec {
        caching,
        ..spec("lru", kind)
    }
}

fn empty(spec: StoreSpec) -> TaskDatabase {
    StateEngine::in_memory().open_task("0_0", &[spec]).unwrap()
}

fn open(spec: StoreSpec, changelog: &Rc<Changelog>) -> TaskState {
    TaskState::new(empty(spec), Rc::clone(changelog) as Rc<_>, 1 << 20)
}

fn put(store: &KeyValueStore, key: &[u8], time: i64) {
    store.put(key, Some(b"v"), time, &context(time)).unwrap();
}

fn keys(store: &Rc<KeyValueStore>) -> String {
    store
        .range(None, None, false)
        .map(|row| String::from_utf8_lossy(&row.unwrap().key).into_owned())
        .collect()
}

/// Flushes the cache; gives the keys handed out, an upper-case letter where there was a value before.
fn flush(store: &KeyValueStore) -> String {
    let mut updates = String::new();
    store
        .flush_cache(&mut |update| {
            let key = String::from_utf8_lossy(update.key).into_owned();
            updates.push_str(&if update.old.is_some() { key.to_uppercase() } else { key });
            Ok(())
        })
        .unwrap();
    updates
}

/// What was logged: `+` put, `-` tombstone.
fn logged(changelog: &Changelog) -> String {
    let records = changelog.records.take();
    let show = |(key, value, _): &(Vec<u8>, Option<Vec<u8>>, i64)| {
        let sign = if value.is_some() { '+' } else { '-' };
        format!("{sign}{}", String::from_utf8_lossy(key))
    };
    records.iter().map(show).collect()
}

#[test]
fn the_eldest_is_forgotten_with_a_tombstone_that_precedes_the_new_row() {
    let changelog = Changelog::new();
    let state = open(lru(false, false), &changelog);
    let store = state.key_value("lru").unwrap();
    put(&store, b"a", 1);
    put(&store, b"b", 2);
    store.get(b"a", &mut Vec::new()).unwrap();
    put(&store, b"c", 3);
    assert_eq!(keys(&store), "ac", "a was used after b");
    assert_eq!(logged(&changelog), "+a+b-b+c");
}

#[test]
fn under_a_cache_rows_are_forgotten_when_it_is_flushed() {
    for timestamped in [true, false] {
        let changelog = Changelog::new();
        let state = open(lru(timestamped, true), &changelog);
        let store = state.key_value("lru").unwrap();
        for (key, time) in [(b"a", 1), (b"b", 2), (b"c", 3)] {
            put(&store, key, time);
        }
        assert_eq!(keys(&store), "abc", "the cache holds them all");
        assert_eq!(flush(&store), "abc");
        assert_eq!(keys(&store), "abc", "and still does");
        // The store of a table logs no tombstone, as in Kafka Streams.
        assert_eq!(logged(&changelog), if timestamped { "+a+b+c" } else { "+a+b-a+c" });
        state.commit(&[(STORE, 4)]).unwrap();
        assert_eq!(keys(&store), "abc");
        let state = TaskState::new(state.into_database().unwrap(), Changelog::new(), 1 << 20);
        assert_eq!(keys(&state.key_value("lru").unwrap()), "bc", "the cache has gone");
    }
}

#[test]
fn what_a_small_cache_has_no_room_for_is_forgotten() {
    let state = TaskState::new(empty(lru(false, true)), Changelog::new(), 1_000);
    let store = state.key_value("lru").unwrap();
    for n in 0..100_u8 {
        put(&store, &[n], i64::from(n));
        flush(&store);
        state.commit(&[(STORE, i64::from(n))]).unwrap();
    }
    let left = store.range(None, None, false).count();
    assert!((3..12).contains(&left), "{left} rows");
}

#[test]
fn an_update_that_waits_in_the_cache_survives_the_eviction_of_its_row() {
    let changelog = Changelog::new();
    let state = open(lru(false, true), &changelog);
    let store = state.key_value("lru").unwrap();
    put(&store, b"a", 1);
    put(&store, b"b", 2);
    assert_eq!(flush(&store), "ab");
    logged(&changelog);
    // c and d push a and b out; then the new a arrives, which by then had no value before.
    put(&store, b"c", 3);
    put(&store, b"d", 4);
    put(&store, b"a", 5);
    assert_eq!(flush(&store), "cda");
    assert_eq!(keys(&store), "abcd", "the cache has them all");
    assert_eq!(logged(&changelog), "-a+c-b+d-c+a");
}

fn restored(spec: StoreSpec, log: &[&[u8]]) -> TaskDatabase {
    let changelog = Changelog::new();
    let rows = (0..)
        .zip(log)
        .map(|(time, key)| (key.to_vec(), Some(b"v".to_vec()), time));
    changelog.records.replace(rows.collect());
    let mut database = empty(spec);
    changelog.with_records(|records| database.restore(STORE, records, 9).unwrap());
    database
}

#[test]
fn a_restored_store_forgets_in_the_order_of_its_changelog() {
    let database = restored(lru(false, false), &[b"b", b"a"]);
    let state = TaskState::new(database, Changelog::new(), 0);
    let store = state.key_value("lru").unwrap();
    put(&store, b"c", 3);
    assert_eq!(keys(&store), "ac");
}

#[test]
fn a_changelog_without_tombstones_restores_no_more_rows_than_fit() {
    let database = restored(lru(true, false), &[b"a", b"b", b"c", b"a", b"d"]);
    let state = TaskState::new(database, Changelog::new(), 0);
    assert_eq!(keys(&state.key_value("lru").unwrap()), "ad");
}

#[test]
fn a_discard_brings_back_rows_and_their_order() {
    let changelog = Changelog::new();
    let state = open(lru(false, false), &changelog);
    let store = state.key_value("lru").unwrap();
    put(&store, b"a", 1);
    put(&store, b"b", 2);
    state.commit(&[(STORE, 2)]).unwrap();
    // Uses a, forgets b, then a: none of it counts.
    store.get(b"a", &mut Vec::new()).unwrap();
    put(&store, b"c", 3);
    put(&store, b"d", 4);
    assert_eq!(keys(&store), "cd");
    state.discard();
    assert_eq!(keys(&store), "ab");
    put(&store, b"e", 5);
    assert_eq!(keys(&store), "be", "a is the eldest again");
}

#[test]
fn a_task_that_was_closed_and_opened_again_knows_the_order() {
    let state = open(lru(false, false), &Changelog::new());
    let store = state.key_value("lru").unwrap();
    put(&store, b"a", 1);
    put(&store, b"b", 2);
    store.get(b"a", &mut Vec::new()).unwrap();
    state.commit(&[(STORE, 2)]).unwrap();
    put(&store, b"c", 3);
    let database = state.into_database().unwrap();
    let state = TaskState::new(database, Changelog::new(), 0);
    let store = state.key_value("lru").unwrap();
    put(&store, b"d", 4);
    assert_eq!(keys(&store), "ad");
}
