//! What a record costs inside a task: operator hops, and a count through the overlay, in the driver without a cluster.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream::prelude::*;
use millstream::state::{Headers as RecordHeaders, StateEngine};
use millstream::testing::TopologyTestDriver;

const RECORDS: u64 = 10_000;

/// Source, `hops` filters, sink.
fn chain(hops: usize) -> Topology {
    let builder = StreamsBuilder::new();
    let mut stream = builder.stream::<String, String>("in");
    for _ in 0..hops {
        stream = stream.filter(|_, value| !value.is_empty());
    }
    stream.to("out");
    builder.build().unwrap()
}

fn count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("out");
    builder.build().unwrap()
}

fn pipe(driver: &TopologyTestDriver, keys: &[String], value: &[u8], headers: &RecordHeaders) {
    for (i, key) in (0..RECORDS).zip(keys.iter().cycle()) {
        let timestamp = i64::try_from(i).unwrap_or(0);
        driver
            .pipe_bytes("in", Some(key.as_bytes()), Some(value), timestamp, headers)
            .unwrap();
    }
}

fn run(c: &mut Criterion, name: &str, topology: &Topology, keys: usize) {
    let driver = TopologyTestDriver::builder(topology)
        .cache_bytes(0)
        .state(StateEngine::in_memory())
        .build()
        .unwrap();
    driver.discard_outputs();
    let keys: Vec<String> = (0..keys).map(|i| format!("k{i:08}")).collect();
    let headers = RecordHeaders::new();
    let mut group = c.benchmark_group("driver");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function(name, |b| b.iter(|| pipe(&driver, &keys, &[b'v'; 100], &headers)));
    group.finish();
}

fn driver(c: &mut Criterion) {
    run(c, "source to sink", &chain(0), 10_000);
    run(c, "ten filters", &chain(10), 10_000);
    run(c, "count, 10 k keys", &count(), 10_000);
}

criterion_group!(benches, driver);
criterion_main!(benches);
