//! Windows of activity.
use std::time::Duration;

use super::whole_millis;

/// Sessions: records of a key belong together as long as no gap between them is longer than the inactivity gap.
/// Both ends are inclusive. No grace by default. Kafka Streams: `SessionWindows.ofInactivityGapAndGrace`.
#[doc(alias = "ofInactivityGapWithNoGrace")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    pub(crate) gap_ms: i64,
    pub(crate) grace_ms: i64,
}
impl SessionWindows {
    /// Sessions that end after `gap` without records; a gap of 0 joins records of one millisecond.
    pub fn of(gap: Duration) -> Self {
        Self {
            gap_ms: whole_millis(gap),
            grace_ms: 0,
        }
    }
    /// How long a session still takes late records.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = whole_millis(grace);
        self
    }
}
