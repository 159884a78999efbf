//! The settings of an application.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use super::{Property, rules};
use crate::{dsl::engine::Handlers, error::Result};

/// How often a record may take effect.
#[doc(alias = "processing.guarantee")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProcessingGuarantee {
    /// Every record takes effect; after a failure some take effect twice. Java: `at_least_once`.
    #[default]
    AtLeastOnce,
    /// Every record takes effect once, in state and in what readers of committed records see. Java: `exactly_once_v2`.
    #[doc(alias = "exactly_once_v2")]
    ExactlyOnce,
}

/// Settings of an application. Made with defaults by [`StreamsConfig::new`], changed by its methods, checked by
/// [`StreamsConfig::validate`] (and by `start`).
#[derive(Clone)]
pub struct StreamsConfig {
    pub(crate) application_id: String,
    pub(crate) bootstrap_servers: String,
    pub(crate) client_id: Option<String>,
    pub(crate) guarantee: ProcessingGuarantee,
    pub(crate) commit_interval: Option<Duration>,
    pub(crate) stream_threads: usize,
    pub(crate) state_dir: PathBuf,
    pub(crate) state_memory_bytes: usize,
    pub(crate) record_cache_bytes: usize,
    pub(crate) uncommitted_bytes: usize,
    pub(crate) buffered_records: usize,
    pub(crate) max_task_idle: Option<Duration>,
    pub(crate) transaction_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) startup_timeout: Duration,
    pub(crate) missing_topic_timeout: Duration,
    pub(crate) restore_batch_records: usize,
    pub(crate) poll_interval: Duration,
    pub(crate) application_server: Option<(String, u16)>,
    pub(crate) client_tags: Vec<(String, String)>,
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) properties: Vec<Property>,
}

impl StreamsConfig {
    /// Defaults for an application. The id names the group, the internal topics, the transactional ids and the state directory.
    #[doc(alias = "application.id")]
    pub fn new(application_id: impl Into<String>) -> Self {
        Self {
            application_id: application_id.into(),
            bootstrap_servers: String::new(),
            client_id: None,
            guarantee: ProcessingGuarantee::default(),
            commit_interval: None,
            stream_threads: 1,
            state_dir: std::env::temp_dir().join("millstream"),
            state_memory_bytes: crate::state::STATE_MEMORY_BYTES,
            record_cache_bytes: 10 << 20,
            uncommitted_bytes: 16 << 20,
            buffered_records: 1000,
            max_task_idle: Some(Duration::ZERO),
            transaction_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(300),
            startup_timeout: Duration::from_secs(25),
            missing_topic_timeout: Duration::from_secs(10),
            restore_batch_records: 1000,
            poll_interval: Duration::from_millis(100),
            application_server: None,
            client_tags: Vec::new(),
            handlers: Arc::default(),
            properties: Vec::new(),
        }
    }

    /// Brokers to ask first, as `host:port,host:port`. Needed unless a cluster is given to `start_on`.
    #[doc(alias = "bootstrap.servers")]
    pub fn bootstrap_servers(mut self, servers: impl Into<String>) -> Self {
        self.bootstrap_servers = servers.into();
        self
    }

    /// Prefix of the client ids brokers see. Default: `<application id>-<process id>`.
    #[doc(alias = "client.id")]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Default: at least once.
    #[doc(alias = "processing.guarantee")]
    pub fn processing_guarantee(mut self, guarantee: ProcessingGuarantee) -> Self {
        self.guarantee = guarantee;
        self
    }

