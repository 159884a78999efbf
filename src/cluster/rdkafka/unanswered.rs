//! Can an old request of a transaction still take effect?
//!
//! librdkafka repeats requests after a lost connection or a time-out, by itself and under the same epoch. The call then
//! succeeds by the answer to the second copy, while the first may still lie in some buffer of the network. Should it arrive
//! in the middle of the next transaction, it ends that one (an EndTxn), or replaces its offsets (a TxnOffsetCommit). The only
//! proof that there is no such copy is that every request that was sent has been answered, so both are counted.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit. Repeated batches of records are not dangerous: the broker
/// knows them by their sequence numbers.
const OF_TRANSACTIONS: [i16; 4] = [24, 25, 26, 28];

thread_local! {
    /// Whether this is a thread that talks to a broker. librdkafka reports an answer twice: on the thread that has read it,
    /// and once more on its main thread when it is handled. Only the first counts, and only the first kind of thread sends.
    static TALKS_TO_BROKER: Cell<bool> = const { Cell::new(false) };
}

/// Counted on librdkafka's threads, read by the producer's.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Unanswered {
    pub(super) fn sent(&self, api_key: i16) {
        TALKS_TO_BROKER.set(true);
        if OF_TRANSACTIONS.contains(&api_key) {
            self.sent.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn answered(&self, api_key: i16) {
        if OF_TRANSACTIONS.contains(&api_key) && TALKS_TO_BROKER.get() {
            self.answered.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Exact while no call that sends such requests is under way.
    pub(super) fn count(&self) -> u64 {
        let answered = self.answered.load(Ordering::Acquire);
        self.sent.load(Ordering::Acquire).saturating_sub(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::Unanswered;

    #[test]
    fn a_request_sent_twice_and_answered_once_is_not_settled() {
        let unanswered = Unanswered::default();
        for (sent, answered, expected) in [(26, Some(26), 0), (26, None, 1), (26, Some(26), 1), (28, None, 2)] {
            unanswered.sent(sent);
            if let Some(api_key) = answered {
                unanswered.answered(api_key);
            }
            assert_eq!(unanswered.count(), expected);
        }
    }

    #[test]
    fn an_answer_that_is_reported_again_by_another_thread_counts_once() {
        let unanswered = Unanswered::default();
        unanswered.sent(26);
        unanswered.sent(26);
        unanswered.answered(26);
        std::thread::scope(|s| {
            s.spawn(|| unanswered.answered(26));
        });
        assert_eq!(unanswered.count(), 1);
    }

    #[test]
    fn records_and_metadata_do_not_count() {
        let unanswered = Unanswered::default();
        for api_key in [0, 3, 10, 22] {
            unanswered.sent(api_key);
        }
        assert_eq!(unanswered.count(), 0);
    }
}
