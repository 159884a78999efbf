//! Joining a streams group: tasks, internal topics, and what the coordinator says when something is missing.
use millstream::cluster::{
    Cluster, CopartitionGroup, ErrorClass, HeartbeatResponse, SubtopologyDescription, TaskId, TopicInfo,
    TopologyDescription,
};

use super::{
    Outcome, TestNames,
    clients::{LIMIT, admin, create},
    member::{Member, beat_until, joined, reading, tasks},
};

const MISSING_SOURCE_TOPICS: i8 = 1;
const INCORRECTLY_PARTITIONED_TOPICS: i8 = 2;

fn status(answer: &HeartbeatResponse, code: i8) -> Option<&str> {
    let mut found = answer.status.iter().filter(|(c, _)| *c == code);
    found.next().map(|(_, detail)| detail.as_str())
}

/// Complete lists, sent once: when they have been acknowledged no more come.
pub fn the_first_member_gets_every_task_once(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 4)])?;
    let mut member = joined(cluster, names, "m", &reading(&[names.topic("t")]), 4)?;
    assert_eq!(member.owned.active, tasks(0..4));
    let epoch = member.identity.member_epoch;
    for _ in 0..3 {
        let answer = member.beat()?;
        assert_eq!((answer.member_epoch, answer.assigned), (epoch, None));
        assert!(answer.status.is_empty(), "{:?}", answer.status);
        assert!(answer.heartbeat_interval_ms > 0);
    }
    Ok(())
}

/// The group waits for the topic and says so by name; it needs no new join.
pub fn a_missing_source_topic_is_a_status_until_it_exists(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    let topic = names.topic("t");
    let mut member = Member::new(cluster, names, "m", &reading(&[topic.clone()]))?;
    member.join()?;
    beat_until(&mut [&mut member], "the status", |_, answers| {
        answers
            .iter()
            .all(|a| status(a, MISSING_SOURCE_TOPICS).is_some_and(|d| d.contains(&topic)))
    })?;
    assert!(member.owned.active.is_empty());
    create(cluster, &[(topic, 3)])?;
    let answers = beat_until(&mut [&mut member], "tasks", |members, answers| {
        members.iter().all(|m| m.owned.active.len() == 3)
            && answers.iter().all(|a| status(a, MISSING_SOURCE_TOPICS).is_none())
    })?;
    assert_eq!(answers.len(), 1);
    Ok(())
}

fn internal(name: String, policy: &str) -> TopicInfo {
    TopicInfo {
        name,
        partitions: 0,
        replication_factor: -1,
        configs: vec![("cleanup.policy".into(), policy.into())],
    }
}

/// A repartition topic has as many partitions as what is written into it is read from; a changelog one per task.
pub fn internal_topics_are_created_with_derived_partition_counts(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 3), (names.topic("u"), 5)])?;
    let repartition = names.topic("by-name-repartition");
    let changelog = names.topic("counts-changelog");
    let topology = TopologyDescription {
        subtopologies: vec![
            SubtopologyDescription {
                id: "0".into(),
                source_topics: vec![names.topic("t"), names.topic("u")],
                repartition_sink_topics: vec![repartition.clone()],
                ..SubtopologyDescription::default()
            },
            SubtopologyDescription {
                id: "1".into(),
                repartition_source_topics: vec![internal(repartition.clone(), "delete")],
                state_changelog_topics: vec![internal(changelog.clone(), "compact")],
                ..SubtopologyDescription::default()
            },
        ],
    };
    let member = joined(cluster, names, "m", &topology, 10)?;
    let task = |subtopology| move |partition| TaskId { subtopology, partition };
    let expected: Vec<TaskId> = (0..5).map(task(0)).chain((0..5).map(task(1))).collect();
    assert_eq!(member.owned.active, expected);
    let mut counts = admin(cluster)?.partition_counts(&[repartition.clone(), changelog.clone()], LIMIT)?;
    counts.sort();
    assert_eq!(counts, [(repartition, 5), (changelog, 5)]);
    Ok(())
}

/// Topics that are joined must have the same number of partitions; the status names both with their counts.
pub fn copartitioned_topics_of_different_size_are_a_status(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    let (left, right) = (names.topic("left"), names.topic("right"));
    create(cluster, &[(left.clone(), 2), (right.clone(), 4)])?;
    let mut topology = reading(&[left.clone(), right.clone()]);
    for subtopology in &mut topology.subtopologies {
        subtopology.copartition_groups = vec![CopartitionGroup {
            source_topics: vec![0, 1],
            repartition_source_topics: Vec::new(),
        }];
    }
    let mut member = Member::new(cluster, names, "m", &topology)?;
    member.join()?;
    beat_until(&mut [&mut member], "the status", |_, answers| {
        let names_both = |d: &str| d.contains(&format!("{left}=2")) && d.contains(&format!("{right}=4"));
        answers
            .iter()
            .all(|a| status(a, INCORRECTLY_PARTITIONED_TOPICS).is_some_and(names_both))
    })?;
    assert!(member.owned.active.is_empty());
    Ok(())
}

/// The first member fixes the topology of the group, even after everybody has left.
pub fn another_topology_is_refused(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1), (names.topic("u"), 1)])?;
    let mut first = joined(cluster, names, "a", &reading(&[names.topic("t")]), 1)?;
    let mut second = Member::new(cluster, names, "b", &reading(&[names.topic("t"), names.topic("u")]))?;
    let refused = |second: &mut Member| {
        let outcome = second.join();
        assert!(
            matches!(&outcome, Err(e) if (e.class, e.code) == (ErrorClass::Fatal, 42)),
            "{outcome:?}"
        );
    };
    refused(&mut second);
    first.leave()?;
    refused(&mut second);
    Ok(())
}

/// A join says everything; what is not said is an error of the caller.
pub fn a_join_without_topology_is_refused(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let mut member = Member::new(cluster, names, "m", &reading(&[names.topic("t")]))?;
    let mut requests = [member.join_request(), member.join_request(), member.join_request()];
    requests[0].topology = None;
    requests[1].rebalance_timeout_ms = -1;
    if let Some(owned) = &mut requests[2].owned {
        owned.active = tasks(0..1);
    }
    for request in requests {
        let outcome = member.heartbeat(request);
        assert!(
            matches!(&outcome, Err(e) if (e.class, e.code) == (ErrorClass::Fatal, 42)),
            "{outcome:?}"
        );
    }
    let mut sourceless = Member::new(cluster, names, "m", &reading(&[]))?;
    let outcome = sourceless.join();
    assert!(
        matches!(&outcome, Err(e) if (e.class, e.code) == (ErrorClass::Fatal, 130)),
        "{outcome:?}"
    );
    Ok(())
}

/// Somebody the group does not know must drop everything and join.
pub fn a_heartbeat_of_a_stranger_is_refused(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let topology = reading(&[names.topic("t")]);
    let member = joined(cluster, names, "a", &topology, 1)?;
    let mut stranger = Member::new(cluster, names, "b", &topology)?;
    stranger.identity.member_epoch = member.identity.member_epoch;
    let outcome = stranger.beat();
    assert!(
        matches!(&outcome, Err(e) if (e.class, e.code) == (ErrorClass::Migrated, 25)),
        "{outcome:?}"
    );
    Ok(())
}
