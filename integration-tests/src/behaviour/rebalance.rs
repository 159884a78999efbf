//! Tasks that move: given back before they are given on, and taken from who is silent.
use std::time::{Duration, Instant};

use millstream::cluster::{Cluster, ClusterError, ErrorClass, TopologyDescription};

use super::{
    Outcome, TestNames,
    clients::{LIMIT, create},
    member::{Member, beat_until, joined, reading, settle, tasks},
};

/// No task is ever given to the second before the first has said that it let go.
pub fn a_second_member_takes_half_after_the_first_gave_it_back(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 4)])?;
    let topology = reading(&[names.topic("t")]);
    let mut first = joined(cluster, names, "a", &topology, 4)?;
    let mut second = Member::new(cluster, names, "b", &topology)?;
    second.join()?;
    // The first learns what it keeps, but does not acknowledge.
    let start = Instant::now();
    while first.owned.active.len() == 4 && start.elapsed() < LIMIT {
        first.beat_silently()?;
        second.beat()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(first.owned.active.len(), 2, "the first keeps half");
    for _ in 0..5 {
        first.beat_silently()?;
        second.beat()?;
        assert!(second.owned.active.is_empty(), "nothing was given back yet");
    }
    let kept = first.owned.active.clone();
    settle(&mut [&mut first, &mut second], &[2, 2])?;
    assert_eq!(first.owned.active, kept, "the keeper keeps");
    let mut all = [first.owned.active.clone(), second.owned.active.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, tasks(0..4), "every task once");
    Ok(())
}

/// A clean end: the others have the tasks at their next heartbeats.
pub fn a_member_that_leaves_gives_its_tasks_back(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 4)])?;
    let topology = reading(&[names.topic("t")]);
    let mut first = joined(cluster, names, "a", &topology, 4)?;
    let mut second = Member::new(cluster, names, "b", &topology)?;
    second.join()?;
    settle(&mut [&mut first, &mut second], &[2, 2])?;
    assert_eq!(first.leave()?.member_epoch, -1);
    settle(&mut [&mut second], &[4])?;
    let again = first.leave();
    assert!(
        matches!(&again, Err(e) if (e.class, e.code) == (ErrorClass::Migrated, 25)),
        "{again:?}"
    );
    Ok(())
}

/// Silence for longer than the session time-out: the tasks go to the others, the member is a stranger when it wakes.
pub fn a_silent_member_loses_its_tasks(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 2)])?;
    let topology = reading(&[names.topic("t")]);
    let mut silent = joined(cluster, names, "a", &topology, 2)?;
    let mut other = Member::new(cluster, names, "b", &topology)?;
    other.join()?;
    settle(&mut [&mut silent, &mut other], &[1, 1])?;
    let last_beat = Instant::now();
    let limit = names.session_timeout() + LIMIT;
    while other.owned.active.len() < 2 {
        other.beat()?;
        assert!(
            last_beat.elapsed() < limit,
            "the tasks of the silent member were never given on"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The clocks of both sides may differ by a little.
    assert!(
        last_beat.elapsed() + Duration::from_millis(200) > names.session_timeout(),
        "not before the time-out"
    );
    let woken = silent.beat();
    assert!(
        matches!(&woken, Err(e) if (e.class, e.code) == (ErrorClass::Migrated, 25)),
        "{woken:?}"
    );
    silent.join()?;
    settle(&mut [&mut silent, &mut other], &[1, 1])?;
    Ok(())
}

/// An epoch that does not fit is refused; the same member may begin anew and finds its tasks.
pub fn a_wrong_epoch_is_fenced_and_a_rejoin_gets_the_tasks_again(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 2)])?;
    let topology = reading(&[names.topic("t")]);
    let mut member = joined(cluster, names, "m", &topology, 2)?;
    let epoch = member.identity.member_epoch;
    // The epoch before is accepted with the lists only, as a sign that an answer was missed.
    for wrong in [epoch + 1, epoch + 100, epoch - 1].into_iter().filter(|e| *e > 0) {
        member.identity.member_epoch = wrong;
        let outcome = member.beat();
        assert!(
            matches!(&outcome, Err(e) if (e.class, e.code) == (ErrorClass::Migrated, 110)),
            "{outcome:?}"
        );
    }
    let answer = member.join()?;
    assert_eq!(
        member.owned.active,
        tasks(0..2),
        "complete lists in the answer to the join"
    );
    assert_eq!(answer.member_epoch, epoch, "nothing else has changed");
    settle(&mut [&mut member], &[2])?;
    Ok(())
}

