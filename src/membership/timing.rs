//! When to beat next: the broker's interval is advice, and only heartbeats carry news.

/// Heartbeat intervals, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// While something is unsettled, for the first [`Timing::eager_for_ms`]. Default 100.
    pub eager_interval_ms: i64,
    /// How long eagerly. Default 5 000.
    pub eager_for_ms: i64,
    /// While something is still unsettled after that. Default 500.
    pub unsettled_interval_ms: i64,
    /// After that long it counts as settled: an idle member, or a topic nobody creates. Default 60 000.
    pub unsettled_for_ms: i64,
    /// When all is well; the broker's interval if that is shorter. A second halves the time a joining member
    /// waits for the one that has to give tasks away and cannot know. Default 1 000.
    pub steady_interval_ms: i64,
    /// First wait after a failed heartbeat, doubled up to `steady_interval_ms`. Default 100.
    pub retry_ms: i64,
    /// How long after joining, or after a heartbeat without an answer, the group is asked what it believes; each next look waits
    /// twice as long. Default 5 000.
    pub first_look_ms: i64,
    /// The longest wait between two looks. Default 300 000.
    pub longest_look_ms: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            eager_interval_ms: 100,
            eager_for_ms: 5_000,
            unsettled_interval_ms: 500,
            unsettled_for_ms: 60_000,
            steady_interval_ms: 1_000,
            retry_ms: 100,
            first_look_ms: 5_000,
            longest_look_ms: 300_000,
        }
    }
}

impl Timing {
    /// The wait after a successful answer. `unsettled_ms`: for how long something has been unsettled, None: nothing is.
    pub(super) fn interval_ms(&self, unsettled_ms: Option<i64>, broker_interval_ms: i64) -> i64 {
        let steady = match broker_interval_ms {
            broker if broker > 0 => self.steady_interval_ms.min(broker),
            _ => self.steady_interval_ms,
        };
        match unsettled_ms {
            Some(for_ms) if for_ms < self.eager_for_ms => self.eager_interval_ms,
            Some(for_ms) if for_ms < self.unsettled_for_ms => self.unsettled_interval_ms,
            _ => steady,
        }
    }

    /// The wait after the `failures`-th failure in a row (from 1).
    pub(super) fn retry_ms(&self, failures: u32) -> i64 {
        let doublings = failures.saturating_sub(1).min(6);
        (self.retry_ms << doublings).min(self.steady_interval_ms.max(self.retry_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::Timing;

    #[test]
    fn beats_fast_then_slower_then_steady() {
        let timing = Timing::default();
        assert_eq!(timing.interval_ms(Some(0), 5_000), 100);
        assert_eq!(timing.interval_ms(Some(4_999), 5_000), 100);
        assert_eq!(timing.interval_ms(Some(5_000), 5_000), 500);
        assert_eq!(timing.interval_ms(Some(60_000), 5_000), 1_000);
        assert_eq!(timing.interval_ms(None, 5_000), 1_000);
        assert_eq!(timing.interval_ms(None, 300), 300);
        assert_eq!(timing.interval_ms(None, 0), 1_000);
    }

    #[test]
    fn retries_back_off_to_the_steady_interval() {
        let timing = Timing::default();
        let waits: Vec<i64> = (1..=6).map(|n| timing.retry_ms(n)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
    }
}
