//! Faults of the application's own processes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::patience::becomes;
use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::{NO_OFFSETS, await_match, mentions, stop};
use crate::kafka::{ObservedRecord, Signal};
use crate::proxy::{Action, Rule, Side, api};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "R01",
        fault: "`kill -9` of an instance under load, restarted at once on its state",
        full_count: 300,
        seconds_each: 6.0,
        seconds_around: 15.0,
        run: hard_kill,
    },
    Row {
        id: "R03",
        fault: "chain of instances: add, add, kill, add, kill, kill, add, orderly stop",
        full_count: 20,
        seconds_each: 30.0,
        seconds_around: 15.0,
        run: chain,
    },
    Row {
        id: "R04",
        fault: "zombie: SIGSTOP for longer than session and transaction last, then SIGCONT",
        full_count: 30,
        seconds_each: 16.0,
        seconds_around: 15.0,
        run: zombie,
    },
    Row {
        id: "R05",
        fault: "orderly stop (SIGTERM) under load, which commits what was processed, all of it; the next start restores nothing",
        full_count: 30,
        seconds_each: 9.0,
        seconds_around: 15.0,
        run: orderly_stop,
    },
    Row {
        id: "R09",
        fault: "rebalance storm: an instance joins and leaves every few seconds; threads and descriptors return to where they were",
        full_count: 100,
        seconds_each: 8.0,
        seconds_around: 15.0,
        run: storm,
    },
    Row {
        id: "R10",
        fault: "a second process on the same state directory; a foreign producer takes the transactional id",
        full_count: 20,
        seconds_each: 8.0,
        seconds_around: 15.0,
        run: twins,
    },
];

fn hard_kill(s: &mut Scenario<'_>) -> Attempt {
    let mut to_running = Vec::new();
    let mut open = 0;
    let mut scene = s.scene(SceneOptions::default())?;
    s.rounds(&mut scene, |s, scene, round| {
        let index = (round % 2) as usize;
        s.world.random_pause(500, 2_500);
        let in_transaction = s.world.proxy.in_transaction(&scene.client(index));
        open += u64::from(in_transaction);
        s.outcome.sometimes("killed inside a transaction", in_transaction);
        scene.kill(index)?;
        scene.start(index, &[])?;
        to_running.push(scene.wait_until_running(index)?.0);
        Ok(())
    })?;
    s.close(scene)?;
    if open * 10 < s.outcome.injected * 3 {
        let sentence = format!("only {open} kills hit an open transaction: the row proves little");
        s.outcome.violation(sentence);
    }
    to_running.sort_unstable();
    if let (Some(p50), Some(max)) = (to_running.get(to_running.len() / 2), to_running.last()) {
        let note = format!("RUNNING again after {p50} ms (p50), {max} ms (max)");
        s.outcome.notes.push(note);
    }
    Ok(())
}

/// Whatever happens to an instance finds a transaction open.
fn seldom_committed() -> SceneOptions {
    SceneOptions {
        arguments: vec!["--commit-interval-ms".to_owned(), "1000".to_owned()],
        ..SceneOptions::default()
    }
}

/// The order of Kafka's own system test of exactly-once.
fn chain(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        instances: 1,
        ..seldom_committed()
    };
    let mut scene = s.scene(options)?;
    s.rounds(&mut scene, |s, scene, _| {
        let kill = |s: &mut Scenario<'_>, scene: &mut Scene, index: usize| {
            let in_transaction = s.world.proxy.in_transaction(&scene.client(index));
            s.outcome.sometimes("killed inside a transaction", in_transaction);
            scene.kill(index)?;
            s.world.random_pause(500, 2_000);
            Attempt::Ok(())
        };
        let add = |s: &mut Scenario<'_>, scene: &mut Scene, index: usize| {
            scene.start(index, &[])?;
            scene.wait_until_running(index)?;
            s.world.random_pause(500, 2_000);
            Attempt::Ok(())
        };
        add(s, scene, 1)?;
        add(s, scene, 2)?;
        kill(s, scene, 0)?;
        add(s, scene, 0)?;
        kill(s, scene, 1)?;
        kill(s, scene, 2)?;
        add(s, scene, 1)?;
        stop(scene, 1)
    })?;
    s.close(scene)
}

const FROZEN: Duration = Duration::from_secs(10);

fn zombie(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions::default())?;
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(300, 1_500);
        let index = (round % 2) as usize;
        let log = scene.log(index);
        let before = complaints(&log);
        let process = scene.process(index)?;
        process.signal(Signal::Pause)?;
        std::thread::sleep(FROZEN);
        process.signal(Signal::Resume)?;
        std::thread::sleep(Duration::from_secs(1));
        scene.wait_until_running(index)?;
        s.outcome
            .sometimes("the zombie noticed that it was fenced", complaints(&log) > before);
        Ok(())
    })?;
    s.close(scene)
}

/// How often an instance has said that its tasks are not its own any more.
fn complaints(log: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let words = ["belong to somebody else", "Migrated"];
    text.lines()
        .filter(|line| words.iter().any(|w| line.contains(w)))
        .count()
}

/// Longer than the pause before the stop, so that only the commit of the stop itself can have committed what came last;
/// shorter than a transaction may last.
const SELDOM: &str = "4000";

