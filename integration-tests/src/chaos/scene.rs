//! One application under faults: its processes, the feeder, the witness, and the waiting for recovery.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feeder::Feeder;
use super::verify::{Expectation, verify, whereabouts};
use super::witness::Witness;
use super::world::World;
use super::{Attempt, Outcome, RECOVERY_BOUND, Scenario};
use crate::app::{AppEvent, AppOptions, AppProcess};
use crate::applications::Application;
use crate::history::{About, Event, History, Recorder, check};

pub(super) const PARTITIONS: i32 = 3;
/// In the directory of the scene; `simulate --history FILE` checks it again.
const HISTORY: &str = "history.jsonl";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at the logs of brokers while results are waited for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
/// A broker that gives up again and again is not mended by restarts.
const MENDED_AT_MOST: u32 = 3;
const MENDED: &str = "a broker that had given up a group it coordinates was restarted";
const BETWEEN_PROGRESS: Duration = Duration::from_secs(30);
pub(super) const TRANSACTION_TIMEOUT_MS: u64 = 6_000;

/// How a scene is set up.
#[derive(Clone, Debug)]
pub struct SceneOptions {
    /// Instances at the beginning.
    pub instances: usize,
    /// The input comes in transactions, of which some are aborted.
    pub transactional_input: bool,
    /// More arguments of the application.
    pub arguments: Vec<String>,
    /// Memory of persistent stores.
    pub state_memory_bytes: usize,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self {
            instances: 2,
            transactional_input: false,
            arguments: Vec::new(),
            state_memory_bytes: 32 << 20,
        }
    }
}

/// An application under faults.
pub struct Scene {
    /// `application.id`; topics are named after it.
    pub(super) id: String,
    options: SceneOptions,
    environment: Vec<(String, String)>,
    bootstrap: String,
    app: PathBuf,
    root: PathBuf,
    instances: Vec<Option<AppProcess>>,
    feeder: Option<Feeder>,
    witness: Witness,
    history: Arc<Recorder>,
}

