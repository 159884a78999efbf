//! One member: what it owns, what it must still give back, and how it gets from one assignment to the next.
use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{TaskId, TaskLists};

/// Tasks with the epoch in which the member got them.
pub(super) type EpochTasks = BTreeMap<TaskId, i32>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnedTasks {
    pub(super) active: EpochTasks,
    pub(super) standby: EpochTasks,
}

impl OwnedTasks {
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty()
    }

    pub(super) fn lists(&self) -> TaskLists {
        TaskLists {
            active: self.active.keys().copied().collect(),
            standby: self.standby.keys().copied().collect(),
            warmup: Vec::new(),
        }
    }

    fn contains_all(&self, lists: &TaskLists) -> bool {
        lists.active.iter().all(|t| self.active.contains_key(t))
            && lists.standby.iter().all(|t| self.standby.contains_key(t))
    }

    fn contains_any(&self, lists: &TaskLists) -> bool {
        lists.active.iter().any(|t| self.active.contains_key(t))
            || lists.standby.iter().any(|t| self.standby.contains_key(t))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Stable,
    /// Has been told to give tasks back and has not said yet that it did.
    Unrevoked,
    /// Waits for tasks that others have not given back.
    Unreleased,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) epoch: i32,
    pub(super) previous_epoch: i32,
    pub(super) state: State,
    pub(super) assigned: OwnedTasks,
    pub(super) revoking: OwnedTasks,
    pub(super) process_id: String,
    pub(super) client_tags: Vec<(String, String)>,
    pub(super) user_endpoint: Option<(String, u16)>,
    pub(super) rebalance_timeout_ms: i64,
    pub(super) session_deadline_ms: i64,
    /// Until when the revocation must be acknowledged.
    pub(super) revoke_deadline_ms: Option<i64>,
}

/// Who holds what at this moment, this member included: a task being revoked is still held.
#[derive(Default)]
pub(super) struct Occupancy {
    active: BTreeMap<TaskId, Vec<(String, String)>>,
    standby: BTreeMap<TaskId, Vec<(String, String)>>,
}

impl Occupancy {
    pub(super) fn of<'a>(members: impl Iterator<Item = (&'a String, &'a Member)>) -> Self {
        let mut occupancy = Occupancy::default();
        for (id, member) in members {
            for tasks in [&member.assigned, &member.revoking] {
                for (held, map) in [
                    (&tasks.active, &mut occupancy.active),
                    (&tasks.standby, &mut occupancy.standby),
                ] {
                    for task in held.keys() {
                        let holder = (id.clone(), member.process_id.clone());
                        map.entry(*task).or_default().push(holder);
                    }
                }
            }
        }
        occupancy
    }

    /// Nobody runs the task, and no standby of it is open in the process that is to get it.
    fn active_is_free(&self, task: &TaskId, process: &str) -> bool {
        let elsewhere = self.active.get(task).is_none_or(Vec::is_empty);
        let here = self.standby.get(task).into_iter().flatten().any(|(_, p)| p == process);
        elsewhere && !here
    }

    /// No copy of the task is open in the process that is to get a standby of it.
    fn standby_is_free(&self, task: &TaskId, process: &str) -> bool {
        let holders = self
            .active
            .get(task)
            .into_iter()
            .chain(self.standby.get(task))
            .flatten();
        !holders.into_iter().any(|(_, p)| p == process)
    }
}

impl Member {
    /// May the member speak with the epoch it sent? The previous one is accepted when its lists show that it only
    /// missed the news of a new epoch.
    pub(super) fn accepts_epoch(&self, epoch: i32, owned: Option<&TaskLists>) -> bool {
        epoch == self.epoch
            || (epoch == self.previous_epoch && owned.is_some_and(|lists| self.assigned.contains_all(lists)))
    }

    /// One step towards the target: first give back, then move to the new epoch, then take what is free.
    pub(super) fn reconcile(
        &mut self,
        target: &TaskLists,
        target_epoch: i32,
        owned: Option<&TaskLists>,
        others: impl FnOnce(&Member) -> Occupancy,
        now_ms: i64,
    ) {
        match self.state {
            State::Stable if self.epoch == target_epoch => return,
            State::Unrevoked => {
                let gave_back = owned.is_some_and(|lists| !self.revoking.contains_any(lists));
                if !gave_back {
                    return;
                }
                self.revoking = OwnedTasks::default();
                self.revoke_deadline_ms = None;
            }
            State::Stable | State::Unreleased => {}
        }
        let (keep_active, lose_active) = split(&self.assigned.active, &target.active);
        let (keep_standby, lose_standby) = split(&self.assigned.standby, &target.standby);
        let lose = OwnedTasks {
            active: lose_active,
            standby: lose_standby,
        };
        self.assigned = OwnedTasks {
            active: keep_active,
            standby: keep_standby,
        };
        if !lose.is_empty() {
            self.revoking = lose;
            self.state = State::Unrevoked;
            self.revoke_deadline_ms = Some(now_ms.saturating_add(self.rebalance_timeout_ms));
            return;
        }
        let occupancy = others(self);
        let mut waiting = false;
        for task in target
            .active
            .iter()
            .filter(|t| !self.assigned.active.contains_key(t))
            .copied()
            .collect::<Vec<_>>()
        {
            if occupancy.active_is_free(&task, &self.process_id) {
                self.assigned.active.insert(task, target_epoch);
            } else {
                waiting = true;
            }
        }
        for task in target
            .standby
            .iter()
            .filter(|t| !self.assigned.standby.contains_key(t))
            .copied()
            .collect::<Vec<_>>()
        {
            if occupancy.standby_is_free(&task, &self.process_id) {
                self.assigned.standby.insert(task, target_epoch);
            } else {
                waiting = true;
            }
        }
        if self.epoch != target_epoch {
            self.previous_epoch = self.epoch;
            self.epoch = target_epoch;
        }
        self.state = if waiting { State::Unreleased } else { State::Stable };
    }

    /// The epoch from which on the member has had the task, whether it still has it or is about to give it back.
    pub(super) fn since(&self, task: &TaskId) -> Option<i32> {
        let holds = |tasks: &OwnedTasks| tasks.active.get(task).copied();
        holds(&self.assigned).or_else(|| holds(&self.revoking))
    }
}

fn split(owned: &EpochTasks, target: &[TaskId]) -> (EpochTasks, EpochTasks) {
    let target: BTreeSet<&TaskId> = target.iter().collect();
    owned
        .iter()
        .map(|(t, e)| (*t, *e))
        .partition(|(t, _)| target.contains(t))
}
