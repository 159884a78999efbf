//! Applications on a simulated cluster: kills, zombies, lost and late messages, moved coordinators, time-outs, power cuts.
//! `cargo xtask simulate` runs more seeds, replays one, and plants mistakes to see them found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scenario fails by panicking"
)]

use std::sync::OnceLock;

use millstream::prelude::*;
use millstream::testing::{Faults, Simulator};
use millstream_integration_tests::applications::{Application, topology};
use millstream_integration_tests::history::{About, Event, History, Record, Tampering, check};
use millstream_integration_tests::simulation::{Batch, Tally, history, run_batch, run_seed, scenario};

/// Runs before everything else: otherwise no seed means anything.
fn the_same_seed_does_the_same() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        for seed in 0..20 {
            let [first, second] = [(); 2].map(|()| scenario(seed).unwrap().simulator.trace(seed).unwrap());
            assert!(!first.trace().unwrap().is_empty());
            assert!(first.trace() == second.trace(), "seed {seed} does not repeat itself");
            assert_eq!(first.records("out"), second.records("out"));
            assert_eq!(first.observed(), second.observed());
        }
    });
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    the_same_seed_does_the_same();
    let [first, other] = [0, 1].map(|seed| scenario(0).unwrap().simulator.run(seed).unwrap().fingerprint());
    assert_ne!(first, other, "seeds differ");
}

