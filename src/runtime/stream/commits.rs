//! Commits of a thread: when, of what, and what follows from each outcome.

use std::time::Duration;

use super::{BACKOFF, StreamThread, offsets::Io, slot::Slot};
use crate::{
    cluster::{ClusterError, ErrorClass, TaskId, TaskLists},
    commit::{Attempt, CommitStep, Outcome},
    error::{Error, Result},
    mutants::{Mutant, planted},
    runtime::{Next, clock::Now, metrics::add, updater::Command},
};

/// What a commit under way is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Making the first producer ready.
    Init,
    Regular,
    /// These tasks are given back afterwards.
    Revoke(TaskLists),
    /// Undoing everything since the last commit.
    Abort,
}

/// After so many commits that came to nothing, one after the other, the thread gives up.
const MAX_ABORTS: u32 = 20;
/// Longest sleep while a commit is under way, in case a client forgets to wake us.
const POLL: Duration = Duration::from_millis(20);

impl StreamThread {
    pub(super) fn commit_is_due(&mut self, now: Now) -> bool {
        let mut needed = self.output.in_transaction();
        let mut bytes = 0;
        for task in self.slots.values().filter_map(Slot::running) {
            needed |= task.needs_commit();
            bytes += task.uncommitted_bytes();
        }
        if needed && bytes > self.cx.config.uncommitted_bytes {
            add(&self.cx.metrics.forced_commits, 1);
            return true;
        }
        needed && (self.commit_requested || now.elapsed >= self.next_commit)
    }

    pub(super) fn anything_to_commit(&self) -> bool {
        self.output.in_transaction() || self.slots.values().filter_map(Slot::running).any(|t| t.needs_commit())
    }

    pub(super) fn begin_commit(&mut self, purpose: Purpose) -> Result<()> {
        // First: should flushing fail, the tasks are still to be given back when that is undone.
        self.purpose = purpose;
        self.commit_requested = false;
        let numbered = self.cx.config.exactly_once();
        let mut offsets = Vec::new();
        for task in self.slots.values_mut().filter_map(Slot::running_mut) {
            task.flush_caches()?;
            offsets.extend(task.offsets_to_commit(numbered));
            if planted(Mutant::StateBeforeTransaction) {
                task.write_state_early()?;
            }
        }
        self.commit.start_commit(Attempt::new(offsets));
        Ok(())
    }

    /// Nothing since the last commit is to take effect.
    pub(super) fn abort(&mut self, cause: ClusterError) {
        tracing::warn!(thread = self.cx.index, error = %cause, class = ?cause.class, "everything since the last commit is undone");
        self.purpose = match std::mem::replace(&mut self.purpose, Purpose::Abort) {
            // They are given back when everything is undone: the group waits for that.
            Purpose::Revoke(lists) => Purpose::Revoke(lists),
            _ => Purpose::Abort,
        };
        self.commit.start_abort(cause);
    }

    pub(super) fn step_commit(&mut self, now: Now) -> Result<Next> {
        let mut io = Io {
            output: &self.output,
            offsets: &mut self.offsets,
            member: &self.link.shared,
        };
        match self.commit.step(&mut io, now.elapsed) {
            CommitStep::Pending { wake_at } => {
                let limit = now.elapsed + POLL;
                Ok(Next::WaitUntil(wake_at.map_or(limit, |at| at.min(limit))))
            }
            CommitStep::Done(outcome) => {
                self.settle(outcome, now)?;
                Ok(Next::Again)
            }
        }
    }

    fn settle(&mut self, outcome: Outcome, now: Now) -> Result<()> {
        self.next_commit = now.elapsed + self.cx.config.effective_commit_interval();
        match outcome {
            Outcome::Ready => {}
            Outcome::Committed => {
                self.aborts_in_a_row = 0;
                add(&self.cx.metrics.commits, 1);
                for task in self.slots.values_mut().filter_map(Slot::running_mut) {
                    let positions = self.output.take_positions(task.id());
                    // A failure leaves the purpose as it is: tasks to be given back are given back after the recovery.
                    task.committed(positions)?;
                }
                self.output.forget_positions();
            }
            Outcome::Aborted(e) | Outcome::Migrated(e) => self.undone(e, now)?,
            Outcome::Failed(e) => return Err(e.into()),
        }
        if let Purpose::Revoke(lists) = std::mem::replace(&mut self.purpose, Purpose::Regular) {
            self.give_back(&lists);
        }
        Ok(())
    }

    /// Nothing took effect: every task starts again from what is committed. Whether it is still ours, the next heartbeat says.
    fn undone(&mut self, cause: ClusterError, now: Now) -> Result<()> {
        add(&self.cx.metrics.aborts, 1);
        self.aborts_in_a_row += 1;
        if self.aborts_in_a_row > MAX_ABORTS {
            let e = Error::from(cause);
            return Err(e);
        }
        if planted(Mutant::StateBeforeCommit) {
            for task in self.slots.values_mut().filter_map(Slot::running_mut) {
                let positions = self.output.take_positions(task.id());
                task.committed(positions)?;
            }
        }
        self.output.forget_positions();
        if planted(Mutant::NoSeekBack) {
            return Ok(());
        }
        let running: Vec<TaskId> = self
            .slots
            .iter()
            .filter(|(_, s)| s.is_running())
            .map(|(id, _)| *id)
            .collect();
        for id in running {
            self.revive(id);
        }
        for task in self.damaged.drain(..) {
            self.cx.updater.send(Command::Wipe(task));
        }
        let at_once = !matches!(cause.class, ErrorClass::Migrated | ErrorClass::Corrupted);
        let pause = if at_once { Duration::ZERO } else { BACKOFF };
        self.resume_at = now.elapsed + pause * self.aborts_in_a_row.min(10);
        Ok(())
    }
}
