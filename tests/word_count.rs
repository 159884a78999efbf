//! Word count from end to end: two instances, three partitions, a repartition topic, a store with its changelog.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use millstream::{CloseOptions, KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee, State};
use support::{Lines, PATIENCE, assert_exactly_once, cached_word_count, cluster, counted, word_count};

fn app(guarantee: ProcessingGuarantee, dir: &std::path::Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("word-count")
        .processing_guarantee(guarantee)
        .commit_interval(Duration::from_millis(50))
        .record_cache_bytes(0)
        .state_dir(dir)
}

async fn two_instances(guarantee: ProcessingGuarantee) {
    let cluster = cluster();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut lines = Lines::new(&cluster);
    lines.send_many(300);

    let first = app(guarantee, dirs[0].path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    first.until_running(PATIENCE).await.unwrap();
    lines.send_many(300);
    let second = app(guarantee, dirs[1].path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    // Records flow while the tasks move.
    let start = Instant::now();
    while second.metrics().records_processed < 100 {
        assert!(
            start.elapsed() < PATIENCE,
            "the second instance gets no work: {:?}",
            second.metrics()
        );
        lines.send_many(20);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    assert!(first.metrics().commits > 0 && second.metrics().commits > 0);
    assert_eq!(second.state(), State::Running);

    first.close(CloseOptions::default()).await.unwrap();
    lines.send_many(100);
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    second.close(CloseOptions::default()).await.unwrap();

    // What was closed cleanly restores nothing.
    let third = app(guarantee, dirs[1].path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    third.until_running(PATIENCE).await.unwrap();
    lines.send_many(30);
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    assert_eq!(third.metrics().records_restored, 0);
    assert_eq!(third.metrics().tasks_restored, 6);
    third.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test]
async fn two_instances_share_the_work_at_least_once() {
    two_instances(ProcessingGuarantee::AtLeastOnce).await;
}

#[tokio::test]
async fn two_instances_share_the_work_exactly_once() {
    two_instances(ProcessingGuarantee::ExactlyOnce).await;
}

#[tokio::test]
async fn stopped_in_the_middle_of_a_transaction_every_word_still_counts_once() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    let mut processed = 0;
    for _ in 0..8 {
        lines.send_many(200);
        let app = app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .commit_interval(Duration::from_millis(30))
            .start_on(cluster.clone(), word_count())
            .await
            .unwrap();
        app.until_running(PATIENCE).await.unwrap();
        for _ in 0..20 {
            lines.send_many(20);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        lines.send_many(300);
        tokio::time::sleep(Duration::from_millis(2)).await;
        processed += app.metrics().records_processed;
        // No time for anything: the threads stop where they are, with their transactions open.
        app.close(CloseOptions::default().timeout(Duration::ZERO)).await.ok();
    }
    let last = app(ProcessingGuarantee::ExactlyOnce, dir.path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    processed += last.metrics().records_processed;
    let needed = u64::try_from(lines.words.values().sum::<i64>() / 3 * 4).unwrap();
    assert!(
        processed > needed,
        "some records were processed again: {processed} for {needed}"
    );
    last.close(CloseOptions::default()).await.unwrap();
}

/// With the record cache several updates of a word become one, so counts skip, but they only rise and end right.
fn assert_rising(values: &BTreeMap<String, Vec<i64>>, words: &BTreeMap<String, i64>) {
    for (word, n) in words {
        assert!(values[word].is_sorted_by(|a, b| a < b), "{word}: {:?}", values[word]);
        assert_eq!(values[word].last(), Some(n), "{word}");
    }
}

#[tokio::test]
async fn a_lost_disk_is_restored_from_the_changelog() {
    let cluster = cluster();
    let mut lines = Lines::new(&cluster);
    let mut restored = 0;
    for _ in 0..3 {
        // A new directory each time: nothing is left of the state but its changelog.
        let dir = tempfile::tempdir().unwrap();
        let app = KafkaStreams::builder("word-count")
            .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
            .commit_interval(Duration::from_millis(40))
            .state_dir(dir.path())
            .start_on(cluster.clone(), cached_word_count())
            .await
            .unwrap();
        app.until_running(PATIENCE).await.unwrap();
        restored = app.metrics().records_restored;
        for _ in 0..20 {
            lines.send_many(50);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_rising(&counted(&cluster, &lines.words).await, &lines.words);
        app.close(CloseOptions::default()).await.unwrap();
    }
    assert!(restored >= 14, "seven words, written at least twice: {restored}");
}
