//! What must hold in every simulation of every topology while it runs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    feed::Awake,
    observation::Observation,
    report::SeenRecord,
    simulator::{Plan, Watch},
    world::{SharedWorld, lock},
};
use crate::{
    cluster::{
        Admin, Cluster, Consumer, ConsumerConfig, Fetched, Isolation, StartOffset, TopicPartition,
        memory::MemoryCluster,
    },
    dsl::engine::TopicRef,
};

const NO_WAIT: Duration = Duration::ZERO;

pub(super) type Check<T = ()> = Result<T, String>;

/// Looks at the cluster from outside, past all faults.
pub(super) struct Checker {
    pub(super) cluster: MemoryCluster,
    admin: Box<dyn Admin>,
    reader: Box<dyn Consumer>,
    pub(super) watched: Vec<Watched>,
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    pub(super) isolation: Isolation,
    pub(super) application_id: String,
    pub(super) world: SharedWorld,
}

pub(super) struct Watched {
    pub(super) topic: Arc<str>,
    /// What has been seen of each partition, in order.
    pub(super) seen: Vec<Vec<SeenRecord>>,
    watches: Vec<Watch>,
}

impl Checker {
    pub(super) fn new(cluster: &MemoryCluster, plan: &Plan, world: &SharedWorld) -> Check<Self> {
        let mut reader = consumer(cluster, Isolation::ReadCommitted)?;
        let mut watched = Vec::new();
        for (name, partitions) in &plan.topics {
            let topic: Arc<str> = name.as_str().into();
            for partition in 0..*partitions {
                reader
                    .assign(&at(&topic, partition), StartOffset::Earliest)
                    .map_err(text)?;
            }
            let of_topic = plan.watches.iter().filter(|(t, _)| t == name);
            watched.push(Watched {
                seen: (0..*partitions).map(|_| Vec::new()).collect(),
                watches: of_topic.map(|(_, make)| make()).collect(),
                topic,
            });
        }
        Ok(Self {
            admin: cluster.admin("checker").map_err(text)?,
            cluster: cluster.clone(),
            reader,
            watched,
            committed: BTreeMap::new(),
            isolation: match plan.config.exactly_once() {
                true => Isolation::ReadCommitted,
                false => Isolation::ReadUncommitted,
            },
            application_id: plan.config.application_id.clone(),
            world: world.clone(),
        })
    }

