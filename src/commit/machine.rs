//! The machine: from "these offsets" to one of four outcomes.

use std::time::Duration;

use super::{
    Attempt, CommitIo,
    classify::{At, Verdict, is_stale_epoch, verdict},
};
use crate::{
    cluster::{ClusterError, ErrorClass, GroupIdentity, GroupRequest, GroupResponse, RequestId, Step},
    failpoint::fail_point,
    mutants::{Mutant, planted},
};

/// How a commit ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Results are final: apply the overlays.
    Committed,
    /// Nothing of it took effect: drop the overlays, go back to the committed offsets. The producer is new and ready.
    Aborted(ClusterError),
    /// Somebody else owns the tasks: drop them, join again. The producer is new and ready.
    Migrated(ClusterError),
    /// A person is needed.
    Failed(ClusterError),
    /// Only for `start_init`: the producer may begin transactions.
    Ready,
}

/// Result of one step.
#[derive(Debug)]
pub(crate) enum CommitStep {
    Done(Outcome),
    /// Step again when woken, or at this time.
    Pending {
        wake_at: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) exactly_once: bool,
    /// Pause before a step is tried again.
    pub(crate) backoff: Duration,
    /// How long a transaction's commit is tried before its outcome counts as unknown.
    pub(crate) patience: Duration,
    /// How long everything else is tried before it counts as failed. Kafka Streams: `task.timeout.ms`.
    pub(crate) endurance: Duration,
}

enum State {
    Idle,
    Flush,
    SendOffsets,
    AwaitOffsets(RequestId, GroupIdentity),
    Transaction,
    Renew,
    Init,
    SendReadBack,
    AwaitReadBack(RequestId),
}

/// What the machine will say when the new producer is ready.
enum After {
    Ready,
    /// The transaction is committed; only its producer has to go.
    Committed,
    Aborted(ClusterError),
    Migrated(ClusterError),
    /// Read the committed offsets first.
    Ask(ClusterError),
}

/// One commit at a time.
pub(crate) struct CommitMachine {
    settings: Settings,
    state: State,
    attempt: Attempt,
    /// Fixed at the first poll of a commit: the arguments of the first call count.
    identity: Option<GroupIdentity>,
    after: After,
    retry_at: Option<Duration>,
    give_up_at: Option<Duration>,
    /// A commit refused for its epoch is repeated once with the epoch of the moment.
    refreshed_epoch: bool,
}

impl CommitMachine {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Idle,
            attempt: Attempt::default(),
            identity: None,
            after: After::Ready,
            retry_at: None,
            give_up_at: None,
            refreshed_epoch: false,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Caches have been flushed and everything has been handed to the producer.
    pub(crate) fn start_commit(&mut self, attempt: Attempt) {
        self.attempt = attempt;
        self.identity = None;
        self.refreshed_epoch = false;
        self.enter(if self.settings.exactly_once {
            State::Transaction
        } else if planted(Mutant::OffsetsBeforeFlush) {
            State::SendOffsets
        } else {
            State::Flush
        });
    }

    /// Makes the first transactional producer ready.
    pub(crate) fn start_init(&mut self) {
        self.after = After::Ready;
        self.enter(State::Init);
    }

    /// Processing failed: the open transaction must not take effect.
    pub(crate) fn start_abort(&mut self, cause: ClusterError) {
        self.after = match cause.class {
            ErrorClass::Migrated => After::Migrated(cause),
            _ => After::Aborted(cause),
        };
        self.enter(State::Renew);
    }

