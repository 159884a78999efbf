//! Between a stream thread and the control thread: assignments one way, acknowledgements the other, the identity in the middle.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
    mpsc::{Receiver, Sender},
};

use crate::{
    cluster::{GroupIdentity, TaskLists, Waker},
    error::Error,
    membership::MemberConfig,
};

/// News for a stream thread, in order.
#[derive(Debug)]
pub(crate) enum ToThread {
    /// Commit and close these, then acknowledge what is left.
    Revoke(TaskLists),
    /// Create these in addition, then acknowledge all.
    Assign(TaskLists),
    /// Drop everything, then acknowledge nothing.
    Lost,
    /// The membership has ended with an error.
    Failed(Error),
    /// Some instance asked all of them to stop.
    ShutdownRequested,
    /// The group has been left.
    Left,
}

/// Requests to the control thread.
pub(crate) enum ToControl {
    Join(Box<Joining>),
    Acknowledge {
        member: u64,
        owned: TaskLists,
    },
    Leave {
        member: u64,
        shutdown_application: bool,
    },
    /// All members are gone: the control thread ends.
    Stop,
}

/// A thread that wants to be a member.
pub(crate) struct Joining {
    pub(crate) member: u64,
    pub(crate) config: MemberConfig,
    pub(crate) to_thread: Sender<ToThread>,
    pub(crate) waker: Arc<dyn Waker>,
    pub(crate) shared: Arc<MemberShared>,
}

/// What the thread may look at any time.
#[derive(Debug, Default)]
pub(crate) struct MemberShared {
    identity: Mutex<Option<GroupIdentity>>,
    settled: AtomicBool,
}

impl MemberShared {
    /// Who we are at this moment.
    pub(crate) fn identity(&self) -> Option<GroupIdentity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The group is content: nothing is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(SeqCst)
    }

    /// True if something changed.
    pub(crate) fn publish(&self, identity: Option<GroupIdentity>, settled: bool) -> bool {
        let mut own = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *own != identity;
        if changed {
            *own = identity;
        }
        self.settled.swap(settled, SeqCst) != settled || changed
    }
}

/// The thread's end.
pub(crate) struct MemberLink {
    pub(crate) member: u64,
    pub(crate) news: Receiver<ToThread>,
    pub(crate) control: ControlHandle,
    pub(crate) shared: Arc<MemberShared>,
}

impl MemberLink {
    pub(crate) fn acknowledge(&self, owned: TaskLists) {
        self.control.send(ToControl::Acknowledge {
            member: self.member,
            owned,
        });
    }

    pub(crate) fn leave(&self, shutdown_application: bool) {
        self.control.send(ToControl::Leave {
            member: self.member,
            shutdown_application,
        });
    }
}

/// Reaches the control thread.
#[derive(Clone)]
pub(crate) struct ControlHandle {
    pub(crate) sender: Sender<ToControl>,
    pub(crate) waker: Arc<dyn Waker>,
}

impl ControlHandle {
    pub(crate) fn send(&self, message: ToControl) {
        // The control thread outlives the stream threads; after it nobody is left to hear.
        if self.sender.send(message).is_ok() {
            self.waker.wake();
        }
    }
}