    /// How often results are committed. Default: 30 s at least once, 100 ms exactly once.
    #[doc(alias = "commit.interval.ms")]
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.commit_interval = Some(interval);
        self
    }

    /// Threads that process records. Default: 1.
    #[doc(alias = "num.stream.threads")]
    pub fn stream_threads(mut self, threads: usize) -> Self {
        self.stream_threads = threads;
        self
    }

    /// Folder of the state; the application makes a folder of its own in it. Default: `millstream` in the system's folder
    /// for temporary files, which a restart of the machine may empty.
    #[doc(alias = "state.dir")]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = dir.into();
        self
    }

    /// Memory of the persistent stores of the process: rows kept in memory (a quarter), write buffers and block cache.
    /// Default: 64 MiB.
    #[doc(alias = "rocksdb.config.setter")]
    pub fn state_memory_bytes(mut self, bytes: usize) -> Self {
        self.state_memory_bytes = bytes;
        self
    }

    /// Record cache of the process, shared out evenly to its threads and their tasks. 0 switches caching off: every update is
    /// forwarded. Default: 10 MiB.
    #[doc(alias = "statestore.cache.max.bytes")]
    pub fn record_cache_bytes(mut self, bytes: usize) -> Self {
        self.record_cache_bytes = bytes;
        self
    }

    /// Memory that what the tasks of one thread have written to their stores may take before a commit is forced, with
    /// what the commit itself will take. Default: 16 MiB.
    #[doc(alias = "statestore.uncommitted.max.bytes")]
    pub fn uncommitted_bytes(mut self, bytes: usize) -> Self {
        self.uncommitted_bytes = bytes;
        self
    }

    /// Records of one partition a task holds ready. Default: 1000.
    #[doc(alias = "buffered.records.per.partition")]
    pub fn buffered_records_per_partition(mut self, records: usize) -> Self {
        self.buffered_records = records;
        self
    }

    /// How long a task with several partitions waits for an empty one whose topic has no more records. Zero (the default): it
    /// waits only for records known to be on the broker. `None`: it never waits. Several empty ones are waited for one after the
    /// other.
    #[doc(alias = "max.task.idle.ms")]
    pub fn max_task_idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.max_task_idle = idle.into();
        self
    }

    /// After how long a broker ends the transaction of a silent instance. Default: 10 s.
    #[doc(alias = "transaction.timeout.ms")]
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.transaction_timeout = timeout;
        self
    }

    /// How long an instance may take to hand tasks over before the group goes on without it. Default: 300 s.
    #[doc(alias = "max.poll.interval.ms")]
    pub fn rebalance_timeout(mut self, timeout: Duration) -> Self {
        self.rebalance_timeout = timeout;
        self
    }

    /// How long `start` may take to reach the brokers and to join the group. Default: 25 s.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// How long missing source topics are waited for, at the start and while they are read, before they are an error of kind
    /// [`MissingSourceTopic`](crate::ErrorKind::MissingSourceTopic). Default: 10 s.
    pub fn missing_topic_timeout(mut self, timeout: Duration) -> Self {
        self.missing_topic_timeout = timeout;
        self
    }

    /// Changelog records applied to a store in one batch while restoring. Default: 1000.
    #[doc(alias = "restore.consumer.max.poll.records")]
    pub fn restore_batch_records(mut self, records: usize) -> Self {
        self.restore_batch_records = records;
        self
    }

    /// Longest sleep of a thread that has nothing to do. Default: 100 ms.
    #[doc(alias = "poll.ms")]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Where other instances reach this one for interactive queries.
    #[doc(alias = "application.server")]
    pub fn application_server(mut self, host: impl Into<String>, port: u16) -> Self {
        self.application_server = Some((host.into(), port));
        self
    }

    /// Tag of this instance that the broker sees.
    #[doc(alias = "client.tag.")]
    pub fn client_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.client_tags.push((key.into(), value.into()));
        self
    }

    /// Handlers of records that cannot be read, processed or written. Default: stop.
    #[doc(alias = "deserialization.exception.handler")]
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        self.handlers = Arc::new(handlers);
        self
    }

    /// A property for the Kafka clients, as librdkafka knows it (`security.protocol`, `sasl.password`, `linger.ms` ...). Properties
    /// Millstream sets itself are refused by `validate` with what to use instead.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push(Property {
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// Checks every rule and reports all that are violated in one error of kind `Configuration`.
    pub fn validate(&self) -> Result<()> {
        rules::check(self, true)
    }

    /// The interval in force.
    pub(crate) fn effective_commit_interval(&self) -> Duration {
        self.commit_interval.unwrap_or(match self.guarantee {
            ProcessingGuarantee::AtLeastOnce => Duration::from_secs(30),
            ProcessingGuarantee::ExactlyOnce => Duration::from_millis(100),
        })
    }

    pub(crate) fn exactly_once(&self) -> bool {
        self.guarantee == ProcessingGuarantee::ExactlyOnce
    }
}

impl fmt::Debug for StreamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsConfig")
            .field("application_id", &self.application_id)
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("processing_guarantee", &self.guarantee)
            .field("commit_interval", &self.effective_commit_interval())
            .field("stream_threads", &self.stream_threads)
            .field("state_dir", &self.state_dir)
            .field("state_memory_bytes", &self.state_memory_bytes)
            .field("record_cache_bytes", &self.record_cache_bytes)
            .field("uncommitted_bytes", &self.uncommitted_bytes)
            .field("buffered_records_per_partition", &self.buffered_records)
            .field("max_task_idle", &self.max_task_idle)
            .field("transaction_timeout", &self.transaction_timeout)
            .field("rebalance_timeout", &self.rebalance_timeout)
            .field("application_server", &self.application_server)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}
