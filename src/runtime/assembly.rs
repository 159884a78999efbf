//! What an instance is made of: control, state updater and stream threads as stepped machines. Who steps them is not decided
//! here: [`super::spawn`] does it with threads, the simulator with none.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::channel,
    },
    time::Duration,
};

use super::{
    Next,
    clock::Now,
    control::Control,
    globals::{GlobalMaker, Globals},
    link::{ControlHandle, Joining, MemberLink, MemberShared, ToControl},
    metrics::Metrics,
    state_machine::{State, StateMachine, ThreadState},
    stream::{StopFlags, StreamThread, ThreadContext, UncaughtAction},
    topology,
    updater::{Command, StateUpdater, UpdaterHandle, UpdaterParts},
    wake::Park,
};
use crate::{
    cluster::{Cluster, ConsumerConfig, Isolation, ProducerConfig, TopologyDescription, Waker},
    config::StreamsConfig,
    dsl::engine::Topology,
    error::{Error, ErrorKind, Result},
    membership::{MemberConfig, Timing},
    mutants::{Mutant, planted},
    state::StateEngine,
    task::{Output, ProducerFactory},
};

/// Called with the error a stream thread ended with.
pub(crate) type ErrorHandler = Arc<dyn Fn(&Error) -> UncaughtAction + Send + Sync>;

/// An error that comes back at once must not become a busy loop.
const BEFORE_REPLACEMENT: Duration = Duration::from_millis(200);

/// How often a stream thread looks whether the global stores are filled.
const BEFORE_GLOBALS: Duration = Duration::from_millis(10);

/// What all machines are made from.
pub(crate) struct Blueprint {
    pub(crate) config: Arc<StreamsConfig>,
    pub(crate) topology: Topology,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) engine: StateEngine,
    pub(crate) on_error: ErrorHandler,
    pub(crate) state: Arc<StateMachine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: Arc<StopFlags>,
}

/// The services all stream threads of the instance use, and how to reach them.
pub(crate) struct Assembly {
    pub(crate) b: Arc<Blueprint>,
    pub(crate) client_id: String,
    control: ControlHandle,
    updater: UpdaterHandle,
    globals: Arc<Globals>,
    description: Arc<TopologyDescription>,
}

impl Assembly {
    /// `control_waker` and `updater_waker` wake whoever steps the two machines.
    pub(crate) fn new(
        blueprint: Blueprint,
        control_waker: Arc<dyn Waker>,
        updater_waker: Arc<dyn Waker>,
    ) -> Result<(Self, Control, StateUpdater)> {
        let b = Arc::new(blueprint);
        let client_id = client_id(&b);
        let (control, control_machine) = make_control(&b, &client_id, control_waker)?;
        let (updater, updater_machine) = make_updater(&b, &client_id, updater_waker)?;
        let assembly = Self {
            description: topology::describe(&b.topology, &b.config.application_id),
            globals: Globals::of(&b.topology, &b.state),
            b,
            client_id,
            control,
            updater,
        };
        Ok((assembly, control_machine, updater_machine))
    }

    /// How many stream threads there are: none where the topology has nothing but global stores.
    pub(crate) fn stream_threads(&self) -> usize {
        stream_threads(&self.b.topology, &self.b.config)
    }

    /// What makes the machine that fills the global stores, if there are any.
    pub(crate) fn globals(&self, waker: Arc<dyn Waker>) -> Option<GlobalMaker> {
        let client_id = format!("{}-global", self.client_id);
        let consumer = consumer_config(&self.b, format!("{client_id}-consumer"));
        self.globals
            .attend(waker.clone())
            .then(|| GlobalMaker::new(self.b.clone(), self.globals.clone(), consumer, client_id, waker))
    }

    /// What makes the stream thread of this number (from 0), anew if need be.
    pub(crate) fn thread(&self, index: usize, waker: Arc<dyn Park>) -> ThreadMaker {
        ThreadMaker {
            b: self.b.clone(),
            index,
            name: format!("{}-StreamThread-{}", self.client_id, index + 1),
            waker,
            control: self.control.clone(),
            updater: self.updater.clone(),
            globals: self.globals.clone(),
            description: self.description.clone(),
        }
    }

    /// All stream threads have ended: the services end, too.
    pub(crate) fn threads_have_ended(&self) {
        // Threads that end by themselves, for instance because the group was told to stop.
        self.b.state.become_(State::PendingShutdown);
        self.control.send(ToControl::Stop);
        self.updater.send(Command::Stop);
        self.globals.stop();
    }
}

pub(crate) fn stream_threads(topology: &Topology, config: &StreamsConfig) -> usize {
    match topology.subtopologies() {
        [] => 0,
        _ => config.stream_threads,
    }
}

fn client_id(b: &Blueprint) -> String {
    b.config
        .client_id
        .clone()
        .unwrap_or_else(|| format!("{}-{}", b.config.application_id, b.engine.process_id()))
}

