//! How a stream thread ends: asked to, by an error, or at once.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use super::{Ended, StreamThread};
use crate::{
    cluster::{Step, TaskLists},
    error::{Error, ErrorKind},
    failpoint::fail_point,
    runtime::{Next, clock::Now, link::ToThread, metrics::add, state_machine::ThreadState},
};

/// What happens after a stream thread has ended with an error.
#[doc(alias = "StreamThreadExceptionResponse")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UncaughtAction {
    /// A new thread takes its place and goes on from the last commit. An error that comes back at once will come back again.
    #[doc(alias = "REPLACE_THREAD")]
    ReplaceThread,
    /// This instance stops; others of the application go on. The default.
    #[doc(alias = "SHUTDOWN_CLIENT")]
    #[default]
    ShutdownClient,
    /// All instances of the application stop.
    #[doc(alias = "SHUTDOWN_APPLICATION")]
    ShutdownApplication,
}

/// Wishes of the instance to its threads.
#[derive(Debug, Default)]
pub(crate) struct StopFlags {
    requested: AtomicBool,
    /// All instances of the application are to stop.
    of_all: AtomicBool,
    kill: AtomicBool,
}

impl StopFlags {
    /// Commit, give everything back, leave.
    pub(crate) fn request(&self) {
        self.requested.store(true, SeqCst);
    }

    /// Who leaves the group now says that everybody should.
    pub(crate) fn request_of_all(&self) {
        self.of_all.store(true, SeqCst);
    }

    pub(super) fn of_all(&self) -> bool {
        self.of_all.load(SeqCst)
    }

    pub(crate) fn requested(&self) -> bool {
        self.requested.load(SeqCst)
    }

    /// Stop where you are.
    pub(crate) fn request_kill(&self) {
        // In this order: who sees the request must not take it for the gentle one.
        self.kill.store(true, SeqCst);
        self.requested.store(true, SeqCst);
    }

    pub(crate) fn kill(&self) -> bool {
        self.kill.load(SeqCst)
    }
}

/// A thread that winds up after an error.
pub(super) struct Failing {
    error: Error,
    action: UncaughtAction,
    deadline: Duration,
    left: bool,
}

const WIND_UP: Duration = Duration::from_secs(3);

impl StreamThread {
    pub(super) fn fail(&mut self, error: Error, now: Now) {
        tracing::error!(thread = self.cx.index, error = %error, "a stream thread has failed");
        add(&self.cx.metrics.failed_threads, 1);
        let action = (self.cx.on_error)(&error);
        self.drop_all();
        self.link.leave(action == UncaughtAction::ShutdownApplication);
        self.failing = Some(Failing {
            error,
            action,
            deadline: now.elapsed + WIND_UP,
            left: false,
        });
    }

    /// Gives back what is left, ends an open transaction so that nobody has to wait for its time-out, leaves the group.
    pub(super) fn step_failing(&mut self, now: Now) -> Next {
        let news: Vec<ToThread> = self.link.news.try_iter().chain(self.news.drain(..)).collect();
        let Some(failing) = &mut self.failing else {
            return Next::Again;
        };
        for news in news {
            match news {
                ToThread::Left => failing.left = true,
                ToThread::Revoke(_) | ToThread::Assign(_) | ToThread::Lost => {
                    self.link.acknowledge(TaskLists::default());
                }
                ToThread::Failed(_) | ToThread::ShutdownRequested => {}
            }
        }
        let settled = !self.output.in_transaction() || !matches!(self.output.poll_abort(), Ok(Step::Pending));
        if (failing.left && settled) || now.elapsed >= failing.deadline || self.cx.stop.kill() {
            let failure = (failing.error.clone(), failing.action);
            self.finish(Some(failure));
            return Next::Stopped;
        }
        Next::WaitUntil((now.elapsed + Duration::from_millis(20)).min(failing.deadline))
    }

    pub(super) fn finish(&mut self, failure: Option<(Error, UncaughtAction)>) {
        fail_point!("close.left");
        self.report_dead();
        self.ended = Some(Ended { failure });
    }

    fn report_dead(&mut self) {
        let replaced = matches!(&self.failing, Some(f) if f.action == UncaughtAction::ReplaceThread);
        let state = if replaced {
            ThreadState::Starting
        } else {
            ThreadState::Dead
        };
        self.cx.state.thread(self.cx.index, state);
    }

    pub(super) fn killed(&mut self) -> Next {
        tracing::info!(
            thread = self.cx.index,
            in_transaction = self.output.in_transaction(),
            "stopped without a last commit"
        );
        self.drop_all();
        self.finish(None);
        Next::Stopped
    }
}

pub(super) fn group_shutdown() -> Error {
    Error::new(
        ErrorKind::ShutdownRequested,
        "an instance of the application asked all instances to stop",
    )
}
