//! Balance over members and processes, and where standbys go.
use super::{
    World,
    groups::{Member, topology, world},
};
use crate::cluster::memory::MemoryClusterConfig;

fn with_standbys(partitions: i32) -> World {
    let config = MemoryClusterConfig {
        num_standby_replicas: 1,
        ..MemoryClusterConfig::default()
    };
    let world = world(config, partitions);
    world.cluster.create_topic("s", partitions, &[]).unwrap();
    world
}

fn settle(members: &mut [&mut Member]) {
    for _ in 0..6 {
        for member in members.iter_mut() {
            member.beat();
        }
    }
}

#[test]
fn a_process_with_two_members_gets_two_shares() {
    let world = world(MemoryClusterConfig::default(), 4);
    let plain = topology(false, &[]);
    let mut a = Member::new(&world, "a", "p", &plain);
    let mut b = Member::new(&world, "b", "p", &plain);
    let mut c = Member::new(&world, "c", "q", &plain);
    settle(&mut [&mut a, &mut b, &mut c]);
    let mut counts = [&a, &b, &c].map(|m| m.owned.active.len());
    assert_eq!(counts.iter().sum::<usize>(), 4);
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2]);
}

#[test]
fn more_members_than_tasks_leave_some_idle_and_keepers_keep() {
    let world = world(MemoryClusterConfig::default(), 2);
    let plain = topology(false, &[]);
    let mut a = Member::new(&world, "a", "p", &plain);
    let mut b = Member::new(&world, "b", "q", &plain);
    settle(&mut [&mut a, &mut b]);
    let before = (a.partitions(), b.partitions());
    let mut aa = Member::new(&world, "aa", "r", &plain);
    settle(&mut [&mut aa, &mut a, &mut b]);
    assert_eq!((a.partitions(), b.partitions()), before);
    assert!(aa.owned.active.is_empty());
    assert!(aa.status.is_empty());
}

#[test]
fn standbys_go_to_the_other_process_and_vanish_with_it() {
    let world = with_standbys(4);
    let stateful = topology(true, &[]);
    let mut a = Member::new(&world, "a", "p", &stateful);
    a.beat();
    assert_eq!(a.partitions(), (vec![0, 1, 2, 3], vec![]), "nowhere to put them");
    let mut b = Member::new(&world, "b", "q", &stateful);
    settle(&mut [&mut a, &mut b]);
    assert_eq!(a.partitions(), (vec![0, 1], vec![2, 3]));
    assert_eq!(b.partitions(), (vec![2, 3], vec![0, 1]));
    let mut twin = Member::new(&world, "c", "q", &stateful);
    settle(&mut [&mut a, &mut b, &mut twin]);
    let of_q: Vec<i32> = [b.partitions().1, twin.partitions().1].concat();
    let of_p = a.partitions().0;
    assert!(
        of_q.iter().all(|t| of_p.contains(t)),
        "a second member of a process is the same process"
    );
    b.leave();
    twin.leave();
    settle(&mut [&mut a]);
    assert_eq!(a.partitions(), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn a_standby_becomes_active_in_two_steps() {
    let world = with_standbys(2);
    let stateful = topology(true, &[]);
    let mut a = Member::new(&world, "a", "p", &stateful);
    let mut b = Member::new(&world, "b", "q", &stateful);
    settle(&mut [&mut a, &mut b]);
    assert_eq!(b.partitions(), (vec![1], vec![0]));
    a.leave();
    b.beat();
    assert_eq!(b.partitions(), (vec![1], vec![]), "first the standby is given back");
    b.beat();
    assert_eq!(b.partitions(), (vec![0, 1], vec![]));
}

#[test]
fn a_task_without_owner_goes_to_its_standby() {
    let world = with_standbys(3);
    let stateful = topology(true, &[]);
    let mut a = Member::new(&world, "a", "p", &stateful);
    let mut b = Member::new(&world, "b", "q", &stateful);
    let mut c = Member::new(&world, "c", "r", &stateful);
    settle(&mut [&mut a, &mut b, &mut c]);
    for member in [&a, &b, &c] {
        assert_eq!((member.owned.active.len(), member.owned.standby.len()), (1, 1));
    }
    let orphan = a.owned.active[0];
    let heir_is_b = b.owned.standby.contains(&orphan);
    a.leave();
    settle(&mut [&mut b, &mut c]);
    let heir = if heir_is_b { &b } else { &c };
    assert!(
        heir.owned.active.contains(&orphan),
        "{:?} {:?}",
        b.partitions(),
        c.partitions()
    );
}
