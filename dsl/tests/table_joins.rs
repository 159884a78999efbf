//! Global tables, foreign keys and tables with history, where the recorded cases do not reach.
use std::{error::Error, sync::Arc};

use millstream_dsl::{
    prelude::*,
    testing::{Runner, Written},
};

type Outcome = Result<(), Box<dyn Error>>;

fn text(text: &str) -> String {
    text.to_owned()
}

fn to_topic(runner: &Runner, part: &str) -> Vec<Written> {
    let written = runner.written().into_iter();
    written.filter(|w| w.topic.contains(part)).collect()
}

#[test]
fn a_global_table_is_no_task_and_moves_no_stream_time() -> Outcome {
    let builder = StreamsBuilder::new();
    let table = builder.global_table::<String, String>("table");
    builder
        .stream::<String, String>("in")
        .join_global(&table, |_, v| v.clone(), |_, row| row.clone())
        .to("out");
    let topology = builder.build()?;
    assert_eq!(topology.subtopologies().len(), 1);
    let runner = Runner::new(&topology)?;
    runner.pipe_at("table", text("x"), Some(text("X")), 1_000)?;
    runner.pipe_at("in", text("a"), text("x"), 5)?;
    assert_eq!(runner.graph().stream_time(), 5);
    assert_eq!(runner.read::<String, String>("out"), [(text("a"), text("X"))]);
    Ok(())
}

#[test]
fn a_global_table_cannot_have_history() {
    let builder = StreamsBuilder::new();
    let _ = builder.global_table_with("table", Materialized::<String, String>::named("t").versioned(hours(1)));
    let refused = builder.build().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("cannot be versioned"), "{refused}");
}

#[test]
fn a_panic_in_a_key_selector_goes_to_the_handler() -> Outcome {
    let builder = StreamsBuilder::new();
    let table = builder.global_table::<String, String>("table");
    builder
        .stream::<String, String>("in")
        .left_join_global(
            &table,
            |_, v: &String| {
                assert!(v != "boom", "selector");
                v.clone()
            },
            |v, _| v.clone(),
        )
        .to("out");
    let handlers = Handlers {
        processing: Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe("in", text("a"), text("boom"))?;
    runner.pipe("in", text("b"), text("fine"))?;
    assert_eq!(runner.read::<String, String>("out"), [(text("b"), text("fine"))]);
    Ok(())
}

fn joined(joined: TableJoined<String, String>) -> Result<Runner, Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    let left = builder.table::<String, String>("left");
    let right = builder.table::<String, String>("right");
    left.join_on_with(
        &right,
        |_, v| v.split_once(',').map(|(foreign, _)| foreign.to_owned()),
        |v, vo| format!("{v}+{vo}"),
        joined,
        Materialized::new(),
    )
    .to_stream()
    .to("out");
    Runner::new(&builder.build()?)
}

#[test]
fn answers_go_back_to_the_partition_that_asked() -> Outcome {
    let runner = joined(TableJoined::new())?;
    runner.pipe("right", text("p"), Some(text("P")))?;
    runner.pipe("left", text("a"), Some(text("p,1")))?;
    let partitions: Vec<_> = to_topic(&runner, "RESPONSE").iter().map(|w| w.partition).collect();
    assert_eq!(partitions, [Some(0)]);
    let partitions: Vec<_> = to_topic(&runner, "REGISTRATION").iter().map(|w| w.partition).collect();
    assert_eq!(partitions, [None]);
    Ok(())
}

#[test]
fn partitioners_of_both_sides_see_their_own_keys() -> Outcome {
    let options = TableJoined::named("j")
        .partitioner(|topic, key: &String, count| {
            assert_eq!((topic, key.as_str(), count), ("j-subscription-response-topic", "a", 4));
            Some(3)
        })
        .other_partitioner(|topic, key: &String, count| {
            assert_eq!(
                (topic, key.as_str(), count),
                ("j-subscription-registration-topic", "p", 4)
            );
            Some(2)
        });
    let runner = joined(options)?;
    runner.pipe("right", text("p"), Some(text("P")))?;
    runner.pipe("left", text("a"), Some(text("p,1")))?;
    assert_eq!(
        to_topic(&runner, "registration").first().map(|w| w.partition),
        Some(Some(2))
    );
    assert_eq!(
        to_topic(&runner, "response").first().map(|w| w.partition),
        Some(Some(3))
    );
    assert_eq!(
        runner.read::<String, Option<String>>("out"),
        [(text("a"), Some(text("p,1+P")))]
    );
    Ok(())
}

