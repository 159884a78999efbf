//! Faults of the brokers, by the role they play for the application.

use std::time::{Duration, Instant};

use super::super::{Attempt, Row, Scenario, SceneOptions, World};
use crate::chaos::scene::Scene;

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "R11",
        fault: "the leader of source, repartition, changelog or output goes (`kill -9` and clean by turns) and comes back after some seconds",
        full_count: 60,
        seconds_each: 22.0,
        seconds_around: 15.0,
        run: leader_goes,
    },
    Row {
        id: "R13",
        fault: "the transaction coordinator goes (`kill -9` and clean by turns)",
        full_count: 30,
        seconds_each: 22.0,
        seconds_around: 15.0,
        run: transaction_coordinator_goes,
    },
    Row {
        id: "R12",
        fault: "the group coordinator goes (`kill -9` and clean by turns)",
        full_count: 20,
        seconds_each: 22.0,
        seconds_around: 15.0,
        run: group_coordinator_goes,
    },
    Row {
        id: "R14",
        fault: "the broker of a role is frozen (SIGSTOP) for 5, 20 or 40 s",
        full_count: 63,
        seconds_each: 30.0,
        seconds_around: 15.0,
        run: broker_freezes,
    },
    Row {
        id: "R15",
        fault: "rolling restart, clean (waiting for replicas) and hard (not waiting) by turns",
        full_count: 20,
        seconds_each: 50.0,
        seconds_around: 15.0,
        run: rolling_restart,
    },
    Row {
        id: "R16",
        fault: "all brokers are killed, 20 s later all start",
        full_count: 10,
        seconds_each: 55.0,
        seconds_around: 15.0,
        run: all_down,
    },
];

const AWAY: Duration = Duration::from_secs(5);
const LED: [&str; 4] = ["in", "-repartition", "-changelog", "out"];

/// Takes a broker away for a while; returns when it is back and in sync.
fn bounce(world: &mut World, broker: usize, hard: bool, away: Duration) -> Attempt {
    let gone = Instant::now();
    if hard {
        world.kill_until_noticed(broker)?;
    } else {
        world.server.stop_broker(broker)?;
    }
    std::thread::sleep(away.saturating_sub(gone.elapsed()));
    world.server.start_broker(broker)?;
    world.wait_in_sync()
}

fn bounces(s: &mut Scenario<'_>, who: impl Fn(&mut Scenario<'_>, &Scene, u64) -> Attempt<usize>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_500);
        let broker = who(s, scene, round)?;
        let hard = round % 2 == 0;
        s.outcome.variant(if hard { "killed" } else { "clean" });
        bounce(s.world, broker, hard, AWAY)
    })
}

fn leader_goes(s: &mut Scenario<'_>) -> Attempt {
    bounces(s, |s, scene, round| {
        // Each role both ways.
        let role = LED[(round / 2) as usize % LED.len()];
        let topic = scene.topic(s.world, role)?;
        let partition = s.world.random(3) as i32;
        s.world.leader(&topic, partition)
    })
}

fn transaction_coordinator_goes(s: &mut Scenario<'_>) -> Attempt {
    bounces(s, |s, scene, round| {
        let id = scene.transactional_id((round / 2) as usize % 2)?;
        s.world.transaction_coordinator(&id)
    })
}

fn group_coordinator_goes(s: &mut Scenario<'_>) -> Attempt {
    bounces(s, |s, scene, _| s.world.group_coordinator(&scene.id))
}

/// Roles in turn; the last is whoever has none of them in particular, which hits the controller, too.
fn broker_freezes(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_000);
        let broker = match round % 7 {
            0 => s.world.transaction_coordinator(&scene.transactional_id(0)?)?,
            1 => s.world.group_coordinator(&scene.id)?,
            2..6 => {
                let topic = scene.topic(s.world, LED[(round % 7) as usize - 2])?;
                s.world.leader(&topic, 0)?
            }
            _ => s.world.random(3) as usize,
        };
        let seconds = [5, 20, 40][(round / 7) as usize % 3];
        s.world.server.pause_broker(broker)?;
        std::thread::sleep(Duration::from_secs(seconds));
        s.world.server.resume_broker(broker)?;
        s.world.wait_in_sync()
    })
}

fn rolling_restart(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, _, round| {
        s.outcome.variant(if round % 2 == 0 { "clean" } else { "hard" });
        for broker in 0..s.world.server.brokers() {
            if round % 2 == 0 {
                bounce(s.world, broker, false, Duration::from_secs(1))?;
            } else {
                s.world.kill_until_noticed(broker)?;
                s.world.server.start_broker(broker)?;
            }
        }
        s.world.wait_in_sync()
    })
}

fn all_down(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, _, _| {
        let all = s.world.server.brokers();
        for broker in 0..all {
            s.world.server.kill_broker(broker)?;
        }
        std::thread::sleep(Duration::from_secs(20));
        s.world.server.start_all_brokers()?;
        s.world.wait_in_sync()
    })
}
