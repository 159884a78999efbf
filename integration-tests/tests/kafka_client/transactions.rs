//! Transactions through librdkafka.
use millstream::cluster::{ErrorClass, GroupIdentity, Isolation, OffsetToCommit, Producer, StartOffset, Step};

use crate::{
    groups::Member,
    support::{Kafka, done, partition, send, unique, values},
};

fn nobody() -> GroupIdentity {
    GroupIdentity {
        group_id: "unused".into(),
        member_id: String::new(),
        member_epoch: -1,
    }
}

fn commit(producer: &mut dyn Producer) {
    done(|| producer.poll_commit(&[], &nobody()).unwrap());
}

#[test]
fn committed_records_are_read_and_aborted_ones_are_not() {
    let mut kafka = Kafka::start();
    let topic = kafka.topic("txn", 1);
    let mut producer = kafka.producer(Some(&unique("id")));
    let handle = producer.topic(&topic).unwrap();
    for (value, kept) in [("one", true), ("two", false), ("three", true)] {
        producer.begin_transaction().unwrap();
        send(&mut *producer, handle, 0, value);
        if kept {
            commit(&mut *producer);
        } else {
            done(|| producer.poll_flush().unwrap());
            done(|| producer.poll_abort().unwrap());
        }
    }
    producer.begin_transaction().unwrap();
    send(&mut *producer, handle, 0, "open");
    done(|| producer.poll_flush().unwrap());

    let from = partition(&topic, 0);
    let mut consumer = kafka.consumer(Isolation::ReadCommitted);
    consumer.assign(&from, StartOffset::Earliest).unwrap();
    // Three records and three markers; the open one is behind the last stable offset.
    assert_eq!(values(&mut *consumer, &from), (vec!["one".into(), "three".into()], 6));
    let mut consumer = kafka.consumer(Isolation::ReadUncommitted);
    consumer.assign(&from, StartOffset::Earliest).unwrap();
    assert_eq!(values(&mut *consumer, &from).0, ["one", "two", "three", "open"]);
    let ends = |kafka: &mut Kafka, isolation| {
        kafka
            .admin
            .offsets(std::slice::from_ref(&from), isolation, crate::support::LIMIT)
    };
    assert_eq!(ends(&mut kafka, Isolation::ReadCommitted).unwrap(), [(0, 6)]);
    assert_eq!(ends(&mut kafka, Isolation::ReadUncommitted).unwrap(), [(0, 7)]);
}

#[test]
fn a_newer_producer_with_the_same_id_fences_the_older_and_settles_its_transaction() {
    let mut kafka = Kafka::start();
    let (topic, id) = (kafka.topic("fence", 1), unique("id"));
    let mut old = kafka.producer(Some(&id));
    let handle = old.topic(&topic).unwrap();
    old.begin_transaction().unwrap();
    send(&mut *old, handle, 0, "zombie");
    done(|| old.poll_flush().unwrap());
    let mut new = kafka.producer(Some(&id));
    let error = loop {
        match old.poll_commit(&[], &nobody()) {
            Ok(Step::Pending) => {}
            Ok(Step::Done(())) => panic!("the zombie has committed"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.class, ErrorClass::Migrated, "{error}");
    let handle = new.topic(&topic).unwrap();
    new.begin_transaction().unwrap();
    send(&mut *new, handle, 0, "good");
    commit(&mut *new);
    let from = partition(&topic, 0);
    let mut consumer = kafka.consumer(Isolation::ReadCommitted);
    consumer.assign(&from, StartOffset::Earliest).unwrap();
    assert_eq!(values(&mut *consumer, &from).0, ["good"]);
}

#[test]
fn offsets_become_visible_with_the_transaction_and_only_under_a_valid_epoch() {
    let mut kafka = Kafka::start();
    let (input, output, group) = (kafka.topic("in", 1), kafka.topic("out", 1), unique("group"));
    let mut member = Member::new(&kafka, &group, "m", &input);
    member.until_settled(&[0]);
    let identity = member.identity();
    let offset = |offset| {
        [OffsetToCommit {
            partition: partition(&input, 0),
            offset,
            metadata: format!("time {offset}"),
        }]
    };
    let mut producer = kafka.producer(Some(&unique("id")));
    let handle = producer.topic(&output).unwrap();
    producer.begin_transaction().unwrap();
    send(&mut *producer, handle, 0, "x");
    done(|| producer.poll_commit(&offset(5), &identity).unwrap());
    let stored = member.committed(&partition(&input, 0));
    assert_eq!((stored[0].offset, stored[0].metadata.as_str()), (5, "time 5"));

    let stale = GroupIdentity {
        member_epoch: identity.member_epoch + 7,
        ..identity.clone()
    };
    let stranger = GroupIdentity {
        member_id: "stranger".into(),
        ..identity
    };
    for wrong in [stale, stranger] {
        let mut producer = kafka.producer(Some(&unique("id")));
        let handle = producer.topic(&output).unwrap();
        producer.begin_transaction().unwrap();
        send(&mut *producer, handle, 0, "y");
        let error = loop {
            match producer.poll_commit(&offset(9), &wrong) {
                Ok(Step::Pending) => {}
                Ok(Step::Done(())) => panic!("committed under a wrong identity"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.class, ErrorClass::Migrated, "{error}");
        done(|| producer.poll_abort().unwrap());
    }
    assert_eq!(member.committed(&partition(&input, 0))[0].offset, 5);
    member.leave();
}
