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

/// `max_idle` None: never wait.
pub(super) fn readiness(inputs: &mut [Input], max_idle: Option<Duration>, now: Duration) -> Readiness {
    if inputs.iter().all(|i| i.buffered() == 0) {
        return Readiness::NotReady;
    }
    let Some(max_idle) = max_idle else {
        return Readiness::Ready;
    };
    let mut ready_at = None;
    for input in inputs {
        if input.buffered() > 0 {
            input.idle_until = None;
        } else if !input.lag_is_zero() {
            // Something is on the broker, or nobody knows: wait for the fetch.
            input.idle_until = None;
            return Readiness::NotReady;
        } else {
            let until = *input.idle_until.get_or_insert(now + max_idle);
            ready_at = ready_at.max(Some(until));
        }
    }
    match ready_at {
        Some(at) if now < at => Readiness::At(at),
        _ => Readiness::Ready,
    }
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
                key: None,
                value: None,
                timestamp: 0,
                offset: 0,
                headers: RawHeaders::None,
            }
        }
    }

    fn inputs() -> [Input; 2] {
        ["a", "b"].map(|topic| {
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
}
