//! Tumbling and hopping windows: fixed length, aligned to the epoch.
use std::time::Duration;

use super::{Window, Windows, whole_millis};

/// Windows of a fixed length, aligned to the epoch: `[start, start + size)`.
///
/// Tumbling by default: each moment is in one window. With [`advance_by`](Self::advance_by) hopping: windows overlap.
/// No grace by default: a window closes at its end. Kafka Streams: `TimeWindows.ofSizeAndGrace`.
///
/// ```
/// use millstream_dsl::window::{TimeWindows, minutes, seconds};
/// let per_minute = TimeWindows::of(minutes(1)).grace(seconds(5));
/// let sliding_average = TimeWindows::of(minutes(5)).advance_by(minutes(1));
/// # let _ = (per_minute, sliding_average);
/// ```
#[doc(alias = "ofSizeWithNoGrace")]
#[doc(alias = "ofSizeAndGrace")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
}

impl TimeWindows {
    /// Tumbling windows of `size`, without grace. A size below one millisecond is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let kept = Materialized::named("per-minute").retention(hours(1));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(minutes(1))).count_with(kept);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [5_000, 59_999, 60_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("per-minute", StringSerde, I64Serde)?;
    /// let (first, second) = (Window { start: 0, end: 60_000 }, Window { start: 60_000, end: 120_000 });
    /// assert_eq!(counts.fetch(&"a".into(), 0, 60_000)?, [(first, 2), (second, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofSizeWithNoGrace")]
    pub fn of(size: Duration) -> Self {
        let size_ms = whole_millis(size);
        Self {
            size_ms,
            advance_ms: size_ms,
            grace_ms: 0,
        }
    }
    /// Hopping windows: one starts every `interval`, so that a record is in several of them. Default: the size. An
    /// interval below one millisecond or above the size is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let last_ten_minutes = TimeWindows::of(minutes(10)).advance_by(minutes(5));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(last_ten_minutes).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(12 * 60_000).pipe("a", 1)?;
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?.all()?;
    /// let starts: Vec<i64> = counts.iter().map(|(key, _)| key.window.start / 60_000).collect();
    /// assert_eq!(starts, [5, 10], "in the window from minute 5 and in the one from minute 10");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "advanceBy")]
    #[must_use]
    pub fn advance_by(mut self, interval: Duration) -> Self {
        self.advance_ms = whole_millis(interval);
        self
    }
    /// How long after its end, in stream time, a window still takes late records. Default: zero, they are dropped.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let windows = TimeWindows::of(seconds(10)).grace(seconds(5));
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [9_000, 14_000, 8_000, 15_000, 7_000] {
    ///     input.at_ms(time).pipe("a", 1)?; // 8 s is late, but within the grace; 7 s comes when the window is closed
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 0)?, Some(2));
    /// assert_eq!(driver.dropped_records(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ofSizeAndGrace")]
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = whole_millis(grace);
        self
    }
}

impl Windows for TimeWindows {
    fn each<E>(&self, timestamp: i64, mut f: impl FnMut(Window) -> Result<(), E>) -> Result<(), E> {
        if self.advance_ms <= 0 {
            return Ok(());
        }
        // Starts are never negative: windows that began before the epoch do not exist.
        let earliest = timestamp
            .saturating_sub(self.size_ms)
            .saturating_add(self.advance_ms)
            .max(0);
        let mut start = earliest / self.advance_ms * self.advance_ms;
        while start <= timestamp {
            f(Window {
                start,
                end: start.saturating_add(self.size_ms),
            })?;
            match start.checked_add(self.advance_ms) {
                Some(next) => start = next,
                None => break,
            }
        }
        Ok(())
    }
    fn size_ms(&self) -> i64 {
        self.size_ms
    }
    fn grace_ms(&self) -> i64 {
        self.grace_ms
    }
    fn closes(&self) -> bool {
        true
    }
    fn problem(&self) -> Option<String> {
        if self.size_ms <= 0 {
            return Some("the size of a window must be at least one millisecond".to_owned());
        }
        (self.advance_ms <= 0 || self.advance_ms > self.size_ms).then(|| {
            format!(
                "windows of {} ms must advance by 1 to {0} ms, not by {} ms",
                self.size_ms, self.advance_ms
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{millis, seconds};

    fn windows(windows: TimeWindows, timestamp: i64) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        let _ = windows.each::<()>(timestamp, |w| {
            found.push((w.start, w.end));
            Ok(())
        });
        found
    }

    #[test]
    fn a_moment_is_in_one_tumbling_window_whose_end_is_exclusive() {
        let tumbling = TimeWindows::of(millis(10));
        assert_eq!(windows(tumbling, 0), [(0, 10)]);
        assert_eq!(windows(tumbling, 9), [(0, 10)]);
        assert_eq!(windows(tumbling, 10), [(10, 20)]);
    }

    #[test]
    fn hopping_windows_overlap_and_never_begin_before_the_epoch() {
        let hopping = TimeWindows::of(millis(12)).advance_by(millis(5));
        assert_eq!(windows(hopping, 21), [(10, 22), (15, 27), (20, 32)]);
        assert_eq!(windows(hopping, 3), [(0, 12)]);
    }

    #[test]
    fn the_last_moments_of_time_have_a_window() {
        assert_eq!(
            windows(TimeWindows::of(seconds(1)), i64::MAX),
            [(i64::MAX / 1000 * 1000, i64::MAX)]
        );
    }

    #[test]
    fn broken_definitions_are_told() {
        assert!(TimeWindows::of(millis(0)).problem().is_some());
        assert!(TimeWindows::of(millis(5)).advance_by(millis(6)).problem().is_some());
        assert!(TimeWindows::of(millis(5)).advance_by(millis(0)).problem().is_some());
        assert_eq!(TimeWindows::of(millis(5)).advance_by(millis(5)).problem(), None);
    }
}
