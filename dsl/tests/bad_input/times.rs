//! Late records, negative timestamps and those at the end of time, through everything that knows windows. Tests are built
//! with overflow checks: an addition that goes wrong panics, and a panic in an operator is an error here.
use millstream_dsl::{driver::TopologyTestDriver, engine::ProcessErrorKind, testing::Runner};

use super::*;

type Stream = KStream<String, String>;

/// Times that arithmetic is afraid of.
const EDGES: [i64; 7] = [0, 1, 9, i64::MAX / 2, i64::MAX - 10, i64::MAX - 1, i64::MAX];

fn long() -> std::time::Duration {
    millis((i64::MAX / 4).unsigned_abs())
}

fn time_windows() -> Vec<TimeWindows> {
    vec![
        TimeWindows::of(millis(10)),
        TimeWindows::of(millis(10)).advance_by(millis(3)).grace(millis(5)),
        TimeWindows::of(millis(10)).grace(long()),
        TimeWindows::of(long()).grace(long()),
    ]
}
fn sliding_windows() -> Vec<SlidingWindows> {
    let of = SlidingWindows::of;
    vec![
        of(millis(1)),
        of(millis(10)),
        of(millis(10)).grace(long()),
        of(millis(1 << 61)).grace(long()),
    ]
}
fn session_windows() -> Vec<SessionWindows> {
    let of = SessionWindows::of;
    vec![
        of(millis(0)),
        of(millis(10)),
        of(millis(10)).grace(long()),
        of(long()).grace(long()),
    ]
}
fn join_windows() -> Vec<JoinWindows> {
    let of = JoinWindows::of;
    vec![
        of(millis(0)),
        of(millis(10)),
        of(millis(10)).grace(long()),
        of(millis(10)).ends_before(millis(5)),
        of(millis(10)).starts_after(millis(5)),
        of(millis(1 << 60)).grace(long()),
    ]
}

/// One topology with all operators that know times, in one of the kinds of their windows.
fn topology(kind: usize, in_memory: bool) -> Result<Topology, BuildError> {
    let pick = |length: usize| kind % length;
    let config = TopologyConfig {
        default_backend: if in_memory {
            millstream_state::StoreBackend::InMemory
        } else {
            millstream_state::StoreBackend::Persistent
        },
        ..TopologyConfig::default()
    };
    let builder = StreamsBuilder::with_config(config);
    let (one, two): (Stream, Stream) = (builder.stream("one"), builder.stream("two"));
    let groups = one.group_by_key();
    for emit in [EmitStrategy::OnWindowUpdate, EmitStrategy::OnWindowClose] {
        let time = time_windows()[pick(4)];
        out(&groups.windowed_by(time).emit(emit).count());
        out(&groups.windowed_by(sliding_windows()[pick(4)]).emit(emit).count());
        out(&groups.windowed_by(session_windows()[pick(4)]).emit(emit).count());
    }
    out(&groups.windowed_by(UnlimitedWindows::of().start_on(5)).count());
    let closed = groups.windowed_by(time_windows()[pick(4)]).count();
    out(&closed.suppress(Suppressed::until_window_closes(BufferConfig::unbounded())));
    let limited = groups.windowed_by(session_windows()[pick(4)]).count();
    let wait = [millis(0), millis(10), long()][pick(3)];
    out(&limited.suppress(Suppressed::until_time_limit(wait, BufferConfig::max_records(100))));

    let windows = join_windows()[pick(6)];
    one.join_stream(&two, |a, b| a.clone() + b, windows).to("out");
    one.left_join_stream(&two, |a, _| a.clone(), windows).to("out");
    one.outer_join_stream(&two, |a, b| format!("{a:?}{b:?}"), windows)
        .to("out");
    one.join_stream(&one, |a, b| a.clone() + b, windows).to("out");

    let history = [millis(10), long(), std::time::Duration::MAX][pick(3)];
    let rows = two.to_table_with(Materialized::named("history").versioned(history));
    one.left_join(&rows, |a, row| format!("{a}{row:?}")).to("out");
    let grace = [millis(0), millis(10), long()][pick(3)].min(history);
    one.join_with(&rows, |_, a, row| a.clone() + row, Joined::new().grace(grace))
        .to("out");
    let together = groups
        .cogroup(|_, _, n: i64| n + 1)
        .cogroup(&two.group_by_key(), |_, _, n| n - 1);
    out(&together.windowed_by(time_windows()[pick(4)]).aggregate(|| 0));
    out(&together.windowed_by(sliding_windows()[pick(4)]).aggregate(|| 0));
    out(&together
        .windowed_by(session_windows()[pick(4)])
        .aggregate(|| 0, |_, a, b| a + b));
    let keeping = Processing::new()
        .with_store(Store::<String, String>::window(
            "windows",
            history,
            millis(10),
            kind.is_multiple_of(2),
        ))
        .with_store(Store::<String, String>::session("sessions", history))
        .with_store(Store::<String, String>::versioned("versions", history));
    one.process_values_with(|| Keeping, keeping).to("out");
    rows.group_by(|k, v| (v.clone(), k.clone()))
        .count()
        .to_stream()
        .to("out");
    builder.build()
}

