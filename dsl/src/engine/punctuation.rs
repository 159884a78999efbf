//! When scheduled functions run: the queue of punctuations of one time (stream time or wall clock).
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use super::{ProcessResult, TaskContext};

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

#[derive(Clone)]
struct Entry {
    due: i64,
    interval: i64,
    cancelled: Rc<Cell<bool>>,
    node: Arc<str>,
    punctuator: Punctuator,
}

impl Entry {
    /// Missed intervals collapse into one run; later runs stay on the grid. None: time ends before the next one.
    fn next_due(&self, now: i64) -> Option<i64> {
        let next = self.due.checked_add(self.interval)?;
        if now < next {
            return Some(next);
        }
        let missed = now.saturating_sub(self.due) / self.interval;
        missed.checked_add(1)?.checked_mul(self.interval)?.checked_add(self.due)
    }
}

#[derive(Default)]
pub(crate) struct PunctuationQueue {
    entries: RefCell<Vec<Entry>>,
}

impl PunctuationQueue {
    pub(crate) fn schedule(&self, node: &Arc<str>, due: i64, interval: i64, punctuator: Punctuator) -> Cancellable {
        let cancelled = Rc::new(Cell::new(false));
        self.entries.borrow_mut().push(Entry {
            due,
            interval: interval.max(1),
            cancelled: cancelled.clone(),
            node: node.clone(),
            punctuator,
        });
        Cancellable(cancelled)
    }
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.entries
            .borrow()
            .iter()
            .filter(|e| !e.cancelled.get())
            .map(|e| e.due)
            .min()
    }
    /// Runs what is due at `now`, earliest first; a punctuator may schedule and cancel.
    pub(crate) fn run(&self, cx: &TaskContext, now: i64) -> Result<bool, Box<super::ProcessError>> {
        let mut ran = false;
        loop {
            let due = {
                let mut entries = self.entries.borrow_mut();
                entries.retain(|e| !e.cancelled.get());
                let first = entries
                    .iter()
                    .enumerate()
                    .filter(|(_, e)| e.due <= now)
                    .min_by_key(|(i, e)| (e.due, *i));
                match first {
                    Some((index, _)) => entries.remove(index),
                    None => return Ok(ran),
                }
            };
            ran = true;
            tracing::trace!(node = &*due.node, now, "punctuate");
            cx.punctuating(now, || (due.punctuator)(cx, now))?;
            let next = due.next_due(now).filter(|_| !due.cancelled.get());
            if let Some(next) = next {
                self.entries.borrow_mut().push(Entry { due: next, ..due });
            }
        }
    }
}