fn orderly_stop(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions {
        arguments: vec!["--commit-interval-ms".to_owned(), SELDOM.to_owned()],
        ..SceneOptions::default()
    })?;
    // With one instance the tasks come back to the state they left.
    stop(&mut scene, 1)?;
    stop(&mut scene, 0)?;
    let mut begin = committed(s, &scene)?;
    scene.start(0, &[])?;
    scene.wait_until_running(0)?;
    s.rounds(&mut scene, |s, scene, _| {
        s.world.random_pause(500, 2_000);
        let before = committed(s, scene)?;
        let log = scene.log(0);
        let undone = mentions(&log, UNDONE);
        let mut process = scene.take(0)?;
        process.signal(Signal::Terminate)?;
        if !process.wait_until_ended(Duration::from_secs(10)) {
            return Err("the instance did not stop in order within 10 s".into());
        }
        if s.world.proxy.in_transaction(&scene.client(0)) {
            s.outcome.violation("an orderly stop has left a transaction open");
        }
        let processed = process.processed_at_its_end(Duration::from_secs(2));
        let processed = processed.ok_or("the instance has not said what it has processed")?;
        let mut end = begin.clone();
        let mut stands_for = 0;
        // The brokers write the markers of a transaction a moment after they have said that it is committed.
        becomes(Duration::from_secs(5), || {
            end = committed(s, scene)?;
            stands_for = records_between(s, &begin, &end)?;
            Ok(stands_for == processed)
        })?;
        // What was undone on the way was processed more than once.
        if stands_for != processed && mentions(&log, UNDONE) == undone {
            let sentence = format!("{processed} records processed at an orderly stop, {stands_for} committed");
            s.outcome.violation(sentence);
        }
        s.outcome
            .sometimes("the last commit was that of the stop", before != end);
        begin = end;
        scene.start(0, &[])?;
        let (_, restored) = scene.wait_until_running(0)?;
        if restored > 0 {
            let sentence = format!("{restored} records restored after an orderly stop");
            s.outcome.violation(sentence);
        }
        Ok(())
    })?;
    s.close(scene)
}

const UNDONE: &str = "everything since the last commit is undone";

/// Committed offsets of each partition, by topic: of the input, and of what the application makes of it.
type Committed = BTreeMap<String, Vec<i64>>;

fn committed(s: &Scenario<'_>, scene: &Scene) -> Attempt<Committed> {
    let mut all = Committed::new();
    for role in ["in", "-repartition"] {
        let topic = scene.topic(s.world, role)?;
        let offsets = s.world.observer.committed(&scene.id, &topic)?;
        let offsets = offsets.into_iter().map(|c| c.map_or(0, |(offset, _)| offset));
        all.insert(topic, offsets.collect());
    }
    Ok(all)
}

/// Records from some offsets to others; control records are none.
fn records_between(s: &Scenario<'_>, begin: &Committed, end: &Committed) -> Attempt<u64> {
    let mut count = 0;
    for (topic, ends) in end {
        let offset = |all: &[i64], partition: i32| usize::try_from(partition).ok().and_then(|p| all.get(p).copied());
        let begins = begin.get(topic).ok_or("a topic is new")?;
        let between = |r: &ObservedRecord| {
            offset(begins, r.partition).is_some_and(|b| r.offset >= b)
                && offset(ends, r.partition).is_some_and(|e| r.offset < e)
        };
        let all = s.world.observer.read_committed(topic)?;
        count += all.into_iter().filter(between).count() as u64;
    }
    Ok(count)
}

fn storm(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions::default())?;
    s.world.random_pause(1_000, 2_000);
    let before = resources(scene.process(0)?.pid())?;
    s.rounds(&mut scene, |s, scene, round| {
        scene.start(2, &[])?;
        scene.wait_until_running(2)?;
        s.world.random_pause(500, 2_000);
        if round % 3 == 0 { scene.kill(2) } else { stop(scene, 2) }
    })?;
    std::thread::sleep(Duration::from_secs(5));
    let after = resources(scene.process(0)?.pid())?;
    let note = format!(
        "threads {} then {}, descriptors {} then {}",
        before.0, after.0, before.1, after.1
    );
    s.outcome.notes.push(note.clone());
    if after.0 > before.0 + 8 || after.1 > before.1 + 40 {
        s.outcome.violation(format!("resources are not given back: {note}"));
    }
    s.close(scene)
}

/// Threads and open descriptors of a process.
fn resources(pid: u32) -> Attempt<(usize, usize)> {
    let count = |what: &str| -> Attempt<usize> { Ok(std::fs::read_dir(format!("/proc/{pid}/{what}"))?.count()) };
    Ok((count("task")?, count("fd")?))
}

fn twins(s: &mut Scenario<'_>) -> Attempt {
    use rdkafka::producer::Producer;
    let mut scene = s.scene(SceneOptions::default())?;
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(300, 1_500);
        if round % 2 == 0 {
            s.outcome.variant("state directory");
            let mut twin = scene.launch(0, 0, &[])?;
            if !twin.wait_until_ended(Duration::from_secs(20)) {
                return Err("two processes run on one state directory".into());
            }
            let error = twin.error().unwrap_or_default();
            if !error.contains("locked by another instance") {
                let sentence = format!("the second process ended without saying why: {error:?}");
                s.outcome.violation(sentence);
            }
            return Ok(());
        }
        let id = scene.transactional_id(1)?;
        let thief = s.world.observer.producer(Some(&id))?;
        if (round / 2) % 2 == 0 {
            s.outcome.variant("transactional id, in a commit");
            between_records_and_offsets(s, &scene.client(1))?;
        } else {
            s.outcome.variant("transactional id");
        }
        thief.init_transactions(Duration::from_secs(20))?;
        Ok(())
    })?;
    s.close(scene)
}

/// Returns when all records of a transaction are written, and its offsets are on the way for a moment longer.
fn between_records_and_offsets(s: &Scenario<'_>, client: &str) -> Attempt {
    let delay = Action::Delay(Duration::from_secs(1));
    let offsets = Rule::new(api::ADD_OFFSETS_TO_TXN, Side::Request, delay).client(client);
    await_match(&s.world.proxy.arm(offsets), NO_OFFSETS)
}
