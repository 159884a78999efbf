//! Restoring against a cluster with transactions, control records and topics that come back.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::*;
use crate::{
    cluster::{
        Cluster, Consumer, ConsumerConfig, GroupIdentity, Isolation, Producer, ProducerConfig, ProducerRecord, Sent,
        Step, TopicPartition, Waker, memory::MemoryCluster,
    },
    error::ErrorKind,
    state::{
        ChangeLogger, Headers, LoggedHeaders, StateEngine, StateError, StoreBackend, StoreIndex, StoreKind, StoreSpec,
        TaskDatabase, TaskState,
    },
};

struct Nobody;
impl Waker for Nobody {
    fn wake(&self) {}
}
impl ChangeLogger for Nobody {
    fn log(
        &self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: Option<i64>,
        _: Option<&Headers>,
    ) -> Result<(), StateError> {
        Ok(())
    }
}

const STORE: StoreIndex = StoreIndex(0);

fn partition() -> TopicPartition {
    TopicPartition {
        topic: "app-store-changelog".into(),
        partition: 0,
    }
}

fn cluster() -> MemoryCluster {
    let cluster = MemoryCluster::new();
    cluster.create_topic("app-store-changelog", 1, &[]).unwrap();
    cluster
}

fn database() -> TaskDatabase {
    opened(LoggedHeaders::Never)
}

fn opened(logged_headers: LoggedHeaders) -> TaskDatabase {
    let spec = StoreSpec {
        name: "store".into(),
        kind: StoreKind::KeyValue { timestamped: false },
        backend: StoreBackend::InMemory,
        caching: false,
        logging: true,
        logged_headers,
    };
    StateEngine::in_memory().open_task("0_0", &[spec]).unwrap()
}

fn producer(cluster: &MemoryCluster) -> Box<dyn Producer> {
    let config = ProducerConfig {
        client_id: "p".into(),
        transactional_id: Some("t".into()),
        transaction_timeout: Duration::from_secs(10),
    };
    let mut producer = cluster.producer(&config, Arc::new(Nobody)).unwrap();
    while matches!(producer.poll_init_transactions().unwrap(), Step::Pending) {}
    producer
}

/// One transaction that writes these rows.
fn transaction(producer: &mut dyn Producer, rows: &[(&str, Option<&str>)], commit: bool) {
    transaction_with(producer, rows, None, commit);
}

fn transaction_with(
    producer: &mut dyn Producer,
    rows: &[(&str, Option<&str>)],
    headers: Option<&Headers>,
    commit: bool,
) {
    producer.begin_transaction().unwrap();
    let topic = producer.topic("app-store-changelog").unwrap();
    for (key, value) in rows {
        let record = ProducerRecord {
            topic,
            partition: 0,
            key: Some(key.as_bytes()),
            value: value.map(str::as_bytes),
            timestamp: Some(1),
            headers,
        };
        assert!(matches!(producer.send(&record).unwrap(), Sent::Queued));
    }
    while matches!(producer.poll_flush().unwrap(), Step::Pending) {}
    let nobody = GroupIdentity {
        group_id: "app".into(),
        member_id: String::new(),
        member_epoch: -1,
    };
    let mut end = || {
        if commit {
            producer.poll_commit(&[], &nobody)
        } else {
            producer.poll_abort()
        }
    };
    while matches!(end().unwrap(), Step::Pending) {}
}

fn consumer(cluster: &MemoryCluster) -> Box<dyn Consumer> {
    let config = ConsumerConfig {
        client_id: "c".into(),
        isolation: Isolation::ReadCommitted,
    };
    cluster.consumer(&config, Arc::new(Nobody)).unwrap()
}

fn changelog(cluster: &MemoryCluster, limit: Option<i64>) -> Changelog {
    let mut admin = cluster.admin("a").unwrap();
    let all = admin
        .offsets(&[partition()], Isolation::ReadUncommitted, Duration::from_secs(1))
        .unwrap();
    Changelog {
        store: STORE,
        partition: partition(),
        bounds: ChangelogBounds {
            first: all[0].0,
            end: all[0].1,
        },
        limit,
        logged: false,
    }
}

