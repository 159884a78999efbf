//! What happens to records that cannot be read, processed or written.
use std::{cell::Cell, error::Error, rc::Rc, sync::Arc};

use millstream_dsl::{
    engine::{
        Collector, CollectorError, OutgoingRecord, ProcessErrorKind, ProcessingHandler, RawHeaders, RawRecord,
        Response, SinkTopic, SourceIndex, TaskEnvironment,
    },
    prelude::*,
    serde::SerdeError,
    testing::Runner,
};
use millstream_state::{ChangeLogger, StateEngine, StoreIndex, TaskState};

type TestResult = Result<(), Box<dyn Error>>;

fn continuing() -> Handlers {
    Handlers {
        processing: Arc::new(LogAndContinue),
        ..Handlers::default()
    }
}
fn text(s: &str) -> String {
    s.to_owned()
}
fn fail_if_bad(v: &String) -> Result<String, String> {
    if v == "bad" {
        Err(text("it is bad"))
    } else {
        Ok(v.clone())
    }
}

#[test]
fn a_failing_branch_is_dropped_and_its_siblings_still_run() -> TestResult {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    stream.map_values(|v| format!("{v}0")).to("before");
    stream.try_map_values(fail_if_bad).to("failing");
    stream.map_values(|v| format!("{v}2")).to("after");
    let runner = Runner::with(&builder.build()?, continuing(), 0)?;
    runner.pipe("in", text("a"), text("bad"))?;
    assert_eq!(runner.read::<String, String>("before"), [(text("a"), text("bad0"))]);
    assert_eq!(runner.read::<String, String>("failing"), []);
    assert_eq!(runner.read::<String, String>("after"), [(text("a"), text("bad2"))]);
    assert_eq!(runner.graph().dropped_records(), 1);
    Ok(())
}

#[test]
fn the_rest_of_a_flat_map_goes_on_after_a_failure_below() -> TestResult {
    let builder = StreamsBuilder::new();
    let words = builder
        .stream::<String, String>("in")
        .flat_map_values(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>());
    words.try_map_values(fail_if_bad).to("out");
    let runner = Runner::with(&builder.build()?, continuing(), 0)?;
    runner.pipe("in", text("a"), text("x bad y"))?;
    assert_eq!(
        runner.read::<String, String>("out"),
        [(text("a"), text("x")), (text("a"), text("y"))]
    );
    assert_eq!(runner.graph().dropped_records(), 1);
    Ok(())
}

#[test]
fn a_panic_is_an_error_of_its_operator() -> TestResult {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, i64>("in");
    stream
        .map_values(|v| if *v == 0 { panic!("no zero") } else { 10 / v })
        .to("out");
    stream.to("copy");
    let topology = builder.build()?;

    let error = Runner::new(&topology)?
        .pipe("in", text("a"), 0i64)
        .expect_err("the default handler fails");
    assert_eq!(error.kind, ProcessErrorKind::Panic);
    assert_eq!(&*error.node, "KSTREAM-MAPVALUES-0000000001");
    assert_eq!(error.message, "no zero");

    let runner = Runner::with(&topology, continuing(), 0)?;
    runner.pipe("in", text("a"), 0i64)?;
    runner.pipe("in", text("b"), 5i64)?;
    assert_eq!(runner.read::<String, i64>("out"), [(text("b"), 2)]);
    assert_eq!(runner.read::<String, i64>("copy"), [(text("a"), 0), (text("b"), 5)]);
    Ok(())
}

#[test]
fn the_default_handler_stops_at_the_operator_with_the_cause() -> TestResult {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .try_map_values_with(fail_if_bad, "parse")
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    let error = runner.pipe("in", text("a"), text("bad")).expect_err("fails");
    assert_eq!((error.kind, &*error.node), (ProcessErrorKind::UserFunction, "parse"));
    assert_eq!(error.message, "it is bad");
    assert_eq!(runner.graph().dropped_records(), 0);
    Ok(())
}

