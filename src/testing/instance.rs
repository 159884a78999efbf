//! One instance of the application: started, stepped, killed, started again on what its disk still has.

use std::{sync::Arc, time::Duration};

use super::{
    actor::{Actor, Flag, Machine},
    network::InstanceNetwork,
    simulator::Plan,
    world::SharedWorld,
};
use crate::{
    cluster::{Admin, Cluster, memory::MemoryCluster},
    error::{Error, Result},
    runtime::{
        MetricsSnapshot, State,
        assembly::{Assembly, Blueprint, StreamRunner},
        clock::Now,
        globals::GlobalRunner,
        metrics::Metrics,
        startup::StartupCheck,
        state_machine::StateMachine,
        stream::StopFlags,
    },
    state::{DiskCopy, MemoryDisk, StateEngine},
};

/// Wall clock at the beginning of every simulation, in milliseconds.
pub(super) const EPOCH_MS: u64 = 1_700_000_000_000;

pub(super) struct Instance {
    pub(super) index: usize,
    pub(super) disk: MemoryDisk,
    /// What the disk once was.
    pub(super) old_disk: Option<DiskCopy>,
    cluster: MemoryCluster,
    pub(super) life: Life,
    pub(super) paused_until_us: u64,
    /// From then on a pause was longer than its session: it wakes up as a zombie.
    pub(super) zombie_from_us: u64,
    /// What its wall clock shows too much.
    pub(super) skew_ms: i64,
    /// When it starts again, while it is down.
    pub(super) start_at_us: u64,
    /// Counters of the incarnations that are gone.
    past: Counts,
}

pub(super) enum Life {
    Down,
    Starting {
        check: Box<StartupCheck>,
        admin: Box<dyn Admin>,
        due_us: u64,
        started_us: u64,
    },
    Up(Box<Machines>),
}

pub(super) struct Machines {
    pub(super) actors: Vec<Actor>,
    assembly: Assembly,
    started_us: u64,
    services_told: bool,
}

/// What a step led to.
pub(super) enum Stepped {
    Went,
    /// The instance has stopped in order.
    Stopped,
    /// The instance has stopped because of this.
    Failed(Error),
}

impl Instance {
    pub(super) fn new(index: usize, cluster: &MemoryCluster, world: &SharedWorld, start_at_us: u64) -> Self {
        let network = InstanceNetwork {
            instance: index,
            world: world.clone(),
        };
        Self {
            index,
            disk: MemoryDisk::new(format!("instance-{index}")),
            old_disk: None,
            cluster: cluster.through(Arc::new(network)),
            life: Life::Down,
            paused_until_us: 0,
            zombie_from_us: u64::MAX,
            skew_ms: 0,
            start_at_us,
            past: Counts::default(),
        }
    }

    fn now(&self, now_us: u64, started_us: u64) -> Now {
        let wall_ms = i64::try_from(EPOCH_MS + now_us / 1_000).unwrap_or(i64::MAX);
        Now {
            elapsed: Duration::from_micros(now_us.saturating_sub(started_us)),
            wall_ms: wall_ms.saturating_add(self.skew_ms),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.life, Life::Up(_))
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(&self.life, Life::Up(m) if m.assembly.b.state.state() == State::Running)
    }

    /// Whether it goes on after a pause that was longer than its session.
    pub(super) fn wakes_as_zombie(&mut self, now_us: u64) -> bool {
        std::mem::replace(&mut self.zombie_from_us, u64::MAX) <= now_us
    }

    /// When something of it can be stepped.
    pub(super) fn ready_us(&self) -> u64 {
        let ready = match &self.life {
            Life::Down => self.start_at_us,
            Life::Starting { due_us, .. } => *due_us,
            Life::Up(machines) => machines.actors.iter().map(Actor::ready_us).min().unwrap_or(u64::MAX),
        };
        ready.max(self.paused_until_us)
    }

