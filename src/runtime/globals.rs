//! Who fills the global stores? One thread of the instance. It reads every partition of their topics, as a member of no group:
//! first up to where they ended when it began, while the stream threads wait, and then whatever comes.
//!
//! The rows and how far they go are committed together, so that a restart goes on where the last run stopped. An error ends the
//! instance: its joins would go on with rows that get older and older.

mod filler;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use filler::Filler;

use super::{Next, assembly::Blueprint, clock::Now, metrics::add, state_machine::StateMachine, stream::UncaughtAction};
use crate::{
    cluster::{Admin, Consumer, ConsumerConfig, ErrorClass, Waker},
    dsl::engine::Topology,
    error::{Error, ErrorKind, Result},
    state::{GlobalReader, StateError},
};

const BACKOFF: Duration = Duration::from_millis(100);

/// What the stream threads know of the global stores.
pub(crate) struct Globals {
    needed: bool,
    reader: OnceLock<GlobalReader>,
    state: Arc<StateMachine>,
    stop: AtomicBool,
    waker: OnceLock<Arc<dyn Waker>>,
}

impl Globals {
    pub(super) fn of(topology: &Topology, state: &Arc<StateMachine>) -> Arc<Self> {
        let needed = !topology.global_stores().is_empty();
        if !needed {
            state.globals_ready();
        }
        Arc::new(Self {
            needed,
            reader: OnceLock::new(),
            state: state.clone(),
            stop: AtomicBool::new(false),
            waker: OnceLock::new(),
        })
    }

    /// Whether somebody has to fill them; that one hears of the end by this waker.
    pub(super) fn attend(&self, waker: Arc<dyn Waker>) -> bool {
        self.waker.get_or_init(|| waker);
        self.needed
    }

    pub(super) fn are_ready(&self) -> bool {
        !self.needed || self.reader.get().is_some()
    }

    pub(super) fn reader(&self) -> Option<&GlobalReader> {
        self.reader.get()
    }

    /// Nobody reads the stores any more.
    pub(super) fn stop(&self) {
        self.stop.store(true, SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

/// What the machine is made from, on the thread that steps it.
pub(crate) struct GlobalMaker {
    b: Arc<Blueprint>,
    globals: Arc<Globals>,
    consumer: ConsumerConfig,
    client_id: String,
    waker: Arc<dyn Waker>,
}

impl GlobalMaker {
    pub(super) fn new(
        b: Arc<Blueprint>,
        globals: Arc<Globals>,
        consumer: ConsumerConfig,
        client_id: String,
        waker: Arc<dyn Waker>,
    ) -> Self {
        Self {
            b,
            globals,
            consumer,
            client_id,
            waker,
        }
    }
}

/// The clients of the machine.
struct Clients {
    consumer: Box<dyn Consumer>,
    admin: Box<dyn Admin>,
}

enum Stage {
    Making,
    /// The brokers are asked what there is to read.
    Opening(Clients, Duration),
    /// Up to where the topics ended when they were opened; the time is that of the last progress.
    Filling(Box<Filler>, Clients, Duration),
    Following(Box<Filler>, Clients),
    /// Only waits for the end: readers may still be at work.
    Failed(Option<Box<Filler>>, bool),
    Over,
}

/// Fills the global stores and keeps them up to date.
pub(crate) struct GlobalRunner {
    maker: GlobalMaker,
    stage: Stage,
}

impl GlobalRunner {
    pub(crate) fn new(maker: GlobalMaker) -> Self {
        Self {
            maker,
            stage: Stage::Making,
        }
    }

    pub(crate) fn step(&mut self, now: Now) -> Next {
        if self.maker.globals.stop.load(SeqCst) {
            self.close();
            return Next::Stopped;
        }
        let stepped = catch_unwind(AssertUnwindSafe(|| self.try_step(now)))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Fatal, "the global thread has panicked")));
        stepped.unwrap_or_else(|error| {
            self.fail(error);
            Next::WaitUntil(now.elapsed + Duration::from_secs(1))
        })
    }

