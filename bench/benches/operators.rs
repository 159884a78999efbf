//! What each kind of operator costs per record, in the driver without a cluster; with state in memory and in RocksDB, for 10,
//! 10 k and 1 M keys. The keys come in an order without locality, after each of them has come once.
//!
//! Measured is the CPU time of the thread, so that others on the machine do not count; what RocksDB does on threads of its
//! own does not either.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::cell::{Cell, OnceCell};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millstream::prelude::*;
use millstream::state::{Headers as RecordHeaders, StateEngine};
use millstream::testing::TopologyTestDriver;
use rustix::time::{ClockId, clock_gettime};

/// As many as the driver commits at once, so that each iteration has one commit.
const RECORDS: u64 = 1 << 16;
/// Of the wall clock: results without a partner, and of windows that close, go out once a second.
const RECORDS_PER_SECOND: u64 = 10_000;
const KEYS: [u64; 3] = [10, 10_000, 1_000_000];

type Texts = KStream<String, String>;

/// CPU time of this thread, in nanoseconds.
struct ThreadTime;

impl ThreadTime {
    fn now() -> f64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    }
}

impl Measurement for ThreadTime {
    type Intermediate = f64;
    type Value = f64;
    fn start(&self) -> f64 {
        Self::now()
    }
    fn end(&self, start: f64) -> f64 {
        Self::now() - start
    }
    fn add(&self, one: &f64, two: &f64) -> f64 {
        one + two
    }
    fn zero(&self) -> f64 {
        0.0
    }
    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// An operator between topics.
struct Operator {
    name: &'static str,
    /// Records go to these in turn.
    topics: &'static [&'static str],
    /// Made for that many keys: windows are as long as it takes for keys to come again.
    make: fn(&StreamsBuilder, u64),
    /// Microseconds of event time between records.
    step_us: u64,
    /// Rows of the table `rows`, which are there before.
    rows: bool,
    /// With all rewrites of the topology.
    optimized: bool,
}

const fn operator(name: &'static str, make: fn(&StreamsBuilder, u64)) -> Operator {
    Operator {
        name,
        topics: &["in"],
        make,
        step_us: 10,
        rows: false,
        optimized: false,
    }
}

fn input(builder: &StreamsBuilder) -> Texts {
    builder.stream("in")
}
fn stored<V: 'static>() -> Materialized<String, V> {
    Materialized::named("store")
}
fn out<K: 'static, V: Clone + 'static>(table: &KTable<K, V>) {
    table.to_stream().for_each(|_, _| ());
}

struct Pass;
impl Processor<String, String, String, String> for Pass {
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(ctx.forward(record)?)
    }
}
impl FixedKeyProcessor<String, String, String> for Pass {
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, String, String>,
        record: FixedKeyRecord<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(ctx.forward(record)?)
    }
}

#[derive(Default)]
struct Counting(Option<KeyValueStore<String, i64>>);
impl Processor<String, String, String, i64> for Counting {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
        self.0 = Some(ctx.store("store")?);
        Ok(())
    }
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, i64>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        let store = self.0.as_ref().ok_or("no store")?;
        let count = store.get(record.key)?.unwrap_or(0) + 1;
        store.put(record.key, &count)?;
        Ok(ctx.forward(record.with_value(&count))?)
    }
}