    /// How many of its parts can be stepped now.
    pub(super) fn count_ready(&self, now_us: u64) -> usize {
        if now_us < self.paused_until_us {
            return 0;
        }
        match &self.life {
            Life::Up(machines) => machines.actors.iter().filter(|a| a.ready_us() <= now_us).count(),
            _ => usize::from(self.ready_us() <= now_us),
        }
    }

    /// Steps the part of this number among those that are ready. Gives its name, too.
    pub(super) fn step(
        &mut self,
        nth_ready: usize,
        now_us: u64,
        plan: &Plan,
    ) -> (&'static str, usize, Result<Stepped>) {
        match &mut self.life {
            Life::Down => ("start", 0, self.begin(now_us, plan).map(|()| Stepped::Went)),
            Life::Starting { .. } => ("check", 0, self.check(now_us, plan).map(|()| Stepped::Went)),
            Life::Up(_) => {
                let now = match &self.life {
                    Life::Up(m) => self.now(now_us, m.started_us),
                    _ => return ("gone", 0, Ok(Stepped::Went)),
                };
                let Life::Up(machines) = &mut self.life else {
                    return ("gone", 0, Ok(Stepped::Went));
                };
                let stepped = machines.step(nth_ready, now, now_us);
                if !matches!(stepped.1, Stepped::Went) {
                    self.go_down();
                }
                ("step", stepped.0, Ok(stepped.1))
            }
        }
    }

    fn begin(&mut self, now_us: u64, plan: &Plan) -> Result<()> {
        let config = &plan.config;
        self.start_at_us = u64::MAX;
        self.life = Life::Starting {
            check: Box::new(StartupCheck::new(
                &plan.topology,
                config.startup_timeout,
                config.missing_topic_timeout,
            )?),
            admin: self.cluster.admin("start")?,
            due_us: now_us,
            started_us: now_us,
        };
        Ok(())
    }

    fn check(&mut self, now_us: u64, plan: &Plan) -> Result<()> {
        let now = match &self.life {
            Life::Starting { started_us, .. } => self.now(now_us, *started_us),
            _ => return Ok(()),
        };
        let Life::Starting {
            check, admin, due_us, ..
        } = &mut self.life
        else {
            return Ok(());
        };
        if let Some(pause) = check.step(admin.as_mut(), now)? {
            *due_us = now_us + u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
            return Ok(());
        }
        let machines = self.assemble(now_us, plan)?;
        self.life = Life::Up(Box::new(machines));
        Ok(())
    }

    fn assemble(&self, now_us: u64, plan: &Plan) -> Result<Machines> {
        let threads = plan.config.stream_threads;
        let blueprint = Blueprint {
            config: plan.config.clone(),
            topology: plan.topology.clone(),
            cluster: Arc::new(self.cluster.clone()),
            engine: StateEngine::on_memory_disk(&self.disk),
            on_error: plan.on_error.clone(),
            state: StateMachine::new(&plan.config.application_id, threads),
            metrics: Arc::new(Metrics::default()),
            stop: Arc::new(StopFlags::default()),
        };
        let [for_control, for_updater] = [(); 2].map(|()| Arc::new(Flag::default()));
        let (assembly, control, updater) = Assembly::new(blueprint, for_control.clone(), for_updater.clone())?;
        assembly.b.state.become_(State::Rebalancing);
        let name = |part: &str| format!("{}.{part}", self.index);
        let mut actors = vec![
            Actor::new(name("control"), Machine::Control(control), for_control),
            Actor::new(name("updater"), Machine::Updater(updater), for_updater),
        ];
        let flag = Arc::new(Flag::default());
        if let Some(maker) = assembly.globals(flag.clone()) {
            let runner = GlobalRunner::new(maker);
            actors.push(Actor::new(name("global"), Machine::Global(runner), flag));
        }
        for index in 0..threads {
            let flag = Arc::new(Flag::default());
            let runner = StreamRunner::new(assembly.thread(index, flag.clone()));
            actors.push(Actor::new(
                name(&format!("stream-{index}")),
                Machine::Stream(runner),
                flag,
            ));
        }
        Ok(Machines {
            actors,
            assembly,
            started_us: now_us,
            services_told: false,
        })
    }

