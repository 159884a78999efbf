//! Changelogs that are restored from although something is odd with them, and one that is gone.

use std::fs;
use std::time::{Duration, Instant};

use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::{abort_once, restart};
use crate::kafka::{NewRecord, ObservedRecord, View};
use crate::proxy::{Action, Rule, Side, api};

pub(super) const ROWS: &[Row] = &[Row {
    id: "R35",
    fault: "a changelog with aborted transactions, with a control record at its end, compacted, cut off by retention, unreadable at the asked offset (OFFSET_OUT_OF_RANGE), or deleted is restored from",
    full_count: 60,
    seconds_each: 14.0,
    seconds_around: 15.0,
    run: odd_changelogs,
}];

const LIMIT: Duration = Duration::from_secs(30);
/// A changelog that seems to end too early is looked at for 10 s.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

fn odd_changelogs(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions::default())?;
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(200, 800);
        match round % 6 {
            0 => aborted_inside(s, scene),
            1 => control_record_last(s, scene),
            2 => compacted(s, scene),
            3 => cut_off(s, scene),
            4 => out_of_range(s, scene),
            _ => deleted(s, scene),
        }
    })?;
    s.close(scene)
}

/// Kills the first instance; it will begin without state.
fn lose_state(scene: &mut Scene) -> Attempt {
    scene.kill(0)?;
    Ok(fs::remove_dir_all(scene.state_dir(0))?)
}

fn aborted_inside(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("aborted inside");
    abort_once(s, scene, 0)?;
    scene.wait_until_running(0)?;
    lose_state(scene)?;
    restart(scene, 0)
}

/// Both go, so that nobody writes any more: after the last commit there is its marker, and nothing else.
fn control_record_last(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("control record last");
    scene.kill(1)?;
    lose_state(scene)?;
    let topic = scene.topic(s.world, "-changelog")?;
    // What was open when they died is rolled back after `transaction_timeout`, with a marker.
    let deadline = Instant::now() + LIMIT;
    let mut any = ends_with_a_marker(s, &topic)?;
    while !any && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
        any = ends_with_a_marker(s, &topic)?;
    }
    s.outcome.sometimes("a control record was the last", any);
    restart(scene, 0)?;
    restart(scene, 1)
}

fn ends_with_a_marker(s: &Scenario<'_>, topic: &str) -> Attempt<bool> {
    let ends = s.world.observer.watermarks(topic)?;
    let all = s.world.observer.read_all(topic, View::Everything)?;
    let marker_last = |partition: i32, end: i64| {
        let last = all.iter().filter(|r| r.partition == partition).map(|r| r.offset).max();
        last.is_some_and(|last| last + 1 < end)
    };
    Ok((0..).zip(&ends).any(|(p, (_, end))| marker_last(p, *end)))
}

