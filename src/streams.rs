//! The running application: [`KafkaStreams`] and its builder.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::Stream;

use crate::{
    cluster::{Cluster, rdkafka::KafkaCluster},
    config::{ProcessingGuarantee, StreamsConfig},
    dsl::engine::{Handlers, Topology},
    error::{Error, ErrorKind, Result},
    runtime::{
        MetricsHandle, MetricsSnapshot, State,
        assembly::{Blueprint, ErrorHandler, stream_threads},
        clock::Clock,
        metrics::Metrics,
        spawn::{Instance, blocking},
        startup::{self, StartupCheck},
        state_machine::StateMachine,
        stream::StopFlags,
    },
    state::StateEngine,
};

pub use crate::runtime::stream::UncaughtAction;

/// How to close.
#[derive(Clone, Copy, Debug)]
pub struct CloseOptions {
    timeout: Duration,
}

impl Default for CloseOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
        }
    }
}

impl CloseOptions {
    /// How long committing, giving tasks back and leaving the group may take. Afterwards the threads stop where they are;
    /// what was not committed is done again by whoever gets the tasks. Zero: they stop at once. Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A running instance of an application. Dropping it closes it cleanly, which blocks for at most 10 s; call
/// [`close`](KafkaStreams::close) to wait for it without blocking.
#[must_use = "dropping the handle closes the application"]
pub struct KafkaStreams {
    instance: Instance,
    state: Arc<StateMachine>,
    metrics: Arc<Metrics>,
    process_id: String,
}

impl std::fmt::Debug for KafkaStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaStreams")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl KafkaStreams {
    /// Settings of an instance of the application with this id.
    pub fn builder(application_id: impl Into<String>) -> KafkaStreamsBuilder {
        KafkaStreamsBuilder {
            config: StreamsConfig::new(application_id),
            on_error: Arc::new(|_| UncaughtAction::default()),
        }
    }

    /// An instance with settings made elsewhere.
    pub fn with_config(config: StreamsConfig) -> KafkaStreamsBuilder {
        KafkaStreamsBuilder {
            config,
            on_error: Arc::new(|_| UncaughtAction::default()),
        }
    }

    /// What it is doing now.
    pub fn state(&self) -> State {
        self.state.state()
    }

    /// Every change of state from now on; ends after the last one.
    #[doc(alias = "setStateListener")]
    pub fn state_changes(&self) -> impl Stream<Item = State> + Send + Unpin + 'static {
        self.state.listen()
    }

    /// The id kept in the state directory. Transactional ids are `<application id>-<process id>-<thread from 1>`.
    pub fn process_id(&self) -> &str {
        &self.process_id
    }

    /// Counters since the start.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    /// Counters for whoever wants to read them later, for instance while `until_stopped` runs.
    pub fn metrics_handle(&self) -> MetricsHandle {
        MetricsHandle(self.metrics.clone())
    }

    /// Why it stopped, if it stopped because of an error.
    pub fn error(&self) -> Option<Error> {
        self.state.error()
    }

    /// Waits until every thread processes, at most this long.
    pub async fn until_running(&self, timeout: Duration) -> Result<()> {
        let done = |s: &StateMachine| matches!(s.state(), State::Running | State::PendingError) || s.state().is_final();
        let waited = tokio::time::timeout(timeout, self.state.until(done)).await;
        match (waited, self.state.error()) {
            (_, Some(error)) => Err(error),
            (Ok(()), None) => Ok(()),
            (Err(_), None) => Err(Error::new(ErrorKind::Timeout, format!("not running after {timeout:?}"))),
        }
    }

    /// Runs until ctrl-c, SIGTERM (closes cleanly, `Ok`), or until the instance has stopped by itself (its error, if any).
    /// Needs a tokio runtime with time and I/O enabled.
    pub async fn until_stopped(self) -> Result<()> {
        let over = self.state.until(|s| s.state().is_final());
        tokio::select! {
            () = over => {}
            signal = stop_signal() => {
                tracing::info!("{signal} received, closing");
                return self.close(CloseOptions::default()).await;
            }
        }
        self.state.error().map_or(Ok(()), Err)
    }

    /// Commits, gives the tasks back, leaves the group and makes the state durable, so that the next start restores nothing.
    pub async fn close(mut self, options: CloseOptions) -> Result<()> {
        self.state.become_(State::PendingShutdown);
        let over = |s: &StateMachine| s.state().is_final();
        let in_time = !options.timeout.is_zero() && {
            self.instance.request_stop();
            tokio::time::timeout(options.timeout, self.state.until(over))
                .await
                .is_ok()
        };
        if !in_time {
            self.instance.kill();
            let grace = tokio::time::timeout(Duration::from_secs(5), self.state.until(over)).await;
            if grace.is_err() {
                tracing::error!("threads of the application do not stop");
            }
        }
        self.instance.join_within(Duration::from_millis(200));
        match self.state.error() {
            Some(error) => Err(error),
            None if in_time => Ok(()),
            None => Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "closing took longer than {:?}; the threads were stopped where they were",
                    options.timeout
                ),
            )),
        }
    }
}

