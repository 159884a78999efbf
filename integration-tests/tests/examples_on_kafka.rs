//! The examples on real Kafka: the same binaries' code, both guarantees.
#![allow(clippy::unwrap_used, reason = "a scenario fails by panicking")]

use clap::Parser;
use millstream_examples::fraud::Kind;
use millstream_examples::{fraud, word_count};
use millstream_integration_tests::kafka::KafkaServer;

/// The harness has a runtime of its own, which must not end inside another one: only the example runs in this one.
fn wait<T>(example: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(example)
}

fn words(guarantee: &[&str]) {
    let server = KafkaServer::start(1).unwrap();
    let arguments = [
        "word_count",
        "--generate",
        "--repeat",
        "50",
        "--bootstrap",
        server.bootstrap(),
    ];
    let arguments = word_count::Arguments::parse_from(arguments.iter().chain(guarantee));
    let counts = wait(word_count::run(&arguments)).unwrap();
    assert_eq!(counts.get("the"), Some(&300));
    assert_eq!(counts.values().sum::<i64>(), 1_350);
    let observer = server.observer().unwrap();
    assert_eq!(
        observer.open_transactions(word_count::COUNTS).unwrap(),
        Vec::<i32>::new()
    );
}

#[test]
fn words_are_counted_at_least_once() {
    words(&[]);
}

#[test]
fn words_are_counted_exactly_once() {
    words(&["--exactly-once"]);
}

fn fraud(guarantee: &[&str]) {
    let server = KafkaServer::start(1).unwrap();
    let arguments = [
        "fraud_detection",
        "--generate",
        "--payments",
        "20000",
        "--cards",
        "2000",
        "--bootstrap",
    ];
    let bootstrap = server.bootstrap();
    let arguments = arguments.iter().chain([&bootstrap]).chain(guarantee);
    // An error unless everything planted was found.
    let summary = wait(fraud::run(&fraud::Arguments::parse_from(arguments))).unwrap();
    assert!(summary.of(Kind::Burst) > 0, "{summary}");
    let written = server.observer().unwrap().read_committed(fraud::ALERTS).unwrap();
    assert_eq!(written.len() as u64, summary.alerts());
}

#[test]
fn planted_fraud_is_found_at_least_once() {
    fraud(&[]);
}

#[test]
fn planted_fraud_is_found_exactly_once() {
    fraud(&["--exactly-once"]);
}
