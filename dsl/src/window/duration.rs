//! Short names for lengths of time.
use std::time::Duration;

/// `n` milliseconds.
///
/// ```
/// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// # let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(millis(250))).count_with("counts");
/// # let driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(999).pipe("a", 1)?;
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.all()?[0].0.window, Window { start: 750, end: 1_000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
/// `n` seconds.
///
/// ```
/// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// # let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(seconds(5))).count_with("counts");
/// # let driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(12_000).pipe("a", 1)?;
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.all()?[0].0.window, Window { start: 10_000, end: 15_000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
/// `n` minutes.
///
/// ```
/// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// # let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(minutes(1))).count_with("counts");
/// # let driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(90_000).pipe("a", 1)?;
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.all()?[0].0.window, Window { start: 60_000, end: 120_000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}
/// `n` hours.
///
/// ```
/// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// # let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(hours(1))).count_with("counts");
/// # let driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(3_600_001).pipe("a", 1)?;
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.all()?[0].0.window, Window { start: 3_600_000, end: 7_200_000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(3_600))
}
/// `n` days of 24 hours. Windows of days begin at midnight UTC.
///
/// ```
/// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// # let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(TimeWindows::of(days(1))).count_with("counts");
/// # let driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(86_400_001).pipe("a", 1)?;
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.all()?[0].0.window, Window { start: 86_400_000, end: 172_800_000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

/// Whole milliseconds; what is longer than `i64` can say is as long as it can say.
pub(crate) fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_a_millisecond_are_cut_and_eternity_is_bounded() {
        assert_eq!(whole_millis(Duration::from_micros(1_999)), 1);
        assert_eq!(whole_millis(Duration::MAX), i64::MAX);
        assert_eq!(whole_millis(days(1)), 24 * 3_600_000);
    }
}
