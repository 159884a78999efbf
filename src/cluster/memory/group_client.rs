//! The client of a group's coordinator: requests in, answers out, in order.
use std::{collections::VecDeque, sync::Arc};

use super::{
    super::{
        GroupClient, GroupIdentity, GroupRequest, GroupResponse, HeartbeatRequest, HeartbeatResponse, OffsetToCommit,
        RequestId, Result, TopicPartition, Waker,
    },
    broker::Broker,
    dispatch::{MemoryCluster, Request, RequestKind},
};

pub(super) struct MemoryGroupClient {
    cluster: MemoryCluster,
    group_id: Arc<str>,
    waker: Arc<dyn Waker>,
    next_request: u64,
    answers: VecDeque<(RequestId, Result<GroupResponse>)>,
}

impl MemoryGroupClient {
    pub(super) fn new(cluster: MemoryCluster, group_id: &str, waker: Arc<dyn Waker>) -> Self {
        MemoryGroupClient {
            cluster,
            group_id: group_id.into(),
            waker,
            next_request: 0,
            answers: VecDeque::new(),
        }
    }

    fn answer(&self, request: GroupRequest) -> Result<GroupResponse> {
        let group_id = &*self.group_id;
        match request {
            GroupRequest::Heartbeat(request) => {
                let heartbeat = Heartbeat { group_id, request };
                self.cluster.dispatch(heartbeat).map(GroupResponse::Heartbeat)
            }
            GroupRequest::CommitOffsets { identity, offsets } => {
                let commit = CommitOffsets { identity, offsets };
                self.cluster.dispatch(commit).map(|()| GroupResponse::CommitOffsets)
            }
            GroupRequest::FetchOffsets {
                identity,
                partitions,
                require_stable,
            } => {
                let fetch = FetchOffsets {
                    group_id,
                    identity,
                    partitions,
                    require_stable,
                };
                self.cluster.dispatch(fetch).map(GroupResponse::FetchOffsets)
            }
        }
    }
}

impl GroupClient for MemoryGroupClient {
    fn send(&mut self, request: GroupRequest) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let answer = self.answer(request);
        self.answers.push_back((id, answer));
        self.waker.wake();
        id
    }

    fn poll(&mut self) -> Option<(RequestId, Result<GroupResponse>)> {
        self.answers.pop_front()
    }
}

struct Heartbeat<'a> {
    group_id: &'a str,
    request: HeartbeatRequest,
}

impl Request for Heartbeat<'_> {
    type Answer = HeartbeatResponse;
    const KIND: RequestKind = RequestKind::Heartbeat;

    fn apply(self, broker: &mut Broker, now_ms: i64) -> Result<HeartbeatResponse> {
        broker.heartbeat(self.group_id, &self.request, now_ms)
    }
}

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

struct FetchOffsets<'a> {
    group_id: &'a str,
    identity: Option<GroupIdentity>,
    partitions: Vec<TopicPartition>,
    require_stable: bool,
}

impl Request for FetchOffsets<'_> {
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
            .fetch_offsets(group_id, identity.as_ref(), &partitions, require_stable)
    }
}
