//! A stream thread as a stepped machine: news of the group, fetch, process a bounded batch, punctuate, maybe commit.

mod assignment;
mod commits;
mod offsets;
mod slot;
mod stop;
mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

pub(crate) use stop::StopFlags;
pub use stop::UncaughtAction;
use {assignment::Asking, commits::Purpose, offsets::OffsetClient, slot::Slot, stop::Failing};

use super::{
    Next,
    clock::Now,
    link::{MemberLink, ToThread},
    metrics::Metrics,
    state_machine::{StateMachine, ThreadState},
    updater::{Opened, UpdaterHandle},
};
use crate::{
    cluster::{ClusterError, Consumer, ErrorClass, GroupClient, TaskId, TaskLists, Waker},
    commit::{CommitMachine, Settings},
    config::StreamsConfig,
    dsl::engine::Topology,
    error::{Error, Result},
    state::{GlobalReader, StateError},
    task::Output,
};

/// Records of one task that are processed before anything else is looked at.
const BATCH: usize = 1000;
const BACKOFF: Duration = Duration::from_millis(100);
/// What a commit may take after its transaction can have timed out.
const BEYOND_THE_TRANSACTION: Duration = Duration::from_secs(5);
/// How long the cluster may be out of reach before a thread gives up: the default of `task.timeout.ms` in Kafka Streams.
const ENDURANCE: Duration = Duration::from_secs(300);

/// What a thread shares with the rest of the instance.
#[derive(Clone)]
pub(crate) struct ThreadContext {
    pub(crate) index: usize,
    pub(crate) config: Arc<StreamsConfig>,
    pub(crate) topology: Topology,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) state: Arc<StateMachine>,
    pub(crate) stop: Arc<StopFlags>,
    pub(crate) updater: UpdaterHandle,
    pub(crate) globals: Option<GlobalReader>,
    pub(crate) waker: Arc<dyn Waker>,
    pub(crate) on_error: Arc<dyn Fn(&Error) -> UncaughtAction + Send + Sync>,
}

/// How a thread ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) failure: Option<(Error, UncaughtAction)>,
}

/// One stream thread.
pub(crate) struct StreamThread {
    // Tasks hold lent batches of the consumer: they go first.
    slots: BTreeMap<TaskId, Slot>,
    consumer: Box<dyn Consumer>,
    output: Rc<Output>,
    offsets: OffsetClient,
    cx: ThreadContext,
    link: MemberLink,
    news: VecDeque<ToThread>,
    /// Standbys and warm-ups: the state updater keeps copies of their state.
    passive: TaskLists,
    asking: Asking,
    opened: (Sender<Opened>, Receiver<Opened>),
    commit: CommitMachine,
    purpose: Purpose,
    next_commit: Duration,
    commit_requested: bool,
    aborts_in_a_row: u32,
    resume_at: Duration,
    leaving: bool,
    failing: Option<Failing>,
    ended: Option<Ended>,
    sent_seen: u64,
    /// Tasks whose state has to be wiped when they are closed.
    damaged: Vec<String>,
}

impl StreamThread {
    pub(crate) fn new(
        cx: ThreadContext,
        consumer: Box<dyn Consumer>,
        output: Output,
        group: Box<dyn GroupClient>,
        link: MemberLink,
        now: Now,
    ) -> Self {
        let exactly_once = cx.config.exactly_once();
        let mut commit = CommitMachine::new(Settings {
            exactly_once,
            backoff: BACKOFF,
            // By then the coordinator has rolled back what it was not told to commit: asking costs nothing any more.
            patience: cx.config.transaction_timeout + BEYOND_THE_TRANSACTION,
            endurance: ENDURANCE,
        });
        if exactly_once {
            commit.start_init();
        }
        Self {
            slots: BTreeMap::new(),
            consumer,
            output: Rc::new(output),
            offsets: OffsetClient::new(group),
            link,
            news: VecDeque::new(),
            passive: TaskLists::default(),
            asking: None,
            opened: channel(),
            commit,
            purpose: Purpose::Init,
            next_commit: now.elapsed + cx.config.effective_commit_interval(),
            commit_requested: false,
            aborts_in_a_row: 0,
            resume_at: Duration::ZERO,
            leaving: false,
            failing: None,
            ended: None,
            sent_seen: 0,
            damaged: Vec::new(),
            cx,
        }
    }

    /// As much as can be done without waiting, but no more than a batch of each task.
    pub(crate) fn step(&mut self, now: Now) -> Next {
        if self.ended.is_some() {
            return Next::Stopped;
        }
        if self.failing.is_some() {
            return self.step_failing(now);
        }
        match self.try_step(now) {
            Ok(next) => next,
            Err(error) => {
                self.on_error(error, now);
                Next::Again
            }
        }
    }

