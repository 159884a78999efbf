//! The examples from end to end on the cluster inside the process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use clap::Parser;
use millstream_examples::fraud::Kind;
use millstream_examples::{fraud, word_count};

async fn words(guarantee: &[&str]) {
    let arguments = ["word_count", "--repeat", "50"].iter().chain(guarantee);
    let counts = word_count::run(&word_count::Arguments::parse_from(arguments))
        .await
        .unwrap();
    let expected = [
        ("falls", 100),
        ("mill", 150),
        ("no", 150),
        ("rain", 150),
        ("runs", 100),
        ("stream", 150),
    ];
    for (word, count) in expected {
        assert_eq!(counts.get(word), Some(&count), "{word}");
    }
    assert_eq!(counts.len(), 9);
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
    let arguments = ["fraud_detection", "--payments", "20000", "--cards", "2000"]
        .iter()
        .chain(guarantee);
    // An error unless everything planted was found.
    let summary = fraud::run(&fraud::Arguments::parse_from(arguments)).await.unwrap();
    for kind in [Kind::Profile, Kind::Burst, Kind::Elsewhere] {
        assert!(summary.of(kind) > 0, "{kind:?}: {summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_fraud_is_found_at_least_once() {
    fraud(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_fraud_is_found_exactly_once() {
    fraud(&["--exactly-once"]).await;
}
