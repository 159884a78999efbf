//! How does the cluster behave where brokers are configurable? Defaults suit an application that wants to start at once.

/// Settings of a [`MemoryCluster`](super::MemoryCluster); names and meanings are those of Kafka's brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryClusterConfig {
    /// `num.partitions`: for topics created with -1 partitions. Default 1.
    pub default_partitions: i32,
    /// `group.streams.initial.rebalance.delay.ms`. Default 0 (Kafka: 3000): nobody waits for a process of his own.
    pub initial_rebalance_delay_ms: i64,
    /// `group.streams.assignment.interval.ms`: pause between two assignments. Default 0 (Kafka: 1000).
    pub assignment_interval_ms: i64,
    /// `group.streams.heartbeat.interval.ms`, the advice given to members. Default 5000.
    pub heartbeat_interval_ms: i32,
    /// `group.streams.session.timeout.ms`. Default 45 000.
    pub session_timeout_ms: i64,
    /// `group.streams.num.standby.replicas`. Default 0.
    pub num_standby_replicas: usize,
    /// `group.streams.max.size`. Default unlimited.
    pub max_group_size: usize,
    /// `transaction.max.timeout.ms`. Default 900 000.
    pub max_transaction_timeout_ms: i64,
    /// `log.retention.check.interval.ms`: how often retention and compaction run. Default 300 000.
    pub cleanup_interval_ms: i64,
}

impl Default for MemoryClusterConfig {
    fn default() -> Self {
        MemoryClusterConfig {
            default_partitions: 1,
            initial_rebalance_delay_ms: 0,
            assignment_interval_ms: 0,
            heartbeat_interval_ms: 5_000,
            session_timeout_ms: 45_000,
            num_standby_replicas: 0,
            max_group_size: usize::MAX,
            max_transaction_timeout_ms: 900_000,
            cleanup_interval_ms: 300_000,
        }
    }
}