impl Drop for KafkaStreams {
    fn drop(&mut self) {
        if !self.state.state().is_final() {
            self.state.become_(State::PendingShutdown);
            self.instance.request_stop();
            if !self.instance.join_within(Duration::from_secs(10)) {
                tracing::warn!("closing takes too long, the threads are stopped where they are");
                self.instance.kill();
                self.instance.join_within(Duration::from_secs(2));
            }
        }
    }
}

async fn stop_signal() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = tokio::signal::ctrl_c() => "ctrl-c",
            };
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    "ctrl-c"
}

/// Settings of an instance that is about to start. [`StreamsConfig`] explains each of them.
#[must_use]
pub struct KafkaStreamsBuilder {
    config: StreamsConfig,
    on_error: ErrorHandler,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*);)*) => {
        $($(#[$doc])* pub fn $name(mut self, $($arg: $type),*) -> Self {
            self.config = self.config.$name($($arg),*);
            self
        })*
    };
}

impl KafkaStreamsBuilder {
    settings! {
        /// See [`StreamsConfig::bootstrap_servers`].
        bootstrap_servers(servers: impl Into<String>);
        /// See [`StreamsConfig::client_id`].
        client_id(id: impl Into<String>);
        /// See [`StreamsConfig::processing_guarantee`].
        processing_guarantee(guarantee: ProcessingGuarantee);
        /// See [`StreamsConfig::commit_interval`].
        commit_interval(interval: Duration);
        /// See [`StreamsConfig::stream_threads`].
        stream_threads(threads: usize);
        /// See [`StreamsConfig::state_dir`].
        state_dir(dir: impl Into<PathBuf>);
        /// See [`StreamsConfig::state_memory_bytes`].
        state_memory_bytes(bytes: usize);
        /// See [`StreamsConfig::record_cache_bytes`].
        record_cache_bytes(bytes: usize);
        /// See [`StreamsConfig::uncommitted_bytes`].
        uncommitted_bytes(bytes: usize);
        /// See [`StreamsConfig::buffered_records_per_partition`].
        buffered_records_per_partition(records: usize);
        /// See [`StreamsConfig::max_task_idle`].
        max_task_idle(idle: impl Into<Option<Duration>>);
        /// See [`StreamsConfig::transaction_timeout`].
        transaction_timeout(timeout: Duration);
        /// See [`StreamsConfig::rebalance_timeout`].
        rebalance_timeout(timeout: Duration);
        /// See [`StreamsConfig::startup_timeout`].
        startup_timeout(timeout: Duration);
        /// See [`StreamsConfig::missing_topic_timeout`].
        missing_topic_timeout(timeout: Duration);
        /// See [`StreamsConfig::restore_batch_records`].
        restore_batch_records(records: usize);
        /// See [`StreamsConfig::application_server`].
        application_server(host: impl Into<String>, port: u16);
        /// See [`StreamsConfig::client_tag`].
        client_tag(key: impl Into<String>, value: impl Into<String>);
        /// See [`StreamsConfig::handlers`].
        handlers(handlers: Handlers);
        /// See [`StreamsConfig::property`].
        property(key: impl Into<String>, value: impl Into<String>);
    }

    /// Decides what happens when a stream thread has ended with an error. Default: this instance stops.
    #[doc(alias = "setUncaughtExceptionHandler")]
    pub fn on_uncaught_error(mut self, f: impl Fn(&Error) -> UncaughtAction + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(f);
        self
    }

    /// The settings as they are now.
    pub fn config(&self) -> &StreamsConfig {
        &self.config
    }

