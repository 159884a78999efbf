//! User code that fails, panics or never returns, and records that cannot be read.

use std::time::Duration;

use super::super::patience::becomes;
use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::mentions;
use crate::kafka::NewRecord;

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "R06",
        fault: "user code returns an error, panics, or never returns; policies fail, skip, dead letter",
        full_count: 9,
        seconds_each: 14.0,
        seconds_around: 15.0,
        run: user_code,
    },
    Row {
        id: "R37",
        fault: "transactional input with aborted transactions and markers; `kill -9` meanwhile",
        full_count: 20,
        seconds_each: 6.0,
        seconds_around: 15.0,
        run: transactional_input,
    },
    Row {
        id: "R38",
        fault: "hostile records: null and undecodable keys and values, empty, 900 kB, just below and above what the broker takes, no time, times before 1970 and of a far future, 10,000 headers; policies fail, skip, dead letter",
        full_count: 32,
        seconds_each: 10.0,
        seconds_around: 15.0,
        run: hostile_records,
    },
];

const END_LIMIT: Duration = Duration::from_secs(30);

fn restart_with(scene: &mut Scene, arguments: &[&str]) -> Attempt {
    scene.set_arguments(arguments);
    for index in 0..2 {
        if let Ok(process) = scene.take(index) {
            process.stop(Duration::from_secs(20))?;
        }
        scene.start(index, &[])?;
    }
    scene.wait_until_all_run()
}

/// Under the policy "fail" the instance ends with an error, and so does the one that takes its task over. Gives the errors.
fn both_fail(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt<Vec<String>> {
    let mut errors = Vec::new();
    for index in 0..2 {
        let mut process = scene.take(index)?;
        if !process.wait_until_ended(END_LIMIT) {
            return Err(format!("instance {index} goes on after a record that must stop it").into());
        }
        let error = process.error().unwrap_or_default();
        if error.is_empty() {
            s.outcome.violation(format!("instance {index} ended without an error"));
        }
        errors.push(error);
    }
    Ok(errors)
}

fn user_code(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions::default())?;
    let letters = format!("{}-letters", scene.id);
    s.world.observer.create_topic(&letters, 1)?;
    let mut expected_letters = 0;
    s.rounds(&mut scene, |s, scene, round| {
        let value = ["!error", "!panic", "!hang"][round as usize % 3];
        let policy = (round as usize / 3) % 3;
        let arguments: &[&str] = match policy {
            0 => &[],
            1 => &["--skip-failed"],
            _ => &["--skip-failed", "--dead-letters", &letters],
        };
        restart_with(scene, arguments)?;
        let poison = NewRecord::new(format!("poison-{round}"), value);
        s.world.observer.produce(&scene.topic(s.world, "in")?, &[poison])?;
        if value == "!hang" {
            // Whoever gets the task hangs. Both are replaced by a version that refuses the record instead.
            std::thread::sleep(Duration::from_secs(2));
            for index in 0..2 {
                scene.kill(index)?;
            }
            return restart_with(scene, &["--skip-failed", "--patched"]);
        }
        match policy {
            0 => both_fail(s, scene).map(drop)?,
            1 => return Ok(()),
            _ => {
                expected_letters += 1;
                return Ok(());
            }
        }
        restart_with(scene, &["--skip-failed"])
    })?;
    let letters = s.world.observer.read_committed(&letters)?.len();
    if letters != expected_letters {
        let sentence = format!("{letters} dead letters for {expected_letters} failed records");
        s.outcome.violation(sentence);
    }
    s.close(scene)
}

fn transactional_input(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        transactional_input: true,
        ..SceneOptions::default()
    };
    s.usual(options, |s, scene, round| {
        s.world.random_pause(500, 2_000);
        let index = (round % 2) as usize;
        scene.kill(index)?;
        scene.start(index, &[])?;
        scene.wait_until_running(index)?;
        Ok(())
    })
}

fn hostile() -> Vec<NewRecord> {
    let of = |key: Option<&[u8]>, value: Option<&[u8]>| NewRecord {
        partition: Some(0),
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        ..NewRecord::default()
    };
    let many_headers = NewRecord {
        headers: (0..10_000).map(|i| (format!("h{i}"), Some(vec![0xff]))).collect(),
        ..of(Some(b"bad"), Some(&[0xff]))
    };
    vec![
        of(None, Some(b"no key")),
        of(Some(b"bad"), None),
        of(None, None),
        of(Some(&[0xff, 0xfe]), Some(b"x")),
        of(Some(b"bad"), Some(&[0xc3, 0x28])),
        of(Some(&[0xff]), Some(&[])),
        of(Some(&[0xff]), Some(&vec![0xff; 900_000])),
        of(Some(&[0xff]), Some(b"x")).at_ms(1),
        of(Some(&[0xff]), Some(b"x")).at_ms(i64::MAX / 2),
        many_headers,
    ]
}

