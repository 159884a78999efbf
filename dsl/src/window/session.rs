//! Windows of activity.
use std::time::Duration;

use super::whole_millis;

/// Sessions: records of a key belong together as long as no gap between them is longer than the inactivity gap.
/// Both ends are inclusive. No grace by default. Kafka Streams: `SessionWindows.ofInactivityGapAndGrace`.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let visits = SessionWindows::of(millis(10)).grace(millis(100));
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(visits).count_with("visits");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for time in [10, 40, 20] {
///     input.at_ms(time).pipe("a", 1)?; // 20 comes late, and joins the first one
/// }
/// let visits = driver.session_store("visits", StringSerde, I64Serde)?.fetch(&"a".into())?;
/// assert_eq!(visits, [(Window { start: 10, end: 20 }, 2), (Window { start: 40, end: 40 }, 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
