//! What an error of a broker, or of the connection to it, means for the caller: one table.
use kafka_protocol::ResponseError;

use crate::cluster::{ClusterError, ErrorClass, TopicPartition};

/// No connection could be made: the request was never sent. (librdkafka's `_ALL_BROKERS_DOWN`.)
pub(super) const NOT_SENT: i32 = -187;
/// The connection broke after the request was sent: it may have been carried out. (`_TRANSPORT`.)
pub(super) const LOST: i32 = -195;
/// No answer in time: it may have been carried out. (`_TIMED_OUT`.)
pub(super) const TIMED_OUT: i32 = -185;
/// An answer that cannot be read. (`_BAD_MSG`.)
pub(super) const MALFORMED: i32 = -199;

pub(super) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
pub(super) const NOT_COORDINATOR: i16 = 16;

/// What was asked of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Heartbeat,
    CommitOffsets,
    FetchOffsets,
    DescribeGroup,
    FindCoordinator,
    Topics,
}

pub(super) fn classify(call: Call, code: i16) -> ErrorClass {
    match (call, code) {
        // The coordinator, or a leader, moves, starts or is busy; a request in flight at a moved leader.
        // OFFSET_NOT_AVAILABLE (78): a new leader does not know yet how far the log is committed.
        (_, 5 | 6 | 7 | 8 | 9 | 13 | 14 | 15 | 16 | 19 | 20 | 51 | 56 | 74 | 75 | 78 | 89) => ErrorClass::Retry,
        // UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH
        (Call::Heartbeat, 25 | 110) => ErrorClass::Migrated,
        // ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, GROUP_ID_NOT_FOUND, FENCED_INSTANCE_ID, FENCED and STALE_MEMBER_EPOCH
        (Call::CommitOffsets | Call::FetchOffsets, 22 | 25 | 69 | 82 | 110 | 113) => ErrorClass::Migrated,
        // REBALANCE_IN_PROGRESS; metadata of the partition has not reached the coordinator yet
        (Call::CommitOffsets, 27 | 3) => ErrorClass::Retry,
        // UNSTABLE_OFFSET_COMMIT: a transaction holds the offset
        (Call::FetchOffsets, 88 | 3) => ErrorClass::Retry,
        // REQUEST_TIMED_OUT is above; NOT_CONTROLLER, THROTTLING_QUOTA_EXCEEDED
        (Call::Topics, 41) => ErrorClass::Retry,
        _ => ErrorClass::Fatal,
    }
}

/// An error code of a response.
pub(super) fn broker_error(call: Call, code: i16, what: &str, detail: Option<&str>) -> ClusterError {
    let class = classify(call, code);
    let name = ResponseError::try_from_code(code).map_or_else(|| "unknown error".into(), |error| format!("{error:?}"));
    let detail = detail.map(|text| format!(" {text}")).unwrap_or_default();
    ClusterError {
        class,
        code: i32::from(code),
        message: format!("{what}: {name} ({code}){detail}"),
        partition: None,
    }
}

pub(super) fn with_partition(mut error: ClusterError, topic: &str, partition: i32) -> ClusterError {
    error.message = format!("{} for {topic}-{partition}", error.message);
    error.partition = Some(TopicPartition {
        topic: topic.into(),
        partition,
    });
    error
}

pub(super) fn retry(code: i32, message: String) -> ClusterError {
    ClusterError {
        class: ErrorClass::Retry,
        code,
        message,
        partition: None,
    }
}

pub(super) fn fatal(code: i32, message: String) -> ClusterError {
    ClusterError {
        class: ErrorClass::Fatal,
        code,
        message,
        partition: None,
    }
}

pub(super) fn malformed(what: &str) -> ClusterError {
    retry(MALFORMED, format!("an answer of the broker could not be read: {what}"))
}

/// The broker does not know the protocol, or it is switched off.
pub(super) fn no_streams_groups(found: &str) -> ClusterError {
    let message = format!(
        "this broker offers no streams groups ({found}): Millstream needs Kafka 4.2 or newer with streams groups enabled \
         (feature streams.version at 1 and protocol `streams` in group.coordinator.rebalance.protocols)"
    );
    fatal(35, message)
}

#[cfg(test)]
mod tests {
    use super::{Call, classify};
    use crate::cluster::ErrorClass::{self, Fatal, Migrated, Retry};

    #[test]
    fn each_code_of_each_call_says_what_to_do() {
        let table: [(Call, &[i16], ErrorClass); 12] = [
            (Call::Heartbeat, &[14, 15, 16], Retry),
            (Call::Heartbeat, &[25, 110], Migrated),
            (Call::Heartbeat, &[-1, 30, 35, 42, 69, 81, 130], Fatal),
            (Call::CommitOffsets, &[22, 25, 69, 82, 110, 113], Migrated),
            (Call::CommitOffsets, &[3, 7, 14, 15, 16, 27], Retry),
            (Call::CommitOffsets, &[12, 28, 29, 30], Fatal),
            (Call::FetchOffsets, &[88, 14, 16], Retry),
            (Call::FetchOffsets, &[25, 113], Migrated),
            (Call::DescribeGroup, &[14, 15, 16], Retry),
            (Call::DescribeGroup, &[30, 35], Fatal),
            (Call::Topics, &[29, 37, 38, 44, 3], Fatal),
            (Call::Topics, &[5, 6, 74, 78], Retry),
        ];
        for (call, codes, class) in table {
            for &code in codes {
                assert_eq!(classify(call, code), class, "{call:?} {code}");
            }
        }
    }
}
