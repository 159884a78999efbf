//! Where one task's output goes: sinks and changelogs, onto the thread's producer.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use rustc_hash::FxHashMap;

use super::{
    output::{Output, Resolved},
    partitioner::{Sticky, partition_of},
};
use crate::{
    cluster::{ClusterError, ProducerRecord, TaskId},
    dsl::engine::{Collector, CollectorError, OutgoingRecord, SinkTopic},
    state::{ChangeLogger, Headers, StateError, StoreIndex},
};

/// A topic written to, found once per producer.
struct Target {
    name: Arc<str>,
    resolved: Cell<Option<Resolved>>,
    sticky: Cell<Sticky>,
}

impl Target {
    fn new(name: Arc<str>, task_partition: i32) -> Self {
        Self {
            name,
            resolved: Cell::new(None),
            sticky: Cell::new(Sticky::starting_at(task_partition)),
        }
    }
}

/// Output of one task.
pub(crate) struct TaskCollector {
    output: Rc<Output>,
    task: TaskId,
    sinks: Vec<Target>,
    /// By store; None: not logged to a topic of its own.
    changelogs: Vec<Option<Target>>,
    /// Topics chosen record by record.
    dynamic: RefCell<FxHashMap<Box<str>, Rc<Target>>>,
}

impl TaskCollector {
    /// `sinks` and `changelogs` by full topic name, in the order of the subtopology.
    pub(crate) fn new(
        output: Rc<Output>,
        task: TaskId,
        sinks: Vec<Arc<str>>,
        changelogs: Vec<Option<Arc<str>>>,
    ) -> Self {
        let target = |name| Target::new(name, task.partition);
        Self {
            output,
            sinks: sinks.into_iter().map(target).collect(),
            changelogs: changelogs.into_iter().map(|c| c.map(target)).collect(),
            dynamic: RefCell::default(),
            task,
        }
    }

    fn with_target<T>(
        &self,
        topic: SinkTopic<'_>,
        f: impl FnOnce(&Target) -> Result<T, ClusterError>,
    ) -> Result<T, CollectorError> {
        match topic {
            SinkTopic::Static(index) => match self.sinks.get(index.0 as usize) {
                Some(target) => f(target).map_err(wrap),
                None => Err(CollectorError(
                    format!("the task has no sink number {}", index.0).into(),
                )),
            },
            SinkTopic::Dynamic(name) => {
                let known = self.dynamic.borrow().get(name).cloned();
                let target = known.unwrap_or_else(|| {
                    let target = Rc::new(Target::new(name.into(), self.task.partition));
                    self.dynamic.borrow_mut().insert(name.into(), target.clone());
                    target
                });
                f(&target).map_err(wrap)
            }
        }
    }
}

fn wrap(error: ClusterError) -> CollectorError {
    CollectorError(Box::new(error))
}

impl Collector for TaskCollector {
    fn send(&self, record: OutgoingRecord<'_>) -> Result<(), CollectorError> {
        self.with_target(record.topic, |target| {
            let topic = self.output.resolve(&target.resolved, &target.name)?;
            let partition = record
                .partition
                .unwrap_or_else(|| match record.partition_key.or(record.key) {
                    Some(key) => partition_of(key, topic.partitions),
                    None => {
                        let mut sticky = target.sticky.get();
                        let partition = sticky.next(record.value.map_or(0, <[u8]>::len), topic.partitions);
                        target.sticky.set(sticky);
                        partition
                    }
                });
            self.output.send(&ProducerRecord {
                topic: topic.handle,
                partition,
                key: record.key,
                value: record.value,
                timestamp: Some(record.timestamp),
                headers: Some(record.headers).filter(|h| !h.is_empty()),
            })
        })
    }

    fn partition_count(&self, topic: SinkTopic<'_>) -> Result<i32, CollectorError> {
        self.with_target(topic, |target| {
            Ok(self.output.resolve(&target.resolved, &target.name)?.partitions)
        })
    }
}

impl ChangeLogger for TaskCollector {
    fn log(
        &self,
        store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        headers: Option<&Headers>,
    ) -> Result<(), StateError> {
        let Some(Some(target)) = self.changelogs.get(store.0 as usize) else {
            return Ok(());
        };
        let before = target.resolved.get();
        let write = || {
            let topic = self.output.resolve(&target.resolved, &target.name)?;
            if before != Some(topic) {
                self.output
                    .register_changelog(topic, self.task.partition, self.task, store);
            }
            self.output.send(&ProducerRecord {
                topic: topic.handle,
                // A changelog has a partition per task; the key does not decide.
                partition: self.task.partition,
                key: Some(key),
                value,
                timestamp,
                headers: headers.filter(|h| !h.is_empty()),
            })
        };
        write().map_err(|e| log_error(&target.name, e))
    }
}

/// The real error stays with [`Output`], where the thread looks for it.
fn log_error(topic: &str, error: ClusterError) -> StateError {
    StateError::Changelog(format!("{topic}: {error}"))
}
