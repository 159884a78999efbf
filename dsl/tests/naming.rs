//! Names, descriptions and rules of topologies. The texts were recorded from Kafka Streams 4.3.1.
use std::error::Error;

use millstream_dsl::prelude::*;

type TestResult = Result<(), Box<dyn Error>>;

#[test]
fn given_names_still_use_up_the_counter() -> TestResult {
    let builder = StreamsBuilder::new();
    let source = builder.stream(Consumed::<String, String>::topic("in").named("my-source"));
    let mapped = source
        .filter_with(|_, _| true, "my-filter")
        .map_values(|v| v.to_uppercase());
    mapped.to(Produced::topic("out").named("my-sink"));
    mapped
        .peek(|_, _| ())
        .select_key_with(|_, v| v.clone(), "my-key")
        .to("out2");
    let expected = "\
Topologies:
   Sub-topology: 0
    Source: my-source (topics: [in])
      --> my-filter
    Processor: my-filter (stores: [])
      --> KSTREAM-MAPVALUES-0000000002
      <-- my-source
    Processor: KSTREAM-MAPVALUES-0000000002 (stores: [])
      --> KSTREAM-PEEK-0000000004, my-sink
      <-- my-filter
    Processor: KSTREAM-PEEK-0000000004 (stores: [])
      --> my-key
      <-- KSTREAM-MAPVALUES-0000000002
    Processor: my-key (stores: [])
      --> KSTREAM-SINK-0000000006
      <-- KSTREAM-PEEK-0000000004
    Sink: KSTREAM-SINK-0000000006 (topic: out2)
      <-- my-key
    Sink: my-sink (topic: out)
      <-- KSTREAM-MAPVALUES-0000000002

";
    assert_eq!(builder.build()?.describe(), expected);
    Ok(())
}

#[test]
fn neighbours_stand_in_the_order_of_java_sets() -> TestResult {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    for topic in ["o0", "out", "o2"] {
        stream.map_values(Clone::clone).to(topic);
    }
    let text = builder.build()?.describe();
    let expected = "--> KSTREAM-MAPVALUES-0000000001, KSTREAM-MAPVALUES-0000000005, KSTREAM-MAPVALUES-0000000003";
    assert!(text.contains(expected), "{text}");
    Ok(())
}

#[test]
fn topics_of_a_source_stand_in_the_order_of_a_java_set() -> TestResult {
    let builder = StreamsBuilder::new();
    let stream = builder.stream(Consumed::<String, String>::topics(["z", "a", "m"]));
    stream.to_dynamic_with(|_, v| v.clone(), Produced::options().named("dyn"));
    let topology = builder.build()?;
    let expected = "\
Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [a, z, m])
      --> dyn
    Sink: dyn (extractor class: topic-fn)
      <-- KSTREAM-SOURCE-0000000000

";
    assert_eq!(topology.describe(), expected);
    assert!(topology.has_dynamic_sinks());
    let names: Vec<String> = topology.subtopologies()[0]
        .sources
        .iter()
        .map(|t| t.full_name("app"))
        .collect();
    assert_eq!(names, ["a", "m", "z"]);
    Ok(())
}

#[test]
fn a_repartition_topic_splits_the_topology() -> TestResult {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    stream
        .repartition_with(Repartitioned::named("again").partitions(1))
        .to("out");
    let topology = builder.build()?;
    let expected = "\
Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [in])
      --> again-repartition-filter
    Processor: again-repartition-filter (stores: [])
      --> again-repartition-sink
      <-- KSTREAM-SOURCE-0000000000
    Sink: again-repartition-sink (topic: again-repartition)
      <-- again-repartition-filter

  Sub-topology: 1
    Source: again-repartition-source (topics: [again-repartition])
      --> KSTREAM-SINK-0000000004
    Sink: KSTREAM-SINK-0000000004 (topic: out)
      <-- again-repartition-source

";
    assert_eq!(topology.describe(), expected);
    assert_eq!(
        topology.subtopologies()[0].sinks[0].full_name("app"),
        "app-again-repartition"
    );
    Ok(())
}

#[test]
fn two_streams_of_one_topic_are_one_source() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").to("a");
    builder.stream::<String, String>("in").to("b");
    let topology = builder.build()?;
    assert_eq!(topology.describe().matches("Source:").count(), 1);
    assert_eq!(topology.subtopologies().len(), 1);
    Ok(())
}

#[test]
fn every_broken_rule_is_reported_with_its_operator() {
    struct Opaque;
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    stream.filter_with(|_, _| true, "same").to("a");
    stream.filter_with(|_, _| true, "same").to("b");
    stream.filter_with(|_, _| true, "not a name!").to("c");
    stream
        .map_values(|_| Opaque)
        .to(Produced::topic("d").named("opaque-sink"));
    stream.to("bad topic");
    let error = builder.build().expect_err("rules are broken");
    let text = error.to_string();
    for expected in [
        "same: there is already an operator",
        "not a name!: a name has only",
        "opaque-sink: no serde for",
        "topic `bad topic`",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
}

#[test]
fn the_fingerprint_changes_with_the_topology_only() -> TestResult {
    let make = |extra: bool| {
        let builder = StreamsBuilder::new();
        let stream = builder.stream::<String, String>("in");
        if extra {
            stream.filter(|_, _| true).to("out")
        } else {
            stream.to("out")
        }
        builder.build()
    };
    assert_eq!(make(false)?.fingerprint(), make(false)?.fingerprint());
    assert_ne!(make(false)?.fingerprint(), make(true)?.fingerprint());
    Ok(())
}
