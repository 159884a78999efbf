//! Which fault strikes next, and whom.

use std::{sync::Arc, time::Duration};

use super::{
    faults::Faults,
    feed::Awake,
    instance::{Instance, Life},
    random::Random,
    world::World,
};
use crate::cluster::{Cluster, ProducerConfig, memory::MemoryCluster};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
const HOUR_MS: u64 = 3_600_000;

/// What a fault needs to be done outside.
pub(super) enum Consequence {
    None,
    /// Time goes on while everything stands still.
    Leap(u64),
    /// Topics were compacted.
    Compacted,
}

/// The kinds of strikes a seed uses, each as often in the list as it is likely.
pub(super) fn kinds(faults: Faults) -> Vec<Strike> {
    let weighted = [
        (faults.kills, Strike::Kill, 4),
        (faults.power_cuts, Strike::PowerCut, 2),
        (faults.erased_disks, Strike::Erase, 1),
        (faults.restarts, Strike::Restart, 2),
        (faults.pauses, Strike::Pause, 3),
        (faults.stalls, Strike::Stall, 3),
        (faults.losses, Strike::Storm, 3),
        (faults.cut_offs, Strike::CutOff, 2),
        (faults.moves, Strike::Move, 3),
        (faults.clock_jumps, Strike::ClockJump, 1),
        (faults.leaps, Strike::Leap, 1),
        (faults.disk_errors, Strike::DiskError, 2),
        (faults.kills, Strike::KillAll, 1),
        (faults.flushes, Strike::Flush, 3),
        (faults.damage, Strike::Damage, 1),
        (faults.rollbacks, Strike::RollBack, 2),
        (faults.strangers, Strike::Stranger, 1),
        (faults.compactions, Strike::Compact, 1),
    ];
    let allowed = weighted.into_iter().filter(|(allowed, ..)| *allowed);
    allowed.flat_map(|(_, strike, weight)| vec![strike; weight]).collect()
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Strike {
    Kill,
    PowerCut,
    Erase,
    Restart,
    Pause,
    Stall,
    Storm,
    CutOff,
    Move,
    ClockJump,
    Leap,
    DiskError,
    KillAll,
    Flush,
    Damage,
    RollBack,
    Stranger,
    Compact,
}

/// Lets one fault happen.
pub(super) fn strike(
    world: &mut World,
    instances: &mut [Instance],
    cluster: &MemoryCluster,
    kinds: &[Strike],
) -> Consequence {
    let Some(strike) = world.random.pick(kinds).copied() else {
        return Consequence::None;
    };
    let victim = world.random.below(instances.len());
    let Some(instance) = instances.get_mut(victim) else {
        return Consequence::None;
    };
    world.note(&format!("{victim}"), "fault", || format!("{strike:?}"));
    match strike {
        Strike::Kill | Strike::PowerCut | Strike::Erase | Strike::RollBack => kill(world, instance, cluster, strike),
        Strike::KillAll => {
            world.befalls(None, "all instances killed");
            for instance in instances {
                kill(world, instance, cluster, Strike::Kill);
            }
        }
        Strike::Restart => {
            if instance.is_up() {
                world.befalls(Some(victim), "stopped in order");
                instance.request_stop();
            }
        }
        Strike::Pause => pause(world, instance),
        Strike::Stall => stall(world, instance),
        Strike::ClockJump => {
            world.befalls(Some(victim), "wall clock jumped");
            instance.skew_ms = skew(&mut world.random);
        }
        Strike::Leap => {
            world.befalls(None, "everything stood still");
            return Consequence::Leap(world.random.spread(SECOND, 30 * SECOND));
        }
        Strike::DiskError => {
            world.befalls(Some(victim), "a write of state will fail");
            instance.disk.fail_writes(1 + u32::from(world.random.chance(300)));
        }
        Strike::Flush => {
            let random = &mut world.random;
            if instance.disk.flush_in_background(|unsynced| random.below(unsynced + 1)) > 0 {
                world.befalls(Some(victim), "state flushed in the background");
            }
        }
        Strike::Damage => {
            let random = &mut world.random;
            if instance.disk.damage(|tasks| random.below(tasks)) {
                world.befalls(Some(victim), "state damaged");
            }
        }
        Strike::Stranger => stranger(world, cluster),
        Strike::Compact => {
            world.befalls(None, "topics compacted");
            cluster.clean_logs();
            return Consequence::Compacted;
        }
        Strike::Storm | Strike::CutOff | Strike::Move => disturb(world, victim, strike),
    }
    Consequence::None
}

/// Faults of the network and the brokers.
fn disturb(world: &mut World, victim: usize, strike: Strike) {
    let now = world.now_us;
    match strike {
        Strike::Storm => {
            world.befalls(None, "storm");
            world.weather.storm_until_us = now + world.random.spread(100 * MS, 5 * SECOND);
        }
        Strike::CutOff => {
            world.befalls(Some(victim), "cut off");
            let until = now + world.random.spread(100 * MS, 20 * SECOND);
            if let Some(slot) = world.weather.cut_off_until_us.get_mut(victim) {
                *slot = until;
            }
        }
        _ => {
            let until = now + world.random.spread(20 * MS, 5 * SECOND);
            world.befalls(None, "coordinator or leader moves");
            match world.random.below(3) {
                0 => world.weather.group_away_until_us = until,
                1 => world.weather.transactions_away_until_us = until,
                _ => world.weather.leaders_away_until_us = until,
            }
        }
    }
}

/// Whoever had the transactional id is fenced, in the middle of what it did.
fn stranger(world: &mut World, cluster: &MemoryCluster) {
    let ids: Vec<String> = cluster
        .transactional_ids()
        .into_iter()
        .filter(|id| !id.starts_with("feed"))
        .collect();
    let Some(id) = world.random.pick(&ids) else { return };
    let config = ProducerConfig {
        client_id: "stranger".into(),
        transactional_id: Some(id.clone()),
        transaction_timeout: Duration::from_secs(60),
    };
    let taken = cluster
        .producer(&config, Arc::new(Awake))
        .and_then(|mut producer| producer.poll_init_transactions());
    if taken.is_ok() {
        world.befalls(None, "a stranger took a transactional id");
    }
}

fn pause(world: &mut World, instance: &mut Instance) {
    let for_us = world.random.spread(50 * MS, 40 * SECOND);
    if instance.is_up() && world.now_us >= instance.paused_until_us {
        let what = if for_us > 6 * SECOND {
            "paused beyond its session"
        } else {
            "paused"
        };
        world.befalls(Some(instance.index), what);
        instance.paused_until_us = world.now_us + for_us;
        instance.zombie_from_us = world.now_us + 6 * SECOND;
    }
}

fn stall(world: &mut World, instance: &mut Instance) {
    let for_us = world.random.spread(10 * MS, 20 * SECOND);
    let index = instance.index;
    if let Life::Up(machines) = &mut instance.life {
        let actor = world.random.below(machines.actors.len());
        if let Some(actor) = machines.actors.get_mut(actor) {
            world.befalls(Some(index), "a thread stalled");
            actor.busy_until_us = world.now_us + for_us;
        }
    }
}

fn skew(random: &mut Random) -> i64 {
    let by = i64::try_from(random.between(0, 2 * HOUR_MS)).unwrap_or(0);
    by - i64::try_from(HOUR_MS).unwrap_or(0)
}

fn kill(world: &mut World, instance: &mut Instance, cluster: &MemoryCluster, how: Strike) {
    if instance.is_down() {
        return;
    }
    let id = format!("instance-{}-", instance.index);
    let index = Some(instance.index);
    if cluster.open_transactions().iter().any(|open| open.contains(&id)) {
        world.befalls(index, "killed in an open transaction");
    } else {
        world.befalls(index, "killed outside of transactions");
    }
    let pause = world.random.spread(10 * MS, 20 * SECOND);
    instance.kill(world.now_us + pause);
    instance.disk.fail_writes(0);
    match how {
        Strike::PowerCut => {
            let random = &mut world.random;
            let lost = instance.disk.cut_power(|unsynced| random.below(unsynced + 1));
            let what = if lost > 0 {
                "power cut that lost state"
            } else {
                "power cut that lost nothing"
            };
            world.befalls(index, what);
        }
        Strike::Erase => {
            world.befalls(index, "state directory lost");
            instance.disk.erase();
        }
        Strike::RollBack => {
            if let Some(copy) = instance.old_disk.replace(instance.disk.copy()) {
                instance.disk.put_back(copy);
                world.befalls(index, "state directory rolled back");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_kinds_are_drawn() {
        assert!(kinds(Faults::none()).is_empty());
        let only_kills = Faults {
            kills: true,
            ..Faults::none()
        };
        assert!(
            kinds(only_kills)
                .iter()
                .all(|k| matches!(k, Strike::Kill | Strike::KillAll))
        );
        assert_eq!(kinds(only_kills).len(), 5);
    }
}
