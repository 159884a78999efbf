//! Which error of which call means what: one table.
use super::ffi::RawError;
use crate::cluster::{ClusterError, ErrorClass, TopicPartition};

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Making a client, assigning, resolving topics.
    Setup,
    Fetch,
    /// A record could not be queued or delivered.
    Produce,
    InitTransactions,
    BeginTransaction,
    SendOffsets,
    Commit,
    Abort,
    /// An error event of the client that belongs to no call.
    Client,
}

/// Authorization, authentication, versions, arguments: a person has to act.
const NEEDS_A_PERSON: [i32; 15] = [
    29,   // TOPIC_AUTHORIZATION_FAILED
    30,   // GROUP_AUTHORIZATION_FAILED
    31,   // CLUSTER_AUTHORIZATION_FAILED
    33,   // UNSUPPORTED_SASL_MECHANISM
    34,   // ILLEGAL_SASL_STATE
    35,   // UNSUPPORTED_VERSION
    42,   // INVALID_REQUEST
    50,   // INVALID_TRANSACTION_TIMEOUT
    53,   // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    54,   // SECURITY_DISABLED
    58,   // SASL_AUTHENTICATION_FAILED
    -165, // _UNSUPPORTED_FEATURE
    -169, // _AUTHENTICATION
    -186, // _INVALID_ARG
    -181, // _SSL
];
/// A newer incarnation has our transactional id. INVALID_PRODUCER_ID_MAPPING (the id has expired on the broker) counts
/// as well: only a new producer, after a new start of the tasks, can go on.
const FENCED: [i32; 4] = [47, 49, 90, -144];
/// The group does not know us under this epoch: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
/// FENCED_MEMBER_EPOCH, STALE_MEMBER_EPOCH.
const NOT_OUR_TASKS: [i32; 5] = [22, 25, 82, 110, 113];
/// The record or its topic will not become better by trying again: MSG_SIZE_TOO_LARGE, INVALID_TOPIC,
/// RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD, and topics or partitions that do not exist.
const UNDELIVERABLE: [i32; 9] = [10, 17, 18, 32, 87, 3, -188, -190, -148];
/// _AUTO_OFFSET_RESET, OFFSET_OUT_OF_RANGE, _LOG_TRUNCATION.
const NO_SUCH_OFFSET: [i32; 3] = [-140, 1, -139];
const UNKNOWN_TOPIC: [i32; 3] = [3, -188, -190];
const INVALID_TXN_STATE: i32 = 48;
/// _STATE: we asked for what the client does not do now, which is a mistake of ours. Only sending is refused as well because a
/// record before it was not delivered in time, of which the error event is still on its way to us.
const WRONG_STATE: i32 = -172;
const TIMED_OUT: [i32; 3] = [-185, 7, -192];

pub(super) fn classify(call: Call, error: &RawError) -> ErrorClass {
    let code = error.code;
    let is_final = NEEDS_A_PERSON.contains(&code) || code == WRONG_STATE && call != Call::Produce;
    if is_final && !error.requires_abort {
        return ErrorClass::Fatal;
    }
    if FENCED.contains(&code) {
        return ErrorClass::Migrated;
    }
    match call {
        Call::Setup if error.retriable || TIMED_OUT.contains(&code) || code == -195 || code == -187 => {
            ErrorClass::Retry
        }
        Call::Setup => ErrorClass::Fatal,
        Call::Fetch if NO_SUCH_OFFSET.contains(&code) => ErrorClass::Corrupted,
        Call::Fetch if UNKNOWN_TOPIC.contains(&code) => ErrorClass::Fatal,
        // librdkafka goes on by itself after everything else: lost connections, leaders that move, damaged batches.
        Call::Fetch | Call::Client => ErrorClass::Retry,
        Call::Produce if UNDELIVERABLE.contains(&code) => ErrorClass::Fatal,
        // The record is lost to this producer: its input has to be processed again.
        Call::Produce => ErrorClass::AbortTransaction,
        Call::InitTransactions if error.fatal => ErrorClass::Fatal,
        Call::InitTransactions => ErrorClass::Retry,
        Call::SendOffsets if NOT_OUR_TASKS.contains(&code) => ErrorClass::Migrated,
        Call::BeginTransaction | Call::SendOffsets | Call::Abort => ErrorClass::AbortTransaction,
        Call::Commit if NOT_OUR_TASKS.contains(&code) => ErrorClass::Migrated,
        // librdkafka refused before it asked the coordinator to commit.
        Call::Commit if error.requires_abort && code != INVALID_TXN_STATE => ErrorClass::AbortTransaction,
        // The coordinator may have committed: read the committed offsets.
        Call::Commit => ErrorClass::Unknown,
    }
}

