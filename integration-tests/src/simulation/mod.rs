//! Which applications are simulated, and what must their output be? Each seed draws a scenario with settings of its own; the
//! output is compared, element by element, with a reference fold computed from the input alone.

mod batch;
mod scenarios;

pub use batch::{Batch, Tally, run_batch};
pub use scenarios::{Scenario, Verify, scenario};

/// Events that a large enough batch of seeds must have seen: a fault that never struck proves nothing.
pub const MUST_HAPPEN: [&str; 36] = [
    "EndTxn arrives late",
    "InitProducerId arrives late",
    "Produce arrives late",
    "a thread stalled",
    "abort",
    "administration without answer",
    "answer lost",
    "answer of EndTxn lost",
    "answer of Produce lost",
    "answer of a heartbeat lost",
    "commit",
    "coordinator or leader moves",
    "cut off",
    "everything stood still",
    "input of an aborted transaction",
    "killed in an open transaction",
    "killed outside of transactions",
    "late EndTxn refused",
    "member fenced",
    "offsets unstable",
    "paused",
    "paused beyond its session",
    "power cut that lost state",
    "producer fenced",
    "record restored",
    "refused: coordinator or leader has moved",
    "request arrives late",
    "request lost",
    "request of a cut-off instance",
    "row of state compared with its changelog",
    "session expired",
    "slow message",
    "state directory lost",
    "stopped in order",
    "storm",
    "transaction timed out",
];
