//! Which of Kafka's errors does the cluster answer with, and what must the caller do about each?
use super::super::{ClusterError, ErrorClass, TopicPartition};

/// The protocol's error codes that this cluster produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    UnknownServerError = -1,
    OffsetOutOfRange = 1,
    UnknownTopicOrPartition = 3,
    MessageTooLarge = 10,
    InvalidTopic = 17,
    IllegalGeneration = 22,
    UnknownMemberId = 25,
    TopicAlreadyExists = 36,
    InvalidPartitions = 37,
    InvalidConfig = 40,
    InvalidRequest = 42,
    OutOfOrderSequence = 45,
    InvalidProducerEpoch = 47,
    InvalidTxnState = 48,
    InvalidProducerIdMapping = 49,
    InvalidTransactionTimeout = 50,
    NonEmptyGroup = 68,
    GroupIdNotFound = 69,
    GroupMaxSizeReached = 81,
    InvalidRecord = 87,
    UnstableOffsetCommit = 88,
    ProducerFenced = 90,
    FencedMemberEpoch = 110,
    StaleMemberEpoch = 113,
    StreamsInvalidTopology = 130,
}

impl Code {
    /// The error table: what the caller must do next.
    pub(super) fn class(self) -> ErrorClass {
        match self {
            Code::OffsetOutOfRange => ErrorClass::Corrupted,
            Code::UnstableOffsetCommit => ErrorClass::Retry,
            // A sequence that does not fit leaves the partition usable, but not this transaction.
            Code::OutOfOrderSequence => ErrorClass::AbortTransaction,
            // Somebody newer owns the transactional id or the tasks. A producer whose transaction timed out gets
            // INVALID_PRODUCER_EPOCH too: it cannot tell the two apart, and must give up its work either way.
            Code::InvalidProducerEpoch
            | Code::ProducerFenced
            | Code::InvalidProducerIdMapping
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch => ErrorClass::Migrated,
            _ => ErrorClass::Fatal,
        }
    }

    pub(super) fn error(self, message: impl Into<String>) -> ClusterError {
        ClusterError {
            class: self.class(),
            code: self as i32,
            message: message.into(),
            partition: None,
        }
    }

    pub(super) fn on(self, partition: &TopicPartition, message: impl Into<String>) -> ClusterError {
        ClusterError {
            partition: Some(partition.clone()),
            ..self.error(message)
        }
    }
}

impl ClusterError {
    /// The same answer to a request after which something else has to be done.
    pub(super) fn of_class(self, class: ErrorClass) -> Self {
        Self { class, ..self }
    }
}

/// A partition that does not exist, by the way it is written everywhere.
pub(super) fn unknown_partition(partition: &TopicPartition) -> ClusterError {
    Code::UnknownTopicOrPartition.on(
        partition,
        format!("topic {} has no partition {}", partition.topic, partition.partition),
    )
}
