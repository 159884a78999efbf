//! The harness itself: a cluster comes up, keeps what it was told, and its brokers can be taken away and given back.
use std::time::{Duration, Instant};

use millstream_integration_tests::kafka::{KafkaServer, NewRecord, ObservedRecord, Observer, Result, View};

fn records(prefix: &str) -> Vec<NewRecord> {
    (0..4)
        .map(|i| NewRecord::new(format!("k{i}"), format!("{prefix}{i}")).at_ms(1_000 + i))
        .collect()
}

/// So many records, or what is there after a while: brokers write the end of a transaction a moment after they have said
/// that it is committed.
fn committed(observer: &Observer, count: usize) -> Result<Vec<ObservedRecord>> {
    observer.read_until("t", Duration::from_secs(20), |all| all.len() >= count)
}

#[test]
fn one_broker_keeps_transactions_apart() {
    let server = KafkaServer::start(1).unwrap();
    let observer = server.observer().unwrap();
    observer.create_topic("t", 2).unwrap();
    observer
        .produce_in_transaction("id-1", "t", &records("aborted"), false)
        .unwrap();
    observer
        .produce_in_transaction("id-1", "t", &records("kept"), true)
        .unwrap();

    let committed = committed(&observer, 4).unwrap();
    let mut values: Vec<&str> = committed.iter().map(|r| r.value_text()).collect();
    values.sort_unstable();
    assert_eq!(values, ["kept0", "kept1", "kept2", "kept3"]);
    assert!(committed.iter().all(|r| (1_000..1_004).contains(&r.timestamp_ms)));
    assert_eq!(observer.read_all("t", View::Everything).unwrap().len(), 8);
    assert_eq!(observer.open_transactions("t").unwrap(), Vec::<i32>::new());
}

#[test]
fn an_open_transaction_is_seen_and_a_missing_topic_is_an_error() {
    use rdkafka::producer::{BaseRecord, Producer};
    let server = KafkaServer::start(1).unwrap();
    let observer = server.observer().unwrap();
    observer.create_topic("t", 1).unwrap();
    let producer = observer.producer(Some("open")).unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    producer.begin_transaction().unwrap();
    producer
        .send(BaseRecord::<[u8], [u8]>::to("t").payload(b"x".as_slice()))
        .unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(observer.open_transactions("t").unwrap(), [0]);
    producer.abort_transaction(Duration::from_secs(20)).unwrap();
    assert_eq!(observer.open_transactions("t").unwrap(), Vec::<i32>::new());
    assert!(observer.read_committed("missing").is_err());
}

#[test]
fn three_brokers_go_on_without_one_and_take_it_back() {
    let mut server = KafkaServer::start(3).unwrap();
    let observer = server.observer().unwrap();
    observer.create_topic("t", 3).unwrap();
    observer.produce("t", &records("before")).unwrap();
    server.kill_broker(2).unwrap();
    observer.produce("t", &records("during")).unwrap();
    server.start_broker(2).unwrap();
    observer.wait_for_brokers(3, Duration::from_secs(30)).unwrap();
    observer
        .produce_in_transaction("id", "t", &records("after"), true)
        .unwrap();
    assert_eq!(committed(&observer, 12).unwrap().len(), 12);
}

#[test]
fn a_broker_ends_with_its_server_even_when_paused() {
    let mut server = KafkaServer::start(1).unwrap();
    let Some(pid) = server.pids().first().copied() else {
        assert_eq!(server.brokers(), 0, "only a cluster that is not ours has no processes");
        return;
    };
    server.pause_broker(0).unwrap();
    drop(server);
    let start = Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}")).exists() && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
