//! Time-outs, epochs, sequences, offsets of open transactions, wake-ups.
use super::{World, drain, nobody, partition, send};
use crate::cluster::{
    Cluster, ErrorClass, GroupRequest, GroupResponse, Isolation, OffsetToCommit, Step,
    memory::{
        batch::Batch,
        producer_requests::{AddOffsets, AddPartition, EndTransaction, InitProducer, Produce},
        sequence::Stamp,
    },
};
use std::sync::Arc;

#[test]
fn a_transaction_is_aborted_when_its_time_is_over_and_not_before() {
    let world = World::with_topic(1, &[]);
    let mut producer = world.producer(Some("id"));
    producer.begin_transaction().unwrap();
    send(&mut *producer, "k", Some("v"), 0);
    assert!(matches!(producer.poll_flush(), Ok(Step::Done(()))));
    assert_eq!(world.cluster.next_timer_ms(), 1_010_000);
    world.clock.advance(9_999);
    world.cluster.run_timers();
    let mut admin = world.cluster.admin("test").unwrap();
    let mut end = || {
        admin
            .offsets(&[partition(0)], Isolation::ReadCommitted, std::time::Duration::ZERO)
            .unwrap()
    };
    assert_eq!(end(), [(0, 0)]);
    world.clock.advance(1);
    world.cluster.run_timers();
    assert_eq!(end(), [(0, 2)]);
    assert!(world.read(Isolation::ReadCommitted).is_empty());
    let late = producer.poll_commit(&[], &nobody());
    assert!(matches!(late, Err(e) if e.class == ErrorClass::Migrated));
}

#[test]
fn a_committed_reader_is_woken_by_the_marker_and_an_uncommitted_one_by_the_record() {
    let world = World::with_topic(1, &[]);
    let mut committed = world.consumer(Isolation::ReadCommitted);
    assert_eq!(world.wakes(), 1, "what is there already is news too");
    assert!(drain(&mut *committed).is_empty());
    let mut producer = world.producer(Some("id"));
    producer.begin_transaction().unwrap();
    send(&mut *producer, "k", Some("v"), 0);
    assert!(matches!(producer.poll_flush(), Ok(Step::Done(()))));
    assert_eq!(world.wakes(), 1);
    assert!(matches!(producer.poll_commit(&[], &nobody()), Ok(Step::Done(()))));
    assert_eq!(world.wakes(), 2);
    assert_eq!(drain(&mut *committed).len(), 1);

    let mut uncommitted = world.consumer(Isolation::ReadUncommitted);
    assert_eq!(drain(&mut *uncommitted).len(), 1);
    drop(committed);
    producer.begin_transaction().unwrap();
    send(&mut *producer, "k", Some("w"), 0);
    producer.serve().unwrap();
    assert_eq!(world.wakes(), 4);
    drop(uncommitted);
    assert!(matches!(producer.poll_abort(), Ok(Step::Done(()))));
    assert_eq!(world.wakes(), 4, "who is gone is not woken");
}

#[test]
fn an_offset_held_by_an_open_transaction_is_unstable_until_it_ends() {
    let world = World::with_topic(1, &[]);
    let cluster = &world.cluster;
    let init = InitProducer {
        transactional_id: Some("id".into()),
        timeout_ms: 10_000,
    };
    let producer = cluster.apply(init).unwrap();
    let offsets = [OffsetToCommit {
        partition: partition(0),
        offset: 5,
        metadata: "m".into(),
    }];
    let mut group = cluster.group("test", "g", world.wakes.clone()).unwrap();
    let mut fetch = |require_stable| {
        group.send(GroupRequest::FetchOffsets {
            identity: None,
            partitions: vec![partition(0)],
            require_stable,
        });
        match group.poll().unwrap().1 {
            Ok(GroupResponse::FetchOffsets(found)) => Ok(found.first().map(|o| o.offset)),
            Ok(_) => panic!("another answer"),
            Err(error) => Err((error.class, error.code)),
        }
    };
    for (commit, before, after) in [(false, None, None), (true, None, Some(5))] {
        let add = AddOffsets {
            transactional_id: "id".into(),
            producer,
            group: nobody(),
            offsets: offsets.clone().into(),
        };
        cluster.apply(add).unwrap();
        assert_eq!(fetch(true), Err((ErrorClass::Retry, 88)));
        assert_eq!(fetch(false), Ok(before));
        let end = EndTransaction {
            transactional_id: "id".into(),
            producer,
            commit,
        };
        cluster.apply(end).unwrap();
        assert_eq!(fetch(true), Ok(after));
    }
    assert_eq!(cluster.committed_offsets("g").len(), 1);
}

#[test]
fn epochs_that_are_used_up_give_a_new_producer_id() {
    let world = World::with_topic(1, &[]);
    let init = || {
        let init = InitProducer {
            transactional_id: Some("id".into()),
            timeout_ms: 10_000,
        };
        world.cluster.apply(init).unwrap()
    };
    let first = init();
    assert_eq!(first.epoch, 0);
    let mut last = first;
    for _ in 1..i16::MAX {
        last = init();
    }
    assert_eq!((last.id, last.epoch), (first.id, i16::MAX - 1));
    let next = init();
    assert_ne!(next.id, first.id);
    assert_eq!(next.epoch, 0);
}

#[test]
fn a_repeated_batch_is_stored_once_and_a_gap_or_an_old_epoch_is_refused() {
    let world = World::with_topic(1, &[]);
    let init = || InitProducer {
        transactional_id: Some("id".into()),
        timeout_ms: 10_000,
    };
    let producer = world.cluster.apply(init()).unwrap();
    let produce = |producer_epoch: i16, sequence: i32| {
        let mut batch = Batch::with_capacity(0, 0);
        for value in [b"a", b"b"] {
            let record = crate::cluster::ProducerRecord {
                topic: crate::cluster::TopicHandle(0),
                partition: 0,
                key: None,
                value: Some(value),
                timestamp: None,
                headers: None,
            };
            batch.push(&record, 0);
        }
        let stamp = Stamp {
            producer_id: producer.id,
            epoch: producer_epoch,
            sequence,
        };
        let request = Produce {
            partition: partition(0),
            transactional: true,
            stamp,
            batch: Arc::new(batch),
        };
        world.cluster.apply(request).map_err(|e| (e.class, e.code))
    };
    let add = AddPartition {
        transactional_id: "id".into(),
        producer,
        partition: partition(0),
    };
    world.cluster.apply(add).unwrap();
    assert_eq!(produce(0, 0), Ok(0));
    assert_eq!(produce(0, 2), Ok(2));
    assert_eq!(produce(0, 0), Ok(0), "the answer was lost, the batch was not");
    assert_eq!(produce(0, 6), Err((ErrorClass::AbortTransaction, 45)));
    assert_eq!(produce(0, 4), Ok(4), "a gap does not harm the partition");
    let heir = world.cluster.apply(init()).unwrap();
    assert_eq!(produce(0, 6), Err((ErrorClass::Migrated, 47)));
    assert_eq!(produce(heir.epoch, 0), Ok(7), "behind the abort marker");
}
