//! The four heartbeats a member sends: join, plain, with lists, leave.
use super::MemberConfig;
use crate::cluster::{HeartbeatRequest, TaskLists};

/// Epoch that means "take me in".
pub(super) const JOIN: i32 = 0;
const LEAVE: i32 = -1;
/// Endpoint epoch that always gets the list of endpoints.
const NO_ENDPOINTS_YET: i32 = -1;

/// Everything about the member; lists empty (not null), as the broker demands of a join.
pub(super) fn join(config: &MemberConfig) -> HeartbeatRequest {
    HeartbeatRequest {
        member_id: config.member_id.clone(),
        member_epoch: JOIN,
        endpoint_epoch: NO_ENDPOINTS_YET,
        rebalance_timeout_ms: config.rebalance_timeout_ms,
        topology: Some(config.topology.clone()),
        owned: Some(TaskLists::default()),
        process_id: Some(config.process_id.clone()),
        user_endpoint: config.user_endpoint.clone(),
        client_tags: Some(config.client_tags.clone()),
        shutdown_application: false,
    }
}

/// "I am alive", and with `owned` "this is what I have now".
pub(super) fn beat(
    config: &MemberConfig,
    epoch: i32,
    endpoint_epoch: i32,
    owned: Option<TaskLists>,
) -> HeartbeatRequest {
    HeartbeatRequest {
        member_id: config.member_id.clone(),
        member_epoch: epoch,
        endpoint_epoch,
        rebalance_timeout_ms: -1,
        owned,
        ..HeartbeatRequest::default()
    }
}

pub(super) fn leave(config: &MemberConfig, endpoint_epoch: i32) -> HeartbeatRequest {
    beat(config, LEAVE, endpoint_epoch, None)
}
