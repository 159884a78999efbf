//! Is a join well-formed? The checks a broker makes before it lets a member in.
use std::collections::BTreeSet;

use super::super::{
    super::{HeartbeatRequest, Result, SubtopologyDescription, TopologyDescription},
    errors::Code,
    topics::is_legal_name,
};

/// Of a heartbeat with epoch 0.
pub(super) fn join(request: &HeartbeatRequest) -> Result<&TopologyDescription> {
    let invalid = |text: &str| Err(Code::InvalidRequest.error(text));
    if request.member_id.is_empty() {
        return invalid("MemberId can't be empty.");
    }
    if request.rebalance_timeout_ms < 0 {
        return invalid("RebalanceTimeoutMs must be provided in first request.");
    }
    match &request.owned {
        Some(lists) if lists.active.is_empty() => {
            if !lists.standby.is_empty() {
                return invalid("StandbyTasks must be empty when (re-)joining.");
            }
            if !lists.warmup.is_empty() {
                return invalid("WarmupTasks must be empty when (re-)joining.");
            }
        }
        _ => return invalid("ActiveTasks must be empty when (re-)joining."),
    }
    let Some(described) = &request.topology else {
        return invalid("Topology must be non-null when (re-)joining.");
    };
    topology(described)?;
    Ok(described)
}

/// Of a heartbeat of a live member.
pub(super) fn live(request: &HeartbeatRequest, topology: &TopologyDescription) -> Result<()> {
    if request.topology.is_some() {
        return Err(Code::InvalidRequest.error("Topology can only be provided when (re-)joining."));
    }
    let known: BTreeSet<u32> = topology
        .subtopologies
        .iter()
        .filter_map(|s| s.id.parse().ok())
        .collect();
    let lists = request
        .owned
        .iter()
        .flat_map(|l| l.active.iter().chain(&l.standby).chain(&l.warmup));
    match lists.into_iter().find(|t| !known.contains(&t.subtopology)) {
        Some(task) => Err(Code::InvalidRequest.error(format!("Subtopology {} does not exist.", task.subtopology))),
        None => Ok(()),
    }
}

fn topology(topology: &TopologyDescription) -> Result<()> {
    let mut ids = BTreeSet::new();
    let written: BTreeSet<&str> = topology
        .subtopologies
        .iter()
        .flat_map(|s| s.repartition_sink_topics.iter().map(String::as_str))
        .collect();
    for s in &topology.subtopologies {
        // A broker takes any text; task ids here are numbers, as Kafka Streams sends them.
        if s.id.parse::<u32>().is_err() || !ids.insert(s.id.as_str()) {
            return Err(
                Code::UnknownServerError.error(format!("subtopology id {} is not a number or is used twice", s.id))
            );
        }
        subtopology(s, &written)?;
    }
    Ok(())
}

fn subtopology(s: &SubtopologyDescription, written: &BTreeSet<&str>) -> Result<()> {
    let invalid = |text: String| Err(Code::StreamsInvalidTopology.error(text));
    if s.source_topics.is_empty() && s.repartition_source_topics.is_empty() {
        return invalid(format!("No source topics found for subtopology {}", s.id));
    }
    if let Some(changelog) = s.state_changelog_topics.iter().find(|t| t.partitions != 0) {
        return invalid(format!(
            "Changelog topic {} must have an undefined partition count, but it is set to {}.",
            changelog.name, changelog.partitions
        ));
    }
    let orphan = |t: &&super::super::super::TopicInfo| t.partitions == 0 && !written.contains(t.name.as_str());
    if let Some(topic) = s.repartition_source_topics.iter().find(orphan) {
        return invalid(format!(
            "Repartition topic {} is written by no subtopology.",
            topic.name
        ));
    }
    let internal = s.state_changelog_topics.iter().chain(&s.repartition_source_topics);
    let names = internal
        .map(|t| &t.name)
        .chain(&s.source_topics)
        .chain(&s.repartition_sink_topics);
    if let Some(name) = names.into_iter().find(|n| !is_legal_name(n)) {
        return invalid(format!("Topic names {name} are not valid topic names."));
    }
    let inside = |at: &i16, len: usize| usize::try_from(*at).is_ok_and(|at| at < len);
    let fits = s.copartition_groups.iter().all(|g| {
        g.source_topics.iter().all(|at| inside(at, s.source_topics.len()))
            && g.repartition_source_topics
                .iter()
                .all(|at| inside(at, s.repartition_source_topics.len()))
    });
    if !fits {
        return Err(Code::UnknownServerError.error(format!("subtopology {}: co-partition index out of range", s.id)));
    }
    Ok(())
}

/// The group's topology and a joining member's: order of subtopologies is free, order inside their lists is not.
pub(super) fn same_topology(a: &TopologyDescription, b: &TopologyDescription) -> bool {
    let sorted = |t: &TopologyDescription| {
        let mut list = t.subtopologies.clone();
        list.sort_by(|x, y| x.id.cmp(&y.id));
        list
    };
    a == b || sorted(a) == sorted(b)
}
