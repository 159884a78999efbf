//! One writes, others read: what readers see of a global store, and what its directory remembers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::rc::Rc;

use millstream_state::{
    GlobalReader, GlobalState, KeyValueStore, MemoryDisk, StateEngine, StateError, StoreBackend, StoreIndex, StoreSpec,
    TaskOptions, TaskState,
};
use support::{Changelog, context, key_value, spec, windows};

const STORE: StoreIndex = StoreIndex(0);

fn in_memory() -> StoreSpec {
    StoreSpec {
        backend: StoreBackend::InMemory,
        ..key_value()
    }
}

/// A task that reads the global stores, and has a store of its own.
fn task(engine: &StateEngine, name: &str, reader: &GlobalReader) -> TaskState {
    let own = spec("own", millstream_state::StoreKind::KeyValue { timestamped: false });
    let options = TaskOptions {
        globals: Some(reader),
        ..TaskOptions::default()
    };
    TaskState::with(engine.open_task(name, &[own]).unwrap(), Changelog::new(), options)
}

fn get(store: &KeyValueStore, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    store.get(key, &mut value).unwrap().map(|_| value)
}

fn put(store: &KeyValueStore, key: &[u8], value: Option<&[u8]>) {
    store.put(key, value, 1, &context(1)).unwrap();
}

fn engines() -> Vec<(StateEngine, Option<tempfile::TempDir>)> {
    vec![
        (StateEngine::in_memory(), None),
        (StateEngine::on_memory_disk(&MemoryDisk::new("i")), None),
        #[cfg(feature = "rocksdb")]
        {
            let dir = tempfile::tempdir().unwrap();
            (StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap(), Some(dir))
        },
    ]
}

#[test]
fn readers_see_what_is_committed_and_nothing_else_and_soon() {
    for (engine, _dir) in engines() {
        for spec in [key_value(), in_memory()] {
            let globals = GlobalState::open(&engine, &[spec]).unwrap();
            let written: Rc<KeyValueStore> = globals.state().key_value("kv").unwrap();
            let reader = globals.reader().unwrap();
            let tasks = [task(&engine, "0_0", &reader), task(&engine, "0_1", &reader)];
            let stores = tasks.each_ref().map(|task| task.key_value("kv").unwrap());
            for round in 0..3u8 {
                let before = round.checked_sub(1).map(|before| vec![before]);
                put(&written, b"k", Some(&[round]));
                for store in &stores {
                    assert_eq!(get(store, b"k"), before, "not committed yet");
                    // Once more, from what the reader keeps.
                    assert_eq!(get(store, b"k"), before);
                }
                globals.commit().unwrap();
                for store in &stores {
                    assert_eq!(get(store, b"k"), Some(vec![round]));
                    assert_eq!(store.range(None, None, false).count(), 1);
                }
            }
            put(&written, b"k", None);
            globals.commit().unwrap();
            assert!(stores.iter().all(|store| get(store, b"k").is_none()));
            let refused = stores[0].put(b"k", Some(b"v"), 1, &context(1));
            assert!(
                matches!(&refused, Err(StateError::ReadOnlyStore { store }) if store == "kv"),
                "{refused:?}"
            );
            drop((written, stores));
            tasks.into_iter().for_each(|task| drop(task.into_database()));
            globals.close(false).unwrap();
            engine.wipe_task("global").unwrap();
        }
    }
}

#[test]
fn a_reader_in_another_thread_never_sees_half_a_batch() {
    for (engine, _dir) in engines() {
        let globals = GlobalState::open(&engine, &[key_value()]).unwrap();
        let written = globals.state().key_value("kv").unwrap();
        let reader = globals.reader().unwrap();
        std::thread::scope(|scope| {
            let engine = &engine;
            let reading = scope.spawn(move || {
                let task = task(engine, "0_0", &reader);
                let store = task.key_value("kv").unwrap();
                let mut highest = 0;
                while highest < 300 {
                    // One page is one moment: all rows of a batch carry its number.
                    let rows: Vec<_> = store.range(None, None, false).map(Result::unwrap).collect();
                    if let Some(first) = rows.first() {
                        assert_eq!(rows.len(), 4);
                        assert!(rows.iter().all(|row| row.value == first.value), "{rows:?}");
                        let number = u16::from_be_bytes((*first.value).try_into().unwrap());
                        assert!(number >= highest, "time does not go back");
                        highest = number;
                    }
                }
            });
            for number in 1..=300u16 {
                for key in [b"a", b"b", b"c", b"d"] {
                    put(&written, key, Some(&number.to_be_bytes()));
                }
                globals.commit().unwrap();
            }
            reading.join().unwrap();
        });
    }
}

#[test]
fn windows_expire_for_readers_as_they_do_for_the_writer() {
    let engine = StateEngine::in_memory();
    let globals = GlobalState::open(&engine, &[windows(false)]).unwrap();
    let written = globals.state().window("windows").unwrap();
    let reader = globals.reader().unwrap();
    let task = task(&engine, "0_0", &reader);
    let store = task.window("windows").unwrap();
    let starts = || store.all(false).map(|row| row.unwrap().start).collect::<Vec<_>>();
    written.put(b"k", Some(b"v"), 10, 10, &context(10)).unwrap();
    globals.commit().unwrap();
    assert_eq!(starts(), [10]);
    written.put(b"k", Some(b"v"), 200, 200, &context(200)).unwrap();
    globals.commit().unwrap();
    assert_eq!(starts(), [200]);
    assert!(store.put(b"k", Some(b"v"), 200, 200, &context(200)).is_err());
}

#[test]
fn positions_are_kept_with_the_rows_and_forgotten_with_them() {
    for (engine, dir) in engines() {
        let survives = dir.is_some();
        let specs = || {
            [
                key_value(),
                StoreSpec {
                    name: "other".into(),
                    ..in_memory()
                },
            ]
        };
        let globals = GlobalState::open(&engine, &specs()).unwrap();
        put(&globals.state().key_value("kv").unwrap(), b"k", Some(b"v"));
        for partition in [0, 1] {
            globals.set_position(STORE, "topic", partition, 7).unwrap();
        }
        globals.set_position(STORE, "topic2", 0, 9).unwrap();
        globals.set_position(StoreIndex(1), "volatile", 0, 3).unwrap();
        globals.commit().unwrap();
        globals.set_position(STORE, "topic", 0, 8).unwrap();
        // Not committed.
        globals.close(false).unwrap();
        let globals = GlobalState::open(&engine, &specs()).unwrap();
        assert_eq!(
            globals.position(StoreIndex(1), "volatile", 0).unwrap(),
            None,
            "it has no rows either"
        );
        if survives {
            assert_eq!(globals.position(STORE, "topic", 0).unwrap(), Some(7));
            globals.reset(STORE, "topic").unwrap();
            assert_eq!(get(&globals.state().key_value("kv").unwrap(), b"k"), None);
            assert_eq!(globals.position(STORE, "topic", 0).unwrap(), None);
            assert_eq!(globals.position(STORE, "topic", 1).unwrap(), None);
            assert_eq!(globals.position(STORE, "topic2", 0).unwrap(), Some(9));
        }
        globals.close(true).unwrap();
        let globals = GlobalState::open(&engine, &specs()).unwrap();
        assert_eq!(
            globals.position(STORE, "topic2", 0).unwrap(),
            None,
            "nothing of it was to be used again"
        );
    }
}
