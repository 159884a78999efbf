//! Where an application without committed offsets begins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream::{
    CloseOptions, KafkaStreams,
    cluster::{Isolation, Producer, ProducerRecord, Sent, Step, memory::MemoryCluster},
    dsl::prelude::*,
};
use support::{PARTITIONS, PATIENCE, visit};

/// Writes a record of an age to the only partition.
fn send(producer: &mut dyn Producer, value: &str, age: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let record = ProducerRecord {
        topic: producer.topic("clicks").unwrap(),
        partition: 0,
        key: None,
        value: Some(value.as_bytes()),
        timestamp: Some(i64::try_from((now - age).as_millis()).unwrap()),
        headers: None,
    };
    while matches!(producer.send(&record).unwrap(), Sent::Full) {
        producer.serve().unwrap();
    }
    while matches!(producer.poll_flush().unwrap(), Step::Pending) {}
}

fn seen(cluster: &MemoryCluster) -> Vec<String> {
    let mut seen = Vec::new();
    visit(cluster, "out", Isolation::ReadUncommitted, |_, value| {
        seen.push(String::from_utf8_lossy(value).into_owned());
    });
    seen
}

async fn until_seen(cluster: &MemoryCluster, expected: &[&str]) {
    let start = Instant::now();
    while seen(cluster) != expected {
        assert!(
            start.elapsed() < PATIENCE,
            "{:?} instead of {expected:?}",
            seen(cluster)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn cluster() -> (MemoryCluster, Box<dyn Producer>) {
    support::logging();
    let cluster = MemoryCluster::new();
    cluster.create_topic("clicks", 1, &[]).unwrap();
    cluster.create_topic("out", PARTITIONS, &[]).unwrap();
    let producer = support::plain_producer(&cluster);
    (cluster, producer)
}

async fn start(cluster: &MemoryCluster, dir: &std::path::Path) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    let recent = Consumed::topic("clicks").offset_reset(OffsetReset::by_duration(hours(1)));
    builder.stream::<Option<String>, String>(recent).to("out");
    let app = KafkaStreams::builder("recent")
        .commit_interval(Duration::from_millis(30))
        .state_dir(dir);
    let app = app.start_on(cluster.clone(), builder.build().unwrap()).await.unwrap();
    app.until_running(PATIENCE).await.unwrap();
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_by_duration_leaves_out_what_is_older() {
    let (cluster, mut producer) = cluster();
    for (value, age) in [("old", hours(2)), ("young", minutes(30)), ("late", hours(3))] {
        send(&mut *producer, value, age);
    }
    let dir = tempfile::tempdir().unwrap();
    let app = start(&cluster, dir.path()).await;
    // The first young one decides; what comes behind it is read whatever its time is.
    until_seen(&cluster, &["young", "late"]).await;
    app.close(CloseOptions::default()).await.unwrap();

    // A committed offset counts for more than any duration.
    send(&mut *producer, "very late", hours(4));
    let app = start(&cluster, dir.path()).await;
    until_seen(&cluster, &["young", "late", "very late"]).await;
    app.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_older_it_begins_with_the_next_record() {
    let (cluster, mut producer) = cluster();
    send(&mut *producer, "old", hours(2));
    let dir = tempfile::tempdir().unwrap();
    let app = start(&cluster, dir.path()).await;
    send(&mut *producer, "new", Duration::ZERO);
    until_seen(&cluster, &["new"]).await;
    app.close(CloseOptions::default()).await.unwrap();
}
