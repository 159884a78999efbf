//! A million keys and five million records: memory stays within its budget, and a killed instance reads back the tail of
//! its changelog, not the changelog.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a scenario fails by panicking")]
#![allow(
    clippy::print_stdout,
    reason = "the run's figures are for the reader of the test's output"
)]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use millstream_integration_tests::app::{AppOptions, AppProcess};
use millstream_integration_tests::kafka::{KafkaServer, NewRecord, Observer};

const RECORDS: u64 = 5_000_000;
const KEYS: u64 = 1_000_000;
const BATCH: u64 = 50_000;
const STATE_MEMORY_BYTES: u64 = 32 << 20;
const CACHE_BYTES: u64 = 10 << 20;
/// The default of `uncommitted_bytes`: what may wait for a commit.
const UNCOMMITTED_BYTES: u64 = 16 << 20;
/// What a process may take beside its budgets: code, clients, threads.
const BESIDE_BUDGETS_BYTES: u64 = 64 << 20;
/// Without a commit.
const SETTLE: Duration = Duration::from_secs(60);

fn load(observer: &Observer) {
    for first in (0..RECORDS).step_by(BATCH as usize) {
        let batch: Vec<NewRecord> = (first..first + BATCH)
            .map(|i: u64| NewRecord::new(format!("key-{:07}", i.wrapping_mul(2_654_435_761) % KEYS), "payment"))
            .collect();
        observer.produce("in", &batch).unwrap();
    }
}

fn start(root: &Path, bootstrap: &str, id: &str, exactly_once: bool, cache_bytes: u64) -> AppProcess {
    let options = AppOptions {
        bootstrap: bootstrap.to_owned(),
        application_id: id.to_owned(),
        state_dir: root.join(id),
        exactly_once,
        input: "in".into(),
        output: format!("{id}-out"),
        cache_bytes: cache_bytes as usize,
        state_memory_bytes: STATE_MEMORY_BYTES as usize,
        ..AppOptions::default()
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_counting-app"));
    AppProcess::start(binary, &options, &root.join(format!("{id}.log"))).unwrap()
}

/// Waits until all of the input is committed, for as long as something is.
fn wait_until_done(observer: &Observer, id: &str) {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let committed = observer.committed(id, "in").unwrap();
        let done: i64 = committed.iter().flatten().map(|(offset, _)| *offset).sum();
        if done == RECORDS as i64 {
            return;
        }
        if done > before {
            (before, since) = (done, Instant::now());
        }
        assert!(since.elapsed() < SETTLE, "{id}: {done} of {RECORDS} records committed");
        thread::sleep(Duration::from_millis(250));
    }
}

fn check_memory(app: &AppProcess, id: &str, budgets: u64) {
    let peak = app.peak_memory_bytes().unwrap();
    println!("{id}: peak memory {} MiB, budgets {} MiB", peak >> 20, budgets >> 20);
    assert!(
        peak < budgets + BESIDE_BUDGETS_BYTES,
        "{id}: peak memory {peak}, budgets {budgets}"
    );
}

#[test]
fn a_million_keys_stay_in_the_budget_and_a_kill_restores_the_tail() {
    let server = KafkaServer::start(1).unwrap();
    let observer = server.observer().unwrap();
    for topic in ["in", "eos-out", "alos-out"] {
        observer.create_topic(topic, 2).unwrap();
    }
    load(&observer);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();

    // Every update goes to the changelog.
    let app = start(root, server.bootstrap(), "eos", true, 0);
    wait_until_done(&observer, "eos");
    check_memory(&app, "eos", STATE_MEMORY_BYTES + UNCOMMITTED_BYTES);
    app.kill().unwrap();
    let changelog: i64 = observer
        .watermarks("eos-counts-changelog")
        .unwrap()
        .iter()
        .map(|(_, end)| *end)
        .sum();
    assert!(
        changelog >= RECORDS as i64,
        "the changelog has {changelog} records only"
    );
    let app = start(root, server.bootstrap(), "eos", true, 0);
    let (after_ms, restored) = app.wait_until_running(Duration::from_secs(60)).unwrap();
    println!("eos: running {after_ms} ms after the restart, {restored} of {changelog} changelog records restored");
    // A commit is in the database before the next one begins, so the tail is one transaction at most.
    assert!(restored < RECORDS / 100, "{restored} records restored");
    assert!(app.stop(Duration::from_secs(20)).unwrap());

    let app = start(root, server.bootstrap(), "alos", false, CACHE_BYTES);
    wait_until_done(&observer, "alos");
    check_memory(&app, "alos", STATE_MEMORY_BYTES + UNCOMMITTED_BYTES + CACHE_BYTES);
    assert!(app.stop(Duration::from_secs(20)).unwrap());
}