/// Who does not give back in time is put out of the group, however often it beats.
pub fn a_revocation_that_is_not_acknowledged_removes_the_member(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 2)])?;
    let topology = reading(&[names.topic("t")]);
    let mut stubborn = Member::new(cluster, names, "a", &topology)?;
    stubborn.rebalance_timeout_ms = 2_000;
    stubborn.join()?;
    settle(&mut [&mut stubborn], &[2])?;
    let mut other = Member::new(cluster, names, "b", &topology)?;
    other.join()?;
    let start = Instant::now();
    let refused = loop {
        if let Err(error) = stubborn.beat_silently() {
            break error;
        }
        other.beat()?;
        assert!(start.elapsed() < LIMIT, "the member was never removed");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((refused.class, refused.code), (ErrorClass::Migrated, 25), "{refused}");
    assert!(
        start.elapsed() > Duration::from_millis(1_500),
        "not before the time-out"
    );
    beat_until(&mut [&mut other], "the tasks", |members, _| {
        members.iter().all(|m| m.owned.active.len() == 2)
    })?;
    Ok(())
}

/// A heartbeat of an earlier incarnation arrives late and takes the answer. The member learns of it from no heartbeat, plain or
/// complete, but from the description of the group, and by joining again.
pub fn an_answer_that_nobody_heard_is_described_but_never_repeated(
    cluster: &dyn Cluster,
    names: &TestNames,
) -> Outcome {
    create(cluster, &[(names.topic("t"), 4)])?;
    let topology = reading(&[names.topic("t")]);
    let mut member = joined(cluster, names, "a", &topology, 4)?;
    let epoch = member.identity.member_epoch;
    let believed = |member: &mut Member| -> Result<_, ClusterError> {
        let seen = member.described()?.unwrap_or_default();
        Ok((seen.member_epoch, seen.assigned.active))
    };
    assert_eq!(believed(&mut member)?, (epoch, tasks(0..4)));

    // To be given back.
    let mut other = Member::new(cluster, names, "b", &topology)?;
    assert_eq!(other.described()?, None, "not a member yet");
    other.join()?;
    let mut late = late_beats(cluster, names, &topology, &member, 2, &mut || other.beat().map(|_| ()))?;
    for owned in [None, Some(member.owned.clone())] {
        assert_eq!(member.beat_with(owned)?.assigned, None);
    }
    assert_eq!(believed(&mut member)?, (epoch, late.owned.active.clone()));
    member.join()?;
    assert_eq!(member.owned.active, late.owned.active, "a join is told everything");
    settle(&mut [&mut member, &mut other], &[2, 2])?;

    // To be taken.
    other.leave()?;
    late = late_beats(cluster, names, &topology, &member, 4, &mut || Ok(()))?;
    let answer = member.beat_with(Some(member.owned.clone()))?;
    assert_eq!(
        (answer.member_epoch, answer.assigned),
        (late.identity.member_epoch, None)
    );
    assert_eq!(believed(&mut member)?, (late.identity.member_epoch, tasks(0..4)));
    member.join()?;
    settle(&mut [&mut member], &[4])?;
    Ok(())
}

/// Heartbeats of `member` over another connection until they are answered with so many tasks.
fn late_beats(
    cluster: &dyn Cluster,
    names: &TestNames,
    topology: &TopologyDescription,
    member: &Member,
    count: usize,
    meanwhile: &mut dyn FnMut() -> Result<(), ClusterError>,
) -> Result<Member, ClusterError> {
    let mut late = Member::new(cluster, names, &member.identity.member_id, topology)?;
    late.identity = member.identity.clone();
    let start = Instant::now();
    while late.owned.active.len() != count {
        late.beat_silently()?;
        meanwhile()?;
        assert!(start.elapsed() < LIMIT, "the group never answered with {count} tasks");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(late)
}
