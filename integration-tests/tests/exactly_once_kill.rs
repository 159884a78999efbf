//! Three instances, six partitions, exactly-once; one instance at a time is killed with `kill -9` and restarted at
//! once, twenty times in a row, while records flow. Every key's committed output must be 1, 2, 3 ... n.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scenario fails by panicking"
)]
#![allow(
    clippy::print_stdout,
    reason = "the run's figures are for the reader of the test's output"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millstream_integration_tests::app::{AppOptions, AppProcess};
use millstream_integration_tests::fold::{self, PerKey};
use millstream_integration_tests::kafka::{KafkaServer, NewRecord, Observer, ServerConfig};

const PARTITIONS: i32 = 6;
const INSTANCES: usize = 3;
const KILLS: usize = 20;
const KEYS: u64 = 500;
const BETWEEN_KILLS: Duration = Duration::from_millis(1_500);
const SETTLE: Duration = Duration::from_secs(90);

/// Feeds records until told to stop; gives how many were acknowledged.
fn feed(bootstrap: &str, stop: &AtomicBool) -> u64 {
    let observer = Observer::new(bootstrap).unwrap();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<NewRecord> = (sent..sent + 150)
            // A multiplicative step spreads the keys, so that neighbours in time are on different partitions.
            .map(|i: u64| NewRecord::new(format!("k{}", i.wrapping_mul(2_654_435_761) % KEYS), i.to_string()))
            .collect();
        observer.produce("in", &batch).unwrap();
        sent += 150;
        thread::sleep(Duration::from_millis(30));
    }
    sent
}

fn committed_counts(observer: &Observer) -> PerKey {
    let mut counts = PerKey::new();
    for record in observer.read_committed("out").unwrap() {
        let value: [u8; 8] = record.value.as_deref().unwrap().try_into().unwrap();
        counts
            .entry(record.key_text().to_owned())
            .or_default()
            .push(i64::from_be_bytes(value));
    }
    counts
}

fn expected_counts(observer: &Observer) -> PerKey {
    let input = observer.read_committed("in").unwrap();
    fold::running_counts(input.iter().map(|record| record.key_text()))
}

/// Waits until the output has as many records as the input, or the time is over; the comparison decides.
fn wait_for_all(observer: &Observer, expected: usize) {
    let deadline = Instant::now() + SETTLE;
    while Instant::now() < deadline && observer.read_committed("out").unwrap().len() < expected {
        thread::sleep(Duration::from_millis(500));
    }
}

struct Fleet {
    root: PathBuf,
    bootstrap: String,
    instances: Vec<Option<AppProcess>>,
}

impl Fleet {
    fn start(root: &Path, bootstrap: &str) -> Self {
        let mut fleet = Self {
            root: root.to_owned(),
            bootstrap: bootstrap.to_owned(),
            instances: Vec::new(),
        };
        for index in 0..INSTANCES {
            let process = fleet.launch(index);
            fleet.instances.push(Some(process));
        }
        fleet
    }

    fn launch(&self, index: usize) -> AppProcess {
        let options = AppOptions {
            bootstrap: self.bootstrap.clone(),
            application_id: "kill".into(),
            state_dir: self.root.join(format!("state-{index}")),
            exactly_once: true,
            input: "in".into(),
            output: "out".into(),
            cache_bytes: 0,
            state_memory_bytes: 64 << 20,
            ..AppOptions::default()
        };
        let binary = Path::new(env!("CARGO_BIN_EXE_counting-app"));
        AppProcess::start(binary, &options, &self.root.join(format!("app-{index}.log"))).unwrap()
    }

    /// Kills an instance and starts it again on the state it left behind.
    fn kill_and_restart(&mut self, index: usize) {
        if let Some(process) = self.instances[index].take() {
            process.kill().unwrap();
        }
        self.instances[index] = Some(self.launch(index));
    }

    fn running(&self, index: usize) -> &AppProcess {
        self.instances[index].as_ref().unwrap()
    }
}

#[test]
fn twenty_kills_lose_and_repeat_nothing() {
    let config = ServerConfig::new(1).streams_session_timeout(Duration::from_secs(3));
    let server = KafkaServer::start_with(&config).unwrap();
    let observer = server.observer().unwrap();
    observer.create_topic("in", PARTITIONS).unwrap();
    observer.create_topic("out", PARTITIONS).unwrap();
    let root = tempfile::tempdir().unwrap();
    let root = root.path();

    let stop = Arc::new(AtomicBool::new(false));
    let feeder = thread::spawn({
        let (bootstrap, stop) = (server.bootstrap().to_owned(), Arc::clone(&stop));
        move || feed(&bootstrap, &stop)
    });
    let mut fleet = Fleet::start(root, server.bootstrap());
    for index in 0..INSTANCES {
        fleet
            .running(index)
            .wait_until_running(Duration::from_secs(60))
            .expect("instance runs");
    }

    let mut restored = Vec::new();
    for round in 0..KILLS {
        thread::sleep(BETWEEN_KILLS);
        let index = round % INSTANCES;
        fleet.kill_and_restart(index);
        let running = fleet.running(index).wait_until_running(Duration::from_secs(60));
        let (after_ms, records) =
            running.unwrap_or_else(|| panic!("instance {index} is not running after kill {round}"));
        restored.push(records);
        println!("kill {round}: instance {index} running after {after_ms} ms, {records} changelog records restored");
    }
    thread::sleep(BETWEEN_KILLS);
    stop.store(true, Ordering::Relaxed);
    let sent = feeder.join().unwrap();

    let expected = expected_counts(&observer);
    assert_eq!(
        expected.values().map(Vec::len).sum::<usize>() as u64,
        sent,
        "the input itself"
    );
    wait_for_all(&observer, sent as usize);
    let output = committed_counts(&observer);
    match fold::compare(&expected, &output) {
        Ok(compared) => println!("{KILLS} kills, {compared} results compared, 0 violations, restored {restored:?}"),
        Err(violations) => {
            let shown: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
            panic!("{} violations, the first: {shown:#?}", violations.len());
        }
    }
    assert_eq!(
        observer.open_transactions("out").unwrap(),
        Vec::<i32>::new(),
        "hanging transactions"
    );

    // The check has teeth: one committed result repeated by hand must be noticed.
    let (key, value) = output.iter().next().map(|(k, v)| (k.clone(), v[0])).unwrap();
    observer
        .produce("out", &[NewRecord::new(key, value.to_be_bytes())])
        .unwrap();
    assert!(
        fold::compare(&expected, &committed_counts(&observer)).is_err(),
        "a planted duplicate went unnoticed"
    );

    for instance in fleet.instances.drain(..).flatten() {
        assert!(
            instance.stop(Duration::from_secs(20)).unwrap(),
            "an instance did not stop in order"
        );
    }
}
