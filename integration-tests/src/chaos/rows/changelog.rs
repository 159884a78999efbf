//! Changelogs that are restored from although something is odd with them, and one that is gone.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::super::patience::becomes;
use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::{abort_once, restart, stop};
use crate::kafka::{NewRecord, ObservedRecord, View};
use crate::proxy::{Action, Rule, Side, Wall, api};

pub(super) const ROWS: &[Row] = &[Row {
    id: "R35",
    fault: "a changelog with aborted transactions, with a control record at its end, compacted, cut off by retention, unreadable at the asked offset (OFFSET_OUT_OF_RANGE), or deleted is restored from",
    full_count: 60,
    seconds_each: 16.0,
    seconds_around: 15.0,
    run: odd_changelogs,
}];

const LIMIT: Duration = Duration::from_secs(30);
/// A changelog that seems to end too early is looked at for 10 s.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// What goes on does so within this time: commits of an instance that has tasks, a restoration that is slowed down.
const STILL_AT_WORK: Duration = Duration::from_secs(5);

fn odd_changelogs(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions::default())?;
    // Whatever comes first: there is something to restore.
    scene.wait_for_results(1)?;
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

/// Both go, so that nobody writes any more: what was written last is rolled back, and its marker is the end.
fn control_record_last(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("control record last");
    scene.wait_for_results(1)?;
    let topic = scene.topic(s.world, "-changelog")?;
    // Whoever asks for a commit has written everything; without one it is rolled back after `transaction_timeout`. Both, because
    // one of them may have none of the tasks with a store.
    let commits = || Rule::new(api::END_TXN, Side::Request, Action::Drop).commits(true);
    let of = |index| commits().client(&scene.client(index)).times(u64::MAX);
    let no_commits = [0, 1].map(|index| s.world.proxy.arm(of(index)));
    let dropped = no_commits.iter().filter(|rule| rule.wait_matched(1, STILL_AT_WORK));
    if dropped.count() == 0 {
        return Err("nothing was to be committed".into());
    }
    scene.kill(1)?;
    lose_state(scene)?;
    drop(no_commits);
    if !becomes(LIMIT, || every_end_is_a_marker(s, &topic))? {
        return Err(format!("{topic} does not end with control records within {LIMIT:?}").into());
    }
    s.outcome.sometimes("a control record was the last", true);
    let rolled_back = last_of_each(s, &topic, View::Everything)? != last_of_each(s, &topic, View::Committed)?;
    s.outcome
        .sometimes("what was written last was rolled back", rolled_back);
    restart(scene, 0)?;
    restart(scene, 1)
}

/// Offset of the last record of each partition.
fn last_of_each(s: &Scenario<'_>, topic: &str, view: View) -> Attempt<BTreeMap<i32, i64>> {
    let all = s.world.observer.read_all(topic, view)?;
    Ok(all.iter().map(|r| (r.partition, r.offset)).collect())
}

/// Whether something was written, and behind the last record of every partition that has any there is one that nobody is shown.
fn every_end_is_a_marker(s: &Scenario<'_>, topic: &str) -> Attempt<bool> {
    let last = last_of_each(s, topic, View::Everything)?;
    let ends = s.world.observer.watermarks(topic)?;
    let marker = |partition: i32, end: i64| last.get(&partition).map_or(end == 0, |last| last + 1 < end);
    Ok(!last.is_empty() && (0..).zip(&ends).all(|(p, (_, end))| marker(p, *end)))
}

