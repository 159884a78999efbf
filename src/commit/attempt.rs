//! What one commit is going to make final, and how to recognise it afterwards.

use crate::cluster::OffsetToCommit;

/// The offsets of one commit. Under exactly-once two attempts of one thread never look the same to the coordinator: where no
/// offset moved (a punctuation produced output), the caller puts a number into the metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    offsets: Vec<OffsetToCommit>,
}

impl Attempt {
    pub(crate) fn new(mut offsets: Vec<OffsetToCommit>) -> Self {
        offsets.sort_by(|a, b| a.partition.cmp(&b.partition));
        Self { offsets }
    }

    pub(crate) fn offsets(&self) -> &[OffsetToCommit] {
        &self.offsets
    }

    /// Whether what the coordinator has is exactly this attempt. An attempt without offsets cannot be recognised.
    pub(super) fn is_what_was_committed(&self, committed: &[OffsetToCommit]) -> bool {
        !self.offsets.is_empty()
            && self.offsets.iter().all(|wanted| {
                committed.iter().any(|c| {
                    c.partition == wanted.partition && c.offset == wanted.offset && c.metadata == wanted.metadata
                })
            })
    }
}
