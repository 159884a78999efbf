//! Counters of one application instance.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counted once per batch, never per record.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) records_processed: AtomicU64,
    pub(crate) records_dropped: AtomicU64,
    pub(crate) records_sent: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) aborts: AtomicU64,
    pub(crate) forced_commits: AtomicU64,
    pub(crate) records_restored: AtomicU64,
    pub(crate) tasks_restored: AtomicU64,
    pub(crate) standby_records: AtomicU64,
    pub(crate) standby_takeovers: AtomicU64,
    pub(crate) standby_misfits: AtomicU64,
    pub(crate) failed_threads: AtomicU64,
}

/// Counters since the start of the instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// Records that went through the topology.
    #[doc(alias = "process-total")]
    pub records_processed: u64,
    /// Records that operators dropped (null keys, late records, invalid timestamps ...).
    #[doc(alias = "dropped-records-total")]
    pub records_dropped: u64,
    /// Records handed to the producers, changelogs included.
    pub records_sent: u64,
    /// Successful commits.
    #[doc(alias = "commit-total")]
    pub commits: u64,
    /// Commits and transactions that were given up and repeated.
    pub aborts: u64,
    /// Commits made before their time because the state held too many uncommitted bytes.
    pub forced_commits: u64,
    /// Changelog records read to restore state.
    #[doc(alias = "restore-total")]
    pub records_restored: u64,
    /// Tasks whose state was brought up to date.
    pub tasks_restored: u64,
    /// Changelog records read to keep copies of the state of tasks that run elsewhere.
    #[doc(alias = "standby-restore")]
    pub standby_records: u64,
    /// Tasks that came to run where a copy of their state was kept.
    pub standby_takeovers: u64,
    /// Those of them that read again what the copy had already: it did not fit.
    pub standby_misfits: u64,
    /// Stream threads that ended with an error.
    #[doc(alias = "failed-stream-threads")]
    pub failed_threads: u64,
}

/// Reads the counters, also while and after somebody else owns the application.
#[derive(Clone, Debug)]
pub struct MetricsHandle(pub(crate) Arc<Metrics>);

impl MetricsHandle {
    /// The counters now.
    pub fn snapshot(&self) -> MetricsSnapshot {
        self.0.snapshot()
    }
}

impl Metrics {
    pub(crate) fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            records_processed: self.records_processed.load(Relaxed),
            records_dropped: self.records_dropped.load(Relaxed),
            records_sent: self.records_sent.load(Relaxed),
            commits: self.commits.load(Relaxed),
            aborts: self.aborts.load(Relaxed),
            forced_commits: self.forced_commits.load(Relaxed),
            records_restored: self.records_restored.load(Relaxed),
            tasks_restored: self.tasks_restored.load(Relaxed),
            standby_records: self.standby_records.load(Relaxed),
            standby_takeovers: self.standby_takeovers.load(Relaxed),
            standby_misfits: self.standby_misfits.load(Relaxed),
            failed_threads: self.failed_threads.load(Relaxed),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    if n > 0 {
        counter.fetch_add(n, Relaxed);
    }
}
