//! One simulation from beginning to end: a stormy time, a calm one, an orderly stop, and the last look.

use std::{sync::Arc, time::Duration};

use super::{
    check::Checker,
    faults::Faults,
    feed::Feed,
    instance::{EPOCH_MS, Instance, Stepped},
    network::refused,
    observation::Observation,
    random::Random,
    report::{Failure, Records, Run},
    simulator::Plan,
    strike::{Consequence, Strike, kinds, strike},
    world::{Leg, Parcel, SharedWorld, World, lock},
};
use crate::cluster::memory::{ManualClock, MemoryCluster, MemoryClusterConfig, RequestKind};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
pub(super) const SESSION_TIMEOUT_MS: i64 = 6_000;
const LOOK_EVERY_US: u64 = 250 * MS;
/// An orderly stop takes at most this long.
const STOP_WITHIN_US: u64 = 60 * SECOND;
/// More steps than this without time passing: something goes round in circles.
const MOST_STEPS_PER_MS: u64 = 20_000;

type Step<T = ()> = Result<T, String>;

pub(super) struct Simulation<'a> {
    plan: &'a Plan,
    seed: u64,
    world: SharedWorld,
    clock: Arc<ManualClock>,
    cluster: MemoryCluster,
    instances: Vec<Instance>,
    feed: Feed,
    checker: Checker,
    strikes: Vec<Strike>,
    next_strike_us: u64,
    next_look_us: u64,
    /// Instances that are stopped in order start again.
    restarting: bool,
    /// Topics may not hold any more what has been overwritten.
    compacted: bool,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(plan: &'a Plan, seed: u64, keep_trace: bool) -> Step<Self> {
        let mut random = Random::new(seed);
        let faults = plan.faults.draw(&mut random);
        let clock = Arc::new(ManualClock::at(i64::try_from(EPOCH_MS).unwrap_or(i64::MAX)));
        let config = MemoryClusterConfig {
            session_timeout_ms: SESSION_TIMEOUT_MS,
            // When topics are compacted is left to chance, not to time.
            cleanup_interval_ms: i64::MAX,
            num_standby_replicas: plan.standbys,
            ..MemoryClusterConfig::default()
        };
        let cluster = MemoryCluster::with(config, clock.clone());
        for (name, partitions) in &plan.topics {
            cluster
                .create_topic(name, *partitions, &[])
                .map_err(|e| e.to_string())?;
        }
        let aborts = if plan.config.exactly_once() { 50 } else { 0 };
        let feed = Feed::new(&cluster, &plan.input, micros(plan.lasting), aborts, &mut random);
        let feed = feed.map_err(|e| e.to_string())?;
        let strikes = kinds(faults);
        let mut world = World::new(random, plan.instances, keep_trace);
        set_weather(&mut world, faults);
        let first = world.random.spread(100 * MS, 4 * SECOND);
        let starts: Vec<u64> = (0..plan.instances)
            .map(|_| world.random.spread(1, 10 * SECOND) - 1)
            .collect();
        let world: SharedWorld = Arc::new(std::sync::Mutex::new(world));
        let checker = Checker::new(&cluster, plan, &world)?;
        let instances = starts.iter().enumerate();
        let instances = instances
            .map(|(index, at)| Instance::new(index, &cluster, &world, if index == 0 { 0 } else { *at }))
            .collect();
        Ok(Self {
            plan,
            seed,
            world,
            clock,
            cluster,
            instances,
            feed,
            checker,
            strikes,
            next_strike_us: first,
            next_look_us: 0,
            restarting: true,
            compacted: false,
        })
    }

    pub(super) fn run(mut self) -> Result<Run, Failure> {
        match self.phases() {
            Ok((records, recovery_ms)) => {
                let world = &mut *lock(&self.world);
                Ok(Run {
                    seed: self.seed,
                    records,
                    happened: world.happened.clone(),
                    fingerprint: world.trace.fingerprint(),
                    steps: world.trace.lines(),
                    virtual_ms: world.now_us / MS,
                    recovery_ms,
                    observed: std::mem::take(&mut world.observed),
                    trace: world.trace.take_text(),
                })
            }
            Err(violation) => {
                let world = &mut *lock(&self.world);
                Err(Failure {
                    seed: self.seed,
                    violation,
                    at_ms: world.now_us / MS,
                    happened: world.happened.clone(),
                    observed: std::mem::take(&mut world.observed),
                    trace: world.trace.take_text(),
                })
            }
        }
    }

    /// Gives the committed records, and how long recovery took.
    fn phases(&mut self) -> Step<(Records, u64)> {
        let lasting = micros(self.plan.lasting);
        self.advance(lasting, |_| Ok(false))?;
        let calm_at = self.calm();
        let within = calm_at + self.plan.recovery_bound_us();
        let mut left = None;
        let recovered = self.advance(within, |sim| {
            left = sim.checker.left_over(sim.plan, true)?;
            Ok(left.is_none() && sim.feed.next_us() == u64::MAX && sim.instances.iter().all(Instance::is_running))
        })?;
        if !recovered {
            let left = left.unwrap_or_else(|| "not all instances are running".into());
            let bound = (within - calm_at) / SECOND;
            return Err(format!("{left}, {bound} s after the last fault"));
        }
        let recovery_ms = (self.now() - calm_at) / MS;
        lock(&self.world).observe(Observation::Recovered);
        self.restarting = false;
        self.instances.iter_mut().for_each(Instance::request_stop);
        let stopped = self.advance(self.now() + STOP_WITHIN_US, |sim| {
            Ok(sim.instances.iter().all(Instance::is_down))
        })?;
        if !stopped {
            return Err(format!("an instance did not stop within {} s", STOP_WITHIN_US / SECOND));
        }
        self.drain()?;
        let disks = self.instances.iter().map(|i| (i.index, &i.disk));
        let (records, rows) = self.checker.finish(self.plan, disks, self.compacted)?;
        self.count(rows)?;
        Ok((records, recovery_ms))
    }

    /// Lets arrive what is still under way, and what that begins time out.
    fn drain(&mut self) -> Step {
        let within = self.now() + 30 * SECOND + micros(self.plan.config.transaction_timeout);
        self.advance(within, |sim| {
            let quiet = lock(&sim.world).next_parcel_us() == u64::MAX;
            Ok(quiet && sim.cluster.open_transactions().is_empty())
        })
        .map(|_| ())
    }

    fn now(&self) -> u64 {
        lock(&self.world).now_us
    }

    /// All faults end.
    fn calm(&mut self) -> u64 {
        let mut world = lock(&self.world);
        world.calm();
        let now = world.now_us;
        world.note("world", "calm", String::new);
        world.observe(Observation::Cleared);
        drop(world);
        self.strikes.clear();
        for instance in &mut self.instances {
            instance.paused_until_us = 0;
            instance.disk.fail_writes(0);
            if instance.is_down() {
                instance.start_at_us = now;
            }
            for number in 0..32 {
                instance.keep_busy(number, now);
            }
        }
        now
    }

    /// Goes on until the time is over, or until `done` at a look.
    fn advance(&mut self, until_us: u64, mut done: impl FnMut(&mut Self) -> Step<bool>) -> Step<bool> {
        let mut in_this_ms = (0, 0);
        loop {
            let now = self.now();
            if now >= until_us {
                return Ok(false);
            }
            in_this_ms = match in_this_ms {
                (ms, steps) if ms == now / MS => (ms, steps + 1),
                _ => (now / MS, 0),
            };
            if in_this_ms.1 > MOST_STEPS_PER_MS {
                return Err("something goes round in circles: steps are made, but no time passes".into());
            }
            if now >= self.next_look_us {
                self.next_look_us = now + LOOK_EVERY_US;
                self.checker.look()?;
                if done(self)? {
                    return Ok(true);
                }
            }
            if self.feed.next_us() <= now {
                self.write_input(now)?;
            }
            if !self.strikes.is_empty() && now >= self.next_strike_us {
                self.strike();
            } else if !self.deliver()? && !self.step_somebody(now)? {
                self.sleep(until_us);
            }
        }
    }

    fn write_input(&mut self, now: u64) -> Step {
        let mut world = lock(&self.world);
        let written = self.feed.write_due(now, &mut world.random);
        let (written, aborted) = written.map_err(|e| format!("the input cannot be written: {e}"))?;
        world.note("feed", "wrote", || {
            format!("{} records, {aborted} aborted", written.len())
        });
        for record in written {
            world.observe(Observation::Produced(record));
        }
        if aborted > 0 {
            world.happens("input of an aborted transaction");
        }
        Ok(())
    }

    fn strike(&mut self) {
        let mut world = lock(&self.world);
        let consequence = strike(&mut world, &mut self.instances, &self.cluster, &self.strikes);
        self.next_strike_us = world.now_us + world.random.spread(20 * MS, 8 * SECOND);
        drop(world);
        match consequence {
            Consequence::None => {}
            Consequence::Leap(by_us) => self.pass(by_us),
            Consequence::Compacted => self.compacted = true,
        }
    }

    /// The next leg of a message that is due; false: none is.
    fn deliver(&mut self) -> Step<bool> {
        let Some((mut parcel, leg)) = lock(&self.world).take_due() else {
            return Ok(false);
        };
        // The message reaches the cluster, which wakes clients, with the world unlocked.
        let refusal = match leg {
            Leg::Arrive => parcel.message.arrive().err(),
            Leg::Refuse(code) => {
                parcel.message.refuse(refused(code));
                None
            }
            Leg::Answer => {
                parcel.message.answer();
                None
            }
            Leg::Lose(trouble) => {
                parcel.message.lose(trouble);
                parcel.given_up = true;
                None
            }
        };
        let mut world = lock(&self.world);
        note_leg(&mut world, &parcel, leg, refusal.as_ref());
        let committed = parcel.message.kind() == RequestKind::CommitOffsets && matches!(leg, Leg::Arrive);
        world.put_back(parcel);
        drop(world);
        if committed {
            self.checker.offsets_only_grow()?;
        }
        self.pass(20);
        Ok(true)
    }

    /// One step of some part of some instance that is ready; false: none is.
    fn step_somebody(&mut self, now: u64) -> Step<bool> {
        let ready: Vec<usize> = self.instances.iter().map(|i| i.count_ready(now)).collect();
        let all: usize = ready.iter().sum();
        if all == 0 {
            return Ok(false);
        }
        let mut world = lock(&self.world);
        let mut nth = world.random.below(all);
        world.blocked_us = 0;
        drop(world);
        for (index, ready) in ready.into_iter().enumerate() {
            if nth < ready {
                self.step_instance(index, nth, now)?;
                break;
            }
            nth -= ready;
        }
        Ok(true)
    }

    fn step_instance(&mut self, index: usize, nth: usize, now: u64) -> Step {
        let Some(instance) = self.instances.get_mut(index) else {
            return Ok(());
        };
        if instance.wakes_as_zombie(now) {
            lock(&self.world).befalls(Some(index), "zombie woke up");
        }
        let (what, part, stepped) = instance.step(nth, now, self.plan);
        let name = instance.actor_name(part);
        let mut world = lock(&self.world);
        world.note(&name, what, String::new);
        let cost = world.random.spread(5, 200);
        // Waiting for an answer inside a step holds up this part, nobody else.
        let blocked = std::mem::take(&mut world.blocked_us);
        if blocked > 0 {
            instance.keep_busy(part, now + blocked);
        }
        match stepped {
            Ok(Stepped::Went) => {}
            Ok(Stepped::Stopped) => {
                world.note(&name, "stopped", String::new);
                if self.restarting {
                    instance.start_at_us = now + world.random.spread(10 * MS, 5 * SECOND);
                }
            }
            Ok(Stepped::Failed(error)) if (self.plan.restart_after)(&error) => {
                world.befalls(Some(index), "failed and was started again");
                if self.restarting {
                    instance.start_at_us = now + world.random.spread(10 * MS, 5 * SECOND);
                }
            }
            Ok(Stepped::Failed(error)) | Err(error) => {
                return Err(format!("instance {index} stopped because of an error: {error}"));
            }
        }
        drop(world);
        self.pass(cost);
        Ok(())
    }

    /// Nothing can be done: time goes on until something can.
    fn sleep(&mut self, until_us: u64) {
        let now = self.now();
        let timer_ms = self.cluster.next_timer_ms().saturating_sub_unsigned(EPOCH_MS);
        let timer = u64::try_from(timer_ms).unwrap_or(0).saturating_mul(MS);
        let strike = if self.strikes.is_empty() {
            u64::MAX
        } else {
            self.next_strike_us
        };
        let instances = self.instances.iter().map(Instance::ready_us);
        let next = instances
            .chain([
                lock(&self.world).next_parcel_us(),
                self.feed.next_us(),
                self.next_look_us,
                strike,
                until_us,
                timer.max(now + MS),
            ])
            .min();
        self.pass(next.unwrap_or(until_us).saturating_sub(now).max(1));
        self.cluster.run_timers();
    }

    fn pass(&mut self, by_us: u64) {
        let mut world = lock(&self.world);
        let before_ms = world.now_us / MS;
        world.now_us += by_us;
        let passed_ms = world.now_us / MS - before_ms;
        drop(world);
        self.clock.advance(i64::try_from(passed_ms).unwrap_or(i64::MAX));
    }

    /// What only the end can tell.
    fn count(&mut self, rows: u64) -> Step {
        let (sessions, transactions) = self.cluster.timed_out();
        let mut totals = [
            ("session expired", sessions),
            ("transaction timed out", transactions),
            ("row of state compared with its changelog", rows),
            ("record processed", 0),
            ("commit", 0),
            ("abort", 0),
            ("record restored", 0),
            ("record dropped", 0),
            ("copy of a task's state taken over", 0),
        ];
        let mut misfits = 0;
        for instance in &self.instances {
            let counts = instance.counts();
            let more = [
                counts.processed,
                counts.commits,
                counts.aborts,
                counts.restored,
                counts.dropped,
                counts.takeovers,
            ];
            misfits += counts.misfits;
            for ((_, total), more) in totals.iter_mut().skip(3).zip(more) {
                *total += more;
            }
        }
        let mut world = lock(&self.world);
        for (what, count) in totals {
            *world.happened.entry(what).or_default() += count;
        }
        // What retention takes away while it is being read is read again from the beginning.
        if misfits > 0 && !self.compacted {
            return Err(format!(
                "{misfits} tasks read of their changelogs what the copies of their state had already"
            ));
        }
        Ok(())
    }
}

