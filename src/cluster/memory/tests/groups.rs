//! Streams groups where the settings or the clock matter: delays, time-outs, internal topics that cannot be made.
use std::sync::Arc;

use super::World;
use crate::cluster::{
    Cluster, GroupClient, GroupRequest, GroupResponse, HeartbeatRequest, HeartbeatResponse, Result,
    SubtopologyDescription, TaskId, TaskLists, TopicInfo, TopologyDescription, memory::MemoryClusterConfig,
};

/// A member that acknowledges what it is told with its next beat.
pub(super) struct Member {
    client: Box<dyn GroupClient>,
    id: &'static str,
    process: String,
    topology: TopologyDescription,
    epoch: i32,
    pub(super) owned: TaskLists,
    pub(super) status: Vec<(i8, String)>,
}

impl Member {
    pub(super) fn new(world: &World, id: &'static str, process: &str, topology: &TopologyDescription) -> Self {
        Member {
            client: world.cluster.group("test", "g", world.wakes.clone()).unwrap(),
            id,
            process: process.into(),
            topology: topology.clone(),
            epoch: 0,
            owned: TaskLists::default(),
            status: Vec::new(),
        }
    }

    pub(super) fn try_beat(&mut self) -> Result<HeartbeatResponse> {
        let joining = self.epoch == 0;
        self.client.send(GroupRequest::Heartbeat(HeartbeatRequest {
            member_id: self.id.into(),
            member_epoch: self.epoch,
            endpoint_epoch: -1,
            rebalance_timeout_ms: if joining { 5_000 } else { -1 },
            topology: joining.then(|| Arc::new(self.topology.clone())),
            owned: Some(self.owned.clone()),
            process_id: joining.then(|| self.process.clone()),
            user_endpoint: None,
            client_tags: joining.then(Vec::new),
            shutdown_application: false,
        }));
        match self.client.poll().unwrap().1? {
            GroupResponse::Heartbeat(response) => {
                self.epoch = response.member_epoch;
                self.status.clone_from(&response.status);
                if let Some(lists) = &response.assigned {
                    self.owned.clone_from(lists);
                }
                Ok(response)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn beat(&mut self) -> HeartbeatResponse {
        self.try_beat().unwrap()
    }

    pub(super) fn leave(&mut self) {
        self.epoch = -1;
        self.beat();
    }

    /// Partitions of active and of standby tasks.
    pub(super) fn partitions(&self) -> (Vec<i32>, Vec<i32>) {
        let of = |tasks: &[TaskId]| tasks.iter().map(|t| t.partition).collect();
        (of(&self.owned.active), of(&self.owned.standby))
    }
}

/// Reads topic `t`; with a changelog `s` if stateful.
pub(super) fn topology(stateful: bool, configs: &[(&str, &str)]) -> TopologyDescription {
    let changelog = TopicInfo {
        name: "s".into(),
        partitions: 0,
        replication_factor: -1,
        configs: configs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    TopologyDescription {
        subtopologies: vec![SubtopologyDescription {
            id: "0".into(),
            source_topics: vec!["t".into()],
            state_changelog_topics: if stateful { vec![changelog] } else { Vec::new() },
            ..SubtopologyDescription::default()
        }],
    }
}

pub(super) fn world(config: MemoryClusterConfig, partitions: i32) -> World {
    let world = World::new(config);
    world.cluster.create_topic("t", partitions, &[]).unwrap();
    world
}

#[test]
fn nobody_gets_tasks_within_the_initial_delay() {
    let config = MemoryClusterConfig {
        initial_rebalance_delay_ms: 3_000,
        ..MemoryClusterConfig::default()
    };
    let world = world(config, 4);
    let (mut a, mut b) = (
        Member::new(&world, "a", "p", &topology(false, &[])),
        Member::new(&world, "b", "q", &topology(false, &[])),
    );
    let answer = a.beat();
    assert_eq!((answer.member_epoch, answer.assigned), (1, Some(TaskLists::default())));
    assert_eq!(answer.status.first().map(|s| s.0), Some(5));
    world.clock.advance(2_999);
    b.beat();
    assert_eq!(a.beat().assigned, None);
    world.clock.advance(1);
    a.beat();
    b.beat();
    assert_eq!(
        (a.partitions().0, b.partitions().0),
        (vec![0, 2], vec![1, 3]),
        "one assignment, no move"
    );
    assert!(a.status.is_empty());
}

#[test]
fn a_second_assignment_waits_for_the_interval() {
    let config = MemoryClusterConfig {
        assignment_interval_ms: 1_000,
        ..MemoryClusterConfig::default()
    };
    let world = world(config, 2);
    let mut a = Member::new(&world, "a", "p", &topology(false, &[]));
    let mut b = Member::new(&world, "b", "q", &topology(false, &[]));
    a.beat();
    assert_eq!(b.beat().status.first().map(|s| s.0), Some(5));
    a.beat();
    assert_eq!(a.partitions().0, [0, 1]);
    world.clock.advance(1_000);
    for _ in 0..3 {
        a.beat();
        b.beat();
    }
    assert_eq!((a.partitions().0, b.partitions().0), (vec![0], vec![1]));
}

#[test]
fn internal_topics_get_the_configs_of_the_topology() {
    let world = world(MemoryClusterConfig::default(), 3);
    let configs = [("cleanup.policy", "compact"), ("message.timestamp.type", "CreateTime")];
    let mut member = Member::new(&world, "a", "p", &topology(true, &configs));
    let answer = member.beat();
    assert_eq!(answer.status, [(3, "Internal topics are missing: s".to_owned())]);
    member.beat();
    assert_eq!(member.partitions().0, [0, 1, 2]);
    assert!(member.status.is_empty());
    let expected: Vec<(String, String)> = configs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    assert_eq!(world.cluster.topic_configs("s"), Some(expected));
}

#[test]
fn an_internal_topic_that_cannot_be_created_is_a_status_with_the_reason() {
    let world = world(MemoryClusterConfig::default(), 1);
    let mut member = Member::new(&world, "a", "p", &topology(true, &[("nonsense", "1")]));
    member.beat();
    member.beat();
    let expected = "Internal topics are missing: s; Creation failed: s (Unknown topic config name: nonsense).";
    assert_eq!(member.status, [(3, expected.to_owned())]);
    world.cluster.create_topic("s", 1, &[]).unwrap();
    member.beat();
    assert_eq!(member.partitions().0, [0]);
}

#[test]
fn a_changelog_of_the_wrong_size_is_a_status() {
    let world = world(MemoryClusterConfig::default(), 4);
    world.cluster.create_topic("s", 3, &[]).unwrap();
    let mut member = Member::new(&world, "a", "p", &topology(true, &[]));
    member.beat();
    let expected = "Existing topic s has different number of partitions: expected 4, found 3";
    assert_eq!(member.status, [(2, expected.to_owned())]);
    assert!(member.owned.active.is_empty());
}

#[test]
fn a_deleted_changelog_takes_all_tasks_away_and_comes_back_empty() {
    let world = world(MemoryClusterConfig::default(), 2);
    let mut member = Member::new(&world, "a", "p", &topology(true, &[]));
    member.beat();
    member.beat();
    assert_eq!(member.owned.active.len(), 2);
    let mut admin = world.cluster.admin("test").unwrap();
    admin
        .delete_topics(&["s".to_owned()], std::time::Duration::ZERO)
        .unwrap();
    let answer = member.beat();
    assert_eq!(answer.assigned, Some(TaskLists::default()));
    assert_eq!(answer.status.first().map(|s| s.0), Some(3));
    member.beat();
    assert_eq!(member.owned.active.len(), 2);
    assert!(world.cluster.topic_configs("s").is_some());
}

#[test]
fn added_partitions_arrive_as_new_tasks() {
    let world = world(MemoryClusterConfig::default(), 1);
    let mut member = Member::new(&world, "a", "p", &topology(false, &[]));
    let before = member.beat().member_epoch;
    world.cluster.add_partitions("t", 3).unwrap();
    assert!(member.beat().member_epoch > before);
    assert_eq!(member.partitions().0, [0, 1, 2]);
}

#[test]
fn a_session_ends_exactly_at_its_time_out() {
    let world = world(MemoryClusterConfig::default(), 1);
    let mut member = Member::new(&world, "a", "p", &topology(false, &[]));
    member.beat();
    world.clock.advance(44_999);
    member.beat();
    world.clock.advance(45_000);
    assert_eq!(member.try_beat().unwrap_err().code, 25);
    assert!(world.cluster.delete_group("g").is_ok(), "an empty group can be deleted");
}

#[test]
fn a_topology_is_forgotten_with_its_group_only() {
    let world = world(MemoryClusterConfig::default(), 1);
    let mut a = Member::new(&world, "a", "p", &topology(false, &[]));
    a.beat();
    assert_eq!(world.cluster.delete_group("g").unwrap_err().code, 68);
    a.leave();
    let mut b = Member::new(&world, "b", "p", &topology(true, &[]));
    assert_eq!(b.try_beat().unwrap_err().code, 42);
    world.cluster.delete_group("g").unwrap();
    assert!(b.try_beat().is_ok());
}

#[test]
fn a_shutdown_is_told_to_everybody_until_the_group_is_empty() {
    let world = world(MemoryClusterConfig::default(), 1);
    let mut a = Member::new(&world, "a", "p", &topology(false, &[]));
    let mut b = Member::new(&world, "b", "q", &topology(false, &[]));
    a.beat();
    b.client.send(GroupRequest::Heartbeat(HeartbeatRequest {
        member_id: "b".into(),
        rebalance_timeout_ms: 5_000,
        topology: Some(Arc::new(b.topology.clone())),
        owned: Some(TaskLists::default()),
        shutdown_application: true,
        ..HeartbeatRequest::default()
    }));
    a.beat();
    assert_eq!(a.status.first().map(|s| s.0), Some(4));
    b.epoch = -1;
    b.client.poll();
    b.beat();
    a.beat();
    assert_eq!(
        a.status.first().map(|s| s.0),
        Some(4),
        "still, although the one who asked has gone"
    );
    a.leave();
    a.epoch = 0;
    a.owned = TaskLists::default();
    a.beat();
    assert!(a.status.is_empty());
}
