//! Arguments that Kafka Streams refuses, when it does.
use millstream_dsl::{engine::ProcessErrorKind, testing::Runner, topology::ViolationKind};

use super::*;

struct Beats(std::time::Duration);
impl Processor<String, String, String, String> for Beats {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
        for kind in [PunctuationType::StreamTime, PunctuationType::WallClock] {
            let refused = ctx.schedule(self.0, kind).map_err(|error| error.kind());
            assert_eq!(refused.err(), Some(ProcessErrorKind::InvalidArgument));
        }
        ctx.schedule(self.0, PunctuationType::StreamTime)?;
        Ok(())
    }
    fn process(
        &mut self,
        _: &ProcessorContext<'_, String, String>,
        _: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn a_schedule_without_interval_is_an_error() -> TestResult {
    for interval in [std::time::Duration::ZERO, std::time::Duration::from_micros(999)] {
        let builder = StreamsBuilder::new();
        let processing = Processing::new().named("beats");
        let input = builder.stream::<String, String>("in");
        input.process_with(move || Beats(interval), processing).to("out");
        let error = Runner::new(&builder.build()?).err().ok_or("it started")?.to_string();
        assert!(error.contains("beats") && error.contains("millisecond"), "{error}");
    }
    Ok(())
}

/// The error of the first record, and how many records come out when the handler goes on.
fn refused(build: impl Fn(&StreamsBuilder)) -> Result<ProcessError, Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    build(&builder);
    let topology = builder.build()?;
    let error = Runner::new(&topology)?.pipe("in", text("k"), text("v")).err();
    let going_on = Runner::with(&topology, continuing(), 0)?;
    going_on.pipe("in", text("k"), text("v"))?;
    assert!(going_on.written().is_empty());
    Ok(*error.ok_or("it was accepted")?)
}

#[test]
fn a_record_without_topic_is_an_error() -> TestResult {
    let error = refused(|builder| {
        let produced = Produced::options().named("fan-out");
        builder
            .stream::<String, String>("in")
            .filter(|_, _| true)
            .to_dynamic_with(|_, _| String::new(), produced);
    })?;
    assert_eq!(error.kind, ProcessErrorKind::InvalidArgument);
    assert!(error.to_string().contains("fan-out"), "{error}");
    Ok(())
}

#[test]
fn sliding_windows_without_length_are_an_error_of_the_first_record() -> TestResult {
    let error = refused(|builder| {
        let groups = builder.stream::<String, String>("in").group_by_key();
        let counts = groups.windowed_by(SlidingWindows::of(millis(0))).count();
        counts
            .to_stream()
            .map(|w, n| (w.window.start, n.unwrap_or(0)))
            .to("out");
    })?;
    assert_eq!(error.kind, ProcessErrorKind::InvalidArgument);
    assert!(error.to_string().contains("millisecond"), "{error}");
    Ok(())
}

#[test]
fn windows_that_do_not_fit_into_their_retention_are_refused() -> TestResult {
    for duplicates in [false, true] {
        let built = |retention| {
            let builder = StreamsBuilder::new();
            builder.stream::<String, String>("in").to("out");
            let store = Store::<String, i64>::window("short", millis(retention), millis(10), duplicates);
            builder.add_state_store(store);
            builder.build()
        };
        built(10)?;
        let error = built(9).err().ok_or("it was accepted")?;
        let violation = error.violations.first().ok_or("no violation")?;
        assert_eq!(violation.kind, ViolationKind::Argument);
        assert!(error.to_string().contains("short: windows of 10 ms"), "{error}");
    }
    Ok(())
}
