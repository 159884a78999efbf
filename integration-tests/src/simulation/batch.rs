//! Many seeds on all cores, and what they came to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{MUST_HAPPEN, scenario};

/// Which seeds, and on how many threads.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Threads; each runs one simulation at a time.
    pub threads: usize,
    /// Stop at the first seed that fails.
    pub stop_at_first: bool,
}

/// What a batch came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Simulations that were run.
    pub runs: u64,
    /// Simulations of each scenario.
    pub scenarios: BTreeMap<&'static str, u64>,
    /// Elements of output compared with the reference folds.
    pub compared: u64,
    /// Steps and messages.
    pub steps: u64,
    /// Simulated time, in milliseconds.
    pub virtual_ms: u64,
    /// Longest simulated time from the end of the faults until nothing was left to do, in milliseconds.
    pub longest_recovery_ms: u64,
    /// How often each kind of event happened.
    pub happened: BTreeMap<&'static str, u64>,
    /// Seeds that failed: scenario and sentence.
    pub failures: BTreeMap<u64, (&'static str, String)>,
}

impl Tally {
    /// Events that must happen in a large batch, but did not.
    pub fn never_happened(&self) -> Vec<&'static str> {
        let happened = |what: &&&str| self.happened.get(**what).is_some_and(|n| *n > 0);
        MUST_HAPPEN.iter().filter(|what| !happened(what)).copied().collect()
    }

    fn add(&mut self, seed: u64) -> bool {
        let scenario = scenario(seed);
        self.runs += 1;
        *self.scenarios.entry(scenario.name).or_default() += 1;
        let (happened, outcome) = match scenario.simulator.run(seed) {
            Ok(run) => {
                self.steps += run.steps();
                self.virtual_ms += run.virtual_ms();
                self.longest_recovery_ms = self.longest_recovery_ms.max(run.recovery_ms());
                let outcome = (scenario.verify)(&run).map(|compared| self.compared += compared as u64);
                (run.happened().clone(), outcome)
            }
            Err(failure) => (failure.happened().clone(), Err(failure.to_string())),
        };
        for (what, count) in happened {
            *self.happened.entry(what).or_default() += count;
        }
        match outcome {
            Ok(()) => true,
            Err(violation) => {
                self.failures.insert(seed, (scenario.name, violation));
                false
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.compared += other.compared;
        self.steps += other.steps;
        self.virtual_ms += other.virtual_ms;
        self.longest_recovery_ms = self.longest_recovery_ms.max(other.longest_recovery_ms);
        self.failures.extend(other.failures);
        for (of, from) in [
            (&mut self.happened, other.happened),
            (&mut self.scenarios, other.scenarios),
        ] {
            for (what, count) in from {
                *of.entry(what).or_default() += count;
            }
        }
    }
}

/// Runs the seeds; `progress` is told now and then how many are done and how many have failed.
pub fn run_batch(batch: &Batch, progress: impl Fn(u64, u64) + Sync) -> Tally {
    let next = AtomicU64::new(batch.seeds.start);
    let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..batch.threads.max(1) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= batch.seeds.end {
                        break;
                    }
                    if !tally.add(seed) {
                        failed.fetch_add(1, Ordering::Relaxed);
                        stop.fetch_or(batch.stop_at_first, Ordering::Relaxed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                total.lock().unwrap_or_else(PoisonError::into_inner).merge(tally);
            });
        }
        let (all, mut said) = (batch.seeds.end - batch.seeds.start, Instant::now());
        while done.load(Ordering::Relaxed) < all && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            if said.elapsed() >= Duration::from_secs(5) {
                said = Instant::now();
                progress(done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
            }
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
