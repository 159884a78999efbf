//! Records through librdkafka.
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use millstream::{
    cluster::{Cluster, ConsumerConfig, ErrorClass, Fetched, Isolation, ProducerRecord, Sent, StartOffset},
    dsl::engine::RawHeaders,
};
use millstream_state::Headers;

use crate::support::{Kafka, LIMIT, done, partition, send, values, waker};

#[test]
fn a_record_comes_back_as_it_was_sent() {
    let mut kafka = Kafka::start();
    let topic = kafka.topic("round-trip", 2);
    let mut producer = kafka.producer(None);
    let handle = producer.topic(&topic).unwrap();
    let headers = Headers::new();
    headers.add("trace", Some(b"42"));
    headers.add("empty", Some(b""));
    headers.add("null", None);
    type Case<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<i64>, Option<&'a Headers>);
    let cases: [Case<'_>; 5] = [
        (Some(b"key"), Some(b"value"), Some(1_234), Some(&headers)),
        (None, Some(b""), Some(1), None),
        (Some(b""), None, Some(0), None),
        (Some(b"k"), None, None, None),
        (Some(b"k"), Some(b"v"), Some(1_700_000_000_123), None),
    ];
    for (key, value, timestamp, headers) in cases {
        let record = ProducerRecord {
            topic: handle,
            partition: 1,
            key,
            value,
            timestamp,
            headers,
        };
        assert!(matches!(producer.send(&record).unwrap(), Sent::Queued));
    }
    done(|| producer.poll_flush().unwrap());
    let mut acknowledged = Vec::new();
    producer.take_acknowledged(&mut |topic, partition, offset| acknowledged.push((topic, partition, offset)));
    assert_eq!(acknowledged, [(handle, 1, 4)]);

    let wakes = waker();
    let config = ConsumerConfig {
        client_id: "c".into(),
        isolation: Isolation::ReadCommitted,
    };
    let mut consumer = kafka.cluster.consumer(&config, wakes.clone()).unwrap();
    let from = partition(&topic, 1);
    consumer.assign(&from, StartOffset::Earliest).unwrap();
    let start = Instant::now();
    let batch = loop {
        assert!(start.elapsed() < LIMIT);
        match consumer.fetch(&from, 100).unwrap() {
            Fetched::Records(batch) => break batch,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    assert!(wakes.0.load(Ordering::Relaxed) > 0, "nobody was woken");
    assert_eq!(batch.len(), 5);
    // The batch outlives the consumer.
    drop(consumer);
    for (index, (key, value, timestamp, sent)) in cases.into_iter().enumerate() {
        let record = batch.get(index);
        assert_eq!((record.key, record.value, record.offset), (key, value, index as i64));
        match timestamp {
            // librdkafka cannot send 0.
            Some(0) => assert_eq!(record.timestamp, 1),
            Some(timestamp) => assert_eq!(record.timestamp, timestamp),
            None => assert!(record.timestamp > 1_600_000_000_000),
        }
        let RawHeaders::Lazy(source) = record.headers else {
            panic!("headers are lazy")
        };
        let received = Headers::new();
        source.read_into(&received);
        assert_eq!(source.len(), sent.map_or(0, Headers::len));
        assert_eq!(received.to_vec(), sent.map(Headers::to_vec).unwrap_or_default());
    }
}

#[test]
fn partitions_are_read_apart_held_back_sought_and_given_up() {
    let mut kafka = Kafka::start();
    let topic = kafka.topic("partitions", 2);
    let mut producer = kafka.producer(None);
    let handle = producer.topic(&topic).unwrap();
    for i in 0..10 {
        send(&mut *producer, handle, 0, &format!("a{i}"));
        send(&mut *producer, handle, 1, &format!("b{i}"));
    }
    done(|| producer.poll_flush().unwrap());
    let (a, b) = (partition(&topic, 0), partition(&topic, 1));
    let mut consumer = kafka.consumer(Isolation::ReadCommitted);
    consumer.assign(&a, StartOffset::At(7)).unwrap();
    consumer.assign(&b, StartOffset::Earliest).unwrap();
    // b is not asked: nothing of it shows up in a.
    assert_eq!(
        values(&mut *consumer, &a),
        (vec!["a7".into(), "a8".into(), "a9".into()], 10)
    );
    consumer.seek(&a, 9).unwrap();
    assert_eq!(values(&mut *consumer, &a), (vec!["a9".into()], 10));
    consumer.unassign(&b);
    consumer.unassign(&b);
    assert!(matches!(consumer.fetch(&b, 10).unwrap(), Fetched::Nothing));
    consumer.assign(&b, StartOffset::Latest).unwrap();
    assert_eq!(values(&mut *consumer, &b), (vec![], 10));
    send(&mut *producer, handle, 1, "later");
    done(|| producer.poll_flush().unwrap());
    assert_eq!(values(&mut *consumer, &b), (vec!["later".into()], 11));
}

#[test]
fn an_offset_that_does_not_exist_is_corruption_and_the_policy_is_ours() {
    let mut kafka = Kafka::start();
    let topic = kafka.topic("range", 1);
    let from = partition(&topic, 0);
    let mut consumer = kafka.consumer(Isolation::ReadCommitted);
    consumer.assign(&from, StartOffset::At(1_000)).unwrap();
    let start = Instant::now();
    let error = loop {
        assert!(start.elapsed() < LIMIT);
        match consumer.fetch(&from, 10) {
            Err(error) => break error,
            Ok(Fetched::Nothing) => std::thread::sleep(Duration::from_millis(1)),
            Ok(_) => panic!("nothing can be read there"),
        }
    };
    assert_eq!(
        (error.class, error.partition),
        (ErrorClass::Corrupted, Some(from.clone()))
    );
    consumer.seek(&from, 0).unwrap();
    assert_eq!(values(&mut *consumer, &from), (vec![], 0));
}

#[test]
fn a_missing_topic_is_fatal_and_named() {
    let kafka = Kafka::start();
    let mut producer = kafka.producer(None);
    let handle = producer.topic("no such topic").unwrap();
    let error = producer.partition_count(handle).unwrap_err();
    assert_eq!(error.class, ErrorClass::Fatal);
    assert!(error.message.contains("no such topic"), "{error}");
}

#[test]
fn a_record_that_is_too_large_is_reported_with_its_partition() {
    let mut kafka = Kafka::start();
    let topic = kafka.topic("large", 1);
    let mut producer = kafka.producer(None);
    let handle = producer.topic(&topic).unwrap();
    let value = vec![0; 2 << 20];
    let record = ProducerRecord {
        topic: handle,
        partition: 0,
        key: None,
        value: Some(&value),
        timestamp: None,
        headers: None,
    };
    let error = producer.send(&record).err().expect("refused");
    assert_eq!(
        (error.class, error.partition),
        (ErrorClass::Fatal, Some(partition(&topic, 0)))
    );
}