pub(super) fn cluster_error(
    call: Call,
    error: RawError,
    what: &str,
    partition: Option<TopicPartition>,
) -> ClusterError {
    let class = classify(call, &error);
    ClusterError {
        class,
        code: error.code,
        message: format!("{what}: {} (error {})", error.message, error.code),
        partition,
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, classify};
    use crate::cluster::{ErrorClass, rdkafka::ffi::RawError};

    fn error(code: i32) -> RawError {
        RawError::local(code, "")
    }
    fn abortable(code: i32) -> RawError {
        RawError {
            requires_abort: true,
            ..error(code)
        }
    }
    fn fatal(code: i32) -> RawError {
        RawError {
            fatal: true,
            ..error(code)
        }
    }

    #[test]
    fn each_error_of_each_call_says_what_to_do() {
        use ErrorClass::{AbortTransaction, Corrupted, Fatal, Migrated, Retry, Unknown};
        let table = [
            (Call::Fetch, error(-140), Corrupted),
            (Call::Fetch, error(1), Corrupted),
            (Call::Fetch, error(3), Fatal),
            (Call::Fetch, error(-195), Retry),
            (Call::Fetch, error(2), Retry),
            (Call::Fetch, error(29), Fatal),
            (Call::Client, error(-187), Retry),
            (Call::Client, error(-169), Fatal),
            (Call::Produce, error(10), Fatal),
            (Call::Produce, error(-192), AbortTransaction),
            // Row R04: an instance that had been frozen for longer than records may take ended instead of starting anew.
            (Call::Produce, error(-172), AbortTransaction),
            (Call::BeginTransaction, error(-172), Fatal),
            (Call::Commit, error(-172), Fatal),
            (Call::Abort, error(-172), Fatal),
            (Call::Produce, fatal(45), AbortTransaction),
            (Call::Produce, abortable(59), AbortTransaction),
            (Call::Produce, fatal(47), Migrated),
            (Call::Produce, error(90), Migrated),
            (Call::InitTransactions, error(-185), Retry),
            (Call::InitTransactions, error(50), Fatal),
            (Call::InitTransactions, error(53), Fatal),
            (Call::InitTransactions, fatal(-1), Fatal),
            (Call::SendOffsets, abortable(22), Migrated),
            (Call::SendOffsets, abortable(25), Migrated),
            (Call::SendOffsets, abortable(113), Migrated),
            (Call::SendOffsets, abortable(27), AbortTransaction),
            (Call::SendOffsets, error(-185), AbortTransaction),
            (Call::SendOffsets, abortable(49), Migrated),
            (Call::Commit, fatal(-144), Migrated),
            (Call::Commit, abortable(22), Migrated),
            (Call::Commit, abortable(-185), AbortTransaction),
            (Call::Commit, error(-185), Unknown),
            (Call::Commit, abortable(48), Unknown),
            (Call::Commit, error(15), Unknown),
            (Call::Abort, error(-185), AbortTransaction),
            (Call::Setup, error(-185), Retry),
            (Call::Setup, error(-188), Fatal),
        ];
        for (call, error, class) in table {
            assert_eq!(classify(call, &error), class, "{call:?} {error:?}");
        }
    }
}
