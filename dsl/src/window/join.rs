//! Which records of the other stream does a record meet?
use std::time::Duration;

use super::whole_millis;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A record meets the records of the other stream whose time is in `[time - before, time + after]`, both inclusive.
/// No grace by default. Kafka Streams: `JoinWindows.ofTimeDifferenceAndGrace`.
///
/// ```
/// use millstream_dsl::window::{JoinWindows, minutes, seconds};
/// // The right record is at most a minute older and at most ten seconds younger than the left one.
/// let windows = JoinWindows::of(minutes(1)).after(seconds(10)).grace(seconds(5));
/// # let _ = windows;
/// ```
#[doc(alias = "ofTimeDifferenceWithNoGrace")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindows {
    pub(crate) before_ms: i64,
    pub(crate) after_ms: i64,
    pub(crate) grace_ms: i64,
    /// A record without a partner has its result when it comes, and not when its window closes.
    pub(crate) at_once: bool,
}

impl JoinWindows {
    /// Times differ by at most `difference`, to either side. Without grace.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let views = builder.stream::<String, i64>("in");
    /// # let clicks = builder.stream::<String, i64>("clicks");
    /// views.join_stream(&clicks, |view, click| view * 10 + click, JoinWindows::of(seconds(10))).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(20_000).pipe("a", 1)?;
    /// for (click, time) in [(1, 9_999), (2, 10_000), (3, 30_000), (4, 30_001)] {
    ///     driver.input("clicks", StringSerde, I64Serde)?.at_ms(time).pipe("a", click)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [12, 13]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofTimeDifferenceWithNoGrace")]
    pub fn of(difference: Duration) -> Self {
        let ms = whole_millis(difference);
        Self {
            before_ms: ms,
            after_ms: ms,
            grace_ms: 0,
            at_once: false,
        }
    }
    /// The windows of old applications: `JoinWindows.of` of Kafka Streams, deprecated since 3.1. A left or outer join gives
    /// a record its result without a partner when the record comes, and another result when a partner comes later. The
    /// grace is what is left of a day, unless [`grace`](Self::grace) says otherwise.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// builder
    ///     .stream::<String, String>("views")
    ///     .left_join_stream(&clicks, |view, click| format!("{view}>{click:?}"), JoinWindows::legacy(seconds(10)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("views", "k".to_owned(), "v".to_owned(), 1_000)?;
    /// runner.pipe_at("clicks", "k".to_owned(), "c".to_owned(), 2_000)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("k".to_owned(), "v>None".to_owned()), ("k".to_owned(), "v>Some(\"c\")".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn legacy(difference: Duration) -> Self {
        let windows = Self::of(difference);
        Self {
            grace_ms: DAY_MS.saturating_sub(windows.size_ms()).max(0),
            at_once: true,
            ..windows
        }
    }
    /// The record of the other stream is at most this much older. Default: the difference given to [`of`](Self::of).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// # let payments = builder.stream::<String, i64>("payments");
    /// // A payment may come an hour before its order, but only ten seconds behind it.
    /// let windows = JoinWindows::of(seconds(10)).before(hours(1));
    /// orders.join_stream(&payments, |order, payment| order * 10 + payment, windows).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (payment, time) in [(1, 1_000_000), (2, 3_995_000), (3, 4_000_001)] {
    ///     driver.input("payments", StringSerde, I64Serde)?.at_ms(time).pipe("a", payment)?;
    /// }
    /// input.at_ms(3_990_000).pipe("a", 7)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [71, 72]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn before(mut self, difference: Duration) -> Self {
        self.before_ms = whole_millis(difference);
        self
    }
    /// The record of the other stream is at most this much younger. Default: the difference given to [`of`](Self::of).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// # let payments = builder.stream::<String, i64>("payments");
    /// // A payment may come an hour behind its order, but only ten seconds before it.
    /// let windows = JoinWindows::of(seconds(10)).after(hours(1));
    /// orders.join_stream(&payments, |order, payment| order * 10 + payment, windows).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(100_000).pipe("a", 7)?;
    /// for (payment, time) in [(1, 89_999), (2, 90_000), (3, 3_700_000)] {
    ///     driver.input("payments", StringSerde, I64Serde)?.at_ms(time).pipe("a", payment)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [72, 73]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn after(mut self, difference: Duration) -> Self {
        self.after_ms = whole_millis(difference);
        self
    }
    /// The record of the other stream is at least this much older than the record: the window ends before it. Kafka
    /// Streams: `after` with a negative difference. A window that would end before it starts is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let alarms = builder.stream::<String, i64>("in");
    /// # let readings = builder.stream::<String, i64>("readings");
    /// // What was measured between a minute and ten seconds before the alarm.
    /// let windows = JoinWindows::of(minutes(1)).ends_before(seconds(10));
    /// alarms.join_stream(&readings, |_, reading| *reading, windows).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (reading, time) in [(1, 30_000), (2, 90_000), (3, 90_001)] {
    ///     driver.input("readings", StringSerde, I64Serde)?.at_ms(time).pipe("a", reading)?;
    /// }
    /// input.at_ms(100_000).pipe("a", 0)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ends_before(mut self, difference: Duration) -> Self {
        self.after_ms = -whole_millis(difference);
        self
    }
    /// The record of the other stream is at least this much younger than the record: the window starts behind it. Kafka
    /// Streams: `before` with a negative difference. A window that would end before it starts is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let starts = builder.stream::<String, i64>("in");
    /// # let readings = builder.stream::<String, i64>("readings");
    /// // What is measured between ten seconds and a minute after the start of a machine.
    /// let windows = JoinWindows::of(minutes(1)).starts_after(seconds(10));
    /// starts.join_stream(&readings, |_, reading| *reading, windows).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(100_000).pipe("a", 0)?;
    /// for (reading, time) in [(1, 109_999), (2, 110_000), (3, 160_001)] {
    ///     driver.input("readings", StringSerde, I64Serde)?.at_ms(time).pipe("a", reading)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn starts_after(mut self, difference: Duration) -> Self {
        self.before_ms = -whole_millis(difference);
        self
    }
    /// How much longer, in stream time, records wait for late ones of the other stream. Default: zero. The results
    /// without a partner of left and outer joins wait for it, too.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let views = builder.stream::<String, i64>("in");
    /// # let clicks = builder.stream::<String, i64>("clicks");
    /// let windows = JoinWindows::of(seconds(10)).grace(minutes(5));
    /// views.join_stream(&clicks, |view, click| view * 10 + click, windows).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for (view, time) in [(1, 20_000), (2, 120_000)] {
    ///     input.at_ms(time).pipe("a", view)?;
    /// }
    /// driver.input("clicks", StringSerde, I64Serde)?.at_ms(21_000).pipe("a", 5)?; // 99 seconds late
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [15]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofTimeDifferenceAndGrace")]
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = whole_millis(grace);
        self
    }
    /// How long a record may have to be looked up, without the grace, in milliseconds.
    pub(crate) fn size_ms(&self) -> i64 {
        self.before_ms.saturating_add(self.after_ms)
    }
    pub(crate) fn retention_ms(&self) -> i64 {
        self.size_ms().saturating_add(self.grace_ms)
    }
    pub(crate) fn problem(&self) -> Option<String> {
        let Self {
            before_ms,
            after_ms,
            grace_ms,
            ..
        } = self;
        if self.retention_ms() == i64::MAX {
            return Some(format!(
                "windows of {before_ms} ms before and {after_ms} ms after with a grace of {grace_ms} ms are longer than time"
            ));
        }
        (self.size_ms() < 0).then(|| "the window of a join must not end before it starts".to_owned())
    }
    /// The same window, seen from the other stream.
    pub(crate) fn reversed(self) -> Self {
        Self {
            before_ms: self.after_ms,
            after_ms: self.before_ms,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::millis;

    #[test]
    fn the_other_side_sees_the_window_mirrored() {
        let windows = JoinWindows::of(millis(10)).after(millis(3)).grace(millis(2));
        assert_eq!((windows.reversed().before_ms, windows.reversed().after_ms), (3, 10));
        assert_eq!(windows.retention_ms(), 15);
    }

    #[test]
    fn a_window_may_lie_wholly_on_one_side_but_must_not_be_inverted() {
        assert_eq!(JoinWindows::of(millis(10)).ends_before(millis(5)).problem(), None);
        assert!(JoinWindows::of(millis(10)).ends_before(millis(11)).problem().is_some());
    }
}