#[test]
fn a_foreign_key_that_begins_like_another_does_not_hear_of_it() -> Outcome {
    let runner = joined(TableJoined::new())?;
    runner.pipe("left", text("a"), Some(text("p,1")))?;
    runner.pipe("left", text("b"), Some(text("pp,2")))?;
    runner.pipe("right", text("p"), Some(text("P")))?;
    assert_eq!(
        runner.read::<String, Option<String>>("out"),
        [(text("a"), Some(text("p,1+P")))]
    );
    Ok(())
}

#[test]
fn an_answer_to_an_older_value_is_dropped() -> Outcome {
    let runner = joined(TableJoined::named("j"))?;
    runner.pipe("left", text("a"), Some(text("p,1")))?;
    runner.pipe("left", text("a"), Some(text("p,2")))?;
    // What another task could still send: the answer to the first value.
    let registered = to_topic(&runner, "registration");
    let first = registered.first().and_then(|w| w.value.clone()).unwrap_or_default();
    let late = [&[0][..], first.get(2..18).unwrap_or_default(), b"P"].concat();
    runner.pipe_bytes("app-j-subscription-response-topic", Some(b"a"), Some(&late), 9)?;
    assert!(runner.read::<String, Option<String>>("out").is_empty());
    Ok(())
}

#[test]
fn a_subscription_that_cannot_be_read_goes_to_the_handler() -> Outcome {
    let runner = joined(TableJoined::named("j"))?;
    for bytes in [&b"\x05"[..], b"", b"\x01\x09"] {
        let failed = runner.pipe_bytes("app-j-subscription-registration-topic", Some(b"p"), Some(bytes), 1);
        assert!(failed.is_err(), "{bytes:?}");
    }
    Ok(())
}

fn with_history(builder: &StreamsBuilder, topic: &'static str) -> millstream_dsl::table::KTable<String, String> {
    builder.table_with(
        topic,
        Materialized::<String, String>::named(format!("{topic}-rows")).versioned(millis(100)),
    )
}

#[test]
fn history_shows_through_filters_and_mappings() -> Outcome {
    let builder = StreamsBuilder::new();
    let table = with_history(&builder, "table")
        .filter(|_, v| v != "hidden")
        .map_values(|v| v.to_uppercase());
    builder
        .stream::<String, String>("in")
        .left_join(&table, |v, row| format!("{v}:{}", row.map_or("-", String::as_str)))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("table", text("k"), Some(text("old")), 10)?;
    runner.pipe_at("table", text("k"), Some(text("hidden")), 20)?;
    runner.pipe_at("table", text("k"), Some(text("new")), 30)?;
    for (value, time) in [("1", 15), ("2", 25), ("3", 35), ("4", 5)] {
        runner.pipe_at("in", text("k"), text(value), time)?;
    }
    let values: Vec<_> = runner
        .read::<String, String>("out")
        .into_iter()
        .map(|(_, v)| v)
        .collect();
    assert_eq!(values, ["1:OLD", "2:-", "3:NEW", "4:-"]);
    Ok(())
}

#[test]
fn history_of_the_left_side_makes_no_subscription() -> Outcome {
    let builder = StreamsBuilder::new();
    let left = with_history(&builder, "left");
    let right = with_history(&builder, "right");
    left.join_on(&right, |v| v.clone(), |v, vo| format!("{v}+{vo}"))
        .to_stream()
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("right", text("p"), Some(text("P")), 10)?;
    runner.pipe_at("left", text("a"), Some(text("p")), 20)?;
    runner.pipe_at("left", text("a"), Some(text("q")), 15)?;
    runner.pipe_at("right", text("p"), Some(text("old")), 5)?;
    assert_eq!(
        runner.read::<String, Option<String>>("out"),
        [(text("a"), Some(text("p+P")))]
    );
    Ok(())
}

#[test]
fn a_table_with_history_needs_a_name_and_is_not_suppressed() {
    let builder = StreamsBuilder::new();
    builder
        .table_with("table", Materialized::<String, String>::new().versioned(hours(1)))
        .to_stream()
        .to("out");
    let refused = builder.build().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("needs a name"), "{refused}");
    let builder = StreamsBuilder::new();
    with_history(&builder, "table")
        .filter(|_, _| true)
        .suppress(Suppressed::until_time_limit(millis(10), BufferConfig::unbounded()))
        .to_stream()
        .to("out");
    let refused = builder.build().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("cannot be suppressed"), "{refused}");
}