    /// Nothing of it runs any more; nothing was flushed, nobody was told.
    pub(super) fn kill(&mut self, start_at_us: u64) {
        self.go_down();
        self.start_at_us = start_at_us;
        self.paused_until_us = 0;
        self.zombie_from_us = u64::MAX;
    }

    fn go_down(&mut self) {
        if let Life::Up(machines) = &self.life {
            self.past = self.past.plus(machines.assembly.b.metrics.snapshot());
        }
        self.life = Life::Down;
        self.start_at_us = u64::MAX;
    }

    /// Asks it to stop in order.
    pub(super) fn request_stop(&mut self) {
        if let Life::Up(machines) = &self.life {
            machines.assembly.b.state.become_(State::PendingShutdown);
            machines.assembly.b.stop.request();
            machines.wake_streams();
        } else {
            self.life = Life::Down;
            self.start_at_us = u64::MAX;
        }
    }

    /// Counters of all its incarnations.
    pub(super) fn counts(&self) -> Counts {
        match &self.life {
            Life::Up(machines) => self.past.plus(machines.assembly.b.metrics.snapshot()),
            _ => self.past,
        }
    }

    pub(super) fn actor_name(&self, number: usize) -> String {
        match &self.life {
            Life::Up(machines) => machines.actors.get(number).map(|a| a.name.clone()),
            _ => None,
        }
        .unwrap_or_else(|| format!("{}", self.index))
    }

    /// The part of this number stands still until then.
    pub(super) fn keep_busy(&mut self, number: usize, until_us: u64) {
        match &mut self.life {
            Life::Up(machines) => {
                if let Some(actor) = machines.actors.get_mut(number) {
                    actor.busy_until_us = until_us;
                }
            }
            Life::Starting { due_us, .. } => *due_us = (*due_us).max(until_us),
            Life::Down => {}
        }
    }
}

impl Machines {
    fn wake_streams(&self) {
        use crate::cluster::Waker;
        for actor in self.actors.iter().filter(|a| a.is_stream()) {
            actor.flag.wake();
        }
    }

    /// Steps one actor and does what the supervisor of a real instance does.
    fn step(&mut self, nth_ready: usize, now: Now, now_us: u64) -> (usize, Stepped) {
        let mut ready = self
            .actors
            .iter_mut()
            .enumerate()
            .filter(|(_, a)| a.ready_us() <= now_us);
        let Some((number, actor)) = ready.nth(nth_ready) else {
            return (0, Stepped::Went);
        };
        actor.step(now, self.started_us);
        if self.assembly.b.stop.requested() && actor.is_stream() && actor.stopped {
            self.wake_streams();
        }
        if !self.services_told && self.actors.iter().filter(|a| a.is_stream()).all(|a| a.stopped) {
            self.services_told = true;
            self.assembly.threads_have_ended();
        }
        if !self.actors.iter().all(|a| a.stopped) {
            return (number, Stepped::Went);
        }
        self.assembly.b.state.end();
        let ended = match self.assembly.b.state.error() {
            Some(error) => Stepped::Failed(error),
            None => Stepped::Stopped,
        };
        (number, ended)
    }
}

/// Counters of all incarnations of an instance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) processed: u64,
    pub(super) commits: u64,
    pub(super) aborts: u64,
    pub(super) restored: u64,
    pub(super) dropped: u64,
    pub(super) takeovers: u64,
    pub(super) misfits: u64,
}

impl Counts {
    fn plus(self, of: MetricsSnapshot) -> Self {
        Self {
            processed: self.processed + of.records_processed,
            commits: self.commits + of.commits,
            aborts: self.aborts + of.aborts,
            restored: self.restored + of.records_restored,
            dropped: self.dropped + of.records_dropped,
            takeovers: self.takeovers + of.standby_takeovers,
            misfits: self.misfits + of.standby_misfits,
        }
    }
}
