//! Three brokers on loopback, the proxy in front of them, and who of them does what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::mending::LogPosition;
use super::patience::{becomes, within};
use super::{Attempt, RECOVERY_BOUND};
use crate::kafka::{KafkaServer, Observer, ServerConfig, free_ports};
use crate::proxy::{Proxy, Route};

pub(super) const BROKERS: usize = 3;
const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// Partitions of `__consumer_offsets` and `__transaction_state` in the harness's clusters.
const COORDINATOR_PARTITIONS: i32 = 4;
/// Until a partition has a leader again.
const LEADER_LIMIT: Duration = Duration::from_secs(30);
/// Until the session of a dead broker has timed out, with the election of a controller before.
const NOTICED_LIMIT: Duration = Duration::from_secs(60);
const IN_SYNC_LIMIT: Duration = Duration::from_secs(60);

/// What every row runs in.
pub struct World {
    pub(super) server: KafkaServer,
    pub(super) proxy: Proxy,
    pub(super) observer: Observer,
    /// The binary `counting-app`.
    pub(super) app: PathBuf,
    /// Of every application process.
    pub(super) environment: Vec<(String, String)>,
    /// How long the application may take to come back after a fault.
    pub(super) recovery_bound: Duration,
    /// How far the logs of the brokers have been read.
    logs_read: [LogPosition; BROKERS],
    dir: Option<TempDir>,
    scenes: u32,
    random: u64,
}

impl World {
    /// Starts brokers and proxy. `app` is the binary `counting-app`; the seed decides every random choice of the run.
    ///
    /// # Errors
    /// When the brokers do not come up, or are not ours to break.
    pub fn start(app: &Path, seed: u64) -> Attempt<Self> {
        let ports = free_ports(2 * BROKERS)?;
        let mut config = ServerConfig::new(BROKERS)
            .heap_mib(256)
            .streams_session_timeout(SESSION_TIMEOUT)
            // A row waits for compaction.
            .property("log.cleaner.backoff.ms", 1_000);
        let mut routes = Vec::new();
        for pair in ports.chunks_exact(2) {
            if let [broker, listen] = *pair {
                config = config.second_listener(broker, listen);
                routes.push(Route { listen, broker });
            }
        }
        let proxy = Proxy::start(&routes)?;
        let server = KafkaServer::start_with(&config)?;
        if server.pids().len() != BROKERS {
            return Err(
                "faults need brokers of our own: unset MILLSTREAM_TEST_BOOTSTRAP, do without containers".into(),
            );
        }
        let observer = server.observer()?;
        Ok(Self {
            server,
            proxy,
            observer,
            app: app.to_owned(),
            environment: Vec::new(),
            recovery_bound: RECOVERY_BOUND,
            dir: Some(tempfile::Builder::new().prefix("millstream-chaos-").tempdir()?),
            logs_read: [LogPosition::default(); BROKERS],
            scenes: 0,
            random: seed | 1,
        })
    }

    /// Environment of the application processes from now on, for instance a planted mistake.
    pub fn set_environment(&mut self, environment: &[(&str, &str)]) {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        self.environment = environment.iter().map(owned).collect();
    }

    /// Recovery must be so quick from now on (default: [`RECOVERY_BOUND`]): where a row has to fail, it need not take long.
    pub fn set_recovery_bound(&mut self, bound: Duration) {
        self.recovery_bound = bound;
    }

    /// A name that no scene had before.
    pub(super) fn next_scene(&mut self, row: &str) -> String {
        self.scenes += 1;
        format!("{}-{}", row.to_lowercase(), self.scenes)
    }

    /// State and logs of applications.
    pub(super) fn dir(&self) -> &Path {
        self.dir.as_ref().map_or(Path::new("/nowhere"), |d| d.path())
    }

    /// Ends the brokers and keeps state and logs for whoever looks into a failure.
    pub fn keep(&mut self) -> Option<PathBuf> {
        self.server.keep_logs();
        self.dir.take().map(TempDir::keep)
    }

    /// 0 to `below`, exclusive; the same in every run with the same seed.
    pub(super) fn random(&mut self, below: u64) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below.max(1)
    }

    pub(super) fn random_pause(&mut self, from_ms: u64, to_ms: u64) {
        let pause = from_ms + self.random(to_ms - from_ms);
        std::thread::sleep(Duration::from_millis(pause));
    }

    /// The broker, counted from 0, that leads a partition.
    pub(super) fn leader(&self, topic: &str, partition: i32) -> Attempt<usize> {
        let leader = within(LEADER_LIMIT, || {
            let leaders = self.observer.leaders(topic).unwrap_or_default();
            let node = leaders.get(usize::try_from(partition)?).copied();
            Ok(node.and_then(|n| usize::try_from(n - 1).ok()))
        })?;
        leader.ok_or_else(|| format!("{topic}-{partition} has no leader").into())
    }

    /// The broker that coordinates a group.
    pub(super) fn group_coordinator(&self, group: &str) -> Attempt<usize> {
        self.leader("__consumer_offsets", coordinator_partition(group))
    }

    /// The broker that coordinates the transactions of an id.
    pub(super) fn transaction_coordinator(&self, id: &str) -> Attempt<usize> {
        self.leader("__transaction_state", coordinator_partition(id))
    }

    /// Restarts brokers that have given up a group they were to coordinate ([`mending`](super::mending)); gives their number.
    pub(super) fn mend_brokers(&mut self) -> Attempt<u64> {
        let logs = self.server.logs();
        let mut mended = 0;
        for (broker, (log, position)) in logs.iter().zip(&mut self.logs_read).enumerate() {
            if position.gave_up(log)? {
                self.server.stop_broker(broker)?;
                self.server.start_broker(broker)?;
                mended += 1;
            }
        }
        if mended > 0 {
            self.wait_in_sync()?;
        }
        Ok(mended)
    }

    /// `kill -9`; returns when the controller has noticed, which then makes others the leaders.
    ///
    /// A broker that is back before leads on with what it wrote and nobody has. As a coordinator of transactions Kafka 4.3.1 acts on
    /// it: the offsets of a transaction are committed, the controller notices at last, and the next coordinator, who has never heard
    /// of that commit, rolls its records back. No client can tell (RELIABILITY.md).
    pub(super) fn kill_until_noticed(&mut self, broker: usize) -> Attempt {
        self.server.kill_broker(broker)?;
        let node = i32::try_from(broker + 1)?;
        if becomes(NOTICED_LIMIT, || {
            Ok(self.observer.live_brokers().is_ok_and(|alive| !alive.contains(&node)))
        })? {
            Ok(())
        } else {
            Err(format!("the controller does not miss broker {node} after {NOTICED_LIMIT:?}").into())
        }
    }

    /// Waits until every replica has caught up: a second broker may go only then.
    pub(super) fn wait_in_sync(&self) -> Attempt {
        if becomes(IN_SYNC_LIMIT, || {
            Ok(self.observer.all_in_sync(BROKERS).unwrap_or(false))
        })? {
            Ok(())
        } else {
            Err(format!("replicas are not in sync after {IN_SYNC_LIMIT:?}").into())
        }
    }
}

/// As Kafka files groups and transactional ids: Java's hash of the string, without its sign.
fn coordinator_partition(name: &str) -> i32 {
    let hash = name
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % COORDINATOR_PARTITIONS
}

#[cfg(test)]
mod tests {
    use super::coordinator_partition;

    #[test]
    fn names_are_filed_as_java_does() {
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE; "a".hashCode() is 97.
        assert_eq!(coordinator_partition("polygenelubricants"), 0);
        assert_eq!(coordinator_partition("a"), 1);
    }
}
