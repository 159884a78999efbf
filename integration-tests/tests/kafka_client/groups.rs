//! Membership and offsets over the wire client.
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use millstream::{
    cluster::{
        Cluster, ClusterError, ErrorClass, GroupClient, GroupIdentity, GroupRequest, GroupResponse, OffsetToCommit,
        RequestId, Result, SubtopologyDescription, TaskId, TaskLists, TopicPartition, TopologyDescription,
    },
    membership::{Action, MemberConfig, Membership, Timing},
};

use crate::support::{Kafka, LIMIT, partition, unique, waker};

/// A member that owns what it is given: the part of a stream thread that these scenarios need.
pub(crate) struct Member {
    machine: Membership,
    client: Box<dyn GroupClient>,
    id: String,
    heartbeat: Option<RequestId>,
    describing: Option<RequestId>,
    unread: Vec<(RequestId, Result<GroupResponse>)>,
    pub(crate) owned: TaskLists,
    pub(crate) log: Vec<String>,
    failed: Option<ClusterError>,
    left: bool,
}

impl Member {
    pub(crate) fn new(kafka: &Kafka, group: &str, id: &str, source: &str) -> Self {
        Self::with(
            kafka,
            group,
            id,
            TopologyDescription {
                subtopologies: vec![source_part(source)],
            },
        )
    }

    fn with(kafka: &Kafka, group: &str, id: &str, topology: TopologyDescription) -> Self {
        let machine = Membership::new(MemberConfig {
            group_id: group.into(),
            member_id: id.into(),
            process_id: format!("process of {id}"),
            topology: Arc::new(topology),
            rebalance_timeout_ms: 60_000,
            user_endpoint: None,
            client_tags: Vec::new(),
            timing: Timing::default(),
        });
        let client = kafka.cluster.group("test-member", group, waker()).unwrap();
        Self {
            machine,
            client,
            id: id.into(),
            heartbeat: None,
            describing: None,
            unread: Vec::new(),
            owned: TaskLists::default(),
            log: Vec::new(),
            failed: None,
            left: false,
        }
    }

    pub(crate) fn identity(&self) -> GroupIdentity {
        self.machine.identity().expect("a member")
    }

    pub(crate) fn turn(&mut self) {
        let mut answer = None;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        while let Some((id, result)) = self.unread.pop().or_else(|| self.client.poll()) {
            if self.describing.take_if(|sent| *sent == id).is_some() {
                let described = result.map(|response| match response {
                    GroupResponse::Member(description) => description,
                    other => panic!("{other:?} describes a member"),
                });
                self.machine.described(now, described);
            } else if self.heartbeat.take_if(|sent| *sent == id).is_some() {
                answer = Some(result.map(|response| match response {
                    GroupResponse::Heartbeat(response) => response,
                    other => panic!("{other:?} answers a heartbeat"),
                }));
            }
        }
        for action in self.machine.step(now, answer) {
            match action {
                Action::Send(request) => self.heartbeat = Some(self.client.send(GroupRequest::Heartbeat(request))),
                Action::Describe => {
                    let member_id = self.id.clone();
                    self.describing = Some(self.client.send(GroupRequest::DescribeMember { member_id }));
                }
                Action::Revoke(tasks) => {
                    self.log.push(format!("revoke {}", tasks.active.len()));
                    self.owned.active.retain(|task| !tasks.active.contains(task));
                    self.machine.acknowledge(self.owned.clone());
                }
                Action::Assign(tasks) => {
                    self.log.push(format!("assign {}", tasks.active.len()));
                    self.owned.active.extend(tasks.active);
                    self.owned.active.sort();
                    self.machine.acknowledge(self.owned.clone());
                }
                Action::Lost => {
                    self.log.push("lost".into());
                    self.owned = TaskLists::default();
                    self.machine.acknowledge(TaskLists::default());
                }
                Action::Fatal(error) => self.failed = Some(error),
                Action::Left => self.left = true,
                // The broker may not have seen a new topic yet: passing, and not what is looked at here.
                Action::Status(_) => {}
            }
        }
    }

    fn partitions(&self) -> Vec<i32> {
        self.owned.active.iter().map(|task: &TaskId| task.partition).collect()
    }

