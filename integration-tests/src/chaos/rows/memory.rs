//! An instance that may not have more memory than it was told to take.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::restart;

pub(super) const ROWS: &[Row] = &[Row {
    id: "R08",
    fault: "memory is limited (control group): to the budget of the stores and 256 MiB, which must do; or to less than it takes, which the kernel answers with SIGKILL",
    full_count: 20,
    seconds_each: 12.0,
    seconds_around: 15.0,
    run: limited,
}];

/// What the application is told to take for its stores.
const BUDGET: usize = 64 << 20;
/// What it may take besides: code, threads, buffers of the clients.
const BESIDES: u64 = 256 << 20;
/// Not even enough to start with.
const TOO_LITTLE: u64 = 4 << 20;
const UNDER_LOAD: Duration = Duration::from_secs(6);
const DEATH_LIMIT: Duration = Duration::from_secs(30);

fn limited(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        state_memory_bytes: BUDGET,
        ..SceneOptions::default()
    };
    let mut peak = 0;
    s.usual(options, |s, scene, round| {
        scene.kill(0)?;
        let group = ControlGroup::create(&scene.id)?;
        if round % 2 == 0 {
            s.outcome.variant("enough");
            group.limit(BUDGET as u64 + BESIDES)?;
            scene.start_under(0, &group.runner())?;
            scene.wait_until_running(0)?;
            std::thread::sleep(UNDER_LOAD);
            if scene.process(0)?.has_ended() {
                s.outcome.violation("died within its memory budget and 256 MiB");
            }
            peak = peak.max(group.peak()?);
        } else {
            s.outcome.variant("too little");
            group.limit(TOO_LITTLE)?;
            scene.start_under(0, &group.runner())?;
            let died = scene.process(0)?.wait_until_ended(DEATH_LIMIT);
            s.outcome.sometimes("killed for its memory", died);
        }
        end(scene)?;
        restart(scene, 0)
    })?;
    let note = format!(
        "most within the limit of {} MiB: {} MiB",
        (BUDGET as u64 + BESIDES) >> 20,
        peak >> 20
    );
    s.outcome.notes.push(note);
    Ok(())
}

/// Whether it still runs or not: it does not afterwards.
fn end(scene: &mut Scene) -> Attempt {
    let mut process = scene.take(0)?;
    if process.has_ended() {
        Ok(())
    } else {
        Ok(process.kill()?)
    }
}

/// A control group (version 1) for memory; gone with the value.
struct ControlGroup {
    path: PathBuf,
}

impl ControlGroup {
    fn create(name: &str) -> Attempt<Self> {
        let path = Path::new("/sys/fs/cgroup/memory").join(format!("millstream-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e} (this row needs to be root)", path.display()))?;
        Ok(Self { path })
    }

    fn limit(&self, bytes: u64) -> Attempt {
        Ok(fs::write(self.path.join("memory.limit_in_bytes"), bytes.to_string())?)
    }

    /// The most that was ever charged, caches of files included.
    fn peak(&self) -> Attempt<u64> {
        let text = fs::read_to_string(self.path.join("memory.max_usage_in_bytes"))?;
        Ok(text.trim().parse()?)
    }

    /// Puts the process into the group before it becomes the application; the process id stays.
    fn runner(&self) -> Vec<String> {
        let script = format!(
            "echo $$ > '{}' && exec \"$0\" \"$@\"",
            self.path.join("cgroup.procs").display()
        );
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // The kernel lets go of the last process a moment after its end.
        for _ in 0..50 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
