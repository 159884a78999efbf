//! Topics over the wire client.
use std::time::{Duration, Instant};

use millstream::cluster::{Cluster, ErrorClass, Isolation, TopicInfo, rdkafka::KafkaCluster};

use crate::support::{Kafka, LIMIT, done, partition, send, unique};

#[test]
fn topics_are_created_counted_purged_and_deleted() {
    let mut kafka = Kafka::start();
    let name = unique("topics");
    let topic = TopicInfo {
        name: name.clone(),
        partitions: 3,
        replication_factor: -1,
        configs: vec![("cleanup.policy".into(), "compact,delete".into())],
    };
    kafka.admin.create_topics(std::slice::from_ref(&topic), LIMIT).unwrap();
    kafka
        .admin
        .create_topics(std::slice::from_ref(&topic), LIMIT)
        .expect("creating it again changes nothing");
    let missing = unique("missing");
    let counts = kafka
        .admin
        .partition_counts(&[missing.clone(), name.clone()], LIMIT)
        .unwrap();
    assert_eq!(counts, [(name.clone(), 3)]);

    let mut producer = kafka.producer(None);
    let handle = producer.topic(&name).unwrap();
    assert_eq!(producer.partition_count(handle).unwrap(), 3);
    (0..5).for_each(|i| send(&mut *producer, handle, 1, &i.to_string()));
    done(|| producer.poll_flush().unwrap());
    let partitions = [partition(&name, 0), partition(&name, 1)];
    let offsets = kafka
        .admin
        .offsets(&partitions, Isolation::ReadUncommitted, LIMIT)
        .unwrap();
    assert_eq!(offsets, [(0, 0), (0, 5)]);
    kafka
        .admin
        .delete_records(&[(partitions[1].clone(), 3)], LIMIT)
        .unwrap();
    let offsets = kafka
        .admin
        .offsets(&partitions, Isolation::ReadCommitted, LIMIT)
        .unwrap();
    assert_eq!(offsets, [(0, 0), (3, 5)]);

    kafka
        .admin
        .delete_topics(&[name.clone(), missing.clone()], LIMIT)
        .unwrap();
    let start = Instant::now();
    while !kafka
        .admin
        .partition_counts(std::slice::from_ref(&name), LIMIT)
        .unwrap()
        .is_empty()
    {
        assert!(start.elapsed() < LIMIT, "the topic does not go away");
    }
    let error = kafka
        .admin
        .offsets(&[partition(&missing, 0)], Isolation::ReadCommitted, LIMIT)
        .unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Fatal, 3));
    assert!(error.message.contains(&missing), "{error}");
}

#[test]
fn an_illegal_topic_is_an_error_that_names_it_and_says_why() {
    let mut kafka = Kafka::start();
    let topic = TopicInfo {
        configs: vec![("no.such.setting".into(), "1".into())],
        ..TopicInfo::default()
    };
    let topic = TopicInfo {
        name: unique("bad"),
        partitions: 1,
        ..topic
    };
    let error = kafka
        .admin
        .create_topics(std::slice::from_ref(&topic), LIMIT)
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Fatal);
    assert!(
        error.message.contains(&topic.name) && error.message.contains("no.such.setting"),
        "{error}"
    );
}

#[test]
fn a_broker_that_is_not_there_is_reported_in_time() {
    let cluster = KafkaCluster::connect("127.0.0.1:1", &[]).unwrap();
    let start = Instant::now();
    let limit = Duration::from_secs(2);
    let error = cluster
        .admin("a")
        .unwrap()
        .partition_counts(&["t".into()], limit)
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(4));
    assert_eq!(error.class, ErrorClass::Retry);
    assert!(error.message.contains("127.0.0.1:1"), "{error}");
}
