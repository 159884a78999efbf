//! State that is gone, old, damaged or half restored; the disk itself is in `failing_disk`, the changelog in `changelog`.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::{abort_once, await_match, restart};
use crate::kafka::Signal;
use crate::proxy::{Action, Rule, Side, api};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "R28",
        fault: "the state directory is deleted between two runs; of one task, or whole",
        full_count: 20,
        seconds_each: 6.0,
        seconds_around: 15.0,
        run: deleted,
    },
    Row {
        id: "R29",
        fault: "the state directory is rolled back to an older copy",
        full_count: 30,
        seconds_each: 10.0,
        seconds_around: 15.0,
        run: rolled_back,
    },
    Row {
        id: "R30",
        fault: "a file of the state is damaged: cut, a bit flipped, deleted; SST, log, MANIFEST, CURRENT, identity",
        full_count: 75,
        seconds_each: 7.0,
        seconds_around: 15.0,
        run: damaged,
    },
    Row {
        id: "R31",
        fault: "the log of the database is torn at a random byte (there is no checkpoint file: marks are rows)",
        full_count: 30,
        seconds_each: 6.0,
        seconds_around: 15.0,
        run: torn,
    },
    Row {
        id: "R33",
        fault: "memtables are flushed all the time (1 MiB of memory); a transaction is aborted, then `kill -9`",
        full_count: 50,
        seconds_each: 7.0,
        seconds_around: 15.0,
        run: flush_then_abort,
    },
    Row {
        id: "R34",
        fault: "restoring is interrupted: orderly and with `kill -9` at random moments, or it dies after the first, second or third batch",
        full_count: 60,
        seconds_each: 8.0,
        seconds_around: 15.0,
        run: restore_interrupted,
    },
];

fn deleted(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_500);
        scene.kill(0)?;
        let tasks = task_dirs(scene, 0)?;
        match tasks.first().filter(|_| round % 2 == 0) {
            Some(one) => fs::remove_dir_all(one)?,
            None => fs::remove_dir_all(scene.state_dir(0))?,
        }
        restart(scene, 0)
    })
}

fn rolled_back(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, _| {
        let old = scene.state_dir(0).with_extension("old");
        scene.kill(0)?;
        copy_dir(&scene.state_dir(0), &old)?;
        restart(scene, 0)?;
        s.world.random_pause(1_000, 3_000);
        scene.kill(0)?;
        fs::remove_dir_all(scene.state_dir(0))?;
        fs::rename(&old, scene.state_dir(0))?;
        restart(scene, 0)
    })
}

const KINDS: [&str; 5] = [".sst", ".log", "MANIFEST", "CURRENT", "kafka-streams-process-metadata"];

fn damaged(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        state_memory_bytes: 1 << 20,
        ..SceneOptions::default()
    };
    let mut refused = 0;
    let mut scene = s.scene(options)?;
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(500, 2_000);
        scene.kill(0)?;
        let kind = KINDS[round as usize % KINDS.len()];
        let mut files = files_of(&scene.state_dir(0), kind)?;
        if files.is_empty() {
            // Memtables are not flushed that often: any file of a database will do.
            files = files_of(&scene.state_dir(0), ".log")?;
        }
        let at = s.world.random(files.len() as u64) as usize;
        let file = files.get(at).ok_or("there is no file to damage")?;
        let random = s.world.random(u64::from(u32::MAX));
        damage(file, (round as usize / KINDS.len()) % 3, random)?;
        scene.start(0, &[])?;
        let process = scene.process(0)?;
        if process.wait_until_running(Duration::from_secs(20)).is_none() && process.has_ended() {
            let mut process = scene.take(0)?;
            process.wait_until_ended(Duration::from_secs(1));
            if process.error().is_none_or(|e| e.is_empty()) {
                s.outcome.violation(format!("{kind} damaged: ended without an error"));
            }
            refused += 1;
            fs::remove_dir_all(scene.state_dir(0))?;
            return restart(scene, 0);
        }
        scene.wait_until_running(0).map(drop)
    })?;
    s.outcome
        .notes
        .push(format!("refused with an error: {refused}, else recovered"));
    s.close(scene)
}

