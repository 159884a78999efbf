//! Real faults against real Kafka: does what is promised hold while processes die, brokers go and packets disappear?
//!
//! A [`World`] is three JVM brokers on loopback and a proxy in front of them. A [`Row`] of the table is one kind of fault; it
//! is injected again and again into a [`Scene`]: application processes that count records through a repartition topic, a feeder
//! that never stops, and a witness that reads committed results during the faults and checks each one. When the row ends,
//! input, results, changelog, offsets and open transactions are compared with the reference fold (`verify`).
//! A row that injected nothing or compared nothing fails.

mod feeder;
mod mending;
mod patience;
mod report;
mod rows;
mod scene;
mod verify;
mod witness;
mod world;

use std::time::Duration;

pub use report::{Outcome, RunFacts, document, table, write_between};
pub use scene::{Scene, SceneOptions};
pub use world::World;

/// How long a row may take to come back to lag zero after a fault has been cleared.
///
/// What may follow one another, in the harness's settings: the brokers' own session of 9 s until the controller moves leaders, 6 s
/// until a transaction without a client is rolled back (the session of 3 s runs at the same time), 5 s to assign tasks anew, 5 s
/// to restore and to take up work. That is 25 s with a core for everybody; brokers, applications and checkers share two, and
/// what fills them (three JVMs that start, logs that are recovered) comes exactly then, so it is given twice over and 10 s.
pub const RECOVERY_BOUND: Duration = Duration::from_secs(60);

/// Why a row could not go on: the fault was not injected, or the harness itself failed.
pub type Attempt<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One kind of fault.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its number in the table.
    pub id: &'static str,
    /// What is done.
    pub fault: &'static str,
    /// Injections of a full run.
    pub full_count: u64,
    /// What one injection takes with its recovery, roughly: the basis of the estimate.
    pub seconds_each: f64,
    /// What the row needs before its first injection and after its last.
    pub seconds_around: f64,
    run: fn(&mut Scenario<'_>) -> Attempt,
}

/// A row on its way: where it runs, how often, and what has come of it.
pub struct Scenario<'w> {
    /// Brokers and proxy.
    pub world: &'w mut World,
    /// Injections to do.
    pub count: u64,
    /// Number of the first one: a row goes through the variants of its fault in turns.
    pub first: u64,
    /// What has been seen so far.
    pub outcome: Outcome,
}

impl Row {
    /// All rows, in the order in which they run.
    pub fn all() -> Vec<Self> {
        rows::all()
    }

    /// Runs the row; what goes wrong is in the outcome. A part of the counts begins somewhere in the list of variants.
    pub fn run(&self, world: &mut World, count: u64) -> Outcome {
        let first = world.random(self.full_count);
        self.run_from(world, first, count)
    }

    /// As [`run`](Self::run), from the variant of that number on.
    pub fn run_from(&self, world: &mut World, first: u64, count: u64) -> Outcome {
        let started = std::time::Instant::now();
        let mut scenario = Scenario {
            world,
            count,
            first,
            outcome: Outcome::new(self),
        };
        let done = (self.run)(&mut scenario);
        let mut outcome = scenario.outcome;
        if let Err(error) = done {
            outcome.violations.push(format!("the row could not go on: {error}"));
        }
        outcome.finish(started.elapsed());
        outcome
    }

    /// Injections of this row when only a part of the full run is wanted: at least one.
    pub fn count_at(&self, share: f64) -> u64 {
        let scaled = (self.full_count as f64 * share).round();
        (scaled as u64).clamp(1, self.full_count)
    }

    /// What so many injections take.
    pub fn estimate(&self, count: u64) -> Duration {
        Duration::from_secs_f64(self.seconds_around + self.seconds_each * count as f64)
    }
}

/// The share of the full counts that fits into the time; every row keeps at least one injection.
pub fn share_that_fits(rows: &[Row], time: Duration) -> f64 {
    let total = |share: f64| -> f64 { rows.iter().map(|r| r.estimate(r.count_at(share)).as_secs_f64()).sum() };
    let (mut low, mut high) = (0.0, 1.0);
    if total(high) <= time.as_secs_f64() {
        return high;
    }
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if total(middle) <= time.as_secs_f64() {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_runs_at_least_once_however_little_time_there_is() {
        let rows = Row::all();
        let share = share_that_fits(&rows, Duration::from_secs(1));
        assert!(rows.iter().all(|r| r.count_at(share) >= 1));
        assert!(rows.iter().all(|r| r.count_at(1.0) == r.full_count));
    }

    #[test]
    fn a_share_fills_the_time_it_is_given() {
        let rows = Row::all();
        let hour = Duration::from_secs(3_600);
        let share = share_that_fits(&rows, hour);
        let total: Duration = rows.iter().map(|r| r.estimate(r.count_at(share))).sum();
        assert!(total <= hour && share > 0.0, "{total:?}");
    }

    #[test]
    fn rows_have_names_of_their_own() {
        let mut ids: Vec<_> = Row::all().iter().map(|r| r.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
