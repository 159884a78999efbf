//! The threads of an application instance, and who ends whom.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use super::{
    Next,
    assembly::{Assembly, Blueprint, StreamRunner},
    clock::{Clock, Now},
    globals::GlobalRunner,
    state_machine::State,
    stream::StopFlags,
    wake::{Park, ThreadWaker},
};
use crate::{
    cluster::Waker,
    error::{Error, ErrorKind, Result},
};

/// A running instance.
pub(crate) struct Instance {
    supervisor: Option<JoinHandle<()>>,
    wakers: Vec<Arc<ThreadWaker>>,
    stop: Arc<StopFlags>,
}

impl Instance {
    pub(crate) fn start(blueprint: Blueprint, clock: Clock) -> Result<Self> {
        let [control_waker, updater_waker] = [(); 2].map(|()| Arc::new(ThreadWaker::default()));
        let (assembly, mut control, mut updater) =
            Assembly::new(blueprint, control_waker.clone(), updater_waker.clone())?;
        let (b, name) = (assembly.b.clone(), assembly.client_id.clone());
        let mut services = vec![
            spawn(&format!("{name}-control"), move || {
                drive(clock, &control_waker, |now| control.step(now));
            })?,
            spawn(&format!("{name}-StateUpdater-1"), move || {
                drive(clock, &updater_waker, |now| updater.step(now));
            })?,
        ];
        let global_waker = Arc::new(ThreadWaker::default());
        if let Some(maker) = assembly.globals(global_waker.clone()) {
            services.push(spawn(&format!("{name}-GlobalStreamThread"), move || {
                let mut runner = GlobalRunner::new(maker);
                drive(clock, &global_waker, |now| runner.step(now));
            })?);
        }
        b.state.become_(State::Rebalancing);
        let mut wakers = Vec::new();
        let mut threads = Vec::new();
        for index in 0..assembly.stream_threads() {
            let waker = Arc::new(ThreadWaker::default());
            wakers.push(waker.clone());
            let maker = assembly.thread(index, waker.clone());
            threads.push(spawn(&maker.name.clone(), move || {
                let mut runner = StreamRunner::new(maker);
                drive(clock, &waker, |now| runner.step(now));
            })?);
        }
        let all_wakers = wakers.clone();
        let supervisor = spawn(&format!("{name}-supervisor"), move || {
            supervise(&assembly.b, threads, &all_wakers);
            assembly.threads_have_ended();
            for thread in services {
                if thread.join().is_err() {
                    tracing::error!("a service thread has panicked");
                }
            }
            let state = assembly.b.state.clone();
            drop(assembly);
            state.end();
        })?;
        Ok(Self {
            supervisor: Some(supervisor),
            wakers,
            stop: b.stop.clone(),
        })
    }

    fn wake(&self) {
        for waker in &self.wakers {
            waker.wake();
        }
    }

    pub(crate) fn request_stop(&self) {
        self.stop.request();
        self.wake();
    }

    pub(crate) fn kill(&self) {
        self.stop.request_kill();
        self.wake();
    }

    /// Waits for the end, without an executor.
    pub(crate) fn join_within(&mut self, limit: Duration) -> bool {
        let Some(supervisor) = self.supervisor.take() else {
            return true;
        };
        let step = Duration::from_millis(2);
        let mut waited = Duration::ZERO;
        while !supervisor.is_finished() {
            if waited >= limit {
                self.supervisor = Some(supervisor);
                return false;
            }
            std::thread::sleep(step);
            waited += step;
        }
        supervisor.join().is_ok()
    }
}

fn supervise(b: &Blueprint, threads: Vec<JoinHandle<()>>, wakers: &[Arc<ThreadWaker>]) {
    // A failed thread asks the others to stop; they may be asleep.
    let wake_all = || wakers.iter().for_each(|w| w.wake());
    // Without stream threads there is the global one, which goes on until it is told to stop.
    while !threads.iter().all(JoinHandle::is_finished) || (threads.is_empty() && !b.stop.requested()) {
        if b.stop.requested() {
            wake_all();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for thread in threads {
        if thread.join().is_err() {
            b.state
                .fail(Error::new(ErrorKind::Fatal, "a stream thread has panicked"));
        }
    }
}

fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(f)
        .map_err(|e| Error::new(ErrorKind::Fatal, "a thread cannot be started").caused_by(e))
}

/// Steps a machine until it stops, parking in between.
fn drive(clock: Clock, waker: &ThreadWaker, mut step: impl FnMut(Now) -> Next) {
    loop {
        let now = clock.now();
        match step(now) {
            Next::Again => {}
            Next::WaitUntil(at) => waker.wait(at.saturating_sub(clock.now().elapsed)),
            Next::Stopped => return,
        }
    }
}

/// Runs something that blocks without holding up the caller's executor.
pub(crate) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = futures::channel::oneshot::channel();
    spawn("millstream-start", move || {
        if sender.send(f()).is_err() {
            tracing::debug!("nobody waits for the start any more");
        }
    })?;
    receiver
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Fatal, "starting has panicked")))
}
