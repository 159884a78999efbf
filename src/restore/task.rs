//! Restoring the stores of one task, batch by batch.

use std::sync::Arc;

use super::{ChangelogBounds, Lost, StorePlan};
use crate::{
    cluster::{Consumer, ErrorClass, Fetched, RecordBatch, TopicPartition},
    error::{Error, ErrorKind, Result},
    failpoint::fail_point,
    mutants::{Mutant, planted},
    state::{ChangelogRecord, Headers, StateError, StoreIndex, TaskDatabase},
};

/// A changelog a store is restored from.
#[derive(Clone, Debug)]
pub(crate) struct Changelog {
    pub(crate) store: StoreIndex,
    pub(crate) partition: TopicPartition,
    pub(crate) bounds: ChangelogBounds,
    /// A source topic: only records below it have been processed.
    pub(crate) limit: Option<i64>,
    /// The committed offsets say that records were written to it.
    pub(crate) logged: bool,
}

impl Changelog {
    fn plan(&self, stored: Option<i64>) -> Result<StorePlan> {
        StorePlan::checked(stored, self.bounds, self.limit, self.logged).map_err(|Lost { stored, end }| {
            let known = stored.map_or("records of it are committed".to_owned(), |stored| {
                format!("the state on disk stands for offset {stored}")
            });
            let message = format!("the changelog ends at offset {end}, but {known}: it was deleted, or lost records");
            Error::new(ErrorKind::ChangelogLost, message).at(self.partition.topic.clone(), self.partition.partition)
        })
    }
}

/// One store on its way.
struct StoreProgress {
    store: StoreIndex,
    partition: TopicPartition,
    target: i64,
    /// Only records below it belong to the store (source topics).
    limit: Option<i64>,
    done: bool,
}

/// How far a step got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All stores are up to date.
    Done,
    /// Records were applied; there may be more at once.
    Moved,
    /// Nothing has arrived.
    Waiting,
}

/// What the database is brought up to date for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The task is to run: up to the end the changelogs have now.
    Run,
    /// Somebody else runs it; should that one fail, nothing is to be missing here. Without an end.
    StandBy,
}

/// A task whose database is being brought up to date.
pub(crate) struct RestoringTask {
    task: Arc<str>,
    database: TaskDatabase,
    stores: Vec<StoreProgress>,
    restored: u64,
}

impl RestoringTask {
    /// Assigns what has to be read.
    pub(crate) fn begin(
        task: Arc<str>,
        mut database: TaskDatabase,
        changelogs: Vec<Changelog>,
        purpose: Purpose,
        consumer: &mut dyn Consumer,
    ) -> Result<Self> {
        let mut stores = Vec::new();
        // All of them before the first is wiped.
        let plans: Result<Vec<StorePlan>> = changelogs.iter().map(|c| c.plan(database.offset(c.store))).collect();
        let plans = plans.map_err(|e| e.task(task.clone()))?;
        for (changelog, plan) in changelogs.into_iter().zip(plans) {
            let Changelog {
                store,
                partition,
                bounds,
                limit,
                ..
            } = changelog;
            if plan.wipe {
                if let Some(stored) = database.offset(store) {
                    tracing::warn!(
                        task = &*task,
                        topic = &*partition.topic,
                        partition = partition.partition,
                        stored,
                        first = bounds.first,
                        end = bounds.end,
                        "the local state does not fit its changelog; it is restored from the beginning"
                    );
                }
                // Costs nothing where there is nothing.
                database.wipe(store).map_err(|e| state_error(&task, e))?;
            }
            let (target, done) = match purpose {
                Purpose::Run => (plan.target, plan.is_done_at_once(bounds)),
                Purpose::StandBy => (i64::MAX, false),
            };
            if !done {
                consumer.assign(&partition, plan.start)?;
            }
            stores.push(StoreProgress {
                store,
                partition,
                target,
                limit,
                done,
            });
        }
        Ok(Self {
            task,
            database,
            stores,
            restored: 0,
        })
    }

    /// Applies at most one batch of each store.
    pub(crate) fn step(&mut self, consumer: &mut dyn Consumer, max_records: usize) -> Result<Progress> {
        let mut moved = false;
        for index in 0..self.stores.len() {
            moved |= self.step_store(index, consumer, max_records)?;
        }
        if self.stores.iter().all(|s| s.done) {
            fail_point!("restore.done");
            return Ok(Progress::Done);
        }
        Ok(if moved { Progress::Moved } else { Progress::Waiting })
    }

