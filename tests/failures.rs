//! What goes wrong in a running application, and what it does about it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use millstream::{
    CloseOptions, ErrorKind, State, UncaughtAction,
    cluster::{Cluster, ProducerConfig, Step, memory::MemoryCluster},
};
use support::{Lines, NoWaker, PATIENCE, app, assert_exactly_once, cluster, counted, ended, word_count};

#[tokio::test]
async fn a_record_that_cannot_be_processed_stops_the_instance_with_its_place() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    lines.send_many(9);
    lines.send("poison");
    lines.flush();
    let app = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    let changes = app.state_changes();
    ended(&app).await;
    let error = app.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Processing);
    assert_eq!(error.context().topic.as_deref(), Some("lines"));
    assert_eq!((error.context().partition, error.context().offset), (Some(0), Some(3)));
    assert_eq!(error.context().task.as_deref(), Some("0_0"));
    assert_eq!(app.state(), State::Error);
    let heard: Vec<State> = changes.collect().await;
    assert_eq!(heard.last(), Some(&State::Error));
    assert!(app.until_stopped().await.is_err());
    let place = |o: &millstream::cluster::OffsetToCommit| &*o.partition.topic == "lines" && o.partition.partition == 0;
    let committed = cluster
        .committed_offsets("word-count")
        .into_iter()
        .find(place)
        .map_or(0, |o| o.offset);
    assert!(committed <= 3, "nothing is committed beyond the record: {committed}");
}

#[tokio::test]
async fn a_replaced_thread_goes_on_from_the_last_commit() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    lines.send_many(30);
    let failures = Arc::new(AtomicU32::new(0));
    let seen = failures.clone();
    let app = app(dir.path())
        .on_uncaught_error(move |_| {
            seen.fetch_add(1, SeqCst);
            UncaughtAction::ReplaceThread
        })
        .start_on(cluster.clone(), support::word_count_failing(3))
        .await
        .unwrap();
    app.until_running(PATIENCE).await.unwrap();
    lines.send("flaky");
    lines.send_many(30);
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    assert_eq!(failures.load(SeqCst), 3);
    assert_eq!(app.metrics().failed_threads, 3);
    app.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test]
async fn one_instance_can_stop_them_all() {
    let cluster = cluster();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut lines = Lines::new(&cluster);
    let all = |_: &millstream::Error| UncaughtAction::ShutdownApplication;
    let first = app(dirs[0].path())
        .on_uncaught_error(all)
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    let second = app(dirs[1].path())
        .on_uncaught_error(all)
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    lines.send("poison");
    lines.flush();
    ended(&first).await;
    ended(&second).await;
    let mut kinds = [first.error().unwrap().kind(), second.error().unwrap().kind()];
    kinds.sort_by_key(|k| *k == ErrorKind::ShutdownRequested);
    assert_eq!(kinds, [ErrorKind::Processing, ErrorKind::ShutdownRequested]);
}

#[tokio::test]
async fn missing_source_topics_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let error = app(dir.path())
        .missing_topic_timeout(Duration::from_millis(300))
        .start_on(MemoryCluster::new(), word_count())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingSourceTopic);
    assert!(error.message().contains("lines"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_stolen_transactional_id_costs_nothing_but_time() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    let app = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    app.until_running(PATIENCE).await.unwrap();
    let config = ProducerConfig {
        client_id: "thief".into(),
        transactional_id: Some(format!("word-count-{}-1", app.process_id())),
        transaction_timeout: Duration::from_secs(10),
    };
    for _ in 0..10 {
        lines.send_many(200);
        tokio::time::sleep(Duration::from_millis(7)).await;
        let mut thief = cluster.producer(&config, Arc::new(NoWaker)).unwrap();
        while matches!(thief.poll_init_transactions().unwrap(), Step::Pending) {}
        lines.send_many(50);
    }
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    assert!(app.metrics().aborts >= 2, "{:?}", app.metrics());
    app.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test]
async fn several_threads_share_the_tasks_of_an_instance() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    let app = app(dir.path())
        .stream_threads(3)
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    app.until_running(PATIENCE).await.unwrap();
    for _ in 0..50 {
        lines.send_many(20);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    drop(app);
    let app = self::app(dir.path())
        .stream_threads(2)
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    app.until_running(PATIENCE).await.unwrap();
    lines.send_many(20);
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    assert_eq!(app.metrics().records_restored, 0, "dropping the handle closes cleanly");
    app.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test]
async fn too_many_uncommitted_bytes_force_a_commit() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    let app = app(dir.path())
        .commit_interval(Duration::from_secs(5))
        .uncommitted_bytes(64 << 10)
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap();
    app.until_running(PATIENCE).await.unwrap();
    for i in 0..20_000 {
        lines.send(&format!("word-{i}"));
    }
    lines.send_many(1);
    counted(&cluster, &lines.words).await;
    assert!(app.metrics().forced_commits > 0, "{:?}", app.metrics());
    app.close(CloseOptions::default()).await.unwrap();
}
