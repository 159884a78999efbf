//! Parking a thread until something happens.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::cluster::Waker;

/// A waker of somebody who can also pause in the middle of a step.
pub(crate) trait Park: Waker {
    /// Until woken, at most this long.
    fn wait(&self, limit: Duration);
}

/// One thread waits, anybody wakes; a wake-up before the wait is not lost.
#[derive(Debug, Default)]
pub(crate) struct ThreadWaker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Park for ThreadWaker {
    fn wait(&self, limit: Duration) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if !*woken {
            woken = match self.changed.wait_timeout(woken, limit) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        *woken = false;
    }
}

impl Waker for ThreadWaker {
    fn wake(&self) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if !*woken {
            *woken = true;
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost_and_counts_once() {
        let waker = ThreadWaker::default();
        waker.wake();
        waker.wake();
        let start = Instant::now();
        waker.wait(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(5));
        let start = Instant::now();
        waker.wait(Duration::from_millis(20));
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn another_thread_ends_the_wait() {
        let waker = Arc::new(ThreadWaker::default());
        let other = waker.clone();
        let thread = std::thread::spawn(move || other.wake());
        let start = Instant::now();
        waker.wait(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(5));
        thread.join().unwrap();
    }
}
