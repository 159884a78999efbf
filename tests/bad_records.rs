//! Records no application should get: bytes that are no key or value, nulls, times that are none. Each stops the instance with
//! an error that says where the record is, or is left out by whoever asked for that; the records around it are never lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millstream::{
    CloseOptions, Error, ErrorKind, KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee,
    cluster::{Isolation, Producer, ProducerRecord, Step, memory::MemoryCluster},
    dsl::{
        engine::{Handlers, LogAndContinue, Topology},
        prelude::*,
    },
};
use support::{PATIENCE, cluster, log, visit};

/// In every bad record; must never be seen outside of it.
const CANARY: &[u8] = b"canary-4711";

/// One record that no stream of strings to numbers can take.
struct Bad {
    name: &'static str,
    key: Option<&'static [u8]>,
    value: Option<&'static [u8]>,
    timestamp: i64,
    /// What the message says about it.
    told: &'static str,
}

const NUMBER: &[u8] = &7i64.to_be_bytes();
const BAD: [Bad; 5] = [
    Bad {
        name: "a key that is no text",
        key: Some(b"canary-4711 \xff\xfe"),
        value: Some(NUMBER),
        timestamp: 5,
        told: "key: ",
    },
    Bad {
        name: "a value of the wrong length",
        key: Some(CANARY),
        value: Some(CANARY),
        timestamp: 5,
        told: "value: ",
    },
    Bad {
        name: "no key where the type has no null",
        key: None,
        value: Some(NUMBER),
        timestamp: 5,
        told: "key: null",
    },
    Bad {
        name: "no value where the type has no null",
        key: Some(CANARY),
        value: None,
        timestamp: 5,
        told: "value: null",
    },
    Bad {
        name: "a time before the beginning",
        key: Some(CANARY),
        value: Some(NUMBER),
        timestamp: -1,
        told: "timestamp -1",
    },
];

fn copying(timestamps: TimestampExtractor<String, i64>) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream(Consumed::<String, i64>::topic("lines").timestamps(timestamps))
        .to("counts");
    builder.build().unwrap()
}

fn app(dir: &std::path::Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("copy")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .commit_interval(Duration::from_millis(30))
        .state_dir(dir)
}

fn skipping() -> Handlers {
    Handlers {
        deserialization: Arc::new(LogAndContinue),
        ..Handlers::default()
    }
}

fn send(producer: &mut dyn Producer, key: Option<&[u8]>, value: Option<&[u8]>, timestamp: i64) {
    let topic = producer.topic("lines").unwrap();
    let record = ProducerRecord {
        topic,
        partition: 2,
        key,
        value,
        timestamp: Some(timestamp),
        headers: None,
    };
    producer.send(&record).unwrap();
    while matches!(producer.poll_flush().unwrap(), Step::Pending) {}
}

/// A good record, the bad one at offset 1, a good one.
fn send_around(cluster: &MemoryCluster, bad: &Bad) {
    let mut producer = support::plain_producer(cluster);
    send(producer.as_mut(), Some(b"before"), Some(&1i64.to_be_bytes()), 1);
    send(producer.as_mut(), bad.key, bad.value, bad.timestamp);
    send(producer.as_mut(), Some(b"after"), Some(&2i64.to_be_bytes()), 9);
}

fn written(cluster: &MemoryCluster) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    visit(cluster, "counts", Isolation::ReadCommitted, |key, value| {
        let key = String::from_utf8(key.to_vec()).unwrap();
        all.push((key, i64::from_be_bytes(value.try_into().unwrap())));
    });
    all
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An error and all its causes, as they are printed and as they are debugged.
fn everything_of(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!("\n{error}\n{error:?}");
        cause = error.source();
    }
    text
}

fn assert_no_payload(name: &str, text: &str) {
    let canary = std::str::from_utf8(CANARY).unwrap();
    let as_list = CANARY.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    assert!(
        !text.contains(canary) && !text.contains(&as_list),
        "{name}: a payload in {text}"
    );
}

#[tokio::test]
async fn the_instance_stops_and_says_where_and_nothing_around_is_lost() {
    log::keep();
    for bad in &BAD {
        let (cluster, dir) = (cluster(), tempfile::tempdir().unwrap());
        send_around(&cluster, bad);
        let start = Instant::now();
        let broken = app(dir.path())
            .start_on(cluster.clone(), copying(TimestampExtractor::Record))
            .await
            .unwrap();
        until(bad.name, || broken.state().is_final()).await;
        assert!(start.elapsed() < Duration::from_secs(30));
        let error = broken.error().unwrap();
        assert_eq!(error.kind(), ErrorKind::Processing, "{}: {error}", bad.name);
        let place = error.context();
        assert_eq!(
            (
                place.topic.as_deref(),
                place.partition,
                place.offset,
                place.task.as_deref()
            ),
            (Some("lines"), Some(2), Some(1), Some("0_2")),
            "{}",
            bad.name
        );
        let text = error.to_string();
        assert!(place.operator.as_deref() == Some("KSTREAM-SOURCE-0000000000"), "{text}");
        assert!(text.contains(bad.told), "{}: {text}", bad.name);
        assert!(
            text.contains("what to do: correct the topology or the record"),
            "{text}"
        );
        assert_no_payload(bad.name, &everything_of(&error));
        drop(broken);
        // Whoever leaves the record out goes on behind it, and what came before it is not repeated.
        let repaired = app(dir.path())
            .handlers(skipping())
            .start_on(cluster.clone(), copying(TimestampExtractor::LogAndSkip))
            .await
            .unwrap();
        until(bad.name, || written(&cluster).len() >= 2).await;
        assert_eq!(
            written(&cluster),
            [("before".into(), 1), ("after".into(), 2)],
            "{}",
            bad.name
        );
        assert_eq!(repaired.metrics().records_dropped, 1, "{}", bad.name);
        repaired.close(CloseOptions::default()).await.unwrap();
    }
    let log = log::kept();
    assert!(log.contains("a stream thread has failed"), "the log is being kept");
    assert_no_payload("the log", &log);
}

#[tokio::test]
async fn a_missing_time_is_the_time_of_the_partition_for_who_asks_for_it() {
    log::keep();
    let (cluster, dir) = (cluster(), tempfile::tempdir().unwrap());
    send_around(&cluster, &BAD[4]);
    let app = app(dir.path())
        .start_on(cluster.clone(), copying(TimestampExtractor::PartitionTime))
        .await
        .unwrap();
    until("three records", || written(&cluster).len() >= 3).await;
    let mut times = Vec::new();
    support::visit_records(&cluster, "counts", Isolation::ReadCommitted, |r| {
        times.push(r.timestamp)
    });
    assert_eq!(times, [1, 1, 9]);
    app.close(CloseOptions::default()).await.unwrap();
}
