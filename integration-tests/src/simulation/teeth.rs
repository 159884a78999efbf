//! Is there a seed for every mistake? A test that nothing turns red proves nothing.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use millstream::testing::{Faults, Mutant};

use super::{Tally, history, run_seed, scenario};
use crate::applications::Application;
use crate::history::{Event, History, Tampering, check};

/// Nothing but orderly stops and starts.
fn orderly_stops() -> Faults {
    Faults {
        restarts: true,
        ..Faults::none()
    }
}

/// A planted mistake, and what became of it.
pub struct Bite {
    /// The mistake.
    pub mutant: Mutant,
    /// The first seed that showed it, and how.
    pub found: Option<(u64, String)>,
    /// Seeds that were run.
    pub seeds: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
}

/// Plants a mistake and runs seeds until one shows it.
pub fn bite(mutant: Mutant, seeds: &Range<u64>) -> Bite {
    let start = Instant::now();
    let found = seeds.clone().find_map(|seed| {
        let mut planted = scenario(seed).ok()?;
        planted.simulator = planted.simulator.mutant(mutant);
        if matches!(mutant, Mutant::NoLastCommit | Mutant::LastBatchDropped) {
            // Any other fault hides it: what was not committed is done again.
            planted.simulator = planted.simulator.faults(orderly_stops());
        }
        let violation = run_seed(&planted, seed, &mut Tally::default()).err()?;
        Some((seed, violation))
    });
    Bite {
        mutant,
        seeds: found.as_ref().map_or(seeds.end, |(seed, _)| seed + 1) - seeds.start,
        found,
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// Plants every mistake, one after the other, and prints a table; false if one was not found.
#[expect(clippy::print_stdout, reason = "the table is for the reader of a command's output")]
pub fn all_are_found(seeds: &Range<u64>) -> bool {
    println!(
        "{:<26} {:<5} {:>6} {:>7}  found as",
        "mutant", "found", "seeds", "seconds"
    );
    let mut all = true;
    for mutant in Mutant::ALL {
        let bite = bite(mutant, seeds);
        let (found, how) = match &bite.found {
            Some((_, violation)) => ("yes", violation.as_str()),
            None => ("NO", ""),
        };
        let how: String = how.chars().take(110).collect();
        let name = format!("{mutant:?}");
        println!("{name:<26} {found:<5} {:>6} {:>7.1}  {how}", bite.seeds, bite.seconds);
        all &= bite.found.is_some();
    }
    println!("{:<26} {:<5}", "spoiled history", "found");
    for tampering in Tampering::ALL {
        let found = spoiled(tampering, seeds);
        println!(
            "{:<26} {:<5}",
            format!("{tampering:?}"),
            if found { "yes" } else { "NO" }
        );
        all &= found;
    }
    let blind = a_verifier_that_is_blind_for_repetitions(seeds);
    println!("{:<26} {:<5}", "VerifierDeduplicates", if blind { "yes" } else { "NO" });
    all &= blind;
    let verdict = if all {
        "every mutant was found"
    } else {
        "FAILED: a mutant was not found"
    };
    println!("{verdict}");
    all
}

/// Whether the checkers notice it in the first history it can be done to.
fn spoiled(tampering: Tampering, seeds: &Range<u64>) -> bool {
    let spoilt = seeds.clone().find_map(|seed| {
        let mut history = good_history(seed)?;
        tampering.spoil(&mut history).then_some(history)
    });
    let violated = |history: &History| {
        let report = check(history);
        report.violations().iter().any(|v| v.invariant == tampering.violates())
    };
    spoilt.as_ref().is_some_and(violated)
}

/// A verifier that de-duplicates before it compares: the planted duplicate shows that it is none.
fn a_verifier_that_is_blind_for_repetitions(seeds: &Range<u64>) -> bool {
    let Some(mut history) = seeds.clone().find_map(good_history) else {
        return false;
    };
    let good = check(&history).violations().is_empty();
    let spoilt = Tampering::Duplicate.spoil(&mut history);
    let sees = |history: &History| {
        let report = check(history);
        report
            .violations()
            .iter()
            .any(|v| v.invariant == Tampering::Duplicate.violates())
    };
    let mut deduplicated = history.clone();
    let mut found = BTreeSet::new();
    deduplicated.events.retain(|timed| match &timed.event {
        Event::Found(r) => found.insert((r.topic.clone(), r.partition, r.key.clone(), r.value.clone())),
        _ => true,
    });
    good && spoilt && sees(&history) && !sees(&deduplicated)
}

fn good_history(seed: u64) -> Option<History> {
    let scenario = scenario(seed).ok()?;
    // The application that has everything the checkers look at.
    if !scenario.about.exactly_once || scenario.about.application != Application::Count {
        return None;
    }
    let run = scenario.simulator.run(seed).ok()?;
    Some(history(&scenario.about, run.observed(), run.happened()))
}
