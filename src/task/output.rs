//! Everything the tasks of one thread write, through the thread's one producer.
//!
//! Keeps what must survive the change of a producer: whether a transaction is open, the first error (the producer is finished
//! then, and nothing more is accepted), and the changelog positions the acknowledgements stand for.

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;

use crate::{
    cluster::{
        ClusterError, ErrorClass, GroupIdentity, OffsetToCommit, Producer, ProducerRecord, Result, Sent, Step, TaskId,
        TopicHandle,
    },
    state::StoreIndex,
};

/// Makes a producer of the thread, always with the same transactional id.
pub(crate) type ProducerFactory = Box<dyn FnMut() -> Result<Box<dyn Producer>>>;

/// A topic of the present producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    generation: u32,
    pub(super) handle: TopicHandle,
    pub(super) partitions: i32,
}

/// The producer of a thread.
pub(crate) struct Output {
    producer: RefCell<Option<Box<dyn Producer>>>,
    factory: RefCell<ProducerFactory>,
    /// Waits a moment for room in the producer's buffers; false: give up (the thread is to stop).
    wait_for_room: RefCell<Box<dyn FnMut() -> bool>>,
    exactly_once: bool,
    /// Counts producers: handles of topics belong to one of them.
    generation: Cell<u32>,
    in_transaction: Cell<bool>,
    error: RefCell<Option<ClusterError>>,
    changelogs: RefCell<FxHashMap<(TopicHandle, i32), (TaskId, StoreIndex)>>,
    acknowledged: RefCell<FxHashMap<(TaskId, StoreIndex), i64>>,
    sent: Cell<u64>,
}

impl Output {
    pub(crate) fn new(
        factory: ProducerFactory,
        exactly_once: bool,
        wait_for_room: Box<dyn FnMut() -> bool>,
    ) -> Result<Self> {
        let output = Self {
            producer: RefCell::new(None),
            factory: RefCell::new(factory),
            wait_for_room: RefCell::new(wait_for_room),
            exactly_once,
            generation: Cell::new(0),
            in_transaction: Cell::new(false),
            error: RefCell::new(None),
            changelogs: RefCell::default(),
            acknowledged: RefCell::default(),
            sent: Cell::new(0),
        };
        output.renew()?;
        Ok(output)
    }

    /// Drops the producer and makes a new one. What the old one had acknowledged is remembered: a commit whose outcome is
    /// open may turn out to have succeeded.
    pub(crate) fn renew(&self) -> Result<()> {
        self.collect_acknowledged();
        // The old one first: two incarnations must not be alive at once.
        *self.producer.borrow_mut() = None;
        self.generation.set(self.generation.get().wrapping_add(1));
        self.in_transaction.set(false);
        self.changelogs.borrow_mut().clear();
        *self.error.borrow_mut() = None;
        *self.producer.borrow_mut() = Some((self.factory.borrow_mut())()?);
        Ok(())
    }

    fn with<T>(&self, f: impl FnOnce(&mut dyn Producer) -> Result<T>) -> Result<T> {
        match self.producer.borrow_mut().as_mut() {
            Some(producer) => f(producer.as_mut()),
            None => Err(no_producer()),
        }
    }

    pub(super) fn resolve(&self, cache: &Cell<Option<Resolved>>, name: &str) -> Result<Resolved> {
        if let Some(resolved) = cache.get()
            && resolved.generation == self.generation.get()
        {
            return Ok(resolved);
        }
        let found = self.with(|p| {
            let handle = p.topic(name)?;
            Ok(Resolved {
                generation: self.generation.get(),
                handle,
                partitions: p.partition_count(handle)?,
            })
        });
        // A record cannot wait in the middle of the topology: no answer now means everything since the last commit is done again.
        let resolved = self.noting(found.map_err(|e| match e.class {
            ErrorClass::Retry | ErrorClass::Unknown => ClusterError {
                class: ErrorClass::AbortTransaction,
                ..e
            },
            _ => e,
        }))?;
        cache.set(Some(resolved));
        Ok(resolved)
    }

    /// Writes of this topic partition are those of a store.
    pub(super) fn register_changelog(&self, topic: Resolved, partition: i32, task: TaskId, store: StoreIndex) {
        self.changelogs
            .borrow_mut()
            .insert((topic.handle, partition), (task, store));
    }

