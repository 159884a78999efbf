//! Writes through librdkafka, in transactions if the producer has a transactional id.
//!
//! librdkafka's transaction calls block, some for as long as no broker answers. Each call is given little time here and is taken
//! up again in the next step; the one that knows no time limit has a thread of its own (`offsets.rs`). Offsets are sent and the transaction is committed only after everything was acknowledged, so
//! that those calls wait for nothing but the coordinators.
use std::{
    sync::{Arc, Once},
    time::Duration,
};

use rustc_hash::FxHashMap;

use super::{
    deliveries::Undelivered,
    errors::{Call, cluster_error},
    ffi::{GroupMetadata, Outgoing, PartitionList, ProducerHandle, RawError, describe},
    offsets::Calls,
};
use crate::{
    cluster::{
        ClusterError, GroupIdentity, OffsetToCommit, Producer, ProducerConfig, ProducerRecord, Result, Sent, Step,
        TopicHandle, TopicPartition, Waker,
    },
    failpoint::fail_point,
};

const QUEUE_FULL: i32 = -184;
const TIMED_OUT: i32 = -185;
/// Delivery reports are served after so many records at the latest: they free room in the queue.
const SERVE_EVERY: u32 = 1_000;
/// Longest wait inside one polled step.
const STEP_MS: i32 = 10;
const INIT_STEP_MS: i32 = 100;
/// A commit takes milliseconds; one that takes longer is looked at again in the next step.
const COMMIT_STEP_MS: i32 = 200;
const METADATA_TIMEOUT_MS: i32 = 10_000;
/// "Until the transaction times out": anything shorter leaves librdkafka's state machine in the middle.
const REST_OF_TRANSACTION: i32 = -1;

pub(super) struct RdProducer {
    handle: ProducerHandle,
    names: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
    partition_counts: FxHashMap<u32, i32>,
    since_served: u32,
    was_full: bool,
    offsets_timeout_ms: i32,
    /// Of the transaction that is being committed.
    offsets_sent: bool,
    /// Made with the first offsets.
    offsets_calls: Option<Calls<(PartitionList, GroupMetadata)>>,
}

impl RdProducer {
    pub(super) fn new(settings: &[(String, String)], config: &ProducerConfig, waker: Arc<dyn Waker>) -> Result<Self> {
        let handle =
            ProducerHandle::new(settings, waker).map_err(|e| cluster_error(Call::Setup, e, "producer", None))?;
        Ok(Self {
            handle,
            names: Vec::new(),
            numbers: FxHashMap::default(),
            partition_counts: FxHashMap::default(),
            since_served: 0,
            was_full: false,
            offsets_sent: false,
            offsets_calls: None,
            offsets_timeout_ms: i32::try_from(config.transaction_timeout.as_millis()).unwrap_or(i32::MAX),
        })
    }

    fn topic_name(&self, topic: u32) -> Arc<str> {
        self.names.get(topic as usize).cloned().unwrap_or_else(|| "?".into())
    }

    fn undelivered(&self, failure: Undelivered) -> ClusterError {
        let partition = TopicPartition {
            topic: self.topic_name(failure.topic),
            partition: failure.partition,
        };
        let what = format!(
            "{} record(s) for {}-{} could not be delivered",
            failure.count, partition.topic, partition.partition
        );
        cluster_error(
            Call::Produce,
            RawError::local(failure.code, describe(failure.code)),
            &what,
            Some(partition),
        )
    }

