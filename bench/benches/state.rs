//! What a store costs without anything around it: reads, writes, commits, windows, and the codecs of keys and values.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use millstream::dsl::serde::TimeWindowedSerde;
use millstream::prelude::{I64Serde, Serde, StringSerde, Window, Windowed, json};
use millstream::state::{
    ChangeLogger, Headers, LoggedHeaders, RecordContext, StateEngine, StateError, StoreBackend, StoreIndex, StoreKind,
    StoreSpec, TaskState,
};
use tempfile::TempDir;

const STORE: StoreIndex = StoreIndex(0);
const OPERATIONS: u64 = 10_000;
const COMMIT_ROWS: u64 = 10_000;

/// Takes the changelog and keeps nothing of it.
struct Nobody;
impl ChangeLogger for Nobody {
    fn log(
        &self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: Option<i64>,
        _: Option<&Headers>,
    ) -> Result<(), StateError> {
        Ok(())
    }
}

fn context() -> RecordContext {
    RecordContext {
        topic: "in".into(),
        partition: 0,
        offset: 0,
        timestamp: 1,
        headers: Headers::new(),
        source: None,
    }
}

fn spec(kind: StoreKind) -> StoreSpec {
    StoreSpec {
        name: "store".into(),
        kind,
        backend: StoreBackend::Persistent,
        caching: false,
        logging: true,
        logged_headers: LoggedHeaders::Never,
    }
}

fn key(n: u64) -> [u8; 16] {
    // Neighbours in time are no neighbours in the key space.
    (u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(n)).to_be_bytes()
}

struct Bench {
    state: TaskState,
    _dir: Option<TempDir>,
}

fn open(on_disk: bool, kind: StoreKind) -> Bench {
    let dir = on_disk.then(|| tempfile::tempdir().unwrap());
    let engine = dir.as_ref().map_or_else(StateEngine::in_memory, |dir| {
        StateEngine::rocksdb(dir.path(), "bench", 256 << 20).unwrap()
    });
    let database = engine.open_task("0_0", &[spec(kind)]).unwrap();
    Bench {
        state: TaskState::new(database, Rc::new(Nobody), 0),
        _dir: dir,
    }
}

/// A timestamped store with that many committed keys.
fn filled(on_disk: bool, keys: u64) -> Bench {
    let bench = open(on_disk, StoreKind::KeyValue { timestamped: true });
    let store = bench.state.key_value("store").unwrap();
    let context = context();
    for n in 0..keys {
        store.put(&key(n), Some(&[0; 8]), 1, &context).unwrap();
        if n % COMMIT_ROWS == COMMIT_ROWS - 1 {
            bench.state.commit(&[(STORE, 1)]).unwrap();
        }
    }
    bench.state.commit(&[(STORE, 1)]).unwrap();
    bench
}

const BACKENDS: [(&str, bool); 2] = [("memory", false), ("rocksdb", true)];

