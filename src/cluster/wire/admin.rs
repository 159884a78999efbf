//! Topics: partition counts, creation, deletion, offsets, purging. Blocking, for the control plane only.
use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use kafka_protocol::{
    messages::{
        BrokerId, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, ListOffsetsRequest, MetadataResponse,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        delete_topics_request::DeleteTopicState,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::{Request, StrBytes},
};
use tokio::sync::Mutex;

use super::{
    Shared,
    errors::{Call, TIMED_OUT, broker_error, malformed, retry, with_partition},
    pool::{Address, Pool, topic_name},
};
use crate::cluster::{Admin, ErrorClass, Isolation, Result, TopicInfo, TopicPartition};

// Versions, all by topic name.
const CREATE_TOPICS: (i16, i16) = (4, 7);
/// From 6 on topics are given as states, which is what is sent here; every broker since 2.8 has it.
const DELETE_TOPICS: (i16, i16) = (6, 6);
const LIST_OFFSETS: (i16, i16) = (2, 7);
const DELETE_RECORDS: (i16, i16) = (1, 2);

const UNKNOWN_TOPIC: i16 = 3;
const TOPIC_EXISTS: i16 = 36;
const LEADER_NOT_AVAILABLE: i16 = 5;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct WireAdmin {
    pool: Arc<Mutex<Pool>>,
    shared: Arc<Shared>,
}

impl WireAdmin {
    pub(super) fn new(shared: Arc<Shared>, client_id: &str) -> Self {
        Self {
            pool: Arc::new(Mutex::new(Pool::new(shared.config.clone(), client_id))),
            shared,
        }
    }

    /// Runs `operation` on the wire thread, again and again while it fails for a passing reason, until `limit`.
    fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        operation: impl for<'a> Fn(&'a mut Pool) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let pool = self.pool.clone();
        let deadline = Instant::now() + limit;
        self.shared.spawn(async move {
            let mut pool = pool.lock().await;
            let answer = loop {
                match operation(&mut pool).await {
                    Err(error) if error.class == ErrorClass::Retry && Instant::now() + PAUSE < deadline => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    answer => break answer,
                }
            };
            // Nobody may be listening any more.
            let _ = sender.send(answer);
        });
        // The grace is for the answer that explains why there is none.
        match receiver.recv_timeout(limit + Duration::from_millis(200)) {
            Ok(answer) => answer,
            Err(_) => Err(retry(TIMED_OUT, format!("the cluster did not answer within {limit:?}"))),
        }
    }
}

/// A request any broker can answer, or pass on to the controller.
async fn ask_any<R: Request>(pool: &mut Pool, request: &R, versions: (i16, i16)) -> Result<R::Response> {
    let address = pool.any().await?;
    ask(pool, &address, request, versions).await
}

async fn ask<R: Request>(pool: &mut Pool, at: &Address, request: &R, versions: (i16, i16)) -> Result<R::Response> {
    let answer = pool.at(at).await?.request(request, versions).await;
    answer.inspect_err(|_| pool.forget(at))
}

async fn partition_counts(pool: &mut Pool, topics: &[String]) -> Result<Vec<(String, i32)>> {
    let metadata = pool.metadata(topics.iter().map(String::as_str)).await?;
    let mut counts = Vec::new();
    for topic in &metadata.topics {
        let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        match topic.error_code {
            0 | LEADER_NOT_AVAILABLE => counts.push((name, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))),
            UNKNOWN_TOPIC => {}
            code => return Err(broker_error(Call::Topics, code, &format!("topic {name}"), None)),
        }
    }
    Ok(counts)
}

fn creation(topics: &[TopicInfo], limit: Duration) -> CreateTopicsRequest {
    let topics = topics.iter().map(|topic| {
        let configs = topic.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
        });
        CreatableTopic::default()
            .with_name(topic_name(&topic.name))
            // -1: the broker's default.
            .with_num_partitions(if topic.partitions > 0 { topic.partitions } else { -1 })
            .with_replication_factor(if topic.replication_factor > 0 { topic.replication_factor } else { -1 })
            .with_configs(configs.collect())
    });
    CreateTopicsRequest::default()
        .with_topics(topics.collect())
        .with_timeout_ms(millis(limit))
}

fn millis(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
}

/// Partition numbers by topic.
type Partitions = BTreeMap<Arc<str>, Vec<i32>>;

