//! Topologies for tools: JSON and Mermaid.
use std::error::Error;

use millstream_dsl::prelude::*;

type TestResult = Result<(), Box<dyn Error>>;

fn counts_by_value() -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by(|_, v| v.clone())
        .count_with("totals")
        .to_stream()
        .to_dynamic(|k, _| k.clone());
    builder
}

#[test]
fn json_has_nodes_topics_and_stores_of_every_subtopology() -> TestResult {
    let json: serde_json::Value = serde_json::from_str(&counts_by_value().build()?.describe_json())?;
    let parts = json["subtopologies"].as_array().ok_or("no list")?;
    assert_eq!(parts.len(), 2);
    let aggregate = &parts[1]["nodes"][1];
    assert_eq!(aggregate["type"], "processor");
    assert_eq!(aggregate["stores"], serde_json::json!(["totals"]));
    assert_eq!(
        aggregate["predecessors"],
        serde_json::json!([parts[1]["nodes"][0]["name"]])
    );
    assert_eq!(
        parts[1]["nodes"][0]["topics"],
        serde_json::json!(["totals-repartition"])
    );
    assert_eq!(parts[1]["nodes"][3]["topic_chosen_by"], "topic-fn");
    assert_eq!(json["stores"][0]["changelog"], "totals-changelog");
    Ok(())
}

#[test]
fn mermaid_draws_a_repartition_topic_once_between_its_subtopologies() -> TestResult {
    let drawn = counts_by_value().build()?.describe_mermaid();
    assert_eq!(drawn.matches("totals-repartition\"])").count(), 1);
    let topic = drawn
        .lines()
        .find_map(|line| line.trim().strip_suffix("([\"totals-repartition\"])"))
        .ok_or("not drawn")?;
    assert!(drawn.contains(&format!("--> {topic}\n")), "{drawn}");
    assert!(drawn.contains(&format!("  {topic} --> ")), "{drawn}");
    assert!(drawn.contains("[(\"totals\")]"), "{drawn}");
    Ok(())
}

#[test]
fn mermaid_escapes_what_a_pattern_may_hold() -> TestResult {
    let builder = StreamsBuilder::new();
    builder.stream(Consumed::<String, String>::pattern("a\"#b")).to("out");
    assert!(builder.build()?.describe_mermaid().contains("([\"a#quot;#35;b\"])"));
    Ok(())
}
