//! The topology as the group protocol describes it: every list sorted, every join declared.

use std::sync::Arc;

use crate::{
    cluster::{CopartitionGroup, SubtopologyDescription, TopicInfo, TopologyDescription},
    dsl::engine::{InternalTopic, Subtopology, TopicRef, Topology},
};

/// What the broker is told when a member joins.
pub(crate) fn describe(topology: &Topology, application_id: &str) -> Arc<TopologyDescription> {
    Arc::new(TopologyDescription {
        subtopologies: topology
            .subtopologies()
            .iter()
            .map(|s| subtopology(s, application_id))
            .collect(),
    })
}

fn subtopology(s: &Subtopology, application_id: &str) -> SubtopologyDescription {
    let mut source_topics = Vec::new();
    let mut repartition_sources = Vec::new();
    for source in &s.sources {
        match source {
            TopicRef::External(name) => source_topics.push(name.to_string()),
            TopicRef::Internal(topic) => repartition_sources.push(info(topic, application_id)),
        }
    }
    source_topics.sort();
    source_topics.dedup();
    by_name(&mut repartition_sources);
    let groups = s.copartition_groups.iter().map(|group| {
        let names: Vec<String> = group
            .iter()
            .filter_map(|i| s.sources.get(*i))
            .map(|t| t.full_name(application_id))
            .collect();
        CopartitionGroup {
            source_topics: indices(source_topics.iter(), &names),
            repartition_source_topics: indices(repartition_sources.iter().map(|t| &t.name), &names),
        }
    });
    let mut copartition_groups: Vec<CopartitionGroup> = groups.collect();
    copartition_groups.sort_by(|a, b| {
        (&a.source_topics, &a.repartition_source_topics).cmp(&(&b.source_topics, &b.repartition_source_topics))
    });
    let mut changelogs: Vec<TopicInfo> = s
        .stores
        .iter()
        .filter_map(|store| store.changelog.as_ref())
        // The broker derives the count of a changelog and refuses one that is given.
        .map(|topic| TopicInfo {
            partitions: 0,
            ..info(topic, application_id)
        })
        .collect();
    by_name(&mut changelogs);
    let mut sinks: Vec<String> = s
        .sinks
        .iter()
        .filter(|t| matches!(t, TopicRef::Internal(_)))
        .map(|t| t.full_name(application_id))
        .collect();
    sinks.sort();
    sinks.dedup();
    SubtopologyDescription {
        id: s.id.to_string(),
        source_topics,
        state_changelog_topics: changelogs,
        repartition_sink_topics: sinks,
        repartition_source_topics: repartition_sources,
        copartition_groups,
    }
}

fn info(topic: &InternalTopic, application_id: &str) -> TopicInfo {
    let mut configs = topic.config.clone();
    configs.sort();
    TopicInfo {
        name: topic.full_name(application_id),
        partitions: topic.partitions.unwrap_or(0),
        replication_factor: -1,
        configs,
    }
}

fn by_name(topics: &mut Vec<TopicInfo>) {
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    topics.dedup_by(|a, b| a.name == b.name);
}

fn indices<'a>(all: impl Iterator<Item = &'a String>, wanted: &[String]) -> Vec<i16> {
    all.enumerate()
        .filter(|(_, name)| wanted.contains(name))
        .filter_map(|(i, _)| i16::try_from(i).ok())
        .collect()
}
