//! Many seeds on all cores, and what they came to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{MUST_HAPPEN, Scenario, history, orderly, scenario};
use crate::history::{Invariant, Report, check};

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
    pub scenarios: BTreeMap<String, u64>,
    /// Elements of output compared with the reference folds.
    pub compared: u64,
    /// Elements compared for each invariant.
    pub checked: BTreeMap<Invariant, u64>,
    /// Steps and messages.
    pub steps: u64,
    /// Simulated time, in milliseconds.
    pub virtual_ms: u64,
    /// Simulated times from the end of the faults until nothing was left to do, in milliseconds.
    pub recoveries_ms: Vec<u64>,
    /// How often each kind of event happened.
    pub happened: BTreeMap<&'static str, u64>,
    /// Seeds that failed: scenario and sentence.
    pub failures: BTreeMap<u64, (String, String)>,
}

/// One seed: the simulation, and the checkers over its history. Gives what was compared.
///
/// # Errors
/// What was violated, in one sentence.
pub fn run_seed(scenario: &Scenario, seed: u64, tally: &mut Tally) -> Result<Report, String> {
    let (happened, outcome) = match scenario.simulator.run(seed) {
        Ok(run) => {
            tally.steps += run.steps();
            tally.virtual_ms += run.virtual_ms();
            tally.recoveries_ms.push(run.recovery_ms());
            let report = check(&history(&scenario.about, run.observed(), &BTreeMap::new()));
            let outcome = report
                .verdict()
                .and_then(|_| orderly::nothing_was_repeated(scenario, &run))
                .map(|()| report);
            (run.happened().clone(), outcome)
        }
        Err(failure) => (failure.happened().clone(), Err(failure.to_string())),
    };
    for (what, count) in happened {
        *tally.happened.entry(what).or_default() += count;
    }
    outcome
}

impl Tally {
    /// Events that must happen in a large batch, but did not.
    pub fn never_happened(&self) -> Vec<&'static str> {
        let happened = |what: &&&str| self.happened.get(**what).is_some_and(|n| *n > 0);
        MUST_HAPPEN.iter().filter(|what| !happened(what)).copied().collect()
    }

    /// Invariants for which nothing was compared.
    pub fn never_checked(&self) -> Vec<Invariant> {
        let checked = |i: &&Invariant| self.checked.get(*i).is_some_and(|n| *n > 0);
        Invariant::ALL.iter().filter(|i| !checked(i)).copied().collect()
    }

    /// Median and longest recovery, in milliseconds of simulated time.
    pub fn recovery_ms(&self) -> (u64, u64) {
        let mut sorted = self.recoveries_ms.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        (median, sorted.last().copied().unwrap_or(0))
    }

    fn add(&mut self, seed: u64) -> bool {
        self.runs += 1;
        let (name, outcome) = match scenario(seed) {
            Ok(scenario) => {
                let outcome = run_seed(&scenario, seed, self);
                (scenario.name, outcome)
            }
            Err(refused) => ("none".to_owned(), Err(refused)),
        };
        *self.scenarios.entry(name.clone()).or_default() += 1;
        match outcome {
            Ok(report) => {
                self.compared += report.compared_records();
                for (invariant, elements) in report.elements() {
                    *self.checked.entry(*invariant).or_default() += elements;
                }
                true
            }
            Err(violation) => {
                self.failures.insert(seed, (name, violation));
                false
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.compared += other.compared;
        self.steps += other.steps;
        self.virtual_ms += other.virtual_ms;
        self.recoveries_ms.extend(other.recoveries_ms);
        self.failures.extend(other.failures);
        merge_counts(&mut self.happened, other.happened);
        merge_counts(&mut self.scenarios, other.scenarios);
        merge_counts(&mut self.checked, other.checked);
    }
}

fn merge_counts<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (what, count) in from {
        *into.entry(what).or_default() += count;
    }
}

/// Runs the seeds; `progress` is told now and then how many are done and how many have failed, `failure` at once which one and why.
pub fn run_batch(batch: &Batch, progress: impl Fn(u64, u64) + Sync, failure: impl Fn(u64, &str) + Sync) -> Tally {
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
                        if let Some((_, violation)) = tally.failures.get(&seed) {
                            failure(seed, violation);
                        }
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
