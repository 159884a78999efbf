//! Transactions as readers and rival producers see them.
use std::time::Duration;

use millstream::cluster::{Cluster, ErrorClass, GroupIdentity, Isolation, Producer, Result, StartOffset};

use super::{
    Outcome, TestNames,
    clients::{
        LIMIT, consumer, create, drain, ends, eventually, finish, flush, produce, read_all, send, settled, texts,
        transactional,
    },
};

const COMMITTED: Isolation = Isolation::ReadCommitted;

/// Commits without offsets.
fn commit(producer: &mut dyn Producer) -> Result<()> {
    let nobody = GroupIdentity {
        group_id: "behaviour-no-group".into(),
        member_id: String::new(),
        member_epoch: -1,
    };
    finish("commit", || producer.poll_commit(&[], &nobody))
}

fn abort(producer: &mut dyn Producer) -> Result<()> {
    finish("abort", || producer.poll_abort())
}

/// The marker takes an offset: the end is one behind the last record, and it is reported.
pub fn committed_records_are_visible_and_the_end_is_behind_the_marker(
    cluster: &dyn Cluster,
    names: &TestNames,
) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let mut producer = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    for round in 0..2 {
        producer.begin_transaction()?;
        send(&mut *producer, &partition, "k", &format!("a{round}"))?;
        send(&mut *producer, &partition, "k", &format!("b{round}"))?;
        commit(&mut *producer)?;
        settled(cluster, &partition, 3 * (round + 1))?;
    }
    let (seen, end) = read_all(cluster, COMMITTED, &partition)?;
    assert_eq!(texts(&seen), ["a0", "b0", "a1", "b1"]);
    assert_eq!(seen.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 3, 4]);
    assert_eq!(end, 6);
    Ok(())
}

/// Only what was committed is read; who reads uncommitted gets everything, markers never.
pub fn aborted_records_are_invisible(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let mut producer = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    let rounds = [
        ("lost1", false),
        ("kept1", true),
        ("lost2", false),
        ("lost3", false),
        ("kept2", true),
    ];
    for (at, (value, keep)) in rounds.into_iter().enumerate() {
        producer.begin_transaction()?;
        send(&mut *producer, &partition, "k", value)?;
        flush(&mut *producer)?;
        if keep {
            commit(&mut *producer)?;
        } else {
            abort(&mut *producer)?;
        }
        settled(cluster, &partition, 2 * (at as i64 + 1))?;
    }
    let (seen, end) = read_all(cluster, COMMITTED, &partition)?;
    assert_eq!((texts(&seen), end), (vec!["kept1".to_owned(), "kept2".to_owned()], 10));
    let (seen, end) = read_all(cluster, Isolation::ReadUncommitted, &partition)?;
    assert_eq!((texts(&seen), end), (rounds.map(|(v, _)| v.to_owned()).to_vec(), 10));
    Ok(())
}

/// Nothing behind the first record of an open transaction is read, whoever wrote it, until the transaction ends.
pub fn an_open_transaction_holds_readers_back(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    produce(cluster, &partition, &["before"])?;
    let mut producer = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    producer.begin_transaction()?;
    send(&mut *producer, &partition, "k", "inside")?;
    flush(&mut *producer)?;
    produce(cluster, &partition, &["after"])?;
    assert_eq!(ends(cluster, &partition)?, (0, 1, 3));

    let mut reader = consumer(cluster, COMMITTED)?;
    reader.assign(&partition, StartOffset::Earliest)?;
    let (seen, end) = drain(&mut *reader, &partition)?;
    assert_eq!((texts(&seen), end), (vec!["before".to_owned()], 1));
    let (seen, end) = read_all(cluster, Isolation::ReadUncommitted, &partition)?;
    assert_eq!((seen.len(), end), (3, 3));

    commit(&mut *producer)?;
    settled(cluster, &partition, 4)?;
    let mut rest = Vec::new();
    while rest.len() < 2 {
        rest.extend(drain(&mut *reader, &partition)?.0);
    }
    assert_eq!(texts(&rest), ["inside", "after"]);
    Ok(())
}

/// The second producer with the id ends what the first had open; the first can never commit again.
pub fn a_second_producer_fences_the_first(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let id = names.transactional_id("p");
    let mut first = transactional(cluster, &id, LIMIT)?;
    first.begin_transaction()?;
    send(&mut *first, &partition, "k", "zombie")?;
    flush(&mut *first)?;

    let mut second = transactional(cluster, &id, LIMIT)?;
    settled(cluster, &partition, 2)?;
    second.begin_transaction()?;
    send(&mut *second, &partition, "k", "heir")?;
    let late = send(&mut *first, &partition, "k", "late").and_then(|()| commit(&mut *first));
    let Err(error) = late else {
        return Err("the fenced producer has committed".into());
    };
    assert!(
        matches!(error.class, ErrorClass::Migrated | ErrorClass::Fatal),
        "{error}"
    );
    commit(&mut *second)?;
    settled(cluster, &partition, 4)?;
    let (seen, _) = read_all(cluster, COMMITTED, &partition)?;
    assert_eq!(texts(&seen), ["heir"]);
    Ok(())
}

/// A producer that went silent holds readers back no longer than its time-out (and the coordinator's check interval).
pub fn a_forgotten_transaction_is_aborted(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let mut producer = transactional(cluster, &names.transactional_id("p"), Duration::from_secs(1))?;
    producer.begin_transaction()?;
    send(&mut *producer, &partition, "k", "forgotten")?;
    flush(&mut *producer)?;
    assert_eq!(ends(cluster, &partition)?.1, 0, "open");
    settled(cluster, &partition, 2)?;
    let (seen, end) = read_all(cluster, COMMITTED, &partition)?;
    assert_eq!((seen.len(), end), (0, 2));
    assert!(
        commit(&mut *producer).is_err(),
        "a timed-out transaction cannot be committed"
    );
    let (seen, _) = read_all(cluster, COMMITTED, &partition)?;
    assert!(seen.is_empty());
    drop(producer);

    let mut heir = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    heir.begin_transaction()?;
    send(&mut *heir, &partition, "k", "next")?;
    commit(&mut *heir)?;
    let visible = || Ok((texts(&read_all(cluster, COMMITTED, &partition)?.0) == ["next"]).then_some(()));
    eventually("the heir's record", visible)?;
    Ok(())
}

/// Nothing sent: commit and abort succeed and leave no trace.
pub fn an_empty_transaction_commits(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let mut producer = transactional(cluster, &names.transactional_id("p"), LIMIT)?;
    producer.begin_transaction()?;
    commit(&mut *producer)?;
    producer.begin_transaction()?;
    abort(&mut *producer)?;
    assert_eq!(ends(cluster, &names.partition("t", 0))?, (0, 0, 0));
    Ok(())
}