fn torn(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, _| {
        s.world.random_pause(500, 2_000);
        scene.kill(0)?;
        for log in files_of(&scene.state_dir(0), ".log")? {
            let length = s.world.random(fs::metadata(&log)?.len() + 1);
            fs::OpenOptions::new().write(true).open(log)?.set_len(length)?;
        }
        restart(scene, 0)
    })
}

fn flush_then_abort(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        state_memory_bytes: 1 << 20,
        ..SceneOptions::default()
    };
    s.usual(options, |s, scene, round| {
        s.world.random_pause(500, 1_500);
        let index = (round % 2) as usize;
        abort_once(s, scene, index)?;
        if (round / 2) % 2 == 0 {
            s.outcome.variant("killed after the next commit");
            commits_again(s, scene, index)?;
        } else {
            s.outcome.variant("killed before it commits again");
        }
        scene.kill(index)?;
        restart(scene, index)
    })
}

/// What was undone has been done once more, and for good.
fn commits_again(s: &Scenario<'_>, scene: &Scene, index: usize) -> Attempt {
    let commit = Rule::new(api::END_TXN, Side::Answer, Action::Delay(Duration::ZERO)).commits(true);
    let seen = s.world.proxy.arm(commit.client(&scene.client(index)));
    await_match(&seen, "nothing was committed after an abort")
}

fn restore_interrupted(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_000);
        // More than the batches after which it may die.
        scene.wait_for_results(20)?;
        scene.kill(0)?;
        fs::remove_dir_all(scene.state_dir(0))?;
        if round % 3 == 0 {
            return dies_restoring(s, scene, 1 + (round / 3) % 3);
        }
        scene.start(0, &[])?;
        s.world.random_pause(50, 1_500);
        if round % 3 == 1 {
            s.outcome.variant("killed");
            scene.kill(0)?;
        } else {
            s.outcome.variant("stopped");
            scene.process(0)?.signal(Signal::Terminate)?;
            if !scene.process(0)?.wait_until_ended(Duration::from_secs(20)) {
                return Err("a stop while restoring takes too long".into());
            }
            drop(scene.take(0)?);
        }
        restart(scene, 0)
    })
}

/// A batch has at most ten records here: most of a changelog is still to be read.
fn dies_restoring(s: &mut Scenario<'_>, scene: &mut Scene, batch: u64) -> Attempt {
    s.outcome.variant("dies after a batch");
    // Alone it gets every task.
    scene.kill(1)?;
    let small = ("COUNTING_RESTORE_BATCH", "10");
    let point = format!("restore.batch:{batch}");
    scene.start(0, &[small, ("MILLSTREAM_FAILPOINT", &point)])?;
    if !scene.process(0)?.wait_until_ended(Duration::from_secs(30)) {
        return Err(format!("the process did not come to {point} (built without failpoints?)").into());
    }
    drop(scene.take(0)?);
    restart(scene, 0)?;
    restart(scene, 1)
}

pub(super) fn task_dirs(scene: &Scene, index: usize) -> Attempt<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(scene.state_dir(index).join(&scene.id))? {
        let path = entry?.path();
        if path.is_dir() {
            dirs.push(path);
        }
    }
    dirs.sort();
    Ok(dirs)
}

/// Files below a directory whose name contains the text.
pub(super) fn files_of(dir: &Path, text: &str) -> Attempt<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_of(&path, text)?);
        } else if path.file_name().is_some_and(|n| n.to_string_lossy().contains(text)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn damage(file: &Path, how: usize, random: u64) -> Attempt {
    let length = fs::metadata(file)?.len();
    if how == 2 || length == 0 {
        return Ok(fs::remove_file(file)?);
    }
    let at = random % length;
    let mut open = fs::OpenOptions::new().read(true).write(true).open(file)?;
    if how == 0 {
        return Ok(open.set_len(at)?);
    }
    let mut byte = [0];
    open.seek(SeekFrom::Start(at))?;
    open.read_exact(&mut byte)?;
    open.seek(SeekFrom::Start(at))?;
    Ok(open.write_all(&[byte[0] ^ 0x10])?)
}

pub(super) fn copy_dir(from: &Path, to: &Path) -> Attempt {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
