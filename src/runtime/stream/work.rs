//! Fetch, process, punctuate.

use std::time::Duration;

use super::{BATCH, StreamThread, slot::Slot};
use crate::{
    cluster::{ClusterError, Consumer, ErrorClass, Fetched, TopicPartition},
    config::StreamsConfig,
    error::{Error, ErrorKind, Result},
    runtime::{clock::Now, metrics::add},
    task::Task,
};

/// How often a partition that is missing is asked for.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What one round came to.
#[derive(Default)]
pub(super) struct Work {
    /// Something was done, so there may be more.
    pub(super) any: bool,
    /// When a task wants to be asked again although nothing arrives.
    pub(super) wake_at: Option<Duration>,
}

impl Work {
    fn wake_by(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |w| w.min(at)));
    }
}

impl StreamThread {
    /// One bounded batch of each task.
    pub(super) fn work(&mut self, now: Now) -> Result<Work> {
        let mut work = Work::default();
        let mut processed = 0;
        let mut dropped = 0;
        for task in self.slots.values_mut().filter_map(Slot::running_mut) {
            fetch(task, self.consumer.as_mut(), &self.cx.config, now.elapsed, &mut work)?;
            let (records, wake_at) = task.process(BATCH, now.elapsed)?;
            work.any |= records > 0;
            processed += records as u64;
            if let Some(at) = wake_at {
                work.wake_by(at);
            }
            task.punctuate(now.wall_ms)?;
            task.relieve_caches()?;
            self.commit_requested |= task.graph().take_commit_request();
            dropped += task.newly_dropped();
        }
        add(&self.cx.metrics.records_processed, processed);
        add(&self.cx.metrics.records_dropped, dropped);
        if let Err(e) = self.consumer.serve()
            && e.class == ErrorClass::Fatal
        {
            return Err(e.into());
        }
        Ok(work)
    }
}

/// Takes what has arrived for partitions with room.
fn fetch(
    task: &mut Task,
    consumer: &mut dyn Consumer,
    config: &StreamsConfig,
    now: Duration,
    work: &mut Work,
) -> Result<()> {
    for input in 0..task.inputs() {
        if let Some(ask_at) = task.absence(input).and_then(|absence| absence.ask_at) {
            if now < ask_at {
                work.wake_by(ask_at);
                continue;
            }
            ask_again(task, consumer, input)?;
        }
        let Some(partition) = task.wanting(input, config.buffered_records) else {
            continue;
        };
        match consumer.fetch(partition, config.buffered_records) {
            Ok(Fetched::Records(records)) => {
                task.add_records(input, records);
                work.any = true;
            }
            Ok(Fetched::End { position }) => task.reached_end(input, position),
            Ok(Fetched::Nothing) => {}
            Err(e) if e.class == ErrorClass::Corrupted => {
                tracing::warn!(
                    task = &**task.name(), topic = &*partition.topic, partition = partition.partition, error = %e,
                    "the offset to read from does not exist any more; the source's reset policy decides"
                );
                let partition = partition.clone();
                task.forget_position(input);
                consumer.unassign(&partition);
                consumer.assign(&partition, task.start_offset(input)?)?;
            }
            Err(e) if e.is_unknown_topic() => {
                let partition = partition.clone();
                consumer.unassign(&partition);
                wait_for(task, input, partition, e, config.missing_topic_timeout, now)?;
                work.wake_by(now + ASK_AGAIN);
            }
            Err(e) if e.class == ErrorClass::Fatal => {
                let place = (partition.topic.clone(), partition.partition);
                return Err(Error::from(e).task(task.name().clone()).at(place.0, place.1));
            }
            Err(e) => tracing::debug!(topic = &*partition.topic, error = %e, "fetching again soon"),
        }
    }
    Ok(())
}

/// The brokers know no such partition: a topic that is being created anew is no reason to give up.
fn wait_for(
    task: &mut Task,
    input: usize,
    partition: TopicPartition,
    error: ClusterError,
    patience: Duration,
    now: Duration,
) -> Result<()> {
    let missing_for = now.saturating_sub(task.is_absent(input, now, now + ASK_AGAIN));
    if missing_for >= patience {
        let missing = Error::new(
            ErrorKind::MissingSourceTopic,
            "a source topic, or a partition of it, is missing",
        );
        let missing = missing.task(task.name().clone());
        return Err(missing.at(partition.topic, partition.partition).caused_by(error));
    }
    if missing_for.is_zero() {
        tracing::warn!(
            task = &**task.name(), topic = &*partition.topic, partition = partition.partition, %error,
            "the brokers know no such partition; it is waited for"
        );
    }
    Ok(())
}

fn ask_again(task: &mut Task, consumer: &mut dyn Consumer, input: usize) -> Result<()> {
    if let Some(partition) = task.partition(input) {
        consumer.assign(partition, task.start_offset(input)?)?;
    }
    task.asked_again(input);
    Ok(())
}
