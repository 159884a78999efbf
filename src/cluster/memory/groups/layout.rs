//! Which tasks does a topology have on the topics that exist, and what stands in the way?
use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{CopartitionGroup, SubtopologyDescription, TaskId, TopicInfo, TopologyDescription};

/// Status codes of heartbeat responses.
pub(super) const MISSING_SOURCE_TOPICS: i8 = 1;
pub(super) const INCORRECTLY_PARTITIONED_TOPICS: i8 = 2;
pub(super) const MISSING_INTERNAL_TOPICS: i8 = 3;
pub(super) const SHUTDOWN_APPLICATION: i8 = 4;
pub(super) const ASSIGNMENT_DELAYED: i8 = 5;

/// The outcome: tasks if everything is there, else the status that says what is not.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) tasks: Vec<TaskId>,
    /// Those of subtopologies with a changelog: only they get standbys.
    pub(super) stateful: BTreeSet<TaskId>,
    pub(super) status: Option<(i8, String)>,
    /// Internal topics to create, with their partition counts.
    pub(super) missing: Vec<TopicInfo>,
}

/// `count` gives the partitions of a topic that exists.
pub(super) fn configure(topology: &TopologyDescription, count: impl Fn(&str) -> Option<i32>) -> Layout {
    let problem = |status: i8, text: String| Layout {
        status: Some((status, text)),
        ..Layout::default()
    };
    let sources: BTreeSet<&String> = topology.subtopologies.iter().flat_map(|s| &s.source_topics).collect();
    let absent: Vec<&str> = sources
        .iter()
        .filter(|n| count(n).is_none())
        .map(|n| n.as_str())
        .collect();
    if !absent.is_empty() {
        let text = format!("Source topics {} are missing.", absent.join(", "));
        return problem(MISSING_SOURCE_TOPICS, text);
    }
    let mut known: BTreeMap<String, i32> = sources.iter().filter_map(|n| Some(((*n).clone(), count(n)?))).collect();
    let repartitions = || topology.subtopologies.iter().flat_map(|s| &s.repartition_source_topics);
    known.extend(
        repartitions()
            .filter(|t| t.partitions > 0)
            .map(|t| (t.name.clone(), t.partitions)),
    );
    derive(topology, &mut known);

    for (s, group) in topology
        .subtopologies
        .iter()
        .flat_map(|s| s.copartition_groups.iter().map(move |g| (s, g)))
    {
        let counts: BTreeMap<&str, i32> = members(s, group)
            .into_iter()
            .filter_map(|n| Some((n, *known.get(n)?)))
            .collect();
        if counts.values().collect::<BTreeSet<_>>().len() > 1 {
            let list: Vec<String> = counts.iter().map(|(n, c)| format!("{n}={c}")).collect();
            let text = format!(
                "Following topics do not have the same number of partitions: [{{{}}}]",
                list.join(", ")
            );
            return problem(INCORRECTLY_PARTITIONED_TOPICS, text);
        }
    }
    with_internal_topics(topology, &known, count)
}

