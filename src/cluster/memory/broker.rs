//! The cluster's state as one value: what every request works on, and what falls due with time.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    super::{Isolation, Result, TopicPartition, Waker},
    compaction,
    config::MemoryClusterConfig,
    dispatch::RequestKind,
    groups::Groups,
    topics::Topics,
    transactions::Transactions,
};

/// A consumer that wants to know when its partition grows.
struct Watcher {
    consumer: u64,
    isolation: Isolation,
    waker: Arc<dyn Waker>,
    /// Set when a fetch found nothing more. A consumer that is behind needs no wake-up: it will ask anyway.
    waiting: bool,
}

pub(super) struct Broker {
    pub(super) config: MemoryClusterConfig,
    pub(super) topics: Topics,
    pub(super) transactions: Transactions,
    pub(super) groups: Groups,
    watchers: FxHashMap<TopicPartition, Vec<Watcher>>,
    /// Woken by the dispatcher once the lock is free.
    pub(super) to_wake: Vec<Arc<dyn Waker>>,
    /// Requests seen, by kind.
    pub(super) requests: FxHashMap<RequestKind, u64>,
    next_client: u64,
    next_cleanup_ms: i64,
}

impl Broker {
    pub(super) fn new(config: MemoryClusterConfig, now_ms: i64) -> Self {
        Broker {
            next_cleanup_ms: now_ms.saturating_add(config.cleanup_interval_ms),
            config,
            topics: Topics::default(),
            transactions: Transactions::default(),
            groups: Groups::default(),
            watchers: FxHashMap::default(),
            to_wake: Vec::new(),
            requests: FxHashMap::default(),
            next_client: 0,
        }
    }

    pub(super) fn next_client_id(&mut self) -> u64 {
        self.next_client += 1;
        self.next_client
    }

    /// Does what has fallen due: transaction, session and rebalance time-outs, retention and compaction.
    pub(super) fn run_timers(&mut self, now_ms: i64) {
        self.abort_timed_out_transactions(now_ms);
        self.groups.expire_members(now_ms);
        if now_ms >= self.next_cleanup_ms {
            self.next_cleanup_ms = now_ms.saturating_add(self.config.cleanup_interval_ms);
            self.clean_logs(now_ms);
        }
    }

    /// When `run_timers` has something to do next; `i64::MAX` never happens, cleaning is always ahead.
    pub(super) fn next_timer_ms(&self) -> i64 {
        self.next_cleanup_ms
            .min(self.transactions.next_timeout_ms())
            .min(self.groups.next_timeout_ms())
    }

    /// Retention and compaction of every partition, now.
    pub(super) fn clean_logs(&mut self, now_ms: i64) {
        for (_, topic) in self.topics.iter_mut() {
            for log in &mut topic.partitions {
                compaction::clean(log, &topic.config, now_ms);
            }
        }
    }

    pub(super) fn watch(
        &mut self,
        consumer: u64,
        partition: &TopicPartition,
        isolation: Isolation,
        waker: &Arc<dyn Waker>,
    ) {
        self.unwatch(consumer, partition);
        self.watchers.entry(partition.clone()).or_default().push(Watcher {
            consumer,
            isolation,
            waker: Arc::clone(waker),
            waiting: true,
        });
    }

    pub(super) fn unwatch(&mut self, consumer: u64, partition: &TopicPartition) {
        if let Some(watchers) = self.watchers.get_mut(partition) {
            watchers.retain(|w| w.consumer != consumer);
            if watchers.is_empty() {
                self.watchers.remove(partition);
            }
        }
    }

    /// The consumer has read what there is; the next growth wakes it.
    pub(super) fn wait_for_growth(&mut self, consumer: u64, partition: &TopicPartition) {
        if let Some(watchers) = self.watchers.get_mut(partition) {
            for watcher in watchers.iter_mut().filter(|w| w.consumer == consumer) {
                watcher.waiting = true;
            }
        }
    }

    /// Wakes who waits for the partition. `stable`: also read_committed readers may see more now.
    pub(super) fn grown(&mut self, partition: &TopicPartition, stable: bool) {
        let Some(watchers) = self.watchers.get_mut(partition) else {
            return;
        };
        for watcher in watchers {
            if watcher.waiting && (stable || watcher.isolation == Isolation::ReadUncommitted) {
                watcher.waiting = false;
                self.to_wake.push(Arc::clone(&watcher.waker));
            }
        }
    }

    /// First offset and the end under an isolation level.
    pub(super) fn offsets(&self, partition: &TopicPartition, isolation: Isolation) -> Result<(i64, i64)> {
        let log = self.topics.log(partition)?;
        Ok((log.start_offset(), log.end_offset(isolation)))
    }
}