/// Restores to the end; gives the database and the number of records.
fn restore(cluster: &MemoryCluster, database: TaskDatabase, limit: Option<i64>) -> (TaskDatabase, u64) {
    let mut consumer = consumer(cluster);
    let log = changelog(cluster, limit);
    let mut task = RestoringTask::begin("0_0".into(), database, vec![log], Purpose::Run, consumer.as_mut()).unwrap();
    for _ in 0..1000 {
        if task.step(consumer.as_mut(), 2).unwrap() == Progress::Done {
            let restored = task.restored();
            return (task.finish(consumer.as_mut()), restored);
        }
    }
    panic!("restoring does not end");
}

fn rows(database: TaskDatabase, keys: &[&str]) -> Vec<Option<String>> {
    let state = TaskState::new(database, Rc::new(Nobody), 0);
    let store = state.key_value("store").unwrap();
    let mut value = Vec::new();
    keys.iter()
        .map(|key| {
            let found = store.get(key.as_bytes(), &mut value).unwrap().is_some();
            found.then(|| String::from_utf8(value.clone()).unwrap())
        })
        .collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_changelog_that_ends_with_control_records_is_restored_to_its_end() {
    let cluster = cluster();
    let mut p = producer(&cluster);
    transaction(p.as_mut(), &[("a", Some("1")), ("b", Some("2"))], true);
    transaction(p.as_mut(), &[("a", Some("aborted")), ("c", Some("aborted"))], false);
    transaction(p.as_mut(), &[("b", None), ("d", Some("4"))], true);
    let end = changelog(&cluster, None).bounds.end;
    let (database, restored) = restore(&cluster, database(), None);
    assert_eq!(restored, 4, "aborted records do not count");
    assert_eq!(database.offset(STORE), Some(end), "the marker need not be read again");
    let (database, restored) = restore(&cluster, database, None);
    assert_eq!(restored, 0);
    assert_eq!(
        rows(database, &["a", "b", "c", "d"]),
        [some("1"), None, None, some("4")]
    );
}

#[test]
fn an_open_transaction_is_waited_for() {
    let cluster = cluster();
    let mut p = producer(&cluster);
    transaction(p.as_mut(), &[("a", Some("1"))], true);
    p.begin_transaction().unwrap();
    let topic = p.topic("app-store-changelog").unwrap();
    let record = ProducerRecord {
        topic,
        partition: 0,
        key: Some(b"a"),
        value: Some(b"2"),
        timestamp: Some(1),
        headers: None,
    };
    p.send(&record).unwrap();
    while matches!(p.poll_flush().unwrap(), Step::Pending) {}
    let mut consumer = consumer(&cluster);
    let log = changelog(&cluster, None);
    let mut task = RestoringTask::begin("0_0".into(), database(), vec![log], Purpose::Run, consumer.as_mut()).unwrap();
    for _ in 0..20 {
        assert_ne!(
            task.step(consumer.as_mut(), 10).unwrap(),
            Progress::Done,
            "its outcome is part of the state"
        );
    }
    let nobody = GroupIdentity {
        group_id: "app".into(),
        member_id: String::new(),
        member_epoch: -1,
    };
    while matches!(p.poll_commit(&[], &nobody).unwrap(), Step::Pending) {}
    while task.step(consumer.as_mut(), 10).unwrap() != Progress::Done {}
    assert_eq!(rows(task.finish(consumer.as_mut()), &["a"]), [some("2")]);
}

#[test]
fn what_was_restored_before_an_interruption_is_not_read_again() {
    let cluster = cluster();
    let mut p = producer(&cluster);
    let keys: Vec<String> = (0..10).map(|i| format!("k{i}")).collect();
    let written: Vec<(&str, Option<&str>)> = keys.iter().map(|k| (k.as_str(), Some(k.as_str()))).collect();
    transaction(p.as_mut(), &written, true);
    let mut consumer = consumer(&cluster);
    let log = changelog(&cluster, None);
    let mut task = RestoringTask::begin("0_0".into(), database(), vec![log], Purpose::Run, consumer.as_mut()).unwrap();
    while task.restored() < 4 {
        task.step(consumer.as_mut(), 2).unwrap();
    }
    let before = task.restored();
    let (database, after) = restore(&cluster, task.finish(consumer.as_mut()), None);
    assert_eq!(before + after, 10);
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(rows(database, &names).iter().all(Option::is_some));
}

#[test]
fn a_changelog_that_was_created_again_is_an_error_that_says_so() {
    let old = cluster();
    let mut p = producer(&old);
    transaction(p.as_mut(), &[("a", Some("old")), ("b", Some("old"))], true);
    let (database, _) = restore(&old, database(), None);
    let again = cluster();
    let mut p = producer(&again);
    transaction(p.as_mut(), &[("b", Some("new"))], true);
    let mut consumer = consumer(&again);
    let log = changelog(&again, None);
    let begun = RestoringTask::begin("0_0".into(), database, vec![log], Purpose::Run, consumer.as_mut());
    let error = begun.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ChangelogLost);
    assert!(
        error.message().contains("ends at offset 2") && error.message().contains("offset 3"),
        "{error}"
    );
    assert_eq!(error.context().topic.as_deref(), Some("app-store-changelog"));
}

