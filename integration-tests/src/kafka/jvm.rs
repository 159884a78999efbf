//! A cluster of JVM brokers on loopback.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::config::ServerConfig;
use super::error::{Context, HarnessError, Result};
use super::jars::kafka_libs;
use super::node::{Node, NodeSpec};
use super::ports::free_ports;
use super::process::Signal;
use super::properties::{NodePorts, for_loopback};

const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Another process may take a port between our look and the broker's.
const ATTEMPTS: usize = 3;

/// Settings and directories of a cluster whose data directories are formatted.
pub(crate) fn prepare(config: &ServerConfig, dir: &Path) -> Result<Vec<NodeSpec>> {
    if !matches!(config.brokers, 1 | 3) {
        return Err(HarnessError::Unsupported(format!(
            "a cluster has 1 or 3 brokers, not {}",
            config.brokers
        )));
    }
    let libs = kafka_libs()?;
    let ports = ports(config)?;
    let cluster_id = cluster_id();
    let mut specs = Vec::with_capacity(config.brokers);
    for (index, own) in ports.iter().enumerate() {
        let spec = NodeSpec {
            id: index + 1,
            libs: libs.clone(),
            dir: dir.join(format!("broker-{}", index + 1)),
            port: own.client,
            jvm_options: jvm_options(config),
        };
        spec.prepare(&for_loopback(config, index, &ports, &spec.data()), &cluster_id)?;
        specs.push(spec);
    }
    Ok(specs)
}

fn ports(config: &ServerConfig) -> Result<Vec<NodePorts>> {
    if let Some(first) = config.first_port {
        let controllers = free_ports(config.brokers)?;
        return Ok((first..)
            .zip(controllers)
            .map(|(client, controller)| NodePorts { client, controller })
            .collect());
    }
    let all = free_ports(2 * config.brokers)?;
    let pairs = all.chunks_exact(2);
    Ok(pairs
        .filter_map(|p| {
            Some(NodePorts {
                client: *p.first()?,
                controller: *p.last()?,
            })
        })
        .collect())
}

fn jvm_options(config: &ServerConfig) -> Vec<String> {
    let mut options = vec![format!("-Xmx{}m", config.heap_mib), "-XX:+UseSerialGC".to_owned()];
    if config.short_lived {
        options.push("-XX:TieredStopAtLevel=1".to_owned());
    }
    options
}

/// 16 bytes in base64url, as Kafka writes its ids. Directories are never shared, so it need not be random.
fn cluster_id() -> String {
    use base64::Engine;
    let mut bytes = *b"millstream-test!";
    for (byte, pid) in bytes.iter_mut().zip(std::process::id().to_be_bytes()) {
        *byte = pid;
    }
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// `host:port,...` of the nodes.
pub(crate) fn bootstrap(specs: &[NodeSpec]) -> String {
    specs
        .iter()
        .map(|s| format!("127.0.0.1:{}", s.port))
        .collect::<Vec<_>>()
        .join(",")
}

/// Brokers of a test, ended on drop. Logs are kept when the test fails.
pub(crate) struct JvmCluster {
    nodes: Vec<Node>,
    dir: Option<TempDir>,
}

impl JvmCluster {
    pub(crate) fn start(config: &ServerConfig) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(config) {
                Err(HarnessError::Broker { log, .. }) if attempt < ATTEMPTS && port_was_taken(&log) => attempt += 1,
                other => return other,
            }
        }
    }

    fn try_start(config: &ServerConfig) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("millstream-kafka-")
            .tempdir()
            .context(|| "creating the brokers' directory".to_owned())?;
        let specs = match prepare(config, dir.path()) {
            Ok(specs) => specs,
            Err(error) => {
                let _kept = dir.keep();
                return Err(error);
            }
        };
        let mut cluster = Self {
            nodes: specs.into_iter().map(Node::new).collect(),
            dir: Some(dir),
        };
        let launched = cluster.launch_all();
        if launched.is_err() {
            cluster.keep_logs();
        }
        launched.map(|()| cluster)
    }

    fn launch_all(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.launch()?;
        }
        self.nodes.iter_mut().try_for_each(Node::wait_ready)
    }

    pub(crate) fn bootstrap(&self) -> String {
        bootstrap(&self.nodes.iter().map(|n| n.spec.clone()).collect::<Vec<_>>())
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn node(&mut self, index: usize) -> Result<&mut Node> {
        let size = self.nodes.len();
        self.nodes
            .get_mut(index)
            .ok_or_else(|| HarnessError::Unsupported(format!("no broker {index} of {size}")))
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Node::pid).collect()
    }

    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|n| n.spec.log()).collect()
    }

    pub(crate) fn start_broker(&mut self, index: usize) -> Result<()> {
        let node = self.node(index)?;
        node.launch()?;
        node.wait_ready()
    }

    /// All that do not run, at once: alone none of them has a quorum.
    pub(crate) fn start_all(&mut self) -> Result<()> {
        self.launch_all()
    }

    pub(crate) fn stop_broker(&mut self, index: usize) -> Result<()> {
        self.node(index)?.stop(STOP_LIMIT)
    }

    pub(crate) fn kill_broker(&mut self, index: usize) -> Result<()> {
        self.node(index)?.kill();
        Ok(())
    }

    pub(crate) fn signal_broker(&mut self, index: usize, signal: Signal) -> Result<()> {
        self.node(index)?.signal(signal)
    }

    /// Ends the brokers, leaves their logs and says where they are. Data goes: it can be large.
    pub(crate) fn keep_logs(&mut self) -> Option<PathBuf> {
        for node in &mut self.nodes {
            node.kill();
            let _ = fs::remove_dir_all(node.spec.data());
        }
        let kept = self.dir.take()?.keep();
        eprintln!("broker logs are kept in {}", kept.display());
        Some(kept)
    }
}

fn port_was_taken(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("Address already in use"))
}

impl Drop for JvmCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
    }
}
