//! When scheduled functions run: the queue of punctuations of one time (stream time or wall clock).
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use super::{ProcessResult, TaskContext, heap::TimeHeap};

/// Which time drives a punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunctuationType {
    /// The highest timestamp the task has seen: deterministic. First run with the first record, then at multiples of the interval.
    StreamTime,
    /// The clock of the machine: first run one interval after it was scheduled.
    WallClock,
}

/// Ends a punctuation.
#[derive(Clone, Debug)]
pub struct Cancellable(Rc<Cell<bool>>);
impl Cancellable {
    /// No further run, not even one that is due now.
    pub fn cancel(&self) {
        self.0.set(true);
    }
}

/// What a schedule runs, with the time of the run.
pub type Punctuator = Rc<dyn Fn(&TaskContext, i64) -> ProcessResult>;

struct Entry {
    interval: i64,
    cancelled: Rc<Cell<bool>>,
    node: Arc<str>,
    punctuator: Punctuator,
}

impl Entry {
    /// Missed intervals collapse into one run; later runs stay on the grid. None: time ends before the next one.
    fn next_due(&self, due: i64, now: i64) -> Option<i64> {
        let next = due.checked_add(self.interval)?;
        if now < next {
            return Some(next);
        }
        let missed = now.saturating_sub(due) / self.interval;
        missed.checked_add(1)?.checked_mul(self.interval)?.checked_add(due)
    }
}

#[derive(Default)]
pub(crate) struct PunctuationQueue {
    entries: RefCell<TimeHeap<Entry>>,
}

impl PunctuationQueue {
    pub(crate) fn schedule(&self, node: &Arc<str>, due: i64, interval: i64, punctuator: Punctuator) -> Cancellable {
        let cancelled = Rc::new(Cell::new(false));
        let entry = Entry {
            interval: interval.max(1),
            cancelled: cancelled.clone(),
            node: node.clone(),
            punctuator,
        };
        self.entries.borrow_mut().push(due, entry);
        Cancellable(cancelled)
    }
    pub(crate) fn next_due(&self) -> Option<i64> {
        let entries = self.entries.borrow();
        entries
            .iter()
            .filter(|(_, e)| !e.cancelled.get())
            .map(|(due, _)| due)
            .min()
    }
    fn pop(&self, now: i64) -> Option<(i64, Entry)> {
        let mut entries = self.entries.borrow_mut();
        entries.first().filter(|due| *due <= now)?;
        entries.pop()
    }
    /// Runs what is due at `now`, earliest first; a punctuator may schedule and cancel. A cancelled one keeps its place
    /// until its time comes, as in Kafka Streams, where that decides the order of others.
    pub(crate) fn run(&self, cx: &TaskContext, now: i64) -> Result<bool, Box<super::ProcessError>> {
        let mut ran = false;
        while let Some((due, entry)) = self.pop(now) {
            if entry.cancelled.get() {
                continue;
            }
            ran = true;
            tracing::trace!(node = &*entry.node, now, "punctuate");
            cx.punctuating(now, || (entry.punctuator)(cx, now))?;
            if let Some(next) = entry.next_due(due, now).filter(|_| !entry.cancelled.get()) {
                self.entries.borrow_mut().push(next, entry);
            }
        }
        Ok(ran)
    }
}
