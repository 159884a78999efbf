//! The test driver as a user sees it.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]
use std::{cell::RefCell, rc::Rc, time::Duration};

use millstream_dsl::{
    driver::{DriverError, TopologyTestDriver},
    serde::{I64Serde, StringSerde},
    stream::{Consumed, KStream, StreamsBuilder},
    topology::Topology,
};

fn topology(make: impl FnOnce(&StreamsBuilder)) -> Topology {
    let builder = StreamsBuilder::new();
    make(&builder);
    builder.build().unwrap()
}

fn text(builder: &StreamsBuilder, topic: &str) -> KStream<String, String> {
    builder.stream(Consumed::topic(topic).with(StringSerde, StringSerde))
}

fn upper() -> Topology {
    topology(|b| text(b, "in").map_values(|v| v.to_uppercase()).to("out"))
}

#[test]
fn a_record_comes_out_with_its_time_and_headers() {
    let driver = TopologyTestDriver::new(&upper()).unwrap();
    let input = driver.input::<String, String>("in", StringSerde, StringSerde).unwrap();
    let output = driver
        .output::<String, String>("out", StringSerde, StringSerde)
        .unwrap();
    input.at_ms(1_000).header("trace", b"42").pipe("k", "value").unwrap();
    let record = output.read_record().unwrap().unwrap();
    assert_eq!(
        (record.key.as_str(), record.value.as_str(), record.timestamp_ms),
        ("k", "VALUE", 1_000)
    );
    assert_eq!(record.headers.len(), 1);
    assert_eq!(
        (&*record.headers[0].key, record.headers[0].value.as_deref()),
        ("trace", Some(b"42".as_slice()))
    );
    assert!(output.is_empty());
    assert_eq!(output.read_record().unwrap(), None);
}

#[test]
fn times_advance_by_themselves_when_asked() {
    let driver = TopologyTestDriver::builder(&upper())
        .initial_wall_clock_ms(7)
        .build()
        .unwrap();
    let output = driver
        .output::<String, String>("out", StringSerde, StringSerde)
        .unwrap();
    driver
        .input::<String, String>("in", StringSerde, StringSerde)
        .unwrap()
        .pipe("a", "1")
        .unwrap();
    let input = driver.input::<String, String>("in", StringSerde, StringSerde).unwrap();
    let input = input.auto_advance(100, Duration::from_millis(10));
    input.pipe("b", "2").unwrap();
    input.pipe("c", "3").unwrap();
    let times: Vec<_> = output.read_all().unwrap().into_iter().map(|r| r.timestamp_ms).collect();
    assert_eq!(times, [7, 100, 110]);
}

#[test]
fn unknown_names_are_errors_that_name_them() {
    let driver = TopologyTestDriver::new(&upper()).unwrap();
    let error = driver
        .input::<String, String>("nope", StringSerde, StringSerde)
        .err()
        .unwrap();
    assert!(
        matches!(&error, DriverError::UnknownInputTopic { topic, .. } if topic == "nope"),
        "{error}"
    );
    assert!(
        error.to_string().contains("`nope`") && error.to_string().contains("in"),
        "{error}"
    );
    let error = driver
        .output::<String, String>("nope", StringSerde, StringSerde)
        .err()
        .unwrap();
    assert!(
        matches!(&error, DriverError::UnknownOutputTopic { topic, .. } if topic == "nope"),
        "{error}"
    );
    let error = driver
        .key_value_store::<String, i64>("nope", StringSerde, I64Serde)
        .err()
        .unwrap();
    assert!(
        matches!(&error, DriverError::UnknownStore { store, .. } if store == "nope"),
        "{error}"
    );
}

#[test]
fn repartition_records_are_shown_as_bytes_and_processed() {
    let topology = topology(|b| text(b, "in").select_key(|_, v| v.clone()).repartition().to("out"));
    let driver = TopologyTestDriver::builder(&topology)
        .application_id("shop")
        .build()
        .unwrap();
    driver
        .input::<String, String>("in", StringSerde, StringSerde)
        .unwrap()
        .at_ms(5)
        .pipe("k", "v")
        .unwrap();
    let topics: Vec<_> = driver.produced().iter().map(|r| r.topic.to_string()).collect();
    assert_eq!(topics.len(), 2);
    assert!(
        topics[0].starts_with("shop-") && topics[0].ends_with("-repartition"),
        "{topics:?}"
    );
    assert_eq!(topics[1], "out");
    let first = &driver.produced()[0];
    assert_eq!(
        (first.key.as_deref(), first.timestamp),
        (Some(b"v".as_slice()), Some(5))
    );
}

