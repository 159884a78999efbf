//! Copies of the state of tasks that run elsewhere: kept up to date, and used when their turn comes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millstream::{
    CloseOptions, KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee,
    cluster::{
        Isolation,
        memory::{MemoryCluster, MemoryClusterConfig, SystemClock},
    },
};
use support::{Lines, PARTITIONS, PATIENCE, assert_exactly_once, counted, records_in, word_count};

const CHANGELOG: &str = "word-count-counts-changelog";

fn cluster() -> MemoryCluster {
    support::logging();
    let config = MemoryClusterConfig {
        num_standby_replicas: 1,
        session_timeout_ms: 1_000,
        heartbeat_interval_ms: 200,
        ..MemoryClusterConfig::default()
    };
    let cluster = MemoryCluster::with(config, Arc::new(SystemClock::new()));
    for topic in ["lines", "counts"] {
        cluster.create_topic(topic, PARTITIONS, &[]).unwrap();
    }
    cluster
}

fn app(dir: &Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("word-count")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .commit_interval(Duration::from_millis(30))
        .record_cache_bytes(0)
        .state_dir(dir)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn send(lines: &mut Lines, words: i32) {
    for word in 0..words {
        lines.send(&format!("word-{word}"));
    }
    lines.flush();
}

#[tokio::test]
async fn a_task_whose_copy_was_kept_is_taken_over_without_restoring_it() {
    let cluster = cluster();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = app(dirs[0].path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    let second = app(dirs[1].path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    let mut lines = Lines::new(&cluster);
    send(&mut lines, 30);
    until("both have work", || {
        [&first, &second].iter().all(|app| app.metrics().records_processed > 0)
    })
    .await;
    send(&mut lines, 20_000);
    counted(&cluster, &lines.words).await;
    // Both together have seen every change: one by making it, the other by keeping the copy.
    let changes = records_in(&cluster, CHANGELOG, Isolation::ReadCommitted) as u64;
    assert!(changes >= 20_000);
    until("the copies are complete", || {
        first.metrics().standby_records + second.metrics().standby_records >= changes
    })
    .await;
    let before = second.metrics();
    assert!(before.standby_records > 1_000, "{before:?}");
    // Gone without a word: the group notices after its session has timed out.
    first.close(CloseOptions::default().timeout(Duration::ZERO)).await.ok();
    send(&mut lines, 300);
    assert_exactly_once(&counted(&cluster, &lines.words).await, &lines.words);
    let after = second.metrics();
    assert!(after.tasks_restored > before.tasks_restored, "{after:?}");
    let restored = after.records_restored - before.records_restored;
    assert!(
        restored < before.standby_records / 20,
        "{restored} of {}",
        before.standby_records
    );

    // And back: what the survivor kept on disk serves the one that returns.
    let third = app(dirs[0].path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    third.until_running(PATIENCE).await.unwrap();
    send(&mut lines, 300);
    assert_exactly_once(&counted(&cluster, &lines.words).await, &lines.words);
    third.close(CloseOptions::default()).await.unwrap();
    second.close(CloseOptions::default()).await.unwrap();
}