    /// Starts an instance on the cluster behind `bootstrap_servers`. Returns when it has filled its global stores, which takes as
    /// long as their topics are large, and has joined the group; a set-up that cannot work is an error within 30 s. Needs a
    /// tokio runtime with time enabled.
    ///
    /// # Errors
    /// By kind: `Configuration`, `BrokerUnavailable`, `UnsupportedBroker`, `MissingSourceTopic`, `IncorrectlyPartitioned`,
    /// `StateLocked`, `State`, `Topology`.
    #[doc(alias = "KafkaStreams.start")]
    pub async fn start(self, topology: Topology) -> Result<KafkaStreams> {
        self.config.validate()?;
        let properties: Vec<(String, String)> = self
            .config
            .properties
            .iter()
            .map(|p| (p.key.clone(), p.value.clone()))
            .collect();
        let cluster = KafkaCluster::connect(&self.config.bootstrap_servers, &properties)
            .map_err(|e| Error::new(ErrorKind::Configuration, e.message.clone()).caused_by(e))?;
        self.launch(Arc::new(cluster), topology).await
    }

    /// Starts an instance on a given cluster, for instance the one in memory. Like `start` otherwise.
    pub async fn start_on(self, cluster: impl Cluster + 'static, topology: Topology) -> Result<KafkaStreams> {
        self.config.validate_for_given_cluster()?;
        self.launch(Arc::new(cluster), topology).await
    }

    async fn launch(self, cluster: Arc<dyn Cluster>, topology: Topology) -> Result<KafkaStreams> {
        let limit = self.config.startup_timeout;
        let app = blocking(move || self.launch_blocking(cluster, topology)).await?;
        let over = |s: &StateMachine| s.error().is_some() || s.state().is_final();
        // Takes as long as the global topics are large; whether it goes on is for the global thread to see.
        app.state.until(|s| s.are_globals_ready() || over(s)).await;
        let known = |s: &StateMachine| s.all_joined() || over(s);
        let in_time = tokio::time::timeout(limit, app.state.until(known)).await.is_ok();
        match app.state.error() {
            Some(error) => {
                app.close(CloseOptions::default().timeout(Duration::from_secs(3)))
                    .await
                    .ok();
                Err(error)
            }
            None if in_time => Ok(app),
            None => {
                app.close(CloseOptions::default().timeout(Duration::from_secs(1)))
                    .await
                    .ok();
                Err(Error::new(
                    ErrorKind::BrokerUnavailable,
                    format!("the group coordinator did not answer within {limit:?}"),
                ))
            }
        }
    }

    fn launch_blocking(self, cluster: Arc<dyn Cluster>, topology: Topology) -> Result<KafkaStreams> {
        let config = Arc::new(self.config);
        let engine = open_engine(&config)?;
        let process_id = engine.process_id().to_owned();
        let mut admin = cluster.admin(&format!("{}-start", config.application_id))?;
        let clock = Clock::new();
        let mut check = StartupCheck::new(&topology, config.startup_timeout, config.missing_topic_timeout)?;
        startup::check(&mut check, admin.as_mut(), clock)?;
        drop(admin);
        let threads = stream_threads(&topology, &config);
        let state = StateMachine::new(&config.application_id, threads);
        let metrics = Arc::new(Metrics::default());
        let blueprint = Blueprint {
            config,
            topology,
            cluster,
            engine,
            on_error: self.on_error,
            state: state.clone(),
            metrics: metrics.clone(),
            stop: Arc::new(StopFlags::default()),
        };
        let instance = Instance::start(blueprint, clock)?;
        Ok(KafkaStreams {
            instance,
            state,
            metrics,
            process_id,
        })
    }
}

#[cfg(feature = "rocksdb")]
fn open_engine(config: &StreamsConfig) -> Result<StateEngine> {
    use crate::state::StateError;

    StateEngine::rocksdb(&config.state_dir, &config.application_id, config.state_memory_bytes).map_err(|e| {
        let kind = match e {
            StateError::Locked { .. } => ErrorKind::StateLocked,
            _ => ErrorKind::State,
        };
        Error::new(kind, format!("the state directory cannot be used: {e}")).caused_by(e)
    })
}

#[cfg(not(feature = "rocksdb"))]
fn open_engine(_: &StreamsConfig) -> Result<StateEngine> {
    Ok(StateEngine::in_memory())
}
