//! The process dies at a named step of the commit protocol, again and again.

use std::time::Duration;

use super::super::{Attempt, Row, Scenario, SceneOptions};
use crate::kafka::Signal;

pub(super) const ROWS: &[Row] = &[Row {
    id: "R02",
    fault: "the process dies at a step of the protocol (failpoints)",
    full_count: 240,
    seconds_each: 8.0,
    seconds_around: 15.0,
    run: crash_points,
}];

/// How the process comes to the step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Load,
    /// Its state is gone: it restores.
    Restore,
    /// Another instance joins and takes tasks over.
    Revoke,
    Stop,
}

/// Step, largest crossing at which it dies, and the way there.
const POINTS: [(&str, u64, Way); 12] = [
    ("process.record", 500, Way::Load),
    ("commit.caches_flushed", 10, Way::Load),
    ("commit.begun", 10, Way::Load),
    ("commit.in_flight", 10, Way::Load),
    ("commit.offsets_sent", 10, Way::Load),
    ("commit.answered", 10, Way::Load),
    ("commit.applied", 10, Way::Load),
    ("restore.batch", 1, Way::Restore),
    ("restore.done", 2, Way::Restore),
    ("assign.start", 1, Way::Load),
    ("revoke.start", 1, Way::Revoke),
    ("close.left", 1, Way::Stop),
];
const DEATH_LIMIT: Duration = Duration::from_secs(30);

fn crash_points(s: &mut Scenario<'_>) -> Attempt {
    let mut scene = s.scene(SceneOptions::default())?;
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(200, 800);
        let (point, most, way) = POINTS[round as usize % POINTS.len()];
        let crossing = 1 + s.world.random(most);
        if way == Way::Restore {
            scene.wait_for_results(1)?;
            scene.kill(0)?;
            std::fs::remove_dir_all(scene.state_dir(0))?;
        } else {
            scene.kill(0)?;
        }
        scene.start(0, &[("MILLSTREAM_FAILPOINT", &format!("{point}:{crossing}"))])?;
        match way {
            Way::Load | Way::Restore => {}
            Way::Revoke => {
                scene.wait_until_running(0)?;
                scene.start(2, &[])?;
            }
            Way::Stop => {
                scene.wait_until_running(0)?;
                scene.process(0)?.signal(Signal::Terminate)?;
            }
        }
        if !scene.process(0)?.wait_until_ended(DEATH_LIMIT) {
            return Err(format!("the process did not come to {point}:{crossing} (built without failpoints?)").into());
        }
        s.outcome.sometimes(point, true);
        drop(scene.take(0)?);
        scene.start(0, &[])?;
        scene.wait_until_running(0)?;
        if way == Way::Revoke {
            let stopped = scene.take(2)?.stop(Duration::from_secs(20))?;
            if !stopped {
                s.outcome
                    .violation("the instance that had joined did not stop in order");
            }
        }
        Ok(())
    })?;
    s.close(scene)
}