    fn try_step(&mut self, now: Now) -> Result<Next> {
        let b = &self.maker.b;
        let later = Next::WaitUntil(now.elapsed + b.config.poll_interval);
        match &mut self.stage {
            Stage::Making => {
                let clients = Clients {
                    consumer: b.cluster.consumer(&self.maker.consumer, self.maker.waker.clone())?,
                    admin: b.cluster.admin(&format!("{}-admin", self.maker.client_id))?,
                };
                self.stage = Stage::Opening(clients, now.elapsed);
                Ok(Next::Again)
            }
            Stage::Opening(clients, since) => match Filler::open(b, clients, now) {
                Ok(filler) => {
                    let Stage::Opening(clients, _) = std::mem::replace(&mut self.stage, Stage::Over) else {
                        return Ok(Next::Again);
                    };
                    self.stage = Stage::Filling(Box::new(filler), clients, now.elapsed);
                    Ok(Next::Again)
                }
                Err(e) if e.kind() == ErrorKind::Retry && now.elapsed < *since + b.config.startup_timeout => {
                    tracing::debug!(error = %e, "opening the global stores again soon");
                    Ok(Next::WaitUntil(now.elapsed + BACKOFF))
                }
                Err(e) => Err(e),
            },
            Stage::Filling(filler, clients, since) => {
                let before = filler.records();
                let moved = filler.round(clients, now, b)?;
                add(&b.metrics.records_restored, filler.records() - before);
                if filler.is_filled() {
                    return self.filled();
                }
                if moved {
                    *since = now.elapsed;
                    return Ok(Next::Again);
                }
                if now.elapsed >= *since + b.config.startup_timeout {
                    return Err(filler.stuck(b.config.startup_timeout));
                }
                Ok(later)
            }
            Stage::Following(filler, clients) => {
                let moved = filler.round(clients, now, b)?;
                Ok(if moved { Next::Again } else { later })
            }
            Stage::Failed(..) => Ok(later),
            Stage::Over => Ok(Next::Stopped),
        }
    }

    fn filled(&mut self) -> Result<Next> {
        let Stage::Filling(filler, clients, _) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(Next::Again);
        };
        tracing::info!(records = filler.records(), "the global stores are filled");
        let reader = filler.reader()?;
        self.stage = Stage::Following(filler, clients);
        self.maker.globals.reader.get_or_init(|| reader);
        self.maker.globals.state.globals_ready();
        Ok(Next::Again)
    }

    /// The instance ends, whatever the handler says, except that it may take all others with it.
    fn fail(&mut self, error: Error) {
        let b = &self.maker.b;
        tracing::error!(error = %error, "the global thread has failed");
        add(&b.metrics.failed_threads, 1);
        let damaged = error.state_error().is_some_and(StateError::is_damage);
        if (b.on_error)(&error) == UncaughtAction::ShutdownApplication {
            b.stop.request_of_all();
        }
        let filler = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Filling(filler, ..) | Stage::Following(filler, _) => Some(filler),
            _ => None,
        };
        self.stage = Stage::Failed(filler, damaged);
        b.state.fail(error);
        b.stop.request();
    }

    fn close(&mut self) {
        let (filler, damaged) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Filling(filler, ..) | Stage::Following(filler, _) => (Some(filler), false),
            Stage::Failed(filler, damaged) => (filler, damaged),
            Stage::Making | Stage::Opening(..) | Stage::Over => (None, false),
        };
        if let Some(Err(e)) = filler.map(|filler| filler.close(damaged)) {
            tracing::warn!(error = %e, "the global stores were not closed cleanly; the next start reads what is missing");
        }
    }
}

/// Errors that pass by themselves, while they do not last.
fn passes(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Retry | ErrorClass::Unknown)
}
