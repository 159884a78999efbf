//! Topology optimisation where the recorded cases cannot see: serdes of shared topics, settings, the wish for none.
use std::error::Error;

use millstream_dsl::{
    prelude::*,
    serde::SerdeError,
    testing::Runner,
    topology::{Optimizations, StoreFormat, TopologyConfig, UpgradeFrom},
};
use millstream_state::StoreBackend;

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}

fn optimized() -> StreamsBuilder {
    StreamsBuilder::with_config(TopologyConfig {
        optimizations: Optimizations::ALL,
        ..TopologyConfig::default()
    })
}

/// Text backwards.
#[derive(Clone)]
struct Backwards;
impl Serde<String> for Backwards {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend(value.bytes().rev());
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        let bytes = bytes.iter().rev().copied().collect();
        String::from_utf8(bytes).map_err(|e| SerdeError::new(e.to_string()))
    }
}

#[test]
fn aggregations_behind_a_shared_topic_keep_their_own_key_serdes() -> TestResult {
    let builder = optimized();
    let rekeyed = builder.stream::<String, String>("in").select_key(|_, v| v.clone());
    let forwards = Grouped::new().with(StringSerde, StringSerde);
    let backwards = Grouped::new().with(Backwards, StringSerde);
    let _ = rekeyed.group_by_key_with(forwards).count_with("forwards");
    let reduced = rekeyed
        .group_by_key_with(backwards)
        .reduce_with(|a, b| a + b, "backwards");
    reduced
        .to_stream()
        .to(Produced::topic("out").with(Backwards, OptionSerde::new(StringSerde)));
    let topology = builder.build()?;
    assert_eq!(topology.subtopologies().len(), 2);
    let driver = millstream_dsl::driver::TopologyTestDriver::new(&topology)?;
    driver.pipe_bytes("in", Some(b"k"), Some(b"ab"), 0, &Headers::new())?;
    // Internal topics have the application's id in front.
    let keys = |topic: &str| -> Vec<_> {
        let records = driver.produced().into_iter().filter(|r| r.topic.ends_with(topic));
        records.filter_map(|r| r.key).collect()
    };
    assert_eq!(keys("forwards-repartition"), [b"ab"]);
    assert_eq!(keys("forwards-changelog"), [b"ab"]);
    assert_eq!(keys("backwards-changelog"), [b"ba"]);
    assert_eq!(keys("out"), [b"ba"]);
    Ok(())
}

#[test]
fn a_processor_is_a_barrier_for_shared_topics() -> TestResult {
    struct SetKey;
    impl Processor<String, String, String, String> for SetKey {
        fn process(
            &mut self,
            ctx: &ProcessorContext<'_, String, String>,
            record: Record<'_, String, String>,
        ) -> Result<(), BoxError> {
            ctx.forward(record.with_key(record.value))?;
            Ok(())
        }
    }
    let builder = optimized();
    let rekeyed = builder.stream::<String, String>("in").select_key(|_, _| text("x"));
    let _ = rekeyed.group_by_key().count();
    rekeyed.process(|| SetKey).group_by_key().count().to_stream().to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", text("k"), text("a"))?;
    runner.pipe("in", text("k"), text("b"))?;
    let counts = [(text("a"), Some(1)), (text("b"), Some(1))];
    assert_eq!(runner.read::<String, Option<i64>>("out"), counts);
    Ok(())
}

#[test]
fn a_self_join_sees_the_types_of_both_sides() -> TestResult {
    let builder = optimized();
    let stream = builder.stream::<String, i64>("in");
    let other = builder.stream::<String, i64>("in");
    stream
        .join_stream(&other, |a, b| a * 10 + b, JoinWindows::of(seconds(1)))
        .to("out");
    let topology = builder.build()?;
    assert_eq!(topology.subtopologies()[0].stores.len(), 1);
    let runner = Runner::new(&topology)?;
    runner.pipe_at("in", text("k"), 1i64, 0)?;
    runner.pipe_at("in", text("k"), 2i64, 5)?;
    let results: Vec<i64> = runner.read::<String, i64>("out").into_iter().map(|(_, v)| v).collect();
    assert_eq!(results, [11, 21, 12, 22]);
    Ok(())
}

#[test]
fn stores_live_where_the_application_says_unless_they_say_otherwise() -> TestResult {
    let builder = StreamsBuilder::with_config(TopologyConfig {
        default_backend: StoreBackend::InMemory,
        store_format: StoreFormat::Headers,
        ..TopologyConfig::default()
    });
    let grouped = builder.stream::<String, String>("in").group_by_key();
    let _ = grouped.count_with("default");
    let _ = grouped.count_with(Materialized::named("on-disk").persistent());
    let topology = builder.build()?;
    let stores = &topology.subtopologies()[0].stores;
    let backends: Vec<_> = stores.iter().map(|s| (&*s.spec.name, s.spec.backend)).collect();
    let expected = [
        ("default", StoreBackend::InMemory),
        ("on-disk", StoreBackend::Persistent),
    ];
    assert_eq!(backends, expected);
    Ok(())
}

#[test]
fn versions_are_major_and_minor() {
    let version = UpgradeFrom::parse("3.4");
    assert_eq!(version, Ok(UpgradeFrom { major: 3, minor: 4 }));
    for wrong in ["3", "three.4", "3.4.1", ""] {
        assert!(UpgradeFrom::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_optimization_that_nobody_knows_is_named() {
    let error = Optimizations::parse("all,merge.repartition.topics").unwrap_err();
    assert_eq!(error, "`all` cannot stand beside other topology optimizations");
    assert_eq!(Optimizations::parse("none"), Ok(Optimizations::NONE));
}
