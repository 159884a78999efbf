//! A function of the user that fails or panics, in every kind of operator on streams: the error has the name of the
//! operator; with a handler that goes on, one record is dropped and the next one is processed.
use millstream_dsl::{
    driver::{DriverError, TopologyTestDriver},
    engine::ProcessErrorKind,
    grouped::KGroupedStream,
    processor::FixedKeyContext,
    stream::{ExtractInput, Partitioner},
    testing::Runner,
    window::Windows,
};

use super::*;

type Stream = KStream<String, String>;
/// A topology around the stream `in`; what comes out is written to `out`.
type Make = fn(&StreamsBuilder, &Stream, Way);

/// An operator, and how records reach its function.
pub(super) struct Case {
    pub(super) what: &'static str,
    /// The operator that the error names.
    pub(super) node: &'static str,
    /// Topic, value and time of the records before.
    pub(super) before: &'static [(&'static str, &'static str, i64)],
    /// Topic, value and time of the record that goes wrong.
    pub(super) bad: (&'static str, &'static str, i64),
    /// Functions that cannot return an error can only panic.
    pub(super) fallible: bool,
    pub(super) make: Make,
}

const NOTHING: &[(&str, &str, i64)] = &[];
const IN: (&str, &str, i64) = ("in", "bad", 10);

pub(super) const fn case(what: &'static str, make: Make) -> Case {
    Case {
        what,
        node: "it",
        before: NOTHING,
        bad: IN,
        fallible: true,
        make,
    }
}
pub(super) const fn infallible(what: &'static str, make: Make) -> Case {
    Case {
        fallible: false,
        ..case(what, make)
    }
}

fn run(case: &Case, way: Way) -> TestResult {
    let what = format!("{} {way:?}", case.what);
    let builder = StreamsBuilder::new();
    (case.make)(&builder, &builder.stream("in"), way);
    let topology = builder.build().map_err(|e| format!("{what}: {e}"))?;
    let (topic, value, time) = case.bad;

    let runner = Runner::new(&topology)?;
    for (topic, value, time) in case.before {
        runner.pipe_at(topic, text("k"), text(value), *time)?;
    }
    let error = stopped(&what, runner.pipe_at(topic, text("k"), text(value), time))?;
    let kind = match way {
        Failing => ProcessErrorKind::UserFunction,
        Panicking => ProcessErrorKind::Panic,
    };
    assert_eq!(error.kind, kind, "{what}: {error}");
    assert_eq!(&*error.node, case.node, "{what}");
    assert_eq!(error.message, "it is bad", "{what}");

    let runner = Runner::with(&topology, continuing(), 0)?;
    for (topic, value, time) in case.before {
        runner.pipe_at(topic, text("k"), text(value), *time)?;
    }
    runner
        .pipe_at(topic, text("k"), text(value), time)
        .map_err(|e| format!("{what}: {e}"))?;
    assert_eq!(runner.graph().dropped_records(), 1, "{what}");
    runner
        .pipe_at(topic, text("another"), text("good"), time + 1)
        .map_err(|e| format!("{what}: {e}"))?;
    assert_eq!(runner.graph().dropped_records(), 1, "{what}: the record behind");
    Ok(())
}

pub(super) fn run_all(cases: &[Case]) -> TestResult {
    for case in cases {
        if case.fallible {
            run(case, Failing)?;
        }
        run(case, Panicking)?;
    }
    Ok(())
}

pub(super) fn check_key(way: Way, value: &str) -> Result<String, String> {
    check(way, value).map(|()| text(value))
}