    pub(super) fn send(&self, record: &ProducerRecord<'_>) -> Result<()> {
        if let Some(error) = self.error.borrow().as_ref() {
            return Err(error.clone());
        }
        if self.exactly_once && !self.in_transaction.get() {
            self.begin()?;
        }
        let mut guard = self.producer.borrow_mut();
        let Some(producer) = guard.as_mut() else {
            return Err(no_producer());
        };
        loop {
            match producer.send(record) {
                Ok(Sent::Queued) => {
                    self.sent.set(self.sent.get() + 1);
                    return Ok(());
                }
                // Room comes with acknowledgements, and those only when they are served.
                Ok(Sent::Full) => {
                    self.noting(producer.serve())?;
                    if !(self.wait_for_room.borrow_mut())() {
                        return self.noting(Err(ClusterError {
                            class: ErrorClass::AbortTransaction,
                            code: 0,
                            message: "the thread stops while it waits for room in the producer".into(),
                            partition: None,
                        }));
                    }
                }
                Err(error) => return self.noting(Err(error)),
            }
        }
    }

    /// The first error that finishes the producer is kept: whatever fails after it fails because of it.
    fn noting<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && error.class != ErrorClass::Retry
        {
            self.error.borrow_mut().get_or_insert_with(|| error.clone());
        }
        result
    }

    /// Why the producer is finished.
    pub(crate) fn error(&self) -> Option<ClusterError> {
        self.error.borrow().clone()
    }

    fn begin(&self) -> Result<()> {
        self.noting(self.with(|p| p.begin_transaction()))?;
        self.in_transaction.set(true);
        Ok(())
    }

    pub(crate) fn ensure_begun(&self) -> Result<()> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        if self.exactly_once && !self.in_transaction.get() {
            self.begin()?;
        }
        Ok(())
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction.get()
    }

    /// Delivery reports; an undeliverable record shows here.
    pub(crate) fn serve(&self) -> Result<()> {
        match self.noting(self.with(|p| p.serve())) {
            Err(e) if e.class == ErrorClass::Retry => Ok(()),
            other => other,
        }
    }

    pub(crate) fn poll_init_transactions(&self) -> Result<Step<()>> {
        self.with(|p| p.poll_init_transactions())
    }

    pub(crate) fn poll_flush(&self) -> Result<Step<()>> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        self.noting(self.with(|p| p.poll_flush()))
    }

    pub(crate) fn poll_commit(&self, offsets: &[OffsetToCommit], identity: &GroupIdentity) -> Result<Step<()>> {
        let step = self.noting(self.with(|p| p.poll_commit(offsets, identity)))?;
        if matches!(step, Step::Done(())) {
            self.in_transaction.set(false);
        }
        Ok(step)
    }

    /// Whether the producer may begin another transaction.
    pub(crate) fn is_settled(&self) -> bool {
        self.producer.borrow().as_ref().is_none_or(|p| p.is_settled())
    }

    pub(crate) fn poll_abort(&self) -> Result<Step<()>> {
        let step = self.with(|p| p.poll_abort())?;
        if matches!(step, Step::Done(())) {
            self.in_transaction.set(false);
        }
        Ok(step)
    }

    fn collect_acknowledged(&self) {
        if let Some(producer) = self.producer.borrow_mut().as_mut() {
            let changelogs = self.changelogs.borrow();
            let mut positions = self.acknowledged.borrow_mut();
            producer.take_acknowledged(&mut |topic, partition, offset| {
                if let Some(store) = changelogs.get(&(topic, partition)) {
                    let position = positions.entry(*store).or_insert(0);
                    *position = (*position).max(offset + 1);
                }
            });
        }
    }

    /// Changelog positions (next to write) of one task since they were last taken.
    pub(crate) fn take_positions(&self, task: TaskId) -> Vec<(StoreIndex, i64)> {
        self.collect_acknowledged();
        let mut positions = self.acknowledged.borrow_mut();
        let mut own: Vec<_> = positions
            .iter()
            .filter(|((t, _), _)| *t == task)
            .map(|((_, s), p)| (*s, *p))
            .collect();
        positions.retain(|(t, _), _| *t != task);
        own.sort();
        own
    }

    /// Forgets positions of writes that do not count (aborted, or of tasks that are gone).
    pub(crate) fn forget_positions(&self) {
        self.collect_acknowledged();
        self.acknowledged.borrow_mut().clear();
    }

    /// Records handed to the producer so far.
    pub(crate) fn records_sent(&self) -> u64 {
        self.sent.get()
    }
}

fn no_producer() -> ClusterError {
    ClusterError {
        class: ErrorClass::AbortTransaction,
        code: 0,
        message: "there is no producer: making one has failed".into(),
        partition: None,
    }
}
