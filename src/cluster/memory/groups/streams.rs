//! A streams group: its members, its topology, and the assignment they move towards.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{
        super::{GroupIdentity, OffsetToCommit, Result, TaskId, TaskLists, TopicPartition, TopologyDescription},
        errors::Code,
    },
    member::Member,
    unknown_member,
};

/// What the group knows of a topic its topology names: id and partition count. Changes when the topic is created,
/// grown, deleted or created anew.
pub(super) type TopicFingerprint = Vec<(String, Option<(u64, usize)>)>;

pub(super) struct StreamsGroup {
    /// Moves with everything that asks for a new assignment.
    pub(super) epoch: i32,
    /// The epoch the target was computed for.
    pub(super) target_epoch: i32,
    pub(super) target: BTreeMap<String, TaskLists>,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) topology: Arc<TopologyDescription>,
    pub(super) topics: TopicFingerprint,
    /// No assignment before this time: others may be about to join.
    pub(super) delay_until_ms: i64,
    pub(super) last_assignment_ms: Option<i64>,
    pub(super) endpoint_epoch: i32,
    /// The member that asked the application to stop.
    pub(super) shutdown_by: Option<String>,
    /// Internal topics that could not be created, with the reason.
    pub(super) creation_failures: BTreeMap<String, String>,
}

impl StreamsGroup {
    pub(super) fn new(topology: Arc<TopologyDescription>) -> Self {
        StreamsGroup {
            epoch: 1,
            target_epoch: 1,
            target: BTreeMap::new(),
            members: BTreeMap::new(),
            topology,
            topics: Vec::new(),
            delay_until_ms: 0,
            last_assignment_ms: None,
            endpoint_epoch: 0,
            shutdown_by: None,
            creation_failures: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn remove(&mut self, member_id: &str) {
        if let Some(member) = self.members.remove(member_id) {
            self.target.remove(member_id);
            self.epoch += 1;
            if member.user_endpoint.is_some() {
                self.endpoint_epoch += 1;
            }
        }
        if self.members.is_empty() {
            self.shutdown_by = None;
        }
    }

    /// Removes who is late; gives how many were.
    pub(super) fn expire_members(&mut self, now_ms: i64) -> u64 {
        let late = |m: &Member| m.session_deadline_ms <= now_ms || m.revoke_deadline_ms.is_some_and(|at| at <= now_ms);
        let gone: Vec<String> = self
            .members
            .iter()
            .filter(|(_, m)| late(m))
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in &gone {
            self.remove(member_id);
        }
        gone.len() as u64
    }

    pub(super) fn next_timeout_ms(&self) -> i64 {
        let deadline = |m: &Member| m.session_deadline_ms.min(m.revoke_deadline_ms.unwrap_or(i64::MAX));
        self.members.values().map(deadline).min().unwrap_or(i64::MAX)
    }

    pub(super) fn check_fetch(&self, identity: &GroupIdentity) -> Result<()> {
        match self.members.get(&identity.member_id) {
            None => Err(unknown_member(identity)),
            Some(member) if member.epoch == identity.member_epoch => Ok(()),
            Some(member) => Err(stale(identity, member.epoch)),
        }
    }

    /// The current epoch commits anything. An older one commits tasks the member has had since then, and is refused
    /// altogether when a single partition is not of such a task.
    pub(super) fn check_commit(&self, identity: &GroupIdentity, offsets: &[OffsetToCommit]) -> Result<()> {
        let Some(member) = self.members.get(&identity.member_id) else {
            return Err(unknown_member(identity));
        };
        if identity.member_epoch == member.epoch {
            return Ok(());
        }
        let since = |partition: &TopicPartition| self.tasks_of(partition).find_map(|task| member.since(&task));
        let old_but_owned = |o: &OffsetToCommit| since(&o.partition).is_some_and(|at| at <= identity.member_epoch);
        if identity.member_epoch < member.epoch && offsets.iter().all(old_but_owned) {
            return Ok(());
        }
        Err(stale(identity, member.epoch))
    }

    /// The tasks that read the partition.
    fn tasks_of<'a>(&'a self, partition: &'a TopicPartition) -> impl Iterator<Item = TaskId> + 'a {
        let reads = |names: &[String]| names.iter().any(|n| **n == *partition.topic);
        self.topology.subtopologies.iter().filter_map(move |s| {
            let repartitions = s.repartition_source_topics.iter().any(|t| *t.name == *partition.topic);
            let subtopology = s.id.parse().ok()?;
            (repartitions || reads(&s.source_topics)).then_some(TaskId {
                subtopology,
                partition: partition.partition,
            })
        })
    }

    /// Every topic the topology names.
    pub(super) fn topic_names(topology: &TopologyDescription) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for s in &topology.subtopologies {
            names.extend(s.source_topics.iter().map(String::as_str));
            names.extend(s.repartition_sink_topics.iter().map(String::as_str));
            names.extend(s.repartition_source_topics.iter().map(|t| t.name.as_str()));
            names.extend(s.state_changelog_topics.iter().map(|t| t.name.as_str()));
        }
        names
    }
}

fn stale(identity: &GroupIdentity, current: i32) -> super::super::super::ClusterError {
    Code::StaleMemberEpoch.error(format!(
        "Member {} of group {} speaks for epoch {}, the current one is {current}.",
        identity.member_id, identity.group_id, identity.member_epoch
    ))
}
