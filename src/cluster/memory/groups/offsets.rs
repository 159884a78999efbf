//! What has a group committed, and what do open transactions hold?
use std::collections::BTreeMap;

use super::super::{
    super::{OffsetToCommit, Result, TopicPartition},
    errors::Code,
};

#[derive(Default)]
pub(super) struct Offsets {
    committed: BTreeMap<TopicPartition, OffsetToCommit>,
    /// By producer id.
    held: BTreeMap<i64, BTreeMap<TopicPartition, OffsetToCommit>>,
}

impl Offsets {
    pub(super) fn all(&self) -> Vec<OffsetToCommit> {
        self.committed.values().cloned().collect()
    }

    pub(super) fn commit(&mut self, offsets: &[OffsetToCommit]) {
        for offset in offsets {
            self.committed.insert(offset.partition.clone(), offset.clone());
        }
    }

    pub(super) fn hold(&mut self, producer_id: i64, offsets: &[OffsetToCommit]) {
        let held = self.held.entry(producer_id).or_default();
        for offset in offsets {
            held.insert(offset.partition.clone(), offset.clone());
        }
    }

    pub(super) fn settle(&mut self, producer_id: i64, commit: bool) {
        let held = self.held.remove(&producer_id).unwrap_or_default();
        if commit {
            self.committed.extend(held);
        }
    }

    pub(super) fn fetch(&self, partitions: &[TopicPartition], require_stable: bool) -> Result<Vec<OffsetToCommit>> {
        let unstable = partitions
            .iter()
            .find(|p| self.held.values().any(|held| held.contains_key(p)));
        if let Some(partition) = unstable.filter(|_| require_stable) {
            return Err(Code::UnstableOffsetCommit.on(
                partition,
                format!(
                    "{}-{}: an open transaction holds an offset",
                    partition.topic, partition.partition
                ),
            ));
        }
        Ok(partitions
            .iter()
            .filter_map(|p| self.committed.get(p).cloned())
            .collect())
    }
}