#[test]
fn in_operators_without_state() -> TestResult {
    run_all(&[
        case("filter", |_, s, way| {
            s.try_filter_with(move |_, v| check(way, v).map(|()| true), "it")
                .to("out");
        }),
        case("filter_not", |_, s, way| {
            s.try_filter_not_with(move |_, v| check(way, v).map(|()| false), "it")
                .to("out");
        }),
        case("map", |_, s, way| {
            s.try_map_with(move |k, v| Ok::<_, String>((k.clone(), check_key(way, v)?)), "it")
                .to("out");
        }),
        case("map_values", |_, s, way| {
            s.try_map_values_with(move |v| check_key(way, v), "it").to("out");
        }),
        case("map_values_with_key", |_, s, way| {
            s.try_map_values_with_key_named(move |_, v| check_key(way, v), "it")
                .to("out");
        }),
        case("flat_map", |_, s, way| {
            s.try_flat_map_with(move |k, v| Ok::<_, String>([(k.clone(), check_key(way, v)?)]), "it")
                .to("out");
        }),
        case("flat_map_values", |_, s, way| {
            s.try_flat_map_values_with(move |v| Ok::<_, String>([check_key(way, v)?]), "it")
                .to("out");
        }),
        case("flat_map_values_with_key", |_, s, way| {
            s.try_flat_map_values_with_key_named(move |_, v| Ok::<_, String>([check_key(way, v)?]), "it")
                .to("out");
        }),
        infallible("an iterator of flat_map_values", |_, s, _| {
            let values = |v: &String| {
                let v = v.clone();
                std::iter::once_with(move || {
                    check_or_panic(&v);
                    v
                })
            };
            s.flat_map_values_with(values, "it").to("out");
        }),
        case("select_key", |_, s, way| {
            s.try_select_key_with(move |_, v| check_key(way, v), "it").to("out");
        }),
        case("peek", |_, s, way| {
            s.try_peek_with(move |_, v| check(way, v), "it").to("out");
        }),
        case("for_each", |_, s, way| {
            s.try_for_each_with(move |_, v| check(way, v), "it")
        }),
        case("branch", |_, s, way| {
            let mut branches = s.split_with("it");
            branches.try_branch(move |_, v| check(way, v).map(|()| true)).to("out");
        }),
        case("group_by", |_, s, way| {
            let groups: KGroupedStream<String, String> =
                s.try_group_by_with(move |_, v| check_key(way, v), Grouped::new());
            let _ = groups.count();
        })
        .at("KSTREAM-KEY-SELECT-0000000001"),
    ])
}

impl Case {
    pub(super) const fn at(self, node: &'static str) -> Self {
        Self { node, ..self }
    }
    pub(super) const fn after(self, before: &'static [(&'static str, &'static str, i64)]) -> Self {
        Self { before, ..self }
    }
    pub(super) const fn with(self, bad: (&'static str, &'static str, i64)) -> Self {
        Self { bad, ..self }
    }
}

#[derive(Clone, Copy)]
struct Touchy(Way);
impl Processor<String, String, String, String> for Touchy {
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        check(self.0, record.value)?;
        Ok(ctx.forward(record)?)
    }
}
impl FixedKeyProcessor<String, String, String> for Touchy {
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, String, String>,
        record: FixedKeyRecord<'_, String, String>,
    ) -> Result<(), BoxError> {
        check(self.0, record.value())?;
        Ok(ctx.forward(record)?)
    }
}

/// Goes wrong when time has reached 10.
struct Ticking(Way);
impl Processor<String, String, String, String> for Ticking {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
        ctx.schedule(millis(10), PunctuationType::StreamTime)?;
        Ok(())
    }
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(ctx.forward(record)?)
    }
    fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, String>, _: Punctuation) -> Result<(), BoxError> {
        if ctx.stream_time_ms() == 10 {
            check(self.0, "bad")?;
        }
        Ok(())
    }
}

#[test]
fn in_processors() -> TestResult {
    run_all(&[
        case("process", |_, s, way| {
            s.process_with(move || Touchy(way), Processing::new().named("it"))
                .to("out");
        }),
        case("process_values", |_, s, way| {
            s.process_values_with(move || Touchy(way), Processing::new().named("it"))
                .to("out");
        }),
        case("punctuate", |_, s, way| {
            s.process_with(move || Ticking(way), Processing::new().named("it"))
                .to("out");
        })
        .after(&[("in", "first", 0)]),
    ])
}

/// A processor that cannot start or cannot stop.
struct Edges(Option<Way>, Option<Way>);
impl Processor<String, String, String, String> for Edges {
    fn init(&mut self, _: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
        Ok(self.0.map_or(Ok(()), |way| check(way, "bad"))?)
    }
    fn process(
        &mut self,
        _: &ProcessorContext<'_, String, String>,
        _: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(self.1.map_or(Ok(()), |way| check(way, "bad"))?)
    }
}

#[test]
fn in_processors_that_start_or_stop() -> TestResult {
    for way in [Failing, Panicking] {
        let topology = |start, stop| {
            let builder = StreamsBuilder::new();
            let processing = Processing::new().named("it");
            builder
                .stream::<String, String>("in")
                .process_with(move || Edges(start, stop), processing)
                .to("out");
            builder.build()
        };
        let error = Runner::new(&topology(Some(way), None)?).err().ok_or("it started")?;
        assert!(error.to_string().contains("in it: it is bad"), "{error}");
        let runner = Runner::new(&topology(None, Some(way))?)?;
        let error = stopped("close", runner.graph().close())?;
        assert_eq!((&*error.node, &*error.message), ("it", "it is bad"));
    }
    Ok(())
}

