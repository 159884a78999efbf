//! A disk that fails, and one that is full.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::disk::copy_dir;
use super::restart;

pub(super) const ROWS: &[Row] = &[Row {
    id: "R32",
    fault: "the disk fails: fsync with EIO (strace) from the n-th on; or it is full (ENOSPC, a small tmpfs)",
    full_count: 100,
    seconds_each: 14.0,
    seconds_around: 15.0,
    run: failing_disk,
}];

/// How long the application lives with it.
const FAILING: Duration = Duration::from_secs(6);
const SMALL: &str = "size=48m";

fn failing_disk(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        state_memory_bytes: 1 << 20,
        ..SceneOptions::default()
    };
    let mut ended = 0;
    s.usual(options, |s, scene, round| {
        scene.kill(0)?;
        let with_error = if round % 2 == 0 {
            full(s, scene)?
        } else {
            fsync_fails(s, scene, (round / 2) % 2 == 0)?
        };
        ended += u64::from(with_error);
        restart(scene, 0)
    })?;
    s.outcome
        .notes
        .push(format!("ended with an error: {ended}, else went on"));
    Ok(())
}

/// What has become of the instance: whether it has ended, which it may only with an error. It does not run afterwards.
fn aftermath(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt<bool> {
    let mut process = scene.take(0)?;
    if !process.has_ended() {
        process.kill()?;
        return Ok(false);
    }
    if process.error().is_none_or(|e| e.is_empty()) {
        s.outcome.violation("ended without an error when the disk failed");
    }
    Ok(true)
}

fn fsync_fails(s: &mut Scenario<'_>, scene: &mut Scene, early: bool) -> Attempt<bool> {
    s.outcome.variant("EIO");
    let nth = 1 + s.world.random(if early { 10 } else { 40 });
    let report = scene.log(0).with_extension("strace");
    scene.start_under(0, &strace(nth, &report))?;
    std::thread::sleep(FAILING);
    let injected = fs::read_to_string(&report).unwrap_or_default().contains("(INJECTED)");
    s.outcome.sometimes("an fsync failed", injected);
    aftermath(s, scene)
}

/// The tracer stays in the background: the process id is that of the application.
fn strace(nth: u64, report: &Path) -> Vec<String> {
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}+");
    let report = report.display().to_string();
    [
        "strace",
        "-D",
        "-f",
        "-q",
        "-o",
        &report,
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        &inject,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn full(s: &mut Scenario<'_>, scene: &mut Scene) -> Attempt<bool> {
    s.outcome.variant("ENOSPC");
    let disk = SmallDisk::mount(&scene.state_dir(0))?;
    restart(scene, 0)?;
    let log = scene.log(0);
    let before = complaints(&log);
    disk.fill()?;
    // What the database has reserved lasts for a while: the next start needs new files at once.
    disk.stay_full(FAILING / 2)?;
    if !scene.process(0)?.has_ended() {
        scene.kill(0)?;
        scene.start(0, &[])?;
        disk.stay_full(FAILING)?;
    }
    let noticed = scene.process(0)?.has_ended() || complaints(&log) > before;
    s.outcome.sometimes("a write met a full disk", noticed);
    let ended = aftermath(s, scene)?;
    // What a full disk leaves behind must be good enough for the next start.
    disk.make_room()?;
    restart(scene, 0)?;
    scene.kill(0)?;
    let there_is = scene.state_dir(0);
    let aside = there_is.with_extension("aside");
    copy_dir(&there_is, &aside)?;
    disk.unmount()?;
    fs::remove_dir_all(&there_is)?;
    fs::rename(aside, there_is)?;
    Ok(ended)
}

fn complaints(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|l| l.contains("No space left")).count()
}

/// A file system that is easily filled, over a directory.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// With what the directory holds.
    fn mount(at: &Path) -> Attempt<Self> {
        let aside = at.with_extension("aside");
        copy_dir(at, &aside)?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", SMALL, "tmpfs"])
            .arg(at))?;
        let disk = Self { at: at.to_owned() };
        copy_dir(&aside, at)?;
        fs::remove_dir_all(aside)?;
        Ok(disk)
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Until not a byte fits.
    fn fill(&self) -> Attempt {
        let mut file = fs::File::options().create(true).append(true).open(self.filler())?;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Takes at once what the database gives back: it deletes old files when it is opened.
    fn stay_full(&self, time: Duration) -> Attempt {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.fill()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn make_room(&self) -> Attempt {
        Ok(fs::remove_file(self.filler())?)
    }

    fn unmount(self) -> Attempt {
        run(Command::new("umount").arg(&self.at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // After `unmount` there is nothing to do, and it says so.
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

fn run(command: &mut Command) -> Attempt {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{command:?}: {said} (this row needs to be root)").into())
}
