//! Is this batch the next one of its producer? What a partition remembers to refuse duplicates, gaps and zombies.
use std::collections::VecDeque;

use crate::mutants::{Mutant, planted};

/// Kafka remembers this many batches per producer and partition; clients keep at most as many in flight.
const REMEMBERED_BATCHES: usize = 5;

/// Who wrote a batch, and as which of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    /// Sequence number of the batch's first record in this partition.
    pub(super) sequence: i32,
}

pub(super) enum Verdict {
    Next,
    /// Already there, with this base offset.
    Duplicate(i64),
    OldEpoch,
    OutOfOrder,
}

#[derive(Default)]
pub(super) struct ProducerState {
    epoch: i16,
    next_sequence: Option<i32>,
    /// (first sequence, record count, base offset)
    recent: VecDeque<(i32, i64, i64)>,
}

/// Sequence numbers wrap from `i32::MAX` to 0.
pub(super) fn advance(sequence: i32, count: i64) -> i32 {
    let modulus = i64::from(i32::MAX) + 1;
    i32::try_from((i64::from(sequence) + count) % modulus).unwrap_or(0)
}

impl ProducerState {
    pub(super) fn check(&self, stamp: Stamp, count: i64, transactional: bool) -> Verdict {
        if stamp.epoch < self.epoch {
            return Verdict::OldEpoch;
        }
        if planted(Mutant::NoDeduplication) {
            return Verdict::Next;
        }
        let expected = if stamp.epoch > self.epoch {
            Some(0)
        } else {
            self.next_sequence
        };
        match expected {
            Some(expected) if expected == stamp.sequence => Verdict::Next,
            // A producer nobody knows here may begin anywhere, unless it is in a transaction.
            None if !transactional || stamp.sequence == 0 => Verdict::Next,
            _ => self
                .recent
                .iter()
                .find(|(first, n, _)| stamp.epoch == self.epoch && *first == stamp.sequence && *n == count)
                .map_or(Verdict::OutOfOrder, |(_, _, base)| Verdict::Duplicate(*base)),
        }
    }

    pub(super) fn appended(&mut self, stamp: Stamp, count: i64, base_offset: i64) {
        if stamp.epoch != self.epoch {
            self.epoch = stamp.epoch;
            self.recent.clear();
        }
        self.next_sequence = Some(advance(stamp.sequence, count));
        self.recent.push_back((stamp.sequence, count, base_offset));
        if self.recent.len() > REMEMBERED_BATCHES {
            self.recent.pop_front();
        }
    }

    /// A marker with a newer epoch fences everything older and begins a new sequence.
    pub(super) fn marker(&mut self, epoch: i16) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.recent.clear();
            self.next_sequence = None;
        }
    }
}
