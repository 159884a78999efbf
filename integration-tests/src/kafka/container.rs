//! A cluster of containers (image `apache/kafka`), where a container runtime answers.
//!
//! Every broker has a port of the host mapped to the same port inside, so that a client outside and a broker that
//! comes back find it where it was.
use std::process::{Command, Stdio};
use std::time::Duration;

use testcontainers::core::IntoContainerPort;
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, ContainerRequest, GenericImage, ImageExt, TestcontainersError};

use super::config::ServerConfig;
use super::error::{Context, HarnessError, Result};
use super::jars::KAFKA_VERSION;
use super::observer::Observer;
use super::ports::free_ports;
use super::properties::common;

const INTERNAL_PORT: u16 = 19_092;
const CONTROLLER_PORT: u16 = 9_093;
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Whether `docker` reaches a daemon.
pub(crate) fn runtime_answers() -> bool {
    let mut docker = Command::new("docker");
    docker.args(["version", "--format", "{{.Server.Version}}"]);
    docker
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Containers of one cluster; removed on drop.
pub(crate) struct ContainerCluster {
    brokers: Vec<Container<GenericImage>>,
    ports: Vec<u16>,
}

impl ContainerCluster {
    pub(crate) fn start(config: &ServerConfig) -> Result<Self> {
        if !matches!(config.brokers, 1 | 3) {
            return Err(HarnessError::Unsupported(format!(
                "a cluster has 1 or 3 brokers, not {}",
                config.brokers
            )));
        }
        let ports = match config.first_port {
            Some(first) => (first..).take(config.brokers).collect(),
            None => free_ports(config.brokers)?,
        };
        // Ports are ours alone on this machine, hence so is a name made of one.
        let network = format!("millstream-{}", ports.first().copied().unwrap_or_default());
        let mut brokers = Vec::with_capacity(ports.len());
        for (index, port) in ports.iter().enumerate() {
            brokers.push(request(config, &network, index, *port).start()?);
        }
        Ok(Self { brokers, ports })
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.ports
            .iter()
            .map(|p| format!("127.0.0.1:{p}"))
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(crate) fn len(&self) -> usize {
        self.brokers.len()
    }

    fn broker(&self, index: usize) -> Result<&Container<GenericImage>> {
        let size = self.brokers.len();
        self.brokers
            .get(index)
            .ok_or_else(|| HarnessError::Unsupported(format!("no broker {index} of {size}")))
    }

    pub(crate) fn start_broker(&mut self, index: usize) -> Result<()> {
        self.broker(index)?.start()?;
        let port = self.ports.get(index).copied().unwrap_or_default();
        Observer::new(&format!("127.0.0.1:{port}"))?.wait_for_brokers(1, ANSWER_LIMIT)
    }

    pub(crate) fn stop_broker(&mut self, index: usize) -> Result<()> {
        Ok(self.broker(index)?.stop()?)
    }

    /// No time to stop in: the runtime sends SIGKILL.
    pub(crate) fn kill_broker(&mut self, index: usize) -> Result<()> {
        Ok(self.broker(index)?.stop_with_timeout(Some(0))?)
    }

    pub(crate) fn freeze(&mut self, index: usize, pause: bool) -> Result<()> {
        let verb = if pause { "pause" } else { "unpause" };
        let status = Command::new("docker")
            .args([verb, self.broker(index)?.id()])
            .stdout(Stdio::null())
            .status()
            .context(|| format!("docker {verb}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(HarnessError::Container(format!("docker {verb} ended with {status}")))
        }
    }
}

fn request(config: &ServerConfig, network: &str, index: usize, port: u16) -> ContainerRequest<GenericImage> {
    let name = |i: usize| format!("{network}-{}", i + 1);
    let voters: Vec<String> = (0..config.brokers)
        .map(|i| format!("{}@{}:{CONTROLLER_PORT}", i + 1, name(i)))
        .collect();
    let mut properties = common(config);
    for (key, value) in [
        ("node.id", (index + 1).to_string()),
        ("controller.quorum.voters", voters.join(",")),
        (
            "listeners",
            format!(
                "PLAINTEXT://0.0.0.0:{port},INTERNAL://0.0.0.0:{INTERNAL_PORT},CONTROLLER://0.0.0.0:{CONTROLLER_PORT}"
            ),
        ),
        (
            "advertised.listeners",
            format!(
                "PLAINTEXT://127.0.0.1:{port},INTERNAL://{}:{INTERNAL_PORT}",
                name(index)
            ),
        ),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT".to_owned(),
        ),
        ("inter.broker.listener.name", "INTERNAL".to_owned()),
    ] {
        properties.insert(key.to_owned(), value);
    }
    // Ready is what the observer says later: the first of three brokers is not before the second has come.
    let mut request = GenericImage::new("apache/kafka", KAFKA_VERSION)
        .with_mapped_port(port, port.tcp())
        .with_network(network)
        .with_container_name(name(index))
        .with_env_var("CLUSTER_ID", "bWlsbHN0cmVhbS10ZXN0IQ")
        .with_env_var("KAFKA_HEAP_OPTS", format!("-Xmx{}m", config.heap_mib));
    for (key, value) in properties {
        request = request.with_env_var(variable(&key), value);
    }
    request
}

/// How the image spells a broker setting.
fn variable(property: &str) -> String {
    format!(
        "KAFKA_{}",
        property
            .to_uppercase()
            .replace('_', "__")
            .replace('-', "___")
            .replace('.', "_")
    )
}

impl From<TestcontainersError> for HarnessError {
    fn from(error: TestcontainersError) -> Self {
        Self::Container(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_spelled_as_the_image_wants_them() {
        assert_eq!(
            variable("group.streams.session.timeout.ms"),
            "KAFKA_GROUP_STREAMS_SESSION_TIMEOUT_MS"
        );
        assert_eq!(variable("a_b-c.d"), "KAFKA_A__B___C_D");
    }
}
