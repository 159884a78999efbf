//! OffsetCommit and OffsetFetch, version 9: by topic name, with member id and epoch.
use kafka_protocol::{
    messages::{
        GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    },
    protocol::StrBytes,
};

use super::super::errors::{Call, broker_error, malformed, with_partition};
use crate::cluster::{GroupIdentity, OffsetToCommit, Result, TopicPartition};

/// Older versions are refused for streams groups (commit), newer ones need topic ids.
pub(in super::super) const VERSION: (i16, i16) = (9, 9);
const NO_EPOCH: i32 = -1;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

pub(in super::super) fn commit_request(identity: &GroupIdentity, offsets: &[OffsetToCommit]) -> OffsetCommitRequest {
    let topics = by_topic(offsets, |offset| &offset.partition)
        .into_iter()
        .map(|(name, offsets)| {
            let partitions = offsets.into_iter().map(|offset| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(offset.partition.partition)
                    .with_committed_offset(offset.offset)
                    .with_committed_metadata(Some(text(&offset.metadata)))
            });
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions.collect())
        });
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&identity.group_id)))
        .with_generation_id_or_member_epoch(identity.member_epoch)
        .with_member_id(text(&identity.member_id))
        .with_topics(topics.collect())
}

/// The first refused partition makes the whole commit fail, as it does in the broker for a stale epoch.
pub(in super::super) fn commit_response(response: &OffsetCommitResponse) -> Result<()> {
    for topic in &response.topics {
        for partition in topic.partitions.iter().filter(|partition| partition.error_code != 0) {
            let error = broker_error(Call::CommitOffsets, partition.error_code, "committing an offset", None);
            return Err(with_partition(error, &topic.name, partition.partition_index));
        }
    }
    Ok(())
}

pub(in super::super) fn fetch_request(
    group_id: &str,
    identity: Option<&GroupIdentity>,
    partitions: &[TopicPartition],
    require_stable: bool,
) -> OffsetFetchRequest {
    let topics = by_topic(partitions, |partition| partition)
        .into_iter()
        .map(|(name, partitions)| {
            OffsetFetchRequestTopics::default()
                .with_name(TopicName(text(name)))
                .with_partition_indexes(partitions.iter().map(|partition| partition.partition).collect())
        });
    // Member and epoch: both or neither, or the broker fails with an unknown error.
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group_id)))
        .with_member_id(identity.map(|identity| text(&identity.member_id)))
        .with_member_epoch(identity.map_or(NO_EPOCH, |identity| identity.member_epoch))
        .with_topics(Some(topics.collect()));
    OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(require_stable)
}

/// Partitions without a committed offset are left out.
pub(in super::super) fn fetch_response(response: &OffsetFetchResponse) -> Result<Vec<OffsetToCommit>> {
    let group = response.groups.first().ok_or_else(|| malformed("OffsetFetch"))?;
    if group.error_code != 0 {
        return Err(broker_error(
            Call::FetchOffsets,
            group.error_code,
            "reading committed offsets",
            None,
        ));
    }
    let mut offsets = Vec::new();
    for topic in &group.topics {
        for partition in &topic.partitions {
            if partition.error_code != 0 {
                let error = broker_error(
                    Call::FetchOffsets,
                    partition.error_code,
                    "reading a committed offset",
                    None,
                );
                return Err(with_partition(error, &topic.name, partition.partition_index));
            }
            if partition.committed_offset >= 0 {
                offsets.push(OffsetToCommit {
                    partition: TopicPartition {
                        topic: (*topic.name.0).into(),
                        partition: partition.partition_index,
                    },
                    offset: partition.committed_offset,
                    metadata: partition.metadata.as_deref().unwrap_or_default().to_string(),
                });
            }
        }
    }
    Ok(offsets)
}

/// Groups by topic, in order of name and partition.
fn by_topic<'a, T>(items: &'a [T], partition: impl Fn(&'a T) -> &'a TopicPartition) -> Vec<(&'a str, Vec<&'a T>)> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_by(|a, b| partition(a).cmp(partition(b)));
    let mut topics: Vec<(&'a str, Vec<&'a T>)> = Vec::new();
    for item in sorted {
        let name: &'a str = &partition(item).topic;
        match topics.last_mut() {
            Some((last, items)) if *last == name => items.push(item),
            _ => topics.push((name, vec![item])),
        }
    }
    topics
}
