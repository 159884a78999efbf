//! The internal topics, co-partition groups and sub-topologies of a topology in the form of case results.
use std::collections::BTreeSet;

use millstream_dsl::engine::{InternalTopic, TopicRef, Topology};
use millstream_state::StoreKind;
use serde_json::{Map, Value as Json, json};

fn config(topic: &InternalTopic) -> Json {
    let mut out: Map<String, Json> = topic
        .config
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if let Some(partitions) = topic.partitions {
        out.insert("partitions".into(), json!(partitions));
    }
    Json::Object(out)
}

pub(crate) fn subtopologies(topology: &Topology, application_id: &str) -> Json {
    let mut out = Map::new();
    for part in topology.subtopologies() {
        // The recorder knows no topics of a pattern, and no sub-topology that reads nothing else.
        let known: Vec<TopicRef> = part.sources.iter().filter(|t| !t.is_pattern()).cloned().collect();
        if known.is_empty() {
            continue;
        }
        let names = |topics: &[TopicRef]| {
            topics
                .iter()
                .map(|t| t.full_name(application_id))
                .collect::<BTreeSet<_>>()
        };
        let (mut repartition, mut changelogs) = (Map::new(), Map::new());
        for source in &part.sources {
            if let TopicRef::Internal(topic) = source {
                repartition.insert(topic.full_name(application_id), config(topic));
            }
        }
        for store in &part.stores {
            if let Some(topic) = &store.changelog {
                changelogs.insert(topic.full_name(application_id), config(topic));
            } else if let Some(source) = &store.source_changelog {
                let mut config = json!({"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"});
                if let StoreKind::Versioned {
                    history_retention_ms, ..
                } = store.spec.kind
                {
                    let lag_ms = history_retention_ms.saturating_add(24 * 60 * 60 * 1000);
                    config["min.compaction.lag.ms"] = json!(lag_ms.to_string());
                }
                changelogs.insert(source.to_string(), config);
            }
        }
        out.insert(
            part.id.to_string(),
            json!({
                "sources": names(&known), "sinks": names(&part.sinks),
                "repartition": repartition, "changelogs": changelogs,
            }),
        );
    }
    Json::Object(out)
}

pub(crate) fn copartition(topology: &Topology, application_id: &str) -> Json {
    let groups: BTreeSet<BTreeSet<_>> = topology
        .asked_copartition_groups(application_id)
        .iter()
        .map(|group| group.iter().map(|topic| topic.full_name(application_id)).collect())
        .collect();
    json!(groups)
}

/// The topics that count as internal: those that stand in the result as topics of a sub-topology.
pub(crate) fn internal(subtopologies: &Json) -> BTreeSet<String> {
    let parts = subtopologies.as_object().into_iter().flat_map(Map::values);
    let topics = parts.flat_map(|part| ["repartition", "changelogs"].map(|kind| part[kind].as_object()));
    topics.flatten().flat_map(Map::keys).cloned().collect()
}