/// Segments are rolled and cleaned every second, also while it is read, which is made to take its time.
fn compacted(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("compacted");
    let topic = scene.topic(s.world, "-changelog")?;
    let eager = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "1000"),
    ];
    s.world.observer.configure_topic(&topic, &eager)?;
    let deadline = Instant::now() + LIMIT;
    while !is_compacted(s, &topic)? {
        if Instant::now() > deadline {
            return Err(format!("{topic} was not compacted within {LIMIT:?}").into());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    lose_state(scene)?;
    let slowly = Rule::new(api::FETCH, Side::Answer, Action::Delay(Duration::from_millis(300)));
    let slowly = s.world.proxy.arm(slowly.client(&restore_client(scene)).times(6));
    restart(scene, 0)?;
    s.outcome
        .sometimes("compaction ran while it was restored from", slowly.matched() > 0);
    s.world
        .observer
        .configure_topic(&topic, &[("cleanup.policy", "compact")])
        .map_err(Into::into)
}

/// Whether records that were there are not any more: control records leave a gap of one.
fn is_compacted(s: &Scenario<'_>, topic: &str) -> Attempt<bool> {
    let all = s.world.observer.read_all(topic, View::Everything)?;
    let gap =
        |pair: &[ObservedRecord]| matches!(pair, [a, b] if a.partition == b.partition && b.offset - a.offset > 10);
    let from_the_first = |r: &ObservedRecord| r.offset > 10;
    let firsts = (0..3).filter_map(|p| all.iter().find(|r| r.partition == p));
    Ok(all.windows(2).any(gap) || firsts.into_iter().any(from_the_first))
}

fn restore_client(scene: &Scene) -> String {
    format!("{}restore-consumer", scene.client(0))
}

/// Retention takes what the state on disk would go on from. Every key has been written since.
fn cut_off(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("cut off by retention");
    let topic = scene.topic(s.world, "-changelog")?;
    scene.kill(0)?;
    let then: Vec<i64> = s.world.observer.watermarks(&topic)?.iter().map(|w| w.1).collect();
    let grown = await_growth(s, &topic, &then)?;
    await_growth(s, &topic, &grown)?;
    s.world.observer.delete_records(&topic, &grown)?;
    restart(scene, 0)
}

/// Waits until every partition has 200 offsets more: some rounds of all keys. Gives the ends.
fn await_growth(s: &Scenario<'_>, topic: &str, then: &[i64]) -> Attempt<Vec<i64>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let now: Vec<i64> = s.world.observer.watermarks(topic)?.iter().map(|w| w.1).collect();
        if now.iter().zip(then).all(|(now, then)| *now > then + 200) {
            return Ok(now);
        }
        if Instant::now() > deadline {
            return Err(format!("{topic} does not grow: {then:?}, then {now:?}").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn out_of_range(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("OFFSET_OUT_OF_RANGE");
    lose_state(scene)?;
    let refused = Rule::new(api::FETCH, Side::Answer, Action::Rewrite(1)).client(&restore_client(scene));
    let refused = s.world.proxy.arm(refused);
    scene.start(0, &[])?;
    if !refused.wait_matched(1, LIMIT) {
        return Err("nothing was restored".into());
    }
    scene.wait_until_running(0).map(drop)
}

/// Whoever has state, and whoever has none, says that the changelog is gone. Then it is brought back from a copy.
fn deleted(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("deleted");
    let topic = scene.topic(s.world, "-changelog")?;
    for index in 0..2 {
        let stopped = scene.take(index)?.stop(LIMIT)?;
        if !stopped {
            return Err(format!("instance {index} did not stop in order").into());
        }
    }
    let copy = s.world.observer.read_committed(&topic)?;
    let ends = s.world.observer.watermarks(&topic)?;
    s.world.observer.delete_topic(&topic)?;
    fs::remove_dir_all(scene.state_dir(0))?;
    for index in 0..2 {
        scene.start(index, &[])?;
        let mut process = scene.take(index)?;
        if !process.wait_until_ended(ENDS_WITHIN) {
            return Err(format!("instance {index} goes on although its changelog is gone").into());
        }
        let error = process.error().unwrap_or_default();
        if !error.contains("changelog") {
            s.outcome.violation(format!(
                "instance {index} ended without naming the changelog: {error:?}"
            ));
        }
    }
    bring_back(s, &topic, &copy, &ends)?;
    restart(scene, 0)?;
    restart(scene, 1)
}

/// The application has made the topic anew, empty. What was last written to each key is written again until it ends no earlier
/// than the old one.
fn bring_back(s: &Scenario<'_>, topic: &str, copy: &[ObservedRecord], ends: &[(i64, i64)]) -> Attempt {
    if s.world.observer.partitions(topic)? == 0 {
        let partitions = i32::try_from(ends.len())?;
        let settings = [("cleanup.policy", "compact")];
        s.world.observer.create_topic_with(topic, partitions, &settings)?;
    }
    let mut records = Vec::new();
    for (partition, (_, end)) in (0..).zip(ends) {
        let of_partition = || copy.iter().filter(|r| r.partition == partition);
        let missing = usize::try_from(*end)?.saturating_sub(of_partition().count());
        let newest = || {
            let mut seen = std::collections::BTreeSet::new();
            let mut newest: Vec<&ObservedRecord> =
                of_partition().rev().filter(|r| seen.insert(r.key.clone())).collect();
            newest.reverse();
            newest
        };
        let again: Vec<&ObservedRecord> = newest().into_iter().cycle().take(missing).collect();
        records.extend(of_partition().chain(again).map(|r| NewRecord {
            partition: Some(partition),
            key: r.key.clone(),
            value: r.value.clone(),
            timestamp_ms: Some(r.timestamp_ms),
            headers: r.headers.clone(),
        }));
    }
    Ok(s.world.observer.produce(topic, &records)?)
}
