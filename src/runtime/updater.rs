//! The state updater: opens, restores and closes the databases of all tasks of the process, away from the stream threads.
//!
//! One queue for opening and closing, so that a task which moves from one thread of the process to another is closed before it
//! is opened.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, TryRecvError},
    },
    time::Duration,
};

use super::{
    Next,
    clock::Now,
    metrics::{Metrics, add},
    standby::Standbys,
};
use crate::{
    cluster::{Admin, ClusterError, Consumer, ErrorClass, Isolation, OffsetToCommit, TaskId, TopicPartition, Waker},
    dsl::engine::{OffsetReset, SourceIndex, Subtopology, Topology},
    error::{Error, ErrorKind, Result},
    mutants::{Mutant, planted},
    restore::{Changelog, ChangelogBounds, Progress, Purpose, RestoringTask},
    state::{StateEngine, StateError, StoreIndex, StoreSpec, TaskDatabase},
    task::{CommittedInput, logged_stores, task_name},
};

/// A task to be opened and restored.
pub(crate) struct OpenRequest {
    /// Tells this attempt from earlier ones for the same task.
    pub(crate) ticket: u64,
    pub(crate) task: TaskId,
    pub(crate) committed: Vec<OffsetToCommit>,
    pub(crate) reply: Sender<Opened>,
    pub(crate) waker: Arc<dyn Waker>,
}

/// The answer.
pub(crate) struct Opened {
    pub(crate) ticket: u64,
    pub(crate) task: TaskId,
    pub(crate) result: Result<OpenedTask>,
}

/// A task ready to run.
pub(crate) struct OpenedTask {
    pub(crate) database: TaskDatabase,
    pub(crate) inputs: Vec<CommittedInput>,
}

pub(crate) enum Command {
    Open(OpenRequest),
    /// The task is not wanted any more.
    Cancel(u64),
    /// A copy of the state of a task that runs elsewhere is to be kept for the stream thread of this number.
    Keep(TaskId, usize),
    /// And need not be kept any more.
    LetGo(TaskId, usize),
    Close(String, TaskDatabase),
    /// The state of the closed task is damaged.
    Wipe(String),
    /// Close what is left and end.
    Stop,
}

/// Reaches the updater.
#[derive(Clone)]
pub(crate) struct UpdaterHandle {
    sender: Sender<Command>,
    waker: Arc<dyn Waker>,
    tickets: Arc<AtomicU64>,
}

impl UpdaterHandle {
    pub(crate) fn new(sender: Sender<Command>, waker: Arc<dyn Waker>) -> Self {
        Self {
            sender,
            waker,
            tickets: Arc::default(),
        }
    }

    /// A number no other request of the process has, whichever thread makes it.
    pub(crate) fn next_ticket(&self) -> u64 {
        let ticket = self.tickets.fetch_add(1, Relaxed);
        if planted(Mutant::SharedTickets) {
            ticket / 2
        } else {
            ticket
        }
    }

    pub(crate) fn send(&self, command: Command) {
        match self.sender.send(command) {
            Ok(()) => self.waker.wake(),
            // Only after a panic of the updater: the database is closed by its drop.
            Err(_) => tracing::warn!("the state updater has ended"),
        }
    }
}

pub(crate) struct UpdaterParts {
    pub(crate) application_id: String,
    pub(crate) topology: Topology,
    pub(crate) engine: StateEngine,
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) admin: Box<dyn Admin>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) batch_records: usize,
}

enum Stage {
    Opening { retry_at: Duration, give_up_at: Duration },
    Restoring(Box<RestoringTask>, Prepared),
}

/// What is known of a task before its state is up to date.
struct Prepared {
    inputs: Vec<CommittedInput>,
    /// There was a copy of its state here, and its stores stood at these offsets of their changelogs.
    copy: Option<Vec<(StoreIndex, i64)>>,
}

pub(crate) struct StateUpdater {
    parts: UpdaterParts,
    tasks: Vec<(OpenRequest, Stage)>,
    standbys: Standbys,
}

const REQUEST_LIMIT: Duration = Duration::from_secs(5);
const BACKOFF: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a changelog may seem to end too early: of PATIENCE. After the loss of a leader its successor may not know yet how far
/// the log is committed.
const UNTIL_LOST: Duration = Duration::from_secs(10);

impl StateUpdater {
    pub(crate) fn new(parts: UpdaterParts) -> Self {
        Self {
            parts,
            tasks: Vec::new(),
            standbys: Standbys::default(),
        }
    }

