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
    /// Sessions that end after `gap` without records; a gap of 0 joins records of one millisecond. Without grace.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let kept = Materialized::named("visits").retention(hours(2));
    /// let visits = SessionWindows::of(minutes(30));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(visits).count_with(kept);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for minute in [0, 10, 40, 80] {
    ///     input.at_ms(minute * 60_000).pipe("a", 1)?;
    /// }
    /// let visits = driver.session_store("visits", StringSerde, I64Serde)?.fetch(&"a".into())?;
    /// let clicks: Vec<i64> = visits.into_iter().map(|(_, clicks)| clicks).collect();
    /// assert_eq!(clicks, [3, 1], "half an hour of silence goes on, 40 minutes begin another visit");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofInactivityGapWithNoGrace")]
    pub fn of(gap: Duration) -> Self {
        Self {
            gap_ms: whole_millis(gap),
            grace_ms: 0,
        }
    }
    /// How long after its end and the gap, in stream time, a session still takes late records. Default: zero, they are
    /// dropped.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let visits = SessionWindows::of(seconds(10)).grace(minutes(1));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(visits).count_with("visits");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [100_000, 150_000, 105_000] {
    ///     input.at_ms(time).pipe("a", 1)?; // the last one is late, and still extends the first session
    /// }
    /// let visits = driver.session_store("visits", StringSerde, I64Serde)?.fetch(&"a".into())?;
    /// assert_eq!(visits[0], (Window { start: 100_000, end: 105_000 }, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofInactivityGapAndGrace")]
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = whole_millis(grace);
        self
    }
}
