//! Real Kafka decides who keeps copies of whose state; an instance that takes a task over restores next to nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a scenario fails by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use millstream::prelude::*;
use millstream_integration_tests::fold;
use millstream_integration_tests::kafka::{KafkaServer, NewRecord, ServerConfig};

const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: u64 = 4_000;

fn counting() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("out");
    builder.build().unwrap()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_copy_that_was_kept_is_taken_over() {
    let config = ServerConfig::new(1)
        .property("group.streams.num.standby.replicas", 1)
        .property("group.streams.initial.rebalance.delay.ms", 0)
        .streams_session_timeout(Duration::from_secs(3));
    let server = KafkaServer::start_with(&config).unwrap();
    let observer = server.observer().unwrap();
    for topic in ["in", "out"] {
        observer.create_topic(topic, 4).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = |dir: &Path| {
        let app = KafkaStreams::builder("standbys")
            .bootstrap_servers(server.bootstrap())
            .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
            .record_cache_bytes(0)
            .state_dir(dir);
        runtime.block_on(app.start(counting())).unwrap()
    };
    let [first, second] = dirs.each_ref().map(|dir| start(dir.path()));
    let feed = |rounds: u64| {
        let keys = (0..rounds * KEYS).map(|n| NewRecord::new(format!("k{}", n % KEYS), ""));
        observer.produce("in", &keys.collect::<Vec<_>>()).unwrap();
    };
    let written = |topic: &str| observer.read_committed(topic).unwrap().len() as u64;
    feed(1);
    until("both have work", || {
        [&first, &second].iter().all(|app| app.metrics().records_processed > 0)
    });
    feed(2);
    until("every record is counted", || written("out") >= 3 * KEYS);
    until("the copies are complete", || {
        let kept = first.metrics().standby_records + second.metrics().standby_records;
        kept >= written("standbys-counts-changelog")
    });
    let before = second.metrics();
    // Without a word: the group notices when the session has timed out.
    runtime
        .block_on(first.close(CloseOptions::default().timeout(Duration::ZERO)))
        .ok();
    feed(1);
    until("the survivor counts everything", || written("out") >= 4 * KEYS);
    let after = second.metrics();
    assert!(after.tasks_restored > before.tasks_restored, "{after:?}");
    let restored = after.records_restored - before.records_restored;
    assert!(restored < before.standby_records / 20, "{restored} of {before:?}");
    let out = observer.read_committed("out").unwrap();
    let mut counts = fold::PerKey::new();
    for record in &out {
        let count = i64::from_be_bytes(record.value.as_deref().unwrap().try_into().unwrap());
        counts.entry(record.key_text().to_owned()).or_default().push(count);
    }
    assert_eq!(counts.len() as u64, KEYS);
    assert!(counts.values().all(|counts| *counts == [1, 2, 3, 4]));
    runtime.block_on(second.close(CloseOptions::default())).unwrap();
}
