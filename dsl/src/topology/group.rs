//! Sub-topologies: connected components over edges and shared stores, numbered by their first node.
use std::{collections::HashMap, sync::Arc};

use super::{
    StoreDefinition, Subtopology, TopicRef, Topology, TopologyData, TopologyWriter, describe, fingerprint,
    java_hash::java_set_order,
    node::{Node, NodeKind},
    writer::Copartition,
};

pub(super) fn topology(writer: TopologyWriter) -> Topology {
    let groups = components(&writer.nodes);
    let mut subtopologies = Vec::new();
    let mut globals = Vec::new();
    for (id, members) in groups.iter().enumerate() {
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        if members
            .iter()
            .filter_map(|i| writer.nodes.get(*i))
            .any(Node::is_global_source)
        {
            globals.push((id, members.clone()));
        } else {
            subtopologies.push(subtopology(id, members, &writer));
        }
    }
    let description = describe::describe(&writer.nodes, &groups);
    let fingerprint = fingerprint::fingerprint(&description, &subtopologies);
    Topology {
        inner: Arc::new(TopologyData {
            global_stores: writer.global_stores.iter().map(super::StoreBuilder::define).collect(),
            asked_copartitions: asked_copartitions(&writer),
            nodes: writer.nodes,
            stores: writer.stores,
            global_stores_built: writer.global_stores,
            subtopologies,
            globals,
            description,
            fingerprint,
            wrapper: writer.wrapper,
        }),
    }
}

fn components(nodes: &[Node]) -> Vec<Vec<usize>> {
    let mut union = Union((0..nodes.len()).collect());
    let mut first_user: HashMap<&Arc<str>, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for parent in &node.parents {
            union.join(index, *parent);
        }
        for store in &node.stores {
            let first = *first_user.entry(store).or_insert(index);
            union.join(index, first);
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    for index in 0..nodes.len() {
        let group = *group_of.entry(union.root(index)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.push(index);
        }
    }
    groups
}

struct Union(Vec<usize>);
impl Union {
    fn root(&self, mut index: usize) -> usize {
        while let Some(parent) = self.0.get(index).copied().filter(|p| *p != index) {
            index = parent;
        }
        index
    }
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

fn subtopology(id: u32, members: &[usize], writer: &TopologyWriter) -> Subtopology {
    let nodes = || members.iter().filter_map(|i| writer.nodes.get(*i));
    let mut sources: Vec<_> = nodes()
        .filter_map(|n| match &n.kind {
            NodeKind::Source { topics, reset, .. } => Some(topics.refs().into_iter().map(|t| (t, *reset))),
            _ => None,
        })
        .flatten()
        .collect();
    sources.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
    sources.dedup_by(|(a, _), (b, _)| a == b);
    let mut sinks: Vec<TopicRef> = Vec::new();
    for node in nodes() {
        if let NodeKind::Sink { target, .. } = &node.kind
            && let Some(topic) = target.topic()
            && !sinks.contains(&topic)
        {
            sinks.push(topic);
        }
    }
    let stores: Vec<StoreDefinition> = writer
        .stores
        .iter()
        .filter(|s| nodes().any(|n| n.stores.contains(&s.spec.name)))
        .map(super::StoreBuilder::define)
        .collect();
    let copartition_groups = copartition_groups(members, &sources, writer);
    let (sources, resets) = sources.into_iter().unzip();
    Subtopology {
        id,
        sources,
        resets,
        sinks,
        stores,
        copartition_groups,
        nodes: members.to_vec(),
    }
}

fn copartition_groups(
    members: &[usize],
    sources: &[(TopicRef, Option<super::OffsetReset>)],
    writer: &TopologyWriter,
) -> Vec<Vec<usize>> {
    merged(writer.copartitioned.iter().map(|rule| {
        let topics = topics(&rule.sources, writer, |index| members.contains(&index));
        topics
            .filter_map(|topic| sources.iter().position(|(t, _)| *t == topic))
            .collect()
    }))
}

/// The topics of each rule of which Kafka Streams asks equal partition counts, as it meets them. Which topics a pattern
/// stands for is not known yet.
fn asked_copartitions(writer: &TopologyWriter) -> Vec<Vec<TopicRef>> {
    let rules = writer.copartitioned.iter();
    let topics_of = |rule: &Copartition| {
        let sources: Vec<Arc<str>> = java_set_order(&rule.asked).into_iter().map(Arc::from).collect();
        topics(&sources, writer, |_| true).filter(|t| !t.is_pattern()).collect()
    };
    rules.map(topics_of).collect()
}

/// What Kafka Streams makes of its rules: a rule joins the group of the first of its topics that is in one. A topic of
/// two groups goes over to that group, the rest of the other stays where it is.
pub(super) fn asked_groups(rules: &[Vec<TopicRef>], application_id: &str) -> Vec<Vec<TopicRef>> {
    let mut all: Vec<TopicRef> = Vec::new();
    let mut group_of: Vec<usize> = Vec::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for rule in rules {
        let names: Vec<String> = rule.iter().map(|topic| topic.full_name(application_id)).collect();
        let ordered = java_set_order(&names);
        let known = |name: &str| all.iter().position(|topic| topic.full_name(application_id) == name);
        let found = ordered.iter().find_map(|name| group_of.get(known(name)?).copied());
        let group = found.unwrap_or(groups.len());
        if found.is_none() {
            groups.push(Vec::new());
        }
        for topic in rule {
            let index = all.iter().position(|other| other == topic).unwrap_or(all.len());
            if index == all.len() {
                all.push(topic.clone());
                group_of.push(group);
            }
            if let Some(slot) = group_of.get_mut(index) {
                *slot = group;
            }
            if let Some(members) = groups.get_mut(group) {
                members.push(index);
            }
        }
    }
    // A group that all its topics have left is gone.
    let mut kept: Vec<Vec<usize>> = (0..)
        .zip(groups)
        .filter(|(group, _)| group_of.contains(group))
        .map(|(_, mut members)| {
            members.sort_unstable();
            members.dedup();
            members
        })
        .filter(|members| members.len() > 1)
        .collect();
    kept.sort();
    kept.dedup();
    let named = |group: Vec<usize>| group.into_iter().filter_map(|i| all.get(i).cloned()).collect();
    kept.into_iter().map(named).collect()
}

/// The topics of sources by node name.
fn topics<'a>(
    names: &'a [Arc<str>],
    writer: &'a TopologyWriter,
    wanted: impl Fn(usize) -> bool + 'a,
) -> impl Iterator<Item = TopicRef> + 'a {
    names
        .iter()
        .filter_map(|name| writer.by_name.get(name).copied())
        .filter(move |index| wanted(*index))
        .filter_map(|index| match &writer.nodes.get(index)?.kind {
            NodeKind::Source { topics, .. } => Some(topics.refs()),
            _ => None,
        })
        .flatten()
}

/// Overlapping groups become one, as every member of both must have the same number of partitions.
fn merged(all: impl Iterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for mut group in all {
        if group.is_empty() {
            continue;
        }
        groups.retain(|other| {
            let overlaps = other.iter().any(|i| group.contains(i));
            if overlaps {
                group.extend(other.iter().copied());
            }
            !overlaps
        });
        group.sort_unstable();
        group.dedup();
        groups.push(group);
    }
    groups.retain(|g| g.len() > 1);
    groups.sort();
    groups
}
