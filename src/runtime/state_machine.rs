//! The state of an application instance, and who wants to hear about its changes.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use tokio::sync::Notify;

use crate::error::Error;

/// What an application instance is doing. Names and transitions are those of `KafkaStreams.State`.
#[doc(alias = "KafkaStreams.State")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, not started.
    Created,
    /// Joins the group, takes or gives tasks, restores state.
    Rebalancing,
    /// Every thread has its tasks and processes.
    Running,
    /// Commits and gives its tasks back.
    PendingShutdown,
    /// Stopped.
    NotRunning,
    /// Stops because of an error.
    PendingError,
    /// Stopped because of an error.
    Error,
}

impl State {
    /// Stopped, for whatever reason. The stores are closed and the state directory is free: the application may start again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::NotRunning | Self::Error)
    }

    pub(crate) fn may_become(self, next: Self) -> bool {
        use State::*;
        matches!(
            (self, next),
            (Created, Rebalancing | PendingShutdown | PendingError)
                | (Rebalancing, Running | PendingShutdown | PendingError)
                | (Running, Rebalancing | PendingShutdown | PendingError)
                | (PendingShutdown, NotRunning)
                | (PendingError, Error)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "CREATED",
            Self::Rebalancing => "REBALANCING",
            Self::Running => "RUNNING",
            Self::PendingShutdown => "PENDING_SHUTDOWN",
            Self::NotRunning => "NOT_RUNNING",
            Self::PendingError => "PENDING_ERROR",
            Self::Error => "ERROR",
        })
    }
}

/// Readiness of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// Not a member yet.
    Starting,
    /// A member whose tasks are not all running.
    Rebalancing,
    Running,
    Dead,
}

#[derive(Debug)]
struct Inner {
    state: State,
    threads: Vec<ThreadState>,
    /// The global stores are filled.
    globals_ready: bool,
    listeners: Vec<UnboundedSender<State>>,
    error: Option<Error>,
}

/// Shared by all threads of the instance.
#[derive(Debug)]
pub(crate) struct StateMachine {
    application: String,
    inner: Mutex<Inner>,
    changed: Notify,
}

impl StateMachine {
    pub(crate) fn new(application: &str, threads: usize) -> Arc<Self> {
        Arc::new(Self {
            application: application.to_owned(),
            inner: Mutex::new(Inner {
                state: State::Created,
                threads: vec![ThreadState::Starting; threads],
                globals_ready: false,
                listeners: Vec::new(),
                error: None,
            }),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// The first error that ended the instance.
    pub(crate) fn error(&self) -> Option<Error> {
        self.lock().error.clone()
    }

    /// Every thread is a member of the group.
    pub(crate) fn all_joined(&self) -> bool {
        self.lock()
            .threads
            .iter()
            .all(|t| matches!(t, ThreadState::Rebalancing | ThreadState::Running))
    }

    /// The stream threads may begin. Without any, because there are only global stores, this is all there is to wait for.
    pub(crate) fn globals_ready(&self) {
        let mut inner = self.lock();
        inner.globals_ready = true;
        if inner.threads.is_empty() {
            self.transition(&mut inner, State::Running);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(crate) fn are_globals_ready(&self) -> bool {
        self.lock().globals_ready
    }

    pub(crate) fn listen(&self) -> UnboundedReceiver<State> {
        let (sender, receiver) = unbounded();
        self.lock().listeners.push(sender);
        receiver
    }

    /// Takes the step if it is one of the table; false otherwise.
    pub(crate) fn become_(&self, next: State) -> bool {
        let done = self.transition(&mut self.lock(), next);
        self.changed.notify_waiters();
        done
    }

    pub(crate) fn fail(&self, error: Error) {
        let mut inner = self.lock();
        inner.error.get_or_insert(error);
        self.transition(&mut inner, State::PendingError);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Everything has ended and is given back: stores are closed, the state directory is nobody's. Whoever sees the last state
    /// may start again at once.
    pub(crate) fn end(&self) {
        let failed = self.error().is_some();
        self.become_(if failed { State::Error } else { State::NotRunning });
    }

    pub(crate) fn thread(&self, index: usize, thread: ThreadState) {
        let mut inner = self.lock();
        match inner.threads.get_mut(index) {
            Some(slot) if *slot != thread => *slot = thread,
            _ => return,
        }
        let alive: Vec<_> = inner.threads.iter().filter(|t| **t != ThreadState::Dead).collect();
        let running = !alive.is_empty() && alive.iter().all(|t| **t == ThreadState::Running);
        match (inner.state, running) {
            (State::Rebalancing, true) => self.transition(&mut inner, State::Running),
            (State::Running, false) => self.transition(&mut inner, State::Rebalancing),
            _ => false,
        };
        drop(inner);
        self.changed.notify_waiters();
    }

    fn transition(&self, inner: &mut Inner, next: State) -> bool {
        if !inner.state.may_become(next) {
            return false;
        }
        tracing::info!(
            application = self.application,
            "State transition from {} to {next}",
            inner.state
        );
        inner.state = next;
        inner.listeners.retain(|l| l.unbounded_send(next).is_ok());
        if next.is_final() {
            inner.listeners.clear();
        }
        true
    }

    /// Until the condition holds; it is looked at after every change.
    pub(crate) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            // Registered before looking, so that a change between the look and the wait is not missed.
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if condition(self) {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn running_is_when_all_threads_run() {
        let m = StateMachine::new("app", 2);
        assert!(m.become_(State::Rebalancing));
        m.thread(0, ThreadState::Running);
        assert_eq!(m.state(), State::Rebalancing);
        m.thread(1, ThreadState::Running);
        assert_eq!(m.state(), State::Running);
        m.thread(0, ThreadState::Rebalancing);
        assert_eq!(m.state(), State::Rebalancing);
        m.thread(0, ThreadState::Dead);
        assert_eq!(m.state(), State::Running, "the thread that is left runs");
    }

    #[test]
    fn the_first_error_is_kept_and_leads_to_error_only() {
        let m = StateMachine::new("app", 1);
        m.become_(State::Rebalancing);
        m.fail(Error::new(ErrorKind::Processing, "first"));
        m.fail(Error::new(ErrorKind::Fatal, "second"));
        assert_eq!(m.error().unwrap().message(), "first");
        assert!(!m.become_(State::Running));
        assert!(!m.become_(State::NotRunning));
        assert!(m.become_(State::Error));
        assert!(m.state().is_final());
    }

    #[test]
    fn listeners_hear_every_step_and_then_the_end() {
        use futures::StreamExt;
        let m = StateMachine::new("app", 1);
        let changes = m.listen();
        for s in [State::Rebalancing, State::PendingShutdown, State::NotRunning] {
            assert!(m.become_(s));
        }
        let heard: Vec<State> = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(changes.collect());
        assert_eq!(heard, [State::Rebalancing, State::PendingShutdown, State::NotRunning]);
    }
}