    pub(crate) fn step(&mut self, now: Now) -> Next {
        loop {
            match self.parts.commands.try_recv() {
                Ok(Command::Open(request)) => {
                    let stage = Stage::Opening {
                        retry_at: now.elapsed,
                        give_up_at: now.elapsed + PATIENCE,
                    };
                    self.tasks.push((request, stage));
                }
                Ok(Command::Cancel(ticket)) => self.cancel(ticket),
                Ok(Command::Keep(task, owner)) => self.standbys.keep(task, owner, now),
                Ok(Command::LetGo(task, owner)) => self.standbys.let_go(task, owner, &mut self.parts, now),
                Ok(Command::Close(name, database)) => close(&name, database),
                Ok(Command::Wipe(name)) => wipe(&self.parts.engine, &name),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    while let Some((request, _)) = self.tasks.first() {
                        let ticket = request.ticket;
                        self.cancel(ticket);
                    }
                    self.standbys.close(&mut self.parts);
                    return Next::Stopped;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        if let Err(e) = self.parts.consumer.serve() {
            tracing::debug!(error = %e, "restore consumer");
        }
        let mut next = self.standbys.step(&mut self.parts, now);
        let tasks = std::mem::take(&mut self.tasks);
        for (request, stage) in tasks {
            let (stage, wish) = self.advance(&request, stage, now);
            next = sooner(next, wish);
            match stage {
                Ok(Some(stage)) => self.tasks.push((request, stage)),
                Ok(None) => {}
                Err(e) => answer(&request, Err(e.task(task_name(request.task)))),
            }
        }
        next
    }

    /// Ok(None): answered.
    fn advance(&mut self, request: &OpenRequest, stage: Stage, now: Now) -> (Result<Option<Stage>>, Next) {
        match stage {
            Stage::Opening { retry_at, give_up_at } if now.elapsed < retry_at => (
                Ok(Some(Stage::Opening { retry_at, give_up_at })),
                Next::WaitUntil(retry_at),
            ),
            Stage::Opening { give_up_at, .. } => match self.open(request, now.wall_ms) {
                Ok((restoring, prepared)) => (Ok(Some(Stage::Restoring(Box::new(restoring), prepared))), Next::Again),
                Err(e) if is_worth_waiting(&e, now.elapsed, give_up_at) => {
                    tracing::debug!(task = task_name(request.task), error = %e, "opening again soon");
                    let retry_at = now.elapsed + BACKOFF;
                    (
                        Ok(Some(Stage::Opening { retry_at, give_up_at })),
                        Next::WaitUntil(retry_at),
                    )
                }
                Err(e) => (Err(e), Next::Again),
            },
            Stage::Restoring(mut task, prepared) => {
                let before = task.restored();
                let progress = task.step(self.parts.consumer.as_mut(), self.parts.batch_records);
                add(&self.parts.metrics.records_restored, task.restored() - before);
                match progress {
                    Ok(Progress::Done) => {
                        self.done(request, *task, prepared);
                        (Ok(None), Next::Again)
                    }
                    Ok(Progress::Moved) => (Ok(Some(Stage::Restoring(task, prepared))), Next::Again),
                    Ok(Progress::Waiting) => (
                        Ok(Some(Stage::Restoring(task, prepared))),
                        Next::WaitUntil(now.elapsed + BACKOFF),
                    ),
                    Err(e) => {
                        let name = task_name(request.task);
                        close(&name, task.finish(self.parts.consumer.as_mut()));
                        let damage = e.state_error().is_some_and(StateError::is_damage);
                        if damage {
                            wipe(&self.parts.engine, &name);
                        }
                        if damage || e.kind() == ErrorKind::Retry {
                            let stage = Stage::Opening {
                                retry_at: now.elapsed + BACKOFF,
                                give_up_at: now.elapsed + PATIENCE,
                            };
                            return (Ok(Some(stage)), Next::WaitUntil(now.elapsed + BACKOFF));
                        }
                        (Err(e), Next::Again)
                    }
                }
            }
        }
    }

    fn done(&mut self, request: &OpenRequest, task: RestoringTask, prepared: Prepared) {
        let restored = task.restored();
        tracing::info!(task = &**task.task(), records = restored, "state restored");
        add(&self.parts.metrics.tasks_restored, 1);
        let database = task.finish(self.parts.consumer.as_mut());
        if let Some(marks) = prepared.copy {
            let misfit = restored > gained(&database, &marks);
            add(&self.parts.metrics.standby_takeovers, 1);
            add(&self.parts.metrics.standby_misfits, u64::from(misfit));
        }
        let inputs = prepared.inputs;
        answer(request, Ok(OpenedTask { database, inputs }));
    }

    fn cancel(&mut self, ticket: u64) {
        if let Some(index) = self.tasks.iter().position(|(r, _)| r.ticket == ticket) {
            let (request, stage) = self.tasks.remove(index);
            if let Stage::Restoring(task, _) = stage {
                // What was restored counts: its offsets were written with it.
                close(&task_name(request.task), task.finish(self.parts.consumer.as_mut()));
            }
        }
    }

    fn open(&mut self, request: &OpenRequest, wall_ms: i64) -> Result<(RestoringTask, Prepared)> {
        let topology = self.parts.topology.clone();
        let task = request.task;
        let Some(subtopology) = topology.subtopologies().iter().find(|s| s.id == task.subtopology) else {
            return Err(Error::new(
                ErrorKind::Topology,
                "the group assigned a task this topology does not have",
            ));
        };
        let inputs = self.inputs(subtopology, request, wall_ms)?;
        let changelogs = self.parts.changelogs(subtopology, task, Some(&inputs))?;
        let name = task_name(task);
        let mut copy = None;
        let database = match self.standbys.take(task, &mut self.parts) {
            Some(mut kept) => {
                copy = Some(marks(&kept, &changelogs));
                if planted(Mutant::CopyIsNotUsed) {
                    for changelog in &changelogs {
                        kept.wipe(changelog.store)
                            .map_err(|e| Error::new(ErrorKind::State, e.to_string()))?;
                    }
                }
                kept
            }
            None => self.parts.open_database(subtopology, &name)?,
        };
        let restoring = RestoringTask::begin(
            name.into(),
            database,
            changelogs,
            Purpose::Run,
            self.parts.consumer.as_mut(),
        )?;
        Ok((restoring, Prepared { inputs, copy }))
    }

    /// The partitions of the task, which not every source topic has, with what is committed.
    fn inputs(
        &mut self,
        subtopology: &Subtopology,
        request: &OpenRequest,
        wall_ms: i64,
    ) -> Result<Vec<CommittedInput>> {
        let names: Vec<String> = subtopology
            .sources
            .iter()
            .map(|s| s.full_name(&self.parts.application_id))
            .collect();
        let counts = self.parts.admin.partition_counts(&names, REQUEST_LIMIT).map_err(soft)?;
        let mut inputs = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let Some((_, count)) = counts.iter().find(|(n, _)| n == name) else {
                return Err(Error::new(
                    ErrorKind::Retry,
                    format!("the topic {name} is not there yet"),
                ));
            };
            if request.task.partition < *count {
                let partition = TopicPartition {
                    topic: name.as_str().into(),
                    partition: request.task.partition,
                };
                let committed = request.committed.iter().find(|o| o.partition == partition);
                let reset = subtopology.resets.get(index).copied().flatten();
                let reset = reset.unwrap_or(OffsetReset::Earliest);
                inputs.push(CommittedInput {
                    source: SourceIndex(index as u32),
                    committed: committed.map(|o| (o.offset, o.metadata.clone())),
                    since: self.since(&partition, reset, wall_ms)?,
                    reset,
                    partition,
                });
            }
        }
        Ok(inputs)
    }

    /// Where a reset by duration leads to. Asked for also where an offset is committed, which may be gone by then.
    fn since(&mut self, partition: &TopicPartition, reset: OffsetReset, wall_ms: i64) -> Result<Option<i64>> {
        let OffsetReset::ByDuration(age) = reset else {
            return Ok(None);
        };
        let since_ms = wall_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let partition = std::slice::from_ref(partition);
        let found = self.parts.admin.offsets_since(partition, since_ms, REQUEST_LIMIT);
        Ok(found.map_err(soft)?.first().copied().flatten())
    }
}

impl UpdaterParts {
    /// What the stores of a task are restored from. `inputs`: how far the task has come, where a source topic serves as
    /// changelog; without it such stores are left out.
    pub(super) fn changelogs(
        &mut self,
        subtopology: &Subtopology,
        task: TaskId,
        inputs: Option<&[CommittedInput]>,
    ) -> Result<Vec<Changelog>> {
        let with_records = inputs.map(logged_stores).unwrap_or_default();
        let mut wanted = Vec::new();
        for (index, store) in subtopology.stores.iter().enumerate() {
            let (topic, limit) = match (&store.changelog, &store.source_changelog) {
                (Some(topic), _) => (topic.full_name(&self.application_id), None),
                (None, Some(topic)) => {
                    let Some(inputs) = inputs else { continue };
                    let input = inputs.iter().find(|i| i.partition.topic == *topic);
                    let processed = input
                        .and_then(|i| i.committed.as_ref())
                        .map_or(0, |(offset, _)| *offset);
                    (topic.to_string(), Some(processed))
                }
                (None, None) => continue,
            };
            let partition = TopicPartition {
                topic: topic.into(),
                partition: task.partition,
            };
            let logged = limit.is_none() && with_records.contains(&*store.spec.name);
            wanted.push((StoreIndex(index as u32), partition, limit, logged));
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let partitions: Vec<TopicPartition> = wanted.iter().map(|(_, p, ..)| p.clone()).collect();
        let bounds = self
            .admin
            .offsets(&partitions, Isolation::ReadUncommitted, REQUEST_LIMIT)
            .map_err(soft)?;
        let with_bounds = wanted.into_iter().zip(bounds);
        Ok(with_bounds
            .map(|((store, partition, limit, logged), (first, end))| Changelog {
                store,
                partition,
                bounds: ChangelogBounds { first, end },
                limit,
                logged,
            })
            .collect())
    }

    pub(super) fn open_database(&self, subtopology: &Subtopology, name: &str) -> Result<TaskDatabase> {
        let specs: Vec<StoreSpec> = subtopology.stores.iter().map(|s| s.spec.clone()).collect();
        open_database(&self.engine, name, &specs)
    }
}

/// What usually passes is tried again for a while, and what seems to be the worst is looked at twice.
fn is_worth_waiting(error: &Error, now: Duration, give_up_at: Duration) -> bool {
    match error.kind() {
        ErrorKind::Retry => now < give_up_at,
        ErrorKind::ChangelogLost => now + PATIENCE < give_up_at + UNTIL_LOST,
        _ => false,
    }
}

/// A topic that is being created is no reason to give up.
pub(super) fn soft(error: ClusterError) -> Error {
    let retry = matches!(error.class, ErrorClass::Retry | ErrorClass::Unknown) || error.is_unknown_topic();
    if retry {
        Error::new(ErrorKind::Retry, error.message.clone()).caused_by(error)
    } else {
        error.into()
    }
}

fn open_database(engine: &StateEngine, name: &str, specs: &[StoreSpec]) -> Result<TaskDatabase> {
    let opened = match engine.open_task(name, specs) {
        Err(damage) if damage.is_damage() => {
            tracing::warn!(task = name, error = %damage, "the state of the task is restored from its changelogs");
            engine.wipe_task(name).and_then(|()| engine.open_task(name, specs))
        }
        other => other,
    };
    opened.map_err(|e| {
        let kind = match e {
            // The thread that had it before is still closing it.
            StateError::Locked { .. } => ErrorKind::Retry,
            _ => ErrorKind::State,
        };
        Error::new(kind, format!("the state of the task cannot be opened: {e}"))
            .task(name)
            .caused_by(e)
    })
}

pub(super) fn wipe(engine: &StateEngine, name: &str) {
    tracing::warn!(
        task = name,
        "the state of the task is damaged; it is restored from its changelogs"
    );
    if let Err(e) = engine.wipe_task(name) {
        tracing::warn!(task = name, error = %e, "the damaged state could not be removed");
    }
}

pub(super) fn close(name: &str, mut database: TaskDatabase) {
    if let Err(e) = database.flush().and_then(|()| database.close()) {
        tracing::warn!(task = name, error = %e, "the state was not closed cleanly; the next start restores what is missing");
    }
}

fn answer(request: &OpenRequest, result: Result<OpenedTask>) {
    let opened = Opened {
        ticket: request.ticket,
        task: request.task,
        result,
    };
    if let Err(lost) = request.reply.send(opened)
        && let Ok(task) = lost.0.result
    {
        close(&task_name(request.task), task.database);
    }
    request.waker.wake();
}

/// Where each store of a copy stands.
fn marks(copy: &TaskDatabase, changelogs: &[Changelog]) -> Vec<(StoreIndex, i64)> {
    let of = |c: &Changelog| (c.store, copy.offset(c.store).unwrap_or(c.bounds.first));
    changelogs.iter().map(of).collect()
}

/// How many offsets further than these marks the database has come.
fn gained(database: &TaskDatabase, marks: &[(StoreIndex, i64)]) -> u64 {
    let of =
        |(store, mark): &(StoreIndex, i64)| u64::try_from(database.offset(*store).unwrap_or(0) - mark).unwrap_or(0);
    marks.iter().map(of).sum()
}

pub(super) fn sooner(a: Next, b: Next) -> Next {
    match (a, b) {
        (Next::WaitUntil(a), Next::WaitUntil(b)) => Next::WaitUntil(a.min(b)),
        _ => Next::Again,
    }
}
