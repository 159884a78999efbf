//! State that another version has written.
//!
//! There has been no release yet, so its formats are told apart by what is written beside the rows: the format of another version
//! than ours means that the rows are not read but restored, a kind that nobody knows is an error, and one instance after the other
//! is replaced. That this version reads what it writes today for ever, byte for byte, is what `state/tests/formats.rs` is about.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rocksdb::{DB, Options};

use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::disk::task_dirs;
use super::restart;

pub(super) const ROWS: &[Row] = &[Row {
    id: "R07",
    fault: "one instance after the other finds state that another version has written: a later format, an earlier one, one without a format, a kind that is unknown",
    full_count: 20,
    seconds_each: 16.0,
    seconds_around: 15.0,
    run: other_versions,
}];

/// As in `state/src/layout.rs`.
const PRESENT: u32 = 1;
const MARKS: &str = "millstream-marks";
const LAYOUT: &[u8] = b"\0layout counts";
const END_LIMIT: Duration = Duration::from_secs(30);

/// What another version would have written beside the rows.
#[derive(Clone, Copy)]
enum Found {
    /// The format of this number.
    Format(u32),
    Nothing,
    UnknownKind,
}

fn other_versions(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| match round % 4 {
        0 => replaced(s, scene, Found::Format(PRESENT + 1)),
        1 => unknown_kind(s, scene, (round / 4) as usize % 2),
        2 => replaced(s, scene, Found::Format(PRESENT - 1)),
        _ => replaced(s, scene, Found::Nothing),
    })
}

fn stop(scene: &mut Scene, index: usize) -> Attempt {
    if scene.take(index)?.stop(END_LIMIT)? {
        Ok(())
    } else {
        Err(format!("instance {index} did not stop in order").into())
    }
}

/// One instance after the other, each with state of another version.
fn replaced(s: &mut Scenario<'_>, scene: &mut Scene, found: Found) -> Attempt {
    s.outcome.variant(match found {
        Found::Nothing => "no format",
        _ => "another format",
    });
    for index in 0..2 {
        s.world.random_pause(300, 1_000);
        stop(scene, index)?;
        rewrite_all(scene, index, found)?;
        restart(scene, index)?;
    }
    Ok(())
}

/// Whoever gets the tasks must not read them. The other instance is down, so it gets them all.
fn unknown_kind(s: &mut Scenario<'_>, scene: &mut Scene, index: usize) -> Attempt {
    s.outcome.variant("unknown kind");
    stop(scene, 1 - index)?;
    s.world.random_pause(1_000, 2_000);
    stop(scene, index)?;
    let written = rewrite_all(scene, index, Found::UnknownKind)?;
    scene.start(index, &[])?;
    let mut process = scene.take(index)?;
    if !process.wait_until_ended(END_LIMIT) {
        return Err("rows of an unknown kind are read".into());
    }
    let error = process.error().unwrap_or_default();
    if !error.contains("counts") {
        s.outcome
            .violation(format!("ended without naming the store of an unknown kind: {error:?}"));
    }
    // The version that knows it would be taken back.
    for (task, before) in written {
        let database = open(&task)?;
        let marks = database.cf_handle(MARKS).ok_or("no marks")?;
        database.put_cf(marks, LAYOUT, before)?;
    }
    restart(scene, index)?;
    restart(scene, 1 - index)
}

/// The instance is stopped. Gives the databases with what was there.
fn rewrite_all(scene: &Scene, index: usize, found: Found) -> Attempt<Vec<(PathBuf, Vec<u8>)>> {
    let mut written = Vec::new();
    for task in task_dirs(scene, index)? {
        if let Some(before) = rewrite(&task, found)? {
            written.push((task, before));
        }
    }
    if written.is_empty() {
        return Err("no task of the instance has a store".into());
    }
    Ok(written)
}

fn open(task: &Path) -> Attempt<DB> {
    let options = Options::default();
    let families = DB::list_cf(&options, task)?;
    Ok(DB::open_cf(&options, task, families)?)
}

/// Gives what was there; none if the task has no such store.
fn rewrite(task: &Path, found: Found) -> Attempt<Option<Vec<u8>>> {
    let database = open(task)?;
    let marks = database.cf_handle(MARKS).ok_or("no marks")?;
    let Some(before) = database.get_cf(marks, LAYOUT)? else {
        return Ok(None);
    };
    let text = String::from_utf8(before.clone())?;
    let another = match found {
        Found::Nothing => {
            database.delete_cf(marks, LAYOUT)?;
            return Ok(Some(before));
        }
        Found::Format(number) => text.replace(&format!("format {PRESENT}"), &format!("format {number}")),
        Found::UnknownKind => format!("heap of {text}"),
    };
    if another == text {
        return Err(format!("the layout {text:?} has no format").into());
    }
    database.put_cf(marks, LAYOUT, another)?;
    Ok(Some(before))
}
