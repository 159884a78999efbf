//! A task of the thread, from its assignment to its end.

use crate::task::{Phase, Task};

/// Where a task is, with what it has there.
pub(super) enum Slot {
    /// Its committed offsets are not known yet.
    Created,
    /// With the state updater, under this ticket.
    Restoring(u64),
    Running(Box<Task>),
}

impl Slot {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Created => Phase::Created,
            Self::Restoring(_) => Phase::Restoring,
            Self::Running(_) => Phase::Running,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    pub(super) fn running(&self) -> Option<&Task> {
        match self {
            Self::Running(task) => Some(task),
            _ => None,
        }
    }

    pub(super) fn running_mut(&mut self) -> Option<&mut Task> {
        match self {
            Self::Running(task) => Some(task),
            _ => None,
        }
    }

    /// The next station of its life; gives the last one. A step that the table does not have is a defect of ours.
    pub(super) fn become_(&mut self, next: Slot) -> Slot {
        debug_assert!(
            self.phase().may_become(next.phase()),
            "{:?} to {:?}",
            self.phase(),
            next.phase()
        );
        std::mem::replace(self, next)
    }
}
