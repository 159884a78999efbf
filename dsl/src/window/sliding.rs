//! Windows that move with the records.
use std::time::Duration;

use super::whole_millis;

/// Windows around records: two records are in one window when their times differ by at most the difference.
/// Both ends are inclusive. No grace by default. Kafka Streams: `SlidingWindows.ofTimeDifferenceAndGrace`.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let windows = SlidingWindows::of(millis(10)).grace(millis(100));
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for time in [100, 107] {
///     input.at_ms(time).pipe("a", 1)?;
/// }
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?.fetch(&"a".into(), 0, 1_000)?;
/// let starts: Vec<(i64, i64)> = counts.iter().map(|(window, n)| (window.start, *n)).collect();
/// assert_eq!(starts, [(90, 1), (97, 2), (101, 1)], "up to 100, up to 107, and behind 100");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "ofTimeDifferenceWithNoGrace")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    pub(crate) difference_ms: i64,
    pub(crate) grace_ms: i64,
}
impl SlidingWindows {
    /// Windows `[t, t + difference]`, without grace: there is one for each set of records that are at most `difference`
    /// apart. A difference of less than a millisecond is an error ([`InvalidArgument`](crate::engine::ProcessErrorKind::InvalidArgument))
    /// of each record, as in Kafka Streams.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let windows = SlidingWindows::of(seconds(10));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [60_000, 70_000, 80_001] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 60_000)?, Some(2), "10 s apart: together");
    /// assert_eq!(counts.get(&"a".into(), 70_001)?, Some(1), "a millisecond more: not");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofTimeDifferenceWithNoGrace")]
    pub fn of(difference: Duration) -> Self {
        Self {
            difference_ms: whole_millis(difference),
            grace_ms: 0,
        }
    }
    /// How long after its end, in stream time, a window still takes late records. Default: zero, they are dropped.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let windows = SlidingWindows::of(seconds(10)).grace(seconds(5));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [60_000, 64_000, 58_000] {
    ///     input.at_ms(time).pipe("a", 1)?; // 58 s is late, but within the grace
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 50_000)?, Some(2), "[50 s, 60 s] has got the late one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofTimeDifferenceAndGrace")]
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = whole_millis(grace);
        self
    }
}