/// The log is cleaned behind the back of a restoration that has read its first batches and is held back meanwhile.
fn compacted(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt {
    s.outcome.variant("compacted");
    let topic = scene.topic(s.world, "-changelog")?;
    let rolled = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let not_yet = [rolled.as_slice(), &[("min.compaction.lag.ms", "3600000")]].concat();
    s.world.observer.configure_topic(&topic, &not_yet)?;
    // Segments that are not written to any more are what the cleaner takes.
    let then: Vec<i64> = s.world.observer.watermarks(&topic)?.iter().map(|w| w.1).collect();
    let grown = await_growth(s, &topic, &then)?;
    await_growth(s, &topic, &grown)?;
    lose_state(scene)?;
    // Batch by batch, or everything is read at once.
    let pause = Action::Delay(Duration::from_millis(200));
    let slowly = Rule::new(api::FETCH, Side::Answer, pause).client(&restore_client(scene));
    let slowly = s.world.proxy.arm(slowly.times(u64::MAX));
    scene.start_with(0, &["--property", "consumer.fetch.message.max.bytes=300"])?;
    if !slowly.wait_matched(2, LIMIT) {
        return Err("nothing was restored".into());
    }
    let held_back = s.world.proxy.wall(Wall {
        client: restore_client(scene),
        ..Wall::default()
    });
    await_cleaning(s, &topic, &rolled)?;
    let read = slowly.matched();
    drop(held_back);
    s.outcome.sometimes(
        "compaction ran while it was restored from",
        slowly.wait_matched(read + 2, STILL_AT_WORK),
    );
    drop(slowly);
    scene.wait_until_running(0)?;
    // As it is otherwise.
    stop(scene, 0)?;
    restart(scene, 0)?;
    s.world
        .observer
        .configure_topic(&topic, &[("cleanup.policy", "compact")])
        .map_err(Into::into)
}

/// Lets the cleaner begin, and waits for records to go from a partition that nobody writes to: it is being restored from.
fn await_cleaning(s: &Scenario<'_>, topic: &str, settings: &[(&str, &str)]) -> Attempt {
    let (ends, before) = (s.world.observer.watermarks(topic)?, records_of_each(s, topic)?);
    s.world.observer.configure_topic(topic, settings)?;
    let cleaned = becomes(LIMIT, || {
        let (left, now) = (records_of_each(s, topic)?, s.world.observer.watermarks(topic)?);
        let fewer = |p: i32| left.get(&p) < before.get(&p);
        let mut partitions = (0..).zip(ends.iter().zip(&now));
        Ok(partitions.any(|(p, (then, now))| then.1 == now.1 && fewer(p)))
    })?;
    if cleaned {
        Ok(())
    } else {
        Err(format!("{topic} was not compacted within {LIMIT:?}").into())
    }
}

fn records_of_each(s: &Scenario<'_>, topic: &str) -> Attempt<BTreeMap<i32, usize>> {
    let mut counts = BTreeMap::new();
    for record in s.world.observer.read_all(topic, View::Everything)? {
        *counts.entry(record.partition).or_default() += 1;
    }
    Ok(counts)
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
    // A topic that is only compacted loses nothing else: the broker refuses. A store whose rows may go says so first.
    if s.world.observer.delete_records(&topic, &grown).is_ok() {
        s.outcome
            .violation("the broker cut records off a changelog that is only compacted");
    }
    let both = [("cleanup.policy", "compact,delete")];
    s.world.observer.configure_topic(&topic, &both)?;
    cut(s, &topic, &grown)?;
    restart(scene, 0)?;
    let compacted = [("cleanup.policy", "compact")];
    Ok(s.world.observer.configure_topic(&topic, &compacted)?)
}

/// Deletes what lies before these offsets. The brokers hear of a new policy a moment later than we do.
fn cut(s: &Scenario<'_>, topic: &str, before: &[i64]) -> Attempt {
    let mut refused = None;
    let done = becomes(LIMIT, || {
        refused = s.world.observer.delete_records(topic, before).err();
        Ok(refused.is_none())
    })?;
    if let (false, Some(error)) = (done, refused) {
        return Err(error.into());
    }
    let firsts: Vec<i64> = s.world.observer.watermarks(topic)?.iter().map(|w| w.0).collect();
    if firsts != before {
        return Err(format!("{topic} begins at {firsts:?}, not at {before:?}").into());
    }
    Ok(())
}

/// Waits until every partition has 200 offsets more: some rounds of all keys. Gives the ends.
fn await_growth(s: &Scenario<'_>, topic: &str, then: &[i64]) -> Attempt<Vec<i64>> {
    let mut now = Vec::new();
    let grown = becomes(LIMIT, || {
        now = s.world.observer.watermarks(topic)?.iter().map(|w| w.1).collect();
        Ok(now.iter().zip(then).all(|(now, then)| *now > then + 200))
    })?;
    if grown {
        Ok(now)
    } else {
        Err(format!("{topic} does not grow: {then:?}, then {now:?}").into())
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