struct TouchyPartitioner;
impl Partitioner<String, String> for TouchyPartitioner {
    fn partitions(&self, _: &str, _: &String, value: &String, _: i32) -> Option<Vec<i32>> {
        check_or_panic(value);
        None
    }
}

#[test]
fn in_sources_and_sinks() -> TestResult {
    run_all(&[
        infallible("to_dynamic", |_, s, _| {
            let topic = |_: &String, v: &String| {
                check_or_panic(v);
                text("out")
            };
            s.filter(|_, _| true)
                .to_dynamic_with(topic, Produced::options().named("it"));
        }),
        infallible("a partitioner", |_, s, _| {
            s.filter(|_, _| true)
                .to(Produced::topic("out").partitioner(TouchyPartitioner).named("it"));
        }),
        infallible("the partitioner of a repartition topic", |_, s, _| {
            s.repartition_with(Repartitioned::named("r").partitioner(TouchyPartitioner))
                .to("out");
        })
        .at("r-repartition-sink"),
    ])
}

#[test]
fn in_a_sink_right_behind_a_source_it_stops_the_task() -> TestResult {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    stream.to(Produced::topic("out").partitioner(TouchyPartitioner).named("it"));
    let runner = Runner::with(&builder.build()?, continuing(), 0)?;
    let error = stopped("a partitioner", runner.pipe("in", text("k"), text("bad")))?;
    assert_eq!((&*error.node, &*error.message), ("it", "it is bad"));
    Ok(())
}

#[test]
fn of_a_sink_the_operator_in_front_goes_on_with_the_next_record() -> TestResult {
    let builder = StreamsBuilder::new();
    let words = builder
        .stream::<String, String>("in")
        .flat_map_values(|line| line.split(' ').map(text).collect::<Vec<_>>());
    words.to(Produced::topic("out").partitioner(TouchyPartitioner));
    words.to("second");
    let runner = Runner::with(&builder.build()?, continuing(), 0)?;
    runner.pipe("in", text("k"), text("one bad two"))?;
    runner.pipe("in", text("k"), text("three"))?;
    let all = ["out", "second"].map(|topic| runner.read::<String, String>(topic));
    let both = [(text("k"), text("one")), (text("k"), text("three"))];
    assert_eq!(
        all,
        [both.clone(), both],
        "neither the second topic nor the second word"
    );
    assert_eq!(runner.graph().dropped_records(), 1);
    Ok(())
}

#[test]
fn in_a_timestamp_extractor_it_stops_the_task() -> TestResult {
    let builder = StreamsBuilder::new();
    let extractor = TimestampExtractor::custom(|input: ExtractInput<'_, String, String>| {
        check_or_panic(input.value);
        input.timestamp
    });
    builder
        .stream(
            Consumed::<String, String>::topic("in")
                .timestamps(extractor)
                .named("it"),
        )
        .to("out");
    let runner = Runner::with(&builder.build()?, continuing(), 0)?;
    let error = stopped("extractor", runner.pipe("in", text("k"), text("bad")))?;
    assert_eq!((&*error.node, &*error.message), ("it", "it is bad"));
    runner.pipe("in", text("k"), text("good"))?;
    Ok(())
}

fn grouped(stream: &Stream) -> KGroupedStream<String, String> {
    stream.group_by_key()
}
fn folded<'a>(way: Way) -> impl Fn(&String, &String, String) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |_, v, all| check(way, v).map(|()| Some(all + v))
}
fn reduced<'a>(way: Way) -> impl Fn(String, &String) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |all, v| check(way, v).map(|()| Some(all + v))
}
fn merged<'a>(way: Way) -> impl Fn(&String, String, String) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |_, one, two| check(way, &(one.clone() + &two)).map(|()| Some(one + &two))
}
fn named<V: 'static>() -> Materialized<String, V> {
    Materialized::named("store").operator("it")
}
fn hopping() -> TimeWindows {
    TimeWindows::of(millis(20)).advance_by(millis(5)).grace(millis(100))
}

/// Goes wrong at time 10.
#[derive(Clone, Copy)]
struct TouchyWindows;
impl Windows for TouchyWindows {
    fn each<E>(&self, timestamp: i64, mut f: impl FnMut(Window) -> Result<(), E>) -> Result<(), E> {
        assert!(timestamp != 10, "it is bad");
        f(Window {
            start: timestamp,
            end: timestamp + 1,
        })
    }
    fn size_ms(&self) -> i64 {
        1
    }
    fn grace_ms(&self) -> i64 {
        1_000
    }
    fn closes(&self) -> bool {
        true
    }
    fn problem(&self) -> Option<String> {
        None
    }
}

