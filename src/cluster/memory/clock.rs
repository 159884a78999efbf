//! What time is it in the cluster? Injected, so that a test or a simulator moves time itself.
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// The cluster's only source of time: record timestamps, time-outs and retention follow it.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. Must not go backwards.
    fn now_ms(&self) -> i64;
}

/// Real time: the wall clock read once, then advanced by the monotonic clock so that it never jumps.
pub struct SystemClock {
    started_ms: i64,
    started: Instant,
}

impl SystemClock {
    /// A clock that shows the wall-clock time of now and goes on from there.
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SystemClock {
            started_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.started_ms.saturating_add(elapsed)
    }
}

/// Stands still until it is advanced.
pub struct ManualClock {
    now_ms: AtomicI64,
}

impl ManualClock {
    /// Shows `now_ms` until the first [`advance`](Self::advance).
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        ManualClock {
            now_ms: AtomicI64::new(now_ms),
        }
    }

    /// Moves time forward; a negative amount is ignored.
    pub fn advance(&self, by_ms: i64) {
        self.now_ms.fetch_add(by_ms.max(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }
}
