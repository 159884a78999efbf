//! Retention and compaction: what is forgotten, and what must never be.
use super::{World, nobody, send};
use crate::cluster::{Isolation, Step};

const DAY_MS: i64 = 24 * 3_600_000;

fn seen(world: &World) -> Vec<(i64, String, Option<String>)> {
    world.read(Isolation::ReadCommitted)
}

fn row(offset: i64, key: &str, value: Option<&str>) -> (i64, String, Option<String>) {
    (offset, key.into(), value.map(Into::into))
}

#[test]
fn compaction_keeps_the_last_record_of_each_key_with_its_offset() {
    let world = World::with_topic(1, &[("cleanup.policy", "compact")]);
    let mut producer = world.producer(None);
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", "2")] {
        send(&mut *producer, key, Some(value), 0);
    }
    producer.serve().unwrap();
    send(&mut *producer, "a", Some("3"), 0);
    producer.serve().unwrap();
    world.cluster.clean_logs();
    let expected = [row(3, "c", Some("1")), row(4, "b", Some("2")), row(5, "a", Some("3"))];
    assert_eq!(seen(&world), expected);
    world.cluster.clean_logs();
    assert_eq!(seen(&world), expected);
    send(&mut *producer, "d", Some("1"), 0);
    producer.serve().unwrap();
    assert_eq!(seen(&world).last(), Some(&row(6, "d", Some("1"))), "offsets go on");
}

#[test]
fn a_tombstone_stays_for_its_retention_time_and_then_goes() {
    let world = World::with_topic(1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")]);
    let mut producer = world.producer(None);
    send(&mut *producer, "a", Some("1"), 0);
    send(&mut *producer, "a", None, 0);
    send(&mut *producer, "b", Some("1"), 0);
    producer.serve().unwrap();
    world.cluster.clean_logs();
    assert_eq!(seen(&world), [row(1, "a", None), row(2, "b", Some("1"))]);
    world.clock.advance(999);
    world.cluster.clean_logs();
    assert_eq!(seen(&world).len(), 2);
    world.clock.advance(1);
    world.cluster.clean_logs();
    assert_eq!(seen(&world), [row(2, "b", Some("1"))]);
}

#[test]
fn compaction_spares_open_transactions_and_forgets_aborted_ones() {
    let world = World::with_topic(1, &[("cleanup.policy", "compact")]);
    let mut plain = world.producer(None);
    send(&mut *plain, "a", Some("1"), 0);
    plain.serve().unwrap();
    let mut producer = world.producer(Some("id"));
    producer.begin_transaction().unwrap();
    send(&mut *producer, "a", Some("lost"), 0);
    assert!(matches!(producer.poll_flush(), Ok(Step::Done(()))));
    world.cluster.clean_logs();
    assert_eq!(seen(&world), [row(0, "a", Some("1"))]);
    assert!(matches!(producer.poll_abort(), Ok(Step::Done(()))));
    world.cluster.clean_logs();
    assert_eq!(seen(&world), [row(0, "a", Some("1"))]);
    assert_eq!(
        world.read(Isolation::ReadUncommitted).len(),
        1,
        "the aborted record is gone for everybody"
    );
    producer.begin_transaction().unwrap();
    send(&mut *producer, "a", Some("2"), 0);
    assert!(matches!(producer.poll_commit(&[], &nobody()), Ok(Step::Done(()))));
    world.cluster.clean_logs();
    assert_eq!(seen(&world), [row(3, "a", Some("2"))]);
}

#[test]
fn a_compacted_topic_takes_no_record_without_key() {
    let world = World::with_topic(1, &[("cleanup.policy", "compact")]);
    let mut producer = world.producer(None);
    let topic = producer.topic("t").unwrap();
    let record = crate::cluster::ProducerRecord {
        topic,
        partition: 0,
        key: None,
        value: Some(b"v"),
        timestamp: None,
        headers: None,
    };
    producer.send(&record).unwrap();
    let error = producer.serve().unwrap_err();
    assert_eq!(error.code, 87);
    assert!(error.message.contains('t'));
}

#[test]
fn retention_drops_what_is_old_and_moves_the_start() {
    let world = World::with_topic(1, &[("retention.ms", "86400000")]);
    let mut producer = world.producer(None);
    for (key, age_days) in [("a", 3), ("b", 2), ("c", 0), ("d", 5)] {
        send(&mut *producer, key, Some("v"), 1_000_000 - age_days * DAY_MS);
        producer.serve().unwrap();
    }
    assert_eq!(seen(&world).len(), 4, "not before the check interval");
    world.clock.advance(300_000);
    world.cluster.run_timers();
    assert_eq!(
        seen(&world),
        [row(2, "c", Some("v")), row(3, "d", Some("v"))],
        "only from the front"
    );
}

#[test]
fn retention_by_size_keeps_the_newest() {
    let world = World::with_topic(1, &[("retention.ms", "-1"), ("retention.bytes", "10")]);
    let mut producer = world.producer(None);
    for key in ["a", "b", "c", "d"] {
        send(&mut *producer, key, Some("1234"), 0);
        producer.serve().unwrap();
    }
    world.cluster.clean_logs();
    assert_eq!(seen(&world).iter().map(|r| r.0).collect::<Vec<_>>(), [2, 3]);
}
