//! May a task with several partitions process now, or should it wait for an empty one? The rules of `max.task.idle.ms`.

use std::time::Duration;

use super::input::Input;

/// Answer for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Process the smallest head.
    Ready,
    /// Nothing is buffered, or records known to exist are still on their way.
    NotReady,
    /// Ready at this time, if nothing comes before.
    At(Duration),
}

/// `max_idle` None: never wait. As in Kafka Streams, empty partitions are waited for one after the other, also while there is
/// nothing to process: what comes to one later need not wait for those that have been idle for long.
pub(super) fn readiness(inputs: &mut [Input], max_idle: Option<Duration>, now: Duration) -> Readiness {
    let any = inputs.iter().any(|i| i.buffered() > 0);
    if let Some(max_idle) = max_idle {
        for input in inputs {
            if input.buffered() > 0 {
                input.idle_until = None;
            } else if !input.lag_is_zero() {
                // Something is on the broker, or nobody knows: wait for the fetch.
                input.idle_until = None;
                return Readiness::NotReady;
            } else {
                let until = *input.idle_until.get_or_insert(now + max_idle);
                if now < until {
                    return Readiness::At(until);
                }
            }
        }
    }
    if any { Readiness::Ready } else { Readiness::NotReady }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::{RecordBatch, TopicPartition},
        dsl::engine::{OffsetReset, RawHeaders, RawRecord, SourceIndex},
    };

    struct One;
    impl RecordBatch for One {
        fn len(&self) -> usize {
            1
        }
        fn get(&self, _: usize) -> RawRecord<'_> {
            RawRecord {
                topic: None,
                key: None,
                value: None,
                timestamp: 0,
                offset: 0,
                headers: RawHeaders::None,
            }
        }
    }

    fn inputs() -> [Input; 2] {
        named(["a", "b"])
    }

    fn named<const N: usize>(topics: [&str; N]) -> [Input; N] {
        topics.map(|topic| {
            let partition = TopicPartition {
                topic: topic.into(),
                partition: 0,
            };
            Input::new(partition, SourceIndex(0), None, (OffsetReset::Earliest, None))
        })
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_buffered_is_never_ready() {
        assert_eq!(readiness(&mut inputs(), None, MS), Readiness::NotReady);
    }

    #[test]
    fn an_empty_partition_with_unknown_lag_is_waited_for() {
        let mut i = inputs();
        i[0].add(Box::new(One));
        assert_eq!(readiness(&mut i, Some(Duration::ZERO), MS), Readiness::NotReady);
        assert_eq!(
            readiness(&mut i, None, MS),
            Readiness::Ready,
            "unless waiting is switched off"
        );
        i[1].reached_end(0);
        assert_eq!(readiness(&mut i, Some(Duration::ZERO), MS), Readiness::Ready);
    }

    #[test]
    fn an_empty_partition_without_lag_is_waited_for_as_long_as_allowed() {
        let mut i = inputs();
        i[0].add(Box::new(One));
        i[1].reached_end(0);
        assert_eq!(readiness(&mut i, Some(5 * MS), MS), Readiness::At(6 * MS));
        assert_eq!(
            readiness(&mut i, Some(5 * MS), 3 * MS),
            Readiness::At(6 * MS),
            "the wait does not start anew"
        );
        assert_eq!(readiness(&mut i, Some(5 * MS), 6 * MS), Readiness::Ready);
        i[1].add(Box::new(One));
        assert_eq!(readiness(&mut i, Some(5 * MS), 7 * MS), Readiness::Ready);
    }

    #[test]
    fn empty_partitions_are_waited_for_one_after_the_other() {
        let mut i = named(["a", "b", "c"]);
        i[0].add(Box::new(One));
        i[1].reached_end(0);
        i[2].reached_end(0);
        let mut at = |ms: u32| readiness(&mut i, Some(5 * MS), ms * MS);
        assert_eq!(at(1), Readiness::At(6 * MS));
        assert_eq!(at(6), Readiness::At(11 * MS));
        assert_eq!(at(11), Readiness::Ready);
    }

    #[test]
    fn a_partition_that_has_been_idle_for_long_is_not_waited_for() {
        let mut i = inputs();
        i[0].reached_end(0);
        i[1].reached_end(0);
        for (ms, expected) in [
            (1, Readiness::At(6 * MS)),
            (6, Readiness::At(11 * MS)),
            (11, Readiness::NotReady),
        ] {
            assert_eq!(readiness(&mut i, Some(5 * MS), ms * MS), expected);
        }
        i[0].add(Box::new(One));
        assert_eq!(readiness(&mut i, Some(5 * MS), 50 * MS), Readiness::Ready);
        i[0].clear_buffer();
        i[0].reached_end(1);
        assert_eq!(
            readiness(&mut i, Some(5 * MS), 60 * MS),
            Readiness::At(65 * MS),
            "it had something meanwhile"
        );
    }
}