    /// Serves reports and gives what has gone wrong since the last time.
    fn check(&mut self, wait_ms: i32) -> Result<()> {
        self.since_served = 0;
        let client_error = self.handle.poll(wait_ms);
        if let Some(failure) = self.handle.deliveries().take_failure() {
            return Err(self.undelivered(failure));
        }
        match client_error.map(|error| cluster_error(Call::Client, error, "producer", None)) {
            Some(error) if error.class != crate::cluster::ErrorClass::Retry => Err(error),
            Some(error) => {
                tracing::warn!(%error, "librdkafka tries again");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// None: they are on their way.
    fn send_offsets(
        &mut self,
        offsets: &[OffsetToCommit],
        group: &GroupIdentity,
    ) -> Option<std::result::Result<(), RawError>> {
        let calls = match &mut self.offsets_calls {
            Some(calls) => calls,
            none => {
                let (sender, timeout_ms) = (self.handle.offsets_sender(), self.offsets_timeout_ms);
                let made = Calls::new(move |(offsets, group)| sender.send(&offsets, &group, timeout_ms));
                match made {
                    Ok(calls) => none.insert(calls),
                    Err(e) => return Some(Err(e)),
                }
            }
        };
        calls.poll(Duration::from_millis(COMMIT_STEP_MS as u64), || {
            let list = offsets.iter().map(|o| {
                (
                    &*o.partition.topic,
                    o.partition.partition,
                    o.offset,
                    o.metadata.as_str(),
                )
            });
            let list = PartitionList::new(list)?;
            Ok((
                list,
                GroupMetadata::new(&group.group_id, &group.member_id, group.member_epoch)?,
            ))
        })
    }

    fn commit(
        &mut self,
        offsets: &[OffsetToCommit],
        group: &GroupIdentity,
    ) -> std::result::Result<Step<()>, (Call, RawError)> {
        if !offsets.is_empty() && !self.offsets_sent {
            match self.send_offsets(offsets, group).transpose() {
                Ok(Some(())) => {}
                Ok(None) => return Ok(Step::Pending),
                Err(e) => return Err((Call::SendOffsets, e)),
            }
            fail_point!("commit.offsets_sent");
            self.offsets_sent = true;
        }
        match self.handle.commit_transaction(COMMIT_STEP_MS) {
            Ok(()) => {
                self.offsets_sent = false;
                Ok(Step::Done(()))
            }
            // It goes on in the background; calling again takes it up.
            Err(e) if e.code == TIMED_OUT && e.retriable && !e.fatal && !e.requires_abort => Ok(Step::Pending),
            Err(e) => Err((Call::Commit, e)),
        }
    }
}

impl Producer for RdProducer {
    fn topic(&mut self, name: &str) -> Result<TopicHandle> {
        if let Some(&number) = self.numbers.get(name) {
            return Ok(TopicHandle(number));
        }
        let number = self.handle.add_topic(name);
        let number = number.map_err(|e| cluster_error(Call::Setup, e, &format!("topic {name}"), None))?;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        Ok(TopicHandle(number))
    }

    fn partition_count(&mut self, topic: TopicHandle) -> Result<i32> {
        if let Some(&count) = self.partition_counts.get(&topic.0) {
            return Ok(count);
        }
        let count = self
            .handle
            .partition_count(topic.0, METADATA_TIMEOUT_MS)
            .map_err(|error| {
                let what = format!(
                    "topic {} to write to: create it, or check its name",
                    self.topic_name(topic.0)
                );
                cluster_error(Call::Setup, error, &what, None)
            })?;
        self.partition_counts.insert(topic.0, count);
        Ok(count)
    }

    fn send(&mut self, record: &ProducerRecord<'_>) -> Result<Sent> {
        let outgoing = Outgoing {
            topic: record.topic.0,
            partition: record.partition,
            key: record.key,
            value: record.value,
            timestamp: record.timestamp.map_or(0, expressible),
            headers: record.headers,
        };
        match self.handle.produce(&outgoing) {
            Ok(()) => {
                self.since_served += 1;
                if self.since_served >= SERVE_EVERY {
                    self.check(0)?;
                }
                Ok(Sent::Queued)
            }
            Err(error) if error.code == QUEUE_FULL => {
                self.was_full = true;
                Ok(Sent::Full)
            }
            Err(error) => {
                let partition = TopicPartition {
                    topic: self.topic_name(outgoing.topic),
                    partition: outgoing.partition,
                };
                let what = format!("sending to {}-{}", partition.topic, partition.partition);
                Err(cluster_error(Call::Produce, error, &what, Some(partition)))
            }
        }
    }

    fn serve(&mut self) -> Result<()> {
        // Who was refused for want of room comes back at once: wait a moment for a report instead of spinning.
        let wait_ms = i32::from(std::mem::take(&mut self.was_full));
        self.check(wait_ms)
    }

    fn poll_init_transactions(&mut self) -> Result<Step<()>> {
        match self.handle.init_transactions(INIT_STEP_MS) {
            Ok(()) => Ok(Step::Done(())),
            // It goes on in the background; calling again takes it up.
            Err(error) if error.retriable && !error.fatal => {
                self.check(0)?;
                Ok(Step::Pending)
            }
            Err(error) => Err(cluster_error(
                Call::InitTransactions,
                error,
                "initialising transactions",
                None,
            )),
        }
    }

    fn begin_transaction(&mut self) -> Result<()> {
        let begun = self.handle.begin_transaction();
        begun.map_err(|error| cluster_error(Call::BeginTransaction, error, "beginning a transaction", None))
    }

    fn poll_flush(&mut self) -> Result<Step<()>> {
        let done = self.handle.flush(STEP_MS);
        self.check(0)?;
        Ok(if done { Step::Done(()) } else { Step::Pending })
    }

    fn poll_commit(&mut self, offsets: &[OffsetToCommit], group: &GroupIdentity) -> Result<Step<()>> {
        // Once the offsets are sent everything was acknowledged.
        if !self.offsets_sent
            && let Step::Pending = self.poll_flush()?
        {
            return Ok(Step::Pending);
        }
        match self.commit(offsets, group) {
            Ok(step) => Ok(step),
            Err((call, error)) => {
                let error = cluster_error(call, error, "committing a transaction", None);
                tracing::warn!(%error, class = ?error.class, ?call, "a transaction did not end cleanly");
                Err(error)
            }
        }
    }

    fn is_settled(&self) -> bool {
        let unanswered = self.handle.unanswered();
        if unanswered > 0 {
            tracing::info!(
                unanswered,
                "requests of a transaction got no answer and may still take effect"
            );
        }
        unanswered == 0
    }

    fn poll_abort(&mut self) -> Result<Step<()>> {
        let aborted = self.handle.abort_transaction(REST_OF_TRANSACTION);
        // Reports of purged records are no news.
        self.handle.poll(0);
        self.handle.deliveries().take_failure();
        aborted.map_err(|error| cluster_error(Call::Abort, error, "aborting a transaction", None))?;
        Ok(Step::Done(()))
    }

    fn take_acknowledged(&mut self, f: &mut dyn FnMut(TopicHandle, i32, i64)) {
        self.handle
            .deliveries()
            .take_highest(&mut |topic, partition, offset| f(TopicHandle(topic), partition, offset));
    }
}

/// librdkafka takes 0 for "now": the only time it cannot send. The nearest one it can is sent instead, and said once.
fn expressible(timestamp: i64) -> i64 {
    static SAID: Once = Once::new();
    if timestamp != 0 {
        return timestamp;
    }
    SAID.call_once(|| tracing::warn!("records with time 0 (1970-01-01T00:00:00Z) are written with time 1 ms"));
    1
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_time_zero_is_replaced() {
        assert_eq!(
            [-1, 0, 1, 1_700_000_000_000].map(super::expressible),
            [-1, 1, 1, 1_700_000_000_000]
        );
    }
}
