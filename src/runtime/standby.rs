//! Copies of the state of tasks that run elsewhere, so that taking such a task over means restoring next to nothing.
//!
//! The group decides who keeps which copy. A copy follows its changelogs without an end; it never holds up a task that runs or is
//! restored, and never fails the instance. One that is not wanted any more stays open for a moment: when its task comes to us, the
//! group takes the copy away first and gives the task a heartbeat later.
//!
//! Stores that have a source topic for a changelog are left out: only what has been processed belongs into them, and that is not
//! known here.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Next,
    clock::Now,
    metrics::add,
    updater::{UpdaterParts, close, sooner, wipe},
};
use crate::{
    cluster::TaskId,
    error::{Error, ErrorKind, Result},
    restore::{Progress, Purpose, RestoringTask},
    state::{StateError, TaskDatabase},
    task::task_name,
};

/// How long a copy is held open that is not wanted any more.
const LINGER: Duration = Duration::from_secs(5);
/// How long to wait after something that usually passes, and after something that usually does not.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(5);
/// New records wake us; this is for what does not.
const IDLE: Duration = Duration::from_secs(1);

enum Stage {
    Opening(Duration),
    Following(Box<RestoringTask>),
    /// There is nothing to follow.
    Nothing,
    /// Not wanted any more, unless the task itself comes before this time.
    Lingering(Option<TaskDatabase>, Duration),
}

struct Standby {
    /// Number of the stream thread it is kept for.
    owner: usize,
    stage: Stage,
}

#[derive(Default)]
pub(super) struct Standbys {
    tasks: BTreeMap<TaskId, Standby>,
}

impl Standbys {
    pub(super) fn keep(&mut self, task: TaskId, owner: usize, now: Now) {
        tracing::info!(task = task_name(task), "a copy of the state is kept here");
        let standby = self.tasks.entry(task).or_insert(Standby {
            owner,
            stage: Stage::Opening(now.elapsed),
        });
        standby.owner = owner;
        if let Stage::Lingering(database, _) = &mut standby.stage {
            if let Some(database) = database.take() {
                close(&task_name(task), database);
            }
            standby.stage = Stage::Opening(now.elapsed);
        }
    }

    pub(super) fn let_go(&mut self, task: TaskId, owner: usize, parts: &mut UpdaterParts, now: Now) {
        if let Some(standby) = self.tasks.get_mut(&task).filter(|s| s.owner == owner) {
            let until = now.elapsed + LINGER;
            standby.stage = match std::mem::replace(&mut standby.stage, Stage::Nothing) {
                Stage::Following(copy) => Stage::Lingering(Some(copy.finish(parts.consumer.as_mut())), until),
                Stage::Opening(_) | Stage::Nothing => Stage::Lingering(None, until),
                lingering @ Stage::Lingering(..) => lingering,
            };
        }
    }

    /// The task comes to us: its database, if there is a copy.
    pub(super) fn take(&mut self, task: TaskId, parts: &mut UpdaterParts) -> Option<TaskDatabase> {
        match self.tasks.remove(&task)?.stage {
            Stage::Following(copy) => Some(copy.finish(parts.consumer.as_mut())),
            Stage::Lingering(database, _) => database,
            Stage::Opening(_) | Stage::Nothing => None,
        }
    }

    pub(super) fn close(&mut self, parts: &mut UpdaterParts) {
        let tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
        for task in tasks {
            if let Some(database) = self.take(task, parts) {
                close(&task_name(task), database);
            }
        }
    }

    /// One batch of each copy.
    pub(super) fn step(&mut self, parts: &mut UpdaterParts, now: Now) -> Next {
        let mut next = Next::WaitUntil(now.elapsed + IDLE);
        self.tasks.retain(|task, standby| {
            let (stage, wish) = advance(*task, std::mem::replace(&mut standby.stage, Stage::Nothing), parts, now);
            next = sooner(next, wish);
            let kept = stage.is_some();
            standby.stage = stage.unwrap_or(Stage::Nothing);
            kept
        });
        next
    }
}

/// None: it is over.
fn advance(task: TaskId, stage: Stage, parts: &mut UpdaterParts, now: Now) -> (Option<Stage>, Next) {
    let at = |wait: Duration| Next::WaitUntil(now.elapsed + wait);
    match stage {
        Stage::Opening(due) if now.elapsed < due => (Some(Stage::Opening(due)), Next::WaitUntil(due)),
        Stage::Opening(_) => match open(task, parts) {
            Ok(copy) => (Some(Stage::Following(Box::new(copy))), Next::Again),
            Err(e) => {
                // Usually: the task ran here and is still being closed, or its changelogs are being created.
                let wait = if e.kind() == ErrorKind::Retry { SOON } else { LATER };
                tracing::debug!(task = task_name(task), error = %e, "the copy is opened again soon");
                (Some(Stage::Opening(now.elapsed + wait)), at(wait))
            }
        },
        Stage::Following(mut copy) => {
            let before = copy.restored();
            let progress = copy.step(parts.consumer.as_mut(), parts.batch_records);
            add(&parts.metrics.standby_records, copy.restored() - before);
            match progress {
                Ok(Progress::Moved) => (Some(Stage::Following(copy)), Next::Again),
                Ok(Progress::Waiting) => (Some(Stage::Following(copy)), at(IDLE)),
                Ok(Progress::Done) => {
                    close(&task_name(task), copy.finish(parts.consumer.as_mut()));
                    (Some(Stage::Nothing), at(IDLE))
                }
                Err(e) => {
                    give_up(task, *copy, &e, parts);
                    (Some(Stage::Opening(now.elapsed + LATER)), at(LATER))
                }
            }
        }
        Stage::Nothing => (Some(Stage::Nothing), at(IDLE)),
        Stage::Lingering(database, until) if now.elapsed < until => {
            (Some(Stage::Lingering(database, until)), Next::WaitUntil(until))
        }
        Stage::Lingering(database, _) => {
            if let Some(database) = database {
                close(&task_name(task), database);
            }
            (None, Next::Again)
        }
    }
}

fn open(task: TaskId, parts: &mut UpdaterParts) -> Result<RestoringTask> {
    let topology = parts.topology.clone();
    let subtopology = topology.subtopologies().iter().find(|s| s.id == task.subtopology);
    let Some(subtopology) = subtopology else {
        let message = "the group assigned a copy of a task this topology does not have";
        return Err(Error::new(ErrorKind::Topology, message));
    };
    let changelogs = parts.changelogs(subtopology, task, None)?;
    let name = task_name(task);
    let database = parts.open_database(subtopology, &name)?;
    RestoringTask::begin(
        name.into(),
        database,
        changelogs,
        Purpose::StandBy,
        parts.consumer.as_mut(),
    )
}

fn give_up(task: TaskId, copy: RestoringTask, error: &Error, parts: &mut UpdaterParts) {
    let name = task_name(task);
    tracing::warn!(task = name, error = %error, "the copy of the state cannot be kept up to date; it is opened again");
    close(&name, copy.finish(parts.consumer.as_mut()));
    if error.state_error().is_some_and(StateError::is_damage) {
        wipe(&parts.engine, &name);
    }
}
