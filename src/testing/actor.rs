//! One stepped machine of an instance, and when it wants to be stepped again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use crate::{
    cluster::Waker,
    runtime::{
        Next, assembly::StreamRunner, clock::Now, control::Control, globals::GlobalRunner, updater::StateUpdater,
        wake::Park,
    },
};

/// Remembers that somebody called.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, SeqCst)
    }

    fn is_up(&self) -> bool {
        self.0.load(SeqCst)
    }
}

impl Waker for Flag {
    fn wake(&self) {
        self.0.store(true, SeqCst);
    }
}

impl Park for Flag {
    /// A simulated thread cannot wait inside a step; whoever asks for it asks again.
    fn wait(&self, _limit: Duration) {}
}

pub(super) enum Machine {
    Control(Control),
    Updater(StateUpdater),
    Global(GlobalRunner),
    Stream(StreamRunner),
}

pub(super) struct Actor {
    pub(super) name: String,
    pub(super) machine: Machine,
    pub(super) flag: Arc<Flag>,
    /// Steps by itself at this time.
    due_us: u64,
    /// Stands still until then, whatever happens.
    pub(super) busy_until_us: u64,
    pub(super) stopped: bool,
}

impl Actor {
    pub(super) fn new(name: String, machine: Machine, flag: Arc<Flag>) -> Self {
        Self {
            name,
            machine,
            flag,
            due_us: 0,
            busy_until_us: 0,
            stopped: false,
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.machine, Machine::Stream(_))
    }

    /// When it can be stepped; `u64::MAX`: never again.
    pub(super) fn ready_us(&self) -> u64 {
        if self.stopped {
            return u64::MAX;
        }
        let wanted = if self.flag.is_up() { 0 } else { self.due_us };
        wanted.max(self.busy_until_us)
    }

    /// `started_us`: when the clock of the instance began.
    pub(super) fn step(&mut self, now: Now, started_us: u64) -> Next {
        self.flag.take();
        let next = match &mut self.machine {
            Machine::Control(machine) => machine.step(now),
            Machine::Updater(machine) => machine.step(now),
            Machine::Global(machine) => machine.step(now),
            Machine::Stream(machine) => machine.step(now),
        };
        match next {
            Next::Again => self.due_us = 0,
            // Rounded up: a machine that is stepped a little too early would ask for the same time again and again.
            Next::WaitUntil(at) => {
                let micros = u64::try_from(at.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
                self.due_us = started_us.saturating_add(micros);
            }
            Next::Stopped => self.stopped = true,
        }
        next
    }
}
