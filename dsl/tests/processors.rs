//! The processor API: stores, time, children.
use std::{error::Error, time::Duration};

use millstream_dsl::{engine::ProcessErrorKind, prelude::*, store::Handle, testing::Runner};

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}

#[derive(Default)]
struct Count(Option<KeyValueStore<String, i64>>);
impl Processor<String, String, String, i64> for Count {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
        self.0 = Some(ctx.store("counts")?);
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
        ctx.forward(record.with_value(&count))?;
        Ok(())
    }
}

#[test]
fn a_processor_counts_in_its_store() -> TestResult {
    let builder = StreamsBuilder::new();
    let store = Store::<String, i64>::key_value("counts");
    builder
        .stream::<String, String>("in")
        .process_with(Count::default, Processing::new().with_store(store))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    for key in ["a", "b", "a"] {
        runner.pipe("in", text(key), text("x"))?;
    }
    assert_eq!(
        runner.read::<String, i64>("out"),
        [(text("a"), 1), (text("b"), 1), (text("a"), 2)]
    );
    Ok(())
}

#[test]
fn a_store_that_is_not_connected_or_of_other_types_is_refused_at_the_start() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Store::<String, i64>::key_value("counts"));
    builder.stream::<String, String>("in").process(Count::default).to("out");
    let error = Runner::new(&builder.build()?).err().expect("not connected").to_string();
    assert!(
        error.contains("StoreNotConnected in KSTREAM-PROCESSOR-0000000001"),
        "{error}"
    );

    let builder = StreamsBuilder::new();
    builder.add_state_store(Store::<String, String>::key_value("counts"));
    let processing = Processing::new().store("counts");
    builder
        .stream::<String, String>("in")
        .process_with(Count::default, processing)
        .to("out");
    let error = Runner::new(&builder.build()?).err().expect("other types").to_string();
    assert!(error.contains("store counts: its types are not"), "{error}");
    Ok(())
}

/// Asks for a store and does nothing.
struct Opens<S>(std::marker::PhantomData<S>);
impl<S: Handle + 'static> Processor<String, String, String, String> for Opens<S> {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
        ctx.store::<S>("store").map(drop)
    }
    fn process(
        &mut self,
        _: &ProcessorContext<'_, String, String>,
        _: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

fn opened<S: Handle + 'static>(store: Store<String, i64>) -> Result<(), Box<dyn std::error::Error>> {
    let builder = StreamsBuilder::new();
    let processing = Processing::new().with_store(store);
    let opens = || Opens::<S>(std::marker::PhantomData);
    builder
        .stream::<String, String>("in")
        .process_with(opens, processing)
        .to("out");
    Runner::new(&builder.build()?).map(drop)
}

#[test]
fn a_handle_fits_only_what_the_rows_keep() -> TestResult {
    type Windows = TimestampedWindowStore<String, i64>;
    type WindowsAndHeaders = TimestampedWindowStoreWithHeaders<String, i64>;
    let second = std::time::Duration::from_secs(1);
    opened::<Windows>(Store::timestamped_window("store", second, second, false))?;
    opened::<WindowsAndHeaders>(Store::window_with_headers("store", second, second, true))?;
    opened::<KeyValueStore<String, i64>>(Store::timestamped_key_value("store"))?;
    let refused = [
        (
            opened::<Windows>(Store::window("store", second, second, false)),
            "its rows have no timestamps",
        ),
        (
            opened::<WindowsAndHeaders>(Store::timestamped_window("store", second, second, false)),
            "its rows keep no headers",
        ),
        (
            opened::<Windows>(Store::window_with_headers("store", second, second, false)),
            "its rows keep headers",
        ),
        (
            opened::<KeyValueStore<String, i64>>(Store::key_value_with_headers("store")),
            "its rows keep headers",
        ),
        (
            opened::<SessionStoreWithHeaders<String, i64>>(Store::session("store", second)),
            "its rows keep no headers",
        ),
        (
            opened::<SessionStoreWithHeaders<String, i64>>(Store::key_value_with_headers("store")),
            "it is no session store",
        ),
    ];
    for (opened, why) in refused {
        let error = opened.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("store store: ") && error.contains(why), "{error}");
    }
    Ok(())
}

