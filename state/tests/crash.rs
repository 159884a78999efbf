//! A process that dies at any moment leaves data and offsets that agree; damage is reported, and wiping helps.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use millstream_state::{StateEngine, StateError, StoreIndex, TaskState};
use support::{Changelog, context, key_value};

const STORE: StoreIndex = StoreIndex(0);
const CHILD: &str = "MILLSTREAM_CRASH_TEST";
const KEYS: i64 = 50;

fn engine(dir: &Path) -> StateEngine {
    StateEngine::rocksdb(dir, "app", 8 << 20).unwrap()
}

/// Batch n writes n to every key and commits offset n; then the process dies in the middle of batch `last + 1`.
fn write_and_die(dir: &Path, last: i64) -> ! {
    let database = engine(dir).open_task("0_0", &[key_value()]).unwrap();
    let first = database.offset(STORE).unwrap_or(0) + 1;
    let state = TaskState::new(database, Changelog::new(), 0);
    let store = state.key_value("kv").unwrap();
    for batch in first.. {
        for key in 0..KEYS {
            store
                .put(&key.to_be_bytes(), Some(&batch.to_be_bytes()), batch, &context(batch))
                .unwrap();
            if batch == last + 1 && key == KEYS / 2 {
                std::process::abort();
            }
        }
        state.commit(&[(STORE, batch)]).unwrap();
    }
    unreachable!("the process has died");
}

#[test]
fn what_was_committed_is_there_and_nothing_else() {
    if let Ok(order) = std::env::var(CHILD) {
        let (last, dir) = order.split_once(' ').unwrap();
        write_and_die(Path::new(dir), last.parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    for last in [1, 2, 7, 40, 41, 300] {
        let status = Command::new(&this)
            .args(["--exact", "what_was_committed_is_there_and_nothing_else", "--nocapture"])
            .env(CHILD, format!("{last} {}", dir.path().display()))
            .output()
            .unwrap()
            .status;
        assert!(!status.success(), "the child must have died");
        let database = engine(dir.path()).open_task("0_0", &[key_value()]).unwrap();
        assert_eq!(database.offset(STORE), Some(last));
        let state = TaskState::new(database, Changelog::new(), 0);
        let store = state.key_value("kv").unwrap();
        let rows: Vec<_> = store.range(None, None, false).map(Result::unwrap).collect();
        assert_eq!(rows.len() as i64, KEYS);
        assert!(
            rows.iter()
                .all(|row| *row.value == last.to_be_bytes() && row.timestamp == last)
        );
    }
}

#[test]
fn damaged_files_are_reported_and_wiping_makes_an_empty_task() {
    for damage in ["CURRENT", "MANIFEST"] {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path());
        let state = TaskState::new(engine.open_task("0_0", &[key_value()]).unwrap(), Changelog::new(), 0);
        state
            .key_value("kv")
            .unwrap()
            .put(b"k", Some(b"v"), 1, &context(1))
            .unwrap();
        state.commit(&[(STORE, 5)]).unwrap();
        drop(state.into_database());
        for file in std::fs::read_dir(engine.task_dir("0_0").unwrap()).unwrap() {
            let file = file.unwrap();
            if file.file_name().to_string_lossy().starts_with(damage) {
                std::fs::write(file.path(), b"garbage").unwrap();
            }
        }
        let Err(error) = engine.open_task("0_0", &[key_value()]) else {
            panic!("{damage} was overlooked")
        };
        assert!(
            matches!(&error, StateError::Damaged { path, .. } if path.ends_with("0_0")),
            "{damage}: {error}"
        );
        assert!(error.to_string().contains("wipe"), "{error}");
        engine.wipe_task("0_0").unwrap();
        assert_eq!(engine.open_task("0_0", &[key_value()]).unwrap().offset(STORE), None);
    }
}

#[test]
fn a_missing_file_is_damage_even_where_the_path_speaks_of_locks() {
    let root = tempfile::tempdir().unwrap();
    for name in ["clock", "LOCK file", "Permission denied", "No space left"] {
        let dir = root.path().join(name);
        let engine = engine(&dir);
        drop(engine.open_task("0_0", &[key_value()]).unwrap());
        for file in std::fs::read_dir(engine.task_dir("0_0").unwrap()).unwrap() {
            let file = file.unwrap();
            if file.file_name().to_string_lossy().starts_with("MANIFEST") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
        let Err(error) = engine.open_task("0_0", &[key_value()]) else {
            panic!("{name}: the missing file was overlooked")
        };
        assert!(error.is_damage(), "{name}: {error}");
    }
}

#[test]
fn a_task_is_open_once_and_an_instance_alone_in_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let open = engine.open_task("0_0", &[key_value()]).unwrap();
    assert!(matches!(
        engine.open_task("0_0", &[key_value()]),
        Err(StateError::Locked { .. })
    ));
    assert!(matches!(
        StateEngine::rocksdb(dir.path(), "app", 8 << 20),
        Err(StateError::Locked { .. })
    ));
    drop(open);
    engine.open_task("0_0", &[key_value()]).unwrap();
    assert_eq!(engine.tasks_on_disk().unwrap(), ["0_0"]);
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let Err(error) = StateEngine::rocksdb(&file, "app", 8 << 20) else {
        panic!("a file is no directory")
    };
    assert!(
        matches!(&error, StateError::ReadOnly { .. }) && error.to_string().contains("file"),
        "{error}"
    );
}

#[test]
fn a_store_that_was_wiped_is_restored_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let state = TaskState::new(engine.open_task("0_0", &[key_value()]).unwrap(), Changelog::new(), 0);
    state
        .key_value("kv")
        .unwrap()
        .put(b"k", Some(b"v"), 1, &context(1))
        .unwrap();
    state.commit(&[(STORE, 5)]).unwrap();
    let mut database = state.into_database().unwrap();
    database.wipe(STORE).unwrap();
    assert_eq!(database.offset(STORE), None);
    database.close().unwrap();
    let state = TaskState::new(engine.open_task("0_0", &[key_value()]).unwrap(), Changelog::new(), 0);
    assert_eq!(state.key_value("kv").unwrap().range(None, None, false).count(), 0);
}