fn hostile_records(s: &mut Scenario<'_>) -> Attempt {
    let mut sent = 0;
    let mut expected_letters = 0;
    let mut scene = s.scene(SceneOptions {
        arguments: vec!["--skip-failed".to_owned()],
        ..SceneOptions::default()
    })?;
    let letters = format!("{}-letters", scene.id);
    // A letter has the time of its record.
    let any_time = [("message.timestamp.after.max.ms", "9223372036854775807")];
    s.world.observer.create_topic_with(&letters, 1, &any_time)?;
    s.rounds(&mut scene, |s, scene, round| {
        let input = scene.topic(s.world, "in")?;
        let mut records = hostile();
        match round % 4 {
            0 => {
                s.outcome.variant("skip");
                restart_with(scene, &["--skip-failed"])?;
                too_large(s, &input)?;
                records.push(as_large_as_possible());
            }
            1 => {
                s.outcome.variant("dead letter");
                restart_with(scene, &["--skip-failed", "--dead-letters", &letters])?;
                expected_letters += records.len();
            }
            2 => {
                s.outcome.variant("fail");
                restart_with(scene, &[])?;
            }
            _ => {
                s.outcome.variant("no valid time");
                sent += TIMES.len();
                return invalid_times(s, scene, &input);
            }
        }
        s.world.observer.produce(&input, &records)?;
        sent += records.len();
        if round % 4 == 2 {
            both_fail(s, scene)?;
            restart_with(scene, &["--skip-failed"])?;
        }
        Ok(())
    })?;
    // Brokers may refuse a record without the producer's telling: then it was no fault.
    let input = s.world.observer.read_committed(&scene.topic(s.world, "in")?)?;
    let arrived = input.iter().filter(|r| !r.key_text().starts_with('k')).count();
    if arrived != sent {
        s.outcome
            .violation(format!("{arrived} of {sent} hostile records are in the topic"));
    }
    let dropped = (0..2)
        .map(|index| mentions(&scene.log(index), "record dropped"))
        .sum::<usize>();
    s.outcome
        .notes
        .push(format!("{sent} hostile records, {dropped} times dropped"));
    s.outcome.sometimes("a record was dropped", dropped > 0);
    let letters = s.world.observer.read_committed(&letters)?.len();
    if letters != expected_letters {
        let sentence = format!("{letters} dead letters for {expected_letters} hostile records");
        s.outcome.violation(sentence);
    }
    s.close(scene)
}

/// -1 is how Kafka writes that there is none.
const TIMES: [i64; 3] = [-1, -2, i64::MIN / 4];

/// Keys and values are fine: it is about time only. Whether such a record stops the application is not a handler's affair but that
/// of whoever takes the times from the records, as in Kafka Streams (`FailOnInvalidTimestamp`, `LogAndSkipOnInvalidTimestamp`).
fn invalid_times(s: &mut Scenario<'_>, scene: &mut Scene, input: &str) -> Attempt {
    restart_with(scene, &["--skip-failed"])?;
    let key = "timeless";
    let of_time = |time: &i64| NewRecord::new(key, "x").to_partition(0).at_ms(*time);
    let records: Vec<NewRecord> = TIMES.iter().map(of_time).collect();
    s.world.observer.produce(input, &records)?;
    let all = s.world.observer.read_committed(input)?;
    let arrived = all.iter().filter(|r| r.key_text() == key).rev().take(TIMES.len());
    let mut arrived: Vec<(i64, i64)> = arrived.map(|r| (r.offset, r.timestamp_ms)).collect();
    arrived.reverse();
    if !arrived.iter().map(|(_, time)| time).eq(&TIMES) {
        return Err(format!("the records have come to the topic with other times: {arrived:?}").into());
    }
    let first = arrived.first().map_or(-1, |(offset, _)| *offset);
    for error in both_fail(s, scene)? {
        let wanted = [input, "partition 0", &format!("offset {first}")];
        if let Some(missing) = wanted.iter().find(|w| !error.contains(**w)) {
            s.outcome
                .violation(format!("an error that does not name {missing:?}: {error:?}"));
        }
    }
    let words = "record without a valid timestamp dropped";
    let dropped = |scene: &Scene| (0..2).map(|index| mentions(&scene.log(index), words)).sum::<usize>();
    let before = dropped(scene);
    restart_with(scene, &["--skip-failed", "--skip-timestamps"])?;
    if !becomes(END_LIMIT, || Ok(dropped(scene) >= before + TIMES.len()))? {
        let sentence = format!("{} of {} dropped", dropped(scene) - before, TIMES.len());
        return Err(format!("records without a valid time: {sentence}").into());
    }
    Ok(())
}

/// What a topic takes by default: `message.max.bytes`, with the heads of batch and record.
const LARGEST_BATCH: usize = 1_048_588;

fn of_size(bytes: usize) -> NewRecord {
    NewRecord {
        partition: Some(0),
        key: Some(vec![0xff]),
        value: Some(vec![0xff; bytes]),
        ..NewRecord::default()
    }
}

fn as_large_as_possible() -> NewRecord {
    of_size(LARGEST_BATCH - 128)
}

/// The broker must refuse it, or there would be nothing behind the word "possible". It says so in a delivery report, which the
/// observer does not read.
fn too_large(s: &mut Scenario<'_>, input: &str) -> Attempt {
    let hostile = |s: &Scenario<'_>| -> Attempt<usize> {
        let all = s.world.observer.read_committed(input)?;
        Ok(all.iter().filter(|r| !r.key_text().starts_with('k')).count())
    };
    let before = hostile(s)?;
    s.world.observer.produce(input, &[of_size(LARGEST_BATCH + 1)])?;
    if hostile(s)? != before {
        return Err("the broker took a record that is too large".into());
    }
    Ok(())
}
