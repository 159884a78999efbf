//! Values of a table made by something with state and time.
use std::error::Error;

use millstream_dsl::{prelude::*, testing::Runner};

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}

/// Shows what it was called with.
struct Show;
impl ValueTransformer<String, String, String> for Show {
    fn transform(
        &mut self,
        ctx: &TransformContext<'_>,
        key: &String,
        value: Option<&String>,
    ) -> Result<Option<String>, BoxError> {
        if value.is_some_and(|v| v == "bad") {
            return Err("a bad value".into());
        }
        let from = ctx.record_metadata().map_or(-1, |m| m.offset);
        let value = value.map_or("-", String::as_str);
        Ok(Some(format!("{key}={value} at {} from {from}", ctx.timestamp())))
    }
}

#[test]
fn deletions_are_seen_and_times_and_origins_are_those_of_the_update() -> TestResult {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in").transform_values(|| Show);
    assert_eq!(table.name(), "KTABLE-TRANSFORMVALUES-0000000003");
    table.to_stream().to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("k"), Some(text("v")), 5)?;
    runner.pipe_at("in", text("k"), None::<String>, 6)?;
    let out: Vec<_> = runner
        .read::<String, Option<String>>("out")
        .into_iter()
        .map(|(_, v)| v)
        .collect();
    assert_eq!(out, [Some(text("k=v at 5 from 0")), Some(text("k=- at 6 from 1"))]);
    Ok(())
}

#[test]
fn whoever_reads_the_table_has_a_transformer_of_its_own_that_sees_missing_rows_too() -> TestResult {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("table").transform_values(|| Show);
    builder
        .stream::<String, String>("in")
        .join(&table, |v, row| format!("{v}: {row}"))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("k"), text("a"), 1)?;
    runner.pipe_at("table", text("k"), Some(text("v")), 5)?;
    runner.pipe_at("in", text("k"), text("b"), 9)?;
    let out: Vec<_> = runner
        .read::<String, String>("out")
        .into_iter()
        .map(|(_, v)| v)
        .collect();
    assert_eq!(out, ["a: k=- at -1 from -1", "b: k=v at 5 from -1"]);
    Ok(())
}

/// Counts its calls in a store.
#[derive(Default)]
struct Calls(Option<KeyValueStore<String, i64>>);
impl ValueTransformer<String, String, i64> for Calls {
    fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
        self.0 = Some(ctx.store("calls")?);
        Ok(())
    }
    fn transform(
        &mut self,
        _: &TransformContext<'_>,
        key: &String,
        value: Option<&String>,
    ) -> Result<Option<i64>, BoxError> {
        let store = self.0.as_ref().ok_or("no store")?;
        let n = store.get(key)?.unwrap_or(0) + 1;
        store.put(key, &n)?;
        Ok(value.map(|_| n))
    }
}

fn calls() -> Processing {
    Processing::new()
        .named("calls")
        .with_store(Store::<String, i64>::key_value("calls"))
}

/// The numbers that a grouping behind adds and takes away.
fn added_and_taken(materialized: Materialized<String, i64>) -> Result<Vec<String>, Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    builder
        .table::<String, String>("in")
        .transform_values_with(Calls::default, calls(), materialized)
        .group_by(|k, n| (k.clone(), *n))
        .aggregate(
            String::new,
            |_, n, all| format!("{all}+{n}"),
            |_, n, all| format!("{all}-{n}"),
        )
        .to_stream()
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    for value in ["x", "y", "z"] {
        runner.pipe("in", text("k"), Some(text(value)))?;
    }
    let out = runner.read::<String, Option<String>>("out");
    Ok(out.into_iter().filter_map(|(_, v)| v).collect())
}

#[test]
fn with_a_store_of_the_result_old_values_come_from_there_and_not_from_another_call() -> TestResult {
    assert_eq!(
        added_and_taken(Materialized::named("result"))?,
        ["+1", "+1-1+2", "+1-1+2-2+3"]
    );
    // Without one the transformer runs for the old value, too.
    assert_eq!(added_and_taken(Materialized::new())?, ["+1", "+1-4+3", "+1-4+3-6+5"]);
    Ok(())
}

#[test]
fn a_transformer_that_fails_is_a_matter_of_the_processing_handler() -> TestResult {
    let build = || -> Result<Topology, BuildError> {
        let builder = StreamsBuilder::new();
        builder
            .table::<String, String>("in")
            .transform_values(|| Show)
            .to_stream()
            .to("out");
        builder.build()
    };
    let error = Runner::new(&build()?)?
        .pipe("in", text("k"), Some(text("bad")))
        .err()
        .map(|e| e.to_string());
    assert_eq!(
        error.as_deref(),
        Some("UserFunction in KTABLE-TRANSFORMVALUES-0000000003: a bad value")
    );
    let handlers = Handlers {
        processing: std::sync::Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let runner = Runner::with(&build()?, handlers, 0)?;
    runner.pipe("in", text("k"), Some(text("bad")))?;
    runner.pipe("in", text("k"), Some(text("good")))?;
    assert_eq!(runner.read::<String, Option<String>>("out").len(), 1);
    Ok(())
}
