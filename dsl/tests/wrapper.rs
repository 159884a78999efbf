//! What runs around operators: it sees records, updates and punctuations, may skip them, and its own panic is an error like any other.
use std::{cell::RefCell, error::Error, rc::Rc, sync::Arc};

use millstream_dsl::{
    engine::{Around, ProcessResult, TaskContext, WrappedPunctuation, WrappedRecord},
    prelude::*,
    testing::Runner,
};

type TestResult = Result<(), Box<dyn Error>>;

/// Skips rows whose new value is odd; panics at 13.
struct OnlyEven;
impl Around for OnlyEven {
    #[expect(clippy::panic, reason = "what the test is about")]
    fn around(
        &self,
        _: &TaskContext,
        record: &WrappedRecord<'_>,
        process: &mut dyn FnMut() -> ProcessResult,
    ) -> ProcessResult {
        assert_eq!(record.key::<i64>(), None, "keys are text");
        match record.value::<i64>() {
            Some(13) => panic!("thirteen"),
            Some(n) if n % 2 != 0 => Ok(()),
            _ => process(),
        }
    }
}

fn runner(handlers: Handlers) -> Result<Runner, Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    builder.wrap_processors(|operator: &Arc<str>, task: &str| {
        assert_eq!(task, "0_0");
        operator
            .starts_with("KTABLE-FILTER")
            .then(|| Rc::new(OnlyEven) as Rc<dyn Around>)
    });
    builder
        .table::<String, i64>("in")
        .filter(|_, _| true)
        .to_stream()
        .to("out");
    Runner::with(&builder.build()?, handlers, 0)
}

#[test]
fn updates_of_tables_are_seen_and_can_be_skipped() -> TestResult {
    let runner = runner(Handlers::default())?;
    for n in [Some(2i64), Some(3), None] {
        runner.pipe("in", "k".to_owned(), n)?;
    }
    let values: Vec<_> = runner
        .read::<String, Option<i64>>("out")
        .into_iter()
        .map(|(_, v)| v)
        .collect();
    assert_eq!(values, [Some(2), None]);
    Ok(())
}

#[test]
fn a_panic_of_the_wrapper_is_an_error_of_the_operator() -> TestResult {
    let error = runner(Handlers::default())?
        .pipe("in", "k".to_owned(), Some(13i64))
        .err()
        .map(|e| e.to_string());
    assert_eq!(error.as_deref(), Some("Panic in KTABLE-FILTER-0000000003: thirteen"));
    let handlers = Handlers {
        processing: Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let runner = runner(handlers)?;
    runner.pipe("in", "k".to_owned(), Some(13i64))?;
    runner.pipe("in", "k".to_owned(), Some(4i64))?;
    assert_eq!(runner.read::<String, Option<i64>>("out").len(), 1);
    Ok(())
}

/// Ticks every ten milliseconds of stream time.
struct Ticking;
impl Processor<String, i64, String, i64> for Ticking {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
        ctx.schedule(millis(10), PunctuationType::StreamTime)?;
        Ok(())
    }
    fn process(&mut self, _: &ProcessorContext<'_, String, i64>, _: Record<'_, String, i64>) -> Result<(), BoxError> {
        Ok(())
    }
    fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, i64>, run: Punctuation) -> Result<(), BoxError> {
        let tick = ("tick".to_owned(), run.timestamp);
        Ok(ctx.forward(Record::new(&tick.0, &tick.1, run.timestamp, ctx.no_headers()))?)
    }
}

/// Notes runs of schedules; skips that at 10, panics at 30.
struct Noting(Rc<RefCell<Vec<i64>>>);
impl Around for Noting {
    fn around(
        &self,
        _: &TaskContext,
        _: &WrappedRecord<'_>,
        process: &mut dyn FnMut() -> ProcessResult,
    ) -> ProcessResult {
        process()
    }
    #[expect(clippy::panic, reason = "what the test is about")]
    fn around_punctuation(
        &self,
        _: &TaskContext,
        punctuation: WrappedPunctuation,
        run: &mut dyn FnMut() -> ProcessResult,
    ) -> ProcessResult {
        assert_eq!(punctuation.kind, PunctuationType::StreamTime);
        self.0.borrow_mut().push(punctuation.timestamp);
        match punctuation.timestamp {
            10 => Ok(()),
            30 => panic!("thirty"),
            _ => run(),
        }
    }
}

#[test]
fn punctuations_are_seen_and_can_be_skipped() -> TestResult {
    thread_local! {
        static SEEN: Rc<RefCell<Vec<i64>>> = Rc::default();
    }
    let builder = StreamsBuilder::new();
    builder.wrap_processors(|operator: &Arc<str>, _: &str| {
        let around = || Rc::new(Noting(SEEN.with(Rc::clone))) as Rc<dyn Around>;
        (&**operator == "ticking").then(around)
    });
    let ticking = Processing::new().named("ticking");
    builder
        .stream::<String, i64>("in")
        .process_with(|| Ticking, ticking)
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    for time in [0, 10, 20] {
        runner.pipe_at("in", "k".to_owned(), 1i64, time)?;
    }
    let ticks: Vec<_> = runner
        .read::<String, i64>("out")
        .into_iter()
        .map(|(_, at)| at)
        .collect();
    assert_eq!(ticks, [0, 20]);
    let error = runner.pipe_at("in", "k".to_owned(), 1i64, 30).err();
    assert_eq!(
        error.map(|e| e.to_string()).as_deref(),
        Some("Panic in ticking: thirty")
    );
    assert_eq!(*SEEN.with(Rc::clone).borrow(), [0, 10, 20, 30]);
    Ok(())
}