/// Partitions by the broker that leads them.
fn by_leader(metadata: &MetadataResponse, partitions: &[TopicPartition]) -> Result<BTreeMap<i32, Partitions>> {
    let mut leaders: BTreeMap<i32, Partitions> = BTreeMap::new();
    for wanted in partitions {
        let topic = metadata
            .topics
            .iter()
            .find(|t| t.name.as_ref().is_some_and(|name| **name == *wanted.topic));
        let topic = topic.ok_or_else(|| malformed("Metadata"))?;
        let found = topic
            .partitions
            .iter()
            .find(|partition| partition.partition_index == wanted.partition);
        let leader = match (topic.error_code, found) {
            (0 | LEADER_NOT_AVAILABLE, Some(found)) if found.leader_id.0 >= 0 => found.leader_id.0,
            (0 | LEADER_NOT_AVAILABLE, Some(_)) => {
                let error = broker_error(Call::Topics, LEADER_NOT_AVAILABLE, "no leader", None);
                return Err(with_partition(error, &wanted.topic, wanted.partition));
            }
            (0 | LEADER_NOT_AVAILABLE, None) => {
                let error = broker_error(Call::Topics, UNKNOWN_TOPIC, "no such partition", None);
                return Err(with_partition(error, &wanted.topic, wanted.partition));
            }
            (code, _) => {
                let error = broker_error(Call::Topics, code, "metadata", None);
                return Err(with_partition(error, &wanted.topic, wanted.partition));
            }
        };
        leaders
            .entry(leader)
            .or_default()
            .entry(wanted.topic.clone())
            .or_default()
            .push(wanted.partition);
    }
    Ok(leaders)
}

/// One end of every partition, or where a time begins.
async fn list_offsets(
    pool: &mut Pool,
    partitions: &[TopicPartition],
    isolation: Isolation,
    at: i64,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let metadata = pool.metadata(names(partitions)).await?;
    let mut offsets = BTreeMap::new();
    for (leader, topics) in by_leader(&metadata, partitions)? {
        let topics = topics.iter().map(|(name, indexes)| {
            let indexes = indexes.iter().map(|&index| {
                let partition = ListOffsetsPartition::default().with_partition_index(index);
                partition.with_current_leader_epoch(-1).with_timestamp(at)
            });
            ListOffsetsTopic::default()
                .with_name(topic_name(name))
                .with_partitions(indexes.collect())
        });
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
            .with_topics(topics.collect());
        let address = pool.broker(leader)?;
        let answer = ask(pool, &address, &request, LIST_OFFSETS).await?;
        for topic in &answer.topics {
            for partition in &topic.partitions {
                if partition.error_code != 0 {
                    let error = broker_error(Call::Topics, partition.error_code, "listing offsets", None);
                    return Err(with_partition(error, &topic.name, partition.partition_index));
                }
                let key = TopicPartition {
                    topic: (*topic.name.0).into(),
                    partition: partition.partition_index,
                };
                offsets.insert(key, partition.offset);
            }
        }
    }
    Ok(offsets)
}

async fn delete_records(pool: &mut Pool, below: &BTreeMap<TopicPartition, i64>, limit: Duration) -> Result<()> {
    let partitions: Vec<_> = below.keys().cloned().collect();
    let metadata = pool.metadata(names(&partitions)).await?;
    for (leader, topics) in by_leader(&metadata, &partitions)? {
        let topics = topics.iter().map(|(name, indexes)| {
            let indexes = indexes.iter().filter_map(|&partition| {
                let offset = *below.get(&TopicPartition {
                    topic: name.clone(),
                    partition,
                })?;
                Some(
                    DeleteRecordsPartition::default()
                        .with_partition_index(partition)
                        .with_offset(offset),
                )
            });
            DeleteRecordsTopic::default()
                .with_name(topic_name(name))
                .with_partitions(indexes.collect())
        });
        let request = DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(limit));
        let address = pool.broker(leader)?;
        let answer = ask(pool, &address, &request, DELETE_RECORDS).await?;
        for topic in &answer.topics {
            if let Some(partition) = topic.partitions.iter().find(|partition| partition.error_code != 0) {
                let error = broker_error(Call::Topics, partition.error_code, "deleting records", None);
                return Err(with_partition(error, &topic.name, partition.partition_index));
            }
        }
    }
    Ok(())
}