    fn step_store(&mut self, index: usize, consumer: &mut dyn Consumer, max_records: usize) -> Result<bool> {
        let Some(store) = self.stores.get_mut(index).filter(|s| !s.done) else {
            return Ok(false);
        };
        let position = match consumer.fetch(&store.partition, max_records) {
            Ok(Fetched::Nothing) => return Ok(false),
            Ok(Fetched::Records(records)) => {
                let (applied, position) = apply(&mut self.database, store, records.as_ref()).map_err(|e| {
                    state_error(&self.task, e).at(store.partition.topic.clone(), store.partition.partition)
                })?;
                self.restored += applied;
                fail_point!("restore.batch");
                position
            }
            Ok(Fetched::End { position }) => {
                let position = store.limit.map_or(position, |l| l.min(position));
                // Behind the last record there may be control records: the next start need not read them again.
                if self.database.offset(store.store).is_none_or(|o| o < position) {
                    self.database
                        .restore(store.store, &[], position)
                        .map_err(|e| state_error(&self.task, e))?;
                } else if position < store.target {
                    return Ok(false);
                }
                position
            }
            // Retention has overtaken us, or the topic was created again meanwhile: its ends are asked for again, and tell.
            Err(e) if e.class == ErrorClass::Corrupted => {
                tracing::warn!(task = &*self.task, topic = &*store.partition.topic, error = %e, "restoring begins again");
                let again = Error::new(ErrorKind::Retry, "the changelog has changed while it was read");
                return Err(again.task(self.task.clone()).caused_by(e));
            }
            Err(e) if e.class == ErrorClass::Retry => return Ok(false),
            Err(e) => return Err(Error::from(e).task(self.task.clone())),
        };
        if position >= store.target {
            store.done = true;
            consumer.unassign(&store.partition);
        }
        Ok(true)
    }

    /// Records applied so far.
    pub(crate) fn restored(&self) -> u64 {
        self.restored
    }

    pub(crate) fn task(&self) -> &Arc<str> {
        &self.task
    }

    /// The database as far as it has come; the consumer lets go of what was not finished.
    pub(crate) fn finish(self, consumer: &mut dyn Consumer) -> TaskDatabase {
        for store in self.stores.iter().filter(|s| !s.done) {
            consumer.unassign(&store.partition);
        }
        self.database
    }
}

/// Gives the number of records applied and the next position.
fn apply(
    database: &mut TaskDatabase,
    store: &StoreProgress,
    records: &dyn RecordBatch,
) -> std::result::Result<(u64, i64), StateError> {
    let mut position = 0;
    let mut batch = Vec::with_capacity(records.len());
    let kept = kept_headers(database, store, records);
    for index in 0..records.len() {
        let record = records.get(index);
        if store.limit.is_some_and(|l| record.offset >= l) {
            position = store.target;
            break;
        }
        position = record.offset + 1;
        // A changelog record without a key stands for nothing; a source topic may hold some.
        if let Some(key) = record.key
            && (record.value.is_some() || !planted(Mutant::TombstonesNotRestored))
        {
            batch.push(ChangelogRecord {
                key,
                value: record.value,
                timestamp: record.timestamp,
                offset: record.offset,
                headers: kept.get(index),
            });
        }
    }
    let stands_for = if planted(Mutant::RestoredTooHigh) {
        store.target.max(position)
    } else {
        position
    };
    database.restore(store.store, &batch, stands_for)?;
    Ok((batch.len() as u64, stands_for))
}

/// Headers of the records, where rows keep them.
fn kept_headers(database: &TaskDatabase, store: &StoreProgress, records: &dyn RecordBatch) -> Vec<Headers> {
    let count = if database.keeps_headers(store.store) {
        records.len()
    } else {
        0
    };
    (0..count)
        .map(|index| {
            let headers = Headers::new();
            records.get(index).headers.read_into(&headers);
            headers
        })
        .collect()
}

fn state_error(task: &Arc<str>, error: StateError) -> Error {
    Error::new(ErrorKind::State, "the state cannot be restored")
        .task(task.clone())
        .caused_by(error)
}