#[test]
fn a_dead_letter_has_the_source_bytes_and_where_they_came_from() -> TestResult {
    let builder = StreamsBuilder::new();
    let upper = builder.stream::<String, String>("in").map_values(|v| v.to_uppercase());
    upper
        .try_map_values(|v| if v == "BAD" { Err("no") } else { Ok(v.clone()) })
        .to("out");
    let handlers = Handlers {
        dead_letter_topic: Some("dlq".into()),
        ..continuing()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe_at("in", text("a"), text("x"), 1)?;
    runner.pipe_at("in", text("k"), text("bad"), 2)?;
    let written = runner.written();
    let letter = written.iter().find(|w| w.topic == "dlq").expect("a dead letter");
    assert_eq!(
        (letter.key.as_deref(), letter.value.as_deref()),
        (Some(&b"k"[..]), Some(&b"bad"[..]))
    );
    assert_eq!(letter.timestamp, 2);
    let names: Vec<&str> = letter.headers.iter().map(|(n, _)| n.as_str()).collect();
    let prefix = "__streams.errors.";
    let expected =
        ["exception", "message", "stacktrace", "topic", "partition", "offset"].map(|n| format!("{prefix}{n}"));
    assert_eq!(names, expected);
    let value = |i: usize| letter.headers[i].1.clone().expect("a value");
    assert_eq!(
        (value(3), value(4), value(5)),
        (b"in".to_vec(), b"0".to_vec(), b"1".to_vec())
    );
    Ok(())
}

#[test]
fn a_dead_letter_behind_a_repartition_topic_comes_from_there() -> TestResult {
    let builder = StreamsBuilder::new();
    let moved = builder
        .stream::<String, String>("in")
        .select_key(|_, v| v.clone())
        .repartition_with(Repartitioned::named("r"));
    moved.try_map_values(fail_if_bad).to("out");
    let handlers = Handlers {
        dead_letter_topic: Some("dlq".into()),
        ..continuing()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe("in", text("k"), text("bad"))?;
    let written = runner.written();
    let letter = written.iter().find(|w| w.topic == "dlq").expect("a dead letter");
    assert_eq!(letter.key.as_deref(), Some(&b"bad"[..]));
    assert_eq!(letter.headers[3].1.as_deref(), Some(&b"app-r-repartition"[..]));
    Ok(())
}

#[test]
fn null_meets_only_option() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("strict").to("out");
    builder.stream::<Option<String>, Option<String>>("nullable").to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_bytes("nullable", None, None, 0)?;
    assert_eq!(runner.written().len(), 1);
    assert_eq!((&runner.written()[0].key, &runner.written()[0].value), (&None, &None));
    let error = runner.pipe_bytes("strict", Some(b"k"), None, 0).expect_err("no null");
    assert_eq!(error.kind, ProcessErrorKind::Deserialization);
    assert!(error.message.contains("value: null"), "{}", error.message);
    Ok(())
}

#[test]
fn bytes_that_cannot_be_read_are_dropped_and_do_not_move_time() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").to("out");
    let handlers = Handlers {
        deserialization: Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe_bytes("in", Some(b"k"), Some(b"short"), 100)?;
    runner.pipe_at("in", text("k"), 7i64, 5)?;
    assert_eq!(runner.read::<String, i64>("out"), [(text("k"), 7)]);
    assert_eq!((runner.graph().dropped_records(), runner.graph().stream_time()), (1, 5));
    Ok(())
}

#[test]
fn negative_timestamps_fail_or_are_skipped() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("strict").to("out");
    builder
        .stream(Consumed::<String, i64>::topic("skipping").timestamps(TimestampExtractor::LogAndSkip))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    let error = runner.pipe_at("strict", text("a"), 1i64, -5).expect_err("fails");
    assert_eq!(error.kind, ProcessErrorKind::InvalidTimestamp);
    runner.pipe_at("skipping", text("a"), 1i64, -5)?;
    assert_eq!((runner.written().len(), runner.graph().dropped_records()), (0, 1));
    Ok(())
}

/// Checks which bytes of the record it is shown.
struct Watch(Option<(&'static [u8], &'static [u8])>);
impl ProcessingHandler for Watch {
    fn on_processing_error(
        &self,
        context: &millstream_dsl::engine::ErrorContext<'_>,
        _: &millstream_dsl::engine::ProcessError,
    ) -> Response {
        assert_eq!((context.topic, context.partition, context.offset), (Some("in"), 0, 1));
        assert_eq!(context.source_key.zip(context.source_value), self.0);
        Response::Continue
    }
}