fn set_weather(world: &mut World, faults: Faults) {
    if faults.losses {
        world.weather.trouble_per_mille = u32::try_from(world.random.spread(1, 30)).unwrap_or(1);
    }
    if world.random.chance(300) {
        world.weather.slow_per_mille = u32::try_from(world.random.spread(2, 100)).unwrap_or(2);
    }
    world.weather.small_fetches = world.random.chance(500);
    world.weather.former_ends = world.random.chance(500);
    world.clients_ask_again = faults.losses && world.random.chance(500);
    if faults.refusals {
        world.weather.fenced_per_mille = u32::try_from(world.random.spread(1, 10)).unwrap_or(1);
    }
}

fn note_leg(world: &mut World, parcel: &Parcel, leg: Leg, refusal: Option<&crate::cluster::ClusterError>) {
    let kind = parcel.message.kind();
    if let (Leg::Arrive, Some(error)) = (leg, refusal) {
        world.happens(match error.code {
            47 | 49 | 90 => "producer fenced",
            22 | 25 | 110 | 113 => "member fenced",
            88 => "offsets unstable",
            _ => "request refused",
        });
        match kind {
            RequestKind::EndTransaction if parcel.given_up => world.happens("late EndTxn refused"),
            RequestKind::AddOffsets if parcel.given_up => world.happens("late offsets refused"),
            _ => {}
        }
    }
    if matches!(leg, Leg::Arrive) && refusal.is_none() && kind == RequestKind::Heartbeat && parcel.given_up {
        world.happens("answer to a heartbeat that nobody waited for");
    }
    let name = format!("{}", parcel.instance);
    world.note(&name, "net", || {
        let client = parcel.connection.client;
        let number = parcel.connection.number;
        let outcome = refusal
            .map(|e| format!(" -> {} {}", e.code, e.message))
            .unwrap_or_default();
        format!(
            "{client}/{number} {leg:?} {kind:?} {}{outcome}",
            parcel.message.describe()
        )
    });
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
