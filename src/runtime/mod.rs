//! Drives the cores with real time and real I/O: stream threads, the state updater, the control thread, start and stop.
//!
//! Four kinds of threads, each around a stepped machine (`step(now)` says what to wait for), so that a simulator can drive the
//! same machines in one thread:
//! - [`stream`]: owns its tasks outright; fetches, processes, punctuates, commits.
//! - [`updater`]: opens and closes databases and restores them, so that no running task waits for another one's disk or changelog.
//! - [`globals`]: fills the global stores, before the stream threads begin and ever after.
//! - [`control`]: the heartbeats of all members of the process. Never waits for processing, and processing never waits for it.

pub(crate) mod assembly;
pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod globals;
pub(crate) mod link;
pub(crate) mod metrics;
pub(crate) mod spawn;
pub(crate) mod standby;
pub(crate) mod startup;
pub(crate) mod state_machine;
pub(crate) mod stream;
pub(crate) mod topology;
pub(crate) mod updater;
pub(crate) mod wake;

pub use metrics::{MetricsHandle, MetricsSnapshot};
pub use state_machine::State;

/// What a stepped machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is more to do at once.
    Again,
    /// Until woken, at most until then (time since the start of the clock).
    WaitUntil(std::time::Duration),
    /// It is over.
    Stopped,
}