fn with_internal_topics(
    topology: &TopologyDescription,
    known: &BTreeMap<String, i32>,
    count: impl Fn(&str) -> Option<i32>,
) -> Layout {
    let mut layout = Layout::default();
    let mut needed: BTreeMap<&str, TopicInfo> = BTreeMap::new();
    for s in &topology.subtopologies {
        let tasks = inputs(s).filter_map(|n| known.get(n)).max().copied().unwrap_or(0);
        let subtopology = s.id.parse().unwrap_or_default();
        let ids = (0..tasks).map(|partition| TaskId { subtopology, partition });
        if !s.state_changelog_topics.is_empty() {
            layout.stateful.extend(ids.clone());
        }
        layout.tasks.extend(ids);
        let changelogs = s.state_changelog_topics.iter().map(|t| (t, tasks));
        let repartitions = s.repartition_source_topics.iter();
        let repartitions = repartitions.map(|t| (t, known.get(&t.name).copied().unwrap_or(0)));
        for (topic, partitions) in changelogs.chain(repartitions) {
            let wanted = TopicInfo {
                partitions,
                ..topic.clone()
            };
            needed.insert(&topic.name, wanted);
        }
    }
    layout.tasks.sort();
    for wanted in needed.into_values() {
        match count(&wanted.name) {
            Some(found) if found != wanted.partitions => {
                let text = format!(
                    "Existing topic {} has different number of partitions: expected {}, found {found}",
                    wanted.name, wanted.partitions
                );
                layout.status = Some((INCORRECTLY_PARTITIONED_TOPICS, text));
            }
            Some(_) => {}
            None => layout.missing.push(wanted),
        }
    }
    if layout.status.is_none() && !layout.missing.is_empty() {
        let names: Vec<&str> = layout.missing.iter().map(|t| t.name.as_str()).collect();
        let text = format!("Internal topics are missing: {}", names.join(", "));
        layout.status = Some((MISSING_INTERNAL_TOPICS, text));
    }
    if layout.status.is_some() {
        layout.tasks.clear();
        layout.stateful.clear();
    }
    layout
}

fn inputs(s: &SubtopologyDescription) -> impl Iterator<Item = &str> {
    let repartitions = s.repartition_source_topics.iter().map(|t| t.name.as_str());
    s.source_topics.iter().map(String::as_str).chain(repartitions)
}

fn members<'a>(s: &'a SubtopologyDescription, group: &CopartitionGroup) -> Vec<&'a str> {
    let at = |index: &i16| usize::try_from(*index).unwrap_or(usize::MAX);
    let sources = group
        .source_topics
        .iter()
        .filter_map(|i| Some(s.source_topics.get(at(i))?.as_str()));
    let repartitions = group.repartition_source_topics.iter();
    let repartitions = repartitions.filter_map(|i| Some(s.repartition_source_topics.get(at(i))?.name.as_str()));
    sources.chain(repartitions).collect()
}

/// Partition counts of repartition topics without one: from the topics they are joined with, else from what the
/// subtopologies that write them read. Repeated until nothing new is learned, as one may depend on another.
fn derive(topology: &TopologyDescription, known: &mut BTreeMap<String, i32>) {
    loop {
        let before = known.len();
        for s in &topology.subtopologies {
            for group in &s.copartition_groups {
                let names = members(s, group);
                if let Some(count) = names.iter().find_map(|n| known.get(*n).copied()) {
                    for name in names {
                        known.entry(name.to_owned()).or_insert(count);
                    }
                }
            }
        }
        if known.len() == before {
            derive_from_writers(topology, known);
        }
        if known.len() == before {
            return;
        }
    }
}

/// One level of derivation. Topics that are joined with each other get the largest count of their writers.
fn derive_from_writers(topology: &TopologyDescription, known: &mut BTreeMap<String, i32>) {
    let mut learned: BTreeMap<String, i32> = BTreeMap::new();
    for s in &topology.subtopologies {
        let Some(counts) = inputs(s).map(|n| known.get(n).copied()).collect::<Option<Vec<i32>>>() else {
            continue;
        };
        let largest = counts.into_iter().max().unwrap_or(0);
        for sink in s.repartition_sink_topics.iter().filter(|n| !known.contains_key(*n)) {
            let count = learned.entry(sink.clone()).or_insert(0);
            *count = largest.max(*count);
        }
    }
    for s in &topology.subtopologies {
        for group in &s.copartition_groups {
            let names = members(s, group);
            let largest = names.iter().filter_map(|n| learned.get(*n)).max().copied();
            for name in names {
                if let (Some(largest), Some(count)) = (largest, learned.get_mut(name)) {
                    *count = largest;
                }
            }
        }
    }
    known.extend(learned);
}
