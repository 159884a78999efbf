//! A set-up that cannot work is a typed error of `start`, soon, and its message says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use millstream::{
    Error, ErrorKind, KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee, cluster::memory::MemoryCluster,
    dsl::prelude::*,
};
use support::{cluster, old_broker, word_count};

/// However bad the set-up, `start` knows by then.
const LIMIT: Duration = Duration::from_secs(30);

fn app(dir: &std::path::Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("word-count").state_dir(dir)
}

fn assert_says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for part in parts.iter().chain(&["what to do: "]) {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

async fn refused_by(port: u16, guarantee: ProcessingGuarantee, patience: Duration) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let error = app(dir.path())
        .bootstrap_servers(format!("127.0.0.1:{port}"))
        .processing_guarantee(guarantee)
        .startup_timeout(patience)
        .start(word_count())
        .await
        .unwrap_err();
    assert!(start.elapsed() < LIMIT, "{:?}: {error}", start.elapsed());
    error
}

#[tokio::test]
async fn a_broker_that_is_not_there() {
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = refused_by(port, ProcessingGuarantee::AtLeastOnce, Duration::from_secs(2)).await;
    let address = format!("127.0.0.1:{port}");
    assert_says(
        &error,
        ErrorKind::BrokerUnavailable,
        &[&address, "check bootstrap_servers"],
    );
}

#[tokio::test]
async fn a_broker_that_does_not_answer() {
    let port = old_broker::start_silent();
    let error = refused_by(port, ProcessingGuarantee::AtLeastOnce, Duration::from_secs(2)).await;
    assert_says(&error, ErrorKind::BrokerUnavailable, &["check bootstrap_servers"]);
}

#[tokio::test]
async fn a_broker_that_is_not_there_with_the_default_patience() {
    let port = old_broker::start_silent();
    let error = refused_by(port, ProcessingGuarantee::ExactlyOnce, Duration::from_secs(25)).await;
    assert_says(&error, ErrorKind::BrokerUnavailable, &["check bootstrap_servers"]);
}

#[tokio::test]
async fn a_broker_without_streams_groups() {
    for early_access in [false, true] {
        for guarantee in [ProcessingGuarantee::AtLeastOnce, ProcessingGuarantee::ExactlyOnce] {
            let port = old_broker::start(early_access);
            let error = refused_by(port, guarantee, Duration::from_secs(25)).await;
            assert_says(
                &error,
                ErrorKind::UnsupportedBroker,
                &[
                    "needs Kafka 4.2 or newer with streams groups enabled",
                    "use Apache Kafka 4.2 or newer",
                ],
            );
        }
    }
}

#[tokio::test]
async fn a_source_topic_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let error = app(dir.path())
        .start_on(MemoryCluster::new(), word_count())
        .await
        .unwrap_err();
    assert!(start.elapsed() < LIMIT, "also with the default patience");
    assert_says(
        &error,
        ErrorKind::MissingSourceTopic,
        &["source topics are missing: lines", "create the source topics"],
    );
}

#[tokio::test]
async fn joined_topics_with_different_partition_counts() {
    let cluster = cluster();
    cluster.create_topic("two", 2, &[]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("two");
    builder
        .stream::<String, String>("lines")
        .join(&table, |l, r| format!("{l}{r}"))
        .to("counts");
    let error = app(dir.path())
        .start_on(cluster, builder.build().unwrap())
        .await
        .unwrap_err();
    assert_says(
        &error,
        ErrorKind::IncorrectlyPartitioned,
        &[
            "lines has 3",
            "two has 2",
            "give joined topics the same number of partitions",
        ],
    );
}

/// What only the group coordinator sees: the count of a repartition topic was given, and it is another one.
#[tokio::test]
async fn a_repartition_topic_joined_with_a_topic_of_another_partition_count() {
    let dir = tempfile::tempdir().unwrap();
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("counts");
    builder
        .stream::<String, String>("lines")
        .repartition_with(Repartitioned::named("again").partitions(2))
        .join(&table, |l, r| format!("{l}{r}"))
        .for_each(|_, _| {});
    let start = Instant::now();
    let app = app(dir.path()).start_on(cluster(), builder.build().unwrap()).await;
    let error = match app {
        Err(error) => error,
        Ok(app) => app.until_running(LIMIT).await.unwrap_err(),
    };
    assert!(start.elapsed() < LIMIT, "{error}");
    assert_says(
        &error,
        ErrorKind::IncorrectlyPartitioned,
        &[
            "counts",
            "word-count-again-repartition",
            "give joined topics the same number of partitions",
        ],
    );
}

#[tokio::test]
async fn violated_rules_come_before_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let error = app(dir.path())
        .property("group.id", "mine")
        .stream_threads(0)
        .start(word_count())
        .await
        .unwrap_err();
    let parts = [
        "group.id is reserved",
        "stream_threads",
        "bootstrap_servers",
        "correct the configuration",
    ];
    assert_says(&error, ErrorKind::Configuration, &parts);
}

#[tokio::test]
async fn a_property_that_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [("no.such.property", "canary"), ("fetch.min.bytes", "canary")] {
        let error = app(dir.path())
            .bootstrap_servers(format!("127.0.0.1:{}", old_broker::start(false)))
            .property(name, value)
            .start(word_count())
            .await
            .unwrap_err();
        assert_says(&error, ErrorKind::Configuration, &[name, "correct the configuration"]);
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "the value may be a secret: {error:?}"
        );
    }
}

#[test]
fn two_stores_with_one_name() {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("lines");
    let _ = words.group_by_key().count_with(Materialized::named("twice"));
    builder.table_with::<String, i64>("counts", Materialized::named("twice"));
    let error = builder.build().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("twice") && text.contains("there is already another store of this name"),
        "{text}"
    );
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("lines").to("counts");
    builder.add_state_store(Store::<String, i64>::key_value("twice"));
    builder.add_state_store(Store::<String, i64>::key_value("twice"));
    let text = builder.build().unwrap_err().to_string();
    assert!(
        text.contains("twice") && text.contains("there is already a store of this name"),
        "{text}"
    );
}
