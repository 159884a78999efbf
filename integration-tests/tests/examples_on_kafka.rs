//! The examples on real Kafka: the same binaries' code, both guarantees.
use clap::Parser;
use millstream_examples::fraud::Kind;
use millstream_examples::{fraud, word_count};
use millstream_integration_tests::kafka::KafkaServer;

async fn words(guarantee: &[&str]) {
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
    let counts = word_count::run(&arguments).await.unwrap();
    assert_eq!(counts.get("the"), Some(&300));
    assert_eq!(counts.values().sum::<i64>(), 1_350);
    let observer = server.observer().unwrap();
    assert_eq!(
        observer.open_transactions(word_count::COUNTS).unwrap(),
        Vec::<i32>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_at_least_once() {
    words(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_exactly_once() {
    words(&["--exactly-once"]).await;
}

async fn fraud(guarantee: &[&str]) {
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
    let summary = fraud::run(&fraud::Arguments::parse_from(arguments)).await.unwrap();
    assert!(summary.of(Kind::Burst) > 0, "{summary}");
    let written = server.observer().unwrap().read_committed(fraud::ALERTS).unwrap();
    assert_eq!(written.len() as u64, summary.alerts());
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_fraud_is_found_at_least_once() {
    fraud(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_fraud_is_found_exactly_once() {
    fraud(&["--exactly-once"]).await;
}
