//! The one window that never closes.
use super::{Window, Windows};

/// One window without an end, from a start on; earlier records are in no window. Kafka Streams: `UnlimitedWindows`.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let since = UnlimitedWindows::of().start_on(1_000);
/// builder.stream::<String, i64>("in").group_by_key().windowed_by(since).count_with("counts");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for time in [500, 1_000, 90_000] {
///     input.at_ms(time).pipe("a", 1)?;
/// }
/// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
/// assert_eq!(counts.get(&"a".into(), 1_000)?, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlimitedWindows {
    start_ms: i64,
}

impl UnlimitedWindows {
    /// The window of all time since the epoch: an aggregation per key whose result has a windowed key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(UnlimitedWindows::of()).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [0, 86_400_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 0)?, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of() -> Self {
        Self::default()
    }
    /// Starts at `timestamp_ms`, milliseconds since the epoch; earlier records are in no window. Default: 0. A negative
    /// one is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let since_the_launch = UnlimitedWindows::of().start_on(5_000);
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(since_the_launch).count_with("counts");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [4_999, 5_000, 9_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let counts = driver.window_store("counts", StringSerde, I64Serde)?;
    /// assert_eq!(counts.get(&"a".into(), 5_000)?, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "startOn")]
    #[must_use]
    pub fn start_on(mut self, timestamp_ms: i64) -> Self {
        self.start_ms = timestamp_ms;
        self
    }
}

impl Windows for UnlimitedWindows {
    fn each<E>(&self, timestamp: i64, mut f: impl FnMut(Window) -> Result<(), E>) -> Result<(), E> {
        if timestamp < self.start_ms {
            return Ok(());
        }
        f(Window {
            start: self.start_ms,
            end: i64::MAX,
        })
    }
    fn size_ms(&self) -> i64 {
        i64::MAX
    }
    fn grace_ms(&self) -> i64 {
        0
    }
    fn closes(&self) -> bool {
        false
    }
    fn problem(&self) -> Option<String> {
        (self.start_ms < 0).then(|| "a window cannot start before the epoch".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_everything_from_its_start() {
        let windows = UnlimitedWindows::of().start_on(5);
        let count = |t| {
            let mut n = 0;
            let _ = windows.each::<()>(t, |_| {
                n += 1;
                Ok(())
            });
            n
        };
        assert_eq!((count(4), count(5), count(i64::MAX)), (0, 1, 1));
        assert!(UnlimitedWindows::of().start_on(-1).problem().is_some());
    }
}