struct Tick {
    kind: PunctuationType,
    runs: u32,
    cancel_after: u32,
    schedule: Option<Schedule>,
}
impl Tick {
    fn new(kind: PunctuationType, cancel_after: u32) -> Self {
        Self {
            kind,
            runs: 0,
            cancel_after,
            schedule: None,
        }
    }
}
impl Processor<String, String, String, String> for Tick {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
        self.schedule = Some(ctx.schedule(Duration::from_millis(10), self.kind)?);
        Ok(())
    }
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        _: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        assert!(ctx.record_metadata().is_some());
        Ok(())
    }
    fn punctuate(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        punctuation: Punctuation,
    ) -> Result<(), BoxError> {
        assert_eq!(ctx.record_metadata(), None);
        assert!(self.schedule.as_ref().is_some_and(|s| s.is(punctuation)));
        self.runs += 1;
        let value = format!("at={},n={}", punctuation.timestamp, self.runs);
        ctx.forward(Record::new(
            &text("tick"),
            &value,
            punctuation.timestamp,
            ctx.no_headers(),
        ))?;
        if self.runs == self.cancel_after
            && let Some(schedule) = &self.schedule
        {
            schedule.cancel();
        }
        Ok(())
    }
}

fn ticks(runner: &Runner) -> Vec<String> {
    runner
        .read::<String, String>("out")
        .into_iter()
        .map(|(_, v)| v)
        .collect()
}

#[test]
fn stream_time_punctuations_collapse_and_stay_on_the_grid() -> TestResult {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .process(|| Tick::new(PunctuationType::StreamTime, 0))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    for time in [23, 29, 33, 40, 39] {
        runner.pipe_at("in", text("a"), text("x"), time)?;
    }
    assert_eq!(ticks(&runner), ["at=23,n=1", "at=33,n=2", "at=40,n=3"]);
    Ok(())
}

#[test]
fn wall_clock_punctuations_begin_one_interval_later_and_can_be_cancelled() -> TestResult {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .process(|| Tick::new(PunctuationType::WallClock, 2))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    assert_eq!(runner.graph().next_wall_clock_punctuation(), Some(10));
    assert!(!runner.graph().advance_wall_clock(9)?);
    assert!(runner.graph().advance_wall_clock(35)?);
    assert_eq!(runner.graph().next_wall_clock_punctuation(), Some(40));
    assert!(runner.graph().advance_wall_clock(40)?);
    assert_eq!(runner.graph().next_wall_clock_punctuation(), None);
    assert!(!runner.graph().advance_wall_clock(1_000)?);
    assert_eq!(ticks(&runner), ["at=35,n=1", "at=40,n=2"]);
    Ok(())
}

struct Route;
impl Processor<String, String, String, String> for Route {
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        ctx.forward_to(record.value, record)?;
        Ok(())
    }
}

#[test]
fn records_go_to_the_named_child_and_an_unknown_one_is_an_error() -> TestResult {
    let builder = StreamsBuilder::new();
    let routed = builder.stream::<String, String>("in").process(|| Route);
    routed.to(Produced::topic("left-topic").named("left"));
    routed.to(Produced::topic("right-topic").named("right"));
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", text("a"), text("right"))?;
    assert_eq!(runner.read::<String, String>("right-topic").len(), 1);
    assert_eq!(runner.read::<String, String>("left-topic").len(), 0);
    let error = runner.pipe("in", text("a"), text("nowhere")).expect_err("unknown");
    assert_eq!(error.kind, ProcessErrorKind::UnknownChild);
    Ok(())
}

struct Shift;
impl Processor<String, String, String, String> for Shift {
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        ctx.forward(record.with_timestamp(record.timestamp - 2))?;
        Ok(())
    }
}

#[test]
fn a_negative_timestamp_cannot_be_forwarded() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").process(|| Shift).to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("a"), text("x"), 5)?;
    assert_eq!(runner.written()[0].timestamp, 3);
    let error = runner.pipe_at("in", text("a"), text("x"), 1).expect_err("negative");
    assert_eq!(error.kind, ProcessErrorKind::InvalidTimestamp);
    Ok(())
}