impl Scenario<'_> {
    /// Topics, feeder, witness and running instances.
    pub(super) fn scene(&mut self, options: SceneOptions) -> Attempt<Scene> {
        self.mend_brokers()?;
        let id = self.world.next_scene(self.outcome.id);
        let root = self.world.dir().join(&id);
        std::fs::create_dir_all(&root)?;
        // Records from a far future, too.
        let any_time = [("message.timestamp.after.max.ms", "9223372036854775807")];
        let observer = &self.world.observer;
        observer.create_topic_with(&format!("{id}-in"), PARTITIONS, &any_time)?;
        observer.create_topic(&format!("{id}-out"), PARTITIONS)?;
        let direct = self.world.server.bootstrap();
        let mut about = About::new(Application::Count, format!("{id}, {}", self.outcome.fault), true);
        about.recovery_bound_ms = u64::try_from(RECOVERY_BOUND.as_millis()).ok();
        let history = Arc::new(Recorder::create(&root.join(HISTORY), &about)?);
        let transactional_id = format!("{id}-feeder");
        let transactional_id = options.transactional_input.then_some(transactional_id.as_str());
        let mut scene = Scene {
            feeder: Some(Feeder::start(direct, &format!("{id}-in"), transactional_id)?),
            witness: Witness::start(direct, &format!("{id}-out"), PARTITIONS, Arc::clone(&history))?,
            history,
            bootstrap: self.world.proxy.bootstrap(),
            app: self.world.app.clone(),
            environment: self.world.environment.clone(),
            id,
            root,
            instances: Vec::new(),
            options,
        };
        for index in 0..scene.options.instances {
            scene.start(index, &[])?;
        }
        scene.wait_until_all_run()?;
        Ok(scene)
    }

    /// Injects a fault as often as the row wants, each time waiting until the application has come back from it.
    /// `inject` returns when the fault is cleared. Its number tells it which variant is next.
    #[expect(clippy::print_stdout, reason = "a row may take long, and somebody is waiting")]
    pub(super) fn rounds(
        &mut self,
        scene: &mut Scene,
        mut inject: impl FnMut(&mut Self, &mut Scene, u64) -> Attempt,
    ) -> Attempt {
        let mut told = Instant::now();
        for done in 0..self.count {
            let round = self.first + done;
            if told.elapsed() >= BETWEEN_PROGRESS {
                told = Instant::now();
                println!("    {}: {done} of {} injections", self.outcome.id, self.count);
            }
            let fault = Event::Fault {
                who: scene.id.clone(),
                what: format!("injection {round}"),
            };
            scene.history.add(fault)?;
            inject(self, scene, round)?;
            self.outcome.injected += 1;
            scene.history.add(Event::Cleared)?;
            if !self.recovers(scene)? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for lag zero and for every instance; false after a violation.
    pub(super) fn recovers(&mut self, scene: &mut Scene) -> Attempt<bool> {
        let wanted = scene.sent();
        if let Some(after) = self.results(scene, &wanted)? {
            self.outcome.recovered(after);
            scene.history.add(Event::Recovered)?;
        } else if scene.witness.seen().violations.is_empty() {
            let missing = scene.witness.seen().missing(&wanted);
            let where_to = whereabouts(&self.world.observer, &scene.id);
            let bound = self.world.recovery_bound;
            self.outcome.violation(format!(
                "not recovered within {bound:?}: results missing in {missing}; {where_to}"
            ));
        }
        for (index, error) in scene.ended_by_themselves() {
            self.outcome
                .violation(format!("instance {index} ended by itself: {error}"));
        }
        let seen = std::mem::take(&mut scene.witness.seen().violations);
        self.outcome.violations.extend(seen);
        Ok(self.outcome.violations.is_empty())
    }

    /// Waits for results of each key and says how long it took; `None`: the bound was not enough. Where a broker has given up
    /// and is restarted, the time begins then.
    fn results(&mut self, scene: &Scene, wanted: &[u64]) -> Attempt<Option<Duration>> {
        let bound = self.world.recovery_bound;
        let (mut since, mut mended) = (Instant::now(), 0);
        loop {
            let left = bound.saturating_sub(since.elapsed());
            if scene.witness.wait_for(wanted, left.min(BETWEEN_LOOKS)) {
                return Ok(Some(since.elapsed()));
            }
            if left.is_zero() || !scene.witness.seen().violations.is_empty() {
                return Ok(None);
            }
            if mended < MENDED_AT_MOST && self.mend_brokers()? {
                mended += 1;
                since = Instant::now();
            }
        }
    }

    /// Restarts brokers that serve no more; the report says so.
    fn mend_brokers(&mut self) -> Attempt<bool> {
        let mended = self.world.mend_brokers()?;
        for _ in 0..mended {
            self.outcome.sometimes(MENDED, true);
        }
        Ok(mended > 0)
    }

    /// Lets everything come to rest and compares it with the reference fold.
    pub(super) fn close(&mut self, mut scene: Scene) -> Attempt {
        // Every key gets a record after the last fault: its row in the store is read once more.
        std::thread::sleep(Duration::from_millis(500));
        let sent = match scene.feeder.take() {
            Some(feeder) => feeder.finish()?,
            None => return Err("the scene has no feeder any more".into()),
        };
        if self.results(&scene, &sent)?.is_none() && scene.witness.seen().violations.is_empty() {
            let missing = scene.witness.seen().missing(&sent);
            self.outcome
                .violation(format!("results are missing at the end: {missing}"));
        }
        let seen = std::mem::take(&mut scene.witness.seen().violations);
        self.outcome.violations.extend(seen);
        let seen = scene.witness.finish();
        let expectation = Expectation {
            application_id: &scene.id,
            sent: &sent,
            seen: &seen,
            transaction_timeout: Duration::from_millis(TRANSACTION_TIMEOUT_MS),
            history: &scene.history,
        };
        let compared = verify(&self.world.observer, &expectation, &mut self.outcome)?;
        self.outcome.compared += compared;
        scene.stop_all(&mut self.outcome)?;
        // The second opinion: the checkers that also judge simulations, from the file alone.
        let history = Arc::try_unwrap(scene.history).map_err(|_| "the history is still being written")?;
        history.finish()?;
        let report = check(&History::read(&scene.root.join(HISTORY))?);
        let violations = report.violations().iter().take(10).map(ToString::to_string);
        self.outcome.violations.extend(violations);
        Ok(())
    }

    /// The usual row: a scene, its rounds, its end.
    pub(super) fn usual(
        &mut self,
        options: SceneOptions,
        inject: impl FnMut(&mut Self, &mut Scene, u64) -> Attempt,
    ) -> Attempt {
        let mut scene = self.scene(options)?;
        self.rounds(&mut scene, inject)?;
        self.close(scene)
    }
}

impl Scene {
    /// Beginning of the client ids of all instances.
    pub(super) fn clients(&self) -> String {
        format!("{}-i", self.id)
    }

    /// Beginning of the client ids of one instance.
    pub(super) fn client(&self, index: usize) -> String {
        format!("{}{index}-", self.clients())
    }

    pub(super) fn state_dir(&self, index: usize) -> PathBuf {
        self.root.join(format!("state-{index}"))
    }

    pub(super) fn log(&self, index: usize) -> PathBuf {
        self.root.join(format!("app-{index}.log"))
    }

    /// Names of its topics: `in`, `out`, or the suffix of an internal one.
    pub(super) fn topic(&self, world: &World, role: &str) -> Attempt<String> {
        if matches!(role, "in" | "out") {
            return Ok(format!("{}-{role}", self.id));
        }
        let prefix = format!("{}-", self.id);
        let mut all = world.observer.topics()?.into_iter();
        all.find(|t| t.starts_with(&prefix) && t.ends_with(role))
            .ok_or_else(|| format!("the application has no topic of kind {role}").into())
    }

    /// The transactional id of an instance's only thread.
    pub(super) fn transactional_id(&self, index: usize) -> Attempt<String> {
        let file = self
            .state_dir(index)
            .join(&self.id)
            .join("kafka-streams-process-metadata");
        let identity: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let process = identity.get("processId").and_then(|p| p.as_str());
        let process = process.ok_or("the state directory knows no process id")?;
        Ok(format!("{}-{process}-1", self.id))
    }

    /// Starts an instance, on the state it left if it ran before.
    pub(super) fn start(&mut self, index: usize, environment: &[(&str, &str)]) -> Attempt {
        let process = self.launch(index, index, environment)?;
        if self.instances.len() <= index {
            self.instances.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.instances.get_mut(index) {
            *slot = Some(process);
        }
        Ok(())
    }

    /// Starts an instance by way of another program, such as a tracer.
    pub(super) fn start_under(&mut self, index: usize, runner: &[String]) -> Attempt {
        let options = AppOptions {
            runner: runner.to_vec(),
            ..self.app_options(index, index, &[])
        };
        self.start_as(index, &options)
    }

    /// Starts an instance with more arguments than the others have.
    pub(super) fn start_with(&mut self, index: usize, arguments: &[&str]) -> Attempt {
        let mut options = self.app_options(index, index, &[]);
        options.arguments.extend(arguments.iter().map(|a| (*a).to_owned()));
        self.start_as(index, &options)
    }

    fn start_as(&mut self, index: usize, options: &AppOptions) -> Attempt {
        let process = AppProcess::start(&self.app, options, &self.log(index))?;
        if let Some(slot) = self.instances.get_mut(index) {
            *slot = Some(process);
        }
        Ok(())
    }

    /// A process of the application that the scene does not look after, on the state of some instance.
    pub(super) fn launch(&self, index: usize, state: usize, environment: &[(&str, &str)]) -> Attempt<AppProcess> {
        let options = self.app_options(index, state, environment);
        Ok(AppProcess::start(&self.app, &options, &self.log(index))?)
    }

    fn app_options(&self, index: usize, state: usize, environment: &[(&str, &str)]) -> AppOptions {
        let more = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let mut arguments = vec![
            "--sequenced".to_owned(),
            "--client-id".to_owned(),
            format!("{}{index}", self.clients()),
            "--transaction-timeout-ms".to_owned(),
            TRANSACTION_TIMEOUT_MS.to_string(),
        ];
        arguments.extend(self.options.arguments.iter().cloned());
        AppOptions {
            bootstrap: self.bootstrap.clone(),
            application_id: self.id.clone(),
            state_dir: self.state_dir(state),
            exactly_once: true,
            input: format!("{}-in", self.id),
            output: format!("{}-out", self.id),
            cache_bytes: 0,
            state_memory_bytes: self.options.state_memory_bytes,
            arguments,
            environment: self.environment.iter().cloned().chain(more).collect(),
            runner: Vec::new(),
        }
    }

    pub(super) fn set_arguments(&mut self, arguments: &[&str]) {
        self.options.arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
    }

    pub(super) fn process(&mut self, index: usize) -> Attempt<&mut AppProcess> {
        let slot = self.instances.get_mut(index).and_then(Option::as_mut);
        slot.ok_or_else(|| format!("instance {index} does not run").into())
    }

    /// Takes an instance out of the scene: what becomes of it is the row's business.
    pub(super) fn take(&mut self, index: usize) -> Attempt<AppProcess> {
        let slot = self.instances.get_mut(index).and_then(Option::take);
        slot.ok_or_else(|| format!("instance {index} does not run").into())
    }

    pub(super) fn kill(&mut self, index: usize) -> Attempt {
        Ok(self.take(index)?.kill()?)
    }

    /// How often each instance has begun to rebalance.
    pub(super) fn rebalances(&self) -> Vec<usize> {
        let begins = |event: &AppEvent| matches!(event, AppEvent::State { state, .. } if state == "REBALANCING");
        let of_one = |p: &AppProcess| p.events().iter().filter(|event| begins(event)).count();
        self.instances.iter().map(|p| p.as_ref().map_or(0, of_one)).collect()
    }

    /// Waits until an instance is RUNNING; gives when it was, in milliseconds since its start, and what it restored.
    pub(super) fn wait_until_running(&mut self, index: usize) -> Attempt<(u64, u64)> {
        let running = self.process(index)?.wait_until_running(START_LIMIT);
        running.ok_or_else(|| format!("instance {index} does not run after {START_LIMIT:?}").into())
    }

    pub(super) fn wait_until_all_run(&mut self) -> Attempt {
        for index in 0..self.instances.len() {
            if self.instances.get(index).is_some_and(Option::is_some) {
                self.wait_until_running(index)?;
            }
        }
        Ok(())
    }

    /// Records of each key fed so far.
    pub(super) fn sent(&self) -> Vec<u64> {
        self.feeder.as_ref().map(Feeder::sent).unwrap_or_default()
    }

    /// Waits until so many results of each key are committed: there is something to restore.
    pub(super) fn wait_for_results(&self, of_each_key: u64) -> Attempt {
        let wanted = vec![of_each_key; self.sent().len()];
        if self.witness.wait_for(&wanted, Duration::from_secs(30)) {
            return Ok(());
        }
        Err(format!("no results: {}", self.witness.seen().missing(&wanted)).into())
    }

    /// Instances that nobody has killed and that are gone; they are started again.
    fn ended_by_themselves(&mut self) -> Vec<(usize, String)> {
        let mut ended = Vec::new();
        for (index, slot) in self.instances.iter_mut().enumerate() {
            if slot.as_mut().is_some_and(AppProcess::has_ended) {
                let error = slot.take().and_then(|p| p.error());
                ended.push((index, error.unwrap_or_else(|| "without a word".to_owned())));
            }
        }
        ended
    }

    fn stop_all(&mut self, outcome: &mut Outcome) -> Attempt {
        for (index, process) in self.instances.iter_mut().enumerate() {
            let Some(process) = process.take() else { continue };
            outcome.used(process.peak_memory_bytes().unwrap_or_default());
            if !process.stop(STOP_LIMIT)? {
                outcome.violation(format!("instance {index} did not stop in order within {STOP_LIMIT:?}"));
            }
        }
        Ok(())
    }
}