#[test]
fn in_aggregations() -> TestResult {
    let before = &[("in", "good", 5)];
    run_all(&[
        case("reduce", |_, s, way| {
            let _ = grouped(s).try_reduce_with(reduced(way), named());
        })
        .after(before),
        case("aggregate", |_, s, way| {
            let _ = grouped(s).try_aggregate_with(String::new, folded(way), named());
        })
        .after(before),
        case("reduce in windows", |_, s, way| {
            let _ = grouped(s)
                .windowed_by(TimeWindows::of(millis(20)))
                .try_reduce_with(reduced(way), named());
        })
        .after(before),
        case("aggregate in windows", |_, s, way| {
            let _ = grouped(s)
                .windowed_by(hopping())
                .try_aggregate_with(String::new, folded(way), named());
        })
        .after(before),
        case("aggregate in sliding windows", |_, s, way| {
            let windows = SlidingWindows::of(millis(20)).grace(millis(100));
            let _ = grouped(s)
                .windowed_by(windows)
                .try_aggregate_with(String::new, folded(way), named());
        })
        .after(before),
        case("aggregate in sessions", |_, s, way| {
            let windows = SessionWindows::of(millis(20)).grace(millis(100));
            let merge = merged(way);
            let _ = grouped(s)
                .windowed_by(windows)
                .try_aggregate_with(String::new, folded(way), merge, named());
        })
        .after(before),
        case("reduce in sessions", |_, s, way| {
            let windows = SessionWindows::of(millis(20)).grace(millis(100));
            let _ = grouped(s).windowed_by(windows).try_reduce_with(reduced(way), named());
        })
        .after(before),
        infallible("windows of the user", |_, s, way| {
            let _ = grouped(s)
                .windowed_by(TouchyWindows)
                .try_aggregate_with(String::new, folded(way), named());
        })
        .after(before),
        infallible("an initializer", |_, s, way| {
            let _ = grouped(s).try_aggregate_with(touchy_initial, folded(way), named());
        }),
        infallible("an initializer in windows", |_, s, way| {
            let windows = TimeWindows::of(millis(1));
            let _ = grouped(s)
                .windowed_by(windows)
                .try_aggregate_with(touchy_initial, folded(way), named());
        }),
    ])
}

/// Goes wrong the first time.
pub(super) fn touchy_initial() -> String {
    use std::cell::Cell;
    thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });
    // Each case makes two runs: one stops at the first record, the other goes on to a second one.
    let call = CALLS.replace(CALLS.get() + 1) % 3;
    assert!(call == 2, "it is bad");
    String::new()
}

#[test]
fn in_cogrouped_streams() -> TestResult {
    let before = &[("in", "good", 5)];
    run_all(&[
        case("cogroup", |b, s, way| {
            let other = b.stream::<String, String>("other").group_by_key();
            let all = other.try_cogroup(|_, v, all: String| Ok::<_, String>(Some(all + v)));
            let _ = all
                .try_cogroup(&grouped(s), folded(way))
                .aggregate_with(String::new, named());
        })
        .at("it-cogroup-agg-1")
        .after(before),
        case("cogroup in windows", |_, s, way| {
            let all = grouped(s).try_cogroup(folded(way)).windowed_by(hopping());
            let _ = all.aggregate_with(String::new, named());
        })
        .at("it-cogroup-agg-0")
        .after(before),
        case("cogroup in sessions", |_, s, way| {
            let all = grouped(s)
                .try_cogroup(folded(way))
                .windowed_by(SessionWindows::of(millis(20)));
            let _ = all.try_aggregate_with(String::new, merged(way), named());
        })
        .at("it-cogroup-agg-0")
        .after(before),
    ])
}

fn joined<'a>(way: Way) -> impl Fn(&String, &String, &String) -> Result<String, String> + Send + Sync + 'a {
    move |_, one, two| check(way, one).and(check(way, two)).map(|()| one.clone() + two)
}
fn left_joined<'a>(
    way: Way,
) -> impl Fn(&String, &String, Option<&String>) -> Result<String, String> + Send + Sync + 'a {
    move |_, one, two| check(way, one).map(|()| one.clone() + two.map_or("", String::as_str))
}
fn outer_joined<'a>(
    way: Way,
) -> impl Fn(&String, Option<&String>, Option<&String>) -> Result<String, String> + Send + Sync + 'a {
    move |_, one, two| {
        let all = [one, two].map(|v| v.map_or("", String::as_str)).concat();
        check(way, &all).map(|()| all)
    }
}

