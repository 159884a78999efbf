//! Offsets of a transaction, sent on a thread of their own.
//!
//! librdkafka's call waits for its answer without an end: its time limit is that of the requests it makes, and one that gets lost,
//! as when coordinators move while brokers restart, leaves the caller waiting for ever. The stream thread must not: it asks
//! whether the call has returned. What never returns is left behind with its client, whose epoch the next producer makes invalid.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::Duration,
};

use super::ffi::RawError;

/// Makes one call after the other.
pub(super) struct Calls<J> {
    jobs: Sender<J>,
    answers: Receiver<Result<(), RawError>>,
    under_way: bool,
}

impl<J: Send + 'static> Calls<J> {
    pub(super) fn new(call: impl Fn(J) -> Result<(), RawError> + Send + 'static) -> Result<Self, RawError> {
        let (jobs, to_do) = channel::<J>();
        let (answer, answers) = channel();
        let work = move || {
            while let Ok(job) = to_do.recv() {
                if answer.send(call(job)).is_err() {
                    break;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("millstream-txn".into()).spawn(work);
        spawned.map_err(|e| RawError::local(FAILED, format!("no thread for a transaction: {e}")))?;
        Ok(Self {
            jobs,
            answers,
            under_way: false,
        })
    }

    /// Begins a call unless one is under way, and waits a little for it. None: it has not returned yet.
    pub(super) fn poll(
        &mut self,
        wait: Duration,
        job: impl FnOnce() -> Result<J, RawError>,
    ) -> Option<Result<(), RawError>> {
        if !self.under_way {
            let job = match job() {
                Ok(job) => job,
                Err(e) => return Some(Err(e)),
            };
            if self.jobs.send(job).is_err() {
                return Some(Err(ended()));
            }
            self.under_way = true;
        }
        let answer = match self.answers.recv_timeout(wait) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        };
        self.under_way = false;
        Some(answer)
    }
}

impl<J> Drop for Calls<J> {
    fn drop(&mut self) {
        if self.under_way {
            tracing::warn!("a call of librdkafka has not returned; it is left behind with its client");
        }
    }
}

/// librdkafka's `_FAIL`.
const FAILED: i32 = -196;

fn ended() -> RawError {
    RawError::local(FAILED, "the thread of the transaction has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn a_call_that_never_returns_does_not_hold_up_who_asks() {
        let (_never, waits) = channel::<()>();
        let waits = std::sync::Mutex::new(waits);
        let mut calls = Calls::new(move |()| {
            let _ = waits.lock().map(|w| w.recv());
            Ok(())
        })
        .unwrap();
        let mut begun = 0;
        for _ in 0..3 {
            let answer = calls.poll(SHORT, || {
                begun += 1;
                Ok(())
            });
            assert!(answer.is_none());
        }
        assert_eq!(begun, 1, "it is asked about, not made again");
    }

    #[test]
    fn answers_belong_to_their_calls() {
        let mut calls = Calls::new(|code| {
            if code == 0 {
                Ok(())
            } else {
                Err(RawError::local(code, ""))
            }
        })
        .unwrap();
        let long = Duration::from_secs(10);
        for code in [0, 7, 0] {
            let answer = calls.poll(long, || Ok(code)).unwrap();
            assert_eq!(answer.err().map_or(0, |e| e.code), code);
        }
        let refused = calls.poll(long, || Err(RawError::local(9, ""))).unwrap();
        assert_eq!(refused.unwrap_err().code, 9, "nothing was begun");
        assert!(calls.poll(long, || Ok(0)).unwrap().is_ok());
    }
}
