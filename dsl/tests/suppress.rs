//! Held-back updates: what a full buffer does, what others see meanwhile, what an abort leaves.
use std::{error::Error, sync::Arc};

use millstream_dsl::{engine::ProcessErrorKind, prelude::*, serde::TimeWindowedSerde, testing::Runner};

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}
fn limited(builder: &StreamsBuilder, buffer: BufferConfig<impl Sized>) {
    let table = builder.table::<String, i64>("in");
    table
        .suppress(Suppressed::until_time_limit(millis(100), buffer).named("held"))
        .to_stream()
        .to("out");
}

#[test]
fn a_full_strict_buffer_is_an_error_of_its_operator_without_payload() -> TestResult {
    let builder = StreamsBuilder::new();
    limited(&builder, BufferConfig::max_records(1).shut_down_when_full());
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("a"), Some(1i64), 1)?;
    let Err(error) = runner.pipe_at("in", text("secret"), Some(2i64), 2) else {
        return Err("the second key does not fit".into());
    };
    assert_eq!((error.kind, &*error.node), (ProcessErrorKind::BufferFull, "held"));
    assert!(!error.to_string().contains("secret"), "{error}");
    Ok(())
}

#[test]
fn a_handler_may_go_on_with_a_full_buffer_and_the_update_still_waits() -> TestResult {
    let builder = StreamsBuilder::new();
    limited(&builder, BufferConfig::max_records(1).shut_down_when_full());
    let handlers = Handlers {
        processing: Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe_at("in", text("a"), Some(1i64), 1)?;
    runner.pipe_at("in", text("b"), Some(2i64), 2)?;
    assert_eq!(runner.graph().dropped_records(), 1);
    runner.pipe_at("in", text("a"), Some(3i64), 200)?;
    assert_eq!(
        runner.read::<String, Option<i64>>("out"),
        [(text("a"), Some(3)), (text("b"), Some(2))]
    );
    Ok(())
}

#[test]
fn while_updates_wait_a_join_sees_the_value_from_before_them() -> TestResult {
    let builder = StreamsBuilder::new();
    let held = builder
        .table::<String, i64>("in")
        .suppress(Suppressed::until_time_limit(millis(100), BufferConfig::unbounded()));
    let probe = builder.stream::<String, i64>("probe");
    probe
        .left_join(&held, |_, row: Option<&i64>| row.copied().unwrap_or(-1))
        .to("seen");
    let runner = Runner::new(&builder.build()?)?;
    let probe = |time| runner.pipe_at("probe", text("a"), 0i64, time);
    probe(0)?;
    runner.pipe_at("in", text("a"), Some(1i64), 1)?;
    probe(2)?;
    runner.pipe_at("in", text("b"), Some(0i64), 150)?;
    probe(151)?;
    runner.pipe_at("in", text("a"), Some(2i64), 152)?;
    runner.pipe_at("in", text("a"), Some(3i64), 153)?;
    probe(154)?;
    let seen: Vec<_> = runner.read::<String, i64>("seen").into_iter().map(|(_, v)| v).collect();
    assert_eq!(seen, [-1, -1, 1, 1]);
    Ok(())
}

#[test]
fn an_abort_forgets_what_came_since_the_commit() -> TestResult {
    let builder = StreamsBuilder::new();
    limited(&builder, BufferConfig::max_records(2));
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("a"), Some(1i64), 1)?;
    runner.graph().state().commit(&[])?;
    runner.pipe_at("in", text("b"), Some(2i64), 2)?;
    runner.graph().state().discard();
    runner.pipe_at("in", text("c"), Some(3i64), 3)?;
    assert_eq!(runner.read::<String, Option<i64>>("out"), [], "two rows fit");
    runner.pipe_at("in", text("d"), Some(4i64), 4)?;
    assert_eq!(runner.read::<String, Option<i64>>("out"), [(text("a"), Some(1))]);
    Ok(())
}

#[test]
fn what_leaves_has_time_and_headers_of_its_last_update_not_of_the_record_that_moved_time() -> TestResult {
    let builder = StreamsBuilder::new();
    limited(&builder, BufferConfig::unbounded());
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("a"), Some(1i64), 10)?;
    runner.pipe_at("in", text("a"), Some(2i64), 7)?;
    runner.pipe_at("in", text("z"), Some(9i64), 500)?;
    let times: Vec<_> = runner
        .written()
        .into_iter()
        .filter(|w| w.topic == "out")
        .map(|w| w.timestamp)
        .collect();
    assert_eq!(times, [7]);
    Ok(())
}

#[test]
fn until_a_window_closes_needs_a_windowed_aggregation_above() -> TestResult {
    let builder = StreamsBuilder::new();
    let key = TimeWindowedSerde::new(StringSerde, 10);
    let table = builder.table(Consumed::topic("in").with(key, I64Serde));
    let _ = table.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()).named("held"));
    let Err(error) = builder.build() else {
        return Err("no window is known to close".into());
    };
    assert_eq!(error.violations.len(), 1);
    assert_eq!(error.violations.first().map(|v| &*v.name), Some("held"));
    Ok(())
}

#[test]
fn a_session_is_final_when_its_gap_and_grace_have_passed() -> TestResult {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .group_by_key()
        .windowed_by(SessionWindows::of(millis(10)).grace(millis(5)))
        .count()
        .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()))
        .to_stream()
        .map(|w, n| (format!("{}-{}", w.window.start, w.window.end), n.unwrap_or(0)))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    for (key, time) in [("a", 0), ("a", 8), ("b", 22)] {
        runner.pipe_at("in", text(key), 1i64, time)?;
    }
    assert_eq!(runner.read::<String, i64>("out"), []);
    runner.pipe_at("in", text("b"), 1i64, 23)?;
    assert_eq!(runner.read::<String, i64>("out"), [(text("0-8"), 2)]);
    Ok(())
}
