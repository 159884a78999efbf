//! Fetch, process, punctuate.

use std::time::Duration;

use super::{BATCH, StreamThread, slot::Slot};
use crate::{
    cluster::{Consumer, ErrorClass, Fetched},
    error::{Error, Result},
    runtime::{clock::Now, metrics::add},
    task::Task,
};

/// What one round came to.
#[derive(Default)]
pub(super) struct Work {
    /// Something was done, so there may be more.
    pub(super) any: bool,
    /// When a task wants to be asked again although nothing arrives.
    pub(super) wake_at: Option<Duration>,
}

impl StreamThread {
    /// One bounded batch of each task.
    pub(super) fn work(&mut self, now: Now) -> Result<Work> {
        let mut work = Work::default();
        let mut processed = 0;
        let mut dropped = 0;
        let limit = self.cx.config.buffered_records;
        for task in self.slots.values_mut().filter_map(Slot::running_mut) {
            work.any |= fetch(task, self.consumer.as_mut(), limit)?;
            let (records, wake_at) = task.process(BATCH, now.elapsed)?;
            work.any |= records > 0;
            processed += records as u64;
            if let Some(at) = wake_at {
                work.wake_at = Some(work.wake_at.map_or(at, |w| w.min(at)));
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

/// Takes what has arrived for partitions with room; true if anything did.
fn fetch(task: &mut Task, consumer: &mut dyn Consumer, limit: usize) -> Result<bool> {
    let mut any = false;
    for input in 0..task.inputs() {
        let Some(partition) = task.wanting(input, limit) else {
            continue;
        };
        match consumer.fetch(partition, limit) {
            Ok(Fetched::Records(records)) => {
                task.add_records(input, records);
                any = true;
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
            Err(e) if e.class == ErrorClass::Fatal => {
                let place = (partition.topic.clone(), partition.partition);
                return Err(Error::from(e).task(task.name().clone()).at(place.0, place.1));
            }
            Err(e) => tracing::debug!(topic = &*partition.topic, error = %e, "fetching again soon"),
        }
    }
    Ok(any)
}
