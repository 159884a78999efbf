//! Source topics that go away while they are read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use millstream::{
    CloseOptions, ErrorKind,
    cluster::{Cluster, memory::MemoryCluster},
};
use support::{Lines, PARTITIONS, PATIENCE, app, assert_exactly_once, cluster, counted, ended, word_count};

fn delete_lines(cluster: &MemoryCluster) {
    let mut admin = cluster.admin("somebody").unwrap();
    admin.delete_topics(&["lines".into()], PATIENCE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_anew_is_read_again() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Lines::new(&cluster);
    let app = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    app.until_running(PATIENCE).await.unwrap();
    lines.send_many(30);
    counted(&cluster, &lines.words).await;

    delete_lines(&cluster);
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.create_topic("lines", PARTITIONS, &[]).unwrap();
    // Fewer than have been read: the committed offsets do not exist, and the reset policy decides.
    lines.send_many(6);
    let values = counted(&cluster, &lines.words).await;
    assert_exactly_once(&values, &lines.words);
    app.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_stays_away_is_named() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_millis(1500);
    let app = app(dir.path()).missing_topic_timeout(timeout);
    let app = app.start_on(cluster.clone(), word_count()).await.unwrap();
    app.until_running(PATIENCE).await.unwrap();

    let start = Instant::now();
    delete_lines(&cluster);
    ended(&app).await;
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    let error = app.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::MissingSourceTopic, "{error}");
    assert!(error.to_string().contains("lines"), "{error}");
}
