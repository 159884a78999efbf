//! What a failed step of a commit means. The table of the protocol: every class at every step.

use crate::{
    cluster::{ClusterError, ErrorClass},
    mutants::{Mutant, planted},
};

/// Where in the protocol an error came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Waiting for acknowledgements, at least once.
    Flush,
    /// Committing offsets outside of transactions.
    Offsets,
    /// Begin, offsets into the transaction, or its end.
    Transaction,
    /// Fencing the previous incarnation.
    Init,
    /// Reading back what was committed.
    ReadBack,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same step again, later.
    Again,
    /// New producer, then the transaction counts as aborted.
    Abort,
    /// New producer, then ask what was committed.
    Ask,
    /// New producer, then the tasks are dropped and the group is joined again.
    Migrate,
    /// New producer and the same step again.
    Renew,
    /// A person is needed.
    Fail,
}

/// STALE_MEMBER_EPOCH and its name inside transactions, ILLEGAL_GENERATION.
pub(super) fn is_stale_epoch(error: &ClusterError) -> bool {
    matches!(error.code, 113 | 22)
}

pub(super) fn verdict(at: At, class: ErrorClass) -> Verdict {
    use ErrorClass as C;
    match (at, class) {
        (_, C::Retry) => Verdict::Again,
        (At::Transaction, C::Migrated) if planted(Mutant::FencedIsRetried) => Verdict::Again,
        (At::Flush | At::Offsets, C::Migrated) => Verdict::Migrate,
        // Outside of transactions a repeated commit of the same offsets does no harm.
        (At::Offsets, C::Unknown) => Verdict::Again,
        // A record was not acknowledged in time: it counts as not written, everything since the last commit is done again.
        (At::Flush, C::Unknown | C::AbortTransaction | C::Corrupted) => Verdict::Abort,
        (At::Offsets, C::AbortTransaction | C::Corrupted) => Verdict::Fail,
        (At::Transaction, C::Unknown) => Verdict::Ask,
        (At::Transaction, C::AbortTransaction | C::Corrupted) => Verdict::Abort,
        (At::Transaction, C::Migrated) => Verdict::Migrate,
        (At::Init, C::Unknown | C::AbortTransaction | C::Migrated) => Verdict::Renew,
        (At::Init, C::Corrupted) => Verdict::Fail,
        // We are no member any more: whoever owns the partitions now reads them, we drop the tasks.
        (At::ReadBack, C::Migrated) => Verdict::Migrate,
        (At::ReadBack, C::Unknown) => Verdict::Again,
        (At::ReadBack, C::AbortTransaction | C::Corrupted) => Verdict::Abort,
        (_, C::Fatal) => Verdict::Fail,
    }
}
