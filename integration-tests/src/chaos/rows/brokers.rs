//! Faults of the brokers, by the role they play for the application.

use std::time::Duration;

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
];

const AWAY: Duration = Duration::from_secs(5);
const LED: [&str; 4] = ["in", "-repartition", "-changelog", "out"];

/// Takes a broker away for a while; returns when it is back and in sync.
fn bounce(world: &mut World, broker: usize, hard: bool, away: Duration) -> Attempt {
    if hard {
        world.server.kill_broker(broker)?;
    } else {
        world.server.stop_broker(broker)?;
    }
    std::thread::sleep(away);
    world.server.start_broker(broker)?;
    world.wait_in_sync()
}

fn bounces(s: &mut Scenario<'_>, who: impl Fn(&mut Scenario<'_>, &Scene, u64) -> Attempt<usize>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_500);
        let broker = who(s, scene, round)?;
        bounce(s.world, broker, round % 2 == 0, AWAY)
    })
}

fn leader_goes(s: &mut Scenario<'_>) -> Attempt {
    bounces(s, |s, scene, round| {
        let role = LED[round as usize % LED.len()];
        let topic = scene.topic(s.world, role)?;
        let partition = s.world.random(3) as i32;
        s.world.leader(&topic, partition)
    })
}

fn transaction_coordinator_goes(s: &mut Scenario<'_>) -> Attempt {
    bounces(s, |s, scene, round| {
        let id = scene.transactional_id(round as usize % 2)?;
        s.world.transaction_coordinator(&id)
    })
}
