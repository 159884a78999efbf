//! A member of a streams group as a scenario drives it: one heartbeat at a time, acknowledging what it is told.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millstream::cluster::{
    Cluster, GroupClient, GroupIdentity, GroupRequest, GroupResponse, HeartbeatRequest, HeartbeatResponse,
    MemberDescription, Result, SubtopologyDescription, TaskId, TaskLists, TopologyDescription,
};

use super::{
    TestNames,
    clients::{LIMIT, Wakes, ask, too_late},
};

pub(super) const REBALANCE_TIMEOUT_MS: i32 = 60_000;

pub(super) struct Member {
    pub(super) client: Box<dyn GroupClient>,
    pub(super) identity: GroupIdentity,
    pub(super) topology: Arc<TopologyDescription>,
    pub(super) owned: TaskLists,
    pub(super) rebalance_timeout_ms: i32,
    endpoint_epoch: i32,
    /// Lists have come that were not acknowledged yet.
    unacknowledged: bool,
}

impl Member {
    /// Not joined yet. Every member is a process of its own.
    pub(super) fn new(
        cluster: &dyn Cluster,
        names: &TestNames,
        name: &str,
        topology: &TopologyDescription,
    ) -> Result<Self> {
        Ok(Member {
            client: cluster.group("behaviour", &names.group(), Arc::new(Wakes::default()))?,
            identity: GroupIdentity {
                group_id: names.group(),
                member_id: name.into(),
                member_epoch: 0,
            },
            topology: Arc::new(topology.clone()),
            owned: TaskLists::default(),
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            endpoint_epoch: -1,
            unacknowledged: false,
        })
    }

    pub(super) fn heartbeat(&mut self, request: HeartbeatRequest) -> Result<HeartbeatResponse> {
        match ask(&mut *self.client, &GroupRequest::Heartbeat(request))? {
            GroupResponse::Heartbeat(response) => {
                self.identity.member_epoch = response.member_epoch;
                self.endpoint_epoch = response.endpoint_epoch;
                if let Some(lists) = &response.assigned {
                    self.owned = sorted(lists.clone());
                    self.unacknowledged = true;
                }
                Ok(response)
            }
            _ => Err(too_late("an answer to a heartbeat")),
        }
    }

    /// The first heartbeat, or the one after all was lost: everything is said, nothing is owned.
    pub(super) fn join_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            member_id: self.identity.member_id.clone(),
            member_epoch: 0,
            endpoint_epoch: -1,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            topology: Some(Arc::clone(&self.topology)),
            owned: Some(TaskLists::default()),
            process_id: Some(format!("process-of-{}", self.identity.member_id)),
            user_endpoint: None,
            client_tags: Some(Vec::new()),
            shutdown_application: false,
        }
    }

    pub(super) fn join(&mut self) -> Result<HeartbeatResponse> {
        self.owned = TaskLists::default();
        let request = self.join_request();
        self.heartbeat(request)
    }

    /// A plain heartbeat, with the lists if they are to be acknowledged.
    pub(super) fn beat(&mut self) -> Result<HeartbeatResponse> {
        let owned = self.unacknowledged.then(|| self.owned.clone());
        self.unacknowledged = false;
        self.beat_with(owned)
    }

    /// A heartbeat that acknowledges nothing.
    pub(super) fn beat_silently(&mut self) -> Result<HeartbeatResponse> {
        self.beat_with(None)
    }

    pub(super) fn beat_with(&mut self, owned: Option<TaskLists>) -> Result<HeartbeatResponse> {
        let request = HeartbeatRequest { owned, ..self.plain() };
        self.heartbeat(request)
    }

    /// What the group believes of it.
    pub(super) fn described(&mut self) -> Result<Option<MemberDescription>> {
        let member_id = self.identity.member_id.clone();
        match ask(&mut *self.client, &GroupRequest::DescribeMember { member_id })? {
            GroupResponse::Member(description) => Ok(description),
            _ => Err(too_late("a description")),
        }
    }

    /// Nothing new, everything unchanged.
    fn plain(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            member_id: self.identity.member_id.clone(),
            member_epoch: self.identity.member_epoch,
            endpoint_epoch: self.endpoint_epoch,
            rebalance_timeout_ms: -1,
            ..HeartbeatRequest::default()
        }
    }

    pub(super) fn ask_for_shutdown(&mut self) -> Result<HeartbeatResponse> {
        let request = HeartbeatRequest {
            shutdown_application: true,
            ..self.plain()
        };
        self.heartbeat(request)
    }

    pub(super) fn leave(&mut self) -> Result<HeartbeatResponse> {
        self.identity.member_epoch = -1;
        self.beat_silently()
    }
}

fn sorted(mut lists: TaskLists) -> TaskLists {
    lists.active.sort_unstable();
    lists.standby.sort_unstable();
    lists
}

/// Members beat in turn until `done`; gives what each was answered last.
pub(super) fn beat_until(
    members: &mut [&mut Member],
    what: &str,
    mut done: impl FnMut(&[&mut Member], &[HeartbeatResponse]) -> bool,
) -> Result<Vec<HeartbeatResponse>> {
    let start = Instant::now();
    loop {
        let mut answers = Vec::new();
        for member in members.iter_mut() {
            answers.push(member.beat()?);
        }
        if done(members, &answers) {
            return Ok(answers);
        }
        if start.elapsed() > LIMIT {
            return Err(too_late(what));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Joins and beats until the member owns `count` active tasks and has acknowledged them.
pub(super) fn joined(
    cluster: &dyn Cluster,
    names: &TestNames,
    name: &str,
    topology: &TopologyDescription,
    count: usize,
) -> Result<Member> {
    let mut member = Member::new(cluster, names, name, topology)?;
    member.join()?;
    settle(&mut [&mut member], &[count])?;
    Ok(member)
}

/// Beats until each member owns as many active tasks as given and all is acknowledged.
pub(super) fn settle(members: &mut [&mut Member], counts: &[usize]) -> Result<()> {
    beat_until(members, "tasks to be spread", |members, _| {
        let owns = |(m, count): (&&mut Member, &usize)| m.owned.active.len() == *count && !m.unacknowledged;
        members.iter().zip(counts).all(owns)
    })?;
    Ok(())
}

/// One stateless subtopology that reads the topics.
pub(super) fn reading(topics: &[String]) -> TopologyDescription {
    let mut source_topics = topics.to_vec();
    source_topics.sort();
    TopologyDescription {
        subtopologies: vec![SubtopologyDescription {
            id: "0".into(),
            source_topics,
            ..SubtopologyDescription::default()
        }],
    }
}

/// Tasks of subtopology 0.
pub(super) fn tasks(partitions: impl IntoIterator<Item = i32>) -> Vec<TaskId> {
    let task = |partition| TaskId {
        subtopology: 0,
        partition,
    };
    partitions.into_iter().map(task).collect()
}