#[test]
fn in_joins_of_streams() -> TestResult {
    run_all(&[
        case("join, from the left", |b, s, way| {
            let named = StreamJoined::named("it");
            s.try_join_stream_with(&b.stream("other"), joined(way), JoinWindows::of(millis(5)), named)
                .to("out");
        })
        .at("it-this-join")
        .after(&[("other", "good", 8)]),
        case("join, from the right", |b, s, way| {
            let named = StreamJoined::named("it");
            b.stream::<String, String>("other")
                .try_join_stream_with(s, joined(way), JoinWindows::of(millis(5)), named)
                .to("out");
        })
        .at("it-other-join")
        .after(&[("other", "good", 8)]),
        case("left join without a partner", |b, s, way| {
            let named = StreamJoined::named("it");
            s.try_left_join_stream_with(&b.stream("other"), left_joined(way), JoinWindows::of(millis(5)), named).to("out");
        })
        .at("it-this-join")
        // A record that is too late to wait has its result at once.
        .after(&[("other", "late", 100)]),
        case("outer join, from the right", |b, s, way| {
            let named = StreamJoined::named("it");
            b.stream::<String, String>("other")
                .try_outer_join_stream_with(s, outer_joined(way), JoinWindows::of(millis(5)), named)
                .to("out");
        })
        .at("it-outer-other-join")
        .after(&[("other", "good", 8)]),
        case("a join of a stream with itself", |_, s, way| {
            let named = StreamJoined::named("it");
            s.try_join_stream_with(s, joined(way), JoinWindows::of(millis(5)), named)
                .to("out");
        })
        .at("it-other-join"),
    ])
}

#[test]
fn in_a_result_of_an_outer_join_that_has_waited() -> TestResult {
    for way in [Failing, Panicking] {
        let builder = StreamsBuilder::new();
        let (one, two) = (builder.stream::<String, String>("in"), builder.stream("other"));
        let named = StreamJoined::named("it");
        let windows = JoinWindows::of(millis(5));
        one.try_outer_join_stream_with(&two, outer_joined(way), windows, named)
            .to("out");
        let topology = builder.build()?;
        let driver = |handlers| {
            let builder = TopologyTestDriver::builder(&topology);
            let driver = builder.emit_interval(millis(0)).handlers(handlers).build()?;
            driver.pipe_bytes("in", Some(b"k"), Some(b"bad"), 10, &Headers::new())?;
            Ok::<_, DriverError>(driver)
        };
        let close =
            |driver: &TopologyTestDriver| driver.pipe_bytes("other", Some(b"x"), Some(b"good"), 1_000, &Headers::new());
        let Err(DriverError::Process(error)) = close(&driver(Handlers::default())?) else {
            return Err("it went on".into());
        };
        assert_eq!((&*error.node, &*error.message), ("it-outer-other-join", "it is bad"));
        let driver = driver(continuing())?;
        close(&driver)?;
        assert_eq!(driver.dropped_records(), 1, "{way:?}");
    }
    Ok(())
}

#[test]
fn in_joins_of_streams_and_tables() -> TestResult {
    let rows = &[("rows", "row", 0)];
    run_all(&[
        case("join with a table", |b, s, way| {
            s.try_join_with(&b.table("rows"), joined(way), Joined::named("it"))
                .to("out");
        })
        .after(rows),
        case("left join with a table", |b, s, way| {
            s.try_left_join_with(
                &b.table::<String, String>("rows"),
                left_joined(way),
                Joined::named("it"),
            )
            .to("out");
        }),
        case("join with a global table", |b, s, way| {
            let table = b.global_table::<String, String>("rows");
            let key = |k: &String, _: &String| Ok::<_, String>(k.clone());
            s.try_join_global_with(&table, key, joined(way), "it").to("out");
        })
        .after(rows),
        case("left join with a global table", |b, s, way| {
            let table = b.global_table::<String, String>("rows");
            let key = |k: &String, _: &String| Ok::<_, String>(k.clone());
            s.try_left_join_global_with(&table, key, left_joined(way), "it")
                .to("out");
        }),
        case("the key for a global table", |b, s, way| {
            let table = b.global_table::<String, String>("rows");
            let key = move |_: &String, v: &String| check_key(way, v);
            let row = |_: &String, v: &String, _: &String| Ok::<_, String>(v.clone());
            s.try_join_global_with(&table, key, row, "it").to("out");
        }),
    ])
}
