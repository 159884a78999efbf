//! Mistakes that can be planted, to see the simulator find them. A test that nothing turns red proves nothing.
//!
//! Without the cargo feature `mutants` none can be active, and the compiler removes every trace of them.

/// A mistake in the runtime or the cluster. Each is one that was made in some system of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "mutants"),
    expect(unreachable_pub, reason = "re-exported with the feature only")
)]
#[non_exhaustive]
pub enum Mutant {
    /// A client asks again when a commit gets no answer, and goes on with the same epoch.
    ReuseProducer,
    /// A client asks again when offsets got no answer, and goes on with the same epoch.
    OffsetsAskedAgain,
    /// The cluster does not know repeated batches again.
    NoDeduplication,
    /// Committed offsets are one too high.
    OffsetTooHigh,
    /// Committed offsets are one too low.
    OffsetTooLow,
    /// Tasks are given back without a commit or an abort.
    NoCommitOnRevoke,
    /// Tasks go on where they are after an abort.
    NoSeekBack,
    /// A commit without an answer counts as done.
    UnknownIsCommitted,
    /// Restoring reads aborted records, too.
    RestoreUncommitted,
    /// State claims to stand for more of its changelog than it does.
    MarkTooHigh,
    /// State is written although the transaction was aborted.
    StateBeforeCommit,
    /// State is written before the transaction it belongs to is committed.
    StateBeforeTransaction,
    /// The last commit before an orderly stop is left out.
    NoLastCommit,
    /// An answer to a heartbeat from before a rejoin counts for the new membership, and nobody looks what the group believes.
    OutdatedHeartbeat,
    /// A task whose state could not be restored is not tried again.
    FailedRestoreForgotten,
    /// At least once, offsets are committed before the results are acknowledged.
    OffsetsBeforeFlush,
    /// Whoever was replaced tries the same again.
    FencedIsRetried,
    /// Deletions are left out when state is restored.
    TombstonesNotRestored,
    /// State that is being restored claims to be complete from the first batch on.
    RestoredTooHigh,
    /// Two restorations of a process may have the same number, so that one is cancelled for the other.
    SharedTickets,
    /// What was fetched and not processed when the application stops counts as processed.
    LastBatchDropped,
    /// Bytes that cannot be read are taken for null.
    #[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "made in the DSL"))]
    DecodeErrorIsNull,
    /// A task begins empty where a copy of its state was kept.
    CopyIsNotUsed,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::ReuseProducer,
        Self::OffsetsAskedAgain,
        Self::NoDeduplication,
        Self::OffsetTooHigh,
        Self::OffsetTooLow,
        Self::NoCommitOnRevoke,
        Self::NoSeekBack,
        Self::UnknownIsCommitted,
        Self::RestoreUncommitted,
        Self::MarkTooHigh,
        Self::StateBeforeCommit,
        Self::StateBeforeTransaction,
        Self::NoLastCommit,
        Self::OutdatedHeartbeat,
        Self::FailedRestoreForgotten,
        Self::OffsetsBeforeFlush,
        Self::FencedIsRetried,
        Self::TombstonesNotRestored,
        Self::RestoredTooHigh,
        Self::SharedTickets,
        Self::LastBatchDropped,
        Self::DecodeErrorIsNull,
        Self::CopyIsNotUsed,
    ];
}

#[cfg(feature = "mutants")]
thread_local! {
    /// Of the simulation that runs on this thread.
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether the mistake is planted on this thread, or in the whole process by `MILLSTREAM_MUTANT=<name>`.
#[cfg(feature = "mutants")]
pub(crate) fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant) || of_the_process() == Some(mutant)
}

#[cfg(feature = "mutants")]
fn of_the_process() -> Option<Mutant> {
    static NAMED: std::sync::OnceLock<Option<Mutant>> = std::sync::OnceLock::new();
    *NAMED.get_or_init(|| {
        let name = std::env::var("MILLSTREAM_MUTANT").ok()?;
        Mutant::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name)
    })
}

/// Never.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn planted(_mutant: Mutant) -> bool {
    false
}

/// Plants a mistake, or takes it away, on this thread.
#[cfg(feature = "mutants")]
pub(crate) fn plant(mutant: Option<Mutant>) {
    crate::dsl::mutants::swallow_decode_errors(mutant == Some(Mutant::DecodeErrorIsNull));
    PLANTED.set(mutant);
}