    pub(crate) fn take_ended(&mut self) -> Option<Ended> {
        self.ended.take()
    }

    fn try_step(&mut self, now: Now) -> Result<Next> {
        if self.cx.stop.kill() {
            return Ok(self.killed());
        }
        if self.cx.stop.requested() && !self.leaving {
            self.leaving = true;
            self.link.leave(self.cx.stop.of_all());
        }
        self.news.extend(self.link.news.try_iter());
        self.offsets.pump();
        self.hear_of_failure()?;
        if !self.commit.is_idle() {
            return self.step_commit(now);
        }
        if let Err(e) = self.output.serve() {
            self.abort(e);
            return Ok(Next::Again);
        }
        if self.handle_news(now)? {
            return Ok(Next::Again);
        }
        self.bring_up(now)?;
        let work = self.work(now)?;
        self.report();
        if self.commit_is_due(now) {
            self.begin_commit(Purpose::Regular)?;
            return Ok(Next::Again);
        }
        Ok(if work.any {
            Next::Again
        } else {
            Next::WaitUntil(self.wake_at(now, work.wake_at))
        })
    }

    /// A group that will never take us is no reason to wait for the first producer, which may not get ready either.
    fn hear_of_failure(&mut self) -> Result<()> {
        let failed = |news: &ToThread| matches!(news, ToThread::Failed(_));
        if matches!(self.purpose, Purpose::Init)
            && !self.commit.is_idle()
            && let Some(index) = self.news.iter().position(failed)
            && let Some(ToThread::Failed(error)) = self.news.remove(index)
        {
            return Err(error);
        }
        Ok(())
    }

    /// The producer's errors mean "undo and go on"; everything else ends the thread.
    fn on_error(&mut self, error: Error, now: Now) {
        match self.output.error() {
            Some(cause) if cause.class != ErrorClass::Fatal && self.commit.is_idle() => {
                tracing::debug!(%error, "processing was stopped by the producer");
                self.abort(cause);
            }
            Some(cause) => self.fail(Error::from(cause).caused_by(error), now),
            None if self.may_recover(&error) => {
                self.damaged.extend(
                    error
                        .context()
                        .task
                        .as_deref()
                        .map(str::to_owned)
                        .filter(|_| is_damage(&error)),
                );
                self.abort(state_failed(&error));
            }
            None => self.fail(error, now),
        }
    }

    /// A database that failed is closed and opened again, with everything since the last commit undone: recovery decides from
    /// what is on disk and in the changelog.
    fn may_recover(&self, error: &Error) -> bool {
        let failed = matches!(
            error.state_error(),
            Some(
                StateError::Damaged { .. }
                    | StateError::MalformedRow { .. }
                    | StateError::Poisoned
                    | StateError::Database(_)
            )
        );
        failed && self.commit.is_idle() && error.context().task.is_some()
    }

    fn report(&mut self) {
        let sent = self.output.records_sent();
        super::metrics::add(&self.cx.metrics.records_sent, sent - self.sent_seen);
        self.sent_seen = sent;
        let state = if self.link.shared.identity().is_none() {
            ThreadState::Starting
        } else if self.slots.values().all(Slot::is_running) && (self.link.shared.is_settled() || !self.slots.is_empty())
        {
            ThreadState::Running
        } else {
            ThreadState::Rebalancing
        };
        self.cx.state.thread(self.cx.index, state);
    }

    fn wake_at(&self, now: Now, work: Option<Duration>) -> Duration {
        let mut at = now.elapsed + self.cx.config.poll_interval;
        at = work.map_or(at, |w| w.min(at));
        for task in self.slots.values().filter_map(Slot::running) {
            if let Some(due) = task.next_punctuation() {
                let wait = u64::try_from(due.saturating_sub(now.wall_ms)).unwrap_or(0);
                at = at.min(now.elapsed + Duration::from_millis(wait));
            }
            if task.needs_commit() {
                at = at.min(self.next_commit.max(now.elapsed));
            }
        }
        at
    }
}

fn is_damage(error: &Error) -> bool {
    error.state_error().is_some_and(StateError::is_damage)
}

fn state_failed(error: &Error) -> ClusterError {
    ClusterError {
        class: ErrorClass::Corrupted,
        code: 0,
        // What the disk said is what helps whoever reads the log.
        message: match error.state_error() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
        partition: None,
    }
}
