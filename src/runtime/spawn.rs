//! The threads of an application instance, and who ends whom.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::channel,
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    Next,
    clock::{Clock, Now},
    control::Control,
    link::{ControlHandle, Joining, MemberLink, MemberShared, ToControl},
    metrics::Metrics,
    state_machine::{State, StateMachine, ThreadState},
    stream::{Ended, StopFlags, StreamThread, ThreadContext, UncaughtAction},
    topology,
    updater::{Command, StateUpdater, UpdaterHandle, UpdaterParts},
    wake::ThreadWaker,
};
use crate::{
    cluster::{Cluster, ConsumerConfig, Isolation, ProducerConfig, TopologyDescription, Waker},
    config::StreamsConfig,
    dsl::engine::Topology,
    error::{Error, ErrorKind, Result},
    membership::{MemberConfig, Timing},
    state::StateEngine,
    task::{Output, ProducerFactory},
};

/// Called with the error a stream thread ended with.
pub(crate) type ErrorHandler = Arc<dyn Fn(&Error) -> UncaughtAction + Send + Sync>;

/// What all threads are made from.
pub(crate) struct Blueprint {
    pub(crate) config: Arc<StreamsConfig>,
    pub(crate) topology: Topology,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) engine: StateEngine,
    pub(crate) on_error: ErrorHandler,
    pub(crate) state: Arc<StateMachine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: Arc<StopFlags>,
    pub(crate) clock: Clock,
}

/// A running instance.
pub(crate) struct Instance {
    supervisor: Option<JoinHandle<()>>,
    wakers: Vec<Arc<ThreadWaker>>,
    stop: Arc<StopFlags>,
}

