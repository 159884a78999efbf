//! What a simulation is made of, and where it starts.

use std::{sync::Arc, time::Duration};

use super::{
    faults::Faults,
    report::{Failure, Run, SeenRecord},
    run::{SESSION_TIMEOUT_MS, Simulation, micros},
};
use crate::{
    StreamsConfig,
    dsl::{
        engine::Topology,
        serde::{IntoSerde, Serde},
    },
    runtime::{assembly::ErrorHandler, stream::UncaughtAction},
};

/// Runs many instances of an application in this thread, on a simulated cluster with simulated time, and lets things go wrong.
/// The [module](super) shows how.
///
/// Everything follows from the seed: the same seed with the same settings does the same, step by step. State lives on simulated
/// disks; `state_dir` is not touched.
#[derive(Clone)]
pub struct Simulator {
    plan: Plan,
}

/// Watches the committed records of a topic while the simulation runs.
pub(super) type Watch = Box<dyn FnMut(&SeenRecord) -> Result<(), String>>;
type RestartAfter = Arc<dyn Fn(&crate::Error) -> bool + Send + Sync>;
type MakeWatch = Arc<dyn Fn() -> Watch + Send + Sync>;

#[derive(Clone)]
pub(super) struct Plan {
    pub(super) config: Arc<StreamsConfig>,
    pub(super) topology: Topology,
    pub(super) instances: usize,
    pub(super) standbys: usize,
    pub(super) topics: Vec<(String, i32)>,
    pub(super) input: Vec<Input>,
    pub(super) faults: Faults,
    pub(super) lasting: Duration,
    pub(super) watches: Vec<(String, MakeWatch)>,
    pub(super) on_error: ErrorHandler,
    pub(super) restart_after: RestartAfter,
    /// A setting that cannot be.
    refused: Option<String>,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::mutants::Mutant>,
}

/// A record to be fed.
#[derive(Clone)]
pub(super) struct Input {
    pub(super) topic: Arc<str>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    /// None: the time at which it is fed.
    pub(super) timestamp: Option<i64>,
}

impl Simulator {
    /// A simulation of an application with two instances and all faults.
    pub fn new(config: StreamsConfig, topology: Topology) -> Self {
        Self {
            plan: Plan {
                config: Arc::new(config),
                topology,
                instances: 2,
                standbys: 0,
                topics: Vec::new(),
                input: Vec::new(),
                faults: Faults::all(),
                lasting: Duration::from_secs(20),
                watches: Vec::new(),
                on_error: Arc::new(|_| UncaughtAction::default()),
                restart_after: Arc::new(|_| false),
                refused: None,
                #[cfg(feature = "mutants")]
                mutant: None,
            },
        }
    }

    /// How many instances run. Default: 2.
    #[must_use]
    pub fn instances(mut self, instances: usize) -> Self {
        self.plan.instances = instances;
        self
    }

    /// How many copies of the state of each task other instances keep. Default: 0. Kafka: `group.streams.num.standby.replicas`.
    #[must_use]
    pub fn standbys(mut self, standbys: usize) -> Self {
        self.plan.standbys = standbys;
        self
    }