fn make_control(b: &Arc<Blueprint>, client_id: &str, waker: Arc<dyn Waker>) -> Result<(ControlHandle, Control)> {
    let group = b
        .cluster
        .group(&format!("{client_id}-control"), &b.config.application_id, waker.clone())?;
    let (sender, receiver) = channel();
    let control = Control::new(group, receiver, b.config.missing_topic_timeout);
    Ok((ControlHandle { sender, waker }, control))
}

fn make_updater(b: &Arc<Blueprint>, client_id: &str, waker: Arc<dyn Waker>) -> Result<(UpdaterHandle, StateUpdater)> {
    let (sender, commands) = channel();
    let parts = UpdaterParts {
        application_id: b.config.application_id.clone(),
        topology: b.topology.clone(),
        engine: b.engine.clone(),
        consumer: b
            .cluster
            .consumer(&restore_consumer_config(b, client_id), waker.clone())?,
        admin: b.cluster.admin(&format!("{client_id}-admin"))?,
        commands,
        metrics: b.metrics.clone(),
        batch_records: b.config.restore_batch_records,
    };
    Ok((UpdaterHandle::new(sender, waker), StateUpdater::new(parts)))
}

fn restore_consumer_config(b: &Blueprint, client_id: &str) -> ConsumerConfig {
    let mut config = consumer_config(b, format!("{client_id}-restore-consumer"));
    if planted(Mutant::RestoreUncommitted) {
        config.isolation = Isolation::ReadUncommitted;
    }
    config
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
pub(crate) struct ThreadMaker {
    b: Arc<Blueprint>,
    index: usize,
    pub(crate) name: String,
    waker: Arc<dyn Park>,
    control: ControlHandle,
    updater: UpdaterHandle,
    globals: Arc<Globals>,
    description: Arc<TopologyDescription>,
}

enum Stage {
    Making,
    Running(Box<StreamThread>),
    /// Failed; another one takes its place at this time.
    Replaced(Duration),
    Over,
}

/// A stream thread with its successors. Made where it is stepped: a stream thread never leaves its thread.
pub(crate) struct StreamRunner {
    maker: ThreadMaker,
    stage: Stage,
}

impl StreamRunner {
    pub(crate) fn new(maker: ThreadMaker) -> Self {
        Self {
            maker,
            stage: Stage::Making,
        }
    }

    pub(crate) fn step(&mut self, now: Now) -> Next {
        let stepped = catch_unwind(AssertUnwindSafe(|| self.try_step(now)))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Fatal, "a stream thread has panicked")));
        match stepped {
            Ok(next) => next,
            // It could not even be made, or broke apart: the handler has not heard of it yet.
            Err(error) => {
                let action = (self.maker.b.on_error)(&error);
                self.ended(Some((error, action)), now)
            }
        }
    }

    fn try_step(&mut self, now: Now) -> Result<Next> {
        match &mut self.stage {
            Stage::Making if !self.maker.globals.are_ready() => {
                if self.maker.b.stop.requested() {
                    return Ok(self.ended(None, now));
                }
                Ok(Next::WaitUntil(now.elapsed + BEFORE_GLOBALS))
            }
            Stage::Making => {
                self.stage = Stage::Running(Box::new(self.maker.make(now)?));
                Ok(Next::Again)
            }
            Stage::Running(thread) => match thread.step(now) {
                Next::Stopped => {
                    let failure = thread.take_ended().and_then(|ended| ended.failure);
                    Ok(self.ended(failure, now))
                }
                next => Ok(next),
            },
            Stage::Replaced(at) if now.elapsed < *at => Ok(Next::WaitUntil(*at)),
            Stage::Replaced(_) => {
                self.stage = Stage::Making;
                Ok(Next::Again)
            }
            Stage::Over => Ok(Next::Stopped),
        }
    }

    fn ended(&mut self, failure: Option<(Error, UncaughtAction)>, now: Now) -> Next {
        let b = &self.maker.b;
        match failure {
            Some((error, UncaughtAction::ReplaceThread)) if !b.stop.requested() => {
                tracing::warn!(thread = self.maker.name, %error, "the stream thread is replaced");
                let at = now.elapsed + BEFORE_REPLACEMENT;
                self.stage = Stage::Replaced(at);
                return Next::WaitUntil(at);
            }
            Some((error, _)) => {
                b.state.fail(error);
                b.stop.request();
            }
            None => {}
        }
        b.state.thread(self.maker.index, ThreadState::Dead);
        self.stage = Stage::Over;
        Next::Stopped
    }
}

impl ThreadMaker {
    fn make(&self, now: Now) -> Result<StreamThread> {
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
            globals: self.globals.reader().cloned(),
            waker,
            on_error: b.on_error.clone(),
        };
        Ok(StreamThread::new(cx, consumer, output, group, link, now))
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
            // The same after a crash: joining again under the old id takes the old tasks over at once, where a new id would
            // have to wait until the group has given up on the old one. The state directory is locked, so nobody else alive has it.
            member_id: format!("{}-{}", b.engine.process_id(), self.index + 1),
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
