//! A set-up that cannot work is a typed error of `start`, soon.

mod support;

use std::time::{Duration, Instant};

use millstream::{ErrorKind, KafkaStreams, KafkaStreamsBuilder, dsl::prelude::*};
use support::{cluster, word_count};

fn app(dir: &std::path::Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("word-count").state_dir(dir)
}

#[tokio::test]
async fn a_broker_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = Instant::now();
    let error = app(dir.path())
        .bootstrap_servers(format!("127.0.0.1:{port}"))
        .startup_timeout(Duration::from_secs(2))
        .start(word_count())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokerUnavailable, "{error}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_state_directory_that_is_in_use() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let first = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    let error = app(dir.path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateLocked, "{error}");
    drop(first);
    drop(app(dir.path()).start_on(cluster, word_count()).await.unwrap());
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
    assert_eq!(error.kind(), ErrorKind::IncorrectlyPartitioned, "{error}");
    for part in ["lines has 3", "two has 2"] {
        assert!(error.message().contains(part), "{error}");
    }
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
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for part in ["group.id", "stream_threads", "bootstrap_servers"] {
        assert!(error.message().contains(part), "{error}");
    }
}
