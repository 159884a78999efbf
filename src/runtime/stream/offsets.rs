//! The thread's own connection to the group coordinator: commits and fetches of offsets.

use rustc_hash::FxHashMap;

use crate::{
    cluster::{ClusterError, GroupClient, GroupIdentity, GroupRequest, GroupResponse, OffsetToCommit, RequestId, Step},
    commit::CommitIo,
    runtime::link::MemberShared,
    task::Output,
};

/// Keeps answers until somebody asks for them.
pub(super) struct OffsetClient {
    group: Box<dyn GroupClient>,
    answers: FxHashMap<RequestId, Result<GroupResponse, ClusterError>>,
    waiting: Vec<RequestId>,
}

impl OffsetClient {
    pub(super) fn new(group: Box<dyn GroupClient>) -> Self {
        Self {
            group,
            answers: FxHashMap::default(),
            waiting: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, request: GroupRequest) -> RequestId {
        let id = self.group.send(request);
        self.waiting.push(id);
        id
    }

    pub(super) fn pump(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        while let Some((id, answer)) = self.group.poll() {
            if self.waiting.contains(&id) {
                self.answers.insert(id, answer);
            }
        }
    }

    pub(super) fn answer(&mut self, id: RequestId) -> Option<Result<GroupResponse, ClusterError>> {
        let answer = self.answers.remove(&id)?;
        self.waiting.retain(|w| *w != id);
        Some(answer)
    }
}

/// The outside world of the commit machine.
pub(super) struct Io<'a> {
    pub(super) output: &'a Output,
    pub(super) offsets: &'a mut OffsetClient,
    pub(super) member: &'a MemberShared,
}

impl CommitIo for Io<'_> {
    fn renew_producer(&mut self) -> Result<(), ClusterError> {
        self.output.renew()
    }
    fn poll_init_transactions(&mut self) -> Result<Step<()>, ClusterError> {
        self.output.poll_init_transactions()
    }
    fn ensure_begun(&mut self) -> Result<(), ClusterError> {
        self.output.ensure_begun()
    }
    fn poll_flush(&mut self) -> Result<Step<()>, ClusterError> {
        self.output.poll_flush()
    }
    fn poll_commit(&mut self, offsets: &[OffsetToCommit], identity: &GroupIdentity) -> Result<Step<()>, ClusterError> {
        self.output.poll_commit(offsets, identity)
    }
    fn is_settled(&self) -> bool {
        self.output.is_settled()
    }
    fn send(&mut self, request: GroupRequest) -> RequestId {
        self.offsets.send(request)
    }
    fn answer(&mut self, id: RequestId) -> Option<Result<GroupResponse, ClusterError>> {
        self.offsets.pump();
        self.offsets.answer(id)
    }
    fn identity(&self) -> Option<GroupIdentity> {
        self.member.identity()
    }
}