const STATELESS: [Operator; 16] = [
    operator("to", |b, _| input(b).to("out")),
    operator("filter", |b, _| input(b).filter(|_, v| !v.is_empty()).to("out")),
    operator("map", |b, _| input(b).map(|k, v| (k.clone(), v.clone())).to("out")),
    operator("map_values", |b, _| input(b).map_values(|v| v.len() as i64).to("out")),
    operator("flat_map", |b, _| {
        input(b).flat_map(|k, v| [(k.clone(), v.len() as i64)]).to("out")
    }),
    operator("flat_map_values", |b, _| {
        input(b).flat_map_values(|v| [v.len() as i64]).to("out")
    }),
    operator("select_key", |b, _| input(b).select_key(|_, v| v.clone()).to("out")),
    operator("peek", |b, _| input(b).peek(|_, _| ()).to("out")),
    operator("for_each", |b, _| input(b).for_each(|_, _| ())),
    operator("split", |b, _| {
        let mut branches = input(b).split();
        branches.branch(|_, v| v.is_empty()).to("empty");
        branches.default_branch().to("out");
    }),
    operator("merge", |b, _| {
        let stream = input(b);
        stream
            .filter(|_, v| !v.is_empty())
            .merge(&stream.filter(|_, v| v.is_empty()))
            .to("out");
    }),
    operator("process", |b, _| input(b).process(|| Pass).to("out")),
    operator("process_values", |b, _| input(b).process_values(|| Pass).to("out")),
    operator("to_dynamic", |b, _| input(b).to_dynamic(|_, _| "out".to_owned())),
    operator("repartition", |b, _| input(b).repartition().to("out")),
    operator("table without a store", |b, _| out(&b.table::<String, String>("in"))),
];

fn time_windows() -> TimeWindows {
    TimeWindows::of(seconds(10))
}
fn groups(builder: &StreamsBuilder) -> KGroupedStream<String, String> {
    input(builder).group_by_key()
}
fn other(builder: &StreamsBuilder) -> Texts {
    builder.stream("other")
}
fn joined(one: &str, two: &str) -> i64 {
    (one.len() + two.len()) as i64
}

const LOCAL: [Operator; 17] = [
    operator("process with a store", |b, _| {
        let processing = Processing::new().with_store(Store::<String, i64>::key_value("store"));
        input(b).process_with(Counting::default, processing).to("out");
    }),
    operator("count", |b, _| out(&groups(b).count_with(stored()))),
    operator("reduce", |b, _| out(&groups(b).reduce_with(|_, v| v.clone(), stored()))),
    operator("aggregate", |b, _| {
        out(&groups(b).aggregate_with(|| 0i64, |_, v, sum| sum + v.len() as i64, stored()));
    }),
    operator("cogroup", |b, _| {
        let all = groups(b).cogroup(|_, v, sum: i64| sum + v.len() as i64);
        out(&all.aggregate_with(|| 0i64, stored()));
    }),
    operator("to_table", |b, _| out(&input(b).to_table_with(stored()))),
    operator("table", |b, _| out(&b.table_with::<String, String>("in", stored()))),
    operator("versioned table", |b, _| {
        out(&b.table_with::<String, String>("in", stored().versioned(seconds(10))));
    }),
    operator("table filter", |b, _| {
        out(&b
            .table::<String, String>("in")
            .filter_with(|_, v| !v.is_empty(), stored()));
    }),
    operator("table map_values", |b, _| {
        out(&b
            .table::<String, String>("in")
            .map_values_opt_with(|_, v| Some(v.len() as i64), stored()));
    }),
    operator("table group_by", |b, _| {
        let table = b.table_with::<String, String>("in", "source");
        out(&table.group_by(|k, v| (k.clone(), v.clone())).count_with(stored()));
    }),
    operator("tumbling windows", |b, _| {
        out(&groups(b).windowed_by(time_windows()).count_with(stored()))
    }),
    operator("hopping windows", |b, _| {
        out(&groups(b)
            .windowed_by(time_windows().advance_by(seconds(5)))
            .count_with(stored()));
    }),
    operator("windows, emitted on close", |b, _| {
        out(&groups(b)
            .windowed_by(time_windows())
            .emit(EmitStrategy::OnWindowClose)
            .count_with(stored()));
    }),
    operator("windows, suppressed until close", |b, _| {
        let counts = groups(b).windowed_by(time_windows()).count_with(stored());
        out(&counts.suppress(Suppressed::until_window_closes(BufferConfig::unbounded())));
    }),
    operator("session windows", |b, _| {
        out(&groups(b)
            .windowed_by(SessionWindows::of(seconds(20)))
            .count_with(stored()));
    }),
    operator("sliding windows", |b, keys| {
        // Two records of a key in a window.
        let windows = SlidingWindows::of(millis(2 * keys));
        out(&groups(b).windowed_by(windows).count_with(stored()));
    })
    .every_us(1_000),
];

