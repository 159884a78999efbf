//! Set operations on task lists, role by role.
use crate::cluster::{TaskId, TaskLists};

/// What is in `a` but not in `b`, sorted.
pub(super) fn minus(a: &TaskLists, b: &TaskLists) -> TaskLists {
    let role = |a: &[TaskId], b: &[TaskId]| sorted(a.iter().filter(|task| !b.contains(task)).cloned().collect());
    TaskLists {
        active: role(&a.active, &b.active),
        standby: role(&a.standby, &b.standby),
        warmup: role(&a.warmup, &b.warmup),
    }
}

/// What is in `a` or in `b`, sorted.
pub(super) fn plus(a: &TaskLists, b: &TaskLists) -> TaskLists {
    let role = |a: &[TaskId], b: &[TaskId]| sorted(a.iter().chain(b).copied().collect());
    TaskLists {
        active: role(&a.active, &b.active),
        standby: role(&a.standby, &b.standby),
        warmup: role(&a.warmup, &b.warmup),
    }
}

/// The same tasks in canonical order, each once.
pub(super) fn normalized(lists: TaskLists) -> TaskLists {
    TaskLists {
        active: sorted(lists.active),
        standby: sorted(lists.standby),
        warmup: sorted(lists.warmup),
    }
}

pub(super) fn is_empty(lists: &TaskLists) -> bool {
    lists.active.is_empty() && lists.standby.is_empty() && lists.warmup.is_empty()
}

fn sorted(mut tasks: Vec<TaskId>) -> Vec<TaskId> {
    tasks.sort();
    tasks.dedup();
    tasks
}
