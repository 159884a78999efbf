//! Windows that move with the records.
use std::time::Duration;

use super::whole_millis;

/// Windows around records: two records are in one window when their times differ by at most the difference.
/// Both ends are inclusive. No grace by default. Kafka Streams: `SlidingWindows.ofTimeDifferenceAndGrace`.
#[doc(alias = "ofTimeDifferenceWithNoGrace")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    pub(crate) difference_ms: i64,
    pub(crate) grace_ms: i64,
}
impl SlidingWindows {
    /// Windows `[t, t + difference]`, without grace.
    pub fn of(difference: Duration) -> Self {
        Self {
            difference_ms: whole_millis(difference),
            grace_ms: 0,
        }
    }
    /// How long after its end a window still takes late records.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = whole_millis(grace);
        self
    }
}
