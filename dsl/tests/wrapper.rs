//! What runs around operators: it sees records and updates, may skip them, and its own panic is an error like any other.
use std::{error::Error, rc::Rc, sync::Arc};

use millstream_dsl::{
    engine::{Around, ProcessResult, TaskContext, WrappedRecord},
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
