//! Somebody outside of the application who reads its output and sees how far it has come.
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use millstream::cluster::{
    Admin, Cluster, Consumer, ConsumerConfig, Fetched, GroupClient, GroupRequest, GroupResponse, Isolation,
    StartOffset, TopicPartition,
};

use crate::BoxError;
use crate::feed::NoWaker;

const LIMIT: Duration = Duration::from_secs(10);
const BATCH: usize = 1000;

/// All partitions of a topic.
fn partitions(admin: &mut dyn Admin, topic: &str) -> Result<Vec<TopicPartition>, BoxError> {
    let counts = admin.partition_counts(&[topic.to_owned()], LIMIT)?;
    let count = counts.first().map_or(0, |(_, count)| *count);
    let topic: Arc<str> = topic.into();
    Ok((0..count)
        .map(|partition| TopicPartition {
            topic: Arc::clone(&topic),
            partition,
        })
        .collect())
}

/// Reads committed records of one topic.
pub struct Reader {
    consumer: Box<dyn Consumer>,
    admin: Box<dyn Admin>,
    partitions: Vec<TopicPartition>,
    /// Next offset of each partition; -1 while nothing is known.
    positions: Vec<i64>,
}

impl Reader {
    /// From the first record, or only new ones.
    pub fn connect(cluster: &dyn Cluster, client_id: &str, topic: &str, start: StartOffset) -> Result<Self, BoxError> {
        let config = ConsumerConfig {
            client_id: client_id.to_owned(),
            isolation: Isolation::ReadCommitted,
        };
        let mut consumer = cluster.consumer(&config, Arc::new(NoWaker))?;
        let mut admin = cluster.admin(client_id)?;
        let partitions = partitions(admin.as_mut(), topic)?;
        for partition in &partitions {
            consumer.assign(partition, start)?;
        }
        let positions = vec![-1; partitions.len()];
        Ok(Self {
            consumer,
            admin,
            partitions,
            positions,
        })
    }

    /// Hands out what has arrived: key and value. Returns how many records that were.
    pub fn poll(&mut self, mut each: impl FnMut(&[u8], &[u8])) -> Result<usize, BoxError> {
        self.consumer.serve()?;
        let mut count = 0;
        for (partition, next) in self.partitions.iter().zip(&mut self.positions) {
            loop {
                match self.consumer.fetch(partition, BATCH)? {
                    Fetched::Records(batch) => {
                        for index in 0..batch.len() {
                            let record = batch.get(index);
                            *next = record.offset + 1;
                            each(record.key.unwrap_or_default(), record.value.unwrap_or_default());
                        }
                        count += batch.len();
                    }
                    Fetched::End { position } => *next = position,
                    Fetched::Nothing => break,
                }
            }
        }
        Ok(count)
    }

    /// Whether everything has been handed out that is committed now.
    pub fn is_at_end(&mut self) -> Result<bool, BoxError> {
        let ends = self.admin.offsets(&self.partitions, Isolation::ReadCommitted, LIMIT)?;
        Ok(self
            .positions
            .iter()
            .zip(ends)
            .all(|(next, (first, end))| *next >= end || first == end))
    }
}

/// How far an application has committed its inputs.
pub struct Progress {
    admin: Box<dyn Admin>,
    group: Box<dyn GroupClient>,
    partitions: Vec<TopicPartition>,
}

impl Progress {
    /// Of the application with this id, on these topics.
    pub fn connect(cluster: &dyn Cluster, application_id: &str, topics: &[&str]) -> Result<Self, BoxError> {
        let client_id = format!("{application_id}-watch");
        let mut admin = cluster.admin(&client_id)?;
        let group = cluster.group(&client_id, application_id, Arc::new(NoWaker))?;
        let mut all = Vec::new();
        for topic in topics {
            all.extend(partitions(admin.as_mut(), topic)?);
        }
        Ok(Self {
            admin,
            group,
            partitions: all,
        })
    }

    /// Records that are in the topics and not yet committed by the application.
    pub fn lag(&mut self) -> Result<i64, BoxError> {
        // In this order: what the application had written when it committed is then part of the ends, so that a lag of
        // zero over a topic and the repartition topic behind it means that both are worked off.
        let committed = self.committed()?;
        let ends = self.admin.offsets(&self.partitions, Isolation::ReadCommitted, LIMIT)?;
        let lag = self.partitions.iter().zip(ends).map(|(partition, (first, end))| {
            let done = committed
                .iter()
                .find(|(p, _)| p == partition)
                .map_or(first, |(_, offset)| *offset);
            (end - done).max(0)
        });
        Ok(lag.sum())
    }

    fn committed(&mut self) -> Result<Vec<(TopicPartition, i64)>, BoxError> {
        let request = self.group.send(GroupRequest::FetchOffsets {
            identity: None,
            partitions: self.partitions.clone(),
            require_stable: false,
        });
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            match self.group.poll() {
                Some((id, Ok(GroupResponse::FetchOffsets(offsets)))) if id == request => {
                    return Ok(offsets.into_iter().map(|o| (o.partition, o.offset)).collect());
                }
                // Not known yet, or moving: the same as nothing committed, the next look will tell.
                Some((id, Err(_))) if id == request => return Ok(Vec::new()),
                Some(_) => {}
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
        Ok(Vec::new())
    }
}
