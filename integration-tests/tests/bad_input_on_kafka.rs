//! Bad input where the answer is the broker's: topics that are missing or go away, and records nobody can read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a scenario fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::dsl::engine::{Handlers, LogAndContinue};
use millstream::prelude::*;
use millstream::{Error, ErrorKind};
use millstream_integration_tests::kafka::{KafkaServer, NewRecord, Observer};
use tokio::runtime::Runtime;

const LIMIT: Duration = Duration::from_secs(30);

/// Numbers from one topic to the other.
fn copying(from: &str, to: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>(from).to(to);
    builder.build().unwrap()
}

fn app(server: &KafkaServer, id: &str, dir: &tempfile::TempDir) -> KafkaStreamsBuilder {
    KafkaStreams::builder(id)
        .bootstrap_servers(server.bootstrap())
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .state_dir(dir.path())
}

/// The error a running application ends with.
fn ended(app: &KafkaStreams) -> Error {
    let start = Instant::now();
    while !app.state().is_final() {
        assert!(start.elapsed() < LIMIT, "still {}", app.state());
        std::thread::sleep(Duration::from_millis(20));
    }
    app.error().unwrap()
}

fn assert_says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for part in parts.iter().chain(&["what to do: "]) {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

fn a_missing_topic(server: &KafkaServer, runtime: &Runtime) {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let started = runtime.block_on(app(server, "missing", &dir).start(copying("nowhere", "nowhere-else")));
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    assert_says(
        &started.unwrap_err(),
        ErrorKind::MissingSourceTopic,
        &["source topics are missing: nowhere", "create the source topics"],
    );
}

fn a_topic_that_goes_away(server: &KafkaServer, runtime: &Runtime) {
    let observer = server.observer().unwrap();
    for topic in ["leaving", "left"] {
        observer.create_topic(topic, 2).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let app = runtime
        .block_on(app(server, "leaving-app", &dir).start(copying("leaving", "left")))
        .unwrap();
    runtime.block_on(app.until_running(LIMIT)).unwrap();
    observer.delete_topic("leaving").unwrap();
    let error = ended(&app);
    assert_eq!(error.kind(), ErrorKind::MissingSourceTopic, "{error}");
    assert!(error.to_string().contains("leaving"), "{error}");
}

/// The application goes on, whether the new topic is there before the old one is missed or after.
fn a_topic_that_is_made_anew(server: &KafkaServer, runtime: &Runtime) {
    let observer = server.observer().unwrap();
    for topic in ["returning", "returned"] {
        observer.create_topic(topic, 1).unwrap();
    }
    let number = |key: &str, n: i64| NewRecord::new(key, n.to_be_bytes());
    let first = ["a", "b", "c"].map(|key| number(key, 1));
    observer.produce("returning", &first).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let app = runtime
        .block_on(app(server, "returning-app", &dir).start(copying("returning", "returned")))
        .unwrap();
    until_written(&observer, "returned", &["a", "b", "c"]);
    observer.delete_topic("returning").unwrap();
    std::thread::sleep(Duration::from_secs(2));
    observer.create_topic("returning", 1).unwrap();
    // Fewer than have been read: the committed offset does not exist, and the reset policy decides.
    observer.produce("returning", &[number("d", 2)]).unwrap();
    until_written(&observer, "returned", &["a", "b", "c", "d"]);
    runtime.block_on(app.close(CloseOptions::default())).unwrap();
}

fn until_written(observer: &Observer, topic: &str, expected: &[&str]) {
    let start = Instant::now();
    loop {
        let read = observer.read_committed(topic).unwrap();
        let keys: Vec<&str> = read.iter().map(|r| r.key_text()).collect();
        if keys.len() >= expected.len() {
            assert_eq!(keys, expected);
            return;
        }
        assert!(start.elapsed() < LIMIT, "{keys:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn a_record_nobody_can_read(server: &KafkaServer, runtime: &Runtime) {
    let observer = server.observer().unwrap();
    for topic in ["unread", "read"] {
        observer.create_topic(topic, 1).unwrap();
    }
    let number = |key: &str, n: i64| NewRecord::new(key, n.to_be_bytes());
    let records = [
        number("before", 1),
        NewRecord::new("canary", "canary"),
        number("after", 2),
    ];
    observer.produce("unread", &records).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let broken = runtime
        .block_on(app(server, "unread-app", &dir).start(copying("unread", "read")))
        .unwrap();
    let error = ended(&broken);
    assert_says(
        &error,
        ErrorKind::Processing,
        &["value: ", "task 0_0", "topic unread", "partition 0", "offset 1"],
    );
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    drop(broken);
    let skipping = Handlers {
        deserialization: Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let repaired = app(server, "unread-app", &dir).handlers(skipping);
    let repaired = runtime.block_on(repaired.start(copying("unread", "read"))).unwrap();
    until_written(&observer, "read", &["before", "after"]);
    runtime.block_on(repaired.close(CloseOptions::default())).unwrap();
}

#[test]
fn every_bad_input_is_an_error_that_says_where_and_what_to_do() {
    let server = KafkaServer::start(1).unwrap();
    let runtime = Runtime::new().unwrap();
    a_missing_topic(&server, &runtime);
    a_record_nobody_can_read(&server, &runtime);
    a_topic_that_goes_away(&server, &runtime);
    a_topic_that_is_made_anew(&server, &runtime);
}
