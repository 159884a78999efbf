//! The applications with the settings a seed draws for them.

use std::sync::Arc;
use std::time::Duration;

use millstream::prelude::*;
use millstream::testing::{Faults, Simulator};
use millstream::{ErrorKind, StreamsConfig};

use crate::applications::{self, Application, OUTPUT};
use crate::history::About;

use super::input;
use super::watch;

/// An application with the settings of one seed.
pub struct Scenario {
    /// What it is called on the command line and in reports.
    pub name: String,
    /// The settings, for people.
    pub settings: String,
    /// Ready to run.
    pub simulator: Simulator,
    /// For the history of the run.
    pub about: About,
}

/// Small and even enough to draw settings; the simulator has a generator of its own.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Self(seed.wrapping_mul(2).wrapping_add(1));
        draw.below(2);
        draw
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// How long a group waits for a member that does not give back what it should.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(15);

/// The scenario of a seed.
///
/// # Errors
/// Never, for topologies that are right.
pub fn scenario(seed: u64) -> Result<Scenario, String> {
    let mut draw = Draw::new(seed);
    let application = pick(&mut draw, &Application::ALL);
    let exactly_once = !(application.tells_repetitions() && draw.below(6) == 0);
    let partitions = 1 + draw.below(4) as i32;
    let instances = 1 + draw.below(4) as usize;
    let threads = 1 + draw.below(2) as usize;
    let standbys = if instances > 1 { draw.below(3) as usize / 2 } else { 0 };
    let commit_ms = pick(&mut draw, &[20, 100, 100, 500, 3_000]);
    let records = 50 + draw.below(200);
    let cache_bytes = match application {
        // A join of two cached tables may keep a row that both sides deleted between two commits, as in Kafka Streams.
        Application::CachedCount => 10 << 20,
        _ => 0,
    };
    let config = StreamsConfig::new("app")
        .processing_guarantee(if exactly_once {
            ProcessingGuarantee::ExactlyOnce
        } else {
            ProcessingGuarantee::AtLeastOnce
        })
        .commit_interval(Duration::from_millis(commit_ms))
        .rebalance_timeout(REBALANCE_TIMEOUT)
        .stream_threads(threads)
        .record_cache_bytes(cache_bytes)
        .handlers(Handlers {
            deserialization: Arc::new(LogAndContinue),
            ..Handlers::default()
        });
    let topology = applications::topology(application).map_err(|e| e.to_string())?;
    let mut simulator = Simulator::new(config, topology)
        .instances(instances)
        .standbys(standbys)
        .topic(OUTPUT, partitions);
    for topic in application.inputs() {
        simulator = simulator.topic(*topic, partitions).timed_records(
            topic,
            StringSerde,
            OptionSerde::new(StringSerde),
            input::of(application, topic, records),
        );
    }
    if !exactly_once && !application.stands_zombies() {
        simulator = simulator.faults(nobody_is_left_behind());
    }
    if application == Application::GlobalTableJoin {
        // Global stores that cannot be read or written end the instance; a supervisor starts it again.
        simulator = simulator.restart_after(|error| error.kind() == ErrorKind::State);
    }
    let suffix = if exactly_once { "" } else { " at least once" };
    let name = format!("{}{suffix}", application.name());
    let mut about = About::new(application, format!("simulation of seed {seed}"), exactly_once);
    about.recovery_bound_ms = Some(simulator.recovery_bound_ms());
    Ok(Scenario {
        settings: format!(
            "{instances} instances of {threads} threads, {standbys} standbys, {partitions} partitions, \
             {records} records a topic, commit every {commit_ms} ms"
        ),
        name,
        simulator: watch::watched(simulator, application, exactly_once),
        about,
    })
}

/// At least once, a process that was replaced and does not know it may still write older counts behind newer ones, as in Kafka
/// Streams. Without such faults every record counts at least once.
fn nobody_is_left_behind() -> Faults {
    Faults {
        restarts: true,
        moves: true,
        clock_jumps: true,
        disk_errors: true,
        flushes: true,
        compactions: true,
        ..Faults::none()
    }
}

fn pick<T: Copy>(draw: &mut Draw, of: &[T]) -> T {
    of[draw.below(of.len() as u64) as usize]
}