fn key_value(c: &mut Criterion) {
    let mut group = c.benchmark_group("key-value");
    group.throughput(Throughput::Elements(OPERATIONS));
    for (backend, on_disk) in BACKENDS {
        for (label, keys) in [("10", 10_u64), ("10 k", 10_000), ("1 M", 1_000_000)] {
            let bench = filled(on_disk, keys);
            let store = bench.state.key_value("store").unwrap();
            let context = context();
            let mut value = Vec::new();
            // Goes through all the keys, round after round.
            let mut at = 0_u64;
            let mut next = || {
                at += 1;
                key(at.wrapping_mul(7_919) % keys)
            };
            group.bench_function(format!("get, {label} keys, {backend}"), |b| {
                b.iter(|| {
                    for _ in 0..OPERATIONS {
                        black_box(store.get(&next(), &mut value).unwrap());
                    }
                });
            });
            group.bench_function(format!("put and commit, {label} keys, {backend}"), |b| {
                b.iter(|| {
                    (0..OPERATIONS).for_each(|n| store.put(&next(), Some(&n.to_be_bytes()), 2, &context).unwrap());
                    bench.state.commit(&[(STORE, 2)]).unwrap();
                });
            });
            group.bench_function(format!("count and commit, {label} keys, {backend}"), |b| {
                b.iter(|| {
                    for _ in 0..OPERATIONS {
                        let key = next();
                        store.get(&key, &mut value).unwrap();
                        let count = value.first_chunk::<8>().map_or(0, |count| i64::from_be_bytes(*count));
                        store.put(&key, Some(&(count + 1).to_be_bytes()), 2, &context).unwrap();
                    }
                    bench.state.commit(&[(STORE, 2)]).unwrap();
                });
            });
        }
    }
    group.finish();
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.throughput(Throughput::Elements(COMMIT_ROWS));
    for (backend, on_disk) in BACKENDS {
        let bench = filled(on_disk, COMMIT_ROWS);
        let store = bench.state.key_value("store").unwrap();
        let context = context();
        let write = || (0..COMMIT_ROWS).for_each(|n| store.put(&key(n), Some(&[1; 100]), 2, &context).unwrap());
        group.bench_function(format!("10 k rows of 100 bytes, {backend}"), |b| {
            b.iter_batched(
                write,
                |()| bench.state.commit(&[(STORE, 2)]).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn windows(c: &mut Criterion) {
    let mut group = c.benchmark_group("window");
    group.throughput(Throughput::Elements(OPERATIONS));
    for (backend, on_disk) in BACKENDS {
        let kind = StoreKind::Window {
            timestamped: true,
            window_size_ms: 60_000,
            retention_ms: 3_600_000,
            segment_interval_ms: 1_800_000,
            retain_duplicates: false,
        };
        let bench = open(on_disk, kind);
        let store = bench.state.window("store").unwrap();
        let context = context();
        // A thousand keys with ten windows each.
        let start = |n: u64| i64::try_from(n / 1_000 % 10 * 60_000).unwrap_or(0);
        let put = |n: u64| {
            let put = store.put(&key(n % 1_000), Some(&[0; 8]), start(n), 1, &context);
            assert!(put.unwrap(), "no window expires");
        };
        group.bench_function(format!("put and commit, {backend}"), |b| {
            b.iter(|| {
                (0..OPERATIONS).for_each(put);
                bench.state.commit(&[(STORE, 1)]).unwrap();
            });
        });
        let mut value = Vec::new();
        group.bench_function(format!("get, {backend}"), |b| {
            b.iter(|| {
                for n in 0..OPERATIONS {
                    black_box(store.get(&key(n % 1_000), start(n), &mut value).unwrap());
                }
            });
        });
        group.throughput(Throughput::Elements(100));
        group.bench_function(format!("fetch of ten windows of a key, {backend}"), |b| {
            b.iter(|| (0..100).for_each(|n| assert_eq!(store.fetch(&key(n), 0, i64::MAX, false).count(), 10)));
        });
        group.throughput(Throughput::Elements(OPERATIONS));
    }
    group.finish();
}

/// Encodes and decodes a value again and again.
fn codec<T>(c: &mut Criterion, name: &str, serde: &dyn Serde<T>, value: &T) {
    let mut group = c.benchmark_group("codec");
    let mut bytes = Vec::new();
    group.bench_function(format!("{name}, encode"), |b| {
        b.iter(|| {
            bytes.clear();
            serde.serialize(black_box(value), &mut bytes).unwrap();
        });
    });
    group.bench_function(format!("{name}, decode"), |b| {
        b.iter(|| serde.deserialize(black_box(&bytes)).unwrap());
    });
    let mut reused = serde.deserialize(&bytes).unwrap();
    group.bench_function(format!("{name}, decode into"), |b| {
        b.iter(|| serde.deserialize_into(black_box(&bytes), &mut reused).unwrap());
    });
    group.finish();
}

fn codecs(c: &mut Criterion) {
    let text = "a text of medium length, as keys are".to_owned();
    codec(c, "string", &StringSerde, &text);
    codec(c, "i64", &I64Serde, &42);
    let windowed = Windowed {
        key: text.clone(),
        window: Window { start: 0, end: 60_000 },
    };
    codec(
        c,
        "windowed string",
        &TimeWindowedSerde::new(StringSerde, 60_000),
        &windowed,
    );
    let fields = ["card", "merchant", "currency", "country"];
    let object: BTreeMap<String, String> = fields.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    codec(c, "json of four texts", &json::<BTreeMap<String, String>>(), &object);
    c.bench_function("codec/headers, two added and cleared", |b| {
        let headers = Headers::new();
        b.iter(|| {
            headers.add("trace", Some(b"0123456789abcdef"));
            headers.add("tenant", Some(b"t1"));
            headers.clear();
        });
    });
}

criterion_group!(benches, key_value, commit, windows, codecs);
criterion_main!(benches);
