//! Who owns which task: one member of a streams group (KIP-1071), as a stepped machine.
//!
//! The machine reads no clock and does no I/O. Whoever drives it (a stream thread, the simulator) calls
//! [`Membership::step`] with the time and the answer of the heartbeat that was under way, carries out the
//! [`Action`]s it gets back, and calls again at [`Membership::next_wake_ms`] or when something happened.
//!
//! The rules behind it, as a real broker has them:
//! - an assignment is sent once, in the answer that changes it; an answer that may have been lost means that
//!   we no longer know what is ours (see `machine::Membership::on_failure`);
//! - a heartbeat may also be answered when nobody listens any more, so the group is asked now and then what it believes
//!   (see `audit`);
//! - lists count, epochs do not: an assignment may arrive without a new epoch and the other way round;
//! - only heartbeats carry news, so they are frequent while anything is unsettled (see [`Timing`]).
mod audit;
mod machine;
mod requests;
mod tasks;
#[cfg(test)]
mod tests;
mod timing;

use std::sync::Arc;

pub use machine::Membership;
pub use timing::Timing;

use crate::cluster::{ClusterError, HeartbeatRequest, TaskLists, TopologyDescription};

/// What a member is. Nothing of it may change while it lives, or the broker would rebalance the group.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// The group, i.e. the application id.
    pub group_id: String,
    /// Unique, kept for life (also across rejoins): a base64url UUID, as Java has it. One per stream thread.
    pub member_id: String,
    /// The process the member lives in: the UUID of the state directory. Never empty, or standbys land beside their actives.
    pub process_id: String,
    /// What the application consists of; every list in it sorted.
    pub topology: Arc<TopologyDescription>,
    /// How long giving tasks back may take before the broker removes the member. Kafka's default: 300 000.
    pub rebalance_timeout_ms: i32,
    /// Where interactive queries are answered (`application.server`).
    pub user_endpoint: Option<(String, u16)>,
    /// Rack-aware standby placement (`client.tag.*`).
    pub client_tags: Vec<(String, String)>,
    /// How often to beat.
    pub timing: Timing,
}

/// What the driver has to do. In the order given.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send it; hand the answer (or the error) to the next `step`. At most one is under way.
    Send(HeartbeatRequest),
    /// Ask for the [description](crate::cluster::GroupRequest::DescribeMember) of this member; hand the answer, or the error, to
    /// [`Membership::described`]. No heartbeat is under way meanwhile.
    Describe,
    /// Stop these tasks, commit them (with [`Membership::identity`]: still valid), close them; then
    /// [`Membership::acknowledge`] with what is still owned.
    /// No commit may be under way any more when it is acknowledged.
    Revoke(TaskLists),
    /// Create these tasks in addition to those owned; then [`Membership::acknowledge`] with all that are owned.
    Assign(TaskLists),
    /// All tasks belong to somebody else: drop them without committing, abort what is open; then
    /// [`Membership::acknowledge`] with nothing.
    Lost,
    /// What the group waits for, complete, whenever it changes; empty when all is well.
    Status(Vec<GroupStatus>),
    /// Nothing will help without a person. The machine is finished: tasks are to be closed (commits may still work).
    Fatal(ClusterError),
    /// The group has been left; the machine is finished.
    Left,
}

/// One line of a group's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// What it is about.
    pub code: StatusCode,
    /// The broker's words: names the topics.
    pub detail: String,
}

/// Status codes of KIP-1071.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusCode {
    /// The topology of this member is older than the group's; tasks are assigned all the same.
    StaleTopology,
    /// Source topics do not exist: all tasks are taken away until they do.
    MissingSourceTopics,
    /// Topics that are joined, or a changelog, have the wrong number of partitions.
    IncorrectlyPartitionedTopics,
    /// The broker is creating repartition or changelog topics, or failed to (the detail says why).
    MissingInternalTopics,
    /// A member asked all others to stop.
    ShutdownApplication,
    /// The broker waits for more members before it assigns.
    AssignmentDelayed,
    /// Newer than this library.
    Other(i8),
}

impl StatusCode {
    fn of(code: i8) -> Self {
        match code {
            0 => Self::StaleTopology,
            1 => Self::MissingSourceTopics,
            2 => Self::IncorrectlyPartitionedTopics,
            3 => Self::MissingInternalTopics,
            4 => Self::ShutdownApplication,
            5 => Self::AssignmentDelayed,
            other => Self::Other(other),
        }
    }
}
