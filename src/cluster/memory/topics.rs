//! Which topics exist, and with which settings?
use std::{
    collections::{BTreeMap, btree_map::Entry as MapEntry},
    sync::Arc,
};

use super::{
    super::{Result, TopicInfo, TopicPartition},
    errors::{Code, unknown_partition},
    log::PartitionLog,
};

/// Kafka's topic settings; any other name is refused, as a broker does.
const KNOWN_CONFIGS: &[&str] = &[
    "cleanup.policy",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.storage.enable",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
    "unclean.leader.election.enable",
];

/// What the cluster obeys of a topic's settings; the others are kept and shown.
#[derive(Clone, Debug)]
pub(super) struct TopicConfig {
    pub(super) raw: BTreeMap<String, String>,
    pub(super) compact: bool,
    pub(super) delete: bool,
    /// -1: for ever.
    pub(super) retention_ms: i64,
    /// Per partition; -1: no limit.
    pub(super) retention_bytes: i64,
    /// How long tombstones stay after the first compaction.
    pub(super) delete_retention_ms: i64,
}

impl TopicConfig {
    pub(super) fn parse(configs: &[(String, String)]) -> Result<Self> {
        let raw: BTreeMap<String, String> = configs.iter().cloned().collect();
        if let Some(name) = raw.keys().find(|name| !KNOWN_CONFIGS.contains(&name.as_str())) {
            return Err(Code::InvalidConfig.error(format!("Unknown topic config name: {name}")));
        }
        if raw.get("message.timestamp.type").is_some_and(|t| t != "CreateTime") {
            return Err(Code::InvalidConfig.error("the memory cluster knows message.timestamp.type=CreateTime only"));
        }
        let policies: Vec<&str> = raw
            .get("cleanup.policy")
            .map_or("delete", String::as_str)
            .split(',')
            .map(str::trim)
            .filter(|p| !p.is_empty())
            .collect();
        if let Some(policy) = policies.iter().find(|p| !matches!(**p, "compact" | "delete")) {
            return Err(Code::InvalidConfig.error(format!("Invalid value {policy} for configuration cleanup.policy")));
        }
        Ok(TopicConfig {
            compact: policies.contains(&"compact"),
            delete: policies.contains(&"delete"),
            retention_ms: number(&raw, "retention.ms", 7 * 24 * 3_600_000)?,
            retention_bytes: number(&raw, "retention.bytes", -1)?,
            delete_retention_ms: number(&raw, "delete.retention.ms", 24 * 3_600_000)?,
            raw,
        })
    }
}

fn number(raw: &BTreeMap<String, String>, name: &str, default: i64) -> Result<i64> {
    raw.get(name).map_or(Ok(default), |text| {
        text.parse().map_err(|_| {
            Code::InvalidConfig.error(format!("Invalid value {text} for configuration {name}: not a number"))
        })
    })
}

pub(super) struct Topic {
    /// Tells a topic from a later one of the same name.
    pub(super) id: u64,
    pub(super) config: TopicConfig,
    pub(super) partitions: Vec<PartitionLog>,
}

/// All topics by name, in name order.
#[derive(Default)]
pub(super) struct Topics {
    by_name: BTreeMap<Arc<str>, Topic>,
    next_id: u64,
}

impl Topics {
    pub(super) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Topic)> {
        self.by_name.iter_mut()
    }

    pub(super) fn log(&self, partition: &TopicPartition) -> Result<&PartitionLog> {
        usize::try_from(partition.partition)
            .ok()
            .and_then(|at| self.by_name.get(&partition.topic)?.partitions.get(at))
            .ok_or_else(|| unknown_partition(partition))
    }

    pub(super) fn log_mut(&mut self, partition: &TopicPartition) -> Result<(&mut PartitionLog, &TopicConfig)> {
        let topic = self.by_name.get_mut(&partition.topic);
        let Some(Topic { config, partitions, .. }) = topic else {
            return Err(unknown_partition(partition));
        };
        let log = usize::try_from(partition.partition)
            .ok()
            .and_then(|at| partitions.get_mut(at));
        log.map(|log| (log, &*config))
            .ok_or_else(|| unknown_partition(partition))
    }

    pub(super) fn create(&mut self, info: &TopicInfo, default_partitions: i32) -> Result<()> {
        let name = info.name.as_str();
        if !is_legal_name(name) {
            return Err(Code::InvalidTopic.error(format!("Topic name {name} is not a valid topic name.")));
        }
        let count = if info.partitions == -1 {
            default_partitions
        } else {
            info.partitions
        };
        if count < 1 {
            return Err(Code::InvalidPartitions.error(format!("Topic {name} needs at least one partition.")));
        }
        let config = TopicConfig::parse(&info.configs)?;
        match self.by_name.entry(name.into()) {
            MapEntry::Occupied(_) => Err(Code::TopicAlreadyExists.error(format!("Topic '{name}' already exists."))),
            MapEntry::Vacant(vacant) => {
                self.next_id += 1;
                vacant.insert(Topic {
                    id: self.next_id,
                    config,
                    partitions: (0..count).map(|_| PartitionLog::default()).collect(),
                });
                Ok(())
            }
        }
    }

    /// Adds partitions to a topic; fewer than there are is refused.
    pub(super) fn grow(&mut self, name: &str, count: i32) -> Result<()> {
        let Some(topic) = self.by_name.get_mut(name) else {
            return Err(Code::UnknownTopicOrPartition.error(format!("topic {name} does not exist")));
        };
        let wanted = usize::try_from(count).unwrap_or(0);
        if wanted < topic.partitions.len() {
            return Err(Code::InvalidPartitions.error(format!("topic {name} cannot lose partitions")));
        }
        topic.partitions.resize_with(wanted, PartitionLog::default);
        Ok(())
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<()> {
        match self.by_name.remove(name) {
            Some(_) => Ok(()),
            None => Err(Code::UnknownTopicOrPartition.error(format!("topic {name} does not exist"))),
        }
    }
}

/// Kafka's rule for topic names.
pub(super) fn is_legal_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 249 && name != "." && name != ".." && name.chars().all(legal)
}