#[test]
fn an_empty_changelog_of_which_records_are_committed_is_an_error_also_without_local_state() {
    let again = cluster();
    let mut consumer = consumer(&again);
    for (logged, lost) in [(true, Some(ErrorKind::ChangelogLost)), (false, None)] {
        let log = Changelog {
            logged,
            ..changelog(&again, None)
        };
        let begun = RestoringTask::begin("0_0".into(), database(), vec![log], Purpose::Run, consumer.as_mut());
        assert_eq!(begun.err().map(|e| e.kind()), lost);
    }
}

#[test]
fn of_a_source_topic_only_what_was_processed_is_restored() {
    let cluster = cluster();
    let mut p = producer(&cluster);
    transaction(
        p.as_mut(),
        &[("a", Some("1")), ("b", Some("2")), ("c", Some("3"))],
        true,
    );
    let (database, restored) = restore(&cluster, database(), Some(2));
    assert_eq!((restored, database.offset(STORE)), (2, Some(2)));
    assert_eq!(rows(database, &["a", "b", "c"]), [some("1"), some("2"), None]);
}

#[test]
fn rows_that_keep_headers_have_those_of_the_changelog_again() {
    let cluster = cluster();
    let mut p = producer(&cluster);
    let headers = Headers::new();
    headers.add("trace", Some(b"x"));
    headers.add("null", None);
    transaction_with(p.as_mut(), &[("a", Some("1")), ("b", Some("2"))], Some(&headers), true);
    transaction(p.as_mut(), &[("b", Some("3")), ("c", Some("4"))], true);
    let (database, restored) = restore(&cluster, opened(LoggedHeaders::Kept), None);
    assert_eq!(restored, 4);
    let state = TaskState::new(database, Rc::new(Nobody), 0);
    let store = state.key_value("store").unwrap();
    let read = |key: &str| {
        let mut value = Vec::new();
        let (_, headers) = store.get_with_headers(key.as_bytes(), &mut value).unwrap().unwrap();
        (String::from_utf8(value).unwrap(), headers)
    };
    assert_eq!(read("a"), ("1".to_owned(), headers));
    assert_eq!(read("b"), ("3".to_owned(), Headers::new()));
    assert_eq!(read("c"), ("4".to_owned(), Headers::new()));
}

#[test]
fn rows_without_an_offset_are_not_trusted() {
    let cluster = cluster();
    let mut p = producer(&cluster);
    transaction(p.as_mut(), &[("b", Some("2"))], true);
    let state = TaskState::new(database(), Rc::new(Nobody), 0);
    let context = crate::state::RecordContext {
        topic: "in".into(),
        partition: 0,
        offset: 0,
        timestamp: 0,
        headers: Headers::new(),
        source: None,
    };
    // What a crash in the middle of wiping a store leaves behind.
    let store = state.key_value("store").unwrap();
    store.put(b"a", Some(b"stale"), 0, &context).unwrap();
    state.commit(&[]).unwrap();
    let left_behind = state.into_database().unwrap();
    assert_eq!(left_behind.offset(STORE), None);
    let (database, _) = restore(&cluster, left_behind, None);
    assert_eq!(rows(database, &["a", "b"]), [None, some("2")]);
}
