//! Committed offsets: who may commit, when they count, and what a transaction does to them.
use std::sync::Arc;

use millstream::cluster::{
    Cluster, ErrorClass, GroupClient, GroupIdentity, GroupRequest, GroupResponse, OffsetToCommit, Producer, Result,
    TopicPartition,
};

use super::{
    Outcome, TestNames,
    clients::{LIMIT, Wakes, ask, ask_once, create, eventually, finish, flush, send, too_late, transactional},
    member::{Member, beat_until, joined, reading, settle},
};

fn offset(partition: &TopicPartition, offset: i64, metadata: &str) -> OffsetToCommit {
    OffsetToCommit {
        partition: partition.clone(),
        offset,
        metadata: metadata.into(),
    }
}

fn commit(client: &mut dyn GroupClient, identity: &GroupIdentity, offsets: &[OffsetToCommit]) -> Result<()> {
    let request = GroupRequest::CommitOffsets {
        identity: identity.clone(),
        offsets: offsets.to_vec(),
    };
    ask(client, &request).map(|_| ())
}

fn committed(
    client: &mut dyn GroupClient,
    identity: Option<&GroupIdentity>,
    partitions: &[TopicPartition],
) -> Result<Vec<(i32, i64, String)>> {
    let request = GroupRequest::FetchOffsets {
        identity: identity.cloned(),
        partitions: partitions.to_vec(),
        require_stable: true,
    };
    match ask(client, &request)? {
        GroupResponse::FetchOffsets(found) => {
            let mut found: Vec<_> = found
                .into_iter()
                .map(|o| (o.partition.partition, o.offset, o.metadata))
                .collect();
            found.sort();
            Ok(found)
        }
        _ => Err(too_late("offsets")),
    }
}

fn end(producer: &mut dyn Producer, offsets: &[OffsetToCommit], identity: &GroupIdentity) -> Result<()> {
    finish("commit", || producer.poll_commit(offsets, identity))
}

/// What was committed comes back with its metadata, to the member and to anybody; the rest is absent.
pub fn offsets_are_committed_with_their_metadata(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 2)])?;
    let (p0, p1) = (names.partition("t", 0), names.partition("t", 1));
    let mut member = joined(cluster, names, "m", &reading(&[names.topic("t")]), 2)?;
    let identity = member.identity.clone();
    let all = [p0.clone(), p1];
    assert_eq!(committed(&mut *member.client, Some(&identity), &all)?, []);
    commit(&mut *member.client, &identity, &[offset(&p0, 7, "AgAAAAAAAAAB")])?;
    let expected = [(0, 7, "AgAAAAAAAAAB".to_owned())];
    assert_eq!(committed(&mut *member.client, Some(&identity), &all)?, expected);
    let mut stranger = cluster.group("behaviour", &names.group(), Arc::new(Wakes::default()))?;
    assert_eq!(committed(&mut *stranger, None, &all)?, expected);
    commit(&mut *member.client, &identity, &[offset(&p0, 3, "")])?;
    assert_eq!(
        committed(&mut *stranger, None, &all)?,
        [(0, 3, String::new())],
        "offsets may go back"
    );
    Ok(())
}

/// Offsets live and die with the transaction they were added to.
pub fn offsets_of_a_committed_transaction_count_and_of_an_aborted_one_do_not(
    cluster: &dyn Cluster,
    names: &TestNames,
) -> Outcome {
    create(cluster, &[(names.topic("t"), 1), (names.topic("out"), 1)])?;
    let (source, out) = (names.partition("t", 0), names.partition("out", 0));
    let mut member = joined(cluster, names, "m", &reading(&[names.topic("t")]), 1)?;
    let identity = member.identity.clone();
    let mut producer = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    producer.begin_transaction()?;
    send(&mut *producer, &out, "k", "v")?;
    end(&mut *producer, &[offset(&source, 5, "five")], &identity)?;
    let partitions = [source.clone()];
    assert_eq!(
        committed(&mut *member.client, Some(&identity), &partitions)?,
        [(0, 5, "five".to_owned())]
    );

    // Offsets alone are a transaction too.
    producer.begin_transaction()?;
    end(&mut *producer, &[offset(&source, 6, "six")], &identity)?;
    assert_eq!(
        committed(&mut *member.client, Some(&identity), &partitions)?,
        [(0, 6, "six".to_owned())]
    );

    // A commit that is refused and then aborted leaves the offset where it was.
    producer.begin_transaction()?;
    send(&mut *producer, &out, "k", "w")?;
    let wrong = GroupIdentity {
        member_epoch: identity.member_epoch + 1,
        ..identity.clone()
    };
    assert!(end(&mut *producer, &[offset(&source, 7, "seven")], &wrong).is_err());
    drop(producer);
    transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    assert_eq!(
        committed(&mut *member.client, Some(&identity), &partitions)?,
        [(0, 6, "six".to_owned())]
    );
    Ok(())
}