const JOINS: [Operator; 11] = [
    operator("stream-table join", |b, _| {
        input(b)
            .join(&b.table_with::<String, String>("rows", stored()), |v, row| {
                joined(v, row)
            })
            .to("out");
    })
    .with_rows(),
    operator("stream-global table join", |b, _| {
        let rows = b.global_table_with::<String, String>("rows", stored());
        input(b)
            .join_global(&rows, |k, _| k.clone(), |v, row| joined(v, row))
            .to("out");
    })
    .with_rows(),
    operator("table-table join", |b, _| {
        let (one, two) = (b.table::<String, String>("in"), b.table::<String, String>("other"));
        out(&one.join(&two, |v, row| joined(v, row)));
    })
    .of_two(),
    operator("table-table outer join", |b, _| {
        let (one, two) = (b.table::<String, String>("in"), b.table::<String, String>("other"));
        out(&one.outer_join(&two, |v, row| joined(v.map_or("", |v| v), row.map_or("", |v| v))));
    })
    .of_two(),
    operator("foreign-key join", |b, _| {
        let (one, two) = (
            b.table_with::<String, String>("in", stored()),
            b.table_with::<String, String>("rows", "rows"),
        );
        out(&one.join_on(&two, |v| Some(v.clone()), |v, row| joined(v, row)));
    })
    .with_rows(),
    operator("stream-stream join", |b, keys| {
        input(b)
            .join_stream(&other(b), |v, row| joined(v, row), JoinWindows::of(millis(keys)))
            .to("out");
    })
    .of_two()
    .every_us(1_000),
    operator("stream-stream left join", |b, keys| {
        let both = |v: &String, row: Option<&String>| joined(v, row.map_or("", |v| v));
        input(b)
            .left_join_stream(&other(b), both, JoinWindows::of(millis(keys)))
            .to("out");
    })
    .of_two()
    .every_us(1_000),
    operator("stream-stream outer join", |b, keys| {
        let both = |v: Option<&String>, row: Option<&String>| joined(v.map_or("", |v| v), row.map_or("", |v| v));
        input(b)
            .outer_join_stream(&other(b), both, JoinWindows::of(millis(keys)))
            .to("out");
    })
    .of_two()
    .every_us(1_000),
    operator("outer join without partners", |b, keys| {
        let both = |v: Option<&String>, row: Option<&String>| joined(v.map_or("", |v| v), row.map_or("", |v| v));
        input(b)
            .outer_join_stream(&other(b), both, JoinWindows::of(millis(keys)))
            .to("out");
    })
    .every_us(1_000),
    // Each record goes through the join twice, and into two stores.
    operator("self-join", self_join).every_us(1_000),
    operator("self-join, one store", self_join).every_us(1_000).optimized(),
];

fn self_join(builder: &StreamsBuilder, keys: u64) {
    let stream = input(builder);
    stream
        .join_stream(&stream, |v, row| joined(v, row), JoinWindows::of(millis(keys / 2)))
        .to("out");
}

impl Operator {
    const fn every_us(self, step_us: u64) -> Self {
        Self { step_us, ..self }
    }
    const fn of_two(self) -> Self {
        Self {
            topics: &["in", "other"],
            ..self
        }
    }
    const fn optimized(self) -> Self {
        Self {
            optimized: true,
            ..self
        }
    }
    const fn with_rows(self) -> Self {
        Self { rows: true, ..self }
    }
}

/// Records without end: keys in an order without locality, time that goes on.
struct Feed<'a> {
    driver: TopologyTestDriver,
    operator: &'a Operator,
    keys: u64,
    next: Cell<u64>,
    headers: RecordHeaders,
    /// Where its state is, on disk.
    _dir: Option<tempfile::TempDir>,
}

/// Where state is.
#[derive(Clone, Copy)]
enum Engine {
    Stateless,
    Memory,
    RocksDb,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Memory => "memory",
            Self::RocksDb => "rocksdb",
        }
    }
}

