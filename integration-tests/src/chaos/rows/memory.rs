//! An instance that may not have more memory than it was told to take.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::scene::Scene;
use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::restart;
use crate::app::AppProcess;

pub(super) const ROWS: &[Row] = &[Row {
    id: "R08",
    fault: "memory is limited (control group; RLIMIT_DATA where none can be made): to the budget of the stores and 256 MiB, which must do; or to less than it takes, of which it dies",
    full_count: 20,
    seconds_each: 12.0,
    seconds_around: 15.0,
    run: limited,
}];

/// What the application is told to take for its stores.
const BUDGET: usize = 64 << 20;
/// What it may take besides: code, threads, buffers of the clients.
const BESIDES: u64 = 256 << 20;
/// Not even enough to start with: of what is resident, and of what is allocated.
const TOO_LITTLE: u64 = 4 << 20;
const TOO_LITTLE_ALLOCATED: u64 = 12 << 20;
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
        let limiter = Limiter::find(&scene.id);
        s.outcome.variant(limiter.name());
        if round % 2 == 0 {
            s.outcome.variant("enough");
            scene.start_under(0, &limiter.runner(BUDGET as u64 + BESIDES)?)?;
            scene.wait_until_running(0)?;
            std::thread::sleep(UNDER_LOAD);
            if scene.process(0)?.has_ended() {
                s.outcome.violation("died within its memory budget and 256 MiB");
            } else {
                peak = peak.max(limiter.peak(scene.process(0)?)?);
            }
        } else {
            s.outcome.variant("too little");
            scene.start_under(0, &limiter.runner(limiter.too_little())?)?;
            let died = scene.process(0)?.wait_until_ended(DEATH_LIMIT);
            s.outcome.sometimes("died for want of memory", died);
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

/// What keeps the memory of a process low.
enum Limiter {
    /// What is resident is limited, caches of files included; the kernel kills.
    Group(ControlGroup),
    /// Nobody but root may make a control group, and with version 2 not everywhere: what is allocated is limited, and stacks are
    /// part of it; allocations fail.
    Allocations,
}

impl Limiter {
    fn find(name: &str) -> Self {
        match ControlGroup::create(name) {
            Ok(group) => Self::Group(group),
            Err(error) => {
                tracing::info!(%error, "no control group: RLIMIT_DATA instead");
                Self::Allocations
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Group(_) => "by a control group",
            Self::Allocations => "by RLIMIT_DATA",
        }
    }

    fn too_little(&self) -> u64 {
        match self {
            Self::Group(_) => TOO_LITTLE,
            Self::Allocations => TOO_LITTLE_ALLOCATED,
        }
    }

    /// Runs a program within the limit; the process id stays.
    fn runner(&self, bytes: u64) -> Attempt<Vec<String>> {
        let limit = match self {
            Self::Group(group) => group.join_with(bytes)?,
            // In KiB. A thread of C asks for as much stack as the first one may have, and hardly uses any of it.
            Self::Allocations => format!("ulimit -s 1024 && ulimit -d {}", bytes >> 10),
        };
        let script = format!("{limit} && exec \"$0\" \"$@\"");
        Ok(vec!["sh".to_owned(), "-c".to_owned(), script])
    }

    fn peak(&self, process: &AppProcess) -> Attempt<u64> {
        match self {
            Self::Group(group) => group.peak(),
            Self::Allocations => Ok(process.peak_memory_bytes()?),
        }
    }
}

/// A control group (version 1) for memory; gone with the value.
struct ControlGroup {
    path: PathBuf,
}

impl ControlGroup {
    fn create(name: &str) -> Attempt<Self> {
        let path = Path::new("/sys/fs/cgroup/memory").join(format!("millstream-{}-{name}", std::process::id()));
        if !path.with_file_name("memory.limit_in_bytes").exists() {
            return Err("no control groups of version 1 for memory are mounted".into());
        }
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { path })
    }

    /// Sets the limit; gives a shell command that puts its process into the group.
    fn join_with(&self, bytes: u64) -> Attempt<String> {
        fs::write(self.path.join("memory.limit_in_bytes"), bytes.to_string())?;
        Ok(format!("echo $$ > '{}'", self.path.join("cgroup.procs").display()))
    }

    /// The most that was ever charged, caches of files included.
    fn peak(&self) -> Attempt<u64> {
        let text = fs::read_to_string(self.path.join("memory.max_usage_in_bytes"))?;
        Ok(text.trim().parse()?)
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
