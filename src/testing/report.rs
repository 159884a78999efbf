//! What a simulation gives back: what was committed, how often what happened, or what was violated.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::observation::Observed;
use crate::{
    dsl::serde::{IntoSerde, Serde},
    error::{Error, ErrorKind, Result},
};

/// A record as a reader of committed records sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRecord {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Serialized key.
    pub key: Option<Vec<u8>>,
    /// Serialized value.
    pub value: Option<Vec<u8>>,
}

/// Committed records by topic.
pub(super) type Records = BTreeMap<Arc<str>, Vec<SeenRecord>>;

/// A simulation that ended well: everything was processed, no transaction was left open, and what readers had seen during the
/// faults was still there afterwards.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) seed: u64,
    pub(super) records: Records,
    pub(super) happened: BTreeMap<&'static str, u64>,
    pub(super) fingerprint: u64,
    pub(super) steps: u64,
    pub(super) virtual_ms: u64,
    pub(super) recovery_ms: u64,
    pub(super) observed: Vec<Observed>,
    pub(super) trace: Option<String>,
}

impl Run {
    /// The seed it ran from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The committed records of a topic, by partition and offset. Empty for a topic that does not exist.
    pub fn records(&self, topic: &str) -> &[SeenRecord] {
        self.records.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The committed records of a topic, decoded, by partition and offset. Use serdes of `Option` where keys or values may be
    /// null.
    ///
    /// # Errors
    /// `Processing` for bytes that are no key or value of these types.
    pub fn read<K, V>(&self, topic: &str, key: impl IntoSerde<K>, value: impl IntoSerde<V>) -> Result<Vec<(K, V)>> {
        let (key, value) = (key.into_serde(), value.into_serde());
        self.records(topic)
            .iter()
            .map(|r| {
                let pair = decode(&*key, r.key.as_deref()).and_then(|k| Ok((k, decode(&*value, r.value.as_deref())?)));
                pair.map_err(|e| e.at(topic, r.partition))
            })
            .collect()
    }

    /// How often each kind of event happened. A fault that did not happen has not been survived.
    pub fn happened(&self) -> &BTreeMap<&'static str, u64> {
        &self.happened
    }

    /// The same for two runs in which the same things happened in the same order.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Steps and messages.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Simulated time, in milliseconds.
    pub fn virtual_ms(&self) -> u64 {
        self.virtual_ms
    }

    /// Simulated time from the end of all faults until nothing was left to process, in milliseconds.
    pub fn recovery_ms(&self) -> u64 {
        self.recovery_ms
    }

    /// Everything an observer of the cluster saw, in order, for checks of the whole run.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Every step, one a line; only of runs made by [`Simulator::trace`](super::Simulator::trace).
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }
}

fn decode<T>(serde: &dyn Serde<T>, bytes: Option<&[u8]>) -> Result<T> {
    let failed = |what: String| Error::new(ErrorKind::Processing, what);
    match bytes {
        Some(bytes) => serde.deserialize(bytes).map_err(|e| failed(e.to_string())),
        None => serde
            .null()
            .ok_or_else(|| failed("null, but the type has no null: read it as an Option".into())),
    }
}

/// A simulation that did not end well.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) seed: u64,
    pub(super) violation: String,
    pub(super) at_ms: u64,
    pub(super) happened: BTreeMap<&'static str, u64>,
    pub(super) observed: Vec<Observed>,
    pub(super) trace: Option<String>,
}

impl Failure {
    /// The seed that shows it again.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What was violated.
    pub fn violation(&self) -> &str {
        &self.violation
    }

    /// How often each kind of event had happened until then.
    pub fn happened(&self) -> &BTreeMap<&'static str, u64> {
        &self.happened
    }

    /// Everything an observer of the cluster saw until then, in order.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Every step until then; only of runs made by [`Simulator::trace`](super::Simulator::trace).
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, violation, at_ms, ..
        } = self;
        write!(f, "seed {seed}, after {at_ms} ms: {violation}")
    }
}

impl std::error::Error for Failure {}