    pub(crate) fn until_settled(&mut self, partitions: &[i32]) {
        until("the member has its tasks", || {
            self.turn();
            assert!(self.failed.is_none(), "{:?}", self.failed);
            self.machine.is_settled() && self.partitions() == partitions
        });
    }

    pub(crate) fn leave(&mut self) {
        self.machine.leave();
        until("the member has left", || {
            self.turn();
            self.left
        });
    }

    fn ask(&mut self, request: GroupRequest) -> Result<GroupResponse> {
        let id = self.client.send(request);
        let mut answers = Vec::new();
        until("a request is answered", || {
            answers.extend(self.client.poll());
            answers.iter().any(|(answered, _)| *answered == id)
        });
        // A heartbeat may have been answered in between; the machine waits for it.
        let (mut ours, others) = answers
            .into_iter()
            .partition::<Vec<_>, _>(|(answered, _)| *answered == id);
        self.unread.extend(others);
        assert_eq!(ours.len(), 1, "each request is answered once");
        ours.remove(0).1
    }

    /// Waits while a transaction that has been committed is still being completed.
    pub(crate) fn committed(&mut self, partition: &TopicPartition) -> Vec<OffsetToCommit> {
        let start = Instant::now();
        loop {
            let (identity, partitions) = (self.machine.identity(), vec![partition.clone()]);
            match self.ask(GroupRequest::FetchOffsets {
                identity,
                partitions,
                require_stable: true,
            }) {
                Ok(GroupResponse::FetchOffsets(offsets)) => return offsets,
                Err(error) if error.class == ErrorClass::Retry && start.elapsed() < LIMIT => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn source_part(source: &str) -> SubtopologyDescription {
    let source_topics = vec![source.to_string()];
    SubtopologyDescription {
        id: "0".into(),
        source_topics,
        ..SubtopologyDescription::default()
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Turns both until they are settled with the partitions spread as given by their counts; never one owned twice.
fn until_shared(a: &mut Member, b: &mut Member, counts: (usize, usize)) {
    until("the tasks are shared", || {
        a.turn();
        b.turn();
        let twice = a
            .partitions()
            .into_iter()
            .any(|partition| b.partitions().contains(&partition));
        assert!(!twice, "one task owned twice: {:?} {:?}", a.owned, b.owned);
        let settled = a.machine.is_settled() && b.machine.is_settled();
        settled && (a.partitions().len(), b.partitions().len()) == counts
    });
}

#[test]
fn two_members_share_the_tasks_and_the_one_that_stays_gets_them_back() {
    let mut kafka = Kafka::start();
    let (topic, group) = (kafka.topic("shared", 4), unique("group"));
    let mut a = Member::new(&kafka, &group, "a", &topic);
    a.until_settled(&[0, 1, 2, 3]);
    let mut b = Member::new(&kafka, &group, "b", &topic);
    let start = Instant::now();
    until_shared(&mut a, &mut b, (2, 2));
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    b.leave();
    a.until_settled(&[0, 1, 2, 3]);
    a.leave();
    assert_eq!(a.log, ["assign 4", "revoke 2", "assign 2", "revoke 4"]);
}

#[test]
fn offsets_are_committed_under_the_epoch_of_the_moment_and_read_back() {
    let mut kafka = Kafka::start();
    let (topic, group) = (kafka.topic("offsets", 2), unique("group"));
    let mut a = Member::new(&kafka, &group, "a", &topic);
    a.until_settled(&[0, 1]);
    assert_eq!(a.committed(&partition(&topic, 0)), vec![]);
    let offset = |partition, offset| OffsetToCommit {
        partition,
        offset,
        metadata: "AQAAAAAAAAAB".into(),
    };
    let offsets = vec![offset(partition(&topic, 1), 7), offset(partition(&topic, 0), 3)];
    let request = GroupRequest::CommitOffsets {
        identity: a.identity(),
        offsets: offsets.clone(),
    };
    assert!(matches!(a.ask(request), Ok(GroupResponse::CommitOffsets)));
    assert_eq!(a.committed(&partition(&topic, 1)), vec![offsets[0].clone()]);

    for (member, epoch) in [("a", 77), ("stranger", 1)] {
        let identity = GroupIdentity {
            group_id: group.clone(),
            member_id: member.into(),
            member_epoch: epoch,
        };
        let error = a
            .ask(GroupRequest::CommitOffsets {
                identity,
                offsets: offsets.clone(),
            })
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Migrated, "{error}");
        assert!(error.partition.is_some(), "{error}");
    }
    a.leave();
}

#[test]
fn a_second_start_under_the_same_member_id_fences_the_first() {
    let mut kafka = Kafka::start();
    let (topic, group) = (kafka.topic("fenced", 1), unique("group"));
    let mut first = Member::new(&kafka, &group, "same", &topic);
    first.until_settled(&[0]);
    let mut other = Member::new(&kafka, &group, "other", &topic);
    until("the other is in", || {
        first.turn();
        other.turn();
        other.machine.identity().is_some()
    });
    let mut second = Member::new(&kafka, &group, "same", &topic);
    until("the second is in", || {
        second.turn();
        second.machine.identity().is_some()
    });
    // The first still beats with its epoch; which of both is fenced depends on who beats next, so it leaves no task doubly owned.
    other.leave();
    second.leave();
    until("the first notices", || {
        first.turn();
        first.log.iter().any(|line| line == "lost")
    });
    first.until_settled(&[0]);
    first.leave();
}

#[test]
fn internal_topics_are_created_and_a_missing_source_is_a_status() {
    let mut kafka = Kafka::start();
    let (source, group) = (unique("later"), unique("group"));
    let mut part = source_part(&source);
    let changelog = format!("{group}-counts-changelog");
    part.state_changelog_topics = vec![millstream::cluster::TopicInfo {
        name: changelog.clone(),
        partitions: 0,
        replication_factor: -1,
        configs: vec![("cleanup.policy".into(), "compact".into())],
    }];
    let mut member = Member::with(
        &kafka,
        &group,
        "m",
        TopologyDescription {
            subtopologies: vec![part],
        },
    );
    until("the status is there", || {
        member.turn();
        member
            .machine
            .status()
            .iter()
            .any(|status| status.detail.contains(&source))
    });
    let topic = millstream::cluster::TopicInfo {
        name: source,
        partitions: 3,
        ..Default::default()
    };
    kafka.admin.create_topics(&[topic], LIMIT).unwrap();
    member.until_settled(&[0, 1, 2]);
    assert_eq!(
        kafka
            .admin
            .partition_counts(std::slice::from_ref(&changelog), LIMIT)
            .unwrap(),
        [(changelog, 3)]
    );
    member.leave();
}

#[test]
fn another_topology_under_the_same_group_is_fatal_and_says_so() {
    let mut kafka = Kafka::start();
    let (one, two, group) = (kafka.topic("one", 1), kafka.topic("two", 1), unique("group"));
    let mut a = Member::new(&kafka, &group, "a", &one);
    a.until_settled(&[0]);
    let mut b = Member::new(&kafka, &group, "b", &two);
    until("the join is refused", || {
        b.turn();
        b.failed.is_some()
    });
    let error = b.failed.take().unwrap();
    assert_eq!((error.class, error.code), (ErrorClass::Fatal, 42));
    assert!(error.message.contains("Topology updates are not supported"), "{error}");
    a.leave();
}

#[test]
fn a_member_survives_the_restart_of_its_broker_with_its_tasks() {
    let mut kafka = Kafka::start();
    let (topic, group) = (kafka.topic("restart", 2), unique("group"));
    let mut a = Member::new(&kafka, &group, "a", &topic);
    a.until_settled(&[0, 1]);
    let before = a.identity();
    // A cluster that was given to us is not ours to kill; the rest must hold there as well.
    if kafka.server.kill_broker(0).is_ok() {
        let down = Instant::now();
        while down.elapsed() < Duration::from_secs(2) {
            a.turn();
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(a.partitions(), [0, 1], "an absent coordinator takes nothing away");
        kafka.server.start_broker(0).unwrap();
    }
    a.until_settled(&[0, 1]);
    assert_eq!(a.identity().member_id, before.member_id);
    assert!(!a.log.iter().any(|line| line == "lost"), "{:?}", a.log);
    a.leave();
}