/// The topics of these partitions, each once.
fn names(partitions: &[TopicPartition]) -> Vec<&str> {
    let mut names: Vec<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Admin for WireAdmin {
    fn partition_counts(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<(String, i32)>> {
        let topics: Arc<[String]> = topics.into();
        self.run(timeout, move |pool| {
            let topics = topics.clone();
            async move { partition_counts(pool, &topics).await }.boxed()
        })
    }

    /// Topics that exist already are left as they are. Returns when every topic can be seen.
    fn create_topics(&mut self, topics: &[TopicInfo], timeout: Duration) -> Result<()> {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let request = Arc::new((creation(topics, timeout), names));
        self.run(timeout, move |pool| {
            let request = request.clone();
            async move {
                let answer = ask_any(pool, &request.0, CREATE_TOPICS).await?;
                if let Some(topic) = answer
                    .topics
                    .iter()
                    .find(|topic| ![0, TOPIC_EXISTS].contains(&topic.error_code))
                {
                    let what = format!("creating topic {}", &*topic.name.0);
                    return Err(broker_error(
                        Call::Topics,
                        topic.error_code,
                        &what,
                        topic.error_message.as_deref(),
                    ));
                }
                // Brokers learn of a new topic a moment after the controller has made it.
                let seen = partition_counts(pool, &request.1).await?;
                match request
                    .1
                    .iter()
                    .find(|name| !seen.iter().any(|(found, _)| found == *name))
                {
                    Some(missing) => Err(retry(
                        i32::from(UNKNOWN_TOPIC),
                        format!("topic {missing} cannot be seen yet"),
                    )),
                    None => Ok(()),
                }
            }
            .boxed()
        })
    }

    /// Topics that do not exist are no error.
    fn delete_topics(&mut self, topics: &[String], timeout: Duration) -> Result<()> {
        let topics: Arc<[String]> = topics.into();
        self.run(timeout, move |pool| {
            let topics = topics.clone();
            async move {
                let states = topics
                    .iter()
                    .map(|name| DeleteTopicState::default().with_name(Some(topic_name(name))));
                let request = DeleteTopicsRequest::default()
                    .with_topics(states.collect())
                    .with_timeout_ms(millis(timeout));
                let answer = ask_any(pool, &request, DELETE_TOPICS).await?;
                if let Some(topic) = answer
                    .responses
                    .iter()
                    .find(|topic| ![0, UNKNOWN_TOPIC].contains(&topic.error_code))
                {
                    let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
                    let what = format!("deleting topic {name}");
                    return Err(broker_error(
                        Call::Topics,
                        topic.error_code,
                        &what,
                        topic.error_message.as_deref(),
                    ));
                }
                Ok(())
            }
            .boxed()
        })
    }

    fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<Vec<(i64, i64)>> {
        let partitions: Arc<[TopicPartition]> = partitions.into();
        self.run(timeout, move |pool| {
            let partitions = partitions.clone();
            async move {
                let first = list_offsets(pool, &partitions, isolation, EARLIEST).await?;
                let end = list_offsets(pool, &partitions, isolation, LATEST).await?;
                let both = |partition| Some((*first.get(partition)?, *end.get(partition)?));
                partitions
                    .iter()
                    .map(|p| both(p).ok_or_else(|| malformed("ListOffsets")))
                    .collect()
            }
            .boxed()
        })
    }

    fn offsets_since(
        &mut self,
        partitions: &[TopicPartition],
        since_ms: i64,
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>> {
        let partitions: Arc<[TopicPartition]> = partitions.into();
        // Negative times have a meaning of their own in the request.
        let since_ms = since_ms.max(0);
        self.run(timeout, move |pool| {
            let partitions = partitions.clone();
            async move {
                let found = list_offsets(pool, &partitions, Isolation::ReadUncommitted, since_ms).await?;
                let offset = |p| found.get(p).map(|offset| Some(*offset).filter(|offset| *offset >= 0));
                partitions
                    .iter()
                    .map(|p| offset(p).ok_or_else(|| malformed("ListOffsets")))
                    .collect()
            }
            .boxed()
        })
    }

    fn delete_records(&mut self, below: &[(TopicPartition, i64)], timeout: Duration) -> Result<()> {
        let below: Arc<BTreeMap<TopicPartition, i64>> = Arc::new(below.iter().cloned().collect());
        self.run(timeout, move |pool| {
            let below = below.clone();
            async move { delete_records(pool, &below, timeout).await }.boxed()
        })
    }
}
