//! The administrating client: topics, offsets, deleted records.
use std::time::Duration;

use super::{
    super::{Admin, Isolation, Result, TopicInfo, TopicPartition},
    broker::Broker,
    dispatch::{MemoryCluster, Request, RequestKind},
};

pub(super) struct MemoryAdmin {
    cluster: MemoryCluster,
}

impl MemoryAdmin {
    pub(super) fn new(cluster: MemoryCluster) -> Self {
        MemoryAdmin { cluster }
    }

    fn ask<T>(&self, work: impl FnOnce(&mut Broker) -> Result<T>) -> Result<T> {
        self.cluster.dispatch(Ask(work))
    }
}

struct Ask<F>(F);

impl<T, F: FnOnce(&mut Broker) -> Result<T>> Request for Ask<F> {
    type Answer = T;
    const KIND: RequestKind = RequestKind::Admin;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<T> {
        (self.0)(broker)
    }
}

impl Admin for MemoryAdmin {
    fn partition_counts(&mut self, topics: &[String], _timeout: Duration) -> Result<Vec<(String, i32)>> {
        self.ask(|broker| {
            let count = |name: &String| Some((name.clone(), broker.topics.get(name)?.partitions.len() as i32));
            Ok(topics.iter().filter_map(count).collect())
        })
    }

    /// Every topic is tried; the first failure is reported.
    fn create_topics(&mut self, topics: &[TopicInfo], _timeout: Duration) -> Result<()> {
        self.ask(|broker| {
            let default = broker.config.default_partitions;
            let outcomes: Vec<Result<()>> = topics.iter().map(|info| broker.topics.create(info, default)).collect();
            outcomes.into_iter().collect()
        })
    }

    /// Every topic is tried; the first failure is reported.
    fn delete_topics(&mut self, topics: &[String], _timeout: Duration) -> Result<()> {
        self.ask(|broker| {
            let outcomes: Vec<Result<()>> = topics.iter().map(|name| broker.topics.delete(name)).collect();
            outcomes.into_iter().collect()
        })
    }

    fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        isolation: Isolation,
        _timeout: Duration,
    ) -> Result<Vec<(i64, i64)>> {
        self.ask(|broker| partitions.iter().map(|p| broker.offsets(p, isolation)).collect())
    }

    fn offsets_since(
        &mut self,
        partitions: &[TopicPartition],
        since_ms: i64,
        _timeout: Duration,
    ) -> Result<Vec<Option<i64>>> {
        self.ask(|broker| {
            let find = |partition| Ok(broker.topics.log(partition)?.first_since(since_ms));
            partitions.iter().map(find).collect()
        })
    }

    fn delete_records(&mut self, below: &[(TopicPartition, i64)], _timeout: Duration) -> Result<()> {
        self.ask(|broker| {
            for (partition, offset) in below {
                let (log, _) = broker.topics.log_mut(partition)?;
                log.delete_below(*offset).map_err(|mut error| {
                    error.partition = Some(partition.clone());
                    error
                })?;
            }
            Ok(())
        })
    }
}
