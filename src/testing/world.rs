//! What all parts of a simulation share: time, chance, messages under way, the trace, and what has happened so far.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    observation::{Observation, Observed},
    random::Random,
};
use crate::cluster::memory::{
    RequestKind,
    transport::{Connection, Message, Trouble},
};

/// How often each kind of event has happened: a fault that never strikes proves nothing.
pub(super) type Happened = BTreeMap<&'static str, u64>;

/// A station of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leg {
    Arrive,
    Refuse(i32),
    Answer,
    Lose(Trouble),
}

/// A message with what is still ahead of it, the next leg last.
pub(super) struct Parcel {
    pub(super) instance: usize,
    pub(super) connection: Connection,
    pub(super) message: Box<dyn Message>,
    pub(super) legs: Vec<(u64, Leg)>,
    /// The client has stopped waiting.
    pub(super) given_up: bool,
}

/// The state of the network.
#[derive(Debug, Default)]
pub(super) struct Weather {
    /// Chance of a request to meet trouble, per mille.
    pub(super) trouble_per_mille: u32,
    /// Until then everything is worse.
    pub(super) storm_until_us: u64,
    /// Chance of a message to take long, per mille.
    pub(super) slow_per_mille: u32,
    /// No answer to anything about groups until then; the same for transactions, and for writes.
    pub(super) group_away_until_us: u64,
    pub(super) transactions_away_until_us: u64,
    pub(super) leaders_away_until_us: u64,
    /// By instance: unreachable until then.
    pub(super) cut_off_until_us: Vec<u64>,
    /// Chance of a request to be refused as if its sender had been replaced, per mille.
    pub(super) fenced_per_mille: u32,
    /// Fetches bring few records at a time.
    pub(super) small_fetches: bool,
    /// Fetches find a former end of their partition.
    pub(super) former_ends: bool,
}

pub(super) struct World {
    pub(super) now_us: u64,
    pub(super) random: Random,
    pub(super) happened: Happened,
    pub(super) weather: Weather,
    pub(super) trace: Trace,
    pub(super) observed: Vec<Observed>,
    /// Time the request that is being waited for has cost.
    pub(super) blocked_us: u64,
    /// Producers repeat requests that end a transaction by themselves, as librdkafka does.
    pub(super) clients_ask_again: bool,
    parcels: BTreeMap<(u64, u64), Parcel>,
    sent: u64,
    /// By connection: when its last request arrives, and its last answer. They do not overtake each other.
    order: BTreeMap<Connection, (u64, u64)>,
}

pub(super) type SharedWorld = Arc<Mutex<World>>;

pub(super) fn lock(world: &SharedWorld) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(random: Random, instances: usize, keep_trace: bool) -> Self {
        Self {
            now_us: 0,
            random,
            happened: Happened::new(),
            weather: Weather {
                cut_off_until_us: vec![0; instances],
                ..Weather::default()
            },
            trace: Trace::new(keep_trace),
            observed: Vec::new(),
            blocked_us: 0,
            clients_ask_again: false,
            parcels: BTreeMap::new(),
            sent: 0,
            order: BTreeMap::new(),
        }
    }

    pub(super) fn happens(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// A fault: counted, and written down.
    pub(super) fn befalls(&mut self, instance: Option<usize>, what: &'static str) {
        self.happens(what);
        self.observe(Observation::Fault { instance, what });
    }

    pub(super) fn observe(&mut self, what: Observation) {
        let at_ms = self.now_us / 1_000;
        self.observed.push(Observed { at_ms, what });
    }

    pub(super) fn is_cut_off(&self, instance: usize) -> bool {
        self.weather
            .cut_off_until_us
            .get(instance)
            .is_some_and(|until| self.now_us < *until)
    }

    /// When the next leg of some message is due.
    pub(super) fn next_parcel_us(&self) -> u64 {
        self.parcels.keys().next().map_or(u64::MAX, |(at, _)| *at)
    }

    /// The message whose next leg is due.
    pub(super) fn take_due(&mut self) -> Option<(Parcel, Leg)> {
        let first = self.parcels.first_entry().filter(|e| e.key().0 <= self.now_us)?;
        let mut parcel = first.remove();
        let (_, leg) = parcel.legs.pop()?;
        Some((parcel, leg))
    }

    pub(super) fn put_back(&mut self, parcel: Parcel) {
        if let Some((at, _)) = parcel.legs.last() {
            self.sent += 1;
            self.parcels.insert((*at, self.sent), parcel);
        }
    }

    /// A time for the next request of a connection to arrive, not before those sent earlier.
    pub(super) fn arrival(&mut self, connection: Connection, latency_us: u64) -> u64 {
        let order = self.order.entry(connection).or_default();
        order.0 = order.0.max(self.now_us + latency_us);
        order.0
    }

    /// The same for an answer on its way back.
    pub(super) fn return_(&mut self, connection: Connection, from_us: u64, latency_us: u64) -> u64 {
        let order = self.order.entry(connection).or_default();
        order.1 = order.1.max(from_us + latency_us);
        order.1
    }

    pub(super) fn latency_us(&mut self) -> u64 {
        let slow = self.weather.slow_per_mille;
        if self.random.chance(slow) {
            self.happens("slow message");
            self.random.spread(5_000, 1_000_000)
        } else {
            self.random.spread(100, 3_000)
        }
    }

    /// Whether the part of the cluster that answers such requests is away.
    pub(super) fn is_away(&self, kind: RequestKind) -> bool {
        let weather = &self.weather;
        let until = match kind {
            RequestKind::Heartbeat
            | RequestKind::CommitOffsets
            | RequestKind::FetchOffsets
            | RequestKind::DescribeMember => weather.group_away_until_us,
            RequestKind::InitProducerId
            | RequestKind::AddPartition
            | RequestKind::AddOffsets
            | RequestKind::EndTransaction => weather.transactions_away_until_us,
            RequestKind::Produce | RequestKind::Fetch => weather.leaders_away_until_us,
            RequestKind::Admin => 0,
        };
        self.now_us < until
    }

    /// All faults of the network end; what is under way stays so.
    pub(super) fn calm(&mut self) {
        let instances = self.weather.cut_off_until_us.len();
        self.weather = Weather {
            cut_off_until_us: vec![0; instances],
            ..Weather::default()
        };
    }

    pub(super) fn note(&mut self, actor: &str, what: &str, detail: impl FnOnce() -> String) {
        self.trace.add(self.now_us, actor, what, detail);
    }
}

/// Everything that happened, in order: as text, or as a fingerprint of it.
pub(super) struct Trace {
    text: Option<String>,
    fingerprint: u64,
    lines: u64,
}

impl Trace {
    fn new(keep: bool) -> Self {
        Self {
            text: keep.then(String::new),
            fingerprint: 0xcbf2_9ce4_8422_2325,
            lines: 0,
        }
    }

    fn add(&mut self, now_us: u64, actor: &str, what: &str, detail: impl FnOnce() -> String) {
        self.lines += 1;
        if let Some(text) = &mut self.text {
            let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
            // Writing into a String does not fail.
            let _ = writeln!(text, "{seconds:>4}.{micros:06} {actor:<12} {what} {}", detail());
        }
        let bytes = now_us.to_le_bytes();
        for byte in bytes.iter().chain(actor.as_bytes()).chain(what.as_bytes()) {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn take_text(&mut self) -> Option<String> {
        self.text.take()
    }
}