#[test]
fn a_handler_sees_where_the_record_came_from() -> TestResult {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .try_map_values(fail_if_bad)
        .to("out");
    let handlers = Handlers {
        processing: Arc::new(Watch(Some((b"k", b"bad")))),
        keep_source_bytes: true,
        ..Handlers::default()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe("in", text("k"), text("good"))?;
    runner.pipe("in", text("k"), text("bad"))?;
    assert_eq!(runner.graph().dropped_records(), 1);
    Ok(())
}

#[test]
fn a_handler_that_wants_no_bytes_is_not_shown_those_of_another_record() -> TestResult {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("in");
    numbers
        .try_map_values(|n| if *n == 7 { Err("seven") } else { Ok(*n) })
        .to("out");
    let handlers = Handlers {
        deserialization: Arc::new(LogAndContinue),
        processing: Arc::new(Watch(None)),
        ..Handlers::default()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe("in", text("unreadable"), text("no number"))?;
    runner.pipe("in", text("k"), 7_i64)?;
    assert_eq!(runner.graph().dropped_records(), 2);
    Ok(())
}

/// A cluster that does not take the first record.
#[derive(Default)]
struct LosesOne(Cell<bool>);
impl Collector for LosesOne {
    fn send(&self, _: OutgoingRecord<'_>) -> Result<(), CollectorError> {
        if self.0.replace(true) {
            return Ok(());
        }
        Err(CollectorError("the broker is gone".into()))
    }
    fn partition_count(&self, _: SinkTopic<'_>) -> Result<i32, CollectorError> {
        Ok(1)
    }
}
impl ChangeLogger for LosesOne {
    fn log(
        &self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: Option<i64>,
        _: Option<&Headers>,
    ) -> millstream_state::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dead_letter_that_cannot_be_sent_stops_the_task_whatever_the_handler_says() -> TestResult {
    struct Refuses;
    impl Serde<String> for Refuses {
        fn serialize(&self, _: &String, _: &mut Vec<u8>) -> Result<(), SerdeError> {
            Err(SerdeError::new("refused"))
        }
        fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
            StringSerde.deserialize(bytes)
        }
    }
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("in").filter(|_, _| true);
    words.to(Produced::topic("out").value_serde(Refuses));
    let database = StateEngine::in_memory().open_task("0_0", &[])?;
    let graph = builder.build()?.build_task(
        0,
        TaskEnvironment {
            application_id: "app".into(),
            task_id: "0_0".into(),
            partition: 0,
            collector: Rc::new(LosesOne::default()),
            state: TaskState::new(database, Rc::new(LosesOne::default()), 0),
            handlers: Arc::new(Handlers {
                dead_letter_topic: Some("dlq".into()),
                ..continuing()
            }),
            wall_clock_ms: 0,
        },
    )?;
    let record = RawRecord {
        topic: None,
        key: Some(b"k"),
        value: Some(b"v"),
        timestamp: 1,
        offset: 0,
        headers: RawHeaders::None,
    };
    let error = graph
        .process(SourceIndex(0), record, 1)
        .expect_err("the dead letter is lost");
    assert_eq!(error.kind, ProcessErrorKind::Production);
    Ok(())
}

#[test]
fn a_panic_in_a_serde_is_an_error_that_handlers_see() -> TestResult {
    struct Touchy;
    impl Serde<String> for Touchy {
        fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), millstream_dsl::serde::SerdeError> {
            assert!(!value.contains("unwritable"), "touched");
            out.extend_from_slice(value.as_bytes());
            Ok(())
        }
        fn deserialize(&self, bytes: &[u8]) -> Result<String, millstream_dsl::serde::SerdeError> {
            assert!(bytes != b"unreadable", "touched");
            StringSerde.deserialize(bytes)
        }
    }
    let builder = StreamsBuilder::new();
    let consumed = Consumed::topic("in").with(StringSerde, Touchy);
    builder
        .stream::<String, String>(consumed)
        .to(Produced::topic("out").with(StringSerde, Touchy));
    let topology = builder.build()?;
    for poison in ["unreadable", "unwritable"] {
        let error = Runner::new(&topology)?
            .pipe("in", text("a"), text(poison))
            .expect_err("fails");
        assert_eq!(error.kind, ProcessErrorKind::Panic);
        let handlers = Handlers {
            deserialization: Arc::new(LogAndContinue),
            production: Arc::new(LogAndContinue),
            ..Handlers::default()
        };
        let runner = Runner::with(&topology, handlers, 0)?;
        runner.pipe("in", text("a"), text(poison))?;
        runner.pipe("in", text("a"), text("fine"))?;
        assert_eq!(runner.read::<String, String>("out"), [(text("a"), text("fine"))]);
        assert_eq!(runner.graph().dropped_records(), 1);
    }
    Ok(())
}

/// Writes numbers below ten; is for nothing else than numbers below a hundred.
#[derive(Clone)]
struct SmallSerde;
impl Serde<i64> for SmallSerde {
    fn serialize(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match value {
            0..10 => out.push(b'0' + *value as u8),
            10..100 => return Err(SerdeError::new("it is not below ten")),
            _ => return Err(SerdeError::wrong_type("it is not below a hundred")),
        }
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<i64, SerdeError> {
        Ok(i64::from(bytes.first().copied().unwrap_or(b'0') - b'0'))
    }
}

#[test]
fn a_value_of_the_wrong_type_stops_the_task_whatever_the_production_handler_says() -> TestResult {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .to(Produced::topic("out").with(StringSerde, SmallSerde));
    let handlers = Handlers {
        production: Arc::new(LogAndContinue),
        ..Handlers::default()
    };
    let runner = Runner::with(&builder.build()?, handlers, 0)?;
    runner.pipe("in", text("a"), 7i64)?;
    // One that cannot be written is left out.
    runner.pipe("in", text("a"), 70i64)?;
    let error = runner.pipe("in", text("a"), 700i64).unwrap_err();
    assert_eq!(error.kind, ProcessErrorKind::Serialization);
    assert_eq!(runner.graph().dropped_records(), 1);
    Ok(())
}