#[test]
fn a_thousand_seeds_lose_nothing_and_repeat_nothing() {
    the_same_seed_does_the_same();
    let batch = Batch {
        seeds: 0..1_000,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        stop_at_first: false,
    };
    let tally = run_batch(&batch, |_, _| {}, |_, _| {});
    let failures: Vec<String> = tally
        .failures
        .iter()
        .map(|(seed, (scenario, violation))| {
            format!("{scenario}: {violation}; replay: cargo xtask simulate --from {seed} --trace")
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(tally.runs, 1_000);
    assert!(
        tally.compared > 100_000,
        "only {} elements were compared",
        tally.compared
    );
    assert_eq!(tally.never_happened(), Vec::<&str>::new(), "faults that never struck");
    assert_eq!(tally.never_checked(), [], "invariants that were never checked");
    for application in Application::ALL {
        assert!(
            tally.scenarios.contains_key(application.name()),
            "{} was not simulated",
            application.name()
        );
    }
}

/// The histories of these simulations are right; with one thing made wrong they are not.
#[test]
fn whatever_is_wrong_in_a_history_is_found() {
    for tampering in Tampering::ALL {
        let mut tried = 0;
        for seed in 0..40 {
            let scenario = scenario(seed).unwrap();
            if !scenario.about.exactly_once || scenario.about.application != Application::Count {
                continue;
            }
            let run = scenario.simulator.run(seed).unwrap();
            let mut history = history(&scenario.about, run.observed(), run.happened());
            assert_eq!(check(&history).violations(), [], "seed {seed}");
            if tampering.spoil(&mut history) {
                let report = check(&history);
                let found = report.violations().iter().any(|v| v.invariant == tampering.violates());
                assert!(found, "seed {seed}, {tampering:?}: {:?}", report.violations());
                tried += 1;
            }
        }
        assert!(tried > 0, "{tampering:?} was never tried");
    }
}

/// Each fold is compared with what the application really makes of the input when nothing goes wrong.
#[test]
fn every_application_without_faults_is_what_its_fold_says() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..150 {
        let mut scenario = scenario(seed).unwrap();
        scenario.simulator = scenario.simulator.faults(Faults::none());
        let report = run_seed(&scenario, seed, &mut Tally::default()).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        assert!(report.compared_records() > 0);
        seen.insert(scenario.about.application);
    }
    assert_eq!(seen.len(), Application::ALL.len());
}

#[test]
fn a_history_that_compares_nothing_fails() {
    let mut empty = History::new(About::new(Application::Relay, "nothing", true));
    assert!(check(&empty).verdict().unwrap_err().contains("nothing was compared"));
    empty.add(0, Event::Found(Record::new("in", 0, 0, Some(b"k"), Some(b"v"))));
    assert!(check(&empty).verdict().is_err());
}

fn counting() -> Simulator {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .count()
        .to_stream()
        .to("out");
    let config = StreamsConfig::new("app")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .record_cache_bytes(0);
    Simulator::new(config, builder.build().unwrap())
        .topic("in", 2)
        .topic("out", 2)
        .records(
            "in",
            StringSerde,
            StringSerde,
            (0..100).map(|n| (format!("k{}", n % 10), String::new())),
        )
}

/// Runs seeds until the event has happened a few times.
fn survives(simulator: &Simulator, event: &str, at_least: u64) {
    let mut happened = 0;
    for seed in 0..60 {
        let run = simulator.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(run.records("out").len(), 100, "seed {seed}");
        happened += run.happened().get(event).copied().unwrap_or_default();
    }
    assert!(happened >= at_least, "{event}: only {happened} times");
}

/// The task stayed in "restoring" for ever when its state could not be written, and a revocation whose commit could not be
/// applied was never acknowledged.
#[test]
fn a_write_that_fails_while_restoring_or_giving_back_is_made_up_for() {
    let faults = Faults {
        disk_errors: true,
        restarts: true,
        ..Faults::none()
    };
    survives(&counting().faults(faults), "abort", 20);
}

/// The answer to a heartbeat from before the rejoin made the member believe it owned nothing, while the group believed it
/// owned everything.
#[test]
fn lost_answers_of_heartbeats_leave_no_task_behind() {
    let faults = Faults {
        losses: true,
        ..Faults::none()
    };
    survives(&counting().faults(faults), "answer of a heartbeat lost", 10);
}

/// A heartbeat that arrives after its sender has given up may be answered with a task for nobody: seeds 3042133, 3044082, 3061553
/// and 3088206 stood still. The group is asked what it believes.
#[test]
fn an_answer_that_nobody_hears_leaves_no_task_behind() {
    let faults = Faults {
        losses: true,
        kills: true,
        restarts: true,
        ..Faults::none()
    };
    let simulator = counting().instances(3).faults(faults);
    survives(&simulator, "answer to a heartbeat that nobody waited for", 10);
    for seed in [3_042_133, 3_044_082, 3_061_553, 3_088_206] {
        let scenario = scenario(seed).unwrap();
        run_seed(&scenario, seed, &mut Tally::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// At least once a member that the group has given up may go on for a moment, and its last result overtake the new owner's in the
/// changelog: the new owner's row is older then, and right.
#[test]
fn at_least_once_a_row_may_be_older_than_what_the_former_owner_wrote() {
    let seed = 10_081_840;
    let scenario = scenario(seed).unwrap();
    run_seed(&scenario, seed, &mut Tally::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
}

/// Where a copy of a task's state was kept, the task reads what the copy was behind, and no more: otherwise the run fails. The
/// mutant `CopyIsNotUsed` is this mistake.
#[test]
fn a_task_is_not_restored_from_the_beginning_where_its_state_was_copied() {
    let faults = Faults {
        kills: true,
        pauses: true,
        restarts: true,
        losses: true,
        ..Faults::none()
    };
    let simulator = counting().instances(3).standbys(1).faults(faults);
    survives(&simulator, "copy of a task's state taken over", 10);
    // What a takeover reads beyond its target was taken for read again.
    for seed in [5_044_814, 5_061_971, 5_092_691] {
        let scenario = scenario(seed).unwrap();
        run_seed(&scenario, seed, &mut Tally::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// A thread that could not look up a topic in the middle of a record ended with an error.
#[test]
fn a_cluster_out_of_reach_ends_no_thread() {
    let faults = Faults {
        cut_offs: true,
        ..Faults::none()
    };
    survives(&counting().faults(faults), "cut off", 50);
}

/// Threads of one process numbered their restorations each for itself: one that gave a task back cancelled the restoration of
/// another thread's task, which was then never finished. The mutant `SharedTickets` is this mistake.
#[test]
fn a_restoration_is_cancelled_only_by_its_own_thread() {
    let config = StreamsConfig::new("app")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .stream_threads(2)
        .record_cache_bytes(0);
    let records = (0..100).map(|n| (format!("k{}", n % 10), n.to_string()));
    let simulator = Simulator::new(config, topology(Application::RekeyedCount).unwrap())
        .instances(3)
        .topic("in", 4)
        .topic("out", 4)
        .records("in", StringSerde, StringSerde, records)
        .faults(Faults {
            kills: true,
            erased_disks: true,
            restarts: true,
            stalls: true,
            ..Faults::none()
        });
    survives(&simulator, "record restored", 1_000);
}

/// Two members had one task: a heartbeat in doubt left out what the driver was about to take. Duplicates under exactly-once.
#[test]
fn a_task_that_is_being_taken_is_not_given_away() {
    for seed in [3_025_614, 3_028_578, 3_050_860, 3_072_812] {
        let scenario = scenario(seed).unwrap();
        run_seed(&scenario, seed, &mut Tally::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// Whoever goes on after an orderly stop does nothing again.
#[test]
fn an_orderly_stop_commits_what_was_processed() {
    let faults = Faults {
        restarts: true,
        ..Faults::none()
    };
    let mut stops = 0;
    for seed in 0..60 {
        let mut scenario = scenario(seed).unwrap();
        scenario.simulator = scenario.simulator.faults(faults);
        let mut tally = Tally::default();
        run_seed(&scenario, seed, &mut tally).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        stops += tally.happened.get("stopped in order").copied().unwrap_or_default();
    }
    assert!(stops > 50, "only {stops} stops");
}

/// A producer that repeats by itself what ends a transaction, as librdkafka does, must not be used again afterwards: a late copy
/// of the offsets moved committed offsets back (seed 1 of the mutant `OffsetsAskedAgain`).
#[test]
fn offsets_that_were_sent_twice_never_move_back() {
    let faults = Faults {
        losses: true,
        ..Faults::none()
    };
    survives(&counting().faults(faults), "late offsets refused", 1);
}

#[test]
fn a_watch_ends_the_run_with_its_sentence() {
    let simulator = counting()
        .faults(Faults::none())
        .watch("out", || |_| Err("not this one".into()));
    let failure = simulator.run(1).unwrap_err();
    assert!(failure.violation().ends_with("not this one"), "{failure}");
    assert_eq!(failure.seed(), 1);
}

#[test]
fn what_cannot_be_simulated_is_refused_with_a_sentence() {
    let refused = |simulator: Simulator| simulator.run(0).unwrap_err().violation().to_owned();
    assert!(refused(counting().instances(0)).contains("at least one instance"));
    assert!(refused(counting().standbys(2)).contains("an instance of its own"));
    assert!(refused(counting().lasting(std::time::Duration::ZERO)).contains("`lasting` is zero"));
    assert!(refused(counting().topic("x", 0)).contains("at least one partition"));
    let nowhere = [("k".to_owned(), "v".to_owned())];
    assert!(refused(counting().records("nowhere", StringSerde, StringSerde, nowhere)).contains("no such topic"));
    assert!(refused(counting().watch("nowhere", || |_| Ok(()))).contains("no such topic"));
}

#[test]
fn a_topology_that_fails_ends_the_run() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .try_map_values(|v| v.parse::<i64>())
        .to("out");
    let config = StreamsConfig::new("app").processing_guarantee(ProcessingGuarantee::ExactlyOnce);
    let records = [("k".to_owned(), "no number".to_owned())];
    let failure = Simulator::new(config, builder.build().unwrap())
        .faults(Faults::none())
        .topic("in", 1)
        .topic("out", 1)
        .records("in", StringSerde, StringSerde, records)
        .run(0)
        .unwrap_err();
    assert!(failure.violation().contains("stopped because of an error"), "{failure}");
}