    /// At any time: committed offsets only grow, and what readers see pleases whoever watches.
    pub(super) fn look(&mut self) -> Check {
        self.offsets_only_grow()?;
        for watched in &mut self.watched {
            let Watched { topic, seen, watches } = watched;
            for (partition, seen) in (0..).zip(seen.iter_mut()) {
                let from = seen.len();
                drain(self.reader.as_mut(), &at(topic, partition), seen)?;
                for record in seen.get(from..).unwrap_or_default() {
                    lock(&self.world).observe(Observation::Seen(record.clone()));
                    for watch in watches.iter_mut() {
                        watch(record).map_err(|e| format!("{topic}-{partition}@{}: {e}", record.offset))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Exactly once, committed offsets only grow. Called whenever some may have changed, to know the highest ones.
    pub(super) fn offsets_only_grow(&mut self) -> Check {
        for committed in self.cluster.committed_offsets(&self.application_id) {
            let end = self.bounds(&committed.partition, Isolation::ReadUncommitted)?.1;
            let before = self.committed.get(&committed.partition).copied();
            let place = || format!("{}-{}", committed.partition.topic, committed.partition.partition);
            if let Some(before) = before.filter(|before| *before > committed.offset) {
                // At least once, a commit that was given up and made again may arrive late. What is done twice then, may be.
                if self.isolation == Isolation::ReadUncommitted {
                    continue;
                }
                return Err(format!(
                    "the committed offset of {} went back from {before} to {}",
                    place(),
                    committed.offset
                ));
            }
            if committed.offset > end {
                return Err(format!(
                    "the committed offset of {} is {}, but the partition ends at {end}",
                    place(),
                    committed.offset
                ));
            }
            if before != Some(committed.offset) {
                let TopicPartition { topic, partition } = committed.partition.clone();
                lock(&self.world).observe(Observation::Committed {
                    topic,
                    partition,
                    offset: committed.offset,
                });
                self.committed.insert(committed.partition, committed.offset);
            }
        }
        Ok(())
    }

    pub(super) fn bounds(&mut self, partition: &TopicPartition, isolation: Isolation) -> Check<(i64, i64)> {
        let bounds = self.admin.offsets(std::slice::from_ref(partition), isolation, NO_WAIT);
        bounds
            .map_err(text)?
            .first()
            .copied()
            .ok_or_else(|| "no offsets".to_owned())
    }

    pub(super) fn partitions(&mut self, topic: &str) -> Check<Vec<TopicPartition>> {
        let counts = self
            .admin
            .partition_counts(&[topic.to_owned()], NO_WAIT)
            .map_err(text)?;
        let count = counts.first().map_or(0, |(_, count)| *count);
        let topic: Arc<str> = topic.into();
        Ok((0..count).map(|p| at(&topic, p)).collect())
    }

    /// What is still to be processed, or still open; `None`: nothing. `to_the_end`: control records behind the last record must
    /// count as read, too.
    pub(super) fn left_over(&mut self, plan: &Plan, to_the_end: bool) -> Check<Option<String>> {
        let open = self.cluster.open_transactions();
        if let Some(id) = open.first() {
            return Ok(Some(format!("the transaction of {id} is open")));
        }
        self.offsets_only_grow()?;
        let committed = self.committed.clone();
        for subtopology in plan.topology.subtopologies() {
            for source in &subtopology.sources {
                if matches!(source, TopicRef::Pattern(_)) {
                    continue;
                }
                for partition in self.partitions(&source.full_name(&self.application_id))? {
                    let known = committed.get(&partition).copied();
                    let from = known.unwrap_or(0);
                    let left = read(&self.cluster, &partition, self.isolation, from)?.len();
                    if left > 0 {
                        let TopicPartition { topic, partition } = partition;
                        return Ok(Some(format!("{left} records of {topic}-{partition} are not processed")));
                    }
                    let end = self.bounds(&partition, self.isolation)?.1;
                    if to_the_end && known.is_some_and(|known| known < end) {
                        let TopicPartition { topic, partition } = partition;
                        return Ok(Some(format!(
                            "{topic}-{partition} ends at {end}, only {from} is committed"
                        )));
                    }
                }
            }
        }
        Ok(None)
    }
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    format!("the checker cannot look: {error}")
}

pub(super) fn at(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.clone(),
        partition,
    }
}

fn consumer(cluster: &MemoryCluster, isolation: Isolation) -> Check<Box<dyn Consumer>> {
    let config = ConsumerConfig {
        client_id: "checker".into(),
        isolation,
    };
    cluster.consumer(&config, Arc::new(Awake)).map_err(text)
}

/// What a reader sees of a partition from this offset on.
pub(super) fn read(
    cluster: &MemoryCluster,
    partition: &TopicPartition,
    isolation: Isolation,
    from: i64,
) -> Check<Vec<SeenRecord>> {
    let mut reader = consumer(cluster, isolation)?;
    // What was forgotten is not asked for.
    let from = if from == 0 {
        StartOffset::Earliest
    } else {
        StartOffset::At(from)
    };
    reader.assign(partition, from).map_err(text)?;
    let mut records = Vec::new();
    drain(reader.as_mut(), partition, &mut records)?;
    Ok(records)
}

/// Appends what is visible by now.
fn drain(reader: &mut dyn Consumer, partition: &TopicPartition, records: &mut Vec<SeenRecord>) -> Check {
    while let Fetched::Records(batch) = reader.fetch(partition, 10_000).map_err(text)? {
        for index in 0..batch.len() {
            let record = batch.get(index);
            records.push(SeenRecord {
                topic: partition.topic.clone(),
                partition: partition.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(Into::into),
                value: record.value.map(Into::into),
            });
        }
    }
    Ok(())
}
