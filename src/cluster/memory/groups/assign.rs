//! Who gets which task? Even by member, least loaded process first, and everybody keeps what he has where that is even.
use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{TaskId, TaskLists};

/// A member as the assignor sees it, with what it had been given before.
pub(super) struct Candidate<'a> {
    pub(super) id: &'a str,
    pub(super) process: &'a str,
    pub(super) before: TaskLists,
}

struct Balance<'a> {
    candidates: &'a [Candidate<'a>],
    given: Vec<TaskLists>,
}

/// The target for every candidate. `stateful` tasks get up to `replicas` standbys, each in another process.
pub(super) fn assign(
    candidates: &[Candidate<'_>],
    tasks: &[TaskId],
    stateful: &BTreeSet<TaskId>,
    replicas: usize,
) -> BTreeMap<String, TaskLists> {
    if candidates.is_empty() {
        return BTreeMap::new();
    }
    let mut balance = Balance {
        candidates,
        given: candidates.iter().map(|_| TaskLists::default()).collect(),
    };
    balance.active(tasks);
    for _ in 0..replicas {
        balance.standbys(stateful, (stateful.len() * replicas).div_ceil(candidates.len()));
    }
    let mut target = BTreeMap::new();
    for (candidate, mut lists) in candidates.iter().zip(balance.given) {
        lists.active.sort();
        lists.standby.sort();
        target.insert(candidate.id.to_owned(), lists);
    }
    target
}

impl Balance<'_> {
    fn active(&mut self, tasks: &[TaskId]) {
        let floor = tasks.len() / self.candidates.len();
        let mut extra = tasks.len() % self.candidates.len();
        let mut left: BTreeSet<&TaskId> = tasks.iter().collect();
        // Keepers keep up to the even share, then some one more, as long as the division leaves a rest.
        for at in 0..self.candidates.len() {
            self.keep(at, floor, &mut left, |lists| &lists.active);
        }
        for at in 0..self.candidates.len() {
            if extra > 0 && self.given[at].active.len() == floor && self.keep(at, floor + 1, &mut left, |l| &l.active) {
                extra -= 1;
            }
        }
        // A task without owner goes to whoever has its state already.
        for at in 0..self.candidates.len() {
            self.keep(at, floor, &mut left, |lists| &lists.standby);
        }
        for task in left {
            let open = |at: &usize| self.given[*at].active.len() < floor + usize::from(extra > 0);
            if let Some(at) = (0..self.candidates.len()).filter(open).min_by_key(|at| self.load(*at)) {
                extra -= usize::from(self.given[at].active.len() == floor);
                self.given[at].active.push(*task);
            }
        }
    }

    /// Gives the candidate its earlier tasks until it has `limit`; true if any was given.
    fn keep(
        &mut self,
        at: usize,
        limit: usize,
        left: &mut BTreeSet<&TaskId>,
        earlier: impl Fn(&TaskLists) -> &Vec<TaskId>,
    ) -> bool {
        let mut any = false;
        for task in earlier(&self.candidates[at].before) {
            if self.given[at].active.len() < limit && left.remove(task) {
                self.given[at].active.push(*task);
                any = true;
            }
        }
        any
    }

    /// Load of the process per member, then of the member, then the order of ids: smallest is next. Scaled, so that
    /// the comparison is exact without fractions.
    fn load(&self, at: usize) -> (usize, usize, usize) {
        let process = self.candidates[at].process;
        let size = |lists: &TaskLists| lists.active.len() + lists.standby.len();
        let same = || {
            self.candidates
                .iter()
                .zip(&self.given)
                .filter(|(c, _)| c.process == process)
        };
        let total: usize = same().map(|(_, lists)| size(lists)).sum();
        (
            total * self.candidates.len() * 64 / same().count().max(1),
            size(&self.given[at]),
            at,
        )
    }

    /// One more standby of each stateful task, where a process without a copy of it is left.
    /// Who had one keeps it up to `share`, so that newcomers get theirs.
    fn standbys(&mut self, stateful: &BTreeSet<TaskId>, share: usize) {
        for task in stateful {
            let holds = |lists: &TaskLists| lists.active.contains(task) || lists.standby.contains(task);
            let taken: BTreeSet<&str> = self
                .candidates
                .iter()
                .zip(&self.given)
                .filter(|(_, lists)| holds(lists))
                .map(|(c, _)| c.process)
                .collect();
            let free = |at: &usize| !taken.contains(self.candidates[*at].process);
            let had = |at: usize| {
                let before = &self.candidates[at].before;
                let had = before.standby.contains(task) || before.active.contains(task);
                had && self.given[at].standby.len() < share
            };
            let key = |at: &usize| (!had(*at), self.load(*at));
            if let Some(at) = (0..self.candidates.len()).filter(free).min_by_key(key) {
                self.given[at].standby.push(*task);
            }
        }
    }
}
