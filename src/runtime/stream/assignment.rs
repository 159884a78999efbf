//! Taking and giving tasks: news of the group, committed offsets, the state updater, and the first record.

use std::{rc::Rc, sync::Arc};

use super::{BACKOFF, StreamThread, commits::Purpose, slot::Slot, stop::group_shutdown};
use crate::{
    cluster::{ErrorClass, GroupRequest, GroupResponse, RequestId, TaskId, TaskLists, TopicPartition},
    dsl::engine::{Subtopology, TaskEnvironment},
    error::{Error, ErrorKind, Result},
    failpoint::fail_point,
    mutants::{Mutant, planted},
    runtime::{
        clock::Now,
        link::ToThread,
        updater::{Command, OpenRequest, Opened, OpenedTask},
    },
    state::{StoreIndex, TaskOptions, TaskState, row_cache_bytes},
    task::{LoggedStore, Task, TaskCollector, TaskParts, task_name},
};

/// A request for committed offsets that is under way.
pub(super) type Asking = Option<(RequestId, Vec<TaskId>)>;

impl StreamThread {
    /// True if the step is used up (a commit was started, or the thread has ended).
    pub(super) fn handle_news(&mut self, now: Now) -> Result<bool> {
        while let Some(news) = self.news.pop_front() {
            match news {
                ToThread::Assign(lists) => self.take_over(lists, now),
                ToThread::Revoke(lists) => {
                    fail_point!("revoke.start");
                    let skipped = planted(Mutant::NoCommitOnRevoke) || (self.leaving && planted(Mutant::NoLastCommit));
                    if self.leaving && planted(Mutant::LastBatchDropped) {
                        self.slots
                            .values_mut()
                            .filter_map(Slot::running_mut)
                            .for_each(Task::drop_what_was_fetched);
                    }
                    if self.anything_to_commit() && !skipped {
                        self.begin_commit(Purpose::Revoke(lists))?;
                        return Ok(true);
                    }
                    self.give_back(&lists);
                }
                ToThread::Lost => {
                    tracing::warn!(thread = self.cx.index, "the tasks belong to somebody else now");
                    let in_transaction = self.output.in_transaction();
                    self.drop_all();
                    self.link.acknowledge(TaskLists::default());
                    if in_transaction {
                        self.abort(lost());
                        return Ok(true);
                    }
                }
                ToThread::Failed(error) => return Err(error),
                ToThread::ShutdownRequested => {
                    self.cx.state.fail(group_shutdown());
                    self.cx.stop.request();
                }
                ToThread::Left => {
                    self.drop_all();
                    self.finish(None);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn take_over(&mut self, lists: TaskLists, now: Now) {
        fail_point!("assign.start");
        for id in lists.active {
            tracing::info!(thread = self.cx.index, task = task_name(id), "task assigned");
            self.slots.entry(id).or_insert(Slot::Created);
        }
        self.share_memory();
        for id in lists.standby.iter().chain(&lists.warmup) {
            self.cx.updater.send(Command::Keep(*id, self.cx.index));
        }
        self.passive.standby.extend(lists.standby);
        self.passive.warmup.extend(lists.warmup);
        self.resume_at = self.resume_at.min(now.elapsed);
        self.link.acknowledge(self.owned());
    }

    /// Bytes of the record cache and of committed rows for one of the tasks that there are now.
    fn memory_of_a_task(&self) -> (usize, usize) {
        let config = &self.cx.config;
        let shares = config.stream_threads * self.slots.len().max(1);
        (
            config.record_cache_bytes / shares,
            row_cache_bytes(config.state_memory_bytes) / shares,
        )
    }

    /// The number of tasks has changed.
    fn share_memory(&self) {
        let (cache_bytes, row_bytes) = self.memory_of_a_task();
        for task in self.slots.values().filter_map(Slot::running) {
            task.graph().state().share_memory(cache_bytes, row_bytes);
        }
    }

    fn owned(&self) -> TaskLists {
        TaskLists {
            active: self.slots.keys().copied().collect(),
            ..self.passive.clone()
        }
    }

    /// After the last commit: closes the tasks and says so.
    pub(super) fn give_back(&mut self, lists: &TaskLists) {
        for id in &lists.active {
            tracing::info!(thread = self.cx.index, task = task_name(*id), "task given back");
            self.close_task(*id, true);
        }
        self.share_memory();
        for id in lists.standby.iter().chain(&lists.warmup) {
            self.cx.updater.send(Command::LetGo(*id, self.cx.index));
        }
        self.passive.standby.retain(|t| !lists.standby.contains(t));
        self.passive.warmup.retain(|t| !lists.warmup.contains(t));
        self.link.acknowledge(self.owned());
    }

    pub(super) fn drop_all(&mut self) {
        let all: Vec<TaskId> = self.slots.keys().copied().collect();
        for id in all {
            self.close_task(id, false);
        }
        let passive = std::mem::take(&mut self.passive);
        for id in passive.standby.into_iter().chain(passive.warmup) {
            self.cx.updater.send(Command::LetGo(id, self.cx.index));
        }
        self.output.forget_positions();
    }

    /// A running task goes back to where it was at the last commit.
    pub(super) fn revive(&mut self, id: TaskId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            let before = slot.become_(Slot::Created);
            self.let_go(before, false);
        }
    }

    /// The slot is gone afterwards; uncommitted writes are dropped.
    pub(super) fn close_task(&mut self, id: TaskId, clean: bool) {
        if let Some(slot) = self.slots.remove(&id) {
            self.let_go(slot, clean);
        }
    }

    fn let_go(&mut self, slot: Slot, clean: bool) {
        match slot {
            Slot::Running(task) => {
                for partition in task.partitions() {
                    self.consumer.unassign(partition);
                }
                let name = task.name().to_string();
                let (database, closed) = task.close(clean);
                if let Err(e) = closed {
                    tracing::warn!(task = name, error = %e, "a processor could not be closed");
                }
                match database {
                    Some(database) => self.cx.updater.send(Command::Close(name, database)),
                    None => tracing::error!(task = name, "somebody still holds a store of a closed task"),
                }
            }
            Slot::Restoring(ticket) => self.cx.updater.send(Command::Cancel(ticket)),
            Slot::Created => {}
        }
    }

    /// Moves every task that is not running one station on.
    pub(super) fn bring_up(&mut self, now: Now) -> Result<()> {
        self.offsets_arrived(now)?;
        self.ask_for_offsets(now);
        while let Ok(opened) = self.opened.1.try_recv() {
            self.task_opened(opened, now)?;
        }
        Ok(())
    }

    fn ask_for_offsets(&mut self, now: Now) {
        if self.asking.is_some() || now.elapsed < self.resume_at {
            return;
        }
        let created = self.slots.iter().filter(|(_, s)| matches!(s, Slot::Created));
        let tasks: Vec<TaskId> = created.map(|(id, _)| *id).collect();
        let Some(identity) = self.link.shared.identity().filter(|_| !tasks.is_empty()) else {
            return;
        };
        let mut partitions = Vec::new();
        for task in &tasks {
            let sources = self.subtopology(*task).map_or(&[][..], |s| &s.sources);
            partitions.extend(sources.iter().map(|topic| TopicPartition {
                topic: topic.full_name(&self.cx.config.application_id).into(),
                partition: task.partition,
            }));
        }
        let request = GroupRequest::FetchOffsets {
            identity: Some(identity),
            partitions,
            // The previous owner's transaction must be settled, or we would process its records again.
            require_stable: true,
        };
        self.asking = Some((self.offsets.send(request), tasks));
    }

    fn offsets_arrived(&mut self, now: Now) -> Result<()> {
        let Some((id, _)) = &self.asking else { return Ok(()) };
        let Some(answer) = self.offsets.answer(*id) else {
            return Ok(());
        };
        let tasks = self.asking.take().map(|(_, tasks)| tasks).unwrap_or_default();
        let committed = match answer {
            Ok(GroupResponse::FetchOffsets(committed)) => committed,
            Ok(_) => Vec::new(),
            Err(e) if e.class == ErrorClass::Fatal => return Err(e.into()),
            // Unstable offsets, a moved coordinator, or an epoch that has just changed: the same question again.
            Err(e) => {
                tracing::debug!(thread = self.cx.index, error = %e, "committed offsets are not available yet");
                self.resume_at = now.elapsed + BACKOFF;
                return Ok(());
            }
        };
        for task in tasks {
            if let Some(slot) = self.slots.get_mut(&task).filter(|s| matches!(s, Slot::Created)) {
                let ticket = self.cx.updater.next_ticket();
                slot.become_(Slot::Restoring(ticket));
                self.cx.updater.send(Command::Open(OpenRequest {
                    ticket,
                    task,
                    committed: committed.clone(),
                    reply: self.opened.0.clone(),
                    waker: self.cx.waker.clone(),
                }));
            }
        }
        Ok(())
    }

    fn task_opened(&mut self, opened: Opened, now: Now) -> Result<()> {
        let wanted = matches!(self.slots.get(&opened.task), Some(Slot::Restoring(t)) if *t == opened.ticket);
        match opened.result {
            Ok(task) if wanted => {
                let task = self.build(opened.task, task, now)?;
                if let Some(slot) = self.slots.get_mut(&opened.task) {
                    slot.become_(Slot::Running(Box::new(task)));
                }
                Ok(())
            }
            // Given back while it was on its way.
            Ok(task) => {
                self.cx
                    .updater
                    .send(Command::Close(task_name(opened.task), task.database));
                Ok(())
            }
            Err(e) => {
                // If the error is one to recover from, it is opened again.
                if let Some(slot) = self.slots.get_mut(&opened.task).filter(|_| wanted) {
                    if !planted(Mutant::FailedRestoreForgotten) {
                        slot.become_(Slot::Created);
                    }
                    return Err(e);
                }
                Ok(())
            }
        }
    }

    fn subtopology(&self, task: TaskId) -> Option<&Subtopology> {
        self.cx
            .topology
            .subtopologies()
            .iter()
            .find(|s| s.id == task.subtopology)
    }

    fn build(&mut self, id: TaskId, opened: OpenedTask, now: Now) -> Result<Task> {
        let Some(subtopology) = self.subtopology(id) else {
            return Err(Error::new(
                ErrorKind::Topology,
                "the group assigned a task this topology does not have",
            ));
        };
        let application_id = &self.cx.config.application_id;
        let full = |name: String| -> Arc<str> { name.into() };
        let sinks = subtopology
            .sinks
            .iter()
            .map(|t| full(t.full_name(application_id)))
            .collect();
        let stores = || subtopology.stores.iter().enumerate();
        let changelogs: Vec<Option<Arc<str>>> = stores()
            .map(|(_, s)| s.changelog.as_ref().map(|t| full(t.full_name(application_id))))
            .collect();
        let logged = stores()
            .zip(&changelogs)
            .filter_map(|((n, s), changelog)| {
                let store = StoreIndex(n as u32);
                Some(LoggedStore {
                    store,
                    name: s.spec.name.clone(),
                    changelog: changelog.clone()?,
                    position: opened.database.offset(store),
                })
            })
            .collect();
        let source_changelogs = stores()
            .filter_map(|(n, s)| Some((StoreIndex(n as u32), s.source_changelog.clone()?)))
            .collect();
        let collector = Rc::new(TaskCollector::new(self.output.clone(), id, sinks, changelogs));
        let (cache_bytes, row_cache_bytes) = self.memory_of_a_task();
        let options = TaskOptions {
            cache_bytes,
            row_cache_bytes,
            globals: self.cx.globals.as_ref(),
        };
        let state = TaskState::with(opened.database, collector.clone(), options);
        let name: Arc<str> = task_name(id).into();
        let environment = TaskEnvironment {
            application_id: application_id.as_str().into(),
            task_id: name.clone(),
            partition: id.partition,
            collector,
            state,
            handlers: self.cx.config.handlers.clone(),
            wall_clock_ms: now.wall_ms,
        };
        let graph = self.cx.topology.build_task(id.subtopology, environment).map_err(|e| {
            Error::new(ErrorKind::Topology, e.message.clone())
                .operator(e.node.clone())
                .task(name)
                .caused_by(*e)
        })?;
        let task = Task::new(TaskParts {
            id,
            graph,
            inputs: opened.inputs,
            source_changelogs,
            logged,
            max_task_idle: self.cx.config.max_task_idle,
        });
        for input in 0..task.inputs() {
            if let Some(partition) = task.partition(input) {
                self.consumer.assign(partition, task.start_offset(input)?)?;
            }
        }
        Ok(task)
    }
}

fn lost() -> crate::cluster::ClusterError {
    crate::cluster::ClusterError {
        class: ErrorClass::Migrated,
        code: 110,
        message: "the group has given the tasks to somebody else".into(),
        partition: None,
    }
}
