//! How a test's cluster is to be: size and broker settings.
use std::time::Duration;

/// Settings of a cluster. `ServerConfig::new(1)` is right for most tests.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) brokers: usize,
    pub(crate) heap_mib: u32,
    pub(crate) short_lived: bool,
    pub(crate) first_port: Option<u16>,
    pub(crate) second_listeners: Vec<SecondListener>,
    pub(crate) properties: Vec<(String, String)>,
}

/// A second port for clients, known to them under another number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecondListener {
    pub(crate) port: u16,
    pub(crate) advertised: u16,
}

impl ServerConfig {
    /// A cluster of 1 or 3 brokers, each controller as well.
    pub fn new(brokers: usize) -> Self {
        Self {
            brokers,
            heap_mib: 384,
            short_lived: true,
            first_port: None,
            second_listeners: Vec::new(),
            properties: Vec::new(),
        }
    }

    /// Heap of each broker in MiB (default 384).
    #[must_use]
    pub fn heap_mib(mut self, mib: u32) -> Self {
        self.heap_mib = mib;
        self
    }

    /// A cluster to measure with: the JVM compiles fully and the broker has its usual number of threads.
    /// Tests start sooner without.
    #[must_use]
    pub fn for_measuring(mut self) -> Self {
        self.short_lived = false;
        self.heap_mib = 1024;
        self
    }

    /// Listen on this port and the following ones (default: free ports).
    #[must_use]
    pub fn first_port(mut self, port: u16) -> Self {
        self.first_port = Some(port);
        self
    }

    /// The next broker listens on `port` as well, and tells clients that come this way to use `advertised` instead: a proxy.
    /// Brokers among themselves use the first port. Once for each broker, or not at all.
    #[must_use]
    pub fn second_listener(mut self, port: u16, advertised: u16) -> Self {
        self.second_listeners.push(SecondListener { port, advertised });
        self
    }

    /// A broker setting; wins over the harness's own.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl ToString) -> Self {
        self.properties.push((name.to_owned(), value.to_string()));
        self
    }

    /// How long a member of a streams group may be silent. Kafka's lower bound of 45 s is moved out of the way.
    /// Heartbeats are asked for every third of it.
    #[must_use]
    pub fn streams_session_timeout(self, timeout: Duration) -> Self {
        let session_ms = timeout.as_millis();
        let heartbeat_ms = (session_ms / 3).max(1);
        self.property("group.streams.min.session.timeout.ms", session_ms)
            .property("group.streams.session.timeout.ms", session_ms)
            .property("group.streams.min.heartbeat.interval.ms", heartbeat_ms)
            .property("group.streams.heartbeat.interval.ms", heartbeat_ms)
    }
}