/// While transactions with offsets come and go a stable read gives the last settled offset or `Retry`, never an
/// offset of an open transaction; right after a commit it gives that offset.
pub fn a_stable_read_never_sees_an_open_transaction(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1), (names.topic("out"), 1)])?;
    let (source, out) = (names.partition("t", 0), names.partition("out", 0));
    let mut member = joined(cluster, names, "m", &reading(&[names.topic("t")]), 1)?;
    let identity = member.identity.clone();
    let mut producer = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    let fetch = || GroupRequest::FetchOffsets {
        identity: None,
        partitions: vec![source.clone()],
        require_stable: true,
    };
    for round in 1..=20 {
        producer.begin_transaction()?;
        send(&mut *producer, &out, "k", "v")?;
        flush(&mut *producer)?;
        let before = ask_once(&mut *member.client, fetch());
        match before {
            Ok(GroupResponse::FetchOffsets(found)) => {
                let settled = found.first().map_or(0, |o| o.offset);
                assert_eq!(settled, round - 1, "the open transaction does not count yet");
            }
            Err(error) => assert_eq!(error.class, ErrorClass::Retry, "{error}"),
            Ok(_) => return Err("another answer than asked for".into()),
        }
        end(&mut *producer, &[offset(&source, round, "")], &identity)?;
        let settled = committed(&mut *member.client, None, std::slice::from_ref(&source))?;
        assert_eq!(
            settled,
            [(0, round, String::new())],
            "a stable read right after the commit sees it"
        );
    }
    Ok(())
}

/// An epoch from the future, or older than the task: the offsets stay as they were.
pub fn a_wrong_epoch_commits_nothing(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1), (names.topic("out"), 1)])?;
    let source = names.partition("t", 0);
    let mut member = joined(cluster, names, "m", &reading(&[names.topic("t")]), 1)?;
    let identity = member.identity.clone();
    for epoch in [identity.member_epoch + 1, 0, identity.member_epoch - 1] {
        let wrong = GroupIdentity {
            member_epoch: epoch,
            ..identity.clone()
        };
        refused(cluster, names, &mut member, &wrong)?;
    }
    assert_eq!(committed(&mut *member.client, Some(&identity), &[source])?, []);
    Ok(())
}

/// Nor does somebody who is not in the group.
pub fn an_unknown_member_commits_nothing(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1), (names.topic("out"), 1)])?;
    let source = names.partition("t", 0);
    let mut member = joined(cluster, names, "m", &reading(&[names.topic("t")]), 1)?;
    let identity = member.identity.clone();
    let stranger = GroupIdentity {
        member_id: "stranger".into(),
        ..identity.clone()
    };
    refused(cluster, names, &mut member, &stranger)?;
    let fetched = committed(&mut *member.client, Some(&stranger), std::slice::from_ref(&source));
    assert!(
        matches!(&fetched, Err(e) if e.class == ErrorClass::Migrated),
        "{fetched:?}"
    );
    assert_eq!(committed(&mut *member.client, Some(&identity), &[source])?, []);
    Ok(())
}

/// Both ways of committing under the identity end in `Migrated`.
fn refused(cluster: &dyn Cluster, names: &TestNames, member: &mut Member, identity: &GroupIdentity) -> Outcome {
    let source = names.partition("t", 0);
    let plain = commit(&mut *member.client, identity, &[offset(&source, 9, "")]);
    assert!(matches!(&plain, Err(e) if e.class == ErrorClass::Migrated), "{plain:?}");
    let mut producer = transactional(cluster, &names.transactional_id("refused"), LIMIT)?;
    producer.begin_transaction()?;
    send(&mut *producer, &names.partition("out", 0), "k", "v")?;
    let inside = end(&mut *producer, &[offset(&source, 9, "")], identity);
    assert!(
        matches!(&inside, Err(e) if e.class == ErrorClass::Migrated),
        "{inside:?}"
    );
    Ok(())
}

/// A member that has not heard of the new epoch yet still commits what it keeps, and nothing else.
pub fn an_old_epoch_commits_what_was_kept(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 2)])?;
    let topology = reading(&[names.topic("t")]);
    let mut first = joined(cluster, names, "a", &topology, 2)?;
    let old = first.identity.clone();
    let mut second = Member::new(cluster, names, "b", &topology)?;
    second.join()?;
    settle(&mut [&mut first, &mut second], &[1, 1])?;
    beat_until(&mut [&mut first], "the new epoch", |members, _| {
        members.iter().all(|m| m.identity.member_epoch > old.member_epoch)
    })?;
    let kept = first.owned.active.first().map_or(0, |t| t.partition);
    let (mine, theirs) = (names.partition("t", kept), names.partition("t", 1 - kept));
    commit(&mut *first.client, &old, &[offset(&mine, 4, "")])?;
    let both = commit(
        &mut *first.client,
        &old,
        &[offset(&mine, 5, ""), offset(&theirs, 5, "")],
    );
    assert!(matches!(&both, Err(e) if e.class == ErrorClass::Migrated), "{both:?}");
    let all = [mine, theirs];
    eventually("the offsets", || {
        Ok((committed(&mut *first.client, None, &all)? == [(kept, 4, String::new())]).then_some(()))
    })?;
    Ok(())
}
