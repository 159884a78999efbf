//! What the commit protocol needs from the outside world, and nothing more.

use crate::cluster::{ClusterError, GroupIdentity, GroupRequest, GroupResponse, OffsetToCommit, RequestId, Step};

type Result<T> = std::result::Result<T, ClusterError>;

/// Effects of the commit protocol. Everything is polled, nothing blocks.
pub(crate) trait CommitIo {
    /// Drops the producer and makes a new one with the same transactional id.
    fn renew_producer(&mut self) -> Result<()>;
    fn poll_init_transactions(&mut self) -> Result<Step<()>>;
    /// Begins a transaction unless one is open.
    fn ensure_begun(&mut self) -> Result<()>;
    fn poll_flush(&mut self) -> Result<Step<()>>;
    fn poll_commit(&mut self, offsets: &[OffsetToCommit], identity: &GroupIdentity) -> Result<Step<()>>;
    /// After a successful commit: no request of the transaction can still take effect.
    fn is_settled(&self) -> bool;
    fn send(&mut self, request: GroupRequest) -> RequestId;
    /// The answer to one request, once.
    fn answer(&mut self, id: RequestId) -> Option<Result<GroupResponse>>;
    /// Who we are now; None while we are not a member.
    fn identity(&self) -> Option<GroupIdentity>;
}
