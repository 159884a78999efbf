//! A process that dies in the middle of a commit, a flush or a wipe leaves rows and offset that agree.
//!
//! A second thread of the child waits until the step has begun, then a little, and aborts the process if it is still
//! inside.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use millstream_state::{StateEngine, StoreIndex, TaskState};
use support::{Changelog, context, key_value};

const STORE: StoreIndex = StoreIndex(0);
const CHILD: &str = "MILLSTREAM_CRASH_INSIDE";
const KEYS: i64 = 3_000;
const OUTSIDE: u32 = 0;
const COMMIT: u32 = 1;
const FLUSH: u32 = 2;
const WIPE: u32 = 3;

/// The step the working thread is in.
static PHASE: AtomicU32 = AtomicU32::new(OUTSIDE);

fn engine(dir: &Path) -> StateEngine {
    // Little memory: tables are written in the background all the time.
    StateEngine::rocksdb(dir, "app", 1 << 20).unwrap()
}

fn inside<R>(step: u32, f: impl FnOnce() -> R) -> R {
    PHASE.store(step, Ordering::SeqCst);
    let result = f();
    PHASE.store(OUTSIDE, Ordering::SeqCst);
    result
}

/// Aborts the process inside of the step, `after` its beginning, from the third time on.
fn die_inside(step: u32, after: Duration) {
    std::thread::spawn(move || {
        let mut entered = 0;
        loop {
            while PHASE.load(Ordering::SeqCst) != step {
                std::hint::spin_loop();
            }
            entered += 1;
            let begun = Instant::now();
            while begun.elapsed() < after && PHASE.load(Ordering::SeqCst) == step {}
            if entered > 2 && PHASE.load(Ordering::SeqCst) == step {
                std::process::abort();
            }
            while PHASE.load(Ordering::SeqCst) == step {}
            // The step is too short for that delay.
            if entered > 40 {
                std::process::exit(0);
            }
        }
    });
}

/// Round n writes n to every key and commits offset n.
fn work(dir: &Path, wiping: bool) -> ! {
    let engine = engine(dir);
    loop {
        let database = engine.open_task("0_0", &[key_value()]).unwrap();
        let first = database.offset(STORE).unwrap_or(0) + 1;
        let mut database = Some(database);
        for round in first..first + 5 {
            let state = TaskState::new(database.take().unwrap(), Changelog::new(), 0);
            let store = state.key_value("kv").unwrap();
            let value = [&round.to_be_bytes()[..], &[7; 92]].concat();
            for key in 0..KEYS {
                store
                    .put(&key.to_be_bytes(), Some(&value), round, &context(round))
                    .unwrap();
            }
            inside(COMMIT, || state.commit(&[(STORE, round)])).unwrap();
            inside(FLUSH, || state.flush()).unwrap();
            drop(store);
            database = state.into_database();
        }
        if wiping {
            inside(WIPE, || database.as_mut().unwrap().wipe(STORE)).unwrap();
        }
    }
}

/// Lets children die inside of the step, one after the other on the same files; gives how many did.
fn crashes(test: &str, step: u32, delays_micros: &[u64], check: impl Fn(&Path)) -> usize {
    if let Ok(order) = std::env::var(CHILD) {
        let (micros, dir) = order.split_once(' ').unwrap();
        die_inside(step, Duration::from_micros(micros.parse().unwrap()));
        work(Path::new(dir), step == WIPE);
    }
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut died = 0;
    for micros in delays_micros {
        let output = Command::new(&this)
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, format!("{micros} {}", dir.path().display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked"), "{text}");
        died += usize::from(!output.status.success());
        check(dir.path());
    }
    died
}

/// Every row is of the round the offset says.
fn is_whole(dir: &Path) {
    let database = engine(dir).open_task("0_0", &[key_value()]).unwrap();
    let offset = database.offset(STORE);
    let state = TaskState::new(database, Changelog::new(), 0);
    let rows = state.key_value("kv").unwrap().range(None, None, false);
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    let Some(round) = offset else {
        return;
    };
    assert_eq!(rows.len() as i64, KEYS);
    let of_round = |row: &&millstream_state::Row| row.timestamp == round && row.value[..8] == round.to_be_bytes();
    assert_eq!(rows.iter().filter(of_round).count() as i64, KEYS, "round {round}");
}

#[test]
fn a_commit_is_whole_or_not_at_all() {
    let delays = [0, 20, 100, 300, 500, 800, 1_200, 2_000];
    let died = crashes("a_commit_is_whole_or_not_at_all", COMMIT, &delays, is_whole);
    assert!(died >= 4, "only {died} died inside of a commit");
}

#[test]
fn a_flush_that_dies_loses_nothing() {
    let died = crashes("a_flush_that_dies_loses_nothing", FLUSH, &[0, 10, 50, 200], is_whole);
    assert!(died >= 2, "only {died} died inside of a flush");
}

#[test]
fn a_wipe_that_dies_leaves_no_offset_for_rows_that_are_gone() {
    let delays = [0, 50, 200, 500, 1_000, 2_000];
    let died = crashes(
        "a_wipe_that_dies_leaves_no_offset_for_rows_that_are_gone",
        WIPE,
        &delays,
        is_whole,
    );
    assert!(died >= 3, "only {died} died inside of a wipe");
}