/// Writes and reads stores around the time of each record.
struct Keeping;
impl FixedKeyProcessor<String, String, String> for Keeping {
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, String, String>,
        record: FixedKeyRecord<'_, String, String>,
    ) -> Result<(), BoxError> {
        let (key, value, time) = (record.key(), record.value(), record.timestamp());
        let (before, after) = (time.saturating_sub(20), time.saturating_add(20));
        let windows = ctx.store::<WindowStore<String, String>>("windows")?;
        windows.put(key, Some(value), time)?;
        for (from, to) in [(before, after), (i64::MIN, i64::MAX)] {
            for reverse in [false, true] {
                for row in windows.fetch(key, from, to, reverse)? {
                    row?;
                }
                for row in windows.fetch_range((None, None), from, to, reverse)? {
                    row?;
                }
            }
        }
        let sessions = ctx.store::<SessionStore<String, String>>("sessions")?;
        let session = Window {
            start: time.saturating_sub(5).max(0),
            end: time,
        };
        sessions.put(key, session, Some(value))?;
        for row in sessions.find(key, before, after)? {
            row?;
        }
        for row in sessions.find_range((None, None), i64::MIN, i64::MAX, true)? {
            row?;
        }
        let versions = ctx.store::<VersionedKeyValueStore<String, String>>("versions")?;
        versions.put(key, Some(value), time)?;
        versions.get_as_of(key, before)?;
        versions.get_as_of(key, i64::MIN)?;
        Ok(ctx.forward(record)?)
    }
}

fn out(table: &KTable<Windowed<String>, i64>) {
    table
        .to_stream()
        .map(|w, n| (w.key.clone(), n.unwrap_or(0)))
        .to("counts");
}