impl<'a> Feed<'a> {
    /// Made for that many keys.
    fn new(operator: &'a Operator, engine: Engine, keys: u64) -> Self {
        let builder = StreamsBuilder::with_config(TopologyConfig {
            optimizations: if operator.optimized {
                Optimizations::ALL
            } else {
                Optimizations::NONE
            },
            ..TopologyConfig::default()
        });
        (operator.make)(&builder, keys);
        let topology = builder.build().unwrap();
        let dir = matches!(engine, Engine::RocksDb).then(|| tempfile::tempdir().unwrap());
        let state = dir.as_ref().map_or_else(StateEngine::in_memory, |dir| {
            StateEngine::rocksdb(dir.path(), "bench", 256 << 20).unwrap()
        });
        let driver = TopologyTestDriver::builder(&topology)
            .emit_interval(seconds(1))
            .state(state)
            .build()
            .unwrap();
        driver.discard_outputs();
        Self {
            driver,
            operator,
            keys,
            next: Cell::new(0),
            headers: RecordHeaders::new(),
            _dir: dir,
        }
    }

    fn pipe(&self, records: u64) {
        let topics = self.operator.topics;
        let mut key = String::with_capacity(16);
        for _ in 0..records {
            let n = self.next.replace(self.next.get() + 1);
            let topic = topics[(n % topics.len() as u64) as usize];
            // A step that has no divisor in common with the number of keys visits all of them.
            let turn = n / topics.len() as u64;
            write_key(turn.wrapping_mul(7_368_787) % self.keys, &mut key);
            let time = i64::try_from(n * self.operator.step_us / 1_000).unwrap();
            // The foreign key of a record is its value.
            let value = if self.operator.rows {
                key.as_bytes()
            } else {
                b"some value"
            };
            self.driver
                .pipe_bytes(topic, Some(key.as_bytes()), Some(value), time, &self.headers)
                .unwrap();
            if n % RECORDS_PER_SECOND == RECORDS_PER_SECOND - 1 {
                self.driver.advance_wall_clock(seconds(1)).unwrap();
            }
        }
    }
}

/// `k` and eight digits, without the machinery of formatting: that would be a twentieth of what is measured.
fn write_key(n: u64, key: &mut String) {
    key.clear();
    key.push('k');
    let mut unit = 10_000_000;
    while unit > 0 {
        key.push(char::from(b'0' + (n / unit % 10) as u8));
        unit /= 10;
    }
}

fn measure(c: &mut Criterion<ThreadTime>, operator: &Operator, engine: Engine, keys: u64) {
    let mut group = c.benchmark_group(operator.name);
    group.throughput(Throughput::Elements(RECORDS));
    group.sample_size(10);
    group.warm_up_time(millis(200));
    group.measurement_time(millis(500));
    let feed = OnceCell::new();
    group.bench_function(BenchmarkId::new(engine.name(), keys), |b| {
        // Criterion calls this only for what its filter selects.
        let feed = feed.get_or_init(|| {
            let feed = Feed::new(operator, engine, keys);
            fill(&feed);
            feed
        });
        b.iter(|| feed.pipe(RECORDS));
    });
    group.finish();
}

fn fill(feed: &Feed<'_>) {
    let mut key = String::new();
    for n in (0..feed.keys).filter(|_| feed.operator.rows) {
        write_key(n, &mut key);
        feed.driver
            .pipe_bytes("rows", Some(key.as_bytes()), Some(b"row"), 0, &feed.headers)
            .unwrap();
    }
    feed.pipe(feed.keys * feed.operator.topics.len() as u64);
}

fn operators(c: &mut Criterion<ThreadTime>) {
    for operator in &STATELESS {
        measure(c, operator, Engine::Stateless, 10_000);
    }
    for operator in LOCAL.iter().chain(&JOINS) {
        for keys in KEYS {
            measure(c, operator, Engine::Memory, keys);
            measure(c, operator, Engine::RocksDb, keys);
        }
    }
}

fn thread_time() -> Criterion<ThreadTime> {
    Criterion::default().with_measurement(ThreadTime)
}

criterion_group!(name = benches; config = thread_time(); targets = operators);
criterion_main!(benches);