#[test]
fn a_topic_written_and_read_is_looped_back_in_order() {
    let topology = topology(|b| {
        text(b, "in").to("middle");
        text(b, "middle").map_values(|v| format!("{v}!")).to("out");
    });
    let driver = TopologyTestDriver::new(&topology).unwrap();
    let input = driver.input::<String, String>("in", StringSerde, StringSerde).unwrap();
    let output = driver
        .output::<String, String>("out", StringSerde, StringSerde)
        .unwrap();
    input.at_ms(2).pipe("a", "1").unwrap();
    input.at_ms(1).pipe("b", "2").unwrap();
    assert_eq!(output.read_values().unwrap(), ["1!", "2!"]);
}

#[test]
fn outputs_can_be_taken_by_a_callback_or_discarded() {
    let driver = TopologyTestDriver::new(&upper()).unwrap();
    let input = driver.input::<String, String>("in", StringSerde, StringSerde).unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sink = seen.clone();
    driver.on_output("out", move |r| sink.borrow_mut().push(r.value.map(<[u8]>::to_vec)));
    input.pipe("a", "x").unwrap();
    assert_eq!(*seen.borrow(), [Some(b"X".to_vec())]);
    assert!(driver.produced().is_empty());
    driver.discard_outputs();
    input.pipe("a", "y").unwrap();
    assert_eq!(seen.borrow().len(), 1);
    assert!(driver.produced().is_empty());
}

#[test]
fn a_callback_cannot_use_the_driver_it_runs_in() {
    let driver = Rc::new(TopologyTestDriver::new(&upper()).unwrap());
    let outcome = Rc::new(RefCell::new(None));
    let (inner, result) = (driver.clone(), outcome.clone());
    driver.on_output("out", move |_| {
        let none = millstream_state::Headers::new();
        *result.borrow_mut() = Some(inner.pipe_bytes("in", None, Some(b"x"), 0, &none));
    });
    driver
        .input::<String, String>("in", StringSerde, StringSerde)
        .unwrap()
        .pipe("a", "x")
        .unwrap();
    assert!(matches!(outcome.borrow().as_ref(), Some(Err(DriverError::Busy))));
}

#[test]
fn what_a_failing_step_wrote_is_dropped_and_the_driver_goes_on() {
    let topology = topology(|b| {
        let stream = text(b, "in");
        stream.to("before");
        stream
            .try_map_values(|v| if v == "bad" { Err("refused") } else { Ok(v.clone()) })
            .to("after");
    });
    let driver = TopologyTestDriver::new(&topology).unwrap();
    let input = driver.input::<String, String>("in", StringSerde, StringSerde).unwrap();
    let before = driver
        .output::<String, String>("before", StringSerde, StringSerde)
        .unwrap();
    assert!(matches!(input.pipe("a", "bad"), Err(DriverError::Process(_))));
    assert!(before.is_empty());
    input.pipe("a", "good").unwrap();
    assert_eq!(before.read_values().unwrap(), ["good"]);
    let after = driver
        .output::<String, String>("after", StringSerde, StringSerde)
        .unwrap();
    assert_eq!(after.read_values().unwrap(), ["good"]);
}

#[test]
fn an_idle_topic_is_waited_for_as_long_as_configured() {
    let topology = topology(|b| text(b, "left").merge(&text(b, "right")).to("out"));
    let driver = TopologyTestDriver::builder(&topology)
        .max_task_idle(Duration::from_millis(100))
        .build()
        .unwrap();
    let left = driver
        .input::<String, String>("left", StringSerde, StringSerde)
        .unwrap();
    let right = driver
        .input::<String, String>("right", StringSerde, StringSerde)
        .unwrap();
    let out = driver
        .output::<String, String>("out", StringSerde, StringSerde)
        .unwrap();
    left.at_ms(20).pipe("k", "l20").unwrap();
    assert!(out.is_empty());
    right.at_ms(10).pipe("k", "r10").unwrap();
    assert_eq!(out.read_values().unwrap(), ["r10"]);
    driver.advance_wall_clock(Duration::from_millis(99)).unwrap();
    assert!(out.is_empty());
    driver.advance_wall_clock(Duration::from_millis(1)).unwrap();
    assert_eq!(out.read_values().unwrap(), ["l20"]);
}