#[test]
fn the_edges_of_time_overflow_nowhere() -> TestResult {
    for kind in 0..12 {
        for in_memory in [false, true] {
            let topology = topology(kind, in_memory).map_err(|e| format!("{kind}: {e}"))?;
            for cache_bytes in [0, 100_000] {
                for first in EDGES {
                    let driver = TopologyTestDriver::builder(&topology)
                        .cache_bytes(cache_bytes)
                        .build()?;
                    driver.discard_outputs();
                    for second in EDGES {
                        for (topic, time) in [("one", first), ("two", second), ("one", second)] {
                            let piped = driver.pipe_bytes(topic, Some(b"k"), Some(b"v"), time, &Headers::new());
                            piped.map_err(|e| format!("windows {kind}, {topic} at {time} after {first}: {e}"))?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_last_window_of_time_has_its_results() -> TestResult {
    let builder = StreamsBuilder::new();
    let groups = builder.stream::<String, String>("in").group_by_key();
    let windows = TimeWindows::of(millis(10));
    let results = groups.windowed_by(windows).count().to_stream();
    results.map(|w, n| (w.window.start, n.unwrap_or(0))).to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("k"), text("v"), i64::MAX - 1)?;
    runner.pipe_at("in", text("k"), text("v"), i64::MAX - 2)?;
    // A window ends with time at the latest, and the end of a window is not in it.
    runner.pipe_at("in", text("k"), text("v"), i64::MAX)?;
    let start = i64::MAX / 10 * 10;
    assert_eq!(runner.read::<i64, i64>("out"), [(start, 1), (start, 2)]);
    assert_eq!(runner.graph().dropped_records(), 1);
    Ok(())
}

#[test]
fn a_punctuation_at_the_end_of_time_runs_once() -> TestResult {
    struct Ticks(i64);
    impl Processor<String, String, String, i64> for Ticks {
        fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
            ctx.schedule(millis(10), PunctuationType::StreamTime)?;
            ctx.schedule(std::time::Duration::MAX, PunctuationType::StreamTime)?;
            ctx.schedule(std::time::Duration::MAX, PunctuationType::WallClock)?;
            Ok(())
        }
        fn process(
            &mut self,
            ctx: &ProcessorContext<'_, String, i64>,
            record: Record<'_, String, String>,
        ) -> Result<(), BoxError> {
            Ok(ctx.forward(record.with_value(&self.0))?)
        }
        fn punctuate(&mut self, _: &ProcessorContext<'_, String, i64>, _: Punctuation) -> Result<(), BoxError> {
            self.0 += 1;
            Ok(())
        }
    }
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").process(|| Ticks(0)).to("out");
    let runner = Runner::new(&builder.build()?)?;
    for time in [i64::MAX, i64::MAX, 0] {
        runner.pipe_at("in", text("k"), text("v"), time)?;
    }
    let ticks: Vec<i64> = runner.read::<String, i64>("out").into_iter().map(|(_, n)| n).collect();
    // Each schedule has its first run with the first record; at the last moment there is nothing to come.
    assert_eq!(ticks, [0, 2, 2]);
    Ok(())
}

#[test]
fn a_negative_timestamp_stops_at_the_source_whatever_is_behind_it() -> TestResult {
    let topology = topology(0, false)?;
    for time in [-1, -2, i64::MIN] {
        let runner = Runner::with(&topology, continuing(), 0)?;
        let error = stopped("negative", runner.pipe_at("one", text("k"), text("v"), time))?;
        assert_eq!(
            (error.kind, &*error.node),
            (ProcessErrorKind::InvalidTimestamp, "KSTREAM-SOURCE-0000000000")
        );
        runner.pipe_at("one", text("k"), text("v"), 0)?;
    }
    Ok(())
}

#[test]
fn a_late_record_is_dropped_once_for_each_window_that_has_closed() -> TestResult {
    type Make = fn(&Stream, &Stream);
    let cases: [(&str, u64, Make); 4] = [
        ("tumbling", 1, |s, _| {
            out(&s.group_by_key().windowed_by(TimeWindows::of(millis(10))).count())
        }),
        ("hopping", 2, |s, _| {
            let windows = TimeWindows::of(millis(10)).advance_by(millis(5));
            out(&s.group_by_key().windowed_by(windows).count());
        }),
        ("sliding", 1, |s, _| {
            out(&s.group_by_key().windowed_by(SlidingWindows::of(millis(10))).count())
        }),
        ("sessions", 1, |s, _| {
            out(&s.group_by_key().windowed_by(SessionWindows::of(millis(10))).count())
        }),
    ];
    for (what, dropped, make) in cases {
        let builder = StreamsBuilder::new();
        make(&builder.stream("one"), &builder.stream("two"));
        let runner = Runner::new(&builder.build()?)?;
        runner.pipe_at("one", text("k"), text("v"), 1_000)?;
        let written = runner.written().len();
        runner.pipe_at("one", text("k"), text("v"), 7)?;
        assert_eq!(runner.graph().dropped_records(), dropped, "{what}");
        assert_eq!(runner.written().len(), written, "{what}: a late record has a result");
    }
    Ok(())
}