    /// A transaction's commit is asked about soon; whatever else takes long gets better, or a person has looked.
    fn patience(&self) -> Duration {
        match self.state {
            State::Transaction => self.settings.patience,
            _ => self.settings.endurance,
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.retry_at = None;
        self.give_up_at = None;
    }

    /// As far as possible without waiting.
    pub(crate) fn step(&mut self, io: &mut dyn CommitIo, now: Duration) -> CommitStep {
        if self.retry_at.is_some_and(|at| now < at) {
            return CommitStep::Pending { wake_at: self.retry_at };
        }
        self.retry_at = None;
        let patience = self.patience();
        let give_up_at = *self.give_up_at.get_or_insert(now + patience);
        loop {
            let progress = match &self.state {
                State::Idle => Progress::Finish(Outcome::Ready),
                State::Flush => self.flush(io),
                State::SendOffsets => self.send_offsets(io),
                State::AwaitOffsets(id, _) => self.await_offsets(io, *id),
                State::Transaction => self.transaction(io),
                State::Renew => self.renew(io),
                State::Init => self.init(io),
                State::SendReadBack => self.send_read_back(io),
                State::AwaitReadBack(id) => self.await_read_back(io, *id),
            };
            match progress {
                Progress::Next(state) => self.enter(state),
                Progress::Wait if matches!(self.state, State::Transaction) && now >= give_up_at => {
                    if let Some(step) = self.failed(At::Transaction, no_answer(), now, give_up_at) {
                        return step;
                    }
                }
                Progress::Wait => return CommitStep::Pending { wake_at: None },
                Progress::Finish(outcome) => {
                    self.enter(State::Idle);
                    return CommitStep::Done(outcome);
                }
                Progress::Error(at, error) => {
                    if let Some(step) = self.failed(at, error, now, give_up_at) {
                        return step;
                    }
                }
            }
            let patience = self.patience();
            self.give_up_at.get_or_insert(now + patience);
        }
    }

    /// None: go on in the state that was entered.
    fn failed(&mut self, at: At, error: ClusterError, now: Duration, give_up_at: Duration) -> Option<CommitStep> {
        let mut verdict = verdict(at, error.class);
        if matches!(verdict, Verdict::Again | Verdict::Renew) && now >= give_up_at {
            // The patience of a commit is over: whether it took effect is open.
            verdict = if at == At::Transaction {
                Verdict::Ask
            } else {
                Verdict::Fail
            };
        }
        match verdict {
            Verdict::Again => {
                if let State::AwaitOffsets(..) = self.state {
                    self.state = State::SendOffsets;
                }
                if let State::AwaitReadBack(_) = self.state {
                    self.state = State::SendReadBack;
                }
                self.retry_at = Some(now + self.settings.backoff);
                return Some(CommitStep::Pending { wake_at: self.retry_at });
            }
            Verdict::Renew => {
                self.state = State::Renew;
                self.retry_at = Some(now + self.settings.backoff);
                return Some(CommitStep::Pending { wake_at: self.retry_at });
            }
            Verdict::Fail => {
                self.enter(State::Idle);
                return Some(CommitStep::Done(Outcome::Failed(error)));
            }
            Verdict::Ask => self.after = After::Ask(error),
            Verdict::Abort => self.after = After::Aborted(error),
            Verdict::Migrate => self.after = After::Migrated(error),
        }
        if matches!(at, At::ReadBack) || (at == At::Offsets && matches!(self.after, After::Migrated(_))) {
            // The producer is fine: nothing of it was in doubt.
            self.enter(State::Idle);
            return Some(CommitStep::Done(self.settled()));
        }
        self.enter(State::Renew);
        None
    }

    fn settled(&mut self) -> Outcome {
        match std::mem::replace(&mut self.after, After::Ready) {
            After::Ready => Outcome::Ready,
            After::Committed => Outcome::Committed,
            After::Aborted(e) | After::Ask(e) => Outcome::Aborted(e),
            After::Migrated(e) => Outcome::Migrated(e),
        }
    }

    fn flush(&mut self, io: &mut dyn CommitIo) -> Progress {
        match io.poll_flush() {
            Ok(Step::Pending) => Progress::Wait,
            Ok(Step::Done(())) => {
                fail_point!("commit.flushed");
                if self.attempt.offsets().is_empty() {
                    return Progress::Finish(Outcome::Committed);
                }
                Progress::Next(State::SendOffsets)
            }
            Err(e) => Progress::Error(At::Flush, e),
        }
    }

    fn send_offsets(&mut self, io: &mut dyn CommitIo) -> Progress {
        let Some(identity) = io.identity() else {
            return Progress::Error(At::Offsets, not_a_member());
        };
        let id = io.send(GroupRequest::CommitOffsets {
            identity: identity.clone(),
            offsets: self.attempt.offsets().to_vec(),
        });
        fail_point!("commit.in_flight");
        // Not `enter`: patience is for the offsets as a whole, however often they are sent.
        self.state = State::AwaitOffsets(id, identity);
        Progress::Wait
    }

    fn await_offsets(&mut self, io: &mut dyn CommitIo, id: RequestId) -> Progress {
        match io.answer(id) {
            None => Progress::Wait,
            Some(Ok(_)) => {
                fail_point!("commit.answered");
                Progress::Finish(Outcome::Committed)
            }
            Some(Err(e)) => {
                let sent_as = match &self.state {
                    State::AwaitOffsets(_, identity) => Some(identity),
                    _ => None,
                };
                // The epoch moved between building and arrival. What is owned has not changed, or the caller would
                // have been told first; so the same offsets under the new epoch are right.
                if is_stale_epoch(&e) && !self.refreshed_epoch && io.identity().as_ref() != sent_as {
                    self.refreshed_epoch = true;
                    return Progress::Next(State::SendOffsets);
                }
                Progress::Error(At::Offsets, e)
            }
        }
    }

    fn transaction(&mut self, io: &mut dyn CommitIo) -> Progress {
        if self.identity.is_none() {
            if let Err(e) = io.ensure_begun() {
                return Progress::Error(At::Transaction, e);
            }
            fail_point!("commit.begun");
            match io.identity() {
                Some(identity) => self.identity = Some(identity),
                None => return Progress::Error(At::Transaction, not_a_member()),
            }
        }
        let Some(identity) = &self.identity else {
            return Progress::Error(At::Transaction, not_a_member());
        };
        match io.poll_commit(self.attempt.offsets(), identity) {
            Ok(Step::Pending) => {
                fail_point!("commit.in_flight");
                Progress::Wait
            }
            Ok(Step::Done(())) => {
                fail_point!("commit.answered");
                if io.is_settled() || planted(Mutant::ReuseProducer) {
                    return Progress::Finish(Outcome::Committed);
                }
                // Committed by the answer to a repeated request. The first copy may arrive in the middle of the next
                // transaction and end it half done: a new epoch makes it harmless.
                self.after = After::Committed;
                Progress::Next(State::Renew)
            }
            Err(e) => Progress::Error(At::Transaction, e),
        }
    }

    fn renew(&mut self, io: &mut dyn CommitIo) -> Progress {
        match io.renew_producer() {
            Ok(()) if self.settings.exactly_once => Progress::Next(State::Init),
            Ok(()) => Progress::Finish(self.settled()),
            Err(e) => Progress::Error(At::Init, e),
        }
    }

    fn init(&mut self, io: &mut dyn CommitIo) -> Progress {
        match io.poll_init_transactions() {
            Ok(Step::Pending) => Progress::Wait,
            Ok(Step::Done(())) if matches!(self.after, After::Ask(_)) => Progress::Next(State::SendReadBack),
            Ok(Step::Done(())) => Progress::Finish(self.settled()),
            Err(e) => Progress::Error(At::Init, e),
        }
    }

    fn send_read_back(&mut self, io: &mut dyn CommitIo) -> Progress {
        if self.attempt.offsets().is_empty() {
            return Progress::Finish(self.settled());
        }
        let id = io.send(GroupRequest::FetchOffsets {
            // Unfenced: the question is what is committed, not who we are now.
            identity: None,
            partitions: self.attempt.offsets().iter().map(|o| o.partition.clone()).collect(),
            require_stable: true,
        });
        self.state = State::AwaitReadBack(id);
        Progress::Wait
    }

    fn await_read_back(&mut self, io: &mut dyn CommitIo, id: RequestId) -> Progress {
        match io.answer(id) {
            None => Progress::Wait,
            Some(Ok(GroupResponse::FetchOffsets(committed))) => {
                if self.attempt.is_what_was_committed(&committed) || planted(Mutant::UnknownIsCommitted) {
                    self.after = After::Ready;
                    return Progress::Finish(Outcome::Committed);
                }
                Progress::Finish(self.settled())
            }
            Some(Ok(_)) => Progress::Finish(self.settled()),
            Some(Err(e)) => Progress::Error(At::ReadBack, e),
        }
    }
}

enum Progress {
    Next(State),
    Wait,
    Finish(Outcome),
    Error(At, ClusterError),
}

/// The client has said nothing for so long that nobody knows what the coordinator has done.
fn no_answer() -> ClusterError {
    ClusterError {
        class: ErrorClass::Unknown,
        code: -185,
        message: "a transaction was not committed in time".into(),
        partition: None,
    }
}

fn not_a_member() -> ClusterError {
    ClusterError {
        class: ErrorClass::Migrated,
        code: 25,
        message: "this instance is not a member of the group any more".into(),
        partition: None,
    }
}