impl Instance {
    pub(crate) fn start(blueprint: Blueprint) -> Result<Self> {
        let b = Arc::new(blueprint);
        let client_id = client_id(&b);
        let (control, control_thread) = spawn_control(&b, &client_id)?;
        let (updater, updater_thread) = spawn_updater(&b, &client_id)?;
        let description = topology::describe(&b.topology, &b.config.application_id);
        b.state.become_(State::Rebalancing);
        let mut wakers = Vec::new();
        let mut threads = Vec::new();
        for index in 0..b.config.stream_threads {
            let waker = Arc::new(ThreadWaker::default());
            wakers.push(waker.clone());
            let maker = ThreadMaker {
                b: b.clone(),
                index,
                name: format!("{client_id}-StreamThread-{}", index + 1),
                waker,
                control: control.clone(),
                updater: updater.clone(),
                description: description.clone(),
            };
            threads.push(spawn(&maker.name.clone(), move || maker.run())?);
        }
        let stop = b.stop.clone();
        let all_wakers = wakers.clone();
        let supervisor = spawn(&format!("{client_id}-supervisor"), move || {
            supervise(&b, threads, &all_wakers);
            control.send(ToControl::Stop);
            updater.send(Command::Stop);
            for thread in [control_thread, updater_thread] {
                if thread.join().is_err() {
                    tracing::error!("a service thread has panicked");
                }
            }
            let last = if b.state.error().is_some() {
                State::Error
            } else {
                State::NotRunning
            };
            b.state.become_(last);
        })?;
        Ok(Self {
            supervisor: Some(supervisor),
            wakers,
            stop,
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
    while !threads.iter().all(JoinHandle::is_finished) {
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
    // Threads that end by themselves, for instance because the group was told to stop.
    b.state.become_(State::PendingShutdown);
}

fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(f)
        .map_err(|e| Error::new(ErrorKind::Fatal, "a thread cannot be started").caused_by(e))
}

fn client_id(b: &Blueprint) -> String {
    b.config
        .client_id
        .clone()
        .unwrap_or_else(|| format!("{}-{}", b.config.application_id, b.engine.process_id()))
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

fn spawn_control(b: &Arc<Blueprint>, client_id: &str) -> Result<(ControlHandle, JoinHandle<()>)> {
    let waker = Arc::new(ThreadWaker::default());
    let group = b
        .cluster
        .group(&format!("{client_id}-control"), &b.config.application_id, waker.clone())?;
    let (sender, receiver) = channel();
    let mut control = Control::new(group, receiver, b.config.missing_topic_timeout);
    let (clock, parked) = (b.clock, waker.clone());
    let thread = spawn(&format!("{client_id}-control"), move || {
        drive(clock, &parked, |now| control.step(now))
    })?;
    Ok((ControlHandle { sender, waker }, thread))
}

fn spawn_updater(b: &Arc<Blueprint>, client_id: &str) -> Result<(UpdaterHandle, JoinHandle<()>)> {
    let waker = Arc::new(ThreadWaker::default());
    let (sender, commands) = channel();
    let parts = UpdaterParts {
        application_id: b.config.application_id.clone(),
        topology: b.topology.clone(),
        engine: b.engine.clone(),
        consumer: b.cluster.consumer(
            &consumer_config(b, format!("{client_id}-restore-consumer")),
            waker.clone(),
        )?,
        admin: b.cluster.admin(&format!("{client_id}-admin"))?,
        commands,
        metrics: b.metrics.clone(),
        batch_records: b.config.restore_batch_records,
    };
    let (clock, parked) = (b.clock, waker.clone());
    let mut updater = StateUpdater::new(parts);
    let thread = spawn(&format!("{client_id}-StateUpdater-1"), move || {
        drive(clock, &parked, |now| updater.step(now))
    })?;
    Ok((UpdaterHandle { sender, waker }, thread))
}

fn consumer_config(b: &Blueprint, client_id: String) -> ConsumerConfig {
    let isolation = if b.config.exactly_once() {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    };
    ConsumerConfig { client_id, isolation }
}

/// Makes a stream thread, and another one if the first is to be replaced.
struct ThreadMaker {
    b: Arc<Blueprint>,
    index: usize,
    name: String,
    waker: Arc<ThreadWaker>,
    control: ControlHandle,
    updater: UpdaterHandle,
    description: Arc<TopologyDescription>,
}

impl ThreadMaker {
    fn run(self) {
        loop {
            let ended = catch_unwind(AssertUnwindSafe(|| self.run_once()))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Fatal, "a stream thread has panicked")));
            let failure = match ended {
                Ok(ended) => ended.failure,
                // It could not even be made, or broke apart: the handler has not heard of it yet.
                Err(error) => {
                    let action = (self.b.on_error)(&error);
                    Some((error, action))
                }
            };
            match failure {
                Some((error, UncaughtAction::ReplaceThread)) if !self.b.stop.requested() => {
                    tracing::warn!(thread = self.name, %error, "the stream thread is replaced");
                    // An error that comes back at once must not become a busy loop.
                    std::thread::sleep(Duration::from_millis(200));
                }
                Some((error, _)) => {
                    self.b.state.fail(error);
                    self.b.stop.request();
                    break;
                }
                None => break,
            }
        }
        self.b.state.thread(self.index, ThreadState::Dead);
    }

    fn run_once(&self) -> Result<Ended> {
        let mut thread = self.make()?;
        drive(self.b.clock, &self.waker, |now| thread.step(now));
        Ok(thread.take_ended().unwrap_or(Ended { failure: None }))
    }

    fn make(&self) -> Result<StreamThread> {
        let b = &self.b;
        let waker: Arc<dyn Waker> = self.waker.clone();
        let consumer = b
            .cluster
            .consumer(&consumer_config(b, format!("{}-consumer", self.name)), waker.clone())?;
        let group = b.cluster.group(
            &format!("{}-offsets", self.name),
            &b.config.application_id,
            waker.clone(),
        )?;
        let output = Output::new(self.producer_factory(), b.config.exactly_once(), self.room_waiter())?;
        let link = self.join();
        let cx = ThreadContext {
            index: self.index,
            config: b.config.clone(),
            topology: b.topology.clone(),
            metrics: b.metrics.clone(),
            state: b.state.clone(),
            stop: b.stop.clone(),
            updater: self.updater.clone(),
            waker,
            on_error: b.on_error.clone(),
        };
        Ok(StreamThread::new(cx, consumer, output, group, link, b.clock.now()))
    }

    fn producer_factory(&self) -> ProducerFactory {
        let b = &self.b;
        let id = format!(
            "{}-{}-{}",
            b.config.application_id,
            b.engine.process_id(),
            self.index + 1
        );
        let config = ProducerConfig {
            client_id: format!("{}-producer", self.name),
            transactional_id: b.config.exactly_once().then_some(id),
            transaction_timeout: b.config.transaction_timeout,
        };
        let (cluster, waker) = (b.cluster.clone(), self.waker.clone());
        Box::new(move || cluster.producer(&config, waker.clone()))
    }

    fn room_waiter(&self) -> Box<dyn FnMut() -> bool> {
        let (waker, stop) = (self.waker.clone(), self.b.stop.clone());
        Box::new(move || {
            waker.wait(Duration::from_millis(1));
            !stop.kill()
        })
    }

    fn join(&self) -> MemberLink {
        static MEMBERS: AtomicU64 = AtomicU64::new(1);
        let b = &self.b;
        let member = MEMBERS.fetch_add(1, Relaxed);
        let (to_thread, news) = channel();
        let shared = Arc::new(MemberShared::default());
        let config = MemberConfig {
            group_id: b.config.application_id.clone(),
            member_id: uuid::Uuid::new_v4().to_string(),
            process_id: b.engine.process_id().to_owned(),
            topology: self.description.clone(),
            rebalance_timeout_ms: i32::try_from(b.config.rebalance_timeout.as_millis()).unwrap_or(i32::MAX),
            user_endpoint: b.config.application_server.clone(),
            client_tags: b.config.client_tags.clone(),
            timing: Timing::default(),
        };
        self.control.send(ToControl::Join(Box::new(Joining {
            member,
            config,
            to_thread,
            waker: self.waker.clone(),
            shared: shared.clone(),
        })));
        MemberLink {
            member,
            news,
            control: self.control.clone(),
            shared,
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
