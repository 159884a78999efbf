//! Who sees a header that a processor adds: those who hold the same record, and nobody who holds the one it was made of.
use std::error::Error;

use millstream_dsl::{prelude::*, testing::Runner};

type TestResult = Result<(), Box<dyn Error>>;

/// Adds a header to the record it gets, in place.
struct Mark;
impl Processor<String, i64, String, i64> for Mark {
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, i64>,
        record: Record<'_, String, i64>,
    ) -> Result<(), BoxError> {
        record.headers.add("mark", Some(b"x"));
        Ok(ctx.forward(record)?)
    }
}

/// How many headers the records of a topic have.
fn marks(runner: &Runner, topic: &str) -> Vec<usize> {
    let written = runner.written();
    written
        .iter()
        .filter(|r| r.topic == topic)
        .map(|r| r.headers.len())
        .collect()
}

#[test]
fn a_sibling_that_gets_the_same_record_later_sees_the_header() -> TestResult {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("in");
    numbers.to("before");
    numbers.process(|| Mark).to("marked");
    numbers.to("after");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", "k".to_owned(), 1i64)?;
    assert_eq!(
        [
            marks(&runner, "before"),
            marks(&runner, "marked"),
            marks(&runner, "after")
        ],
        [[0], [1], [1]]
    );
    Ok(())
}

#[test]
fn a_changed_record_has_headers_of_its_own_that_its_holders_share() -> TestResult {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("in");
    let doubled = numbers.map_values(|n| n * 2);
    doubled.process(|| Mark).to("marked");
    doubled.to("doubled");
    numbers.to("numbers");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", "k".to_owned(), 1i64)?;
    assert_eq!(
        [
            marks(&runner, "marked"),
            marks(&runner, "doubled"),
            marks(&runner, "numbers")
        ],
        [[1], [1], [0]]
    );
    Ok(())
}

#[test]
fn each_of_several_results_of_one_record_has_headers_of_its_own() -> TestResult {
    let builder = StreamsBuilder::new();
    let twice = builder.stream::<String, i64>("in").flat_map_values(|n| vec![*n, *n]);
    twice.process(|| Mark).to("marked");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", "k".to_owned(), 1i64)?;
    assert_eq!(marks(&runner, "marked"), [1, 1]);
    Ok(())
}