    /// Creates a topic the topology reads or writes. Internal topics come by themselves.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, partitions: i32) -> Self {
        self.plan.topics.push((name.into(), partitions));
        self
    }

    /// Records that are fed while faults go on, in this order, spread over the time the faults last. The key decides the
    /// partition, as it does in Kafka's own producers.
    #[must_use]
    pub fn records<K, V>(
        self,
        topic: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let records = records.into_iter().map(|(k, v)| (k, v, None));
        self.feed(topic, key, value, records)
    }

    /// Like [`records`](Self::records), with the time of each record in milliseconds since the epoch.
    #[must_use]
    pub fn timed_records<K, V>(
        self,
        topic: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
        records: impl IntoIterator<Item = (K, V, i64)>,
    ) -> Self {
        let records = records.into_iter().map(|(k, v, at_ms)| (k, v, Some(at_ms)));
        self.feed(topic, key, value, records)
    }

    fn feed<K, V>(
        mut self,
        topic: &str,
        key: impl IntoSerde<K>,
        value: impl IntoSerde<V>,
        records: impl IntoIterator<Item = (K, V, Option<i64>)>,
    ) -> Self {
        let (key, value) = (key.into_serde(), value.into_serde());
        let topic: Arc<str> = topic.into();
        for (k, v, timestamp) in records {
            match (encode(&*key, &k), encode(&*value, &v)) {
                (Ok(key), Ok(value)) => self.plan.input.push(Input {
                    topic: topic.clone(),
                    key,
                    value,
                    timestamp,
                }),
                (Err(e), _) | (_, Err(e)) => {
                    self.plan.refused.get_or_insert(format!("a record for {topic}: {e}"));
                }
            }
        }
        self
    }

    /// What may go wrong. Default: everything.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.plan.faults = faults;
        self
    }

    /// How long faults go on, in simulated time. Default: 20 s.
    #[must_use]
    pub fn lasting(mut self, lasting: Duration) -> Self {
        self.plan.lasting = lasting;
        self
    }

    /// Looks at each committed record of a topic as soon as readers can see it, also while faults go on. An `Err` ends the run
    /// with that sentence. `make` is called once for each run.
    #[must_use]
    pub fn watch<F>(mut self, topic: impl Into<String>, make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: FnMut(&SeenRecord) -> Result<(), String> + 'static,
    {
        let make: MakeWatch = Arc::new(move || Box::new(make()));
        self.plan.watches.push((topic.into(), make));
        self
    }

    /// Decides what happens when a stream thread has ended with an error, as
    /// [`KafkaStreamsBuilder::on_uncaught_error`](crate::KafkaStreamsBuilder::on_uncaught_error). An instance that stops because of
    /// an error ends the run as failed, unless it is [started again](Self::restart_after).
    #[must_use]
    pub fn on_uncaught_error(mut self, f: impl Fn(&crate::Error) -> UncaughtAction + Send + Sync + 'static) -> Self {
        self.plan.on_error = Arc::new(f);
        self
    }

    /// Which errors a supervisor would start an instance again after, as for a damaged global store. Default: none; an instance that
    /// stops because of an error ends the run as failed. Whoever fails again and again will not have processed everything in time.
    #[must_use]
    pub fn restart_after(mut self, f: impl Fn(&crate::Error) -> bool + Send + Sync + 'static) -> Self {
        self.plan.restart_after = Arc::new(f);
        self
    }

    /// Plants a mistake: the simulation should find it.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn mutant(mut self, mutant: crate::mutants::Mutant) -> Self {
        self.plan.mutant = Some(mutant);
        self
    }

    /// How long the application may take, once all faults have ended, until nothing is left to process: what was left behind
    /// has to time out (sessions, transactions, rebalances), tasks move, state is restored, and a commit comes when its interval
    /// is over. In milliseconds of simulated time.
    pub fn recovery_bound_ms(&self) -> u64 {
        self.plan.recovery_bound_us() / 1_000
    }

    /// One simulation.
    ///
    /// # Errors
    /// A [`Failure`] that says what was violated: a setting that cannot be, an instance that stopped because of an error, records
    /// that were not processed long after the faults had ended, a transaction left open, committed records or offsets that
    /// changed, state that is not what its changelog says, or what a [watch](Self::watch) objected to.
    pub fn run(&self, seed: u64) -> Result<Run, Failure> {
        self.start(seed, false)
    }

    /// The same with a [trace](Run::trace) of every step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn trace(&self, seed: u64) -> Result<Run, Failure> {
        self.start(seed, true)
    }

    fn start(&self, seed: u64, keep_trace: bool) -> Result<Run, Failure> {
        let refused = |violation: String| Failure {
            seed,
            violation,
            at_ms: 0,
            happened: Default::default(),
            observed: Vec::new(),
            trace: None,
        };
        self.plan.check().map_err(refused)?;
        #[cfg(feature = "mutants")]
        crate::mutants::plant(self.plan.mutant);
        Simulation::new(&self.plan, seed, keep_trace).map_err(refused)?.run()
    }
}

fn encode<T>(serde: &dyn Serde<T>, value: &T) -> Result<Option<Vec<u8>>, String> {
    if serde.is_null(value) {
        return Ok(None);
    }
    let mut out = Vec::new();
    serde.serialize(value, &mut out).map_err(|e| e.to_string())?;
    Ok(Some(out))
}

impl Plan {
    pub(super) fn recovery_bound_us(&self) -> u64 {
        let time_outs = micros(self.config.transaction_timeout).max(SESSION_TIMEOUT_MS.unsigned_abs() * 1_000);
        // Requests that are still under way may arrive, and fence somebody, twenty seconds later.
        time_outs + micros(self.config.effective_commit_interval()) + 60_000_000
    }

    /// Refuses what cannot be simulated, with a sentence.
    fn check(&self) -> Result<(), String> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        if self.instances == 0 {
            return Err("a simulation needs at least one instance".into());
        }
        if self.standbys >= self.instances {
            return Err(format!(
                "{} instances cannot keep {} copies beside the running one: each copy needs an instance of its own",
                self.instances, self.standbys
            ));
        }
        if self.lasting.is_zero() {
            return Err("faults must last for a while: `lasting` is zero".into());
        }
        if let Some((name, _)) = self.topics.iter().find(|(_, partitions)| *partitions < 1) {
            return Err(format!("the topic {name} needs at least one partition"));
        }
        let known = |name: &str| self.topics.iter().any(|(n, _)| n == name);
        if let Some(input) = self.input.iter().find(|i| !known(&i.topic)) {
            return Err(format!("records for {}, but there is no such topic", input.topic));
        }
        if let Some((topic, _)) = self.watches.iter().find(|(t, _)| !known(t)) {
            return Err(format!("a watch on {topic}, but there is no such topic"));
        }
        self.config.validate_for_given_cluster().map_err(|e| e.to_string())
    }
}
