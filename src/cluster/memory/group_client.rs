//! The client of a group's coordinator: requests in, answers out, in order.
use std::{collections::VecDeque, sync::Arc};

use super::{
    super::{
        ErrorClass, GroupClient, GroupIdentity, GroupRequest, GroupResponse, HeartbeatRequest, HeartbeatResponse,
        MemberDescription, OffsetToCommit, RequestId, Result, TaskId, TopicPartition, Waker,
    },
    broker::Broker,
    dispatch::{MemoryCluster, Request, RequestKind},
    transport::{Call, Link, Reply},
};

pub(super) struct MemoryGroupClient {
    link: Link,
    group_id: Arc<str>,
    next_request: u64,
    waiting: VecDeque<(RequestId, Waiting)>,
}

enum Waiting {
    Heartbeat(Call<HeartbeatResponse>),
    CommitOffsets(Call<()>),
    FetchOffsets(Call<Vec<OffsetToCommit>>),
    DescribeMember(Call<Option<MemberDescription>>),
}

impl MemoryGroupClient {
    pub(super) fn new(cluster: MemoryCluster, group_id: &str, waker: Arc<dyn Waker>) -> Self {
        MemoryGroupClient {
            link: Link::new(cluster, waker),
            group_id: group_id.into(),
            next_request: 0,
            waiting: VecDeque::new(),
        }
    }

    fn start(&self, request: GroupRequest) -> Waiting {
        let group_id = self.group_id.clone();
        match request {
            GroupRequest::Heartbeat(request) => Waiting::Heartbeat(self.link.call(Heartbeat { group_id, request })),
            GroupRequest::CommitOffsets { identity, offsets } => {
                Waiting::CommitOffsets(self.link.call(CommitOffsets { identity, offsets }))
            }
            GroupRequest::FetchOffsets {
                identity,
                partitions,
                require_stable,
            } => Waiting::FetchOffsets(self.link.call(FetchOffsets {
                group_id,
                identity,
                partitions,
                require_stable,
            })),
            GroupRequest::DescribeMember { member_id } => {
                Waiting::DescribeMember(self.link.call(DescribeMember { group_id, member_id }))
            }
        }
    }
}

/// A lost answer is an answer, too: the caller decides what it means.
fn answer<A>(
    link: &mut Link,
    call: &mut Call<A>,
    wrap: impl FnOnce(A) -> GroupResponse,
) -> Option<Result<GroupResponse>> {
    Some(match call.poll()? {
        Reply::Answer(answer) => answer.map(wrap),
        Reply::Lost(trouble) => {
            link.lost(call);
            Err(trouble.error(ErrorClass::Retry))
        }
    })
}

impl GroupClient for MemoryGroupClient {
    fn send(&mut self, request: GroupRequest) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let waiting = self.start(request);
        self.waiting.push_back((id, waiting));
        if self.link.cluster.network().is_none() {
            self.link.waker.wake();
        }
        id
    }

    fn poll(&mut self) -> Option<(RequestId, Result<GroupResponse>)> {
        let link = &mut self.link;
        let (at, answer) = self.waiting.iter_mut().enumerate().find_map(|(at, (_, waiting))| {
            let answer = match waiting {
                Waiting::Heartbeat(call) => answer(link, call, GroupResponse::Heartbeat),
                Waiting::CommitOffsets(call) => answer(link, call, |()| GroupResponse::CommitOffsets),
                Waiting::FetchOffsets(call) => answer(link, call, GroupResponse::FetchOffsets),
                Waiting::DescribeMember(call) => answer(link, call, GroupResponse::Member),
            };
            Some((at, answer?))
        })?;
        let (id, _) = self.waiting.remove(at)?;
        Some((id, answer))
    }
}

#[derive(Clone)]
struct Heartbeat {
    group_id: Arc<str>,
    request: HeartbeatRequest,
}

impl Request for Heartbeat {
    type Answer = HeartbeatResponse;
    const KIND: RequestKind = RequestKind::Heartbeat;

    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<HeartbeatResponse> {
        broker.heartbeat(&self.group_id, &self.request, now_ms)
    }

    fn describe(&self) -> String {
        let HeartbeatRequest {
            member_id,
            member_epoch,
            owned,
            ..
        } = &self.request;
        let list = |tasks: &[TaskId]| {
            let names: Vec<String> = tasks
                .iter()
                .map(|t| format!("{}_{}", t.subtopology, t.partition))
                .collect();
            names.join(" ")
        };
        let owned = owned
            .as_ref()
            .map_or_else(|| "unchanged".into(), |o| format!("[{}]", list(&o.active)));
        format!("{member_id} epoch {member_epoch} owns {owned}")
    }
}

#[derive(Clone)]
struct CommitOffsets {
    identity: GroupIdentity,
    offsets: Vec<OffsetToCommit>,
}

impl Request for CommitOffsets {
    type Answer = ();
    const KIND: RequestKind = RequestKind::CommitOffsets;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<()> {
        broker.commit_offsets(&self.identity, &self.offsets)
    }
}

#[derive(Clone)]
struct FetchOffsets {
    group_id: Arc<str>,
    identity: Option<GroupIdentity>,
    partitions: Vec<TopicPartition>,
    require_stable: bool,
}

impl Request for FetchOffsets {
    type Answer = Vec<OffsetToCommit>;
    const KIND: RequestKind = RequestKind::FetchOffsets;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<Vec<OffsetToCommit>> {
        let FetchOffsets {
            group_id,
            identity,
            partitions,
            require_stable,
        } = self;
        broker
            .groups
            .fetch_offsets(&group_id, identity.as_ref(), &partitions, require_stable)
    }
}

#[derive(Clone)]
struct DescribeMember {
    group_id: Arc<str>,
    member_id: String,
}

impl Request for DescribeMember {
    type Answer = Option<MemberDescription>;
    const KIND: RequestKind = RequestKind::DescribeMember;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<Option<MemberDescription>> {
        Ok(broker.groups.describe_member(&self.group_id, &self.member_id))
    }

    fn describe(&self) -> String {
        self.member_id.clone()
    }
}
